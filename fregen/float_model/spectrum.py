"""The hidden-to-hidden matrix of a network and its spectral radius (paper, "Convergence measures": SR).

A synchronous step is ``s <- ρ(A s + input)``, s all hidden states as one column and A the *hidden matrix*: block (t, s)
is the sum of ``scale * M`` over the connections from hidden layer s to hidden layer t.  The states surely settle where
A's spectral norm is below 1; its spectral radius tells how fast a small disturbance dies where ρ is steep.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design.graph import Connection, Graph
from ..errors import DataError
from .products import product, refuse_maps

__all__ = ["EXACT_UP_TO", "hidden_connections", "hidden_matrix", "spectral_radius"]

Array = NDArray[Any]

EXACT_UP_TO = 1536
"""Hidden neurons up to which all eigenvalues are computed (some 2 s); above, only the greatest is sought."""

_TOLERANCE = 1e-8
_BASIS = 320
_LOOK_EVERY = 20


def hidden_connections(graph: Graph) -> tuple[Connection, ...]:
    """Return the connections that lead from a hidden layer to a hidden layer."""
    return tuple(c for c in graph.connections if c.source != 0 and c.target != graph.output)


def hidden_matrix(graph: Graph, weights: Sequence[Array]) -> Array:
    """Build the scaled hidden-to-hidden matrix (paper, "Convergence measures").

    Parameters
    ----------
    graph : Graph
        Layers and connections; α and β are the scales of its connections.
    weights : sequence of (target, source) arrays
        Values by matrix index.

    Returns
    -------
    (N, N) array
        N hidden neurons, layer after layer from the input up; rows are targets, columns sources.

    Raises
    ------
    DataError
        If the number of matrices or a shape is not the graph's.
    DesignError
        If the graph has feature maps.
    """
    _check(graph, weights)
    first = _firsts(graph)
    matrix = np.zeros((first[-1], first[-1]), dtype=np.result_type(*weights))
    for c in hidden_connections(graph):
        block = weights[c.matrix].T if c.transposed else weights[c.matrix]
        matrix[first[c.target - 1] : first[c.target], first[c.source - 1] : first[c.source]] += c.scale * block
    return matrix


def spectral_radius(graph: Graph, weights: Sequence[Array], exact_up_to: int = EXACT_UP_TO) -> float:
    """Compute the greatest ``|eigenvalue|`` of :func:`hidden_matrix` (paper, "Convergence measures").

    Up to ``exact_up_to`` hidden neurons from all eigenvalues (LAPACK).  Above, Arnoldi's method without ever building
    the matrix: Krylov vectors are added until the residual ``||A v - λ v||`` of the greatest eigenvalue is at most
    ``1e-8 |λ|`` (v a unit vector) and ``|λ|`` has changed by no more since 20 vectors ago; if 320 vectors are not
    enough, all eigenvalues are computed after all.

    Parameters
    ----------
    graph : Graph
        Layers and connections.
    weights : sequence of (target, source) arrays
        Values by matrix index.
    exact_up_to : int
        Hidden neurons up to which all eigenvalues are computed.

    Returns
    -------
    float
        Spectral radius, at least 0: no unit.

    Raises
    ------
    DataError
        If the number of matrices or a shape is not the graph's.
    DesignError
        If the graph has feature maps.
    """
    _check(graph, weights)
    if _firsts(graph)[-1] > exact_up_to:
        radius = _arnoldi(graph, weights)
        if radius is not None:
            return radius
    return float(np.abs(np.linalg.eigvals(hidden_matrix(graph, weights).astype(np.float64))).max())


def _arnoldi(graph: Graph, weights: Sequence[Array]) -> float | None:
    """Return the greatest ``|eigenvalue|`` found in a growing Krylov space; None if it has not settled."""
    first, connections = _firsts(graph), hidden_connections(graph)
    size, last_radius = first[-1], math.inf
    basis = np.zeros((_BASIS + 1, size))
    start = np.random.default_rng(0).standard_normal(size)
    basis[0] = start / np.linalg.norm(start)
    hessenberg = np.zeros((_BASIS + 1, _BASIS))
    for k in range(min(_BASIS, size)):
        moved = np.zeros(size)
        for c in connections:
            source = basis[k : k + 1, first[c.source - 1] : first[c.source]]
            moved[first[c.target - 1] : first[c.target]] += product(weights, c, source)[0]
        whole = np.linalg.norm(moved)
        for _ in range(2):  # once more against rounding
            along = basis[: k + 1] @ moved
            moved -= along @ basis[: k + 1]
            hessenberg[: k + 1, k] += along
        rest = hessenberg[k + 1, k] = np.linalg.norm(moved)
        ended = rest <= 1e-14 * max(float(whole), np.finfo(float).tiny)
        if ended or k % _LOOK_EVERY == _LOOK_EVERY - 1:
            values, vectors = np.linalg.eig(hessenberg[: k + 1, : k + 1])
            greatest = int(np.abs(values).argmax())
            radius = float(np.abs(values[greatest]))
            settled = rest * abs(vectors[k, greatest]) <= _TOLERANCE * radius
            if ended or (settled and abs(radius - last_radius) <= _TOLERANCE * radius):
                return radius
            last_radius = radius
        if not ended:
            basis[k + 1] = moved / rest
    return None


def _firsts(graph: Graph) -> list[int]:
    """Return where each hidden layer begins among all hidden neurons, and their number last."""
    firsts = [0]
    for layer in graph.hidden:
        firsts.append(firsts[-1] + layer.size)
    return firsts


def _check(graph: Graph, weights: Sequence[Array]) -> None:
    refuse_maps(graph, "the hidden matrix (pooling makes it depend on the states)")
    if len(weights) != len(graph.matrices):
        raise DataError(f"the graph has {len(graph.matrices)} weight matrices, not {len(weights)}")
    for matrix, array in zip(graph.matrices, weights, strict=True):
        if np.shape(array) != graph.shape(matrix):
            rows, columns = graph.shape(matrix)
            raise DataError(f"matrix {matrix.name}: expected {rows} x {columns} values, not {np.shape(array)}")
