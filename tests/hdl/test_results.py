"""The way of results through the core, alone: sums to activations and softmax, words and errors to their places.

Activations and the softmax unit are stood in for by ports that the test drives.
"""

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from unit_bench import make_spec, pack, plant, play, unpack

from fregen.hdl.core import Core
from fregen.hdl.links import sum_signature, word_signature
from fregen.hdl.neuron import NeuronUnit
from fregen.hdl.softmax import SoftmaxUnit
from fregen.plan import Drain

pytestmark = [pytest.mark.rtl, pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")]


class Results(wiring.Component):
    """The core's results between ports in place of the array, the activations, the softmax unit and the memories."""

    def __init__(self, core):
        self.core, sizes = core, core.sizes
        memory, pipeline, spec = sizes.memory, sizes.pipeline, sizes.spec
        neuron = NeuronUnit(spec, sizes.sum_width, memory.kept_words, sizes.word_width, pipeline, sizes.contexts)
        softmax = SoftmaxUnit(spec.softmax, pipeline, sizes.contexts)
        self.names = [f"neuron_{k}" for k in range(sizes.drain)]
        super().__init__(
            {
                "drained": In(sum_signature(sizes)),
                "write": Out(word_signature(sizes)),
                "softmax": Out(softmax.signature.flip()),
                **{name: Out(neuron.signature.flip()) for name in self.names},
            }
        )

    def elaborate(self, platform):
        m = Module()
        neurons = [getattr(self, name) for name in self.names]
        self.core._results(m, self.drained, neurons, self.softmax, self.write)
        return m


def results_of(lanes, drain, samples=1, layers=(3, 9, 7)):
    core = Core(make_spec(layers, lanes, hardware={"samples": samples, "drain": drain}))
    return core.sizes, Results(core)


def sum_differences(lanes, drain, cycles=200, seed=0):
    """Sums of all kinds at random: where they go, and where they do not; then the words that come of them."""
    (sizes, unit), rng = results_of(lanes, drain), np.random.default_rng(seed)
    latency, kinds = sizes.pipeline.neuron, [Drain.STATE, Drain.OFFSET, Drain.SOFTMAX]
    rows, wanted, places = [], [], []
    for _ in range(cycles):
        kind, count = kinds[rng.integers(3)], int(rng.integers(drain + 1))
        valid = (1 << count) - 1 if kind is not Drain.SOFTMAX else (1 << int(rng.integers(drain))) * (count > 0)
        sums = [int(rng.integers(-900, 900)) for _ in range(drain)]
        words = [int(rng.integers(-90, 90)) for _ in range(drain)]
        comes, is_offset = [int(rng.integers(2)) for _ in range(drain)], int(rng.integers(2))
        place = int(rng.integers(1 << sizes.vector_address)), drain * int(rng.integers(lanes // drain))
        rows.append({
            "drained.valid": valid, "drained.sums": pack(sums, sizes.sum_width), "drained.drain": int(kind),
            "drained.neuron": int(rng.integers(1, 4)), "drained.target": place[0], "drained.lane": place[1],
            **{f"neuron_{k}.o_valid": comes[k] for k in range(drain)},
            **{f"neuron_{k}.o_word": words[k] for k in range(drain)},
            **{f"neuron_{k}.o_offset": is_offset for k in range(drain)},
        })  # fmt: skip
        is_logit = kind is Drain.SOFTMAX
        logit = sums[valid.bit_length() - 1] if is_logit and valid else None
        to_neurons = [valid >> k & 1 & (not is_logit) for k in range(drain)]
        wanted.append((logit, to_neurons, sums, pack(comes, 1), is_offset, words))
        places.append(place)
    outputs = ["softmax.valid", "softmax.sum", "write.valid", "write.is_offset", "write.words"]
    outputs += ["write.address", "write.lane"]
    outputs += [f"neuron_{k}.{port}" for k in range(drain) for port in ("valid", "sum", "neuron", "is_offset")]
    wrong = []
    for cycle, (record, want, row) in enumerate(zip(play(unit, rows, outputs), wanted, rows, strict=True)):
        logit, to_neurons, sums, valid, is_offset, words = want
        if (record[1] if record[0] else None) != logit:
            wrong.append((cycle, "logit", record[:2], logit))
        neuron, kind = row["drained.neuron"], int(row["drained.drain"] == Drain.OFFSET)
        for k in range(drain):
            if record[7 + 4 * k : 11 + 4 * k] != (to_neurons[k], sums[k], neuron, kind):
                wrong.append((cycle, "neuron", k))
        if record[2:4] != (valid, is_offset) or unpack(record[4], sizes.word_width, drain) != words:
            wrong.append((cycle, "words", record[2:5]))
        if cycle >= latency and record[5:7] != places[cycle - latency]:
            wrong.append((cycle, "place", record[5:7]))
    return wrong


def error_differences(lanes, drain, samples=1):
    """Errors of all classes, at their places: of each sample in flight after the logits of all."""
    sizes, unit = results_of(lanes, drain, samples)
    classes, rows, wanted = sizes.spec.softmax.classes, [], []
    bases = [3 + 2 * context for context in range(samples)]
    for context, base in enumerate(bases):
        for neuron in range(classes):
            target = base + neuron // lanes
            at = {"drained.neuron": neuron, "drained.target": target, "drained.context": context}
            lane = neuron % lanes
            rows.append({"drained.drain": int(Drain.SOFTMAX), "drained.valid": 1 << lane % drain, **at})
    rows.append({"drained.valid": 0, "drained.target": 0, "drained.neuron": 0})
    begin = len(rows)
    for context, base in enumerate(bases):
        for index in range(classes):
            word, busy = 5 * index - 11, {f"neuron_{k}.o_word": 99 for k in range(drain)}
            rows.append({
                "softmax.o_valid": 1, "softmax.o_index": index, "softmax.o_word": word, "softmax.o_context": context,
                **busy,
            })  # fmt: skip
            wanted.append((base + index // lanes, index % lanes, word))
    found = play(unit, rows, [f"write.{name}" for name in ("valid", "is_offset", "address", "lane", "words")])
    wrong = []
    for (valid, is_offset, address, lane, words), want in zip(found[begin:], wanted, strict=True):
        row = unpack(words, sizes.word_width, drain)
        places = [(address, lane + k, row[k]) for k in range(drain) if valid >> k & 1]
        if places != [want] or not is_offset or lane % drain:
            wrong.append((places, want, is_offset))
    return wrong


WIDTHS = [(1, 1), (4, 1), (2, 2), (4, 2), (8, 2), (4, 4), (8, 4)]


@pytest.mark.parametrize(("lanes", "drain"), WIDTHS)
def test_sums_go_to_their_activations_and_logits_to_the_softmax_unit(lanes, drain):
    wrong = sum_differences(lanes, drain)
    assert not wrong, wrong[:5]


@pytest.mark.parametrize("samples", [1, 2, 4])
@pytest.mark.parametrize(("lanes", "drain"), WIDTHS)
def test_every_error_is_written_at_the_place_of_its_class(lanes, drain, samples):
    """Seven classes: on 2 and on 4 lanes of more than one row, of which the last is not full."""
    wrong = error_differences(lanes, drain, samples)
    assert not wrong, wrong[:5]


FAULTS = {
    "an error in the first word of its row": {"1 << error_lane[:drain_bits]": "1"},
    "an error in all words of its row": {"1 << error_lane[:drain_bits]": "-1"},
    "an error in the next row": {"error_lane & ~(self.sizes.drain - 1)": "error_lane + self.sizes.drain"},
    "an error in a lane that is no multiple": {"error_lane & ~(self.sizes.drain - 1)": "error_lane"},
    "the first logit of a row alone": {"logit.eq(drained.sums[k])": "logit.eq(drained.sums[0])"},
    "logits that activations take, too": {"drained.valid[k] & ~to_softmax": "drained.valid[k]"},
    "sums of the first neuron": {"neuron.sum.eq(drained.sums[k])": "neuron.sum.eq(drained.sums[0])"},
    "all words or none": {"Cat(neuron.o_valid for neuron in neurons)": "neurons[0].o_valid.replicate(len(neurons))"},
    "words exchanged": {"write.words[k].eq": "write.words[k ^ 1].eq"},
    "a lane that comes too soon": {'delayed(m, drained.lane, latency, "lane")': "drained.lane"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_sees(monkeypatch, fault):
    plant(monkeypatch, Core, FAULTS[fault], "_results")
    assert sum_differences(8, 2) or error_differences(4, 2)
