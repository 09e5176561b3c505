"""Free and nudged phase of a batch of samples.

Follows ``docs/numerics.md``, "Sums" and "Phases".  In hardware this is the work of the lanes
(:mod:`fregen.hdl.lane`) and of the sequencer that walks the schedule.

Arrays hold one sample a row, and every layer has its own.  Weights come as a list by matrix index, each
(source, target): the transpose of the logical shape.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spec.network import NetworkSpec, Operand, Product
from .carrier import Carrier
from .neuron import ActivationModel, OffsetModel
from .softmax import SoftmaxModel

__all__ = ["Phase", "RelaxModel"]


@dataclass(frozen=True)
class _Term:
    """A product, ready to be computed: which array times which power of two."""

    matrix: int
    transposed: bool
    operand: Operand
    source: int
    scale: float | int


@dataclass(frozen=True)
class _Plan:
    """Sum of one layer: terms that change from step to step, and those that stay."""

    layer: int
    dynamic: tuple[_Term, ...]
    static: tuple[_Term, ...]


@dataclass
class Phase:
    """What a phase left behind.

    Parameters
    ----------
    steps : (n,) int64 array
        Steps that each sample executed.
    saturations : int
        Offset words of executed steps that were saturated.
    words : list of (n, neurons) int32 arrays
        Words after every step, layers in the order of the phase; only filled on demand.
    errors : list of (n, classes) int32 arrays
        Error words that every step used; only filled on demand.
    """

    steps: NDArray[np.int64]
    saturations: int
    words: list[NDArray[np.int32]]
    errors: list[NDArray[np.int32]]


class _Workspace:
    """Arrays for batches of one size, allocated once."""

    def __init__(self, spec: NetworkSpec, dtype: Any, samples: int) -> None:
        layers, output = spec.graph.layers, spec.graph.output

        def arrays(indices: Iterable[int], kind: Any = dtype) -> dict[int, NDArray[Any]]:
            return {index: np.zeros((samples, layers[index].size), dtype=kind) for index in indices}

        self.words: dict[Operand, dict[int, NDArray[Any]]] = {
            Operand.INPUT: arrays((0,)),
            Operand.STATE: arrays(spec.free_order),
            Operand.OFFSET: arrays(spec.free_order),
            Operand.ERROR: arrays((output,)),
        }
        self.free = arrays(spec.free_order)
        self.before = arrays(spec.free_order)
        self.segments = arrays(spec.free_order, np.intp)
        self.sums = arrays(range(1, output + 1))
        self.constant = arrays(range(1, output + 1))
        self.input = arrays(range(1, output + 1))
        self.part = arrays(range(1, output + 1))
        self.scaled = arrays(range(output + 1))


class RelaxModel:
    """Run free phase, readout and nudged phase.

    Parameters
    ----------
    spec : NetworkSpec
        Products, order, form, number of steps.
    carrier : Carrier
        Type of all arrays.
    """

    def __init__(self, spec: NetworkSpec, carrier: Carrier) -> None:
        self.spec = spec
        self._dtype = carrier.dtype
        self._activation = ActivationModel(spec, carrier)
        self._offset = OffsetModel(spec, carrier) if spec.has_offsets else None
        self.softmax = SoftmaxModel(spec.softmax)
        output = spec.graph.output
        self._free = [self._plan(layer, spec.free_products(layer)) for layer in spec.free_order]
        self._nudged = [self._plan(layer, spec.nudged_products(layer)) for layer in spec.nudged_order]
        self._readout = self._plan(output, spec.free_products(output))
        self._readout_nudged = self._plan(output, spec.nudged_products(output))
        # In the very first step states (or offsets) are still 0, save, in a sweep, those just computed.
        self._free_first = self._without_zeros(self._free, Operand.STATE)
        self._nudged_first = self._without_zeros(self._nudged, Operand.OFFSET) if spec.has_offsets else self._nudged
        self._workspaces: dict[int, _Workspace] = {}

    def _plan(self, layer: int, products: Sequence[Product]) -> _Plan:
        terms: dict[bool, list[_Term]] = {False: [], True: []}
        for p in products:
            scale = 2.0**p.shift if self._dtype is np.float64 else 1 << p.shift
            terms[p.static].append(_Term(p.matrix, p.transposed, p.operand, p.source, scale))
        return _Plan(layer, tuple(terms[False]), tuple(terms[True]))

    def _without_zeros(self, plans: Iterable[_Plan], operand: Operand) -> list[_Plan]:
        done: set[int] = set()
        first = []
        for plan in plans:
            dynamic = tuple(term for term in plan.dynamic if term.operand is not operand or term.source in done)
            first.append(_Plan(plan.layer, dynamic, plan.static))
            if self.spec.is_sweep:
                done.add(plan.layer)
        return first

    def workspace(self, samples: int) -> _Workspace:
        """Return the arrays for batches of a size."""
        if samples not in self._workspaces:
            if len(self._workspaces) >= 4:
                self._workspaces.clear()
            self._workspaces[samples] = _Workspace(self.spec, self._dtype, samples)
        return self._workspaces[samples]

    # Sums -----------------------------------------------------------------------------------------------------------

    def _product(self, weights: Sequence[NDArray[Any]], term: _Term, work: _Workspace, out: NDArray[Any]) -> None:
        words = work.words[term.operand][term.source]
        if term.scale != 1:
            words = np.multiply(words, term.scale, out=work.scaled[term.source])
        matrix = weights[term.matrix]
        np.matmul(words, matrix.T if term.transposed else matrix, out=out)

    def _sum(self, weights: Sequence[NDArray[Any]], plan: _Plan, work: _Workspace) -> None:
        """Add the terms that change to the constant ones."""
        out = work.sums[plan.layer]
        if not plan.dynamic:
            np.copyto(out, work.constant[plan.layer]) if plan.static else out.fill(0)
            return
        self._product(weights, plan.dynamic[0], work, out)
        for term in plan.dynamic[1:]:
            self._product(weights, term, work, work.part[plan.layer])
            np.add(out, work.part[plan.layer], out=out)
        if plan.static:
            np.add(out, work.constant[plan.layer], out=out)

    def _constants(self, weights: Sequence[NDArray[Any]], plans: Iterable[_Plan], work: _Workspace) -> None:
        """Compute the terms that stay during a phase; those of the input stay from the free to the nudged phase."""
        for plan in plans:
            total = work.constant[plan.layer]
            for number, term in enumerate(plan.static):
                part = work.input[plan.layer] if term.operand is Operand.INPUT else work.part[plan.layer]
                if term.operand is not Operand.INPUT:
                    self._product(weights, term, work, part)
                if number:
                    np.add(total, part, out=total)
                else:
                    np.copyto(total, part)

    def _inputs(self, weights: Sequence[NDArray[Any]], work: _Workspace) -> None:
        for plan in (*self._free, self._readout):
            for number, term in enumerate(t for t in plan.static if t.operand is Operand.INPUT):
                total = work.input[plan.layer]
                part = work.part[plan.layer] if number else total
                self._product(weights, term, work, part)
                if number:
                    np.add(total, part, out=total)

    # Phases ---------------------------------------------------------------------------------------------------------

    def free(self, weights: Sequence[NDArray[Any]], inputs: NDArray[Any], keep: bool = False) -> Phase:
        """Run the free phase from zero states; the words stay in the workspace of the batch's size.

        Parameters
        ----------
        weights : list of (source, target) arrays
            By matrix index.
        inputs : (n, inputs) integer array
            State words of the input layer.
        keep : bool
            Whether to keep the words of every step.
        """
        work = self.workspace(len(inputs))
        np.copyto(work.words[Operand.INPUT][0], inputs, casting="unsafe")
        self._inputs(weights, work)
        self._constants(weights, self._free, work)
        return self._settle(
            weights, work, self.spec.design.free_steps, self._free_first, self._free, Operand.STATE, keep
        )

    def readout(self, weights: Sequence[NDArray[Any]], samples: int) -> NDArray[np.int64]:
        """Return the output layer's sums for the states in the workspace; (n, classes)."""
        work = self.workspace(samples)
        self._constants(weights, (self._readout,), work)
        self._sum(weights, self._readout, work)
        return work.sums[self._readout.layer].astype(np.int64)

    def nudged(
        self, weights: Sequence[NDArray[Any]], errors: NDArray[np.int64], labels: NDArray[Any], keep: bool = False
    ) -> Phase:
        """Run the nudged phase from where the free phase ended; the words stay in the workspace.

        Parameters
        ----------
        weights : list of (source, target) arrays
            By matrix index.
        errors : (n, classes) int64 array
            Error words of the free phase.
        labels : (n,) integer array
            Right classes, for an error that is recomputed.
        keep : bool
            Whether to keep the words of every step.
        """
        work = self.workspace(len(errors))
        np.copyto(work.words[Operand.ERROR][self.spec.graph.output], errors, casting="unsafe")
        operand = Operand.OFFSET if self.spec.has_offsets else Operand.STATE
        for layer in self.spec.free_order:
            if self.spec.has_offsets:
                work.words[Operand.OFFSET][layer].fill(0)
            else:
                np.copyto(work.free[layer], work.words[Operand.STATE][layer])
        self._constants(weights, self._nudged, work)
        if self.spec.recomputes_error:
            self._constants(weights, (self._readout_nudged,), work)
        steps = self.spec.design.nudged_steps
        return self._settle(weights, work, steps, self._nudged_first, self._nudged, operand, keep, labels)

    def _settle(
        self,
        weights: Sequence[NDArray[Any]],
        work: _Workspace,
        limit: int,
        first: Sequence[_Plan],
        later: Sequence[_Plan],
        operand: Operand,
        keep: bool,
        labels: NDArray[Any] | None = None,
    ) -> Phase:
        """Run steps until the limit, or until no sample changes any more."""
        words, is_free = work.words[operand], labels is None
        order, recomputes = self.spec.free_order, labels is not None and self.spec.recomputes_error
        samples = len(words[order[0]])
        phase = Phase(np.full(samples, limit, dtype=np.int64), 0, [], [])
        running = np.ones(samples, dtype=bool)
        slopes: dict[int, NDArray[Any]] = {}
        if self._offset is not None and operand is Operand.OFFSET:
            slopes = {i: self._offset.operand(self._activation.slopes(work.segments[i])) for i in order}
        for step in range(limit):
            from_zero = step == 0 and (is_free or operand is Operand.OFFSET)
            can_stop = self.spec.design.learning.stop and step + 1 < limit
            if recomputes and step:
                assert labels is not None
                self._recompute(weights, work, labels)
            if recomputes and keep:
                phase.errors.append(work.words[Operand.ERROR][self.spec.graph.output].astype(np.int32))
            if can_stop and not from_zero:
                for layer in order:
                    np.copyto(work.before[layer], words[layer])
            plans = first if step == 0 else later
            if not self.spec.is_sweep:
                for plan in plans:
                    self._sum(weights, plan, work)
            for plan in plans:
                layer = plan.layer
                if self.spec.is_sweep:
                    self._sum(weights, plan, work)
                if operand is Operand.STATE:
                    self._activation.step(work.sums[layer], words[layer], work.segments[layer])
                else:
                    assert self._offset is not None
                    saturated = self._offset.step(slopes[layer], work.sums[layer], words[layer])
                    if saturated is not None:
                        phase.saturations += int(saturated[running].sum())
            if keep:
                phase.words.append(np.concatenate([words[plan.layer] for plan in plans], axis=1).astype(np.int32))
            if can_stop:
                changed = np.zeros(samples, dtype=bool)
                for layer in order:
                    changed |= (words[layer] if from_zero else words[layer] != work.before[layer]).any(axis=1)
                phase.steps[running & ~changed] = step + 1
                running &= changed
                if not running.any():
                    break
        return phase

    def _recompute(self, weights: Sequence[NDArray[Any]], work: _Workspace, labels: NDArray[Any]) -> None:
        """Compute the error anew from the words before the step."""
        self._sum(weights, self._readout_nudged, work)
        output = self._readout_nudged.layer
        errors = self.softmax.errors(work.sums[output].astype(np.int64), labels)
        np.copyto(work.words[Operand.ERROR][output], errors, casting="unsafe")

    # What an update reads ---------------------------------------------------------------------------------------------

    def contrast(self, samples: int) -> dict[int, NDArray[Any]]:
        """Return the contrast words of every hidden layer after the nudged phase; (n, size)."""
        work = self.workspace(samples)
        if self.spec.has_offsets:
            return work.words[Operand.OFFSET]
        for layer, before in work.before.items():
            np.subtract(work.words[Operand.STATE][layer], work.free[layer], out=before)
        return work.before

    def free_states(self, samples: int, layer: int) -> NDArray[Any]:
        """Return the words of a layer (the input included) after the free phase; (n, size)."""
        work = self.workspace(samples)
        if layer == 0:
            return work.words[Operand.INPUT][0]
        return work.words[Operand.STATE][layer] if self.spec.has_offsets else work.free[layer]
