"""How well a network settles, and how near its learning is to backpropagation (docs/method.md, "Convergence measures").

All dynamics here are the paper's synchronous ones from zero states, whatever order the design has; they walk the
connections of the graph and know no topology.  Spectral radius: :mod:`fregen.float_model.spectrum`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design.graph import Connection
from ..errors import DataError
from .activation import FloatActivation
from .baseline import BackpropNetwork
from .model import FloatModel
from .network import FloatNetwork
from .products import product, refuse_maps
from .spectrum import hidden_connections, hidden_matrix, spectral_radius

__all__ = [
    "NEVER",
    "alignment",
    "convergence_time",
    "cosine",
    "ftmle",
    "hidden_matrix",
    "saturation",
    "spectral_radius",
]

Array = NDArray[Any]

NEVER = -1
"""Convergence time of a sample that has not settled."""

_STILL = 1e-6
_IN_A_ROW = 3


def ftmle(network: FloatNetwork, inputs: Array, steps: int | None = None, seed: int = 0) -> float:
    """Measure the finite-time maximum Lyapunov exponent (docs/method.md, "Convergence measures": FTMLE).

    A random unit vector δ of every sample is pushed along the first T free steps, ``δ <- ρ'(h) * (A δ)`` with A the
    hidden matrix and h the sums of that step, and is renormalised after each: the mean of ``log ||δ||`` over steps and
    samples, ``||δ||`` before it is renormalised.  Below 0 disturbances die out, above 0 they grow.

    Parameters
    ----------
    network : FloatNetwork
        Its graph, weights and activation; noise is left out.
    inputs : (n, inputs) array
        Values held at the input; at least one sample.
    steps : int, optional
        T, at least 1; by default the design's.
    seed : int
        Draws the vectors.

    Returns
    -------
    float
        Natural logarithm a step; minus infinity if the vector of any sample vanishes (no hidden layer acts on another
        in that direction, or a hard activation is flat).

    Raises
    ------
    DataError
        If there is no sample, inputs do not fit the network, or ``steps`` is below 1.
    DesignError
        If the network has feature maps.
    """
    refuse_maps(network.graph, "the Lyapunov exponent (one hidden matrix, whatever the states)")
    steps = network.design.free_steps if steps is None else steps
    inputs = _samples(network, inputs)
    if steps < 1:
        raise DataError(f"steps: expected at least 1, not {steps}")
    rho, hidden = FloatActivation(network.design.numerics.activation.function), hidden_connections(network.graph)
    sizes = [layer.size for layer in network.graph.hidden]
    cuts = np.cumsum(sizes)[:-1]
    tangent = np.random.default_rng(seed).standard_normal((len(inputs), sum(sizes))).astype(network.dtype)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    growth = np.zeros(len(inputs))
    for _, (_, sums) in zip(range(steps), _steps(network, inputs), strict=False):
        slopes = np.concatenate([rho.slope(s) for s in sums], axis=1)
        parts = _enter(network, hidden, [inputs, *np.split(tangent, cuts, axis=1)])
        tangent = slopes * np.concatenate(parts, axis=1)
        length = np.linalg.norm(tangent, axis=1, keepdims=True)
        with np.errstate(divide="ignore"):
            growth += np.log(length[:, 0])
        tangent /= np.where(length > 0, length, 1)
    return float(growth.mean() / steps)


def convergence_time(network: FloatNetwork, inputs: Array, limit: int) -> NDArray[np.int64]:
    """Measure how many free steps each sample needs to settle (docs/method.md, "Convergence measures").

    The least t with ``||s[t+1] - s[t]||_2 < 1e-6`` and likewise for t + 1 and t + 2, s all hidden states of the sample:
    t steps are enough, and three more have shown it.

    Parameters
    ----------
    network : FloatNetwork
        Its graph, weights and activation; noise is left out.
    inputs : (n, inputs) array
        Values held at the input; at least one sample.
    limit : int
        Most steps to try, at least 3; the greatest time that can be found is ``limit - 3``.

    Returns
    -------
    (n,) int64 array
        Steps; :data:`NEVER` (-1) for a sample that has not settled within the limit.

    Raises
    ------
    DataError
        If there is no sample, inputs do not fit the network, or ``limit`` is below 3.
    DesignError
        If the network has feature maps.
    """
    refuse_maps(network.graph, "the convergence time")
    inputs = _samples(network, inputs)
    if limit < _IN_A_ROW:
        raise DataError(f"limit: expected at least {_IN_A_ROW} steps, not {limit}")
    times, still = np.full(len(inputs), NEVER), np.zeros(len(inputs), dtype=np.int64)
    last: list[Array] = [np.zeros((len(inputs), layer.size), dtype=network.dtype) for layer in network.graph.hidden]
    for step, (states, _) in zip(range(1, limit + 1), _steps(network, inputs), strict=False):
        squares = sum(((a - b) ** 2).sum(axis=1) for a, b in zip(states, last, strict=True))
        still = np.where(np.sqrt(squares) < _STILL, still + 1, 0)
        times[(times == NEVER) & (still == _IN_A_ROW)] = step - _IN_A_ROW
        if (times != NEVER).all():
            break
        last = states
    return times


def alignment(network: FloatModel, inputs: Array, labels: NDArray[Any]) -> dict[str, float]:
    """Compare a network's directions of learning with backpropagation's at the same weights.

    Backpropagation runs through the forward connections alone: as β and β_f go to 0 the contrastive update tends to
    its gradient (docs/method.md, "Learning").

    Parameters
    ----------
    network : FloatModel
        A :class:`~fregen.float_model.FloatNetwork`, or another model of the same graph; noise that its design has is
        in its directions, and not in those that they are compared with.
    inputs : (n, inputs) array
        Values; at least one sample.
    labels : (n,) integer array
        Right classes.

    Returns
    -------
    dict of str to float
        By name of each learned matrix the cosine between the two directions, -1 to 1; nan where one of them is 0.

    Raises
    ------
    DataError
        If there is no sample, or inputs or labels do not fit the network.
    """
    inputs = _samples(network, inputs)
    labels = np.asarray(labels)
    if labels.shape != (len(inputs),):
        raise DataError(f"labels: expected {len(inputs)} integers, not shape {labels.shape}")
    silent = network.design.replace(learning={"weight_noise": 0.0, "state_noise": 0.0})
    reference = BackpropNetwork(silent, dtype=network.dtype)
    reference.graph = network.graph
    reference.load(network.weights)
    ours, theirs = network.batch(inputs, labels).directions, reference.batch(inputs, labels).directions
    learning = (*network.graph.learned, *network.graph.biases)
    return {m.name: cosine(ours[m.index], theirs[m.index]) for m in learning}


def saturation(states: Sequence[Array], threshold: float = 0.95) -> tuple[float, ...]:
    """Count how many hidden states lie near or beyond the ends of the activation.

    Parameters
    ----------
    states : sequence of (n, neurons) arrays
        By layer index, input first and output last, as :class:`~fregen.float_model.FreePhase` holds them.
    threshold : float
        Least ``|s|`` that counts, above 0.

    Returns
    -------
    tuple of float
        Part of the states with ``|s| >= threshold``, 0 to 1, by hidden layer from the input up.

    Raises
    ------
    DataError
        If ``threshold`` is not above 0, or a hidden layer has no states.
    """
    if not threshold > 0:
        raise DataError(f"threshold: expected a value above 0, not {threshold}")
    if len(states) < 3 or any(layer.size == 0 for layer in states[1:-1]):
        raise DataError("states: expected those of all layers, and at least one sample")
    return tuple(float(np.mean(np.abs(layer) >= threshold)) for layer in states[1:-1])


# Parts --------------------------------------------------------------------------------------------------------------


def _steps(network: FloatModel, inputs: Array) -> Iterator[tuple[list[Array], list[Array]]]:
    """Yield states and sums of the hidden layers after every synchronous free step, without end."""
    graph = network.graph
    rho, hidden = FloatActivation(network.design.numerics.activation.function), hidden_connections(graph)
    states: list[Array] = [np.zeros((len(inputs), layer.size), dtype=network.dtype) for layer in graph.hidden]
    from_input = [c for c in graph.connections if c.source == 0 and c.target != graph.output]
    static = _enter(network, from_input, [inputs])
    for matrix in graph.biases:
        if matrix.target != graph.output:
            static[matrix.target - 1] += network.weights[matrix.index][:, 0]
    while True:
        sums = [a + b for a, b in zip(static, _enter(network, hidden, [inputs, *states]), strict=True)]
        states = [rho(s) for s in sums]
        yield states, sums


def _enter(network: FloatModel, connections: Sequence[Connection], sources: Sequence[Array]) -> list[Array]:
    """Return by hidden layer the summed products of some connections; ``sources`` by layer index."""
    totals: list[Array] = [
        np.zeros((len(sources[0]), layer.size), dtype=network.dtype) for layer in network.graph.hidden
    ]
    for c in connections:
        totals[c.target - 1] += product(network.weights, c, sources[c.source])
    return totals


def _samples(network: FloatModel, inputs: Array) -> Array:
    inputs, size = np.asarray(inputs), network.graph.layers[0].size
    if inputs.ndim != 2 or not len(inputs) or inputs.shape[1] != size:
        raise DataError(f"inputs: expected at least one sample of {size} values, not shape {inputs.shape}")
    return inputs.astype(network.dtype, copy=False)


def cosine(a: Array, b: Array) -> float:
    """Return the cosine between two arrays of one shape, taken as vectors: -1 to 1; nan if one of them is 0."""
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float((a * b).sum() / lengths) if lengths > 0 else float("nan")
