"""The lanes, and the pipeline that feeds and drains them."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..plan import Drain
from .beat import Sizes, beat_layout
from .delay import delayed, taps
from .dither import DitherUnit
from .families import Portable, family_of
from .lane import LaneUnit, lane_control
from .library import UnitLibrary, add_unit, add_units
from .links import move_signature, read_signature, sum_signature, weight_signature, write_signature

__all__ = ["ArrayUnit"]

_FEW = 4
"""Links of the chain that listen to one register, where the pipeline has registers for a short way to each."""


class ArrayUnit(wiring.Component):
    """P lanes side by side, told what to do by beats; finished tiles shift out, D neurons a cycle.

    Parameters
    ----------
    sizes : Sizes
        Widths.
    library : UnitLibrary, optional
        Makes modules of its units.

    Members
    -------
    beat : ``In``
        See :func:`fregen.hdl.beat.beat_layout`.
    index : ``In``
        Input that the list names, ``pipeline.address - pipeline.lead`` cycles after the beat.
    inputs : ``Out``
        The beat's ``memory`` fields in that cycle: which word of which sample is to be read.
    input_word : ``In(signed)``
        That word, ``pipeline.answered`` cycles after the beat.
    vectors : ``Out(read_signature)``
        Rows of the vector memories.
    next_update : ``In(1)``
        The dither moves on to the next update.
    outside : ``In(weight_signature)``
        Weights loaded and read from outside.
    move : ``Out(move_signature)``
        Rows to move.
    o : ``Out(sum_signature)``
        Sums of finished tiles.
    write : ``Out(write_signature)``
        Weights that are written.

    Timing
    ------
    The first sums of a tile come out ``pipeline.drained`` cycles (portable: 7) after its last beat, then D a cycle; of
    logits one a cycle.
    Weights are written ``pipeline.learnt`` cycles (portable: 9) after the last beat of their update.  Reset clears the
    beats in flight, the sums and the chain, and no memory.
    """

    def __init__(self, sizes: Sizes, library: UnitLibrary | None = None) -> None:
        self.sizes = sizes
        self.library = library
        layout = beat_layout(sizes)
        super().__init__(
            {
                "beat": In(layout),
                "index": In(sizes.input_bits),
                "inputs": Out(layout["memory"].shape),
                "input_word": In(signed(sizes.state_width)),
                "vectors": Out(read_signature(sizes)),
                "next_update": In(1),
                "outside": In(weight_signature(sizes)),
                "move": Out(move_signature(sizes)),
                "o": Out(sum_signature(sizes)),
                "write": Out(write_signature(sizes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pipeline = self.sizes.pipeline
        stages = taps(m, self.beat, pipeline.learnt, "beat")
        address, answered = stages[pipeline.address], stages[pipeline.answered]
        m.d.comb += [
            self.inputs.eq(address.memory),
            self.vectors.state.eq(address.memory.state),
            self.vectors.offset.eq(address.memory.offset),
            self.move.copy.eq(answered.move.copy),
            self.move.keep.eq(answered.move.keep),
            self.move.subtract.eq(answered.move.subtract),
            self.move.to_offsets.eq(answered.move.to_offsets),
            self.move.context.eq(answered.context),
            self.move.target.eq(answered.target),
        ]
        control = self._control(m, stages)
        lanes = self._lanes(m, control, answered.operands)
        m.d.comb += [self.write.address.eq(control.write.weight), self.write.is_update.eq(control.write.update)]
        early, beat = stages[pipeline.drained - 2 : pipeline.drained]
        self._drain(m, early, beat, [lane.sum for lane in lanes], family_of(platform))
        return m

    def _lanes(self, m: Module, control: data.View, operands: data.View) -> Sequence[wiring.PureInterface]:
        """Add the lanes, in a ring; return their ports."""
        count, outside = self.sizes.lanes, self.outside
        lanes = add_units(m, "lane", lambda: LaneUnit(self.sizes, self.library), count, self.library)
        for number, lane in enumerate(lanes):
            own = Mux(operands.own_is_offset, self.vectors.offsets[number], self.vectors.states[number])
            own = delayed(m, own, self.sizes.pipeline.operand - 1, f"own_{number}")
            m.d.comb += [
                lane.number.eq(number),
                lane.control.eq(control),
                lane.own.eq(own),
                lane.neighbour.eq(lanes[(number + 1) % count].held),
                lane.load.eq(outside.load & (outside.lane == number)),
                lane.load_word.eq(outside.word),
                outside.weights[number].eq(lane.weight),
                self.write.limited[number].eq(lane.saturated),
                self.write.lanes[number].eq(lane.write),
                self.write.words[number].eq(lane.write_word),
            ]
        return lanes

    def _control(self, m: Module, stages: Sequence[data.View]) -> data.View:
        """Tell the lanes what the beats in flight ask for, each group of fields from its stage."""
        pipeline = self.sizes.pipeline
        control = Signal(lane_control(self.sizes))
        near = pipeline.spread  # the lanes have a register of their own
        operands, align = stages[pipeline.mixed - near], stages[pipeline.product - near]
        add, total, write = stages[pipeline.aligned - near], stages[pipeline.total - near], stages[pipeline.learnt]
        updates = write.valid & write.update & write.learn.last
        self._weight_address(m, control, stages)
        m.d.comb += [
            control.operands.update.eq(operands.update),
            control.operands.ring.eq(operands.ring),
            control.operands.null.eq(operands.operands.null),
            control.operands.shared.eq(self._shared(m, stages)),
            control.align.eq(align.align),
            control.drive_read.drive.eq(stages[pipeline.drive].drive),
            control.add.valid.eq(add.valid),
            control.add.ring.eq(add.ring),
            control.add.clear.eq(add.add.clear),
            control.add.load.eq(add.add.load),
            control.total.save.eq(total.total.save),
            control.total.sigma.eq(total.total.sigma),
            control.total.drive.eq(total.drive),
            control.dither.word.eq(self._dither(m, stages)),
            control.write.weight.eq(Mux(updates, write.weight, self.outside.address)),
            control.write.update.eq(updates),
        ]
        return control

    def _weight_address(self, m: Module, control: data.View, stages: Sequence[data.View]) -> None:
        """Choose who reads the weights: the port, an update that needs the old weight, or a product."""
        pipeline = self.sizes.pipeline
        beat, old = stages[pipeline.address - pipeline.lead], stages[pipeline.old_weight - pipeline.lead]
        early = Signal.like(control.address, name="weight_address")
        weight = Signal.like(early.weight, name="weight_chosen")
        is_ring = Signal(name="weight_is_ring")
        m.d.comb += [early.rotate.eq(beat.memory.rotate), early.weight.eq(weight), early.ring.eq(is_ring)]
        with m.If(self.outside.read):
            m.d.comb += weight.eq(self.outside.address)
        with m.Elif(old.valid & old.update & old.learn.last):
            m.d.comb += weight.eq(old.weight)
        with m.Else():
            m.d.comb += [
                weight.eq(beat.weight + Mux(beat.memory.from_list, self.index, 0)),
                is_ring.eq(beat.ring),
            ]
        # The last register is the lanes' own.
        m.d.comb += control.address.eq(delayed(m, early, max(pipeline.lead - 1, 0), "weight_address"))

    def _shared(self, m: Module, stages: Sequence[data.View]) -> Value:
        """Choose the word that goes to all lanes, in up to two steps."""
        pipeline = self.sizes.pipeline
        first = int(pipeline.operand > 2)
        picked, operands = stages[pipeline.answered].operands.select, stages[pipeline.answered + first].operands
        states = delayed(m, self.vectors.states[picked], first, "picked_state")
        offsets = delayed(m, self.vectors.offsets[picked], first, "picked_offset")
        vector = Mux(operands.shared_is_offset, offsets, states)
        shared = Signal(signed(self.sizes.word_width), name="shared")
        m.d.comb += shared.eq(Mux(operands.shared_is_input, delayed(m, self.input_word, first, "input"), vector))
        return delayed(m, shared, pipeline.operand - 1 - first - pipeline.spread, "shared")

    def _dither(self, m: Module, stages: Sequence[data.View]) -> Value:
        """Make the dither word of an updated weight, when the updaters need it."""
        sizes = self.sizes
        unit = DitherUnit(sizes.spec.design.seed, sizes.lanes, sizes.column_bits, sizes.group_bits)
        add_unit(m, "dither", unit, self.library)
        asked = stages[sizes.pipeline.dithered - unit.LATENCY].dither
        m.d.comb += [unit.step.eq(self.next_update), unit.column.eq(asked.column), unit.group.eq(asked.group)]
        return unit.word

    def _drain(self, m: Module, early: data.View, beat: data.View, sums: Sequence[Value], family: Portable) -> None:
        """Load finished sums into a chain at once; shift them out towards lane 0, D at a time.

        What the links of the chain are told is known a cycle before (``early``, ``moves``): each few have a register.
        """
        lanes, o, drain = self.sizes.lanes, self.o, self.sizes.drain
        sums = [delayed(m, word, self.sizes.pipeline.drain - 1, f"sum_{lane}") for lane, word in enumerate(sums)]
        chain = [Signal(signed(self.sizes.sum_width), name=f"chain_{k}") for k in range(lanes)]
        left = Signal(range(lanes + 1))
        part = Signal(range(max(drain, 2)))
        is_left = Signal()
        is_logit = Signal()  # logits go one by one
        shifts = Signal()
        moves = Signal()  # the chain, in the next cycle
        with m.If(beat.tile.drain != Drain.NONE):
            m.d.comb += moves.eq(self._moves(beat.tile.drain_count, 0, beat.tile.drain))
            m.d.sync += self._valid(beat.tile.drain_count, 0, beat.tile.drain, is_left, is_logit, shifts)
            m.d.sync += [
                left.eq(beat.tile.drain_count),
                part.eq(0),
                o.lane.eq(0),
                o.drain.eq(beat.tile.drain),
                o.context.eq(beat.context),
                o.neuron.eq(beat.tile.neuron),
                o.target.eq(beat.target),
                o.first.eq(beat.tile.first),
                o.wants_error.eq(beat.tile.wants_error),
            ]
        with m.Elif(is_left):
            following = Mux(is_logit, left - 1, Mux(left < drain, 0, left - drain))
            after = Mux(shifts, 0, part + 1)
            m.d.sync += [left.eq(following), part.eq(after), o.neuron.eq(o.neuron + 1)]
            m.d.comb += moves.eq(self._moves(following, after, o.drain))
            m.d.sync += self._valid(following, after, o.drain, is_left, is_logit, shifts)
            with m.If(shifts):
                m.d.sync += o.lane.eq(o.lane + drain)
        few = _FEW if self.sizes.pipeline.spread else lanes
        for first in range(0, lanes, few):
            loaded = family.local(m, f"load_{first}", early.tile.drain != Drain.NONE)
            moved = family.local(m, f"move_{first}", moves)
            for link in range(first, min(first + few, lanes)):
                with m.If(loaded):
                    m.d.sync += chain[link].eq(sums[link])
                if link + drain < lanes:
                    with m.Elif(moved):
                        m.d.sync += chain[link].eq(chain[link + drain])
        m.d.comb += [o.sums[k].eq(chain[k]) for k in range(drain)]

    def _one_by_one(self, drain: Value) -> Value:
        """Whether neurons that go there leave one at a time, though several could."""
        return (drain == Drain.SOFTMAX) & (self.sizes.drain > 1)

    def _moves(self, left: Value, part: Value | int, drain: Value) -> Value:
        """Whether the chain shifts in the next cycle, with so many sums left then."""
        return (left != 0) & (~self._one_by_one(drain) | (part == self.sizes.drain - 1))

    def _valid(
        self, left: Value, part: Value | int, drain: Value, is_left: Signal, is_logit: Signal, shifts: Signal
    ) -> list[Any]:
        """Say which sums leave in the next cycle, of so many; whether any does, and whether the chain then shifts."""
        one_by_one = self._one_by_one(drain)
        here = [(left != 0) & (part == k) for k in range(self.sizes.drain)]
        return [
            is_left.eq(left != 0),
            is_logit.eq(one_by_one),
            shifts.eq(~one_by_one | (part == self.sizes.drain - 1)),
            *(self.o.valid[k].eq(Mux(one_by_one, one, left > k)) for k, one in enumerate(here)),
        ]
