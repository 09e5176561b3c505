"""The sequencer: gives the lanes a beat a cycle, of whichever sample in flight has one.

Its cycle model is :mod:`fregen.plan.cycles` and, for several samples in flight, :mod:`fregen.plan.in_flight`.
"""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..design.document import RATE_WIDTH
from ..plan import Drain, Op
from ..plan.cycles import PHASES
from .beat import Sizes, beat_layout
from .beat_unit import BeatUnit
from .bits import bits
from .context import ContextUnit
from .issue import IssueUnit
from .links import event_signature, mask_signature, sample_signature, taken_layout, work_signature
from .names import named
from .pick import pick
from .program import instruction_layout
from .scan import ScanUnit
from .walk import WalkUnit

__all__ = ["SequencerUnit"]


class SequencerUnit(wiring.Component):
    """Run samples through their phases, and batches through their update.

    Samples enter the contexts in turn.  Whenever the lanes are free, the oldest sample that has an instruction ready
    gets them, and keeps them until its tile drains.  A batch is learnt when all its samples are done; the next sample
    begins after that.

    Parameters
    ----------
    sizes : Sizes
        Widths, and the schedule.

    Members
    -------
    sample : ``In(sample_signature)``
        The sample that waits.
    mask : ``Out(mask_signature)``
        Slots in which an input is not zero.
    hold : ``In(1)``
        Do not begin a sample (weights are being loaded or read).
    changed, clear : ``In``, ``Out``
        A word changed in this step; forget it: one bit a sample in flight.
    rate : ``In``
        k of the learning rate ``2**-k``; read while an update is issued.
    emit, emit_ready, emit_context : ``Out(1)``, ``In(1)``, ``Out``
        The prediction of a sample in flight is final; it may be handed over; which one.  In the order of samples.
    beat : ``Out``
        See :func:`fregen.hdl.beat.beat_layout`; combinational from registers.
    list_index, list_bank : ``Out``
        Nonzero word that the beat is about, and the list of its sample.
    work : ``Out(work_signature)``
        What the beat multiplies.
    idle : ``Out(1)``
        No sample is worked on, and no update.
    phases, labels : ``Out``
        Phase and label of every sample in flight; of an update: the first one's.
    events : ``Out(event_signature)``
        What is being done, and what has been completed.

    Timing
    ------
    Cycles as :class:`fregen.plan.CycleModel` has them.  After reset: idle, with no sample in the batch.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        super().__init__(
            {
                "sample": In(sample_signature(sizes)),
                "mask": Out(mask_signature(sizes)),
                "hold": In(1),
                "changed": In(sizes.contexts),
                "clear": Out(sizes.contexts),
                "rate": In(RATE_WIDTH),
                "emit": Out(1),
                "emit_ready": In(1),
                "emit_context": Out(max(sizes.context_bits, 1)),
                "beat": Out(beat_layout(sizes)),
                "list_index": Out(sizes.input_bits),
                "list_bank": Out(sizes.bank_bits),
                "work": Out(work_signature(sizes)),
                "idle": Out(1),
                "phases": Out(data.ArrayLayout(bits(len(PHASES)), sizes.contexts)),
                "labels": Out(data.ArrayLayout(sizes.label_bits, sizes.contexts)),
                "events": Out(event_signature(sizes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sizes, count, events = self.sizes, self.sizes.contexts, self.events
        contexts = [named(f"context_{k}", ContextUnit(sizes)) for k in range(count)]
        for number, context in enumerate(contexts):
            m.submodules[f"context_{number}"] = context
            m.d.comb += [
                context.offered.eq(self.sample.sample),
                context.changed.eq(self.changed[number]),
                self.clear[number].eq(context.clear),
                self.phases[number].eq(context.phase),
                self.labels[number].eq(context.sample.label),
                events.free_steps[number].eq(context.free_step),
                events.nudged_steps[number].eq(context.nudged_step),
            ]
        slots = Signal(sizes.memory.slots, name="batch")
        turn = Signal(max(sizes.context_bits, 1))
        self._take(m, contexts, turn, slots)
        self._emit(m, contexts)
        self._work(m, contexts, turn, slots)
        m.d.comb += [
            events.busy.eq(Cat(context.busy for context in contexts).any()),
            events.update.eq(contexts[0].update_done),
        ]
        return m

    def _take(self, m: Module, contexts: Sequence[ContextUnit], turn: Signal, batch: Signal) -> None:
        """Let samples enter the contexts in turn; choose where the next one lies; begin the update of a full batch."""
        sample, count, most = self.sample, len(contexts), self.sizes.memory.slots
        closing = Signal()
        learnt = Signal(bits(self.sizes.spec.design.learning.batch))  # samples of the batch
        recent = [Signal(self.sizes.slot_bits, name=f"recent_{k}") for k in range(count - 1)]
        all_idle = Cat(context.idle for context in contexts).all()
        is_free = pick([context.idle for context in contexts], turn)
        m.d.comb += [
            sample.take.eq(sample.loaded & ~self.hold & ~closing & is_free),
            self.idle.eq(all_idle & ~closing),
            contexts[0].update.eq(all_idle & closing),
            *(context.begin.eq(sample.take & (turn == k)) for k, context in enumerate(contexts)),
        ]

        # The next sample streams into the lowest slot without one of the batch or of those that may be in flight.
        learning = Signal(most)
        busy = Signal(most)
        m.d.comb += [
            learning.eq(batch | Mux(sample.sample.learn, 1 << sample.slot, 0)),
            busy.eq(Mux(contexts[0].update_done, 0, batch) | (1 << sample.slot)),
        ]
        for slot in recent:
            m.d.comb += busy.bit_select(slot, 1).eq(1)
        was_busy = Signal(most, init=1)  # no sample is begun in the cycle after another one
        m.d.sync += was_busy.eq(busy)
        free = Signal(self.sizes.slot_bits)
        for k in reversed(range(most)):
            with m.If(~was_busy[k]):
                m.d.comb += free.eq(k)
        next_slot = Signal(self.sizes.slot_bits)
        m.d.comb += sample.slot.eq(next_slot)
        with m.If(sample.take):
            m.d.sync += [slot.eq(before) for slot, before in zip(recent, [next_slot, *recent], strict=False)]
            m.d.sync += [turn.eq(_after(turn, count)), batch.eq(learning), next_slot.eq(free)]
            is_full = learnt == self.sizes.spec.design.learning.batch - 1
            m.d.sync += closing.eq(sample.sample.learn & (sample.sample.close | is_full))
            m.d.sync += learnt.eq(learnt + sample.sample.learn)
        with m.Elif(contexts[0].update_done):
            m.d.sync += [batch.eq(0), learnt.eq(0), closing.eq(0)]

    def _emit(self, m: Module, contexts: Sequence[ContextUnit]) -> None:
        """Hand predictions over in the order of samples."""
        turn = Signal(max(self.sizes.context_bits, 1), name="emit_turn")
        m.d.comb += [
            self.emit.eq(pick([context.emit for context in contexts], turn)),
            self.emit_context.eq(turn),
            self.events.sample.eq(self.emit & self.emit_ready),
            *(context.emitted.eq(self.emit_ready & (turn == k)) for k, context in enumerate(contexts)),
        ]
        with m.If(self.events.sample):
            m.d.sync += turn.eq(_after(turn, len(contexts)))

    def _work(self, m: Module, contexts: Sequence[ContextUnit], turn: Value, batch: Value) -> None:
        """Give the lanes to a context for an instruction; issue its beats."""
        sizes, count = self.sizes, len(contexts)
        m.submodules.walk = walk = named("walk", WalkUnit(sizes))
        m.submodules.scan = scan = named("scan", ScanUnit(sizes))
        m.submodules.issue = issue = named("issue", IssueUnit(sizes))
        m.submodules.beats = beats = named("beats", BeatUnit(sizes))
        wiring.connect(m, scan.mask, wiring.flipped(self.mask))
        wiring.connect(m, beats.work, wiring.flipped(self.work))

        layout = instruction_layout(sizes.schedule)
        instruction = Signal(layout)
        taken = Signal(layout)
        owner = Signal(max(sizes.context_bits, 1))
        taken_owner = Signal(max(sizes.context_bits, 1))
        working = Signal()
        walking = Signal()  # works on anything but an update
        finish = Signal()
        begins = Signal()
        samples = Signal(data.ArrayLayout(taken_layout(sizes), count))
        m.d.comb += [samples[k].eq(context.sample) for k, context in enumerate(contexts)]
        updating = Signal()
        makes = Signal()
        sample = pick(samples, owner)

        m.d.comb += [
            scan.run.eq(updating),
            walk.step.eq(walking & issue.may_issue),
            beats.issue.eq(walk.step | (updating & scan.o.valid)),
            finish.eq((walking & walk.o.is_last & issue.may_end) | (updating & scan.done)),
            *(unit.instruction.eq(instruction) for unit in (walk, scan, issue, beats)),
            *(unit.next.eq(taken) for unit in (walk, issue)),
            *(begun.eq(begins) for begun in (walk.clear, scan.clear, issue.begins)),
            walk.nonzero.eq(pick(samples, taken_owner).nonzero),
            scan.active.eq(batch),
            issue.is_last.eq(walk.o.is_last),
            issue.finish.eq(finish),
            beats.position.eq(walk.o),
            beats.element.eq(scan.o),
            beats.context.eq(owner),
            beats.slot.eq(sample.slot),
            beats.has_input.eq(sample.nonzero != 0),
            beats.rate.eq(self.rate),
            self.beat.eq(beats.o),
            self.list_index.eq(walk.o.index),
            self.list_bank.eq(sample.bank),
            self.events.beat.eq(beats.issue),
            self.events.phase.eq(pick(self.phases, owner)),
        ]
        for k, context in enumerate(contexts):
            m.d.comb += [
                context.finish.eq(finish & (owner == k)),
                context.wait.eq(instruction.wait),
                context.ends.eq(context.finish & instruction.end),
            ]

        has_taken = self._choose(m, contexts, turn, makes, taken, taken_owner, begins, finish)
        m.d.comb += begins.eq(has_taken & (~working | finish))
        with m.If(begins):
            m.d.sync += [instruction.eq(taken), owner.eq(taken_owner), working.eq(1)]
            m.d.sync += [updating.eq(taken.op == Op.UPDATE), walking.eq(taken.op != Op.UPDATE)]
            m.d.sync += makes.eq(taken.wait != 0)
        with m.Elif(finish):
            m.d.sync += [working.eq(0), updating.eq(0), walking.eq(0), makes.eq(0)]

    def _choose(
        self,
        m: Module,
        contexts: Sequence[ContextUnit],
        turn: Value,
        makes: Value,
        taken: data.View,
        taken_owner: Signal,
        begins: Value,
        finish: Value,
    ) -> Value:
        """Take the instruction that the lanes work on next, of the oldest sample that has one; whether there is one.

        A tile keeps its context.  What the instruction before makes is not there yet, nor may a move meet it.
        """
        sizes, count = self.sizes, len(contexts)
        has_taken = Signal()
        ready = Signal(count)
        chosen = Signal.like(taken_owner, name="chosen")
        keeps = (taken.op == Op.PRODUCT) & (taken.drain == Drain.NONE)
        may_move = Cat(context.may_move for context in contexts).all() & ~makes
        for k, context in enumerate(contexts):
            offer, own_makes, is_held = context.instruction, Signal(name=f"makes_{k}"), Signal(name=f"is_held_{k}")
            with m.If(begins):
                m.d.sync += own_makes.eq((taken.wait != 0) & (taken_owner == k))
                m.d.sync += is_held.eq(keeps & (taken_owner != k))
            with m.Elif(finish):
                m.d.sync += own_makes.eq(0)
            allowed = ~(offer.sync & own_makes)
            if count > 1:
                moves = (offer.op == Op.COPY) | (offer.op == Op.DIFFERENCE)
                allowed &= ~is_held & (~moves | may_move)
            m.d.comb += ready[k].eq(context.ready & allowed)
            m.d.comb += context.taken.eq(~has_taken & ready[k] & (chosen == k))
        for age in reversed(range(count)):  # samples enter in turn: the next context in turn has the oldest
            candidate = (turn + age)[: sizes.context_bits] if count > 1 else 0
            with m.If(pick([ready[k] for k in range(count)], candidate)):
                m.d.comb += chosen.eq(candidate)
        offers = Signal(data.ArrayLayout(taken.shape(), count))
        m.d.comb += [offers[k].eq(context.instruction) for k, context in enumerate(contexts)]
        with m.If(~has_taken):
            m.d.sync += [taken.eq(pick(offers, chosen)), taken_owner.eq(chosen), has_taken.eq(ready.any())]
        with m.If(begins):
            m.d.sync += has_taken.eq(0)
        return has_taken


def _after(turn: Signal, count: int) -> Value | int:
    """Whose turn is next, of so many."""
    return turn + 1 if count > 1 else 0
