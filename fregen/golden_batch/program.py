"""A batch of a group's networks as a program of few instructions, which a kernel runs with a block a network.

Words (int32) and sums (int64) of a network lie in two stretches of memory; a place in one is counted in neurons and
holds that many words a sample.  What an instruction holds is said in ``cuda/block.cuh``, at ``enum Kind``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import accumulate

from ..spec.network import Operand
from .group import Group, Term

__all__ = ["Kind", "Program"]

_WIDTH = 12
"""Numbers of an instruction."""


class Kind(IntEnum):
    """What an instruction does, as ``enum Kind`` of ``cuda/block.cuh``."""

    END = 0
    GATHER = 1
    PRODUCT = 2
    CLEAR = 3
    ACTIVATE = 4
    OFFSET = 5
    SOFTMAX = 6
    PHASE = 7
    STEP = 8
    SAVE = 9
    CONTRAST = 10
    UPDATE = 11


_ABSENT = -1


@dataclass
class _Stretch:
    """Memory that is handed out piece by piece."""

    used: int = 0

    def take(self, size: int) -> int:
        """Return the place of a new piece."""
        self.used += size
        return self.used - size

    def layers(self, sizes: dict[int, int]) -> dict[int, int]:
        """Return the place of a piece for every layer, side by side."""
        return {layer: self.take(size) for layer, size in sizes.items()}


@dataclass
class Program:
    """Instructions of one batch.

    Parameters
    ----------
    group : Group
        The networks.
    learns : bool
        Whether the batch is learned, or classes are predicted only.

    Attributes
    ----------
    instructions : list of tuples of 12 int
        The program.
    words, sums : int
        Neurons for which words and sums have room.
    shifts : list of tuples of int
        Rows of left shifts, a network each, that products name.
    """

    group: Group
    learns: bool
    instructions: list[tuple[int, ...]] = field(default_factory=list)
    shifts: list[tuple[int, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        spec, graph = self.group.shape, self.group.graph
        self._sizes = {layer.index: layer.size for layer in graph.layers}
        self._hidden = {layer: self._sizes[layer] for layer in spec.free_order}
        shapes = [graph.shape(matrix) for matrix in graph.matrices]
        self._first_weight = list(accumulate((rows * columns for rows, columns in shapes), initial=0))
        self._row_length = [rows for rows, _ in shapes]
        words, sums = _Stretch(), _Stretch()
        self._input = words.take(self._sizes[0])
        self._states, self._offsets = words.layers(self._hidden), words.layers(self._hidden)
        self._kept, self._contrast = words.layers(self._hidden), words.layers(self._hidden)
        self._entries = words.layers(self._hidden)
        self._errors = {graph.output: words.take(self._sizes[graph.output])}
        self._free_errors = words.take(self._sizes[graph.output])
        self._sums = sums.layers({layer: size for layer, size in self._sizes.items() if layer})
        self._from_input = sums.layers({layer: size for layer, size in self._sizes.items() if layer})
        self._constant = sums.layers({layer: size for layer, size in self._sizes.items() if layer})
        self._has_input: set[int] = set()
        self._build()
        self._put(Kind.END)
        self.words, self.sums = words.used, sums.used

    def _put(self, kind: Kind, *numbers: int) -> None:
        self.instructions.append((kind, *numbers, *[0] * (_WIDTH - 1 - len(numbers))))

    def _build(self) -> None:
        spec, group = self.group.shape, self.group
        output, order = group.graph.output, spec.free_order
        free = [(layer, group.free_terms(layer)) for layer in spec.free_order]
        readout = group.free_terms(output)
        neurons = sum(self._hidden.values())
        self._put(Kind.GATHER, self._input, self._sizes[0])
        for layer, terms in (*free, (output, readout)):
            reading = [term for term in terms if term.operand is Operand.INPUT]
            if self._products(reading, self._from_input[layer], _ABSENT, set()) != _ABSENT:
                self._has_input.add(layer)
        self._put(Kind.PHASE, 0, self._states[order[0]], neurons)
        self._steps(0, free, spec.design.free_steps, Operand.STATE, set())
        logits = self._total(output, readout, set(order), self._static(output, readout))
        errors = self._errors[output]
        self._put(Kind.SOFTMAX, logits, errors if self.learns else _ABSENT, self._sizes[output], 1)
        if not self.learns:
            return
        if spec.recomputes_error:
            self._put(Kind.SAVE, self._free_errors, errors, self._sizes[output])
        nudged = [(layer, group.nudged_terms(layer)) for layer in spec.nudged_order]
        if spec.has_offsets:
            self._put(Kind.PHASE, 1, self._offsets[order[0]], neurons)
            self._steps(1, nudged, spec.design.nudged_steps, Operand.OFFSET, set())
        else:
            self._put(Kind.SAVE, self._kept[order[0]], self._states[order[0]], neurons)
            self._put(Kind.PHASE, 1, _ABSENT, 0)
            self._steps(1, nudged, spec.design.nudged_steps, Operand.STATE, set(order))
            places = self._contrast[order[0]], self._states[order[0]], self._kept[order[0]]
            self._put(Kind.CONTRAST, *places, neurons)
        for row, matrix in enumerate(group.graph.learned):
            self._update(row, matrix.index)

    # Sums -----------------------------------------------------------------------------------------------------------

    def _read(self, term: Term) -> int:
        places = {
            Operand.INPUT: {0: self._input},
            Operand.STATE: self._states,
            Operand.OFFSET: self._offsets,
            Operand.ERROR: self._errors,
        }
        return places[term.operand][term.source]

    def _products(self, terms: Iterable[Term], to: int, plus: int, present: set[int]) -> int:
        """Put products, plus another sum, into a sum; return the place that holds them all now, or that none does."""
        for term in terms:
            if term.operand in (Operand.STATE, Operand.OFFSET) and term.source not in present:
                continue
            matrix = self.group.graph.matrices[term.matrix]
            columns = self._sizes[matrix.source if term.transposed else matrix.target]
            if term.shifts not in self.shifts:
                self.shifts.append(term.shifts)
            self._put(
                Kind.PRODUCT,
                to,
                self._read(term),
                self._sizes[term.source],
                columns,
                self._first_weight[term.matrix],
                self._row_length[term.matrix],
                term.transposed,
                self.shifts.index(term.shifts),
                plus,
            )
            plus = to
        return plus

    def _static(self, layer: int, terms: Sequence[Term]) -> int:
        """Put the terms that stay during a phase into a sum; return its place, or that there are none."""
        others = [term for term in terms if term.static and term.operand is not Operand.INPUT]
        reads_input = layer in self._has_input and any(term.operand is Operand.INPUT for term in terms)
        from_input = self._from_input[layer] if reads_input else _ABSENT
        return self._products(others, self._constant[layer], from_input, set())

    def _total(self, layer: int, terms: Sequence[Term], present: set[int], static: int) -> int:
        """Add the terms that change to those that stay; return the place of the sum."""
        moving = [term for term in terms if not term.static]
        place = self._products(moving, self._sums[layer], static, present)
        if place == _ABSENT:
            self._put(Kind.CLEAR, self._sums[layer], self._sizes[layer])
            return self._sums[layer]
        return place

    # Phases ---------------------------------------------------------------------------------------------------------

    def _steps(
        self, phase: int, plans: Sequence[tuple[int, tuple[Term, ...]]], limit: int, moves: Operand, present: set[int]
    ) -> None:
        """Put all steps of a phase; ``present`` are the layers whose moving words are not 0 any more."""
        spec, ends = self.group.shape, []
        static = {layer: self._static(layer, terms) for layer, terms in plans}
        for step in range(limit):
            if phase and step and spec.recomputes_error:
                self._recompute(present)
            places = {}
            if not spec.is_sweep:
                places = {layer: self._total(layer, terms, present, static[layer]) for layer, terms in plans}
            for layer, terms in plans:
                place = places[layer] if places else self._total(layer, terms, present, static[layer])
                size, entries = self._sizes[layer], self._entries[layer]
                if moves is Operand.OFFSET:
                    self._put(Kind.OFFSET, place, self._offsets[layer], entries, size)
                else:
                    self._put(Kind.ACTIVATE, place, self._states[layer], _ABSENT if phase else entries, size)
                if spec.is_sweep:
                    present.add(layer)
            present.update(layer for layer, _ in plans)
            ends.append(len(self.instructions))
            self._put(Kind.STEP, phase, spec.design.learning.stop and step + 1 < limit, 0)
        for end in ends:
            kind, number, stops, *_ = self.instructions[end]
            self.instructions[end] = (kind, number, stops, len(self.instructions), *[0] * (_WIDTH - 4))

    def _recompute(self, present: set[int]) -> None:
        output = self.group.graph.output
        readout = self.group.nudged_terms(output)
        reading = [term for term in readout if term.operand is not Operand.OFFSET or term.source in present]
        place = self._total(output, reading, set(self._hidden), self._static(output, reading))
        self._put(Kind.SOFTMAX, place, self._errors[output], self._sizes[output], 0)

    def _update(self, row: int, index: int) -> None:
        spec, matrix = self.group.shape, self.group.graph.matrices[index]
        is_output = matrix.target == self.group.graph.output
        contrast = self._offsets if spec.has_offsets else self._contrast
        errors = self._free_errors if spec.recomputes_error else self._errors[self.group.graph.output]
        deltas = errors if is_output else contrast[matrix.target]
        states = self._states if spec.has_offsets else self._kept
        sources = states[matrix.source] if matrix.source else self._input
        by_columns = spec.stored(matrix)[1] == matrix.source
        rows, columns = 0, max(self._sizes.values()) + spec.column_id(matrix)
        first_source, first_target = (columns, rows) if by_columns else (rows, columns)
        places = self._first_weight[index], self._sizes[matrix.source], self._sizes[matrix.target], sources, deltas
        self._put(Kind.UPDATE, *places, row, first_source, first_target, by_columns)
