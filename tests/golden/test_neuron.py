"""Activation and offset words against hand-worked literals, exact fractions, tanh and an independent library."""

from fractions import Fraction

import numpy as np
import pytest
from apytypes import APyFixed, OverflowMode, QuantizationMode

from fregen.design.document import Design
from fregen.golden import ActivationModel, Carrier, OffsetModel
from fregen.golden.carrier import rounded_product
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.golden


def make(state="q1.7", weight="q2.6", offset="q1.7", function="tanh", segments=4, beta=2**-3, layers=(5, 4, 3)):
    activation = {"function": function, "segments": segments}
    numerics = {"state": state, "weight": weight, "offset": offset, "activation": activation}
    return NetworkSpec(Design.parse({"name": "t", "network": {"layers": layers, "beta": beta}, "numerics": numerics}))


def run(spec, sums):
    sums = np.array([sums], dtype=Carrier(spec).dtype)
    out, segments = np.empty_like(sums), np.empty(sums.shape, dtype=np.intp)
    model = ActivationModel(spec)
    model.step(sums, out, segments)
    return out[0].astype(np.int64).tolist(), model.slopes(segments)[0].tolist()


def test_interpolates_as_worked_by_hand():
    """Knots 0, 390, 494, 509, 512 (9 fraction bits) one apart; a state has 7 fraction bits.

    h = 0.5: 195/4 = 48.75 -> 49.  h = 1.25: (390 + 26)/4 = 104.  h = 5: 512/4 = 128 -> saturated 127, or -128.
    h = 2^-F: almost 0.
    """
    spec = make()
    one = 1 << spec.sum_frac_bits
    sums = [0, one // 2, -one // 2, one + one // 4, -one - one // 4, 5 * one, -5 * one, 4 * one, 4 * one - 1, 1, -1]
    words, slopes = run(spec, sums)
    assert words == [0, 49, -49, 104, -104, 127, -128, 127, 127, 0, 0]
    assert slopes == [390, 390, 390, 104, 104, 0, 0, 0, 3, 390, 390]


def test_ties_go_to_the_even_word_on_both_sides():
    """In the first segment y = 390/4·h words = 97.5·h: h = 1/195 gives 0.5, h = 3/195 gives 1.5 - not on the grid.

    Hard-tanh has slope 1: words of h·128; halves are exact.
    """
    spec = make(function="hard-tanh")
    half = 1 << (spec.sum_frac_bits - 8)
    words, slopes = run(spec, [half, 3 * half, 5 * half, -half, -3 * half, -5 * half])
    assert words == [0, 2, 2, 0, -2, -2]
    assert slopes == [512] * 6


def test_hard_sigmoid_is_zero_below_zero_and_zero_counts_as_positive():
    spec = make(function="hard-sigmoid")
    one = 1 << spec.sum_frac_bits
    words, slopes = run(spec, [-2 * one, -1, 0, one // 2, one - 1, one, 3 * one])
    assert words == [0, 0, 0, 64, 127, 127, 127]
    assert slopes == [0, 0, 512, 512, 512, 0, 0]


FORMATS = [
    ("q1.3", "q2.6"),
    ("q1.7", "q2.8"),
    ("q1.11", "q3.9"),
    ("q1.15", "q3.13"),
    ("q1.17", "q3.15"),
    ("q1.23", "q3.21"),
]


@pytest.mark.parametrize(("state", "weight"), FORMATS)
@pytest.mark.parametrize("segments", [2, 8, 64])
def test_stays_within_the_tables_bound_of_tanh(state, weight, segments):
    spec = make(state, weight, segments=segments)
    rng = np.random.default_rng(1)
    sums = np.rint(rng.normal(0, 2, 3000) * 2.0**spec.sum_frac_bits).astype(np.int64)
    words, _ = run(spec, sums)
    error = np.abs(np.array(words) - np.tanh(sums / 2.0**spec.sum_frac_bits) * 2.0**spec.state.frac_bits)
    assert error.max() <= spec.activation.error_lsb()


@pytest.mark.parametrize(("state", "weight"), FORMATS)
def test_equals_exact_fractions_at_knots_and_ends(state, weight):
    """Both carriers: the widest sums, and one unit around every knot."""
    spec = make(state, weight, segments=8)
    table, top = spec.activation, Carrier(spec).largest_sum
    near = [(k << spec.tau) + d for k in range(10) for d in (-1, 0, 1)]
    sums = sorted({s for m in [*near, top, top - 1, top // 3] for s in (m, -m)})
    expected = []
    for h in sums:
        k, t = divmod(abs(h), 1 << spec.tau)
        y = Fraction(table.knots[-1])
        if k < 8:
            y = table.knots[k] + Fraction((table.knots[k + 1] - table.knots[k]) * t, 1 << spec.tau)
        word = round(y / 4)
        expected.append(min(max(-word if h < 0 else word, spec.state.min_word), spec.state.max_word))
    assert run(spec, sums)[0] == expected


@pytest.mark.parametrize(
    ("state", "weight", "offset"), [("q1.7", "q2.8", "q1.7"), ("q1.15", "q3.13", "q3.13"), ("q1.23", "q3.21", "q3.21")]
)
def test_offset_words_equal_an_independent_library(state, weight, offset):
    spec = make(state, weight, offset, segments=8, layers=(5, 4, 3, 3))
    carrier = Carrier(spec)
    rng = np.random.default_rng(2)
    bound = max(carrier.sum_bound("nudged", layer) for layer in (1, 2))
    sums = np.concatenate([rng.integers(-bound, bound, 40), rng.integers(-bound, bound, 40) >> 9, [bound, -bound, 0]])
    slopes = rng.choice([*spec.activation.slopes, 0], sums.size)
    out = np.empty((1, sums.size), dtype=carrier.dtype)
    model = OffsetModel(spec)
    count = model.step(model.operand(slopes[None].astype(np.int64)), sums[None].astype(carrier.dtype), out)
    expected, saturated = [], 0
    for slope, a in zip(slopes.tolist(), sums.tolist(), strict=True):
        product = APyFixed(slope, 30, spec.activation.slope_frac_bits) * APyFixed(
            a % 2**90, 90 - spec.sum_frac_bits, spec.sum_frac_bits
        )
        modes = {"quantization": QuantizationMode.RND_CONV}
        q = spec.offset
        word = product.cast(q.int_bits, q.frac_bits, overflow=OverflowMode.SAT, **modes)
        wide = product.cast(100, q.frac_bits, **modes)
        saturated += not wide.is_identical(word.cast(100, q.frac_bits))
        expected.append(word.to_bits() - (1 << q.width if word.to_bits() > q.max_word else 0))
    assert out[0].astype(np.int64).tolist() == expected
    assert saturated > 0
    assert count.tolist() == [saturated]


def test_no_saturation_is_reported_as_none():
    spec = make()
    model = OffsetModel(spec)
    out = np.empty((2, 3))
    assert model.step(model.operand(np.full((2, 3), 390)), np.ones((2, 3)), out) is None
    assert not out.any()


def test_products_in_two_parts_equal_exact_fractions():
    rng = np.random.default_rng(3)
    factors, words = rng.integers(0, 2**25, 2000), rng.integers(-(2**60), 2**60, 2000)
    words[:500] <<= 0
    words[500:1000] = (words[500:1000] >> 30) << 30
    high = rng.integers(-(2**30), 2**30, 2000)
    for shift, cut in ((40, 26), (60, 30), (31, 30), (30, 0)):
        small = words >> 30 if not cut else words
        found = rounded_product(factors, small, shift, cut, high)
        expected = [
            round(Fraction((h << cut) + f * w, 2**shift))
            for f, w, h in zip(factors.tolist(), small.tolist(), high.tolist(), strict=True)
        ]
        assert found.tolist() == expected
