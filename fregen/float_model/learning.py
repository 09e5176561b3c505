"""The contrastive update: which way each matrix should go.

A *direction* is what a matrix should grow by, for rate 1: the local contrast of the paper,

    direction[i, j] = 2**g * sum over the batch of ds_target[i] * s_source^free[j]  /  B

(for the output layer ds is the error of the free phase and g = 0).  ``2**g``, the gain, undoes the shrinking of
ds between the output and the layer; without the gain it is 1.  Turning directions into new weights is an optimiser's
work (:mod:`fregen.float_model.optimizers`).
"""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from ..graph import Graph

__all__ = ["contrastive_directions"]

Array = NDArray[Any]


def contrastive_directions(
    graph: Graph, contrast: Sequence[Array], states: Sequence[Array], gains: Sequence[float], batch: int
) -> dict[int, Array]:
    """Compute the directions of all learned matrices of a batch.

    Parameters
    ----------
    graph : Graph
        Which matrices learn, and between which layers.
    contrast : sequence of (n, neurons) arrays
        ds by layer index, of the output layer the error of the free phase.
    states : sequence of (n, neurons) arrays
        Free states by layer index.
    gains : sequence of float
        2**g by layer index.
    batch : int
        B, by which the sum is divided: the design's batch even where n is less, as in fixed point.

    Returns
    -------
    dict of int to (target, source) array
        By matrix index.
    """
    return {
        matrix.index: (contrast[matrix.target].T @ states[matrix.source]) * (gains[matrix.target] / batch)
        for matrix in graph.learned
    }
