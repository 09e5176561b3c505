"""Prediction and error words against the golden model."""

from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Const
from unit_bench import plant, play, random_words

from fregen.design.document import Design
from fregen.fixed import Q
from fregen.golden import SoftmaxModel
from fregen.hdl import softmax as softmax_module
from fregen.hdl.requant import round_parts
from fregen.hdl.softmax import SoftmaxUnit
from fregen.plan import PORTABLE, Pipeline
from fregen.runs.softmax_cases import softmax
from fregen.spec.network import NetworkSpec, SoftmaxSpec

pytestmark = pytest.mark.rtl

SUM_WIDTH, SUM_FRAC = 34, 20
SAMPLES = 24


def spec_of(classes, error, frac=SUM_FRAC, width=SUM_WIDTH):
    return SoftmaxSpec(classes, frac, width, Q.parse(error))


def samples_of(spec, rng, count=SAMPLES):
    """(logits, label, wants_error) of samples: extremes, ties, random ones; labels beyond the classes too."""
    n, top = spec.classes, 1 << (spec.sum_width - 1)
    one = 1 << spec.sum_frac_bits
    labels = 1 << max((n - 1).bit_length(), 1)
    fixed = [
        [0] * n,
        [top - 1] * n,
        [-top] * n,
        [top - 1] + [-top] * (n - 1),
        [-top] * (n - 1) + [top - 1],
        [-5 * k for k in range(n)],
        [k * (one >> 5) + (one >> 6) for k in range(n)],
        [one * (k % 2) for k in range(n)],
    ]
    for index in range(count):
        if index < len(fixed):
            logits = fixed[index]
        elif index % 3 == 0:
            logits = random_words(rng, spec.sum_width, n)
        elif index % 3 == 1:
            logits = (rng.normal(0, 2, n) * one).astype(np.int64).tolist()
        else:
            logits = [int(word) * (one >> 2) for word in rng.integers(-2, 3, n)]
        yield logits, index % labels, index % 7 != 6


def differences(spec, seed=0, pipeline=PORTABLE, samples=None):
    """Samples one right after the other; all that differs from the golden model, and how many errors were compared."""
    rng, model, unit = np.random.default_rng(seed), SoftmaxModel(spec), SoftmaxUnit(spec, pipeline)
    n = spec.classes
    rows, errors, predictions = [], {}, []
    for logits, label, wants_error in samples or samples_of(spec, rng):
        array = np.array([logits], dtype=np.int64)
        for index, word in enumerate(logits):
            if index and rng.random() < 0.2:
                rows.append({"valid": 0})
            rows.append({"valid": 1, "sum": word, "index": index, "wants_error": wants_error, "label": label})
        last = len(rows) - 1
        predictions.append((last + 1, int(model.predict(array)[0])))
        if not wants_error:
            rows.append({"valid": 0})
            continue
        target = np.array([spec.one if k == label else 0 for k in range(n)])
        words = spec.error.saturate(target - model.probabilities(array)[0])
        if label < n:
            assert words.tolist() == model.errors(array, np.array([label]))[0].tolist()
        first = last + unit.latency
        errors.update({first + k: (k, int(word)) for k, word in enumerate(words)})
        rows += [{"valid": 0}] * (unit.latency + n - 1)
    found = play(unit, rows, ["o_valid", "o_index", "o_word", "prediction"], after=4)
    wrong = [(t, found[t][3], p) for t, p in predictions if found[t][3] != p]
    seen = {t: (index, word) for t, (valid, index, word, _) in enumerate(found) if valid}
    wrong += [(t, seen.get(t), errors.get(t)) for t in sorted({*seen, *errors}) if seen.get(t) != errors.get(t)]
    return wrong, len(errors)


@pytest.mark.parametrize("error", ["q1.3", "q1.7", "q2.9", "q2.10", "q1.12", "q4.0"])
@pytest.mark.parametrize("classes", [1, 2, 3, 10, 16])
def test_errors_and_predictions_equal_golden(classes, error):
    """Also the cycle of every word: the first error ``classes + 9`` cycles after the last logit, then one a cycle."""
    assert PORTABLE.errors(classes) == classes + 9
    wrong, compared = differences(spec_of(classes, error))
    assert not wrong, wrong[:5]
    assert compared == classes * sum(index % 7 != 6 for index in range(SAMPLES))


