"""The updater of one lane: rounds a summed contrast into a weight.  Golden twin: :mod:`fregen.golden.update`."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..fixed import DITHER_BITS, Q, Rounding
from ..plan import PORTABLE, Pipeline
from .delay import delayed
from .requant import limited

__all__ = ["UpdateUnit"]


class UpdateUnit(wiring.Component):
    """Round ``sum / 2**sigma`` and add it to a weight, saturating.

    Bit-exact to :mod:`fregen.golden.update`.

    Parameters
    ----------
    sum_width : int
        Bits of the summed products.
    weight : Q
        Format of the weight.
    rounding : Rounding
        Nearest even, or stochastic.
    sigma : (int, int)
        Least and greatest right shift, bits; negative ones are left shifts.
    pipeline : Pipeline, optional
        Cycles of the stages shift, round and add.

    Attributes
    ----------
    latency : int
        From ``sum`` to ``new``, cycles.

    Raises
    ------
    ValueError
        If the greatest shift is less than the least one.

    Members
    -------
    sum : ``In(signed)``
        Summed products of one weight.
    shift : ``In``
        Right shift above the least one, bits; with ``sum``.
    dither : ``In(16)``
        Dither, ``pipeline.shift`` cycles after ``sum``.
    old : ``In(signed)``
        The weight, ``pipeline.shift + pipeline.round`` cycles after ``sum``.
    new : ``Out(signed)``
        The weight after the update, ``latency`` cycles after ``sum``.
    saturated : ``Out(1)``
        ``new`` was limited; with ``new``.

    Timing
    ------
    Latency ``pipeline.update`` cycles (portable: 3), interval 1, never stalls.  Reset clears the registers.
    """

    def __init__(
        self,
        sum_width: int,
        weight: Q,
        rounding: Rounding,
        sigma: tuple[int, int],
        pipeline: Pipeline = PORTABLE,
    ) -> None:
        if sigma[1] < sigma[0]:
            raise ValueError(f"sigma is (least, greatest) right shift, not {sigma}")
        self.pipeline = pipeline
        self.latency = pipeline.update
        self.weight = weight
        self.rounding = rounding
        self.sigma = sigma
        super().__init__(
            {
                "sum": In(signed(sum_width)),
                "shift": In((sigma[1] - sigma[0]).bit_length()),
                "dither": In(DITHER_BITS),
                "old": In(signed(weight.width)),
                "new": Out(signed(weight.width)),
                "saturated": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()

        # Right shift to 16 fraction bits; what falls off below is remembered in one sticky bit.
        left = max(0, DITHER_BITS - self.sigma[0])
        right = max(0, self.sigma[0] - DITHER_BITS)
        wide = Signal(signed(max(len(self.sum), DITHER_BITS)))
        m.d.comb += wide.eq(self.sum)
        word: Value = (wide << left) if left else wide
        lost: Value = Const(0, 1)
        if right:
            word, lost = _shift_right(word, right, lost)
            word = word[: max(len(wide) - right, DITHER_BITS)].as_signed()
        # Registers lie as evenly between the steps as they can, the last one after all of them.
        steps, stages, done = len(self.shift), self.pipeline.shift, 0
        asked: Value = self.shift
        for bit in range(steps):
            word, lost = _hold(m, f"before_{bit}", word, lost)
            moved, fallen = _shift_right(word, 1 << bit, lost)
            word, lost = Mux(asked[bit], moved, word).as_signed(), Mux(asked[bit], fallen, lost)
            now = (bit + 1) * (stages - 1) // steps
            word = delayed(m, word, now - done, f"moved_{bit}").as_signed()
            lost = delayed(m, lost, now - done, f"lost_{bit}")
            asked, done = delayed(m, asked, now - done, f"shift_{bit}"), now
        aligned = Signal(signed(len(word)))
        sticky = Signal()
        m.d.comb += [
            aligned.eq(delayed(m, word, stages - done, "shifted")),
            sticky.eq(delayed(m, lost, stages - done, "sticky")),
        ]

        # Round away the 16 bits.
        delta = Signal(signed(max(len(word) - DITHER_BITS, 1) + 1))
        new = Signal(self.new.shape(), name="limited_1")
        was_limited = Signal(name="was_limited_1")
        early = self.pipeline.round - 1
        if self.rounding is Rounding.STOCHASTIC:
            rounded = (aligned + self.dither) >> DITHER_BITS
        else:
            floor = aligned >> DITHER_BITS
            half = aligned[DITHER_BITS - 1]
            rest = aligned[: DITHER_BITS - 1].any() | sticky
            carry = delayed(m, half & (rest | floor[0]), early, "carry")
            rounded, early = delayed(m, floor, early, "floor") + carry, 0
        change = Signal(signed(max(len(word) - DITHER_BITS, 1) + 1))
        m.d.comb += change.eq(rounded)
        m.d.comb += delta.eq(delayed(m, change, 1 + early, "change"))

        # Add and limit.
        total = Signal(signed(max(len(self.old), len(delta)) + 1))
        m.d.comb += total.eq(self.old + delta)
        word, is_fit = limited(m, total, self.weight, self.pipeline.add - 1, "total")
        m.d.sync += [new.eq(word), was_limited.eq(~is_fit)]
        m.d.comb += [self.new.eq(new), self.saturated.eq(was_limited)]
        return m


def _hold(m: Module, name: str, word: Value, lost: Value) -> tuple[Value, Value]:
    """Give a stage of the shifter a name, so that its logic is made once."""
    held, fallen = Signal(signed(len(word)), name=name), Signal(name=f"lost_{name}")
    m.d.comb += [held.eq(word), fallen.eq(lost)]
    return held, fallen


def _shift_right(word: Value, shift: int, lost: Value) -> tuple[Value, Value]:
    """Arithmetic right shift that keeps the width, and whether any bit that was not 0 has fallen off."""
    if shift == 0:
        return word, lost
    width = len(word)
    cut = min(shift, width)
    sign = word[-1].replicate(cut)
    return Cat(word[cut:], sign).as_signed(), lost | word[:cut].any()
