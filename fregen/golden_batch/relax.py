"""Free phase, readout and nudged phase of a batch of samples in every network.

Follows ``docs/numerics.md``, "Sums" and "Phases".  Nothing here depends on the words that are computed: every phase
runs all its steps, so that the operations can be captured once and replayed.  That is exact: a sample that has come to
rest stays where it is (its operands no longer change), and steps and saturations are counted while it moves.

Arrays are (networks, samples, neurons) int64, a layer each; weights (networks, source, target) float64, a matrix each.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..spec.network import Operand
from .arithmetic import column
from .arrays import Arrays
from .group import Group, Term
from .neuron import Activations, Offsets
from .products import Products
from .record import Record
from .softmax import Softmax

__all__ = ["Phase", "Relax", "Words"]


@dataclass(frozen=True)
class _Term:
    """A product, ready to be computed: its shifts lie on the device."""

    of: Term
    shifts: Any


@dataclass(frozen=True)
class _Plan:
    """Sum of one layer: terms that change from step to step, and those that stay."""

    layer: int
    dynamic: tuple[_Term, ...]
    static: tuple[_Term, ...]


@dataclass
class Words:
    """Words of a batch, by layer.

    Parameters
    ----------
    inputs, states, offsets, errors : dict of int to arrays
        What each kind of operand reads.
    entries : dict of int to arrays
        Table entries of the last free computation, which give the slopes.
    from_input : dict of int to arrays
        Sums of the products that read the input, which stay for both phases.
    """

    inputs: dict[int, Any]
    states: dict[int, Any] = field(default_factory=dict)
    offsets: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, Any] = field(default_factory=dict)
    entries: dict[int, Any] = field(default_factory=dict)
    from_input: dict[int, Any] = field(default_factory=dict)

    def read(self, operand: Operand) -> dict[int, Any]:
        """Return the words that an operand reads, by layer."""
        return {
            Operand.INPUT: self.inputs,
            Operand.STATE: self.states,
            Operand.OFFSET: self.offsets,
            Operand.ERROR: self.errors,
        }[operand]


@dataclass(frozen=True)
class Phase:
    """What a phase counted.

    Parameters
    ----------
    steps : (networks, n) int64 array
        Steps that each sample executed.
    saturations : (networks,) int64 array
        Offset words of executed steps that were saturated.
    """

    steps: Any
    saturations: Any


class Relax:
    """Run free phase, readout and nudged phase.

    Parameters
    ----------
    group : Group
        Products, order, form, number of steps.
    arrays : Arrays
        Where.
    """

    def __init__(self, group: Group, arrays: Arrays) -> None:
        self._arrays, spec = arrays, group.shape
        self._products = Products(arrays, group.bounds.splits_words)
        self._activations = Activations(group, arrays)
        self._offsets = Offsets(group, arrays) if spec.has_offsets else None
        self.softmax = Softmax(group, arrays)
        self._order, self._output = spec.free_order, spec.graph.output
        self._zero_rows = [arrays.put(np.zeros((1, 1, layer.size), dtype=np.int64)) for layer in spec.graph.layers]
        self._is_sweep, self._recomputes = spec.is_sweep, spec.recomputes_error
        self._stop = spec.design.learning.stop
        self._free_steps, self._nudged_steps = spec.design.free_steps, spec.design.nudged_steps
        self._free = [self._plan(layer, group.free_terms(layer)) for layer in spec.free_order]
        self._nudged = [self._plan(layer, group.nudged_terms(layer)) for layer in spec.nudged_order]
        self._readout = self._plan(self._output, group.free_terms(self._output))
        self._readout_nudged = self._plan(self._output, group.nudged_terms(self._output))

    def _plan(self, layer: int, terms: Sequence[Term]) -> _Plan:
        ready = [_Term(t, self._arrays.put(column(t.shifts)) if any(t.shifts) else None) for t in terms]
        return _Plan(layer, tuple(t for t in ready if not t.of.static), tuple(t for t in ready if t.of.static))

    # Sums -----------------------------------------------------------------------------------------------------------

    def _sum(self, weights: Sequence[Any], terms: Iterable[_Term], words: Words, total: Any = None) -> Any:
        """Add the terms whose operand is there to a total; an operand that is absent is 0."""
        for term in terms:
            operand = words.read(term.of.operand).get(term.of.source)
            if operand is None:
                continue
            matrix = weights[term.of.matrix]
            if term.of.transposed:
                matrix = self._arrays.xp.swapaxes(matrix, 1, 2)
            part = self._products.product(operand, matrix)
            if term.shifts is not None:
                part = part << term.shifts
            total = part if total is None else total + part
        return total

    def _constants(self, weights: Sequence[Any], plan: _Plan, words: Words) -> Any:
        """Compute the terms that stay during a phase; None if there are none."""
        if plan.layer not in words.from_input:
            reading = [term for term in plan.static if term.of.operand is Operand.INPUT]
            words.from_input[plan.layer] = self._sum(weights, reading, words)
        others = [term for term in plan.static if term.of.operand is not Operand.INPUT]
        reads_input = len(others) < len(plan.static)
        return self._sum(weights, others, words, words.from_input[plan.layer] if reads_input else None)

    def _zeros(self, words: Words, layer: int) -> Any:
        return words.inputs[0][:, :, :1] * self._zero_rows[layer]

    # Phases ---------------------------------------------------------------------------------------------------------

    def free(self, weights: Sequence[Any], inputs: Any, record: Record | None = None) -> tuple[Words, Phase]:
        """Run the free phase from zero states.

        Parameters
        ----------
        weights : list of (networks, source, target) float64 arrays
            By matrix index.
        inputs : (networks, n, inputs) int64 array
            State words of the input layer.
        record : Record, optional
            Receives the words of every step.
        """
        words = Words({0: inputs})

        def step(plan: _Plan, sums: Any) -> tuple[Any, None]:
            states, words.entries[plan.layer] = self._activations.step(sums)
            return states, None

        keep = None if record is None else record.states
        return words, self._settle(weights, words, self._free, words.states, step, self._free_steps, keep)

    def readout(self, weights: Sequence[Any], words: Words) -> Any:
        """Return the output layer's sums; (networks, n, classes)."""
        return self._total(weights, self._readout, words, self._constants(weights, self._readout, words))

    def nudged(
        self, weights: Sequence[Any], words: Words, errors: Any, labels: Any, record: Record | None = None
    ) -> Phase:
        """Run the nudged phase from where the free phase ended.

        Parameters
        ----------
        weights : list of (networks, source, target) float64 arrays
            By matrix index.
        words : Words
            Of the free phase; receives offsets, or other states.
        errors : (networks, n, classes) int64 array
            Error words of the free phase.
        labels : (networks, n) int64 array
            Right classes, for an error that is recomputed.
        record : Record, optional
            Receives the words of every step.
        """
        words.errors[self._output] = errors
        if self._offsets is None:
            moving = words.states

            def step(plan: _Plan, sums: Any) -> tuple[Any, Any]:
                return self._activations.step(sums)[0], None

        else:
            moving, offsets = words.offsets, self._offsets
            slopes = {layer: self._activations.slopes(words.entries[layer]) for layer in self._order}

            def step(plan: _Plan, sums: Any) -> tuple[Any, Any]:
                return offsets.step(slopes[plan.layer], sums)

        keep = None if record is None else record.nudged
        readout = self._constants(weights, self._readout_nudged, words) if self._recomputes else None

        def recompute(number: int) -> None:
            if number and self._recomputes:
                logits = self._total(weights, self._readout_nudged, words, readout)
                words.errors[self._output] = self.softmax.errors(logits, labels)
            if record is not None and self._recomputes:
                record.nudged_errors.append(words.errors[self._output])

        return self._settle(weights, words, self._nudged, moving, step, self._nudged_steps, keep, recompute)

    def _total(self, weights: Sequence[Any], plan: _Plan, words: Words, constant: Any) -> Any:
        total = self._sum(weights, plan.dynamic, words, constant)
        return self._zeros(words, plan.layer) if total is None else total

    def _settle(
        self,
        weights: Sequence[Any],
        words: Words,
        plans: Sequence[_Plan],
        moving: dict[int, Any],
        compute: Any,
        limit: int,
        keep: list[Any] | None,
        before_step: Any = None,
    ) -> Phase:
        """Run all steps; a layer that is not in ``moving`` yet is 0."""
        whole = self._arrays.whole
        constants = {plan.layer: self._constants(weights, plan, words) for plan in plans}
        running: Any = None
        steps: Any = None
        saturations: Any = None
        for number in range(limit):
            if before_step is not None:
                before_step(number)
            sums = {}
            if not self._is_sweep:
                sums = {plan.layer: self._total(weights, plan, words, constants[plan.layer]) for plan in plans}
            changed: Any = None
            saturated: Any = None
            for plan in plans:
                layer = plan.layer
                found = sums[layer] if sums else self._total(weights, plan, words, constants[layer])
                new, count = compute(plan, found)
                before = moving.get(layer)
                moved = (new != (0 if before is None else before)).any(-1)
                changed = moved if changed is None else changed | moved
                if count is not None:
                    saturated = count if saturated is None else saturated + count
                moving[layer] = new
            if saturated is not None:
                executed = saturated if running is None else saturated * whole(running)
                saturations = executed.sum(-1) if saturations is None else saturations + executed.sum(-1)
            if keep is not None:
                keep.append(self._arrays.xp.concatenate([moving[plan.layer] for plan in plans], -1))
            # A sample executes a step if all steps before it have changed one of its words.
            ran = whole(changed) * 0 + 1 if running is None else whole(running)
            steps = ran if steps is None else steps + ran
            if self._stop:
                running = changed if running is None else running & changed
        return Phase(steps, saturations if saturations is not None else steps.sum(-1) * 0)

    # What an update reads ---------------------------------------------------------------------------------------------

    def contrast(self, words: Words, free: dict[int, Any]) -> dict[int, Any]:
        """Return the contrast words of every hidden layer after the nudged phase.

        Parameters
        ----------
        words : Words
            After the nudged phase.
        free : dict of int to arrays
            States after the free phase.
        """
        if self._offsets is not None:
            return words.offsets
        return {layer: words.states[layer] - free[layer] for layer in self._order}