@pytest.mark.parametrize("frac", [2, 4, 5, 6])
def test_sums_with_few_fraction_bits(frac):
    """The table's index is then a left shift of the sum, or hardly a right one."""
    wrong, _ = differences(spec_of(5, "q1.7", frac, 12))
    assert not wrong, wrong[:5]


@pytest.mark.parametrize("classes", [4, 7, 8, 9, 15])
def test_every_number_of_classes(classes):
    wrong, _ = differences(spec_of(classes, "q1.7"), seed=classes)
    assert not wrong, wrong[:5]


@pytest.mark.parametrize("classes", [1, 2, 7])
@pytest.mark.parametrize(
    ("depths", "latency"), [((3, 4, 3, 1), 18), ((2, 5, 4, 2), 18), ((2, 5, 5, 3), 20), ((1, 1, 6, 1), 12)]
)
def test_deeper_memories_multiplier_and_rounding_give_the_same_words_later(depths, latency, classes):
    read, wide, result, index = depths
    pipeline = Pipeline(read=read, wide=wide, result=result, index=index)
    assert pipeline.errors(classes) == classes + latency
    wrong, _ = differences(spec_of(classes, "q1.7"), pipeline=pipeline)
    assert not wrong, wrong[:5]


def test_no_error_unless_wanted():
    spec = spec_of(3, "q1.7")
    rows = [{"valid": 1, "sum": 7 - k, "index": k, "wants_error": 0} for k in range(3)] + [{"valid": 0}]
    found = play(SoftmaxUnit(spec), rows, ["o_valid", "prediction"], after=60)
    assert not any(valid for valid, _ in found)
    assert found[-1][1] == 0


def merged(spec, contexts, rng, pipeline, count):
    """Logits of samples in flight, mixed: rows, errors by cycle, and (cycle, context, prediction).

    Each context takes its classes in order, and all but the last logit at any time; a last one that wants its error
    comes no sooner than the last error of the sample before, as the sequencer sees to; and a context begins its next
    sample when its last one's errors are out.
    """
    n, model, latency = spec.classes, SoftmaxModel(spec), pipeline.errors(spec.classes)
    samples = [list(samples_of(spec, rng, count)) for _ in range(contexts)]
    rows, errors, predictions = [], {}, []
    at, busy, walk = [0] * contexts, [0] * contexts, 0
    while any(samples):
        now, able = len(rows), []
        for context, own in enumerate(samples):
            if own and now >= busy[context] and (at[context] < n - 1 or now >= walk or not own[0][2]):
                able.append(context)
        if not able or rng.random() < 0.1:
            rows.append({"valid": 0, "context": int(rng.integers(contexts))})
            continue
        context = int(rng.choice(able))
        logits, label, wants_error = samples[context][0]
        index = at[context]
        is_last = index == n - 1
        rows.append({
            "valid": 1, "sum": logits[index], "index": index, "context": context,
            "wants_error": wants_error if is_last else int(rng.integers(2)),
            "label": label if is_last else int(rng.integers(1 << max((n - 1).bit_length(), 1))),
        })  # fmt: skip
        at[context] += 1
        if not is_last:
            continue
        samples[context].pop(0)
        at[context] = 0
        array = np.array([logits], dtype=np.int64)
        predictions.append((now + 1, context, int(model.predict(array)[0])))
        if wants_error:
            target = np.array([spec.one if k == label else 0 for k in range(n)])
            words = spec.error.saturate(target - model.probabilities(array)[0])
            errors.update({now + latency + k: (k, int(word), context) for k, word in enumerate(words)})
            walk = busy[context] = now + latency + n - 1
            busy[context] += 1
    return [*rows, {"valid": 0}], errors, predictions


def differences_in_flight(spec, contexts, seed=0, pipeline=PORTABLE, count=12):
    """All that differs from the golden model when samples come mixed, and how many words were compared."""
    rows, errors, predictions = merged(spec, contexts, np.random.default_rng(seed), pipeline, count)
    unit = SoftmaxUnit(spec, pipeline, contexts)
    found = play(
        unit, rows, ["o_valid", "o_index", "o_word", "o_context", *predictions_of(unit)], after=unit.latency + 20
    )
    seen = {t: (index, word, context) for t, (valid, index, word, context, *_) in enumerate(found) if valid}
    wrong = [(t, seen.get(t), errors.get(t)) for t in sorted({*seen, *errors}) if seen.get(t) != errors.get(t)]
    begun = {(context, t) for t, context, _ in predictions}
    for t, context, prediction in predictions:
        later = t
        while later < len(found) and (later == t or (context, later) not in begun):
            row = rows[later - 1] if 0 < later <= len(rows) else {}
            if later > t and row.get("valid") and row["context"] == context:
                break  # logits of its next sample
            if found[later][4 + context] != prediction:
                wrong.append(("prediction", later, context, found[later][4 + context], prediction))
            later += 1
    return wrong, len(errors)


