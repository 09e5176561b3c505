"""The walk of an update: columns that some sample feeds, their row groups, the samples that feed them."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..plan import Feed
from .beat import Sizes
from .links import mask_signature
from .program import instruction_layout

__all__ = ["ScanUnit", "element_layout"]


def element_layout(sizes: Sizes) -> data.StructLayout:
    """Which product of an update a beat makes.

    While ``valid``: ``column``, row ``group`` and ``row_offset`` of its weights, ``slot`` of the sample; ``is_first``,
    ``is_last``: of the samples that feed the column.
    """
    return data.StructLayout(
        {
            "valid": 1,
            "column": sizes.count_bits,
            "group": sizes.group_bits,
            "row_offset": sizes.weight_address,
            "slot": sizes.slot_bits,
            "is_first": 1,
            "is_last": 1,
        }
    )


class ScanUnit(wiring.Component):
    """Look for the next column while the one before is worked on: one a cycle, so that only gaps cost time.

    Parameters
    ----------
    sizes : Sizes
        Widths.

    Members
    -------
    instruction : ``In``
        The update.
    active : ``In``
        Slots of the batch, one bit each.
    clear : ``In(1)``
        Begin anew in the next cycle.
    run : ``In(1)``
        Go on; a beat a cycle while ``o.valid``.
    mask : ``Out(mask_signature)``
        Which slots feed a column of the input.
    o : ``Out``
        The beat: see :func:`element_layout`.
    done : ``Out(1)``
        With ``run``: the last cycle of the update.

    Timing
    ------
    The first column's beat comes one cycle after the first ``run``.  After reset as after ``clear``.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        super().__init__(
            {
                "instruction": In(instruction_layout(sizes.schedule)),
                "active": In(sizes.memory.slots),
                "clear": In(1),
                "run": In(1),
                "mask": Out(mask_signature(sizes)),
                "o": Out(element_layout(sizes)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        o, instruction, slots = self.o, self.instruction, self.sizes.memory.slots
        valid = Signal()
        column = Signal.like(o.column)
        ahead = Signal.like(o.column)
        group = Signal.like(o.group)
        row_offset = Signal.like(o.row_offset)

        # Samples of the column, and those of them that are still to come in this row group.
        samples, remaining, after, found = (Signal(slots, name=f"{name}_slots") for name in _SETS)
        m.d.comb += [
            after.eq(remaining & (remaining - 1)[:slots]),
            found.eq(self.active & Mux(instruction.feed == Feed.INPUT, self.mask.slots, (1 << slots) - 1)),
        ]
        for k in reversed(range(slots)):
            with m.If(remaining[k]):
                m.d.comb += o.slot.eq(k)
        is_last_group, is_last = group == instruction.groups - 1, after == 0
        m.d.comb += [
            o.valid.eq(valid),
            o.column.eq(column),
            o.group.eq(group),
            o.row_offset.eq(row_offset),
            o.is_first.eq(remaining == samples),
            o.is_last.eq(is_last),
        ]

        takes = Signal()
        scanned = ahead == instruction.count
        advance = Signal()
        m.d.comb += [
            takes.eq(self.run & (~valid | (is_last & is_last_group))),
            self.done.eq(takes & scanned),
            advance.eq(self.run & ~scanned & (takes | (found == 0))),
            self.mask.index.eq(Mux(self.clear, 0, ahead + advance)),
        ]
        with m.If(self.run & valid):
            with m.If(~is_last):
                m.d.sync += remaining.eq(after)
            with m.Elif(~is_last_group):
                m.d.sync += [remaining.eq(samples), group.eq(group + 1), row_offset.eq(row_offset + instruction.stride)]
        with m.If(takes):
            m.d.sync += [valid.eq((found != 0) & ~scanned), column.eq(ahead), group.eq(0), row_offset.eq(0)]
            m.d.sync += [remaining.eq(found), samples.eq(found)]
        m.d.sync += ahead.eq(ahead + advance)
        with m.If(self.clear):
            m.d.sync += [ahead.eq(0), valid.eq(0)]
        return m


_SETS = ("samples", "remaining", "after", "found")
