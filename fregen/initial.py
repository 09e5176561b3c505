"""Initial weights, drawn once for golden and float model alike."""

import math

import numpy as np
from numpy.typing import NDArray

from .graph import Graph

__all__ = ["glorot"]


def glorot(graph: Graph, seed: int) -> list[NDArray[np.float64]]:
    """Draw Glorot-uniform weights: U(-a, a) with ``a = sqrt(6 / (n_in + n_out))``.

    Parameters
    ----------
    graph : Graph
        Its matrices are drawn in the order of their index, row by row.
    seed : int
        Seed of the design; the generator is ``np.random.default_rng([seed, 0])``.

    Returns
    -------
    list of float64 arrays
        Values, one array a matrix, shape (target, source).
    """
    generator = np.random.default_rng([seed, 0])
    weights = []
    for matrix in graph.matrices:
        shape = graph.shape(matrix)
        bound = math.sqrt(6 / sum(shape))
        weights.append(generator.uniform(-bound, bound, shape))
    return weights
