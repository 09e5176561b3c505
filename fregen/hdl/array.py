"""The lanes, and the pipeline that feeds and drains them."""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..plan import Drain
from .beat import Sizes, beat_layout
from .delay import delayed, taps
from .dither import DitherUnit
from .lane import LaneUnit, lane_control
from .library import UnitLibrary, add_unit, add_units
from .links import move_signature, read_signature, sum_signature, weight_signature, write_signature

__all__ = ["ArrayUnit"]


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
        Input that the list names, ``pipeline.address`` cycles after the beat.
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
        self._drain(m, stages[pipeline.drained - 1], [lane.sum for lane in lanes])
        return m

    def _lanes(self, m: Module, control: data.View, operands: data.View) -> Sequence[wiring.PureInterface]:
        """Add the lanes, in a ring; return their ports."""
        count, outside = self.sizes.lanes, self.outside
        lanes = add_units(m, "lane", lambda: LaneUnit(self.sizes, self.library), count, self.library)
        for number, lane in enumerate(lanes):
            own = Mux(operands.own_is_offset, self.vectors.offsets[number], self.vectors.states[number])
            m.d.comb += [
                lane.number.eq(number),
                lane.control.eq(control),
                lane.own.eq(own),
                lane.neighbour.eq(lanes[(number + 1) % count].total),
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
        operands, add, total = stages[pipeline.answered], stages[pipeline.aligned], stages[pipeline.total]
        write = stages[pipeline.learnt]
        updates = write.valid & write.update & write.learn.last
        self._weight_address(m, control, stages[pipeline.address], stages[pipeline.old_weight])
        m.d.comb += [
            control.operands.update.eq(operands.update),
            control.operands.ring.eq(operands.ring),
            control.operands.null.eq(operands.operands.null),
            control.operands.shared.eq(self._shared(operands.operands)),
            control.align.eq(stages[pipeline.product].align),
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

    def _weight_address(self, m: Module, control: data.View, beat: data.View, old: data.View) -> None:
        """Choose who reads the weights: the port, an update that needs the old weight, or a product."""
        m.d.comb += control.address.rotate.eq(beat.memory.rotate)
        with m.If(self.outside.read):
            m.d.comb += control.address.weight.eq(self.outside.address)
        with m.Elif(old.valid & old.update & old.learn.last):
            m.d.comb += control.address.weight.eq(old.weight)
        with m.Else():
            m.d.comb += [
                control.address.weight.eq(beat.weight + Mux(beat.memory.from_list, self.index, 0)),
                control.address.ring.eq(beat.ring),
            ]

    def _shared(self, operands: data.View) -> Value:
        """Choose the word that goes to all lanes."""
        states, offsets = self.vectors.states[operands.select], self.vectors.offsets[operands.select]
        vector = Mux(operands.shared_is_offset, offsets, states)
        return Mux(operands.shared_is_input, self.input_word, vector)

    def _dither(self, m: Module, stages: Sequence[data.View]) -> Value:
        """Make the dither word of an updated weight, when the updaters need it."""
        sizes = self.sizes
        unit = DitherUnit(sizes.spec.design.seed, sizes.lanes, sizes.column_bits, sizes.group_bits)
        add_unit(m, "dither", unit, self.library)
        asked = stages[sizes.pipeline.dithered - unit.LATENCY].dither
        m.d.comb += [unit.step.eq(self.next_update), unit.column.eq(asked.column), unit.group.eq(asked.group)]
        return unit.word

    def _drain(self, m: Module, beat: data.View, sums: Sequence[Value]) -> None:
        """Load finished sums into a chain at once; shift them out towards lane 0, D at a time."""
        lanes, o, drain = self.sizes.lanes, self.o, self.sizes.drain
        sums = [delayed(m, word, self.sizes.pipeline.drain - 1, f"sum_{lane}") for lane, word in enumerate(sums)]
        chain = [Signal(signed(self.sizes.sum_width), name=f"chain_{k}") for k in range(lanes)]
        left = Signal(range(lanes + 1))
        part = Signal(range(max(drain, 2)))
        is_logit = (o.drain == Drain.SOFTMAX) & (drain > 1)  # logits go one by one
        with m.If(beat.tile.drain != Drain.NONE):
            m.d.sync += [link.eq(word) for link, word in zip(chain, sums, strict=True)]
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
        with m.Elif(left != 0):
            m.d.sync += [part.eq(part + 1), o.neuron.eq(o.neuron + 1)]
            with m.If(~is_logit | (part == drain - 1)):
                m.d.sync += [part.eq(0), o.lane.eq(o.lane + drain)]
                m.d.sync += [link.eq(above) for link, above in zip(chain, chain[drain:], strict=False)]
            m.d.sync += left.eq(Mux(is_logit, left - 1, Mux(left < drain, 0, left - drain)))
        for k in range(drain):
            m.d.comb += o.sums[k].eq(chain[k])
            m.d.comb += o.valid[k].eq(Mux(is_logit, (left != 0) & (part == k), left > k))
