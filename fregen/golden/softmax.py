"""Prediction and error words from the output layer's sums.

Follows ``docs/numerics.md``, "Softmax and error".  The hardware twin is :mod:`fregen.hdl.softmax`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spec.network import SoftmaxSpec

__all__ = ["SoftmaxModel"]


class SoftmaxModel:
    """Approximate softmax by two small tables and one multiplication a class.

    Parameters
    ----------
    spec : SoftmaxSpec
        Formats and tables.
    """

    def __init__(self, spec: SoftmaxSpec) -> None:
        self.spec = spec
        self._exponential = np.array(spec.exponential.words, dtype=np.int64)
        self._reciprocal = np.array(spec.reciprocal.words, dtype=np.int64)
        self._shift = spec.index_shift
        self._last = (1 << spec.exponential.index_bits) - 1
        self._index_bits = spec.reciprocal.index_bits
        # z + (fe + 3) - fe: what probability words drop, beyond z.
        self._drop = spec.reciprocal.frac_bits - spec.error.frac_bits

    def predict(self, logits: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the index of the greatest logit, the lowest of equals; (n,) from (n, classes)."""
        return np.argmax(logits, axis=1)

    def probabilities(self, logits: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return probability words with the error's fraction; (n, classes), before the error saturates.

        Parameters
        ----------
        logits : (n, classes) int64 array
            Sums with ``spec.sum_frac_bits``.
        """
        below = logits.max(axis=1, keepdims=True) - logits
        half = 1 << (self._shift - 1) if self._shift > 0 else 0
        index = (below + half) >> self._shift if self._shift > 0 else below << -self._shift
        np.minimum(index, self._last, out=index)
        words = self._exponential[index]
        total = words.sum(axis=1)
        leading = np.frexp(total.astype(np.float64))[1].astype(np.int64) - 1
        rest = ((total << self._index_bits) >> leading) & ((1 << self._index_bits) - 1)
        words *= self._reciprocal[rest][:, None]
        shift = (leading + self._drop)[:, None]
        # Nearest, ties to even: add half less one, and one more if the kept part is odd.
        words += (np.int64(1) << (shift - 1)) - 1 + ((words >> shift) & 1)
        words >>= shift
        return words

    def errors(self, logits: NDArray[np.int64], labels: NDArray[Any]) -> NDArray[np.int64]:
        """Return error words (target minus probability, saturated); (n, classes).

        Parameters
        ----------
        logits : (n, classes) int64 array
            Sums with ``spec.sum_frac_bits``.
        labels : (n,) integer array
            Right classes.
        """
        errors = -self.probabilities(logits)
        errors[np.arange(len(errors)), labels] += self.spec.one
        limited: NDArray[np.int64] = self.spec.error.saturate(errors)
        return limited
