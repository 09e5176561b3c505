"""Layers and connections: the network as data.

A :class:`Graph` is what every topology becomes; models, plan and hardware walk its connections and know no
topology by name.  Layer 0 is the input, the last layer the output, those between are hidden.

A :class:`Matrix` holds weights once.  A :class:`Connection` reads a matrix, straight or transposed: a symmetric
feedback connection is the transposed use of the matrix that the forward connection learns.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np

from ..errors import GraphError
from .document import Network
from .layers import Convolution

__all__ = ["ONE", "Connection", "Graph", "Kind", "Layer", "Matrix"]

ONE = -1
"""Source of a bias: a neuron outside all layers, whose state is always 1."""


class Kind(StrEnum):
    """Direction of a connection."""

    FORWARD = "forward"
    """From an earlier layer to a later one."""
    FEEDBACK = "feedback"
    """From a later hidden layer to an earlier one."""


@dataclass(frozen=True)
class Layer:
    """A group of neurons.

    Parameters
    ----------
    index : int
        Position; forward connections lead to a higher one.
    size : int
        Neurons.
    maps : tuple of int, optional
        Channels, height and width, where the neurons are feature maps.
    window : int
        Height and width of the windows of a map whose greatest state alone is forwarded to later layers (max-pooling).
    """

    index: int
    size: int
    maps: tuple[int, int, int] | None = None
    window: int = 1

    @property
    def outputs(self) -> int:
        """States that are forwarded to later layers: all neurons, or one a window."""
        return self.size // self.window**2

    @property
    def pooled(self) -> tuple[int, int, int]:
        """Channels, height and width of what is forwarded.

        Raises
        ------
        GraphError
            If the neurons are no feature maps.
        """
        if self.maps is None:
            raise GraphError(f"layer {self.index} has no feature maps")
        channels, height, width = self.maps
        return channels, height // self.window, width // self.window


@dataclass(frozen=True)
class Matrix:
    """Weights between two layers, kept once: see :meth:`Graph.shape`.

    Parameters
    ----------
    index : int
        Position among the matrices of the graph.
    name : str
        ``W0``, ``W1``, ... for forward weights from layer 0, 1, ... to the next; see :meth:`Graph.build`.
    target, source : int
        Layers of the rows and of the columns, in the direction in which the matrix is learned; :data:`ONE` is the
        source of a bias.
    kernel : int
        Height and width of the kernel of a convolution; 0: every neuron has a weight of its own to every other.
    padding : int
        Rows and columns of zeros that the convolution sees around the maps.
    """

    index: int
    name: str
    target: int
    source: int
    kernel: int = 0
    padding: int = 0


@dataclass(frozen=True)
class Connection:
    """One product that enters a layer's sum: ``scale * M @ s[source]``.

    Parameters
    ----------
    source, target : int
        Layers.
    matrix : int
        The matrix read.
    transposed : bool
        Whether it is read transposed.
    scale : float
        alpha of a forward, beta of a feedback connection.
    kind : Kind
        Direction.
    """

    source: int
    target: int
    matrix: int
    transposed: bool
    scale: float
    kind: Kind


@dataclass(frozen=True)
class Graph:
    """A network as layers, matrices and connections.

    The output layer is a readout: it receives forward connections and feeds back its error through *error connections*
    (:attr:`error_connections`) in the nudged phase.

    Raises
    ------
    GraphError
        If a connection names a layer that is not there, a forward connection does not lead upwards, sizes do not
        fit, or a hidden layer has no path from the input or none to the output.
    """

    layers: tuple[Layer, ...]
    matrices: tuple[Matrix, ...]
    connections: tuple[Connection, ...]

    error: tuple[Connection, ...] | None = None
    """How the output error reaches hidden layers; None: through every matrix into the output, transposed."""

    @classmethod
    def build(cls, network: Network) -> "Graph":
        """Lay out the connections of a design's ``[network]`` section.

        Matrices come in this order: forward weights of the chain (``W0`` from the input, ``W1``, ...), other forward
        weights (``W1_4``: from layer 1 to 4), fixed feedback weights (``B1`` from layer 2 to 1, ``B1_4`` from 4 to 1),
        biases (``b1`` of layer 1, ``b2``, ...).

        Raises
        ------
        GraphError
            If ``scales`` names two layers that are not connected, or a layer has no path from the input or to the
            output.
        """
        layers = _layers(network)
        output = len(layers) - 1
        pairs = _hidden_pairs(network)
        own = {(c.source, c.target): c.scale for c in network.scales}
        for source, target in own:
            if (source, target) not in pairs:
                raise GraphError(f"network.scales: there is no connection from hidden layer {source} to {target}")
        forward = sorted(
            [(0, 1), (output - 1, output), *(pair for pair in pairs if pair[0] < pair[1])], key=_chain_first
        )
        symmetric = network.feedback == "symmetric"
        back = sorted(pair for pair in pairs if pair[0] > pair[1])
        fixed = [(s, t) for s, t in back if not symmetric or (t, s) not in pairs]
        if not symmetric:
            fixed.append((output, output - 1))
        kernels = {
            index: (entry.kernel, entry.padding)
            for index, entry in enumerate(network.layers)
            if isinstance(entry, Convolution)
        }
        matrices = [Matrix(index, _name("W", s, t), t, s, *kernels.get(t, ())) for index, (s, t) in enumerate(forward)]
        matrices += [Matrix(len(forward) + k, _name("B", t, s), t, s) for k, (s, t) in enumerate(fixed)]
        index = {(m.source, m.target): m.index for m in matrices}
        connections = []
        for s, t in forward:
            scale = own.get((s, t), network.alpha) if (s, t) in pairs else 1.0
            connections.append(Connection(s, t, index[s, t], False, scale, Kind.FORWARD))
        for s, t in back:
            straight = (s, t) in index
            matrix = index[s, t] if straight else index[t, s]
            connections.append(Connection(s, t, matrix, not straight, own.get((s, t), network.beta), Kind.FEEDBACK))
        if network.biases:
            count = len(matrices)
            matrices += [Matrix(count + k, f"b{t}", t, ONE) for k, t in enumerate(range(1, output + 1))]
        error = None
        if not symmetric:
            error = (Connection(output, output - 1, index[output, output - 1], False, 1.0, Kind.FEEDBACK),)
        return cls(layers, tuple(matrices), tuple(connections), error)

    def __post_init__(self) -> None:
        last = len(self.layers) - 1
        for c in (*self.connections, *(self.error or ())):
            if not (0 <= c.source <= last and 0 < c.target <= last and 0 <= c.matrix < len(self.matrices)):
                raise GraphError(f"connection {c.source} -> {c.target} names a layer or matrix that is not there")
            if (c.kind is Kind.FORWARD) != (c.source < c.target) or c.source == c.target:
                raise GraphError(f"a {c.kind} connection cannot lead from layer {c.source} to layer {c.target}")
            matrix = self.matrices[c.matrix]
            ends = (matrix.source, matrix.target) if c.transposed else (matrix.target, matrix.source)
            if matrix.source == ONE:
                raise GraphError(f"connection {c.source} -> {c.target} cannot read the bias {matrix.name}")
            sizes = tuple(self.layers[end].size for end in ends)
            if sizes != (self.layers[c.target].size, self.layers[c.source].size):
                raise GraphError(
                    f"connection {c.source} -> {c.target} needs {self.layers[c.target].size} x "
                    f"{self.layers[c.source].size} weights, not {sizes[0]} x {sizes[1]} ({matrix.name})"
                )
            if any(self.layers[end].maps for end in ends) and ends != (c.target, c.source):
                raise GraphError(f"connection {c.source} -> {c.target} cannot read {matrix.name}: maps share no matrix")
        for reached, text in (
            (self._reach(0, False), "no path from the input"),
            (self._reach(last, True), "no path to the output"),
        ):
            for layer in self.layers[1:-1]:
                if layer.index not in reached:
                    raise GraphError(f"hidden layer {layer.index} has {text}")

    def _reach(self, start: int, backwards: bool) -> set[int]:
        seen, todo = {start}, [start]
        while todo:
            at = todo.pop()
            for c in self.connections:
                near, far = (c.target, c.source) if backwards else (c.source, c.target)
                if c.kind is Kind.FORWARD and near == at and far not in seen:
                    seen.add(far)
                    todo.append(far)
        return seen

    @property
    def output(self) -> int:
        """Index of the output layer."""
        return len(self.layers) - 1

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """The hidden layers, from the input up."""
        return self.layers[1:-1]

    def into(self, target: int) -> tuple[Connection, ...]:
        """Return the connections that enter a layer, by rising source."""
        return tuple(sorted((c for c in self.connections if c.target == target), key=lambda c: c.source))

    @cached_property
    def error_connections(self) -> tuple[Connection, ...]:
        """How the output error reaches hidden layers: ``B_f``, by default ``W_f^T`` (see :attr:`error`)."""
        if self.error is not None:
            return self.error
        return tuple(
            Connection(self.output, c.source, c.matrix, True, 1.0, Kind.FEEDBACK)
            for c in self.into(self.output)
            if c.source != 0
        )

    @cached_property
    def biases(self) -> tuple[Matrix, ...]:
        """Biases, one matrix of one column a layer; all of them learn."""
        return tuple(matrix for matrix in self.matrices if matrix.source == ONE)

    @cached_property
    def learned(self) -> tuple[Matrix, ...]:
        """Matrices that a forward connection reads straight: those that learn, but for the biases."""
        read = {c.matrix for c in self.connections if c.kind is Kind.FORWARD and not c.transposed}
        return tuple(matrix for matrix in self.matrices if matrix.index in read)

    def shrinkage(self, nudge: float) -> tuple[float, ...]:
        """Return how much the nudge has shrunk where it reaches a layer, as -log2, by layer index; 0 for the output.

        The least sum of -log2(scale) over all paths of connections from the output error to the layer; a scale above 1
        counts as 1.  A layer that no path reaches has the greatest value of all others.
        """
        g = [math.inf] * len(self.layers)
        g[self.output] = 0.0
        edges = [(c.source, c.target, nudge * c.scale) for c in self.error_connections]
        edges += [(c.source, c.target, c.scale) for c in self.connections if c.source and c.target != self.output]
        for _ in self.layers:
            for source, target, scale in edges:
                g[target] = min(g[target], g[source] + max(-math.log2(scale), 0.0))
        reached = max(e for e in g if e < math.inf)
        return tuple(min(e, reached) for e in g)

    def shape(self, matrix: Matrix) -> tuple[int, int]:
        """Rows and columns of a matrix.

        Neurons of the target by forwarded states of the source; of a convolution, maps of the target by maps of the
        source times pixels of the kernel, row by row; of biases, neurons or maps by one.
        """
        target = self.layers[matrix.target]
        rows = target.size if target.maps is None else target.maps[0]
        if matrix.source == ONE:
            return rows, 1
        if matrix.kernel:
            return rows, self.layers[matrix.source].pooled[0] * matrix.kernel**2
        return target.size, self.layers[matrix.source].outputs

    def fans(self, matrix: Matrix) -> tuple[int, int]:
        """Weights that enter a neuron of the target, and that leave one of the source (borders left out)."""
        rows, columns = self.shape(matrix)
        return columns, rows * matrix.kernel**2 if matrix.kernel else rows

    def multiplications(self, matrix: Matrix) -> int:
        """Count the multiplications of one product of a matrix with the states of one sample.

        Parameters
        ----------
        matrix : Matrix
            One of the graph's.

        Returns
        -------
        int
            As many as weights; of a convolution, times the pixels of a map of the target before it is pooled, where
            the zeros of the padding count as multiplied.  Transposed it is as many.  Of a bias 0: it is added.
        """
        if matrix.source == ONE:
            return 0
        count = math.prod(self.shape(matrix))
        target = self.layers[matrix.target]
        return count if target.maps is None else count * math.prod(target.maps[1:])


def _layers(network: Network) -> tuple[Layer, ...]:
    maps = network.maps()
    windows = [entry.pool if isinstance(entry, Convolution) else 1 for entry in network.layers]
    return tuple(Layer(index, size, maps.get(index), windows[index]) for index, size in enumerate(network.sizes))


def _hidden_pairs(network: Network) -> set[tuple[int, int]]:
    """Return the connected hidden layers: (source, target), forward and feedback (docs/method.md, "Topologies")."""
    count = len(network.hidden)
    if network.topology == "adjacency":
        rows = network.adjacency
        return {(s + 1, t + 1) for t in range(count) for s in range(count) if rows[t][s]}
    pairs = {pair for i in range(1, count) for pair in ((i, i + 1), (i + 1, i))}
    if network.topology == "residual":
        for i in range(network.start, count - network.block + 1, network.block):
            pairs |= {(i, i + network.block), (i + network.block, i)}
    if network.topology == "random":
        drawn = np.random.default_rng([network.graph_seed, 5]).random((count, count)) < network.probability
        pairs |= {(s + 1, t + 1) for s in range(count) for t in range(count) if s != t and drawn[s, t]}
    return pairs


def _chain_first(pair: tuple[int, int]) -> tuple[bool, int, int]:
    source, target = pair
    return target != source + 1, source, target


def _name(letter: str, low: int, high: int) -> str:
    """Name a matrix between two layers: by the lower one alone where they are neighbours."""
    return f"{letter}{low}" if high == low + 1 else f"{letter}{low}_{high}"
