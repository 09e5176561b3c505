"""The lanes, and the pipeline that feeds and drains them."""

from collections.abc import Sequence
from itertools import pairwise

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..plan import Drain
from .beat import Sizes, beat_layout
from .delay import delayed, taps
from .dither import DitherUnit
from .lane import LaneUnit, lane_control, lane_signature
from .library import UnitLibrary, submodule

__all__ = ["ArrayUnit"]


class ArrayUnit(wiring.Component):
    """P lanes side by side, told what to do by beats; finished tiles shift out one neuron a cycle.

    Parameters
    ----------
    sizes : Sizes
        Widths.

    Members
    -------
    beat : ``In``
        See :func:`fregen.hdl.beat.beat_layout`.
    index : ``In``
        Input that the list names, ``pipeline.address`` cycles after the beat.
    states, offsets, pixel : ``In``
        What the memories answer, ``pipeline.answered`` cycles after the beat.
    next_update : ``In(1)``
        The dither moves on to the next update.
    load, load_lane, load_word : ``In``
        Write a weight from outside, at ``address``.
    read : ``In(1)``
        Read all lanes' weights at ``address``; ``weights`` has them ``pipeline.read`` cycles later.
    address : ``In``
        Address of ``load`` and ``read``.
    late : ``Out``
        The beat when the memories get their addresses, and when they answer (moves).
    o_valid, o_sum, o_lane : ``Out``
        A neuron's sum, drained from a tile, and its lane; ``o_drain`` and the other fields tell which tile.
    saturated : ``Out``
        One bit a lane: the weight being written was limited.
    write, write_address, write_words, updates : ``Out``
        Weight writes: one enable a lane; ``updates`` if an update makes them.

    Timing
    ------
    The first sum of a tile comes out ``pipeline.drained`` cycles (portable: 7) after its last beat, then one a cycle.
    Weights are written ``pipeline.learnt`` cycles (portable: 9) after the last beat of their update.  Reset clears the
    beats in flight, the sums and the chain, and no memory.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        layout, width = beat_layout(sizes), sizes.spec.weight.width
        super().__init__(
            {
                "beat": In(layout),
                "index": In(sizes.input_bits),
                "states": In(data.ArrayLayout(signed(sizes.state_width), sizes.lanes)),
                "offsets": In(data.ArrayLayout(signed(sizes.offset_width), sizes.lanes)),
                "pixel": In(signed(sizes.state_width)),
                "next_update": In(1),
                "load": In(1),
                "load_lane": In(max(sizes.lane_bits, 1)),
                "load_word": In(signed(width)),
                "read": In(1),
                "address": In(sizes.weight_address),
                "late_1": Out(layout),
                "late_2": Out(layout),
                "o_valid": Out(1),
                "o_sum": Out(signed(sizes.sum_width)),
                "o_lane": Out(max(sizes.lane_bits, 1)),
                "o_drain": Out(2),
                "o_neuron": Out(sizes.neuron_bits),
                "o_target": Out(sizes.vector_address),
                "o_first": Out(1),
                "o_wants_error": Out(1),
                "weights": Out(data.ArrayLayout(signed(width), sizes.lanes)),
                "saturated": Out(sizes.lanes),
                "updates": Out(1),
                "write": Out(sizes.lanes),
                "write_address": Out(sizes.weight_address),
                "write_words": Out(data.ArrayLayout(signed(width), sizes.lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pipeline = self.sizes.pipeline
        stages = taps(m, self.beat, pipeline.learnt, "beat")
        m.d.comb += [self.late_1.eq(stages[pipeline.address]), self.late_2.eq(stages[pipeline.answered])]

        if isinstance(platform, UnitLibrary):
            lane, ports = LaneUnit(self.sizes), lane_signature(self.sizes)
            lanes = [ports.create(path=(f"lane_{number}",)) for number in range(self.sizes.lanes)]
            units = [platform.instance(lane, ports) for ports in lanes]
        else:
            lanes = units = [LaneUnit(self.sizes) for _ in range(self.sizes.lanes)]
        control = self._control(m, platform, stages)
        for number, (lane, unit) in enumerate(zip(lanes, units, strict=True)):
            m.submodules[f"lane_{number}"] = unit
            m.d.comb += [
                lane.number.eq(number),
                lane.control.eq(control),
                lane.own.eq(Mux(stages[pipeline.answered].own_is_offset, self.offsets[number], self.states[number])),
                lane.neighbour.eq(lanes[(number + 1) % self.sizes.lanes].total),
                lane.load.eq(self.load & (self.load_lane == number)),
                lane.load_word.eq(self.load_word),
                self.weights[number].eq(lane.weight),
                self.saturated[number].eq(lane.saturated),
                self.write[number].eq(lane.write),
                self.write_words[number].eq(lane.write_word),
            ]
        m.d.comb += [self.write_address.eq(control.write.weight), self.updates.eq(control.write.update)]
        self._drain(m, stages[pipeline.drained - 1], [lane.sum for lane in lanes])
        return m

    def _control(self, m: Module, platform: object, stages: Sequence[data.View]) -> data.View:
        """Tell the lanes what the beats in flight ask for, each group of fields from its stage."""
        sizes, pipeline = self.sizes, self.sizes.pipeline
        control = Signal(lane_control(sizes))
        address, operands, old, write = (
            stages[stage] for stage in (pipeline.address, pipeline.answered, pipeline.old_weight, pipeline.learnt)
        )
        add, total = stages[pipeline.aligned], stages[pipeline.total]

        with m.If(self.read):
            m.d.comb += control.address.weight.eq(self.address)
        with m.Elif(old.valid & old.update & old.last):
            m.d.comb += control.address.weight.eq(old.weight)
        with m.Else():
            m.d.comb += [
                control.address.weight.eq(address.weight + Mux(address.from_list, self.index, 0)),
                control.address.ring.eq(address.ring),
            ]
        with m.If(operands.shared_is_input):
            m.d.comb += control.operands.shared.eq(self.pixel)
        with m.Elif(operands.shared_is_offset):
            m.d.comb += control.operands.shared.eq(self.offsets[operands.select])
        with m.Else():
            m.d.comb += control.operands.shared.eq(self.states[operands.select])

        dither = DitherUnit(sizes.spec.design.seed, sizes.lanes, sizes.column_bits, sizes.group_bits)
        m.submodules.dither = submodule(dither, platform)
        asked = stages[pipeline.dithered - dither.LATENCY]
        updates = write.valid & write.update & write.last
        m.d.comb += [
            dither.step.eq(self.next_update),
            dither.column.eq(asked.column),
            dither.group.eq(asked.group),
            control.address.rotate.eq(address.rotate),
            control.operands.update.eq(operands.update),
            control.operands.ring.eq(operands.ring),
            control.operands.null.eq(operands.null),
            control.align.shift.eq(stages[pipeline.product].shift),
            control.drive_read.drive.eq(stages[pipeline.drive].drive),
            control.add.valid.eq(add.valid),
            control.add.ring.eq(add.ring),
            control.add.clear.eq(add.clear),
            control.add.load.eq(add.load),
            control.total.save.eq(total.save),
            control.total.drive.eq(total.drive),
            control.total.sigma.eq(total.sigma),
            control.dither.word.eq(dither.word),
            control.write.weight.eq(Mux(updates, write.weight, self.address)),
            control.write.update.eq(updates),
        ]
        return control

    def _drain(self, m: Module, beat: data.View, sums: Sequence[Value]) -> None:
        """Load finished sums into a chain at once; shift them out towards lane 0."""
        lanes = self.sizes.lanes
        sums = [delayed(m, word, self.sizes.pipeline.drain - 1, f"sum_{lane}") for lane, word in enumerate(sums)]
        chain = [Signal(signed(self.sizes.sum_width), name=f"chain_{k}") for k in range(lanes)]
        left = Signal(range(lanes + 1))
        with m.If(beat.drain != Drain.NONE):
            m.d.sync += [link.eq(word) for link, word in zip(chain, sums, strict=True)]
            m.d.sync += [
                left.eq(beat.drain_count),
                self.o_lane.eq(0),
                self.o_drain.eq(beat.drain),
                self.o_neuron.eq(beat.neuron),
                self.o_target.eq(beat.target),
                self.o_first.eq(beat.first),
                self.o_wants_error.eq(beat.wants_error),
            ]
        with m.Elif(left != 0):
            m.d.sync += [link.eq(above) for link, above in pairwise(chain)]
            m.d.sync += [left.eq(left - 1), self.o_lane.eq(self.o_lane + 1), self.o_neuron.eq(self.o_neuron + 1)]
        m.d.comb += [self.o_valid.eq(left != 0), self.o_sum.eq(chain[0])]
