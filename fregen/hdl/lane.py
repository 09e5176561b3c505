"""One lane: the synapses of every P-th neuron, with weight memory, multiplier, accumulator and updater side by side.

Golden twin of what P lanes compute together: :mod:`fregen.golden.relax` and :mod:`fregen.golden.update`.
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .beat import Sizes
from .delay import delayed
from .dither import lane_dither
from .families import Portable, family_of
from .library import UnitLibrary, add_unit
from .update import UpdateUnit

__all__ = ["LaneUnit", "lane_control", "lane_signature"]


def lane_control(sizes: Sizes) -> data.StructLayout:
    """Lay out what all lanes are told at once, grouped by the stage that reads it (:class:`fregen.plan.Pipeline`).

    ``address``: of the weight; ``operands``: when the memories have answered; ``align``: when the product is there;
    ``drive_read``: address of the drive, ``read`` cycles before the sum; ``add``: the sum; ``total``: the sum is
    there, it may be saved, and enters the updater; ``dither``: the shared word; ``write``: of the weight memory.
    """
    return data.StructLayout(
        {
            "address": data.StructLayout(
                {"weight": sizes.weight_address, "ring": 1, "rotate": max(sizes.lane_bits, 1)}
            ),
            "operands": data.StructLayout(
                {"update": 1, "ring": 1, "null": 1, "shared": signed(sizes.word_width)},
            ),
            "align": data.StructLayout({"shift": sizes.shift_bits}),
            "drive_read": data.StructLayout({"drive": sizes.drive_bits}),
            "add": data.StructLayout({"valid": 1, "ring": 1, "clear": 1, "load": 1}),
            "total": data.StructLayout({"save": 1, "drive": sizes.drive_bits, "sigma": max(sizes.sigma_bits, 1)}),
            "dither": data.StructLayout({"word": 32}),
            "write": data.StructLayout({"weight": sizes.weight_address, "update": 1}),
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
            "held": Out(signed(sizes.sum_width)),
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
    library : UnitLibrary, optional
        Makes modules of its units.

    Members
    -------
    number : ``In``
        Number of the lane, 0 to P - 1; constant.
    control : ``In``
        See :func:`lane_control`.
    own : ``In(signed)``
        The lane's own word of a vector, with ``control.operands``.
    neighbour : ``In(signed)``
        What the next lane holds.
    held : ``Out(signed)``
        What the lane has added up; after a beat of a ring it is the sum of the lane before.
    sum : ``Out(signed)``
        The lane's sum, with ``control.total``.
    load, load_word : ``In``
        Write a weight from outside, at ``control.write.weight``.
    weight : ``Out(signed)``
        Word at the address of ``pipeline.read`` cycles before.
    saturated : ``Out(1)``
        The weight that is written was limited.
    write, write_word : ``Out``
        What the weight memory is written with in this cycle.

    Timing
    ------
    A beat's product is in the accumulator ``pipeline.total`` cycles after the beat (portable: 6); interval 1.  A weight
    is written ``pipeline.learnt`` cycles (portable: 9) after the last beat of its update.  Reset clears the registers,
    and no memory; weight, drive and padding words start as 0.
    """

    def __init__(self, sizes: Sizes, library: UnitLibrary | None = None) -> None:
        self.sizes = sizes
        self.library = library
        super().__init__(lane_signature(sizes))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        family = family_of(platform)
        control = self._control(m, family)
        product, old = self._multiply(m, family, control)
        self._add(m, family, control, product)
        self._learn(m, control, old)
        return m

    def _control(self, m: Module, family: Portable) -> data.View:
        """Return what the lane is told; where the pipeline spreads it, most of it from registers of the lane's own."""
        control = Signal(self.control.shape(), name="own_control")
        for group in control.shape().members:
            told = Value.cast(self.control[group])
            if self.sizes.pipeline.spread and group in ("operands", "align", "add", "total"):
                told = family.local(m, group, told)
            m.d.comb += Value.cast(control[group]).eq(told)
        return control

    def _multiply(self, m: Module, family: Portable, control: data.View) -> tuple[Value, Value]:
        """From addresses to the product; also return the weight that was read."""
        sizes, width = self.sizes, self.sizes.spec.weight.width
        pipeline = sizes.pipeline
        weights = family.ram(m, "weights", signed(width), sizes.memory.weight_depth, pipeline.read)

        # In the ring, each lane starts at its own column of the tile.
        address: Value = control.address.weight
        if sizes.lane_bits:
            low = (control.address.rotate + self.number)[: sizes.lane_bits]
            address = Mux(control.address.ring, Cat(low, address[sizes.lane_bits :]), address)
        weight = weights.read_word
        address = delayed(m, address, min(pipeline.lead, 1), "address")
        m.d.comb += [
            weights.read_address.eq(address),
            self.weight.eq(weight),
            weights.write_address.eq(control.write.weight),
            weights.write_word.eq(self.write_word),
            weights.write.eq(self.write),
        ]

        weight = delayed(m, weight, pipeline.operand - 1, "weight")
        a = Signal(signed(max(width, sizes.word_width)))
        b = Signal(signed(sizes.word_width))
        m.d.comb += [
            a.eq(Mux(control.operands.update, self.own, weight)),
            b.eq(Mux(control.operands.null, 0, Mux(control.operands.ring, self.own, control.operands.shared))),
        ]
        a, b = delayed(m, a, 1, "a"), delayed(m, b, 1, "b")
        return family.product(m, "product", a, b, pipeline.multiply), weights.read_word

    def _add(self, m: Module, family: Portable, control: data.View, product: Value) -> None:
        """Align the product and add it."""
        sizes = self.sizes
        aligned = Signal(signed(sizes.sum_width))
        shifted = Array(product << shift for shift in sizes.schedule.shifts)[control.align.shift]
        m.d.comb += aligned.eq(shifted)
        aligned = delayed(m, aligned, sizes.pipeline.align, "aligned")

        depth = 1 << sizes.drive_bits if sizes.contexts > 1 else max(sizes.memory.hidden_groups, 2)
        drives = family.ram(m, "drives", signed(sizes.sum_width), depth, sizes.pipeline.read)
        m.d.comb += [
            drives.read_address.eq(control.drive_read.drive),
            drives.write_address.eq(control.total.drive),
            drives.write_word.eq(self.sum),
            drives.write.eq(control.total.save),
        ]
        base = Signal(signed(sizes.sum_width))
        with m.If(control.add.load):
            m.d.comb += base.eq(drives.read_word)
        with m.Elif(~control.add.clear):
            m.d.comb += base.eq(self.sum)
        # In a ring the lane before goes on with this sum: it takes it over when it adds to it.
        wanders = Signal()
        m.d.comb += self.sum.eq(Mux(wanders, self.neighbour, self.held))
        with m.If(control.add.valid):
            m.d.sync += [self.held.eq(base + aligned), wanders.eq(control.add.ring)]

    def _learn(self, m: Module, control: data.View, old: Value) -> None:
        """Turn the sum of an update into a weight; choose what is written."""
        sizes = self.sizes
        updater = UpdateUnit(
            sizes.update_width,
            sizes.spec.weight,
            sizes.spec.design.numerics.rounding,
            sizes.sigma,
            sizes.pipeline,
        )
        add_unit(m, "updater", updater, self.library)
        m.d.comb += [
            updater.sum.eq(self.sum[: sizes.update_width]),
            updater.shift.eq(control.total.sigma),
            updater.dither.eq(lane_dither(control.dither.word, self.number)),
            updater.old.eq(old),
            self.saturated.eq(updater.saturated & control.write.update),
            self.write.eq(control.write.update | self.load),
            self.write_word.eq(Mux(control.write.update, updater.new, self.load_word)),
        ]
