"""The sequencer: walks the schedule and issues one beat a cycle.  Its cycle model is :mod:`fregen.plan.cycles`."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..design.document import RATE_WIDTH
from ..plan import Op, Program
from .beat import Sizes, beat_layout
from .beat_unit import BeatUnit
from .bits import popcount
from .choice import ChoiceUnit
from .fetch import FetchUnit
from .issue import IssueUnit
from .links import event_signature, mask_signature, sample_signature, work_signature
from .names import named
from .scan import ScanUnit
from .walk import WalkUnit

__all__ = ["SequencerUnit"]


class SequencerUnit(wiring.Component):
    """Run samples through their phases, and batches through their update.

    Parameters
    ----------
    sizes : Sizes
        Widths, and the schedule.

    Members
    -------
    sample : ``In(sample_signature)``
        Samples that wait, and the one taken last.
    mask : ``Out(mask_signature)``
        Slots in which an input is not zero.
    hold : ``In(1)``
        Do not begin a sample (weights are being loaded or read).
    changed, clear : ``In(1)``, ``Out(1)``
        A word changed in this step; forget it.
    rate : ``In``
        k of the learning rate ``2**-k``; read while an update is issued.
    emit, emit_ready : ``Out(1)``, ``In(1)``
        The prediction of the sample is final; it may be handed over.
    beat : ``Out``
        See :func:`fregen.hdl.beat.beat_layout`; combinational from registers.
    list_index : ``Out``
        Nonzero word of the sample that the beat is about.
    work : ``Out(work_signature)``
        What the beat multiplies.
    idle : ``Out(1)``
        No sample is worked on.
    events : ``Out(event_signature)``
        What is being done, and what has been completed.

    Timing
    ------
    One cycle to jump to a program, one to load an instruction, one a beat; waits as :class:`fregen.plan.CycleModel`
    has them.  After reset: idle, with no sample in the batch.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        super().__init__(
            {
                "sample": In(sample_signature(sizes)),
                "mask": Out(mask_signature(sizes)),
                "hold": In(1),
                "changed": In(1),
                "clear": Out(1),
                "rate": In(RATE_WIDTH),
                "emit": Out(1),
                "emit_ready": In(1),
                "beat": Out(beat_layout(sizes)),
                "list_index": Out(sizes.input_bits),
                "work": Out(work_signature(sizes)),
                "idle": Out(1),
                "events": Out(event_signature()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sizes, sample, events = self.sizes, self.sample, self.events
        m.submodules.fetch = fetch = named("fetch", FetchUnit(sizes.schedule))
        m.submodules.choice = choice = named("choice", ChoiceUnit(sizes.schedule))
        m.submodules.walk = walk = named("walk", WalkUnit(sizes))
        m.submodules.scan = scan = named("scan", ScanUnit(sizes))
        m.submodules.issue = issue = named("issue", IssueUnit(sizes))
        m.submodules.beats = beats = named("beats", BeatUnit(sizes))
        slots = Signal(sizes.memory.slots, name="batch")
        working = Signal()
        wiring.connect(m, scan.mask, wiring.flipped(self.mask))
        wiring.connect(m, beats.work, wiring.flipped(self.work))
        m.d.comb += [
            *(unit.instruction.eq(fetch.instruction) for unit in (walk, scan, issue, beats)),
            *(unit.clear.eq(fetch.load) for unit in (walk, scan)),
            fetch.jump.eq(choice.begin | choice.learn_batch | choice.advance),
            fetch.program.eq(choice.program),
            choice.changed.eq(self.changed),
            choice.learns.eq(sample.learn),
            walk.nonzero.eq(sample.nonzero),
            scan.active.eq(slots),
            issue.position.eq(walk.o),
            beats.position.eq(walk.o),
            beats.element.eq(scan.o),
            beats.slot.eq(sample.slot),
            beats.has_input.eq(sample.nonzero != 0),
            beats.rate.eq(self.rate),
            self.beat.eq(beats.o),
            self.list_index.eq(walk.o.index),
            sample.busy.eq(slots | Mux(working, 1 << sample.slot, 0)),
            events.phase.eq(choice.phase),
        ]
        self._control(m, fetch, choice, walk, scan, issue, beats, slots, working)
        return m

    def _control(
        self,
        m: Module,
        fetch: FetchUnit,
        choice: ChoiceUnit,
        walk: WalkUnit,
        scan: ScanUnit,
        issue: IssueUnit,
        beats: BeatUnit,
        batch: Signal,
        working: Signal,
    ) -> None:
        """All states."""
        sample, events, most = self.sample, self.events, self.sizes.memory.slots - 1

        def after_instruction() -> None:
            with m.If(issue.finish & fetch.instruction.end):
                m.next = "SETTLE"
            with m.Elif(issue.finish):
                m.next = "LOAD"

        with m.FSM(name="control"):
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(1)
                with m.If(sample.loaded & ~self.hold):
                    m.d.comb += [sample.take.eq(1), choice.begin.eq(1)]
                    m.d.sync += working.eq(1)
                    m.next = "JUMP"

            with m.State("JUMP"):
                m.d.comb += [events.busy.eq(1), self.clear.eq(1)]
                m.next = "LOAD"

            with m.State("LOAD"):
                m.d.comb += [events.busy.eq(1), fetch.load.eq(1)]
                with m.If(fetch.fetched.op == Op.UPDATE):
                    m.next = "LEARN"
                with m.Else():
                    m.next = "RUN"

            with m.State("RUN"):
                m.d.comb += [events.busy.eq(1), walk.step.eq(issue.may_issue), beats.issue.eq(issue.may_issue)]
                m.d.comb += issue.finish.eq(issue.may_issue & walk.o.is_last)
                after_instruction()

            with m.State("LEARN"):
                m.d.comb += [events.busy.eq(1), scan.run.eq(1), beats.issue.eq(scan.o.valid)]
                m.d.comb += issue.finish.eq(scan.done)
                after_instruction()

            with m.State("SETTLE"):
                m.d.comb += events.busy.eq(1)
                with m.If(issue.settled):
                    m.d.comb += [
                        events.free_step.eq(choice.is_free),
                        events.nudged_step.eq(choice.is_nudged),
                        events.update.eq(choice.is_update),
                    ]
                    with m.If(choice.goes_on):
                        m.d.comb += choice.advance.eq(1)
                        m.next = "JUMP"
                    with m.Elif(choice.is_readout):
                        m.next = "EMIT"
                    with m.Elif(choice.is_update):
                        m.d.sync += batch.eq(0)
                        m.next = "IDLE"
                    with m.Else():
                        m.d.sync += [batch.eq(batch | (1 << sample.slot)[: len(batch)]), working.eq(0)]
                        m.next = "BATCH"

            with m.State("EMIT"):
                m.d.comb += self.emit.eq(1)
                with m.If(self.emit_ready):
                    m.d.comb += events.sample.eq(1)
                    with m.If(choice.running == Program.PREDICT):
                        m.d.sync += working.eq(0)
                        m.next = "IDLE"
                    with m.Else():
                        m.d.comb += choice.advance.eq(1)
                        m.next = "JUMP"

            with m.State("BATCH"):
                with m.If((popcount(batch) == most) | sample.close):
                    m.d.comb += choice.learn_batch.eq(1)
                    m.next = "JUMP"
                with m.Else():
                    m.next = "IDLE"
