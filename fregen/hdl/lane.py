"""One lane: the synapses of every P-th neuron, with weight memory, multiplier, accumulator and updater side by side.

Golden twin of what P lanes compute together: :mod:`fregen.golden.relax` and :mod:`fregen.golden.update`.
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .beat import Sizes
from .dither import lane_dither
from .library import submodule
from .update import UpdateUnit

__all__ = ["LaneUnit", "lane_control", "lane_signature"]


def lane_control(sizes: Sizes) -> data.StructLayout:
    """Lay out what all lanes are told at once; each group of fields belongs to the stage that its name starts with.

    ``s1``: address; ``s2``: memories have answered; ``s4``: alignment; ``s5``: sum; ``s6``: sum is there, shift of
    the updater; ``s7``: shared dither word; ``write``: weight write.
    """
    return data.StructLayout(
        {
            "s1_address": sizes.weight_address,
            "s1_ring": 1,
            "s1_rotate": max(sizes.lane_bits, 1),
            "s2_update": 1,
            "s2_ring": 1,
            "s2_null": 1,
            "s2_shared": signed(sizes.word_width),
            "s4_shift": len(sizes.schedule.shifts).bit_length(),
            "s4_drive": sizes.drive_bits,
            "s5_valid": 1,
            "s5_ring": 1,
            "s5_clear": 1,
            "s5_load": 1,
            "s6_save": 1,
            "s6_drive": sizes.drive_bits,
            "s6_sigma": max(sizes.sigma_bits, 1),
            "s7_dither": 32,
            "write_address": sizes.weight_address,
            "write_update": 1,
        }
    )


def lane_signature(sizes: Sizes) -> wiring.Signature:
    """Ports of a lane; see :class:`LaneUnit`."""
    width = sizes.spec.weight.width
    return wiring.Signature(
        {
            "number": In(max(sizes.lane_bits, 1)),
            "control": In(lane_control(sizes)),
            "own": In(signed(sizes.word_width)),
            "neighbour": In(signed(sizes.sum_width)),
            "total": Out(signed(sizes.sum_width)),
            "sum": Out(signed(sizes.sum_width)),
            "load": In(1),
            "load_word": In(signed(width)),
            "weight": Out(signed(width)),
            "saturated": Out(1),
            "write": Out(1),
            "write_word": Out(signed(width)),
        }
    )


class LaneUnit(wiring.Component):
    """Multiply and accumulate one neuron's synapses; learn them.

    Parameters
    ----------
    sizes : Sizes
        Widths.

    Members
    -------
    number : ``In``
        Number of the lane, 0 to P - 1; constant.
    control : ``In``
        See :func:`lane_control`.
    own : ``In(signed)``
        The lane's own word of a vector, in stage 2.
    neighbour : ``In(signed)``
        Sum of the next lane, in stage 5 (ring).
    total : ``Out(signed)``
        Sum including this beat, in stage 5.
    sum : ``Out(signed)``
        Accumulator, in stage 6.
    load, load_word : ``In``
        Write a weight from outside, at ``control.write_address``.
    weight : ``Out(signed)``
        Word at the address of the cycle before.
    saturated : ``Out(1)``
        The weight that is written was limited.
    write, write_word : ``Out``
        What the weight memory is written with in this cycle.

    Timing
    ------
    A beat's product is in the accumulator 6 cycles after the beat; interval 1.  A weight is written 9 cycles after
    the last beat of its update.  Reset clears no memory; weight, drive and padding words start as 0.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        super().__init__(lane_signature(sizes))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sizes, control, width = self.sizes, self.control, self.sizes.spec.weight.width

        # Stage 1: in the ring, each lane starts at its own column of the tile.
        m.submodules.weights = weights = Memory(shape=signed(width), depth=sizes.memory.weight_depth, init=[])
        read, write = weights.read_port(), weights.write_port()
        address: Value = control.s1_address
        if sizes.lane_bits:
            low = (control.s1_rotate + self.number)[: sizes.lane_bits]
            address = Mux(control.s1_ring, Cat(low, control.s1_address[sizes.lane_bits :]), control.s1_address)
        m.d.comb += [read.addr.eq(address), self.weight.eq(read.data)]

        # Stage 2 to 5: operands, product, alignment.
        a = Signal(signed(max(width, sizes.word_width)))
        b = Signal(signed(sizes.word_width))
        m.d.sync += [
            a.eq(Mux(control.s2_update, self.own, read.data)),
            b.eq(Mux(control.s2_null, 0, Mux(control.s2_ring, self.own, control.s2_shared))),
        ]
        product = Signal(signed(len(a) + len(b)))
        m.d.sync += product.eq(a * b)
        aligned = Signal(signed(sizes.sum_width))
        m.d.sync += aligned.eq(Array(product << shift for shift in sizes.schedule.shifts)[control.s4_shift])

        # Stage 5: sum.  The ring hands each sum to the lane before.
        m.submodules.drives = drives = Memory(
            shape=signed(sizes.sum_width), depth=max(sizes.memory.hidden_groups, 2), init=[]
        )
        drive_read, drive_write = drives.read_port(), drives.write_port()
        m.d.comb += [
            drive_read.addr.eq(control.s4_drive),
            drive_write.addr.eq(control.s6_drive),
            drive_write.data.eq(self.sum),
            drive_write.en.eq(control.s6_save),
        ]
        base = Signal(signed(sizes.sum_width))
        with m.If(control.s5_load):
            m.d.comb += base.eq(drive_read.data)
        with m.Elif(~control.s5_clear):
            m.d.comb += base.eq(self.sum)
        m.d.comb += self.total.eq(base + aligned)
        with m.If(control.s5_valid):
            m.d.sync += self.sum.eq(Mux(control.s5_ring, self.neighbour, self.total))

        # Learning.
        updater = UpdateUnit(sizes.update_width, sizes.spec.weight, sizes.spec.design.numerics.rounding, sizes.sigma)
        m.submodules.updater = submodule(updater, platform)
        m.d.comb += [
            updater.sum.eq(self.sum[: sizes.update_width]),
            updater.shift.eq(control.s6_sigma),
            updater.dither.eq(lane_dither(control.s7_dither, self.number)),
            updater.old.eq(read.data),
            self.saturated.eq(updater.saturated & control.write_update),
            self.write.eq(control.write_update | self.load),
            self.write_word.eq(Mux(control.write_update, updater.new, self.load_word)),
            write.addr.eq(control.write_address),
            write.data.eq(self.write_word),
            write.en.eq(self.write),
        ]
        return m
