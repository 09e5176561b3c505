"""Prediction and output error.  Golden twin: :mod:`fregen.golden.softmax`."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..plan import PORTABLE, Pipeline
from ..spec.network import SoftmaxSpec
from .bits import bits
from .delay import delayed
from .families import Portable, family_of
from .pick import pick
from .requant import round_parts, saturate

__all__ = ["SoftmaxUnit"]


class SoftmaxUnit(wiring.Component):
    """Find the greatest logit; if wanted, compute ``target - softmax`` by two small tables.

    Bit-exact to :mod:`fregen.golden.softmax`.

    Parameters
    ----------
    spec : SoftmaxSpec
        Sizes and tables.
    pipeline : Pipeline, optional
        Latency of memories and multiplier.
    contexts : int, optional
        G: samples in flight, each of which has its own logits and prediction.

    Attributes
    ----------
    latency : int
        From the last logit to the first error, cycles: :meth:`fregen.plan.Pipeline.errors`.

    Members
    -------
    valid, sum, index, context : ``In``
        A logit, its class, and of which sample in flight; a sample's classes come in rising order, from 0 to the last.
    wants_error : ``In(1)``
        With the last logit: go on to the error.
    label : ``In``
        With the last logit: class that is right.  A label that is no class gives the target 0 everywhere.
    prediction : ``Out``
        For every sample in flight the class of the greatest logit, the lowest of equals; valid from the cycle after the
        last logit.
    o_valid, o_index, o_word, o_context : ``Out``
        Error of a class: nearest even, then saturated; of which sample.

    Timing
    ------
    Errors come one a cycle, the first ``latency`` cycles after the last logit.  In between another sample's logits may
    come, but no last one that wants its error.  After reset no walk is under way, and all predictions are class 0;
    memories keep their words.
    """

    def __init__(self, spec: SoftmaxSpec, pipeline: Pipeline = PORTABLE, contexts: int = 1) -> None:
        self.spec = spec
        self.pipeline = pipeline
        self.latency = pipeline.errors(spec.classes)
        self.contexts = contexts
        self.context_bits = (contexts - 1).bit_length()
        context = max(self.context_bits, 1)
        super().__init__(
            {
                "valid": In(1),
                "sum": In(signed(spec.sum_width)),
                "index": In(bits(spec.classes)),
                "context": In(context),
                "wants_error": In(1),
                "label": In(bits(spec.classes)),
                "prediction": Out(data.ArrayLayout(bits(spec.classes), contexts)),
                "o_valid": Out(1),
                "o_index": Out(bits(spec.classes)),
                "o_word": Out(signed(spec.error.width)),
                "o_context": Out(context),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        family = family_of(platform)
        spec, read, classes = self.spec, self.pipeline.read, self.spec.classes

        # Two walks over the classes: after the last logit, and when all exponentials have been summed.
        count = Signal(range(classes + 1))
        walking = Signal()
        is_second = Signal()
        summed = Signal()
        label = Signal.like(self.label, name="label_kept")
        with m.If(self.valid & self.wants_error & (self.index == classes - 1)):
            m.d.sync += [walking.eq(1), is_second.eq(0), count.eq(0)]
            m.d.sync += [label.eq(self.label), self.o_context.eq(self.context)]
        with m.Elif(walking):
            m.d.sync += count.eq(count + 1)
            with m.If(count == classes - 1):  # no memory is read beyond its end
                m.d.sync += [walking.eq(0), count.eq(0)]
        with m.Elif(summed):
            m.d.sync += [walking.eq(1), is_second.eq(1), count.eq(0)]

        # First walk: exponentials are kept, and summed.
        exponential = self._exponential(m, family, self._distance(m, family, count))
        valid = delayed(m, walking & ~is_second, 2 * read + self.pipeline.index, "first")
        index = delayed(m, count, 2 * read + self.pipeline.index, "first_class")
        total = Signal(spec.total_width)
        with m.If(valid):
            m.d.sync += total.eq(Mux(index == 0, 0, total) + exponential)
        m.d.sync += summed.eq(valid & (index == classes - 1))
        kept = family.ram(m, "kept", len(exponential), max(classes, 2), read)
        m.d.comb += [
            kept.write_address.eq(index),
            kept.write_word.eq(exponential),
            kept.write.eq(valid),
            kept.read_address.eq(count),
        ]

        # Second walk: exponential x reciprocal, and what is missing to the target.
        splits = self.pipeline.result > 3
        flight = read + self.pipeline.wide + 1 + splits
        index = delayed(m, count, flight, "second_class")
        probability = self._probability(m, family, kept.read_word, total)
        difference = Signal(signed(max(len(probability), spec.error.width + 1) + 1))
        m.d.comb += difference.eq(Mux(index == label, spec.one, 0) - probability)
        late = self.pipeline.result - 3 - splits
        m.d.sync += [
            self.o_valid.eq(delayed(m, walking & is_second, flight + late, "second")),
            self.o_index.eq(delayed(m, index, late, "index_late")),
            self.o_word.eq(saturate(delayed(m, difference, late, "difference"), spec.error)),
        ]
        return m

    def _distance(self, m: Module, family: Portable, count: Value) -> Value:
        """Keep the logits, and the greatest; return how far a class's logit lies below it, ``read`` cycles later."""
        spec = self.spec
        depth = self.contexts << bits(spec.classes) if self.contexts > 1 else max(spec.classes, 2)
        logits = family.ram(m, "logits", signed(spec.sum_width), depth, self.pipeline.read)
        greatest = Signal(data.ArrayLayout(signed(spec.sum_width), self.contexts))
        distance = Signal(spec.sum_width)
        m.d.comb += [
            logits.write_address.eq(Cat(self.index, self.context[: self.context_bits])),
            logits.write_word.eq(self.sum),
            logits.write.eq(self.valid),
            logits.read_address.eq(Cat(count[: len(self.index)], self.o_context[: self.context_bits])),
            distance.eq(pick(greatest, self.o_context) - logits.read_word),
        ]
        for context in range(self.contexts):
            is_greatest = (self.index == 0) | (greatest[context] - self.sum < 0)
            with m.If(self.valid & (self.context == context) & is_greatest):
                m.d.sync += [greatest[context].eq(self.sum), self.prediction[context].eq(self.index)]
        return distance

    def _exponential(self, m: Module, family: Portable, distance: Value) -> Value:
        """Look up exp(-distance), ``pipeline.index`` and ``pipeline.read`` cycles later."""
        spec, limit = self.spec, (1 << self.spec.exponential.index_bits) - 1
        distance = delayed(m, distance, self.pipeline.index - 1, "distance_late")
        if spec.index_shift > 0:
            index = (distance + (1 << (spec.index_shift - 1))) >> spec.index_shift
        else:
            index = distance << -spec.index_shift
        place = Signal(spec.exponential.index_bits)
        m.d.sync += place.eq(Mux(index > limit, limit, index))
        width, words = spec.exponential.frac_bits + 1, spec.exponential.words
        return family.rom(m, "exponentials", width, words, place, self.pipeline.read)

    def _probability(self, m: Module, family: Portable, exponential: Value, total: Value) -> Value:
        """Divide an exponential by their sum, ``pipeline.wide`` cycles and one or two later.

        The sum stands ``1 + read`` cycles before the exponential.
        """
        spec = self.spec
        lowest = spec.exponential.frac_bits
        places = spec.total_width - lowest

        # Leading one of the sum, and the bits below it.
        extra = Signal(bits(places))
        below = Signal(spec.reciprocal.index_bits)
        for k in range(places):
            with m.If(total[lowest + k]):
                bits_below = Cat(Const(0, spec.reciprocal.index_bits), total[: lowest + k])
                m.d.sync += [extra.eq(k), below.eq(bits_below[-spec.reciprocal.index_bits :])]
        width, words = spec.reciprocal.frac_bits + 1, spec.reciprocal.words
        reciprocal = family.rom(m, "reciprocals", width, words, below, self.pipeline.read)

        product = Signal(signed(len(exponential) + len(reciprocal) + 1))
        m.d.comb += product.eq(family.product(m, "product", exponential, reciprocal, self.pipeline.wide))
        probability = Signal(signed(len(product)))
        parts = [round_parts(product, spec.product_shift + k) for k in range(places)]
        if self.pipeline.result > 3:
            floor, carry = Array(floor for floor, _ in parts)[extra], Array(carry for _, carry in parts)[extra]
            m.d.sync += probability.eq(delayed(m, floor, 1, "floor") + delayed(m, carry, 1, "carry"))
        else:
            m.d.sync += probability.eq(Array(floor + carry for floor, carry in parts)[extra])
        return probability
