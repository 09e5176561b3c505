"""From an instruction and a position in it to a beat."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..design.document import RATE_WIDTH
from ..plan import Drain, Feed, Op, Plane, Start, Store
from .beat import Sizes, beat_layout
from .links import work_signature
from .program import instruction_layout
from .scan import element_layout
from .walk import position_layout

__all__ = ["BeatUnit"]


class BeatUnit(wiring.Component):
    """Fill in a beat.

    Parameters
    ----------
    sizes : Sizes
        Widths.

    Members
    -------
    instruction : ``In``
        The instruction.
    issue : ``In(1)``
        The beat is issued in this cycle.
    position, element : ``In``
        Where in it: for products and moves (:func:`fregen.hdl.walk.position_layout`), for updates
        (:func:`fregen.hdl.scan.element_layout`).
    context, slot, has_input : ``In``
        Which sample in flight it is for; where that lies; whether any of its words is not zero.
    rate : ``In``
        k of the learning rate ``2**-k``.
    o : ``Out``
        The beat: see :func:`fregen.hdl.beat.beat_layout`.
    work : ``Out(work_signature)``
        What it multiplies.

    Timing
    ------
    Combinational.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        super().__init__(
            {
                "instruction": In(instruction_layout(sizes.schedule)),
                "issue": In(1),
                "position": In(position_layout(sizes)),
                "element": In(element_layout(sizes)),
                "context": In(max(sizes.context_bits, 1)),
                "slot": In(sizes.slot_bits),
                "has_input": In(1),
                "rate": In(RATE_WIDTH),
                "o": Out(beat_layout(sizes)),
                "work": Out(work_signature(sizes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sizes, o, instruction, position, element = self.sizes, self.o, self.instruction, self.position, self.element
        is_product, is_update, moves = (
            instruction.op == Op.PRODUCT,
            instruction.op == Op.UPDATE,
            instruction.op == Op.DIFFERENCE,
        )
        group, is_last = Mux(is_update, element.group, position.group), self.issue & is_product & position.is_last
        is_ring = is_product & (instruction.feed == Feed.RING)
        is_first = is_product & position.is_first
        # Not read from `o`: simulators would see a loop through the whole of it.
        valid = Signal()
        is_null = Signal()
        m.d.comb += [
            valid.eq(self.issue & (is_product | is_update)),
            is_null.eq(
                is_product & ((instruction.feed == Feed.NOTHING) | ((instruction.feed == Feed.INPUT) & ~self.has_input))
            ),
        ]
        self._addresses(m, group, valid)
        m.d.comb += [
            o.valid.eq(valid),
            o.update.eq(is_update),
            o.ring.eq(is_ring),
            o.context.eq(self.context),
            o.drive.eq(Cat(self._local_drive(), self.context[: sizes.context_bits])),
            o.move.copy.eq(self.issue & (instruction.op == Op.COPY)),
            o.move.keep.eq(self.issue & moves & ~position.half),
            o.move.subtract.eq(self.issue & moves & position.half),
            o.move.to_offsets.eq(instruction.store == Store.OFFSETS),
            o.align.shift.eq(instruction.shift),
            o.add.clear.eq((is_update & element.is_first) | (is_first & (instruction.start == Start.CLEAR))),
            o.add.load.eq(is_first & (instruction.start == Start.LOAD)),
            o.total.save.eq(is_last & instruction.save),
            o.total.sigma.eq(instruction.sigma + self.rate),
            o.dither.column.eq(instruction.column + element.column),
            o.dither.group.eq(group),
            o.learn.last.eq(is_update & element.is_last),
            o.tile.drain.eq(Mux(is_last, instruction.drain, Drain.NONE)),
            o.tile.drain_count.eq(instruction.drain_count),
            o.tile.neuron.eq(instruction.neuron),
            o.tile.first.eq(instruction.first),
            o.tile.wants_error.eq(instruction.wants_error),
            o.operands.null.eq(is_null),
            self.work.valid.eq(valid & ~is_null),
            self.work.ring.eq(is_ring),
            self.work.turned.eq(position.turned),
            self.work.columns.eq(Mux(is_ring, instruction.last_columns, sizes.lanes)),
            self.work.rows.eq(
                Mux((is_ring | is_update) & (group != instruction.groups - 1), sizes.lanes, instruction.last_rows)
            ),
        ]
        return m

    def _addresses(self, m: Module, group: Value, valid: Value) -> None:
        """Fill in addresses, and which words they are of."""
        sizes, o, instruction, position, element = self.sizes, self.o, self.instruction, self.position, self.element
        is_product, is_update = instruction.op == Op.PRODUCT, instruction.op == Op.UPDATE
        from_input = instruction.feed == Feed.INPUT
        columns_in_states = instruction.store == Store.STATES
        slot = Signal.like(self.slot)
        word = Signal.like(position.index)
        m.d.comb += [
            slot.eq(Mux(is_update, element.slot, self.slot)),
            word.eq(Mux(is_update, element.column, position.index)),
        ]

        # Operands: of a difference first the nudged states, then the slot's.
        broadcast = instruction.vector + (word >> sizes.lane_bits)
        operand = Mux(instruction.feed == Feed.RING, instruction.vector + group, broadcast)
        nudged = (instruction.op == Op.DIFFERENCE) & ~position.half
        plane = Mux(nudged, self._own(sizes.memory.scratch_plane), self._plane(instruction.plane, slot))
        vector = self._address(m, "vector", Mux(is_update | is_product, operand, position.index), plane)
        rows = self._address(m, "rows", instruction.rows + group, slot)
        row_base = Mux(is_update, element.row_base, position.row_base)
        weight = row_base + Mux(is_update | (instruction.feed == Feed.BROADCAST), word, 0)
        target = Mux(is_product, instruction.target, position.index)
        m.d.comb += [
            o.weight.eq(Mux(valid, weight, 0)),  # no memory is read beyond its end
            o.target.eq(self._address(m, "target", target, self._plane(instruction.target_plane, self.slot))),
            o.memory.rotate.eq(position.rotate),
            o.memory.from_list.eq(valid & is_product & from_input),
            # An instruction that is no update has no rows: what it reads beside its operand goes nowhere.
            o.memory.state.eq(Mux(columns_in_states, vector, rows)),
            o.memory.offset.eq(Mux(columns_in_states, rows, vector)),
            o.memory.slot.eq(slot),
            o.memory.index.eq(element.column),
            o.operands.select.eq(word[: sizes.lane_bits] if sizes.lane_bits else 0),
            o.operands.shared_is_offset.eq(~columns_in_states),
            o.operands.shared_is_input.eq(from_input),
            o.operands.own_is_offset.eq(Mux(is_update, columns_in_states, ~columns_in_states)),
        ]

    def _plane(self, which: Value, slot: Value) -> Value:
        """Return the number of a plane."""
        memory = self.sizes.memory
        own = Mux(which == Plane.SCRATCH, self._own(memory.scratch_plane), self._own(memory.next_plane))
        return Mux(which == Plane.SLOT, slot, own)[: self.sizes.plane_bits]

    def _own(self, first: int) -> Value:
        """Return the number of a plane that every sample in flight has, from the first one's."""
        return (self.context + first if self.sizes.context_bits else Const(first))[: self.sizes.plane_bits]

    def _local_drive(self) -> Value:
        """Return the drive's address among those of one sample."""
        width, drive = self.sizes.drive_bits - self.sizes.context_bits, self.instruction.drive
        return Cat(drive, Const(0, width))[:width]

    def _address(self, m: Module, name: str, local: Value, plane: Value) -> Value:
        """Join a local address and a plane."""
        low, high = (
            Signal(self.sizes.local_bits, name=f"{name}_local"),
            Signal(self.sizes.plane_bits, name=f"{name}_plane"),
        )
        m.d.comb += [low.eq(local), high.eq(plane)]
        return Cat(low, high)
