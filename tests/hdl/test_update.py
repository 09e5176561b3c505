"""The updater against :mod:`fregen.fixed` and the golden update."""

import numpy as np
import pytest
from unit_bench import make_sizes, make_spec, play, random_words

from fregen import fixed
from fregen.fixed import DITHER_BITS, Q, Rounding
from fregen.golden import Carrier, DitherModel, UpdateModel
from fregen.hdl import requant
from fregen.hdl import update as update_module
from fregen.hdl.update import UpdateUnit
from fregen.plan import PORTABLE, Pipeline

pytestmark = pytest.mark.rtl

SETTINGS = {  # sum width, weight, least and greatest sigma
    "left shifts": (14, "q2.10", (-8, 7)),
    "no least shift": (20, "q1.3", (0, 15)),
    "usual": (38, "q3.13", (15, 30)),
    "wide": (52, "q3.21", (16, 38)),
    "beyond the sum": (12, "q1.11", (9, 40)),
    "one sigma": (24, "q2.6", (12, 12)),
    "narrow sum": (10, "q1.3", (20, 35)),
}


def expected(total, sigma, dither, old, weight, rounding):
    """Word after the update, and whether it was limited: docs/numerics.md, "Update"."""
    if rounding is Rounding.STOCHASTIC:
        change = fixed.round_shift_dithered(total, sigma, dither)
    else:
        change = fixed.round_shift(total, sigma)
    return weight.saturate(old + change), int(weight.saturate(old + change) != old + change)


