"""Initial weights, drawn once for golden and float model alike."""

import math

import numpy as np
from numpy.typing import NDArray

from .graph import Graph

__all__ = ["glorot"]


def glorot(graph: Graph, seed: int) -> list[NDArray[np.float64]]:
    """Draw Glorot-uniform weights: U(-a, a) with ``a = sqrt(6 / (n_in + n_out))``; biases are zero.

    Parameters
    ----------
    graph : Graph
        Its matrices are drawn in the order of their index, row by row; n_in and n_out are their :meth:`Graph.fans`.
    seed : int
        Seed of the design; the generator is ``np.random.default_rng([seed, 0])``.

    Returns
    -------
    list of float64 arrays
        Values, one array a matrix, of its :meth:`Graph.shape`.
    """
    generator = np.random.default_rng([seed, 0])
    weights = []
    for matrix in graph.matrices:
        shape = graph.shape(matrix)
        bound = 0.0 if matrix in graph.biases else math.sqrt(6 / sum(graph.fans(matrix)))
        weights.append(generator.uniform(-bound, bound, shape))
    return weights
