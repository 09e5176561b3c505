"""What learning takes from a data set: input words, and the order in which an epoch learns the samples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spec.network import NetworkSpec

__all__ = ["as_words", "epoch_order"]

_CHUNK = 4096


def as_words(inputs: NDArray[Any], spec: NetworkSpec) -> NDArray[np.int64]:
    """Turn pixels into state words: to nearest, ties to even, saturated (1.0 becomes the largest word).

    Parameters
    ----------
    inputs : (n, inputs) float array
        Values in [0, 1].
    spec : NetworkSpec
        Its state format.
    """
    words = np.empty(inputs.shape, dtype=np.int64)
    for start in range(0, len(inputs), _CHUNK):
        words[start : start + _CHUNK] = spec.state.to_word(inputs[start : start + _CHUNK])
    return words


def epoch_order(seed: int, epoch: int, samples: int) -> NDArray[np.int64]:
    """Order in which an epoch (counted from 0) learns the samples; the same for float model, golden model and hardware.

    Returns
    -------
    (samples,) int64 array
        A permutation, drawn from ``np.random.default_rng([seed, 1, epoch])``.
    """
    return np.random.default_rng([seed, 1, epoch]).permutation(samples)
