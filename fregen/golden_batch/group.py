"""Which networks can be computed side by side, and the integers in which they differ.

Networks of a group share what decides which arrays meet in which order: layers and connections, the most steps, form,
order, ``stop``, ``error`` and ``batch``.  Everything else (seed, formats, rounding, activation, scales, nudge, gain,
rate) becomes a number a network, along the first axis of the arrays.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from ..design.graph import Graph, Matrix
from ..design.initial import glorot
from ..errors import DesignError
from ..spec.dither import first_key
from ..spec.network import NetworkSpec, Operand
from .bounds import Bounds

__all__ = ["Group", "Term", "shape_key"]

_MOST_LINES = 40
"""Lines of a refusal; what is more is counted."""


@dataclass(frozen=True)
class Term:
    """One product of a layer's sum, in all networks.

    Parameters
    ----------
    matrix : int
        Matrix of the graph.
    transposed : bool
        Whether it is read transposed.
    operand : Operand
        Words of the source layer that are read.
    source : int
        That layer.
    static : bool
        Whether it stays the same through a phase.
    shifts : tuple of int
        Left shift to the sum's fraction, bits, a network each.
    """

    matrix: int
    transposed: bool
    operand: Operand
    source: int
    static: bool
    shifts: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """Networks that differ in numbers only.

    Parameters
    ----------
    specs : sequence of NetworkSpec
        At least one.

    Raises
    ------
    DesignError
        If they do not share what a group shares; the message has a line for every difference of every network.
    FormatError
        If a sum or a product of a network fits no exact carrier; the message has a line for every one.
    """

    specs: Sequence[NetworkSpec]

    def __post_init__(self) -> None:
        object.__setattr__(self, "specs", tuple(self.specs))
        if not self.specs:
            raise DesignError("a group needs at least one network")
        faults = [fault for number in range(1, len(self.specs)) for fault in self._differences(number)]
        if faults:
            left = len(faults) - _MOST_LINES
            raise DesignError(
                "\n".join(faults[:_MOST_LINES] + ([f"and {left:,} more differences"] if left > 0 else []))
            )
        self.bounds.check()

    def __len__(self) -> int:
        return len(self.specs)

    def _differences(self, number: int) -> Iterator[str]:
        first, other = self.specs[0], self.specs[number]
        for (key, wanted), (_, found) in zip(_shared(first), _shared(other), strict=True):
            if wanted != found:
                yield (
                    f"network {number} ({other.design.name}): {key} is {found}, that of network 0 "
                    f"({first.design.name}) {wanted}; a group shares it"
                )
        if other.graph.layers == first.graph.layers and _wiring(other.graph) != _wiring(first.graph):
            yield (
                f"network {number} ({other.design.name}): its connections are not those of network 0 "
                f"({first.design.name}); a group shares them, scales apart"
            )

    def initial(self) -> tuple[list[list[NDArray[Any]]], list[int]]:
        """Return every design's initial weight words, a list of (target, source) matrices each, and its first key."""
        words = [
            [spec.weight.to_word(values) for values in glorot(spec.graph, spec.design.seed)] for spec in self.specs
        ]
        return words, [first_key(spec.design.seed) for spec in self.specs]

    @property
    def graph(self) -> Graph:
        """Layers, matrices, connections; scales are those of the first network."""
        return self.specs[0].graph

    @property
    def shape(self) -> NetworkSpec:
        """The first network: stands for what all share."""
        return self.specs[0]

    @cached_property
    def bounds(self) -> Bounds:
        """Worst cases of all networks together."""
        return Bounds(tuple(self.specs))

    def free_terms(self, layer: int) -> tuple[Term, ...]:
        """Products of a layer's sum in the free phase; of the output layer: its readout."""
        return self._terms([spec.free_products(layer) for spec in self.specs])

    def nudged_terms(self, layer: int) -> tuple[Term, ...]:
        """Products of a layer's sum in the nudged phase; of the output layer: its readout, if error is recomputed."""
        return self._terms([spec.nudged_products(layer) for spec in self.specs])

    def _terms(self, products: Sequence[Sequence[Any]]) -> tuple[Term, ...]:
        return tuple(
            Term(p.matrix, p.transposed, p.operand, p.source, p.static, tuple(q.shift for q in same))
            for p, same in zip(products[0], zip(*products, strict=True), strict=True)
        )

    def update_shifts(self, matrix: Matrix, rates: Sequence[float]) -> list[int]:
        """Bits that rounding drops from an update, limited to where more of them change no result; a network each."""
        return [self.bounds.update_shift(spec, matrix, rate) for spec, rate in zip(self.specs, rates, strict=True)]


def shape_key(spec: NetworkSpec) -> str:
    """Return a text that networks have in common if a group can hold them together, and only then."""
    return repr([*_shared(spec), _wiring(spec.graph)])


def _shared(spec: NetworkSpec) -> Iterator[tuple[str, Any]]:
    learning = spec.design.learning
    yield "network.layers", list(spec.design.network.sizes)
    yield "the number of free steps", spec.design.free_steps
    yield "the number of nudged steps", spec.design.nudged_steps
    for key in ("nudged", "order", "error", "stop", "batch"):
        yield f"learning.{key}", getattr(learning, key)


def _wiring(graph: Graph) -> tuple[Any, ...]:
    """Return all of a graph but its scales."""
    lists = (graph.connections, graph.error_connections)
    return graph.matrices, [[(c.source, c.target, c.matrix, c.transposed, c.kind) for c in some] for some in lists]
