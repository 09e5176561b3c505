"""What follows a program."""

from amaranth.hdl import Array, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..plan import Program, Schedule
from ..plan.cycles import PHASE_OF, PHASES
from .bits import bits

__all__ = ["ChoiceUnit"]


class ChoiceUnit(wiring.Component):
    """Know which program runs, and choose the next one.

    Parameters
    ----------
    schedule : Schedule
        The programs: one that is empty is left out.

    Members
    -------
    begin, learn_batch, advance : ``In(1)``
        Run the first program of a sample; the update; the program that ``follows``.
    changed : ``In(1)``
        A word changed in the step that has ended.
    learns : ``In(1)``
        The sample is to be learnt.
    program : ``Out(Program)``
        The program that begins with ``begin``, ``learn_batch`` or ``advance``.
    running : ``Out(Program)``
        The program that runs.
    phase : ``Out``
        Its phase: number among ``plan.cycles.PHASES``.
    is_free, is_nudged, is_readout, is_update : ``Out(1)``
        What it is.
    goes_on : ``Out(1)``
        When it has ended, another one follows at once; else the sample is done, or the batch.

    Timing
    ------
    ``running`` changes in the cycle after.  After reset: the first free step.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        flags = ("is_free", "is_nudged", "is_readout", "is_update", "goes_on")
        super().__init__(
            {
                **dict.fromkeys(("begin", "learn_batch", "advance", "changed", "learns"), In(1)),
                "program": Out(Program),
                "running": Out(Program),
                "phase": Out(bits(len(PHASES))),
                **dict.fromkeys(flags, Out(1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        design, running = self.schedule.spec.design, self.running
        has_contrast = bool(self.schedule.programs[Program.CONTRAST])
        step = Signal(range(max(design.free_steps, design.nudged_steps) + 1))
        is_again = Signal()
        follows = Signal(Program)

        with m.Switch(running):
            with m.Case(Program.FREE_FIRST, Program.FREE_STEP):
                m.d.comb += [self.is_free.eq(1), self.goes_on.eq(1)]
                m.d.comb += is_again.eq(~self._settled(step, design.free_steps))
                readout = Mux(self.learns, Program.READOUT, Program.PREDICT)
                m.d.comb += follows.eq(Mux(is_again, Program.FREE_STEP, readout))
            with m.Case(Program.PREDICT, Program.READOUT):
                m.d.comb += [self.is_readout.eq(1), follows.eq(Program.NUDGED_FIRST)]
            with m.Case(Program.NUDGED_FIRST, Program.NUDGED_STEP):
                m.d.comb += is_again.eq(~self._settled(step, design.nudged_steps))
                m.d.comb += [self.is_nudged.eq(1), self.goes_on.eq(is_again | has_contrast)]
                m.d.comb += follows.eq(Mux(is_again, Program.NUDGED_STEP, Program.CONTRAST))
            with m.Case(Program.UPDATE):
                m.d.comb += self.is_update.eq(1)

        first = Mux(self.begin, Program.FREE_FIRST, Program.UPDATE)
        m.d.comb += [
            self.program.eq(Mux(self.begin | self.learn_batch, first, follows)),
            self.phase.eq(Array(PHASES.index(PHASE_OF[program]) for program in Program)[running]),
        ]
        with m.If(self.begin | self.learn_batch | self.advance):
            m.d.sync += [running.eq(self.program), step.eq(1)]
            with m.If(self.advance & is_again):
                m.d.sync += step.eq(step + 1)
        return m

    def _settled(self, step: Value, most: int) -> Value:
        """Whether a phase has ended after this step."""
        ended: Value = step == most
        return ended | ~self.changed if self.schedule.spec.design.learning.stop else ended
