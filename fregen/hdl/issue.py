"""When the last beat of a tile may be issued: its sums must find the chain empty, and the softmax unit free."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..plan import Drain
from .beat import Sizes
from .bits import bits
from .program import instruction_layout

__all__ = ["IssueUnit"]


class IssueUnit(wiring.Component):
    """Hold the last beat of a tile back.

    Parameters
    ----------
    sizes : Sizes
        Widths.

    Members
    -------
    instruction : ``In``
        The instruction that is worked on.
    is_last : ``In(1)``
        The beat that is to be issued is its last one.
    finish : ``In(1)``
        That beat is issued in this cycle.
    may_issue : ``Out(1)``
        Low while the tile before still drains; while another sample's errors are computed, if these logits want theirs
        too; and while words of the tile would be written together with errors.

    Timing
    ------
    Combinational from registers and from ``is_last``.  After reset nothing is waited for.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        super().__init__(
            {
                "instruction": In(instruction_layout(sizes.schedule)),
                "is_last": In(1),
                "finish": In(1),
                "may_issue": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        instruction, drains = self.instruction, self.instruction.drain != Drain.NONE
        draining = Signal(bits(self.sizes.lanes + 1))
        must_wait = draining != 0
        with m.If(self.finish & drains):
            m.d.sync += draining.eq(instruction.drain_cycles - 1)
        with m.Elif(draining != 0):
            m.d.sync += draining.eq(draining - 1)
        if self.sizes.contexts > 1:  # a sample alone waits for its own errors anyway
            must_wait |= self._meets_errors(m)
        m.d.comb += self.may_issue.eq(~(self.is_last & drains & must_wait))
        return m

    def _meets_errors(self, m: Module) -> Signal:
        """Whether a tile that drains now meets the errors of another sample, in the softmax unit or on their way."""
        sizes, instruction, pipeline = self.sizes, self.instruction, self.sizes.pipeline
        memory, classes = sizes.memory, sizes.spec.softmax.classes
        last_logits = memory.tile(classes, memory.groups(classes) - 1)
        begin = pipeline.errors_left(last_logits, classes)
        left = Signal(bits(begin + 1), name="errors_left")
        to_softmax = instruction.drain == Drain.SOFTMAX
        with m.If(self.finish & to_softmax & instruction.wants_error):
            m.d.sync += left.eq(begin)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        meets = Signal(name="meets_errors")
        with m.If(to_softmax):
            m.d.comb += meets.eq(instruction.wants_error & (left > begin - pipeline.softmax_wait(last_logits, classes)))
        with m.Else():
            after = pipeline.neuron + classes + instruction.drain_cycles
            m.d.comb += meets.eq((left > pipeline.neuron) & (left < after))
        return meets
