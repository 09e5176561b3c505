"""Where the states of all hidden layers lie in one array, and which products fill their sums.

States lie *neurons x samples*: a layer is a block of whole rows, and so are layers that lie side by side.  The products
that enter a layer from neighbouring blocks are then one product with their weights side by side,

    [α W_i | β B_i] @ (s_{i-1} above s_{i+1})

where the plan puts s_{i-1} and s_{i+1} side by side.  It does so wherever the layers fall into two classes with every
connection leading from one to the other, as in layered and residual networks: one class lies above the other.

Connections to and from feature maps are products of their own; what a layer of maps forwards is found once for all that
read it, and what is fed back to it is summed before it goes to where the greatest states were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design.graph import Connection, Graph, Layer
from .products import Winners, back, forward, forwarded_states, returned_values

__all__ = ["Plan", "Wiring"]

Array = NDArray[Any]


@dataclass(frozen=True)
class _Run:
    """Connections into one layer from layers that lie side by side: one product.

    Parameters
    ----------
    rows : slice
        Where the sources lie.
    parts : tuple of (slice, tuple of Connection)
        Columns of the weights and the connections that they hold, source by source.
    """

    rows: slice
    parts: tuple[tuple[slice, tuple[Connection, ...]], ...]


class Plan:
    """Places and products of a graph; depends on no weights.

    Parameters
    ----------
    graph : Graph
        Layers and connections.

    Attributes
    ----------
    height : int
        Neurons of all hidden layers.
    rows : dict of int to slice
        Where a hidden layer lies, by layer index.
    readers : dict of int to frozenset of int
        Hidden layers whose sums depend on a hidden layer.  One of pooled maps depends on itself where something comes
        back to it: where that goes.
    runs : dict of int to tuple
        Products that enter a hidden layer, or the output layer, from hidden ones, where neither has maps.
    mapped : dict of int to tuple of Connection
        The other connections from hidden layers.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        hidden = [layer.index for layer in graph.hidden]
        back_to = {c.target for c in (*graph.connections, *graph.error_connections) if c.source > c.target}
        itself = {i for i in back_to if graph.layers[i].window > 1}
        self.readers = {
            i: frozenset(c.target for c in graph.connections if c.source == i) & {*hidden} | ({i} & itself)
            for i in hidden
        }
        self.rows: dict[int, slice] = {}
        self.height = 0
        for layer in self._sorted(hidden):
            size = graph.layers[layer].size
            self.rows[layer] = slice(self.height, self.height + size)
            self.height += size
        self.runs = {i: self._runs(i) for i in [*hidden, graph.output]}
        self.mapped = {
            i: tuple(c for c in graph.into(i) if c.source != 0 and self._has_maps(c)) for i in [*hidden, graph.output]
        }

    def _has_maps(self, connection: Connection) -> bool:
        layers = self.graph.layers
        return layers[connection.source].maps is not None or layers[connection.target].maps is not None

    def _sorted(self, hidden: Sequence[int]) -> list[int]:
        """Return the layers class by class; by index if there are no two classes."""
        near = {i: self.readers[i] | {k for k in hidden if i in self.readers[k]} for i in hidden}
        sides: dict[int, bool] = {}
        for first in hidden:
            sides.setdefault(first, False)
            todo = [first]
            while todo:
                at = todo.pop()
                for other in sorted(near[at]):
                    if other not in sides:
                        sides[other] = not sides[at]
                        todo.append(other)
                    elif sides[other] == sides[at]:
                        return list(hidden)
        return sorted(hidden, key=lambda i: (sides[i], i))

    def _runs(self, target: int) -> tuple[_Run, ...]:
        """Join the connections into a layer wherever their sources lie side by side."""
        into = [c for c in self.graph.into(target) if c.source != 0 and not self._has_maps(c)]
        runs: list[list[int]] = []
        for source in sorted({c.source for c in into}, key=lambda i: self.rows[i].start):
            if runs and self.rows[runs[-1][-1]].stop == self.rows[source].start:
                runs[-1].append(source)
            else:
                runs.append([source])
        made = []
        for sources in runs:
            start = self.rows[sources[0]].start
            parts = tuple(
                (
                    slice(self.rows[source].start - start, self.rows[source].stop - start),
                    tuple(c for c in into if c.source == source),
                )
                for source in sources
            )
            made.append(_Run(slice(start, self.rows[sources[-1]].stop), parts))
        return tuple(made)


