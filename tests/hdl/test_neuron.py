"""Activation and offset against the golden model, over every magnitude of sum and around every segment boundary."""

import numpy as np
import pytest
from amaranth.hdl import Const
from unit_bench import make_sizes, plant, play, random_words

from fregen.fixed import round_shift
from fregen.golden import ActivationModel, Carrier, OffsetModel
from fregen.hdl import neuron as neuron_module
from fregen.hdl import requant
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


def sizes_of(name, form, contexts=1):
    state, weight, offset, function, segments, reach = DESIGNS[name]
    numerics = {
        "state": state, "weight": weight, "offset": offset,
        "activation": {"function": function, "segments": segments, "range": reach},
    }  # fmt: skip
    sections = {"network": {"beta": 2**-2}, "learning": {"nudged": form}, "hardware": {"samples": contexts}}
    return make_sizes((3, *HIDDEN, 4), numerics=numerics, **sections)


def unit_of(sizes, pipeline=PORTABLE):
    kept = sizes.memory.kept_words
    return NeuronUnit(sizes.spec, sizes.sum_width, kept, sizes.word_width, pipeline, sizes.contexts)


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
    assert sizes.memory.kept_words == NEURONS
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
@pytest.mark.parametrize(("depths", "latency"), [((3, 4, 3), 12), ((2, 5, 4), 13), ((2, 5, 5), 14), ((2, 1, 7), 12)])
def test_deeper_memories_multiplier_and_rounding_give_the_same_words_later(depths, latency, form):
    pipeline = Pipeline(read=depths[0], wide=depths[1], result=depths[2])
    assert pipeline.neuron == latency
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


def merged(sizes, rng, pipeline):
    """Passes of samples in flight, mixed word by word: rows, words by cycle, and (cycle, context, changed).

    A context's next pass begins when its last one's words are out; before it, what has changed is forgotten.
    """
    spec, count, latency = sizes.spec, sizes.contexts, pipeline.neuron
    steps = [
        list(passes_of(spec, interesting_sums(spec, sizes.sum_width, rng)[: 2 * NEURONS], rng)) for _ in range(count)
    ]
    begun, waits, before, slopes = [None] * count, [0] * count, [[0] * NEURONS for _ in range(count)], [None] * count
    rows, words, checks = [], {}, []
    while any(steps) or any(begun):
        now, row = len(rows), {"valid": 0, "clear": 0, "context": int(rng.integers(count))}
        able = [context for context in range(count) if now >= waits[context] and (begun[context] or steps[context])]
        if able and rng.random() < 0.95:
            context = int(rng.choice(able))
            if not begun[context]:
                is_offset, first, chunk = steps[context].pop(0)
                found = in_golden_words(spec, chunk, slopes[context]) if is_offset else in_golden_words(spec, chunk)
                slopes[context] = slopes[context] if is_offset else found[1]
                limited = found[1] if is_offset else [0] * NEURONS
                begun[context] = [(n, h, is_offset, first, found[0][n], limited[n]) for n, h in enumerate(chunk)]
                row["clear"] = 1 << context
                is_changed = found[0] != ([0] * NEURONS if first else before[context])
                before[context] = found[0]
                checks.append((None, context, int(is_changed)))
                waits[context] = now + 1
            else:
                n, h, is_offset, first, word, limited = begun[context].pop(0)
                row |= {"valid": 1, "sum": h, "neuron": n, "is_offset": is_offset, "first": first, "context": context}
                words[now + latency] = (word, int(is_offset), limited, context)
                if not begun[context]:
                    begun[context], waits[context] = None, now + latency + 2
                    place = max(k for k, check in enumerate(checks) if check[1] == context)
                    checks[place] = (now + latency + 1, *checks[place][1:])
        rows.append(row)
    return [*rows, {"valid": 0, "clear": 0}], words, checks


def differences_in_flight(form, contexts, seed=0, pipeline=PORTABLE):
    """All that differs from the golden model when samples come mixed, and what was compared."""
    sizes = sizes_of("8/12 tanh 8", form, contexts)
    rows, words, checks = merged(sizes, np.random.default_rng(seed), pipeline)
    unit = unit_of(sizes, pipeline)
    ports = ["o_valid", "o_word", "o_offset", "saturated", "o_context", "changed"]
    found = play(unit, rows, ports, after=unit.latency + 1)
    seen = {t: record for t, (valid, *record, _) in enumerate(found) if valid}
    seen = {t: tuple(record) for t, record in seen.items()}
    wrong = [(t, seen.get(t), words.get(t)) for t in sorted({*seen, *words}) if seen.get(t) != words.get(t)]
    wrong += [("changed", t, context) for t, context, changed in checks if found[t][5] >> context & 1 != changed]
    return wrong, words, checks


@pytest.mark.parametrize(("form", "contexts"), [("offset", 2), ("offset", 4), ("states", 2)])
def test_samples_in_flight_keep_words_slopes_and_changes_apart(form, contexts):
    """Neurons of several samples come mixed, each sample's own step by step."""
    wrong, words, checks = differences_in_flight(form, contexts)
    assert not wrong, wrong[:5]
    assert {changed for _, _, changed in checks} == {0, 1}
    assert {context for *_, context in words.values()} == set(range(contexts))


def test_samples_in_flight_in_a_deeper_pipeline():
    assert not differences_in_flight("offset", 2, pipeline=Pipeline(read=3, wide=4, result=5))[0]


CONTEXT_FAULTS = {
    "slopes and words of all in one place": (
        "elaborate",
        {"Cat(self.neuron, self.context[: self.context_bits])": "Cat(self.neuron, Const(0, self.context_bits))"},
    ),
    "the context that comes": ("elaborate", {"neuron[end][len(self.neuron) :]": "self.context"}),
    "a change told to all": ("_compare", {"differs & (owner == context)": "differs"}),
    "all forgotten with one": ("_compare", {"self.clear[context]": "self.clear.any()"}),
    "words of all compared": (
        "_compare",
        {"previous.write_address.eq(neuron)": "previous.write_address.eq(neuron >> 1)"},
    ),
    "slopes of all kept": (
        "_kept_slope",
        {"slopes.read_address.eq(neuron[1])": "slopes.read_address.eq(neuron[1][:-1])"},
    ),
}


@pytest.mark.parametrize("fault", CONTEXT_FAULTS)
def test_the_bench_sees_samples_that_meet(monkeypatch, fault):
    method, changes = CONTEXT_FAULTS[fault]
    plant(monkeypatch, NeuronUnit, changes, method)
    assert differences_in_flight("offset", 2)[0]


MUTANTS = {
    (neuron_module, "round_parts"): lambda word, shift: (word >> shift if shift > 0 else word << -shift, Const(0, 1)),
    (requant, "limit"): lambda word, target, is_fit: word[: target.width].as_signed(),
    (requant, "fits"): lambda word, width: word.any(),
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant[1])
def test_the_bench_sees_a_mutant(monkeypatch, mutant):
    monkeypatch.setattr(*mutant, MUTANTS[mutant])
    wrong, _, _ = differences("8/12 tanh 8", "offset")
    assert wrong
