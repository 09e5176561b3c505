"""Prediction and output error.  Golden twin: :mod:`fregen.golden.softmax`."""

from itertools import pairwise

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..spec.network import SoftmaxSpec
from .beat import bits
from .requant import round_shift, saturate
from .rom import rom

__all__ = ["SoftmaxUnit"]


class SoftmaxUnit(wiring.Component):
    """Find the greatest logit; if wanted, compute ``target - softmax`` by two small tables.

    Bit-exact to :mod:`fregen.golden.softmax`.

    Parameters
    ----------
    spec : SoftmaxSpec
        Sizes and tables.

    Members
    -------
    valid, sum, index : ``In``
        A logit and its class; classes come in rising order, from 0 to the last.
    wants_error : ``In(1)``
        With the last logit: go on to the error.
    label : ``In``
        Class that is right, constant meanwhile.  A label that is no class gives the target 0 everywhere.
    prediction : ``Out``
        Class of the greatest logit, the lowest of equals; valid from 2 cycles after the last logit.
    o_valid, o_index, o_word : ``Out``
        Error of a class: nearest even, then saturated.

    Timing
    ------
    Errors come one a cycle, the first ``classes + 10`` cycles after the last logit.  No logits are taken in between.
    """

    def __init__(self, spec: SoftmaxSpec) -> None:
        self.spec = spec
        super().__init__(
            {
                "valid": In(1),
                "sum": In(signed(spec.sum_width)),
                "index": In(bits(spec.classes)),
                "wants_error": In(1),
                "label": In(bits(spec.classes)),
                "prediction": Out(bits(spec.classes)),
                "o_valid": Out(1),
                "o_index": Out(bits(spec.classes)),
                "o_word": Out(signed(spec.error.width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self.spec
        classes, exp_width = spec.classes, spec.exponential.frac_bits + 1

        # Logits come in: keep them, and the greatest.
        m.submodules.logits = logits = Memory(shape=signed(spec.sum_width), depth=max(classes, 2), init=[])
        logit_write, logit_read = logits.write_port(), logits.read_port()
        greatest = Signal(signed(spec.sum_width))
        m.d.comb += [logit_write.addr.eq(self.index), logit_write.data.eq(self.sum), logit_write.en.eq(self.valid)]
        with m.If(self.valid & ((self.index == 0) | (self.sum > greatest))):
            m.d.sync += [greatest.eq(self.sum), self.prediction.eq(self.index)]

        count = Signal(range(classes + 1))
        walking = Signal()
        done_exponentials = Signal()
        walks_errors = Signal()
        with m.If(self.valid & self.wants_error & (self.index == classes - 1)):
            m.d.sync += [walking.eq(1), walks_errors.eq(0), count.eq(0)]
        with m.Elif(walking):
            m.d.sync += count.eq(count + 1)
            with m.If(count == classes - 1):  # no memory is read beyond its end
                m.d.sync += [walking.eq(0), count.eq(0)]
        with m.Elif(done_exponentials):
            m.d.sync += [walking.eq(1), walks_errors.eq(1), count.eq(0)]

        # First walk: distance to the greatest, its exponential, their sum.
        first = walking & ~walks_errors
        m.d.comb += logit_read.addr.eq(count)
        read_valid = [Signal(name=f"read_valid_{k}") for k in range(3)]
        read_index = [Signal(bits(classes), name=f"read_index_{k}") for k in range(3)]
        m.d.sync += [read_valid[0].eq(first), read_index[0].eq(count)]
        m.d.sync += [new.eq(old) for old, new in pairwise(read_valid)]
        m.d.sync += [new.eq(old) for old, new in pairwise(read_index)]

        distance = Signal(spec.sum_width)
        m.d.comb += distance.eq(greatest - logit_read.data)
        if spec.index_shift > 0:
            index = (distance + (1 << (spec.index_shift - 1))) >> spec.index_shift
        else:
            index = distance << -spec.index_shift
        limit = (1 << spec.exponential.index_bits) - 1
        place = Signal(spec.exponential.index_bits)
        m.d.sync += place.eq(Mux(index > limit, limit, index))
        exponential = rom(m, "exponentials", exp_width, spec.exponential.words, place, platform)

        m.submodules.kept = kept = Memory(shape=exp_width, depth=max(classes, 2), init=[])
        kept_write, kept_read = kept.write_port(), kept.read_port()
        total = Signal(spec.total_width)
        m.d.comb += [
            kept_write.addr.eq(read_index[2]),
            kept_write.data.eq(exponential),
            kept_write.en.eq(read_valid[2]),
        ]
        with m.If(read_valid[2]):
            m.d.sync += total.eq(Mux(read_index[2] == 0, 0, total) + exponential)
        last_added = Signal(2)
        m.d.sync += last_added.eq(Cat(read_valid[2] & (read_index[2] == classes - 1), last_added))
        m.d.comb += done_exponentials.eq(last_added[1])

        # Leading one of the sum, and the bits below it; then the reciprocal.
        lowest = spec.exponential.frac_bits
        extra = Signal(bits(spec.total_width - lowest))
        below = Signal(spec.reciprocal.index_bits)
        for k in range(spec.total_width - lowest):
            with m.If(total[lowest + k]):
                bits_below = Cat(Const(0, spec.reciprocal.index_bits), total[: lowest + k])
                m.d.sync += [extra.eq(k), below.eq(bits_below[-spec.reciprocal.index_bits :])]
        reciprocal = rom(m, "reciprocals", spec.reciprocal.frac_bits + 1, spec.reciprocal.words, below, platform)

        # Second walk: probability and error of every class.
        m.d.comb += kept_read.addr.eq(count)
        error_valid = [Signal(name=f"error_valid_{k}") for k in range(3)]
        error_index = [Signal(bits(classes), name=f"error_index_{k}") for k in range(3)]
        m.d.sync += [error_valid[0].eq(walking & walks_errors), error_index[0].eq(count)]
        m.d.sync += [new.eq(old) for old, new in pairwise(error_valid)]
        m.d.sync += [new.eq(old) for old, new in pairwise(error_index)]
        product = Signal(signed(exp_width + spec.reciprocal.frac_bits + 2))
        m.d.sync += product.eq(kept_read.data * reciprocal)
        probability = Signal(signed(len(product)))
        choices = Array(round_shift(product, spec.product_shift + k) for k in range(spec.total_width - lowest))
        m.d.sync += probability.eq(choices[extra])
        difference = Signal(signed(max(len(probability), spec.error.width + 1) + 1))
        m.d.comb += difference.eq(Mux(error_index[2] == self.label, spec.one, 0) - probability)
        m.d.sync += [
            self.o_valid.eq(error_valid[2]),
            self.o_index.eq(error_index[2]),
            self.o_word.eq(saturate(difference, spec.error)),
        ]
        return m
