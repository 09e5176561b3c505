"""The lanes, and the pipeline that feeds and drains them."""

from itertools import pairwise

from amaranth.hdl import Array, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .beat import Sizes, beat_layout
from .dither import DitherUnit
from .lane import LaneUnit, lane_signature
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
        Input that the list names, one cycle after the beat.
    states, offsets, pixel : ``In``
        What the memories answer, two cycles after the beat.
    next_update : ``In(1)``
        The dither moves on to the next update.
    load, load_lane, load_word : ``In``
        Write a weight from outside, at ``address``.
    read : ``In(1)``
        Read all lanes' weights at ``address``; ``weights`` has them one cycle later.
    address : ``In``
        Address of ``load`` and ``read``.
    late : ``Out``
        The beat, one and two cycles late (memories' addresses, moves).
    o_valid, o_sum, o_lane : ``Out``
        A neuron's sum, drained from a tile, and its lane; ``o_drain`` and the other fields tell which tile.
    saturated : ``Out``
        One bit a lane: the weight being written was limited.
    write, write_address, write_words, updates : ``Out``
        Weight writes: one enable a lane; ``updates`` if an update makes them.

    Timing
    ------
    The first sum of a tile comes out 7 cycles after its last beat, then one a cycle.
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
        sizes, layout = self.sizes, beat_layout(self.sizes)

        # The beat, stage by stage.
        stages = [self.beat]
        for k in range(1, 10):
            stages.append(late := Signal(layout, name=f"beat_{k}"))
            m.d.sync += late.eq(stages[k - 1])
        m.d.comb += [self.late_1.eq(stages[1]), self.late_2.eq(stages[2])]

        # Words that all lanes share.
        shared = Signal(signed(sizes.word_width))
        select = stages[2].select
        with m.If(stages[2].shared_is_input):
            m.d.comb += shared.eq(self.pixel)
        with m.Elif(stages[2].shared_is_offset):
            m.d.comb += shared.eq(_pick(self.offsets, select, sizes.lanes))
        with m.Else():
            m.d.comb += shared.eq(_pick(self.states, select, sizes.lanes))

        dither = DitherUnit(sizes.spec.design.seed, sizes.lanes, sizes.column_bits, sizes.group_bits)
        m.submodules.dither = submodule(dither, platform)
        m.d.comb += [
            dither.step.eq(self.next_update),
            dither.column.eq(self.beat.column),
            dither.group.eq(self.beat.group),
        ]

        # What the lanes are told.
        updating = [stage.valid & stage.update & stage.last for stage in stages]
        product_address = stages[1].weight + Mux(stages[1].from_list, self.index, 0)
        if isinstance(platform, UnitLibrary):
            lane, ports = LaneUnit(sizes), lane_signature(sizes)
            lanes = [ports.create(path=(f"lane_{number}",)) for number in range(sizes.lanes)]
            units = [platform.instance(lane, ports) for ports in lanes]
        else:
            lanes = units = [LaneUnit(sizes) for _ in range(sizes.lanes)]
        control = Signal.like(lanes[0].control)
        with m.If(self.read):
            m.d.comb += control.s1_address.eq(self.address)
        with m.Elif(updating[7]):
            m.d.comb += control.s1_address.eq(stages[7].weight)
        with m.Else():
            m.d.comb += [control.s1_address.eq(product_address), control.s1_ring.eq(stages[1].ring)]
        m.d.comb += [
            control.s1_rotate.eq(stages[1].rotate),
            control.s2_update.eq(stages[2].update),
            control.s2_ring.eq(stages[2].ring),
            control.s2_null.eq(stages[2].null),
            control.s2_shared.eq(shared),
            control.s4_shift.eq(stages[4].shift),
            control.s4_drive.eq(stages[4].drive),
            control.s5_valid.eq(stages[5].valid),
            control.s5_ring.eq(stages[5].ring),
            control.s5_clear.eq(stages[5].clear),
            control.s5_load.eq(stages[5].load),
            control.s6_save.eq(stages[6].save),
            control.s6_drive.eq(stages[6].drive),
            control.s6_sigma.eq(stages[6].sigma),
            control.s7_dither.eq(dither.word),
            control.write_address.eq(Mux(updating[9], stages[9].weight, self.address)),
            control.write_update.eq(updating[9]),
        ]
        for number, (lane, unit) in enumerate(zip(lanes, units, strict=True)):
            m.submodules[f"lane_{number}"] = unit
            own = Mux(stages[2].own_is_offset, self.offsets[number], self.states[number])
            m.d.comb += [
                lane.number.eq(number),
                lane.control.eq(control),
                lane.own.eq(own),
                lane.neighbour.eq(lanes[(number + 1) % sizes.lanes].total),
                lane.load.eq(self.load & (self.load_lane == number)),
                lane.load_word.eq(self.load_word),
                self.weights[number].eq(lane.weight),
                self.saturated[number].eq(lane.saturated),
                self.write[number].eq(lane.write),
                self.write_words[number].eq(lane.write_word),
            ]
        m.d.comb += [self.write_address.eq(control.write_address), self.updates.eq(updating[9])]

        # Finished tiles: loaded from the accumulators at once, shifted out towards lane 0.
        chain = [Signal(signed(sizes.sum_width), name=f"chain_{k}") for k in range(sizes.lanes)]
        left = Signal(range(sizes.lanes + 1))
        with m.If(stages[6].drain != 0):
            m.d.sync += [link.eq(lane.sum) for link, lane in zip(chain, lanes, strict=True)]
            m.d.sync += [
                left.eq(stages[6].drain_count),
                self.o_lane.eq(0),
                self.o_drain.eq(stages[6].drain),
                self.o_neuron.eq(stages[6].neuron),
                self.o_target.eq(stages[6].target),
                self.o_first.eq(stages[6].first),
                self.o_wants_error.eq(stages[6].wants_error),
            ]
        with m.Elif(left != 0):
            m.d.sync += [link.eq(above) for link, above in pairwise(chain)]
            m.d.sync += [left.eq(left - 1), self.o_lane.eq(self.o_lane + 1), self.o_neuron.eq(self.o_neuron + 1)]
        m.d.comb += [self.o_valid.eq(left != 0), self.o_sum.eq(chain[0])]
        return m


def _pick(line: data.View, select: Value, lanes: int) -> Value:
    """One word of a line."""
    return line[0] if lanes == 1 else Array(line[k] for k in range(lanes))[select]
