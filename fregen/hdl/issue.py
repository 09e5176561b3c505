"""When the last beat of a tile may be issued: its sums must find the chain empty, and the softmax unit free."""

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
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
    next, begins : ``In``, ``In(1)``
        The instruction that is worked on from the next cycle on, with ``begins``.
    is_last : ``In(1)``
        The beat that is to be issued is its last one.
    finish : ``In(1)``
        That beat is issued in this cycle.
    may_issue : ``Out(1)``
        The next beat may be issued.
    may_end : ``Out(1)``
        The last one may be issued.  Low while the tile before still drains; while another sample's errors are computed,
        if these logits want theirs too; and while words of the tile would be written together with errors.

    Timing
    ------
    ``may_end`` is a register; ``may_issue`` is combinational from it and from ``is_last``.  After reset nothing is
    waited for.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        super().__init__(
            {
                "instruction": In(instruction_layout(sizes.schedule)),
                "next": In(instruction_layout(sizes.schedule)),
                "begins": In(1),
                "is_last": In(1),
                "finish": In(1),
                "may_issue": Out(1),
                "may_end": Out(1, init=1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        instruction = self.instruction
        drains = Signal()
        draining = Signal(bits(self.sizes.lanes + 1))
        is_draining = Signal()
        # All of it as it will be in the next cycle.
        will_drain = Signal()
        chain_busy = Signal()
        meets = Signal()
        m.d.comb += will_drain.eq(Mux(self.begins, self.next.drain != Drain.NONE, drains))
        with m.If(self.finish & drains):
            m.d.comb += chain_busy.eq(instruction.drain_cycles != 1)
            m.d.sync += draining.eq(instruction.drain_cycles - 1)
        with m.Elif(is_draining):
            m.d.comb += chain_busy.eq(draining != 1)
            m.d.sync += draining.eq(draining - 1)
        if self.sizes.contexts > 1:  # a sample alone waits for its own errors anyway
            self._meets_errors(m, meets)
        m.d.sync += [
            drains.eq(will_drain),
            is_draining.eq(chain_busy),
            self.may_end.eq(~(will_drain & (chain_busy | meets))),
        ]
        m.d.comb += self.may_issue.eq(~self.is_last | self.may_end)
        return m

    def _meets_errors(self, m: Module, meets: Signal) -> None:
        """Whether a tile that drains in the next cycle meets errors of another sample, in the softmax unit or after it.

        It is decided of the instruction that is then worked on.
        """
        sizes, instruction, pipeline = self.sizes, self.instruction, self.sizes.pipeline
        memory, classes, neuron = sizes.memory, sizes.spec.softmax.classes, pipeline.neuron
        last_logits = memory.tile(classes, memory.groups(classes) - 1)
        begin = pipeline.errors_left(last_logits, classes)
        wait = pipeline.softmax_wait(last_logits, classes)
        left = Signal(bits(begin + 1), name="errors_left")

        def met(asked: data.View) -> Value:
            """Whether an instruction meets errors in the next cycle."""
            logits = asked.wants_error & (left > begin - wait + 1)
            words = (left > neuron + 1) & (left < neuron + 1 + classes + asked.drain_cycles)
            return Mux(asked.drain == Drain.SOFTMAX, logits, words)

        def met_at_first(asked: data.View) -> Value:
            """As ``met``, where errors begin in the next cycle: words meet them only where they take long to drain."""
            longest = begin - neuron - classes
            most = (1 << len(asked.drain_cycles)) - 1
            words = asked.drain_cycles > longest if longest < most else Const(0)
            return Mux(asked.drain == Drain.SOFTMAX, asked.wants_error, words)

        m.d.comb += meets.eq(Mux(self.begins, met(self.next), met(instruction)))
        with m.If(self.finish & (instruction.drain == Drain.SOFTMAX) & instruction.wants_error):
            m.d.comb += meets.eq(met_at_first(self.next))
            m.d.sync += left.eq(begin)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
