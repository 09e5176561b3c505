"""Activation and offset against the golden model, over every magnitude of sum and around every segment boundary."""

import numpy as np
import pytest
from unit_bench import make_sizes, play, random_words

from fregen.fixed import round_shift
from fregen.golden import ActivationModel, Carrier, OffsetModel
from fregen.hdl import neuron as neuron_module
from fregen.hdl.neuron import NeuronUnit
from fregen.plan import PORTABLE, Pipeline

pytestmark = pytest.mark.rtl

NEURONS = 64
HIDDEN = (40, 24)

DESIGNS = {  # state, weight, offset, function, segments, range
    "4/12 tanh 8": ("q1.3", "q2.10", "q1.5", "tanh", 8, 4),
    "4/12 hard-tanh": ("q2.2", "q2.10", "q2.2", "hard-tanh", 1, 4),
    "8/12 tanh 8": ("q1.7", "q2.10", "q1.7", "tanh", 8, 4),
    "8/12 hard-sigmoid": ("q1.7", "q2.10", "q3.5", "hard-sigmoid", 1, 4),
    "16/16 tanh 8": ("q1.15", "q3.13", "q3.13", "tanh", 8, 4),
    "16/16 tanh 64": ("q1.15", "q3.13", "q3.13", "tanh", 64, 8),
    "16/16 tanh 512": ("q2.14", "q3.13", "q1.15", "tanh", 512, 4),
    "16/16 hard-tanh": ("q1.15", "q3.13", "q3.13", "hard-tanh", 1, 4),
    "18/18 tanh 1": ("q1.17", "q3.15", "q3.15", "tanh", 1, 1),
    "24/16 tanh 64": ("q1.23", "q3.13", "q1.7", "tanh", 64, 4),
    "18/24 tanh 512": ("q1.17", "q3.21", "q1.23", "tanh", 512, 2),
    "18/24 hard-sigmoid": ("q3.15", "q3.21", "q3.13", "hard-sigmoid", 1, 4),
}


def sizes_of(name, form):
    state, weight, offset, function, segments, reach = DESIGNS[name]
    numerics = {
        "state": state, "weight": weight, "offset": offset,
        "activation": {"function": function, "segments": segments, "range": reach},
    }  # fmt: skip
    return make_sizes((3, *HIDDEN, 4), numerics=numerics, network={"beta": 2**-2}, learning={"nudged": form})


def unit_of(sizes, pipeline=PORTABLE):
    return NeuronUnit(sizes.spec, sizes.sum_width, sizes.memory.hidden_neurons, sizes.word_width, pipeline)


def interesting_sums(spec, width, rng):
    """0, ±1, the extremes, each segment boundary ±1 (of many segments: some), and random ones of all magnitudes."""
    top = (1 << (width - 1)) - 1
    sums = [0, 1, -1, top, -top, -top - 1, top - 1]
    segments = spec.activation.segments
    chosen = (
        range(1, segments + 1)
        if segments <= 16
        else sorted({1, 2, segments - 1, segments, *rng.integers(1, segments, 12)})
    )
    for k in chosen:
        sums += [sign * ((int(k) << spec.tau) + d) for sign in (1, -1) for d in (-1, 0, 1)]
    inside = spec.tau + (segments - 1).bit_length()
    sums += random_words(rng, width, 60) + random_words(rng, min(inside + 2, width), 90)
    sums = [h for h in sums if -top - 1 <= h <= top]
    return sums + [0] * (-len(sums) % NEURONS)


def in_golden_words(spec, sums, slopes=None):
    """State and slope words of sums; with slopes: offset words, and which were limited."""
    carrier = Carrier(spec)
    array = np.array([sums], dtype=carrier.dtype)
    out = np.empty_like(array)
    if slopes is None:
        model, segments = ActivationModel(spec, carrier), np.empty(array.shape, dtype=np.intp)
        model.step(array, out, segments)
        return out[0].astype(np.int64).tolist(), model.slopes(segments)
    model = OffsetModel(spec, carrier)
    count = model.step(model.operand(slopes), array, out)
    exact = [round_shift(int(slope) * h, spec.offset_shift) for slope, h in zip(slopes[0], sums, strict=True)]
    limited = [int(word != spec.offset.saturate(word)) for word in exact]
    assert sum(limited) == (0 if count is None else count[0])
    return out[0].astype(np.int64).tolist(), limited


def passes_of(spec, sums, rng):
    """(is_offset, first, sums) of every pass over all neurons: as steps of phases, some of them repeated."""
    for begin in range(0, len(sums), NEURONS):
        chunk = sums[begin : begin + NEURONS]
        yield False, True, chunk
        yield False, False, [h if rng.random() < 0.9 else sums[rng.integers(len(sums))] for h in chunk]
        yield False, False, chunk
        yield False, False, chunk
        if spec.has_offsets:
            other = random_words(rng, (abs(max(sums, key=abs))).bit_length(), NEURONS)
            other[:4] = [max(sums), min(sums), 0, 1]
            other = rng.permutation(np.array(other, dtype=object)).tolist()
            yield True, True, other
            yield True, False, other
            yield True, False, list(reversed(other))


