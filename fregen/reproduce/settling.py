"""How well a network settles, as numbers that a record can hold (docs/method.md, "Convergence measures")."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..float_model import FloatNetwork
from ..float_model.measures import NEVER, convergence_time, ftmle
from ..float_model.spectrum import spectral_radius

__all__ = ["Settling", "settle"]


@dataclass(frozen=True)
class Settling:
    """What to measure with.

    Parameters
    ----------
    samples : int
        First so many test samples.
    steps : int
        T of the finite-time Lyapunov exponent, free steps.
    limit : int
        Most free steps to wait for a sample to settle.
    """

    samples: int
    steps: int
    limit: int


def settle(network: FloatNetwork, inputs: NDArray[Any], how: Settling) -> dict[str, float]:
    """Measure how a network settles.

    Parameters
    ----------
    network : FloatNetwork
        Its graph and weights.
    inputs : (n, inputs) array
        Values; the first ``how.samples`` are used.
    how : Settling
        Samples and steps.

    Returns
    -------
    dict of str to float
        ``radius``: spectral radius of the hidden matrix; ``ftmle``: natural logarithm a step; ``settled``: part of the
        samples that settle within the limit, 0 to 1; ``time``: their mean convergence time in free steps, -1 if there
        are none.

    Raises
    ------
    DataError
        If there is no sample, or inputs do not fit the network.
    """
    inputs = inputs[: how.samples]
    times = convergence_time(network, inputs, how.limit)
    settled = times[times != NEVER]
    return {
        "radius": spectral_radius(network.graph, network.weights),
        "ftmle": ftmle(network, inputs, how.steps),
        "settled": len(settled) / len(times),
        "time": float(np.mean(settled)) if len(settled) else float(NEVER),
    }
