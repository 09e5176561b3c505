"""Activation and offset: what becomes of a neuron's sum.  Golden twin: :mod:`fregen.golden.neuron`."""

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..spec.network import NetworkSpec
from .beat import bits
from .requant import fits, round_shift, saturate
from .rom import rom

__all__ = ["NeuronUnit"]


class NeuronUnit(wiring.Component):
    """Turn sums into states (piecewise-linear activation) or into offsets (slope x sum), one a cycle.

    Bit-exact to :mod:`fregen.golden.neuron`.  The unit keeps two words of every hidden neuron: the slope that its
    last activation has used, and the word it last produced, to tell whether anything changed.

    Parameters
    ----------
    spec : NetworkSpec
        Formats, activation table.
    sum_width : int
        Bits of a sum.
    neurons : int
        Hidden neurons.
    word_width : int
        Bits of a result (the wider of state and offset words).

    Members
    -------
    valid, sum, neuron : ``In``
        A sum with the spec's ``sum_frac_bits``, and whose it is.
    is_offset : ``In(1)``
        Multiply by the kept slope instead of applying the activation; constant from step to step.
    first : ``In(1)``
        First step of a phase that starts from zero: compare with 0.
    clear : ``In(1)``
        Forget that anything changed.
    o_valid, o_word : ``Out``
        The word, in the state or the offset format: nearest even, then saturated.
    o_offset : ``Out(1)``
        ``o_word`` is an offset.
    changed : ``Out(1)``
        A word since ``clear`` differed from the neuron's word before.
    saturated : ``Out(1)``
        ``o_word`` is an offset that was limited.

    Timing
    ------
    Latency 7 cycles, interval 1, never stalls.
    """

    LATENCY = 7

    def __init__(self, spec: NetworkSpec, sum_width: int, neurons: int, word_width: int) -> None:
        self.spec = spec
        self.neurons = neurons
        self.word_width = word_width
        super().__init__(
            {
                "valid": In(1),
                "sum": In(signed(sum_width)),
                "neuron": In(bits(neurons)),
                "is_offset": In(1),
                "first": In(1),
                "clear": In(1),
                "o_valid": Out(1),
                "o_word": Out(signed(word_width)),
                "o_offset": Out(1),
                "changed": Out(1),
                "saturated": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec, table, has_offsets = self.spec, self.spec.activation, self.spec.has_offsets
        width = len(self.sum)

        def passed(name: str, value: Value, count: int) -> list[Value]:
            """Delay a value: item k is k cycles late."""
            line: list[Value] = [value]
            for k in range(count):
                late = Signal.like(line[-1], name=f"{name}_{k + 1}", init=0)
                m.d.sync += late.eq(line[-1])
                line.append(late)
            return line

        valid = passed("valid", self.valid, 7)
        neuron = passed("neuron", Mux(self.valid, self.neuron, 0), 7)  # no memory is read beyond its end
        first = passed("first", self.first, 6)
        is_offset = passed("is_offset", self.is_offset, 7) if has_offsets else [Const(0)] * 8

        # 1: magnitude and sign.
        negative = passed("negative", self.sum[-1], 6)
        raw = Signal(signed(width))
        magnitude = Signal(width)
        m.d.sync += [raw.eq(self.sum), magnitude.eq(Mux(self.sum[-1], -self.sum, self.sum)[:width])]

        # 2: which segment, and how far into it; the tables answer.
        seg_bits = (table.segments - 1).bit_length()
        above: Value = magnitude[spec.tau + seg_bits :]
        is_flat = passed("is_flat", above.any() if len(above) else Const(0, 1), 1)[1]
        inside = Signal(max(spec.tau, 1))
        raw_2 = Signal(signed(width))
        m.d.sync += [inside.eq(magnitude[: spec.tau] if spec.tau else 0), raw_2.eq(raw)]
        knot, slope = self._table(m, magnitude[spec.tau : spec.tau + seg_bits], platform)

        m.submodules.previous = previous = Memory(shape=signed(self.word_width), depth=max(self.neurons, 2), init=[])
        previous_read, previous_write = previous.read_port(), previous.write_port()
        m.d.comb += previous_read.addr.eq(neuron[6])

        # 3: operands of the one multiplier.
        zero = Signal()
        m.d.comb += zero.eq(is_flat | (negative[2] if not table.odd else 0))
        used = Signal(table.slope_width)
        m.d.comb += used.eq(Mux(zero, 0, slope))
        x = Signal(signed(max(spec.tau + 1, width if has_offsets else 0)))
        y = Signal(table.slope_width)
        base = Signal(table.knot_width)
        m.d.sync += base.eq(Mux(is_flat, table.knots[-1], knot))
        if has_offsets:
            m.submodules.slopes = slopes = Memory(shape=table.slope_width, depth=max(self.neurons, 2), init=[])
            slope_read, slope_write = slopes.read_port(), slopes.write_port()
            m.d.comb += [
                slope_read.addr.eq(neuron[1]),
                slope_write.addr.eq(neuron[2]),
                slope_write.data.eq(used),
                slope_write.en.eq(valid[2] & ~is_offset[2]),
            ]
            m.d.sync += [
                x.eq(Mux(is_offset[2], raw_2, inside)),
                y.eq(Mux(is_offset[2], slope_read.data, used)),
            ]
        else:
            m.d.sync += [x.eq(inside), y.eq(used)]

        # 4: product.
        product = Signal(signed(len(x) + len(y) + 1))
        base_4 = Signal.like(base)
        m.d.sync += [product.eq(x * y), base_4.eq(base)]

        # 5: interpolate; 6: round; 7: sign, limits.
        total = Signal(signed(max(table.knot_width + spec.tau + 1, len(product)) + 1))
        m.d.sync += total.eq(Mux(is_offset[4], product, (base_4 << spec.tau) + product))
        state = round_shift(total, spec.state_shift)
        rounded = Signal(signed(max(len(state), len(total))))
        chosen: Value = state
        if has_offsets:
            chosen = Mux(is_offset[5], round_shift(total, spec.offset_shift), state)
            rounded = Signal(signed(len(chosen)))
        m.d.sync += rounded.eq(chosen)
        signed_state = Signal(signed(len(rounded) + 1))
        m.d.comb += signed_state.eq(Mux(negative[6], -rounded if table.odd else 0, rounded))
        state_word = saturate(signed_state, spec.state)
        word: Value = state_word
        if has_offsets:
            word = Mux(is_offset[6], saturate(rounded, spec.offset), state_word)
        m.d.sync += [
            self.o_valid.eq(valid[6]),
            self.o_word.eq(word),
            self.o_offset.eq(is_offset[6]),
            self.saturated.eq(valid[6] & is_offset[6] & ~fits(rounded, spec.offset.width)),
        ]

        first_7 = passed("first_7", first[6], 1)[1]
        m.d.comb += [
            previous_write.addr.eq(neuron[7]),
            previous_write.data.eq(self.o_word),
            previous_write.en.eq(self.o_valid),
        ]
        with m.If(self.clear):
            m.d.sync += self.changed.eq(0)
        with m.Elif(self.o_valid & (self.o_word != Mux(first_7, 0, previous_read.data))):
            m.d.sync += self.changed.eq(1)
        return m

    def _table(self, m: Module, segment: Value, platform: object) -> tuple[Value, Value]:
        """Knot and slope of a segment, one cycle later."""
        table = self.spec.activation
        if table.segments == 1:
            return Const(table.knots[0], table.knot_width), Const(table.slopes[0], table.slope_width)
        return (
            rom(m, "knots", table.knot_width, table.knots[:-1], segment, platform),
            rom(m, "slopes_of_segments", table.slope_width, table.slopes, segment, platform),
        )