class Wiring:
    """The products of a plan with given weights: scaled, side by side, copied once for many steps.

    Parameters
    ----------
    plan : Plan
        Places and products.
    weights : sequence of arrays
        By matrix index, shape (target, source).  What changes in them later does not enter.
    samples : int
        Columns of the states.
    winners : mapping of int to array, optional
        Where to look for what a layer of maps forwards, by layer index; by default the greatest state of every window.
    """

    def __init__(
        self, plan: Plan, weights: Sequence[Array], samples: int, winners: Mapping[int, Winners] | None = None
    ) -> None:
        self._plan = plan
        self._products: dict[int, list[tuple[Array, slice]]] = {
            target: [(_stacked(run, weights, plan.graph.layers[target].size), run.rows) for run in runs]
            for target, runs in plan.runs.items()
        }
        self._mapped = {
            target: [(c, weights[c.matrix] if c.scale == 1 else weights[c.matrix] * c.scale) for c in connections]
            for target, connections in plan.mapped.items()
        }
        self._winners = dict(winners or {})
        self._led_on: dict[int, tuple[Array, Winners]] = {}
        widest = max(layer.size for layer in plan.graph.layers[1:])
        self.scratch: Array = np.empty((widest, samples), dtype=weights[0].dtype)
        """Room for one layer; any content."""

    def renewed(self, layer: int) -> None:
        """Note that the states of a hidden layer are others than when they were read last."""
        self._led_on.pop(layer, None)

    def keep(self, chosen: NDArray[np.bool_]) -> None:
        """Go on with some of the samples."""
        self._winners = {
            layer: None if places is None else places[..., chosen] for layer, places in self._winners.items()
        }
        self._led_on.clear()
        self.scratch = np.empty((len(self.scratch), np.count_nonzero(chosen)), dtype=self.scratch.dtype)

    def enter(
        self, target: int, states: Array, constant: Array | None, out: Array, returned: Array | None = None
    ) -> None:
        """Write the sum of a layer: what enters from hidden layers, plus a constant part.

        Parameters
        ----------
        target : int
            A hidden layer, or the output layer.
        states : (height, n) array
            Of all hidden layers.
        constant : (neurons, n) array, optional
            What is added.
        out : (neurons, n) array
            Renewed; no part of ``states``.
        returned : (outputs, n) array, optional
            What is added to what later layers feed back to a layer of maps, before it is unpooled.
        """
        products = self._products[target]
        if not products:
            out[...] = 0
        for number, (matrix, rows) in enumerate(products):
            if number:
                out += np.matmul(matrix, states[rows], out=self.scratch[: len(out)])
            else:
                np.matmul(matrix, states[rows], out=out)
        if constant is not None:
            out += constant
        if self._mapped[target] or returned is not None:
            self._enter_mapped(target, states, out, returned)

    def _enter_mapped(self, target: int, states: Array, out: Array, returned: Array | None) -> None:
        graph, rows = self._plan.graph, self._plan.rows
        layer = graph.layers[target]
        for c, weights in self._mapped[target]:
            matrix, source = graph.matrices[c.matrix], graph.layers[c.source]
            if not c.transposed:
                out += forward(graph, matrix, weights, self._outputs(source, states)[0])
                continue
            term = back(graph, matrix, weights, states[rows[c.source]])
            returned = term if returned is None else returned + term
        if returned is not None:
            out += returned_values(layer, returned, self._outputs(layer, states)[1])

    def _outputs(self, layer: Layer, states: Array) -> tuple[Array, Winners]:
        found = self._led_on.get(layer.index)
        if found is None:
            found = forwarded_states(layer, states[self._plan.rows[layer.index]], self._winners.get(layer.index))
            self._led_on[layer.index] = found
        return found


def _stacked(run: _Run, weights: Sequence[Array], height: int) -> Array:
    """Return the scaled weights of a run, shape (target, all its sources)."""
    matrix = np.empty((height, run.rows.stop - run.rows.start), dtype=weights[0].dtype)
    for columns, connections in run.parts:
        for number, c in enumerate(connections):
            given = weights[c.matrix].T if c.transposed else weights[c.matrix]
            if number:
                matrix[:, columns] += given * c.scale
            else:
                np.multiply(given, c.scale, out=matrix[:, columns])
    return matrix
