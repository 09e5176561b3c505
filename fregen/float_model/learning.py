"""The contrastive update: which way each matrix should go.

A *direction* is what a matrix should grow by, for rate 1: the local contrast of the paper,

    direction[i, j] = 2**g * sum over the batch of ds_target[i] * s_source^free[j]  /  B

(for the output layer ds is the error of the free phase and g = 0; of feature maps, s is what they forward, and the sum
runs over all places of a kernel, too; of a bias, s is 1).  ``2**g``, the gain, undoes the shrinking of
ds between the output and the layer; without the gain it is 1.  Turning directions into new weights is an optimiser's
work (:mod:`fregen.float_model.optimizers`).
"""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from ..design.graph import Graph
from .products import bias_direction, direction, forwarded_states

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
    outputs = {
        i: forwarded_states(graph.layers[i], states[i].T)[0] for i in {matrix.source for matrix in graph.learned}
    }
    directions = {}
    for matrix in (*graph.learned, *graph.biases):
        errors = contrast[matrix.target].T
        if matrix in graph.biases:
            total = bias_direction(graph.layers[matrix.target], errors)
        else:
            total = direction(graph, matrix, errors, outputs[matrix.source])
        total *= gains[matrix.target] / batch
        directions[matrix.index] = total
    return directions
