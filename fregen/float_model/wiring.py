"""Where the states of all hidden layers lie in one array, and which products fill their sums.

States lie *neurons x samples*: a layer is a block of whole rows, and so are layers that lie side by side.  The products
that enter a layer from neighbouring blocks are then one product with their weights side by side,

    [α W_i | β B_i] @ (s_{i-1} above s_{i+1})

where the plan puts s_{i-1} and s_{i+1} side by side.  It does so wherever the layers fall into two classes with every
connection leading from one to the other, as in layered and residual networks: one class lies above the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..graph import Connection, Graph

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
        Hidden layers that a hidden layer leads to.
    runs : dict of int to tuple
        Products that enter a hidden layer, or the output layer, from hidden ones.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        hidden = [layer.index for layer in graph.hidden]
        self.readers = {i: frozenset(c.target for c in graph.connections if c.source == i) & {*hidden} for i in hidden}
        self.rows: dict[int, slice] = {}
        self.height = 0
        for layer in self._sorted(hidden):
            size = graph.layers[layer].size
            self.rows[layer] = slice(self.height, self.height + size)
            self.height += size
        self.runs = {i: self._runs(i) for i in [*hidden, graph.output]}

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
        into = [c for c in self.graph.into(target) if c.source != 0]
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
    """

    def __init__(self, plan: Plan, weights: Sequence[Array], samples: int) -> None:
        self._products: dict[int, list[tuple[Array, slice]]] = {
            target: [(_stacked(run, weights, plan.graph.layers[target].size), run.rows) for run in runs]
            for target, runs in plan.runs.items()
        }
        widest = max(layer.size for layer in plan.graph.layers[1:])
        self.scratch: Array = np.empty((widest, samples), dtype=weights[0].dtype)
        """Room for one layer; any content."""

    def enter(self, target: int, states: Array, constant: Array | None, out: Array) -> None:
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