def differences(name, form, seed=0, pipeline=PORTABLE):
    """Play all passes; (what, found, expected) of every difference from the golden model; and the outputs compared."""
    sizes, rng = sizes_of(name, form), np.random.default_rng(seed)
    spec, unit = sizes.spec, unit_of(sizes, pipeline)
    carrier_bound = Carrier(spec).largest_sum
    width = sizes.sum_width
    assert sizes.memory.hidden_neurons == NEURONS
    assert carrier_bound < 1 << (width - 1)
    sums = interesting_sums(spec, width, rng)
    if carrier_bound.bit_length() > 50:  # the golden carrier promises nothing beyond its bound
        sums = [max(-carrier_bound, min(carrier_bound, h)) for h in sums]
    rows, expected, checks = [], [], []
    before, slopes = [0] * NEURONS, None
    for is_offset, first, chunk in passes_of(spec, sums, rng):
        if is_offset:
            words, limited = in_golden_words(spec, chunk, slopes)
        else:
            words, slopes = in_golden_words(spec, chunk)
            limited = [0] * NEURONS
        rows.append({"valid": 0, "clear": 1})
        rows.append({"clear": 0})
        for n, h in enumerate(chunk):
            if rng.random() < 0.1:
                rows.append({"valid": 0, "sum": -1, "neuron": 0})
            expected.append((len(rows), (1, words[n], int(is_offset), limited[n])))
            rows.append({"valid": 1, "sum": h, "neuron": n, "is_offset": is_offset, "first": first})
        rows += [{"valid": 0}] * (unit.latency + 2)
        checks.append((len(rows) - 1, int(words != ([0] * NEURONS if first else before))))
        before = words
    found = play(unit, rows, ["o_valid", "o_word", "o_offset", "saturated", "changed"], after=unit.latency)
    valid = {t for t, record in enumerate(found) if record[0]}
    wrong = [("cycle", valid, 0)] if valid != {t + unit.latency for t, _ in expected} else []
    wrong += [
        ((t, "word"), found[t + unit.latency][:4], record)
        for t, record in expected
        if found[t + unit.latency][:4] != record
    ]
    wrong += [((t, "changed"), found[t][4], changed) for t, changed in checks if found[t][4] != changed]
    return wrong, expected, checks


@pytest.mark.parametrize(
    ("name", "form"), [*((name, "offset") for name in DESIGNS), *((name, "states") for name in list(DESIGNS)[::3])]
)
def test_words_equal_golden(name, form):
    wrong, expected, checks = differences(name, form)
    assert not wrong, f"{len(wrong)} of {len(expected)}: {wrong[:5]}"
    assert len(expected) >= 3 * 4 * NEURONS
    assert {changed for _, changed in checks} == {0, 1}, "both a step that changes words and one that changes none"
    if form == "offset":
        assert {limited for _, (_, _, is_offset, limited) in expected if is_offset} == {0, 1}


def test_latency_is_seven():
    unit = unit_of(sizes_of("16/16 tanh 8", "offset"))
    assert unit.latency == 7
    rows = [{"valid": 1, "sum": 5, "neuron": 1}, {"valid": 0}]
    found = play(unit, rows, ["o_valid"], after=12)
    assert [t for t, (valid,) in enumerate(found) if valid] == [7]


@pytest.mark.parametrize("form", ["offset", "states"])
def test_deeper_memories_and_multiplier_give_the_same_words_later(form):
    pipeline = Pipeline(read=3, multiply=4)
    assert pipeline.neuron == 12
    wrong, _, _ = differences("8/12 tanh 8", form, pipeline=pipeline)
    assert not wrong, wrong[:5]


def test_slopes_wait_through_other_neurons_and_later_offsets():
    """The slope is that of the last activation, however many offset steps follow."""
    sizes = sizes_of("8/12 tanh 8", "offset")
    spec, sums = sizes.spec, [k << (sizes.spec.tau - 1) for k in range(NEURONS)]
    _, slopes = in_golden_words(spec, sums)
    rows = [{"valid": 1, "sum": h, "neuron": n, "is_offset": 0, "first": 1} for n, h in enumerate(sums)]
    rows += [{"valid": 0}] * 9
    one = 1 << (spec.sum_frac_bits - 3)
    for _ in range(3):
        rows += [{"valid": 1, "sum": one, "neuron": n, "is_offset": 1} for n in reversed(range(NEURONS))]
    found = [word for valid, word in play(unit_of(sizes), rows, ["o_valid", "o_word"], after=7) if valid]
    words, _ = in_golden_words(spec, [one] * NEURONS, slopes)
    assert len(set(words)) > 2
    assert found[NEURONS:] == words[::-1] * 3


MUTANTS = {
    "round_shift": lambda word, shift: word >> shift if shift > 0 else word << -shift,
    "saturate": lambda word, target: word[: target.width].as_signed(),
    "fits": lambda word, width: word.any(),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_bench_sees_a_mutant(monkeypatch, mutant):
    monkeypatch.setattr(neuron_module, mutant, MUTANTS[mutant])
    wrong, _, _ = differences("8/12 tanh 8", "offset")
    assert wrong
