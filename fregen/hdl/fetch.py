"""The program memory of a sample in flight: one instruction after the other."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..plan import Program, Schedule
from .bits import bits
from .families import family_of
from .program import instruction_layout, instruction_words

__all__ = ["FetchUnit"]


class FetchUnit(wiring.Component):
    """Hold all programs of a schedule, and a place in one of them.

    Parameters
    ----------
    schedule : Schedule
        The programs.

    Members
    -------
    jump, program : ``In``
        Go to the first instruction of a program.
    load : ``In(1)``
        Go on to the next instruction.
    valid, fetched : ``Out(1)``, ``Out``
        The instruction (:func:`fregen.hdl.program.instruction_layout`) is there.

    Timing
    ------
    ``fetched`` is there two cycles after ``jump`` or ``load``.  After reset: the first program's first instruction.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        layout = instruction_layout(schedule)
        super().__init__(
            {
                "jump": In(1),
                "program": In(Program),
                "load": In(1),
                "valid": Out(1),
                "fetched": Out(layout),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        schedule = self.schedule
        place = Signal(bits(len(schedule.instructions) + 1))
        words, width = instruction_words(schedule), self.fetched.shape().size
        m.d.comb += self.fetched.eq(family_of(platform).rom(m, "schedule", width, words, place))
        fetching = Signal()
        m.d.comb += self.valid.eq(~fetching)
        m.d.sync += fetching.eq(self.jump | self.load)
        with m.If(self.load):
            m.d.sync += place.eq(place + 1)
        with m.If(self.jump), m.Switch(self.program):
            for program in Program:
                with m.Case(program):
                    m.d.sync += place.eq(schedule.starts[program])
        return m
