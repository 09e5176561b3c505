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

    ``index``: word or row; ``rotate``, ``group``, ``row_base``: of a ring, with its first
    weight; ``half``: which one of a difference.
    ``is_first``, ``is_last``: of the instruction's beats.  ``turned``: every lane has had every column of the tile.
    """
    return data.StructLayout(
        {
            "index": sizes.count_bits,
            "rotate": max(sizes.lane_bits, 1),
            "group": sizes.group_bits,
            "row_base": sizes.weight_address,
            "half": 1,
            "is_first": 1,
            "is_last": 1,
            "turned": 1,
        }
    )


class WalkUnit(wiring.Component):
    """Walk through the beats of a product, a copy or a difference.

    What a position is to be is known when the walk gets there: all of ``o`` are registers.

    Parameters
    ----------
    sizes : Sizes
        Widths.

    Members
    -------
    instruction : ``In``
        What is walked through.
    next, nonzero : ``In``
        With ``clear``: the instruction that begins, and the nonzero words of its sample.
    clear : ``In(1)``
        Begin anew in the next cycle.
    step : ``In(1)``
        The beat has been issued.
    o : ``Out``
        Position of the beat to be issued: see :func:`position_layout`.

    Timing
    ------
    A beat a cycle.  After reset: at no beat, until the first ``clear``.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        instruction = instruction_layout(sizes.schedule)
        super().__init__(
            {
                "instruction": In(instruction),
                "next": In(instruction),
                "nonzero": In(sizes.count_bits),
                "clear": In(1),
                "step": In(1),
                "o": Out(position_layout(sizes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        o, instruction, following, lanes = self.o, self.instruction, self.next, self.sizes.lanes
        is_product, is_difference = instruction.op == Op.PRODUCT, instruction.op == Op.DIFFERENCE
        is_ring = is_product & (instruction.feed == Feed.RING)

        # Registers of their own: parts of `o` would be one signal.  Not reset: a walk begins with a clear.
        index = Signal.like(o.index, reset_less=True)
        last_index = Signal.like(o.index, reset_less=True)
        rotate = Signal.like(o.rotate, reset_less=True)
        group = Signal.like(o.group, reset_less=True)
        row_base = Signal.like(o.row_base, reset_less=True)
        half, turned, is_first, is_last, is_last_group = (Signal(name=name, reset_less=True) for name in _FLAGS)
        m.d.comb += [
            o.index.eq(index),
            o.rotate.eq(rotate),
            o.half.eq(half),
            o.group.eq(group),
            o.row_base.eq(row_base),
            o.turned.eq(turned),
            o.is_first.eq(is_first),
            o.is_last.eq(is_last),
        ]
        with m.If(self.step):
            m.d.sync += is_first.eq(0)
            with m.If(is_difference):
                m.d.sync += [half.eq(~half), index.eq(index + half), is_last.eq(~half & (index == last_index))]
            with m.Elif(~is_ring):
                m.d.sync += [index.eq(index + 1), is_last.eq(index + 1 == last_index)]
            with m.Elif(turned):
                ends = group == instruction.groups - 2
                m.d.sync += [rotate.eq(0), turned.eq(lanes == 1), is_last.eq(ends if lanes == 1 else 0)]
                m.d.sync += [is_last_group.eq(ends), group.eq(group + 1), row_base.eq(row_base + instruction.stride)]
            with m.Else():
                m.d.sync += [rotate.eq(rotate + 1), turned.eq(rotate == lanes - 2)]
                m.d.sync += is_last.eq((rotate == lanes - 2) & is_last_group)

        count = Signal.like(o.index)
        follows_product = following.op == Op.PRODUCT
        m.d.comb += count.eq(following.count)
        with m.If(follows_product & (following.feed == Feed.INPUT)):
            m.d.comb += count.eq(Mux(self.nonzero == 0, 1, self.nonzero))
        with m.Elif(follows_product & (following.feed == Feed.NOTHING)):
            m.d.comb += count.eq(1)
        with m.If(self.clear):
            m.d.sync += [index.eq(0), last_index.eq(count - 1), rotate.eq(0), group.eq(0), half.eq(0)]
            m.d.sync += [row_base.eq(following.weight), is_first.eq(1), turned.eq(lanes == 1)]
            m.d.sync += is_last_group.eq(following.groups == 1)
            with m.If(following.op == Op.DIFFERENCE):
                m.d.sync += is_last.eq(0)
            with m.Elif(follows_product & (following.feed == Feed.RING)):
                m.d.sync += is_last.eq(following.groups == 1 if lanes == 1 else 0)
            with m.Else():
                m.d.sync += is_last.eq(count == 1)
        return m


_FLAGS = ("half", "turned", "is_first", "is_last", "is_last_group")
