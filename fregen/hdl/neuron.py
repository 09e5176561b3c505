"""Activation and offset: what becomes of a neuron's sum.  Golden twin: :mod:`fregen.golden.neuron`."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..plan import PORTABLE, Pipeline
from ..spec.network import NetworkSpec
from .bits import bits
from .delay import delayed, taps
from .families import Portable, family_of
from .requant import limited, round_parts

__all__ = ["NeuronUnit"]


class NeuronUnit(wiring.Component):
    """Turn sums into states (piecewise-linear activation) or into offsets (slope x sum), one a cycle.

    Bit-exact to :mod:`fregen.golden.neuron`.  The unit keeps two words of every hidden neuron: the slope that its
    last activation has used, and the word it last produced, to tell whether anything changed.  Their memories hold a
    power of two of words, so that no address is beyond their end.

    Parameters
    ----------
    spec : NetworkSpec
        Formats, activation table.
    sum_width : int
        Bits of a sum.
    neurons : int
        Words of a kind that the unit keeps, one a neuron, for each sample in flight.
    word_width : int
        Bits of a result (the wider of state and offset words).
    pipeline : Pipeline, optional
        Latency of memories and multiplier.
    contexts : int, optional
        G: samples in flight, each of which has its own slopes and words.

    Attributes
    ----------
    latency : int
        From ``sum`` to ``o_word``, cycles.

    Members
    -------
    valid, sum, neuron, context : ``In``
        A sum with the spec's ``sum_frac_bits``, whose it is, and of which sample in flight.
    is_offset : ``In(1)``
        Multiply by the kept slope instead of applying the activation.
    first : ``In(1)``
        First step of a phase that starts from zero: compare with 0.
    clear : ``In``
        Forget that anything changed: one bit a sample in flight.
    o_valid, o_word : ``Out``
        The word, in the state or the offset format: nearest even, then saturated.
    o_offset, o_context : ``Out(1)``, ``Out``
        ``o_word`` is an offset; of which sample.
    changed : ``Out``
        A word since ``clear`` differed from the neuron's word before: one bit a sample in flight.
    saturated : ``Out(1)``
        ``o_word`` is an offset that was limited.

    Timing
    ------
    Latency ``pipeline.neuron`` cycles (portable: 7), interval 1, never stalls.  Reset clears the registers, not the
    kept words and slopes.

    Raises
    ------
    ValueError
        If there is no neuron, or ``sum_width`` or ``word_width`` is less than the spec's words need.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        sum_width: int,
        neurons: int,
        word_width: int,
        pipeline: Pipeline = PORTABLE,
        contexts: int = 1,
    ) -> None:
        widest = max(spec.state.width, spec.offset.width) if spec.has_offsets else spec.state.width
        if word_width < widest:
            raise ValueError(
                f"word_width must hold the words of {widest} bits that the unit gives, not {word_width} bits"
            )
        if neurons < 1:
            raise ValueError(f"neurons must be at least 1, not {neurons}")
        if sum_width < spec.sum_width:
            raise ValueError(
                f"sum_width must hold the sums of {spec.sum_width} bits that the spec has, not {sum_width}"
            )
        self.spec = spec
        self.pipeline = pipeline
        self.latency = pipeline.neuron
        self.neurons = neurons
        self.word_width = word_width
        self.contexts = contexts
        self.context_bits = (contexts - 1).bit_length()
        super().__init__(
            {
                "valid": In(1),
                "sum": In(signed(sum_width)),
                "neuron": In(bits(neurons)),
                "context": In(max(self.context_bits, 1)),
                "is_offset": In(1),
                "first": In(1),
                "clear": In(contexts),
                "o_valid": Out(1),
                "o_word": Out(signed(word_width)),
                "o_offset": Out(1),
                "o_context": Out(max(self.context_bits, 1)),
                "changed": Out(contexts),
                "saturated": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        family = family_of(platform)
        spec, table, has_offsets = self.spec, self.spec.activation, self.spec.has_offsets
        read = self.pipeline.read

        # Stages of a sum, cycles after it: the table has answered, product, interpolation, rounded word.
        answered = 1 + read
        product_at = answered + 1 + self.pipeline.wide
        splits = self.pipeline.result > 4
        rounded_at = product_at + 2 + splits
        end = self.latency

        valid = taps(m, self.valid, end, "valid")
        neuron = taps(m, Cat(self.neuron, self.context[: self.context_bits]), end, "neuron")
        negative = taps(m, self.sum[-1], rounded_at, "negative")
        is_offset = taps(m, self.is_offset, end, "is_offset") if has_offsets else [Const(0)] * (end + 1)

        # Magnitude; which segment of the table, and how far into it.
        magnitude = Signal(len(self.sum))
        m.d.sync += magnitude.eq(Mux(self.sum[-1], -self.sum, self.sum)[: len(self.sum)])
        seg_bits = (table.segments - 1).bit_length()
        above: Value = magnitude[spec.tau + seg_bits :]
        is_flat = delayed(m, above.any() if len(above) else Const(0, 1), read, "is_flat")
        inside = delayed(m, magnitude[: spec.tau] if spec.tau else Const(0, 1), read, "inside")
        knot, slope = self._table(m, magnitude[spec.tau : spec.tau + seg_bits], family)

        # Operands of the one multiplier.
        zero = Signal()
        used = Signal(table.slope_width)
        m.d.comb += [zero.eq(is_flat | (negative[answered] if not table.odd else 0)), used.eq(Mux(zero, 0, slope))]
        x = Signal(signed(max(spec.tau + 1, len(self.sum) if has_offsets else 0)))
        y = Signal(table.slope_width)
        base = Signal(table.knot_width)
        m.d.sync += base.eq(Mux(is_flat, table.knots[-1], knot))
        if has_offsets:
            kept = self._kept_slope(m, family, neuron, used, valid[answered] & ~is_offset[answered])
            raw = delayed(m, self.sum, answered, "raw")
            m.d.sync += [x.eq(Mux(is_offset[answered], raw, inside)), y.eq(Mux(is_offset[answered], kept, used))]
        else:
            m.d.sync += [x.eq(inside), y.eq(used)]

        # Product, interpolation, rounding; sign and limits.
        product = Signal(signed(len(x) + len(y) + 1))
        m.d.comb += product.eq(family.product(m, "product", x, y, self.pipeline.wide))
        base = delayed(m, base, self.pipeline.wide, "base")
        total = Signal(signed(max(table.knot_width + spec.tau + 1, len(product)) + 1))
        m.d.sync += total.eq(Mux(is_offset[product_at], product, (base << spec.tau) + product))
        rounded = self._round(m, total, is_offset[product_at + 1], splits)
        signed_state = Signal(signed(len(rounded) + 1))
        m.d.comb += signed_state.eq(Mux(negative[rounded_at], -rounded if table.odd else 0, rounded))
        late = self.pipeline.result - 3 - splits
        word, _ = limited(m, signed_state, spec.state, late, "signed_state")
        offset, offset_fits = limited(m, rounded, spec.offset, late, "whole")
        rounded_at += late
        if has_offsets:
            word = Mux(is_offset[rounded_at], offset, word)
        saturated = valid[rounded_at] & is_offset[rounded_at] & ~offset_fits
        m.d.sync += [self.o_word.eq(word), self.saturated.eq(saturated)]
        m.d.comb += [self.o_valid.eq(valid[end]), self.o_offset.eq(is_offset[end])]
        m.d.comb += self.o_context.eq(neuron[end][len(self.neuron) :])
        self._compare(m, family, neuron[end - read], neuron[end], delayed(m, self.first, end, "first"))
        return m

    def _round(self, m: Module, total: Value, is_offset: Value, splits: bool) -> Value:
        """Round to the state's or the offset's format, a cycle later; where it ``splits`` two cycles."""
        spec = self.spec
        floor, carry = round_parts(total, spec.state_shift)
        if self.spec.has_offsets:
            other, other_carry = round_parts(total, spec.offset_shift)
            floor, carry = Mux(is_offset, other, floor), Mux(is_offset, other_carry, carry)
        if splits:
            floor, carry = delayed(m, floor, 1, "floor"), delayed(m, carry, 1, "carry")
        rounded = Signal(signed(max(len(floor + carry), len(total))), name="rounded")
        m.d.sync += rounded.eq(floor + carry)
        return rounded

    def _kept_slope(
        self, m: Module, family: Portable, neuron: Sequence[Value], used: Value, write_enable: Value
    ) -> Value:
        """Keep the slope that an activation uses; return a neuron's kept one, with the table's answer."""
        slopes = family.ram(m, "slopes", len(used), 1 << len(neuron[0]), self.pipeline.read)
        m.d.comb += [
            slopes.read_address.eq(neuron[1]),
            slopes.write_address.eq(neuron[1 + self.pipeline.read]),
            slopes.write_word.eq(used),
            slopes.write.eq(write_enable),
        ]
        return slopes.read_word

    def _compare(self, m: Module, family: Portable, neuron_before: Value, neuron: Value, first: Value) -> None:
        """Keep every neuron's word, and note whether one differs from the word before."""
        previous = family.ram(m, "previous", signed(self.word_width), 1 << len(neuron), self.pipeline.read)
        m.d.comb += [
            previous.read_address.eq(neuron_before),
            previous.write_address.eq(neuron),
            previous.write_word.eq(self.o_word),
            previous.write.eq(self.o_valid),
        ]
        differs = self.o_valid & (self.o_word != Mux(first, 0, previous.read_word))
        differs = delayed(m, differs, self.pipeline.compare, "differs")
        owner = delayed(m, self.o_context, self.pipeline.compare, "compared_context")
        for context in range(self.contexts):
            with m.If(self.clear[context]):
                m.d.sync += self.changed[context].eq(0)
            with m.Elif(differs & (owner == context)):
                m.d.sync += self.changed[context].eq(1)

    def _table(self, m: Module, segment: Value, family: Portable) -> tuple[Value, Value]:
        """Knot and slope of a segment, ``read`` cycles later."""
        table = self.spec.activation
        if table.segments == 1:
            return Const(table.knots[0], table.knot_width), Const(table.slopes[0], table.slope_width)
        knots, slopes = table.knots[:-1], table.slopes
        return (
            family.rom(m, "knots", table.knot_width, knots, segment, self.pipeline.read),
            family.rom(m, "slopes_of_segments", table.slope_width, slopes, segment, self.pipeline.read),
        )
