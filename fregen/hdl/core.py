"""The core: everything between the sample stream and the prediction stream."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring

from ..plan import Drain, Schedule
from ..spec.network import NetworkSpec
from .array import ArrayUnit
from .beat import Sizes
from .counters import CounterUnit
from .delay import delayed
from .library import UnitLibrary, add_unit, add_units
from .neuron import NeuronUnit
from .pick import pick
from .ports import core_members
from .samples import SampleUnit
from .sequencer import SequencerUnit
from .softmax import SoftmaxUnit
from .vectors import VectorUnit
from .weight_port import WeightPort

__all__ = ["Core"]

_UNITS = ("samples", "sequencer", "vectors", "array", "softmax", "counter", "weights")


class Core(wiring.Component):
    """A network that infers and learns.

    Bit-exact to :class:`fregen.golden.NetworkModel`.

    Parameters
    ----------
    spec : NetworkSpec
        The network, with its numerics, learning and lanes.
    counter_start : mapping of str to int, optional
        What counters begin with at reset, by name: 0 but for tests.
    library : UnitLibrary, optional
        Makes modules of its units.

    Members
    -------
    sample, prediction, weight_in, weight_out, dump, rate, idle, counters, probe
        See :func:`fregen.hdl.ports.core_ports`, which says of every port what it means.

    Timing
    ------
    See :class:`fregen.plan.CycleModel`: cycles of every phase, exact.  All streams stall losslessly.  After reset the
    weights are whatever they were (0 after configuration).
    """

    def __init__(
        self, spec: NetworkSpec, counter_start: Mapping[str, int] | None = None, library: UnitLibrary | None = None
    ) -> None:
        self.sizes = Sizes(Schedule.of(spec))
        self.counter_start = counter_start
        self.library = library
        super().__init__(core_members(self.sizes))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sizes, spec = self.sizes, self.sizes.spec
        samples, sequencer, vectors = SampleUnit(sizes), SequencerUnit(sizes), VectorUnit(sizes)
        array, softmax = ArrayUnit(sizes, self.library), SoftmaxUnit(spec.softmax, sizes.pipeline, sizes.contexts)
        counters, weights = CounterUnit(sizes, self.counter_start), WeightPort(sizes)
        units = (samples, sequencer, vectors, array, softmax, counters, weights)
        for name, unit in zip(_UNITS, units, strict=True):
            add_unit(m, name, unit, self.library)
        kept = spec, sizes.sum_width, sizes.memory.kept_words, sizes.word_width, sizes.pipeline, sizes.contexts
        neurons = add_units(m, "activation", lambda: NeuronUnit(*kept), sizes.drain, self.library)

        wiring.connect(m, wiring.flipped(self.sample), samples.i)
        wiring.connect(m, samples.sample, sequencer.sample)
        wiring.connect(m, sequencer.mask, samples.mask)
        wiring.connect(m, array.vectors, vectors.read)
        wiring.connect(m, array.move, vectors.move)
        wiring.connect(m, weights.lanes, array.outside)
        wiring.connect(m, sequencer.work, counters.work)
        wiring.connect(m, sequencer.events, counters.events)
        wiring.connect(m, wiring.flipped(self.weight_in), weights.i)
        wiring.connect(m, weights.o, wiring.flipped(self.weight_out))

        # No sample was begun in the cycle before, and what is held now does not begin.
        may_start = Signal(init=1)
        m.d.sync += may_start.eq(sequencer.idle & ~samples.sample.take)

        # The list answers soon after the beat.
        pipeline = sizes.pipeline
        index = delayed(m, samples.index, pipeline.address - pipeline.lead - pipeline.steer, "index")
        word_index = delayed(m, index, pipeline.lead, "word_index")
        m.d.comb += [
            samples.list_index.eq(sequencer.list_index),
            samples.list_bank.eq(sequencer.list_bank),
            samples.word_slot.eq(array.inputs.slot),
            samples.word_index.eq(Mux(array.inputs.from_list, word_index, array.inputs.index)),
            array.beat.eq(sequencer.beat),
            array.index.eq(index),
            array.input_word.eq(samples.word),
            array.next_update.eq(sequencer.events.update),
            sequencer.rate.eq(self.rate),
            sequencer.hold.eq(weights.busy),
            sequencer.changed.eq(reduce(or_, (neuron.changed for neuron in neurons))),
            *(neuron.clear.eq(sequencer.clear) for neuron in neurons),
            softmax.label.eq(pick(sequencer.labels, softmax.context)),
            weights.dump.eq(self.dump),
            weights.may_start.eq(may_start),
            counters.limited_weights.eq(array.write.limited),
            counters.limited_offsets.eq(Cat(neuron.saturated for neuron in neurons)),
            self.counters.eq(counters.o),
            self.idle.eq(may_start & ~weights.busy & ~samples.sample.loaded),
        ]
        self._results(m, array.o, neurons, softmax, vectors.write)
        prediction = pick(softmax.prediction, sequencer.emit_context)
        self._predict(m, sequencer, prediction)
        is_error = delayed(m, softmax.o_valid, pipeline.write, "write_error")
        self._observe(m, sequencer, vectors, is_error, array.write)
        context = Mux(softmax.o_valid, softmax.o_context, neurons[0].o_context)
        m.d.comb += self.probe.word_context.eq(delayed(m, context, pipeline.write, "write_context"))
        return m

    def _results(
        self,
        m: Module,
        drained: wiring.PureInterface,
        neurons: Sequence[wiring.PureInterface],
        softmax: SoftmaxUnit,
        write: wiring.PureInterface,
    ) -> None:
        """Give sums to the neuron and the softmax unit, and their words to the vector memories."""
        lane_bits, drain_bits, latency = self.sizes.lane_bits, self.sizes.drain_bits, self.sizes.pipeline.neuron
        to_softmax = drained.drain == Drain.SOFTMAX
        target = delayed(m, drained.target, latency, "target")
        lane = delayed(m, drained.lane, latency, "lane")
        contexts, late = self.sizes.contexts, self.sizes.pipeline.write
        error_bases = Signal(data.ArrayLayout(len(drained.target), contexts))
        first_target = delayed(m, drained.target, 1, "first_target")  # long before the first error is there
        for k in range(contexts):
            is_first = drained.valid.any() & to_softmax & (drained.neuron == 0) & (drained.context == k)
            with m.If(delayed(m, is_first, 1, f"is_first_logit_{k}")):
                m.d.sync += error_bases[k].eq(first_target)
        error_base = pick(error_bases, softmax.o_context)
        logit, registers = Signal.like(softmax.sum, name="logit"), self.sizes.pipeline.logit
        m.d.comb += logit.eq(drained.sums[0])
        error_lane = softmax.o_index[:lane_bits] if lane_bits else Const(0, 1)
        from_neurons = Cat(neuron.o_valid for neuron in neurons)
        written = {
            "valid": Mux(softmax.o_valid, 1 << error_lane[:drain_bits], from_neurons)[: len(neurons)],
            "is_offset": softmax.o_valid | neurons[0].o_offset,
            "address": Mux(softmax.o_valid, error_base + (softmax.o_index >> lane_bits), target)[: len(target)],
            "lane": Mux(softmax.o_valid, error_lane & ~(self.sizes.drain - 1), lane),
        }
        m.d.comb += [
            softmax.valid.eq(delayed(m, drained.valid.any() & to_softmax, registers, "logit_valid")),
            softmax.sum.eq(delayed(m, logit, registers, "logit")),
            softmax.index.eq(delayed(m, drained.neuron, registers, "logit_class")),
            softmax.context.eq(delayed(m, drained.context, registers, "logit_context")),
            softmax.wants_error.eq(delayed(m, drained.wants_error, registers, "logit_wants_error")),
            *(getattr(write, name).eq(delayed(m, value, late, f"write_{name}")) for name, value in written.items()),
        ]
        for k, neuron in enumerate(neurons):
            m.d.comb += [
                neuron.valid.eq(drained.valid[k] & ~to_softmax),
                neuron.sum.eq(drained.sums[k]),
                neuron.neuron.eq(drained.neuron),
                neuron.context.eq(drained.context),
                neuron.is_offset.eq(drained.drain == Drain.OFFSET),
                neuron.first.eq(drained.first),
                write.words[k].eq(
                    delayed(m, Mux(softmax.o_valid, softmax.o_word, neuron.o_word), late, f"write_word_{k}")
                ),
            ]
            if k:  # logits come one a cycle
                with m.If(drained.valid[k]):
                    m.d.comb += logit.eq(drained.sums[k])

    def _predict(self, m: Module, sequencer: SequencerUnit, prediction: Value) -> None:
        """Hold one prediction until it is taken."""
        o = self.prediction
        m.d.comb += sequencer.emit_ready.eq(~o.valid | o.ready)
        with m.If(sequencer.emit & sequencer.emit_ready):
            m.d.sync += [o.valid.eq(1), o.payload.eq(prediction)]
        with m.Elif(o.ready):
            m.d.sync += o.valid.eq(0)

    def _observe(
        self,
        m: Module,
        sequencer: SequencerUnit,
        vectors: VectorUnit,
        is_error: Value,
        weights: wiring.PureInterface,
    ) -> None:
        """Show every word that is written."""
        probe, phases = self.probe, sequencer.phases
        m.d.comb += [
            probe.phase.eq(Mux(probe.word_valid.any(), pick(phases, probe.word_context), phases[0])),
            probe.word_valid.eq(vectors.write.valid),
            probe.word_offset.eq(vectors.write.is_offset),
            probe.word_error.eq(is_error),
            probe.word_address.eq(vectors.write.address),
            probe.word_lane.eq(vectors.write.lane),
            probe.words.eq(vectors.write.words.as_value()),
            probe.contrast_valid.eq(vectors.move.subtract),
            probe.contrast_address.eq(vectors.move.target),
            probe.contrast_context.eq(vectors.move.context),
            probe.contrast.eq(vectors.written.as_value()),
            probe.weight_write.eq(Mux(weights.is_update, weights.lanes, 0)),
            probe.weight_address.eq(weights.address),
            probe.weight_words.eq(weights.words.as_value()),
            probe.update.eq(sequencer.events.update),
        ]
