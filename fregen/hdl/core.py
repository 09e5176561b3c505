"""The core: everything between the sample stream and the prediction stream."""

from collections.abc import Mapping

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring

from ..plan import Drain, Schedule
from ..spec.network import NetworkSpec
from .array import ArrayUnit
from .beat import Sizes
from .counters import CounterUnit
from .delay import delayed
from .library import submodule
from .neuron import NeuronUnit
from .ports import core_members
from .samples import SampleUnit
from .sequencer import SequencerUnit
from .softmax import SoftmaxUnit
from .vectors import VectorUnit
from .weights import WeightPort

__all__ = ["Core"]

_UNITS = ("samples", "sequencer", "vectors", "array", "neuron", "softmax", "counters", "weights")


class Core(wiring.Component):
    """A network that infers and learns.

    Bit-exact to :class:`fregen.golden.NetworkModel`.

    Parameters
    ----------
    spec : NetworkSpec
        The network, with its numerics, learning and lanes.
    counter_start : mapping of str to int, optional
        What counters begin with at reset, by name: 0 but for tests.

    Members
    -------
    sample, prediction, weight_in, weight_out, dump, rate, idle, counters, probe
        See :func:`fregen.hdl.ports.core_ports`, which says of every port what it means.

    Timing
    ------
    See :class:`fregen.plan.CycleModel`: cycles of every phase, exact.  All streams stall losslessly.  After reset the
    weights are whatever they were (0 after configuration).
    """

    def __init__(self, spec: NetworkSpec, counter_start: Mapping[str, int] | None = None) -> None:
        self.sizes = Sizes(Schedule.of(spec))
        self.counter_start = counter_start
        super().__init__(core_members(self.sizes))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sizes, spec = self.sizes, self.sizes.spec
        samples, sequencer, vectors = SampleUnit(sizes), SequencerUnit(sizes), VectorUnit(sizes)
        array, softmax, weights = ArrayUnit(sizes), SoftmaxUnit(spec.softmax, sizes.pipeline), WeightPort(sizes)
        neuron = NeuronUnit(spec, sizes.sum_width, sizes.memory.hidden_neurons, sizes.word_width, sizes.pipeline)
        counters = CounterUnit(sizes, self.counter_start)
        units = (samples, sequencer, vectors, array, neuron, softmax, counters, weights)
        for name, unit in zip(_UNITS, units, strict=True):
            m.submodules[name] = submodule(unit, platform)

        # Samples to sequencer.
        wiring.connect(m, wiring.flipped(self.sample), samples.i)
        m.d.comb += [
            samples.busy.eq(sequencer.busy_slots),
            samples.take.eq(sequencer.take),
            samples.list_index.eq(sequencer.list_index),
            samples.mask_index.eq(sequencer.mask_index),
            sequencer.loaded.eq(samples.loaded),
            sequencer.slot.eq(samples.slot),
            sequencer.learn.eq(samples.learn),
            sequencer.close.eq(samples.close),
            sequencer.nonzero.eq(samples.nonzero),
            sequencer.mask.eq(samples.mask),
            sequencer.rate.eq(self.rate),
            sequencer.changed.eq(neuron.changed),
            neuron.clear.eq(sequencer.clear),
        ]

        # Beats to memories and lanes.
        late, moved = array.late_1, array.late_2
        # The list answers one cycle after the beat.
        index = delayed(m, samples.index, sizes.pipeline.address - 1, "index")
        m.d.comb += [
            array.beat.eq(sequencer.beat),
            array.index.eq(index),
            samples.pixel_slot.eq(late.slot),
            samples.pixel_index.eq(Mux(late.from_list, index, late.index)),
            vectors.state_address.eq(late.state),
            vectors.offset_address.eq(late.offset),
            array.states.eq(vectors.states),
            array.offsets.eq(vectors.offsets),
            array.pixel.eq(samples.pixel),
            array.next_update.eq(sequencer.update),
            vectors.copy.eq(moved.copy),
            vectors.keep.eq(moved.keep),
            vectors.subtract.eq(moved.subtract),
            vectors.to_offsets.eq(moved.move_to_offsets),
            vectors.move_address.eq(moved.target),
        ]

        # Sums to neuron and softmax, results to the vector memories.
        to_softmax = array.o_drain == Drain.SOFTMAX
        target = delayed(m, array.o_target, neuron.latency, "target")
        lane = delayed(m, array.o_lane, neuron.latency, "lane")
        error_base = Signal.like(array.o_target)
        with m.If(array.o_valid & to_softmax & (array.o_neuron == 0)):
            m.d.sync += error_base.eq(array.o_target)
        error_group = softmax.o_index >> sizes.lane_bits
        m.d.comb += [
            neuron.valid.eq(array.o_valid & ~to_softmax),
            neuron.sum.eq(array.o_sum),
            neuron.neuron.eq(array.o_neuron),
            neuron.is_offset.eq(array.o_drain == Drain.OFFSET),
            neuron.first.eq(array.o_first),
            softmax.valid.eq(array.o_valid & to_softmax),
            softmax.sum.eq(array.o_sum),
            softmax.index.eq(array.o_neuron),
            softmax.wants_error.eq(array.o_wants_error),
            softmax.label.eq(samples.label),
            vectors.word_valid.eq(neuron.o_valid | softmax.o_valid),
            vectors.word_offset.eq(softmax.o_valid | neuron.o_offset),
            vectors.word_address.eq(Mux(softmax.o_valid, error_base + error_group, target)),
            vectors.word_lane.eq(
                Mux(softmax.o_valid, softmax.o_index[: sizes.lane_bits] if sizes.lane_bits else 0, lane)
            ),
            vectors.word.eq(Mux(softmax.o_valid, softmax.o_word, neuron.o_word)),
        ]

        # Predictions.
        m.d.comb += sequencer.emit_ready.eq(~self.prediction.valid | self.prediction.ready)
        with m.If(sequencer.emit & sequencer.emit_ready):
            m.d.sync += [self.prediction.valid.eq(1), self.prediction.payload.eq(softmax.prediction)]
        with m.Elif(self.prediction.ready):
            m.d.sync += self.prediction.valid.eq(0)

        # Weights in and out.
        wiring.connect(m, wiring.flipped(self.weight_in), weights.i)
        wiring.connect(m, weights.o, wiring.flipped(self.weight_out))
        m.d.comb += [
            weights.dump.eq(self.dump),
            weights.may_start.eq(sequencer.idle),
            weights.weights.eq(array.weights),
            sequencer.hold.eq(weights.busy),
            array.load.eq(weights.load),
            array.load_lane.eq(weights.load_lane),
            array.load_word.eq(weights.load_word),
            array.read.eq(weights.read),
            array.address.eq(weights.address),
            self.idle.eq(sequencer.idle & ~weights.busy & ~samples.loaded),
        ]

        # Counters.
        beat = sequencer.beat
        m.d.comb += [
            counters.phase.eq(sequencer.phase),
            counters.busy.eq(sequencer.phase_busy),
            counters.mac_valid.eq(beat.valid & ~beat.null),
            counters.mac_ring.eq(beat.ring),
            counters.mac_turned.eq(sequencer.turned),
            counters.mac_rows.eq(beat.rows),
            counters.mac_columns.eq(beat.columns),
            counters.sample.eq(sequencer.sample),
            counters.free_step.eq(sequencer.free_step),
            counters.nudged_step.eq(sequencer.nudged_step),
            counters.update.eq(sequencer.update),
            counters.weights.eq(array.saturated),
            counters.offset.eq(neuron.saturated),
            self.counters.eq(counters.o),
        ]

        # Observation points.
        probe = self.probe
        m.d.comb += [
            probe.phase.eq(sequencer.phase),
            probe.word_valid.eq(vectors.word_valid),
            probe.word_offset.eq(vectors.word_offset),
            probe.word_error.eq(softmax.o_valid),
            probe.word_address.eq(vectors.word_address),
            probe.word_lane.eq(vectors.word_lane),
            probe.word.eq(vectors.word),
            probe.contrast_valid.eq(vectors.subtract),
            probe.contrast_address.eq(vectors.move_address),
            probe.contrast.eq(vectors.line.as_value()),
            probe.weight_write.eq(Mux(array.updates, array.write, 0)),
            probe.weight_address.eq(array.write_address),
            probe.weight_words.eq(array.write_words.as_value()),
            probe.update.eq(sequencer.update),
        ]
        return m
