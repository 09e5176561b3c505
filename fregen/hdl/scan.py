"""The walk of an update: columns that some sample feeds, their row groups, the samples that feed them."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..plan import Feed
from ..plan.beats import COLUMNS_AHEAD
from .beat import Sizes
from .bits import bits, popcount
from .delay import delayed, taps
from .links import mask_signature
from .program import instruction_layout
from .queue import queue

__all__ = ["ScanUnit", "element_layout"]


def element_layout(sizes: Sizes) -> data.StructLayout:
    """Which product of an update a beat makes.

    While ``valid``: ``column``, row ``group``, ``row_base`` (address of its first weight), ``slot`` of the sample;
    ``is_first``, ``is_last``: of the samples that feed the column.
    """
    return data.StructLayout(
        {
            "valid": 1,
            "column": sizes.count_bits,
            "group": sizes.group_bits,
            "row_base": sizes.weight_address,
            "slot": sizes.slot_bits,
            "is_first": 1,
            "is_last": 1,
        }
    )


class ScanUnit(wiring.Component):
    """Look for the columns to come while one is worked on: one a cycle, so that only long gaps cost time.

    Columns are asked for one after the other, without waiting for what they hold; those that some sample feeds wait in
    a queue of :data:`~fregen.plan.beats.COLUMNS_AHEAD` columns, asked ones included.

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
        Begin anew in the next cycle; an update that has begun has been finished.
    run : ``In(1)``
        Go on; a beat a cycle while ``o.valid``.
    mask : ``Out(mask_signature)``
        Which slots feed a column of the input, ``pipeline.steer`` cycles after its index.
    o : ``Out``
        The beat: see :func:`element_layout`.
    done : ``Out(1)``
        With ``run``: the last cycle of the update.

    Timing
    ------
    The first column's beat comes ``pipeline.scan + pipeline.element + 2`` cycles after the first ``run`` (portable: 3).
    After reset as after ``clear``.
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
        sizes, instruction, slots = self.sizes, self.instruction, self.sizes.memory.slots
        element = Signal.like(self.o, name="element")
        valid = Signal()
        # Not reset: they count only while `valid`.
        is_last, is_last_group, is_single, is_first = (Signal(name=name, reset_less=True) for name in _FLAGS)
        slot = Signal.like(self.o.slot)
        group = Signal.like(self.o.group, reset_less=True)
        row_base = Signal.like(self.o.row_base, reset_less=True)
        takes = Signal()
        over = Signal()
        column = Signal(_column_layout(sizes), reset_less=True)
        found, has_found = self._look(m, takes, over)

        # Samples that are still to come in this row group, and how many.
        remaining = Signal(slots, reset_less=True)
        left = Signal.like(column.left, reset_less=True)
        m.d.comb += [
            element.valid.eq(valid),
            element.column.eq(column.number),
            element.group.eq(group),
            element.row_base.eq(row_base),
            element.is_first.eq(is_first),
            element.is_last.eq(is_last),
            element.slot.eq(slot),  # what is chosen step by step cannot lie in one signal with what is not
        ]
        for k in reversed(range(slots)):
            with m.If(remaining[k]):
                m.d.comb += slot.eq(k)
        m.d.comb += takes.eq(self.run & (~valid | (is_last & is_last_group)))
        with m.If(takes):
            m.d.sync += [valid.eq(has_found), column.eq(found), remaining.eq(found.slots), left.eq(found.left)]
            m.d.sync += [is_single.eq(found.is_single), is_last.eq(found.is_single), is_first.eq(1)]
            m.d.sync += [group.eq(0), row_base.eq(instruction.weight), is_last_group.eq(instruction.groups == 1)]
        with m.Elif(self.run & ~is_last):
            m.d.sync += [remaining.eq(remaining & (remaining - 1)[:slots]), left.eq(left - 1)]
            m.d.sync += [is_last.eq(left == 2), is_first.eq(0)]
        with m.Elif(self.run):
            m.d.sync += [remaining.eq(column.slots), left.eq(column.left), is_last.eq(is_single)]
            m.d.sync += [is_first.eq(1), is_last_group.eq(group == instruction.groups - 2)]
            m.d.sync += [group.eq(group + 1), row_base.eq(row_base + instruction.stride)]
        with m.If(self.clear):
            m.d.sync += valid.eq(0)

        late, done = element, takes & over
        for k in range(sizes.pipeline.element):
            before, late = late, Signal.like(self.o, name=f"element_{k + 1}")
            ended, done = done, Signal(name=f"done_{k + 1}")
            m.d.sync += [late.eq(before), done.eq(ended)]
            with m.If(self.clear):
                m.d.sync += [late.valid.eq(0), done.eq(0)]
        m.d.comb += [self.o.eq(late), self.done.eq(done)]
        return m

    def _look(self, m: Module, takes: Value, over: Signal) -> tuple[data.View, Value]:
        """Ask for column after column; return the next one that a sample feeds, and whether there is one."""
        sizes, pipeline, instruction, slots = self.sizes, self.sizes.pipeline, self.instruction, self.sizes.memory.slots
        number = Signal(sizes.count_bits)
        asked = Signal(range(COLUMNS_AHEAD + 1))
        asks = Signal()
        is_all = Signal()
        m.d.comb += [
            asks.eq(self.run & ~is_all & (asked != COLUMNS_AHEAD)),
            self.mask.index.eq(number),
            over.eq(is_all & (asked == 0)),
        ]
        with m.If(asks):
            m.d.sync += [number.eq(number + 1), is_all.eq(number + 1 == instruction.count)]

        # What the column holds, and how many samples that are.
        late = pipeline.scan - pipeline.steer
        known = self.active & Mux(instruction.feed == Feed.INPUT, self.mask.slots, (1 << slots) - 1)
        known, late = taps(m, known, late, "known"), min(late, 1)
        before = known[-1 - late]
        is_known = delayed(m, asks, pipeline.scan, "is_known")
        answer = Signal(_column_layout(sizes))
        is_fed = delayed(m, before.any(), late, "is_fed")
        found, has_found = queue(m, "queue", answer, COLUMNS_AHEAD, is_known & is_fed, takes)
        m.d.comb += [
            answer.is_single.eq(answer.left == 1),
            answer.number.eq(delayed(m, number, pipeline.scan, "asked_number")),
            answer.slots.eq(known[-1]),
            answer.left.eq(delayed(m, popcount(before), late, "counted")),
        ]
        m.d.sync += asked.eq(asked + asks - (is_known & ~is_fed) - delayed(m, takes & has_found, 1, "taken"))
        with m.If(self.clear):
            m.d.sync += [number.eq(0), is_all.eq(0)]
        return found, has_found


def _column_layout(sizes: Sizes) -> data.StructLayout:
    """Lay out a column that some sample feeds: ``number``, the ``slots`` that feed it, how many (``left``), if one."""
    slots = sizes.memory.slots
    return data.StructLayout({"number": sizes.count_bits, "slots": slots, "left": bits(slots + 1), "is_single": 1})


_FLAGS = ("is_last", "is_last_group", "is_single", "is_first")