def cases_of(width, weight, sigma, rng, count):
    """(sum, sigma, dither, old): extremes in all combinations, ties of every sigma, then random ones."""
    low, high = sigma
    top = 1 << (width - 1)
    full = (1 << DITHER_BITS) - 1
    yield from (
        (total, s, dither, old)
        for total in (0, 1, -1, top - 1, -top)
        for s in sorted({low, (low + high) // 2, high})
        for dither in (0, full)
        for old in (weight.min_word, 0, weight.max_word)
    )
    for s in range(max(low, 1), min(high, width - 2) + 1):
        for part in (1, 3, -1, -3):
            for near in (-1, 0, 1):
                total = part * (1 << (s - 1)) + near
                if -top <= total < top:
                    yield total, s, int(rng.integers(full + 1)), int(rng.integers(-2, 3))
    totals, olds = random_words(rng, width, count), random_words(rng, weight.width, count)
    for total, old in zip(totals, olds, strict=True):
        yield total, int(rng.integers(low, high + 1)), int(rng.integers(full + 1)), old


def differences(setting, rounding, count=400, pipeline=PORTABLE):
    width, text, sigma = SETTINGS[setting]
    weight, rng = Q.parse(text), np.random.default_rng(1)
    unit = UpdateUnit(width, weight, rounding, sigma, pipeline)
    cases = list(cases_of(width, weight, sigma, rng, count))
    rows = [{} for _ in range(len(cases) + unit.latency)]
    for t, (total, s, dither, old) in enumerate(cases):
        rows[t].update({"sum": total, "shift": s - sigma[0]} if sigma[1] > sigma[0] else {"sum": total})
        rows[t + pipeline.shift]["dither"] = dither
        rows[t + pipeline.shift + pipeline.round]["old"] = old
    found = play(unit, rows, ["new", "saturated"], after=1)
    wanted = [expected(*case, weight, rounding) for case in cases]
    assert {limited for _, limited in wanted} == {0, 1} or setting == "narrow sum"
    return [
        (case, found[t + unit.latency], want)
        for t, (case, want) in enumerate(zip(cases, wanted, strict=True))
        if found[t + unit.latency] != want
    ]


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("setting", SETTINGS)
def test_words_and_saturations_equal_fixed(setting, rounding):
    wrong = differences(setting, rounding)
    assert not wrong, wrong[:5]


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_matrix_learns_as_in_the_golden_model(index, rounding):
    """All weights of a matrix one after the other, from extreme words, with the golden dither."""
    numerics = {"state": "q1.11", "weight": "q2.10", "offset": "q1.11", "rounding": str(rounding)}
    spec = make_spec((6, 5, 4, 3), numerics=numerics, learning={"batch": 4})
    matrix, rng, carrier = spec.graph.matrices[index], np.random.default_rng(index), Carrier(spec)
    targets, sources = spec.graph.shape(matrix)
    q = spec.error if index == 2 else spec.offset
    words = rng.choice([spec.state.min_word, -1, 0, 700, spec.state.max_word], (4, sources))
    deltas = rng.choice([q.min_word, -3, 0, 5, q.max_word], (4, targets))
    weights = rng.choice([spec.weight.min_word, -40, 0, 1, spec.weight.max_word], (targets, sources))
    dither = DitherModel(spec)
    model = UpdateModel(spec, matrix, carrier, dither)
    after = np.ascontiguousarray(weights.T).astype(carrier.dtype)
    count = model.step(after, words.astype(carrier.dtype), deltas.astype(carrier.dtype), 2**-2, key=77)

    totals = (deltas.T @ words).reshape(-1)
    sigma = spec.update_shift(matrix, 2**-2)
    unit = UpdateUnit(spec.update_width(matrix), spec.weight, rounding, (sigma - 2, sigma + 13))
    rows = [{} for _ in range(totals.size + 3)]
    for t, (total, noise, old) in enumerate(
        zip(totals, dither.words(77, matrix).reshape(-1), weights.reshape(-1), strict=True)
    ):
        rows[t].update(sum=total, shift=2)
        rows[t + 1]["dither"] = noise
        rows[t + 2]["old"] = old
    found = play(unit, rows, ["new", "saturated"], after=1)[3 : 3 + totals.size]
    assert [word for word, _ in found] == after.T.astype(np.int64).reshape(-1).tolist()
    assert sum(limited for _, limited in found) == count > 0


@pytest.mark.parametrize("form", ["states", "offset"])
def test_an_accumulator_holds_a_batch_of_least_words(form):
    """The product of two least words is 2**k, which takes a bit more than any other product."""
    numerics = {"state": "q1.11", "weight": "q1.3", "offset": "q1.11", "error": "q1.11"}
    sizes = make_sizes((2, 2, 2), 1, numerics=numerics, learning={"batch": 8, "nudged": form})
    least = 8 * 2 ** (sizes.spec.delta_width - 1) * 2 ** (sizes.spec.state.width - 1)
    assert 2 ** (sizes.update_width - 2) == least  # and one bit less, with its sign, would end below it
    assert sizes.sum_width >= sizes.update_width > sizes.spec.sum_width


def test_latency_is_three():
    unit = UpdateUnit(24, Q(3, 13), Rounding.NEAREST, (0, 15))
    assert unit.latency == 3
    found = play(unit, [{"sum": 5, "shift": 0}, {"sum": 0}], ["new"], after=5)
    assert [t for t, (word,) in enumerate(found) if word] == [3]
    assert found[3] == (5,)


@pytest.mark.parametrize("rounding", list(Rounding))
def test_deeper_stages_give_the_same_words_later(rounding):
    pipeline = Pipeline(shift=2, round=3, add=2)
    assert pipeline.update == 7
    assert not differences("usual", rounding, pipeline=pipeline)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_a_shift_range_upside_down_is_refused():
    with pytest.raises(ValueError, match="least, greatest"):
        UpdateUnit(24, Q(3, 13), Rounding.NEAREST, (4, 3))


def test_a_zero_sum_never_moves_a_weight():
    unit = UpdateUnit(24, Q(3, 13), Rounding.STOCHASTIC, (4, 19))
    rows = [{"sum": 0, "shift": s, "dither": d, "old": 9} for s in range(16) for d in (0, 1, 0x7FFF, 0xFFFF)]
    assert {word for (word,) in play(unit, rows, ["new"], after=3)[3:]} == {9}


MUTANTS = {
    (requant, "limit"): lambda word, target, is_fit: word[: target.width].as_signed(),
    (requant, "fits"): lambda word, width: word.any(),
    (update_module, "_shift_right"): lambda word, shift, lost: (word >> shift, lost),
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant[1])
def test_the_bench_sees_a_mutant(monkeypatch, mutant):
    """The last one drops the sticky bit: only ties betray it."""
    monkeypatch.setattr(*mutant, MUTANTS[mutant])
    assert differences("usual", Rounding.NEAREST)
