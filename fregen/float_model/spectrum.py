"""The hidden-to-hidden matrix of a network and its spectral radius (docs/method.md, "Convergence measures": SR).

A synchronous step is ``s <- ρ(A s + input)``, s all hidden states as one column and A the *hidden matrix*: block (t, s)
is the sum of ``scale * M`` over the connections from hidden layer s to hidden layer t.  The states surely settle where
A's spectral norm is below 1; its spectral radius is the factor by which a small disturbance shrinks in a step where ρ
is steep.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, LinearOperator, eigs

from ..design.graph import Connection, Graph
from ..design.weights import checked_arrays
from .products import product, refuse_maps

__all__ = ["EXACT_UP_TO", "hidden_connections", "hidden_matrix", "spectral_radius"]

Array = NDArray[Any]

EXACT_UP_TO = 1536
"""Hidden neurons up to which all eigenvalues are computed (some 2 s); above, only the greatest are sought."""

_TOLERANCE = 1e-10
_VALUES, _BASIS = 6, 48
"""Eigenvalues sought, and Krylov vectors kept: those of a chain come in pairs of equal magnitude."""
_RESTARTS = 100


def hidden_connections(graph: Graph) -> tuple[Connection, ...]:
    """Return the connections from a hidden layer to a hidden layer."""
    return tuple(c for c in graph.connections if c.source != 0 and c.target != graph.output)


def hidden_matrix(graph: Graph, weights: Sequence[Array]) -> Array:
    """Build the scaled hidden-to-hidden matrix (docs/method.md, "Convergence measures").

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


def spectral_radius(
    graph: Graph,
    weights: Sequence[Array],
    exact_up_to: int = EXACT_UP_TO,
    progress: Callable[[int], object] | None = None,
) -> float:
    """Compute the greatest ``|eigenvalue|`` of :func:`hidden_matrix` (docs/method.md, "Convergence measures").

    Exactly 0 where no connections lead in a circle.  Up to ``exact_up_to`` hidden neurons from all eigenvalues
    (LAPACK).  Above, by implicitly restarted Arnoldi iteration (ARPACK) without ever building the matrix, until the
    residual is at most 1e-10 of the eigenvalue; only if that does not converge, from all eigenvalues after all.

    Parameters
    ----------
    graph : Graph
        Layers and connections.
    weights : sequence of (target, source) arrays
        Values by matrix index.
    exact_up_to : int
        Hidden neurons up to which all eigenvalues are computed.
    progress : callable, optional
        Called after every product with the hidden matrix with the number of products so far.

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
    if not _has_circle(graph):
        return 0.0
    if _firsts(graph)[-1] > max(exact_up_to, _VALUES + 1):
        radius = _greatest(graph, weights, progress)
        if radius is not None:
            return radius
    scales = np.repeat(_balance(graph, weights), [layer.size for layer in graph.hidden])
    matrix = hidden_matrix(graph, weights).astype(np.float64) * scales / scales[:, None]
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def _has_circle(graph: Graph) -> bool:
    """Return whether some hidden layer acts on itself through any chain of connections."""
    reached = {
        layer.index: {c.target for c in hidden_connections(graph) if c.source == layer.index} for layer in graph.hidden
    }
    for middle in reached:
        for targets in reached.values():
            if middle in targets:
                targets |= reached[middle]
    return any(layer in targets for layer, targets in reached.items())


def _greatest(graph: Graph, weights: Sequence[Array], progress: Callable[[int], object] | None) -> float | None:
    """Return the greatest ``|eigenvalue|`` that Arnoldi iteration finds; None if it does not converge."""
    first, connections = _firsts(graph), hidden_connections(graph)
    size, products, scales = first[-1], itertools.count(1), _balance(graph, weights)

    def multiply(states: Array) -> Array:
        moved, states = np.zeros(size), states.reshape(1, size)
        for c in connections:
            source = states[:, first[c.source - 1] : first[c.source]]
            factor = scales[c.source - 1] / scales[c.target - 1]
            moved[first[c.target - 1] : first[c.target]] += factor * product(weights, c, source)[0]
        if progress is not None:
            progress(next(products))
        return moved

    start = np.random.default_rng(0).standard_normal(size)
    operator = LinearOperator((size, size), matvec=multiply, dtype=np.float64)
    try:
        values = eigs(
            operator,
            k=_VALUES,
            ncv=min(_BASIS, size),
            v0=start,
            tol=_TOLERANCE,
            maxiter=_RESTARTS,
            return_eigenvectors=False,
        )
    except ArpackError:
        return None
    return float(np.abs(values).max())


def _balance(graph: Graph, weights: Sequence[Array]) -> Array:
    """Return a factor for every hidden layer by which connections there and back between two layers become as strong.

    Measuring states in other units changes no eigenvalue, but how exactly one can be computed: forward connections are
    far stronger than feedback, so that without it rounding grows from layer to layer.  (The balancing of dense solvers
    sees one neuron at a time, and a chain looks balanced everywhere but at its ends.)
    """
    count = len(graph.hidden)
    norms = np.zeros((count, count))
    for c in hidden_connections(graph):
        norms[c.target - 1, c.source - 1] += abs(c.scale) * np.linalg.norm(weights[c.matrix])
    pairs = [(s, t) for t, s in itertools.combinations(range(count), 2) if norms[s, t] > 0 and norms[t, s] > 0]
    differences, wanted = np.zeros((len(pairs), count)), np.zeros(len(pairs))
    for row, (s, t) in enumerate(pairs):
        differences[row, [s, t]] = 1, -1
        wanted[row] = math.log(norms[s, t] / norms[t, s]) / 2
    scales: Array = np.exp(np.linalg.lstsq(differences, wanted)[0])
    return scales


def _firsts(graph: Graph) -> list[int]:
    """Return where each hidden layer begins among all hidden neurons, and their number last."""
    firsts = [0]
    for layer in graph.hidden:
        firsts.append(firsts[-1] + layer.size)
    return firsts


def _check(graph: Graph, weights: Sequence[Array]) -> None:
    refuse_maps(graph, "the hidden matrix (pooling makes it depend on the states)")
    checked_arrays(graph, weights)
