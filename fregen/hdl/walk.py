"""The position within a product or a move."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..plan import Feed, Op
from .beat import Sizes
from .program import instruction_layout

__all__ = ["WalkUnit", "position_layout"]


def position_layout(sizes: Sizes) -> data.StructLayout:
    """Where in its instruction a beat is.

    ``index``: word or row; ``rotate``, ``group``, ``row_offset``: of a ring; ``half``: which one of a difference.
    ``is_first``, ``is_last``: of the instruction's beats.  ``turned``: every lane has had every column of the tile.
    """
    return data.StructLayout(
        {
            "index": sizes.count_bits,
            "rotate": max(sizes.lane_bits, 1),
            "group": sizes.group_bits,
            "row_offset": sizes.weight_address,
            "half": 1,
            "is_first": 1,
            "is_last": 1,
            "turned": 1,
        }
    )


class WalkUnit(wiring.Component):
    """Walk through the beats of a product, a copy or a difference.

    Parameters
    ----------
    sizes : Sizes
        Widths.

    Members
    -------
    instruction : ``In``
        What is walked through.
    nonzero : ``In``
        Nonzero words of the sample.
    clear : ``In(1)``
        Begin anew in the next cycle.
    step : ``In(1)``
        The beat has been issued.
    o : ``Out``
        Position of the beat to be issued: see :func:`position_layout`.

    Timing
    ------
    A beat a cycle.  After reset: at the first beat.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        super().__init__(
            {
                "instruction": In(instruction_layout(sizes.schedule)),
                "nonzero": In(sizes.count_bits),
                "clear": In(1),
                "step": In(1),
                "o": Out(position_layout(sizes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        o, instruction = self.o, self.instruction
        is_product, is_difference = instruction.op == Op.PRODUCT, instruction.op == Op.DIFFERENCE
        is_ring = is_product & (instruction.feed == Feed.RING)

        count = Signal.like(o.index)
        m.d.comb += count.eq(instruction.count)
        with m.If(is_product & (instruction.feed == Feed.INPUT)):
            m.d.comb += count.eq(Mux(self.nonzero == 0, 1, self.nonzero))
        with m.Elif(is_product & (instruction.feed == Feed.NOTHING)):
            m.d.comb += count.eq(1)

        # A part of `o` that is a register cannot lie in one signal with a part that is not.
        index = Signal.like(o.index)
        rotate = Signal.like(o.rotate)
        half = Signal()
        group = Signal.like(o.group)
        row_offset = Signal.like(o.row_offset)
        turned, all_words = rotate == self.sizes.lanes - 1, index == count - 1
        m.d.comb += [
            o.index.eq(index),
            o.rotate.eq(rotate),
            o.half.eq(half),
            o.group.eq(group),
            o.row_offset.eq(row_offset),
            o.turned.eq(turned),
            o.is_first.eq((index == 0) & (rotate == 0) & (group == 0) & ~half),
            o.is_last.eq(Mux(is_ring, (group == instruction.groups - 1) & turned, all_words & (half | ~is_difference))),
        ]
        with m.If(self.step):
            with m.If(is_difference):
                m.d.sync += [half.eq(~half), index.eq(index + half)]
            with m.Elif(~is_ring):
                m.d.sync += index.eq(index + 1)
            with m.Elif(turned):
                m.d.sync += [rotate.eq(0), group.eq(group + 1), row_offset.eq(row_offset + instruction.stride)]
            with m.Else():
                m.d.sync += rotate.eq(rotate + 1)
        with m.If(self.clear):
            m.d.sync += [index.eq(0), rotate.eq(0), group.eq(0), row_offset.eq(0), half.eq(0)]
        return m