def predictions_of(unit):
    """The prediction of every context, apart."""
    return [unit.prediction[context] for context in range(unit.contexts)]


@pytest.mark.parametrize(
    ("classes", "contexts", "pipeline"),
    [
        (1, 2, PORTABLE),
        (2, 4, PORTABLE),
        (3, 2, PORTABLE),
        (10, 4, PORTABLE),
        (5, 2, Pipeline(read=3, wide=4, result=5, index=2)),
    ],
)
def test_samples_in_flight_keep_their_logits_apart(classes, contexts, pipeline):
    """Logits of several samples mixed, also while errors of another are computed; a prediction stays until the next."""
    wrong, compared = differences_in_flight(spec_of(classes, "q1.7"), contexts, classes, pipeline)
    assert not wrong, wrong[:5]
    assert compared > 9 * classes * contexts


CONTEXT_FAULTS = {  # method, and what is planted
    "one greatest logit": ("_distance", {"pick(greatest, self.o_context)": "greatest[0]"}),
    "one context's logits": ("_distance", {"Cat(self.index, self.context[: self.context_bits])": "self.index"}),
    "logits of the context that comes": (
        "_distance",
        {"self.o_context[: self.context_bits]": "self.context[: self.context_bits]"},
    ),
    "predictions of all": ("_distance", {"self.valid & (self.context == context)": "self.valid"}),
    "the label that comes": ("elaborate", {"Mux(index == label,": "Mux(index == self.label,"}),
    "the context that comes": ("elaborate", {", self.o_context.eq(self.context)": ", self.o_context.eq(0)"}),
    "a walk for every last logit": ("elaborate", {"self.valid & self.wants_error & (": "self.valid & ("}),
}


@pytest.mark.parametrize("fault", CONTEXT_FAULTS)
def test_the_bench_sees_samples_that_meet(monkeypatch, fault):
    method, changes = CONTEXT_FAULTS[fault]
    plant(monkeypatch, SoftmaxUnit, changes, method)
    assert differences_in_flight(spec_of(3, "q1.7"), 2)[0]


MUTANTS = {
    "round_parts": lambda word, shift: (word >> shift if shift > 0 else word << -shift, Const(0, 1)),
    "saturate": lambda word, target: word[: target.width].as_signed(),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_bench_sees_a_mutant(monkeypatch, mutant):
    monkeypatch.setattr(softmax_module, mutant, MUTANTS[mutant])
    assert differences(spec_of(3, "q1.7"))[0]


def without_sticky_bit(place):
    """Rounding that does not see one bit below the half: ``--inject 20 --seed 0`` on the tiny design plants bit 1."""

    def mutant(word, shift):
        return round_parts(word & ~(1 << place) if shift == 13 else word, shift)

    return mutant


def test_a_sticky_bit_that_random_logits_miss_is_seen_by_the_run_that_aims_at_it(monkeypatch):
    """A sum of exponentials in [1, 2), 13 bits are dropped: no pair of words needs bit 2, one pair needs bit 1."""
    network = NetworkSpec(Design.load(Path(__file__).parents[2] / "rtl/tiny/design.toml"))
    trace = softmax(network, 0).trace()[1]
    aimed = [(row.tolist(), int(row.argmax()), True) for logits in trace.logits[:40] for row in logits]
    assert not differences(network.softmax, samples=aimed)[0]
    for place, seen in {1: True, 2: False, 4: True}.items():
        monkeypatch.setattr(softmax_module, "round_parts", without_sticky_bit(place))
        assert bool(differences(network.softmax, samples=aimed)[0]) == seen
    monkeypatch.setattr(softmax_module, "round_parts", without_sticky_bit(1))
    assert not differences(network.softmax)[0]
