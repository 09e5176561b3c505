"""The sequencer: walks the schedule and issues one beat a cycle.  Its cycle model is :mod:`fregen.plan.cycles`."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..plan import Drain, Feed, Op, Plane, Program, Start, Store
from ..plan.cycles import PHASE_OF, PHASES
from .beat import RATE_WIDTH, Sizes, beat_layout, bits
from .program import instruction_layout, instruction_words
from .rom import rom

__all__ = ["SequencerUnit"]


class SequencerUnit(wiring.Component):
    """Run samples through their phases, and batches through their update.

    Parameters
    ----------
    sizes : Sizes
        Widths, and the schedule.

    Members
    -------
    loaded, take : ``In(1)``, ``Out(1)``
        A sample waits; it is taken.
    hold : ``In(1)``
        Do not begin a sample (weights are being loaded or read).
    slot, learn, close, nonzero : ``In``
        Of the sample taken last.
    mask, mask_index : ``In``, ``Out``
        Slots in which an input is not zero; one cycle after the index.
    changed, clear : ``In(1)``, ``Out(1)``
        A word changed in this step; forget it.
    rate : ``In``
        k of the learning rate ``2**-k``; read while an update is issued.
    emit, emit_ready : ``Out(1)``, ``In(1)``
        The prediction of the sample is final; it may be handed over.
    beat : ``Out``
        See :func:`fregen.hdl.beat.beat_layout`; combinational from registers.
    list_index : ``Out``
        Nonzero word of the sample that the beat is about.
    busy_slots : ``Out``
        Slots that must not be filled.
    idle, phase, phase_busy : ``Out``
        No sample is worked on; what is being done, for the counters.
    free_step, nudged_step, update, sample : ``Out(1)``
        Something has been completed.
    turned : ``Out(1)``
        In the ring: every lane has had every column of the tile with this beat.

    Timing
    ------
    One cycle to jump to a program, one to load an instruction, one a beat; waits as :class:`fregen.plan.CycleModel`
    has them.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        slots = sizes.memory.slots
        super().__init__(
            {
                "loaded": In(1),
                "take": Out(1),
                "hold": In(1),
                "slot": In(sizes.slot_bits),
                "learn": In(1),
                "close": In(1),
                "nonzero": In(bits(sizes.memory.input_size + 1)),
                "mask": In(slots),
                "mask_index": Out(sizes.input_bits),
                "changed": In(1),
                "clear": Out(1),
                "rate": In(RATE_WIDTH),
                "emit": Out(1),
                "emit_ready": In(1),
                "beat": Out(beat_layout(sizes)),
                "list_index": Out(sizes.input_bits),
                "busy_slots": Out(slots),
                "idle": Out(1),
                "phase": Out(bits(len(PHASES))),
                "phase_busy": Out(1),
                "free_step": Out(1),
                "nudged_step": Out(1),
                "update": Out(1),
                "sample": Out(1),
                "turned": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sizes, schedule = self.sizes, self.sizes.schedule
        spec, slots, lane_bits = sizes.spec, sizes.memory.slots, sizes.lane_bits
        has_contrast = bool(schedule.programs[Program.CONTRAST])

        layout = instruction_layout(schedule)
        pc, line = Signal(bits(len(schedule.lines) + 1)), Signal(layout)
        fetched = rom(m, "schedule", layout, instruction_words(schedule), pc, platform)

        running, step = Signal(bits(len(Program))), Signal(8)
        active, working = Signal(slots), Signal()
        batch_full = Signal()
        m.d.comb += [
            self.busy_slots.eq(active | Mux(working, 1 << self.slot, 0)),
            batch_full.eq(active.all() if slots == 1 else _count(active) == slots - 1),
            self.phase.eq(Array(PHASES.index(PHASE_OF[p]) for p in Program)[running]),
        ]

        # What the schedule makes an instruction wait for.
        pending, draining = Signal(bits(max(line.wait for line in schedule.lines) + 1)), Signal(bits(sizes.lanes + 1))
        with m.If(pending != 0):
            m.d.sync += pending.eq(pending - 1)
        with m.If(draining != 0):
            m.d.sync += draining.eq(draining - 1)

        # Position within an instruction.
        index, rotate = (
            Signal(range(max(max(line.count for line in schedule.lines), sizes.memory.input_size) + 1)),
            Signal(max(lane_bits, 1)),
        )
        group, row_offset, half = Signal(sizes.group_bits), Signal(sizes.weight_address), Signal()
        remaining, element_mask, column = Signal(slots), Signal(slots), Signal.like(index)
        scan = Signal.like(index)
        is_product, is_update = line.op == Op.PRODUCT, line.op == Op.UPDATE
        is_ring = is_product & (line.feed == Feed.RING)
        from_list = is_product & (line.feed == Feed.INPUT)

        beat, issue, valid, final = self.beat, Signal(), Signal(), Signal()
        weight = self._address(m, line, index, group, rotate, row_offset, column, remaining, half)

        # Last beat of each kind of instruction.
        last_group = group == line.groups - 1
        count = Signal.like(index)
        m.d.comb += count.eq(line.count)
        with m.If(from_list):
            m.d.comb += count.eq(Mux(self.nonzero == 0, 1, self.nonzero))
        with m.Elif(is_product & (line.feed == Feed.NOTHING)):
            m.d.comb += count.eq(1)
        m.d.comb += self.turned.eq(rotate == sizes.lanes - 1)
        with m.If(is_ring):
            m.d.comb += final.eq(last_group & self.turned)
        with m.Elif(line.op == Op.DIFFERENCE):
            m.d.comb += final.eq((index == count - 1) & half)
        with m.Else():
            m.d.comb += final.eq(index == count - 1)

        may_begin = ~line.sync | (pending == 0) | (index != 0) | (rotate != 0) | (group != 0) | half
        may_finish = ~final | (line.drain == Drain.NONE) | (draining == 0)
        m.d.comb += [
            valid.eq(issue & (is_product | is_update)),
            beat.valid.eq(valid),
            beat.weight.eq(Mux(valid, weight, 0)),  # no memory is read beyond its end
            beat.update.eq(is_update),
            beat.ring.eq(is_ring),
            beat.from_list.eq(from_list & valid),
            beat.null.eq(is_product & ((line.feed == Feed.NOTHING) | (from_list & (self.nonzero == 0)))),
            beat.clear.eq(
                (is_update & (remaining == element_mask))
                | (is_product & (line.start == Start.CLEAR) & (index == 0) & (rotate == 0) & (group == 0))
            ),
            beat.load.eq(is_product & (line.start == Start.LOAD) & (index == 0) & (rotate == 0) & (group == 0)),
            beat.save.eq(issue & is_product & final & line.save),
            beat.drain.eq(Mux(issue & is_product & final, line.drain, Drain.NONE)),
            beat.copy.eq(issue & (line.op == Op.COPY)),
            beat.keep.eq(issue & (line.op == Op.DIFFERENCE) & ~half),
            beat.subtract.eq(issue & (line.op == Op.DIFFERENCE) & half),
            beat.move_to_offsets.eq(line.store == Store.OFFSETS),
            beat.drive.eq(line.drive),
            beat.drain_count.eq(line.drain_count),
            beat.neuron.eq(line.neuron),
            beat.first.eq(line.first),
            beat.wants_error.eq(line.wants_error),
            beat.shift.eq(line.shift),
            beat.sigma.eq(line.sigma + self.rate),
            beat.columns.eq(Mux(is_ring, line.last_columns, sizes.lanes)),
            beat.rows.eq(Mux((is_ring | is_update) & ~last_group, sizes.lanes, line.last_rows)),
            self.list_index.eq(index),
        ]

        def finish() -> None:
            """Account for the last beat, and go on."""
            with m.If(line.drain != Drain.NONE):
                m.d.sync += draining.eq(line.drain_count - 1)
            with m.If(line.wait >= pending):
                m.d.sync += pending.eq(line.wait)
            with m.If(line.end):
                m.next = "SETTLE"
            with m.Else():
                m.next = "LOAD"

        def start(name: Program) -> None:
            m.d.sync += [running.eq(name), pc.eq(schedule.starts[name])]
            m.next = "JUMP"

        # Update: scan the columns, stop at those that some sample feeds, walk their row groups and samples.
        remaining_after = Signal(slots)
        m.d.comb += remaining_after.eq(remaining & (remaining - 1)[:slots])
        found_mask = Signal(slots)
        m.d.comb += found_mask.eq(active & Mux(line.feed == Feed.INPUT, self.mask, (1 << slots) - 1))
        element = Signal()
        element_final = element & (remaining_after == 0) & last_group
        scan_ended = scan == line.count
        advance = Signal()
        m.d.comb += self.mask_index.eq(scan + advance)
        m.d.comb += beat.last.eq(is_update & (remaining_after == 0))

        with m.FSM(name="control"):
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(1)
                with m.If(self.loaded & ~self.hold):
                    m.d.comb += self.take.eq(1)
                    m.d.sync += [working.eq(1), step.eq(1)]
                    start(Program.FREE_FIRST)

            with m.State("JUMP"):
                m.d.comb += [self.phase_busy.eq(1), self.clear.eq(1)]
                m.next = "LOAD"

            with m.State("LOAD"):
                m.d.comb += self.phase_busy.eq(1)
                m.d.sync += [line.eq(fetched), pc.eq(pc + 1)]
                m.d.sync += [index.eq(0), rotate.eq(0), group.eq(0), row_offset.eq(0), half.eq(0)]
                m.d.sync += [scan.eq(0), element.eq(0)]
                m.d.comb += self.mask_index.eq(0)
                with m.If(fetched.op == Op.UPDATE):
                    m.next = "LEARN"
                with m.Else():
                    m.next = "RUN"

            with m.State("RUN"):
                m.d.comb += [self.phase_busy.eq(1), issue.eq(may_begin & may_finish)]
                with m.If(issue):
                    with m.If(line.op == Op.DIFFERENCE):
                        m.d.sync += [half.eq(~half), index.eq(index + half)]
                    with m.Elif(is_ring):
                        with m.If(self.turned):
                            m.d.sync += [rotate.eq(0), group.eq(group + 1), row_offset.eq(row_offset + line.stride)]
                        with m.Else():
                            m.d.sync += rotate.eq(rotate + 1)
                    with m.Else():
                        m.d.sync += index.eq(index + 1)
                    with m.If(final):
                        finish()

            with m.State("LEARN"):
                m.d.comb += [self.phase_busy.eq(1), issue.eq(element)]
                with m.If(element):
                    with m.If(remaining_after != 0):
                        m.d.sync += remaining.eq(remaining_after)
                    with m.Elif(~last_group):
                        m.d.sync += [
                            remaining.eq(element_mask),
                            group.eq(group + 1),
                            row_offset.eq(row_offset + line.stride),
                        ]
                with m.If(~element | element_final):
                    with m.If(scan_ended):
                        m.d.sync += element.eq(0)
                        finish()
                    with m.Else():
                        m.d.sync += [
                            element.eq(found_mask != 0),
                            remaining.eq(found_mask),
                            element_mask.eq(found_mask),
                            column.eq(scan),
                            group.eq(0),
                            row_offset.eq(0),
                        ]
                        m.d.comb += advance.eq(1)
                with m.Elif((found_mask == 0) & ~scan_ended):
                    m.d.comb += advance.eq(1)
                m.d.sync += scan.eq(scan + advance)

            with m.State("SETTLE"):
                m.d.comb += self.phase_busy.eq(1)
                with m.If(pending == 0):
                    self._decide(m, running, step, start, has_contrast)
                    with m.If((running == Program.PREDICT) | (running == Program.READOUT)):
                        m.next = "EMIT"
                    ends = Program.CONTRAST if has_contrast else None
                    nudged = (running == Program.NUDGED_FIRST) | (running == Program.NUDGED_STEP)
                    settled = self._settled(step, spec.design.nudged_steps)
                    with m.If((nudged & settled) if ends is None else (running == Program.CONTRAST)):
                        m.d.sync += [active.eq(active | (1 << self.slot)[:slots]), working.eq(0)]
                        m.next = "BATCH"
                    with m.If(running == Program.UPDATE):
                        m.d.sync += active.eq(0)
                        m.d.comb += self.update.eq(1)
                        m.next = "IDLE"

            with m.State("EMIT"):
                m.d.comb += self.emit.eq(1)
                with m.If(self.emit_ready):
                    m.d.comb += self.sample.eq(1)
                    with m.If(running == Program.PREDICT):
                        m.d.sync += working.eq(0)
                        m.next = "IDLE"
                    with m.Else():
                        m.d.sync += step.eq(1)
                        start(Program.NUDGED_FIRST)

            with m.State("BATCH"):
                with m.If(batch_full | self.close):
                    start(Program.UPDATE)
                with m.Else():
                    m.next = "IDLE"
        return m

    def _settled(self, step: Signal, most: int) -> Value:
        """Whether a phase has ended after this step."""
        ended: Value = step == most
        return ended | ~self.changed if self.sizes.spec.design.learning.stop else ended

    def _decide(self, m: Module, running: Signal, step: Signal, start, has_contrast: bool) -> None:  # type: ignore[no-untyped-def]
        """Go on after a step of the free or the nudged phase."""
        design = self.sizes.spec.design
        with m.If((running == Program.FREE_FIRST) | (running == Program.FREE_STEP)):
            m.d.comb += self.free_step.eq(1)
            with m.If(~self._settled(step, design.free_steps)):
                m.d.sync += step.eq(step + 1)
                start(Program.FREE_STEP)
            with m.Elif(self.learn):
                start(Program.READOUT)
            with m.Else():
                start(Program.PREDICT)
        with m.If((running == Program.NUDGED_FIRST) | (running == Program.NUDGED_STEP)):
            m.d.comb += self.nudged_step.eq(1)
            with m.If(~self._settled(step, design.nudged_steps)):
                m.d.sync += step.eq(step + 1)
                start(Program.NUDGED_STEP)
            if has_contrast:
                with m.Else():
                    start(Program.CONTRAST)

    def _address(  # type: ignore[no-untyped-def]
        self,
        m: Module,
        line,
        index: Signal,
        group: Signal,
        rotate: Signal,
        row_offset: Signal,
        column: Signal,
        remaining: Signal,
        half: Signal,
    ) -> Value:
        """Fill in the addresses of a beat; return the address of its weight."""
        sizes, beat, lane_bits = self.sizes, self.beat, self.sizes.lane_bits
        slots = sizes.memory.slots
        sample = Signal(sizes.slot_bits)
        m.d.comb += sample.eq(self.slot)
        is_update = line.op == Op.UPDATE
        for k in reversed(range(slots)):
            with m.If(is_update & remaining[k]):
                m.d.comb += sample.eq(k)

        def plane(which: Value, slot: Value) -> Value:
            names = {Plane.SCRATCH: sizes.memory.scratch_plane, Plane.NEXT: sizes.memory.next_plane}
            chosen: Value = slot
            for name, number in names.items():
                chosen = Mux(which == name, number, chosen)
            return chosen[: sizes.plane_bits]

        def address(local: Value, number: Value) -> Value:
            place, where = Signal(sizes.local_bits), Signal(sizes.plane_bits)
            m.d.comb += [place.eq(local), where.eq(number)]
            return Cat(place, where)

        word = Signal.like(index)
        m.d.comb += word.eq(Mux(is_update, column, index))
        broadcast = line.vector + (word >> lane_bits)
        operand = Mux(line.feed == Feed.RING, line.vector + group, broadcast)
        operand_plane = plane(line.plane, sample)
        moved_plane = Mux((line.op == Op.DIFFERENCE) & ~half, sizes.memory.scratch_plane, operand_plane)
        rows_address = address(line.rows + group, sample)
        vector_address = address(Mux(is_update | (line.op == Op.PRODUCT), operand, index), moved_plane)
        columns_in_states = line.store == Store.STATES
        weight = line.weight + row_offset + Mux(is_update | (line.feed == Feed.BROADCAST), word, 0)
        target = Mux(line.op == Op.PRODUCT, line.target, index)
        m.d.comb += [
            beat.rotate.eq(rotate),
            # An instruction that is no update has no rows: what it reads beside its operand goes nowhere.
            beat.state.eq(Mux(columns_in_states, vector_address, rows_address)),
            beat.offset.eq(Mux(columns_in_states, rows_address, vector_address)),
            beat.select.eq(word[:lane_bits] if lane_bits else 0),
            beat.shared_is_offset.eq(~columns_in_states),
            beat.shared_is_input.eq(line.feed == Feed.INPUT),
            beat.own_is_offset.eq(Mux(is_update, columns_in_states, ~columns_in_states)),
            beat.slot.eq(sample),
            beat.index.eq(column),
            beat.column.eq(line.column + column),
            beat.group.eq(group),
            beat.target.eq(address(target, plane(line.target_plane, self.slot))),
        ]
        return weight


def _count(word: Signal) -> Value:
    """Count the bits that are 1."""
    total: Value = word[0]
    for k in range(1, len(word)):
        total = total + word[k]
    return total
