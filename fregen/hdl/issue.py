"""When a beat may be issued: the waits that the schedule asks for."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..plan import Drain
from .beat import Sizes
from .bits import bits
from .program import instruction_layout
from .walk import position_layout

__all__ = ["IssueUnit"]


class IssueUnit(wiring.Component):
    """Count down what instructions wait for.

    Parameters
    ----------
    sizes : Sizes
        Widths.

    Members
    -------
    instruction : ``In``
        The instruction that is worked on.
    position : ``In``
        Of the beat that is to be issued (:func:`fregen.hdl.walk.position_layout`).
    finish : ``In(1)``
        This is the last cycle of the instruction: results are there ``wait`` cycles after the next one.
    may_issue : ``Out(1)``
        A ``sync`` holds the first beat back until all results are there; the last beat of a tile waits until the tile
        before has drained.
    settled : ``Out(1)``
        All results are there.

    Timing
    ------
    Outputs are combinational from registers and from ``position``.  After reset nothing is waited for.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        super().__init__(
            {
                "instruction": In(instruction_layout(sizes.schedule)),
                "position": In(position_layout(sizes)),
                "finish": In(1),
                "may_issue": Out(1),
                "settled": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        instruction = self.instruction
        pending = Signal(bits(max(instruction.wait for instruction in self.sizes.schedule.instructions) + 1))
        draining = Signal(bits(self.sizes.lanes + 1))
        drains = instruction.drain != Drain.NONE
        m.d.comb += [
            self.settled.eq(pending == 0),
            self.may_issue.eq(
                ~(self.position.is_first & instruction.sync & ~self.settled)
                & ~(self.position.is_last & drains & (draining != 0))
            ),
        ]
        with m.If(self.finish & (instruction.wait >= pending)):
            m.d.sync += pending.eq(instruction.wait)
        with m.Elif(pending != 0):
            m.d.sync += pending.eq(pending - 1)
        with m.If(self.finish & drains):
            m.d.sync += draining.eq(instruction.drain_count - 1)
        with m.Elif(draining != 0):
            m.d.sync += draining.eq(draining - 1)
        return m
