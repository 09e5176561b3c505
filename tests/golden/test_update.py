"""Weight updates against literals, an independent library and the statistics of dither."""

import numpy as np
import pytest
from apytypes import APyFixedArray, OverflowMode, QuantizationMode

from fregen.design.document import Design
from fregen.golden import Carrier, DitherModel, UpdateModel
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.golden


def make(batch=4, rounding="nearest", layers=(6, 5, 4, 3), state="q1.7", weight="q2.8", offset="q1.7", **more):
    numerics = {"state": state, "weight": weight, "offset": offset, "rounding": rounding}
    design = {"name": "t", "network": {"layers": layers}, "numerics": numerics, "learning": {"batch": batch}, **more}
    return NetworkSpec(Design.parse(design))


def update(spec, index, weights, sources, deltas, rate, key=1):
    """Update words given as (target, source); return new ones and the count."""
    carrier, matrix = Carrier(spec), spec.graph.matrices[index]
    model = UpdateModel(spec, matrix, carrier, DitherModel(spec))
    words = np.ascontiguousarray(np.array(weights).T).astype(carrier.dtype)
    count = model.step(
        words, np.array(sources).astype(carrier.dtype), np.array(deltas).astype(carrier.dtype), rate, key
    )
    return words.T.astype(np.int64), count


def test_nearest_update_as_worked_by_hand():
    """sigma = fd + fs - fw + log2 B + log2(1/rate) = 7 + 7 - 8 + 1 + 1 = 8, so 256 of the summed products are one word.

    Products of two samples: 100·3 + 20·(-2) = 260 -> 1.016 -> 1;  128·1 + 0 -> 0.5 -> 0 (even);  128·3 -> 1.5 -> 2;
    -128·3 -> -1.5 -> -2.
    """
    spec = make(batch=2, layers=(2, 2, 2))
    assert spec.update_shift(spec.graph.matrices[0], 0.5) == 8
    weights, count = update(spec, 0, [[10, 10], [-10, 511]], [[100, 0], [20, 64]], [[3, 0], [-2, 6]], 0.5)
    # U = [[300 - 40, -128], [120, 384]] -> [[1, 0], [0, 2]]
    assert weights.tolist() == [[11, 10], [-10, 511]]
    assert count == 1


def test_ties_go_to_even_and_negative_words_saturate():
    spec = make(batch=2, layers=(2, 2, 2))
    weights, count = update(spec, 0, [[0, 0], [0, -511]], [[64, 64]], [[2, 6]], 0.5)
    assert weights.tolist() == [[0, 0], [2, -509]]
    weights, count = update(spec, 0, [[0, 0], [0, -511]], [[64, 64]], [[-2, -6]], 0.5)
    assert weights.tolist() == [[0, 0], [-2, -512]]
    assert count == 1


def test_a_negative_shift_moves_left():
    spec = make(batch=1, state="q1.3", weight="q2.10", offset="q1.5", layers=(2, 2, 2))
    assert spec.update_shift(spec.graph.matrices[0], 1.0) == -2
    weights, _ = update(spec, 0, [[0, 1], [0, 0]], [[3, -1]], [[5, 0]], 1.0)
    assert weights.tolist() == [[60, -19], [0, 0]]


@pytest.mark.parametrize(
    "formats", [("q1.7", "q2.8", "q1.7"), ("q1.15", "q3.13", "q3.13"), ("q1.23", "q3.21", "q3.21")]
)
@pytest.mark.parametrize("index", [0, 1, 2])
def test_equals_an_independent_library(formats, index):
    """Products, sums, requantisation (RND_CONV) and saturation by apytypes."""
    state, weight, offset = formats
    spec = make(state=state, weight=weight, offset=offset, batch=4)
    matrix, rng = spec.graph.matrices[index], np.random.default_rng(index)
    rows, columns = spec.graph.shape(matrix)
    q = spec.error if index == 2 else spec.offset
    sources = rng.integers(spec.state.min_word, spec.state.max_word + 1, (4, columns))
    deltas = rng.integers(q.min_word, q.max_word + 1, (4, rows))
    weights = rng.integers(spec.weight.min_word, spec.weight.max_word + 1, (rows, columns))
    shift = spec.update_shift(matrix, 0.25)
    found, count = update(spec, index, weights, sources, deltas, 0.25)

    x = APyFixedArray((deltas.T % 2**30).tolist(), 30, 0)
    s = APyFixedArray((sources % 2**30).tolist(), 30, 0)
    total = x @ s
    moved = APyFixedArray(total.to_bits(), int_bits=total.bits - shift, frac_bits=shift)
    change = moved.cast(60, 0, quantization=QuantizationMode.RND_CONV)
    wide = change + APyFixedArray((weights % 2**30).tolist(), 30, 0)
    expected = wide.cast(spec.weight.width, 0, overflow=OverflowMode.SAT)
    signed = np.array(expected.to_numpy()).astype(np.int64)
    assert found.tolist() == signed.tolist()
    assert count == int(np.count_nonzero(wide.to_numpy() != expected.to_numpy()))


def test_zero_products_change_nothing_whatever_the_dither():
    spec = make(rounding="stochastic")
    weights = np.full((5, 6), 7)
    for key in range(1, 50):
        assert np.all(update(spec, 0, weights, np.zeros((4, 6)), np.ones((4, 5)), 1.0, key)[0] == 7)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_stochastic_rounding_is_unbiased(index):
    """4,000 keys: the mean of the rounded change lies within 5 standard errors of the exact one, for every weight."""
    spec = make(rounding="stochastic", weight="q3.5", batch=4)
    matrix, rng = spec.graph.matrices[index], np.random.default_rng(7)
    rows, columns = spec.graph.shape(matrix)
    sources, deltas = rng.integers(1, 127, (4, columns)), rng.integers(-60, 60, (4, rows))
    carrier = Carrier(spec)
    model = UpdateModel(spec, matrix, carrier, DitherModel(spec))
    exact = deltas.T @ sources / 2.0 ** spec.update_shift(matrix, 0.125)
    total, keys = np.zeros((rows, columns)), 4000
    for key in np.random.default_rng(8).integers(1, 2**32, keys).tolist():
        words = np.zeros((columns, rows))
        model.step(words, sources.astype(float), deltas.astype(float), 0.125, key)
        assert set(np.unique(words.T - np.floor(exact))) <= {0.0, 1.0}
        total += words.T
    part = exact - np.floor(exact)
    error = np.sqrt(part * (1 - part) / keys) + 2.0**-16
    assert np.all(np.abs(total / keys - exact) <= 5 * error)
    assert len(np.unique(part)) > 3


def test_rate_and_gain_move_the_shift():
    """Two hidden layers, beta 2**-5, nudge 1/2: exponents 6 and 1.  16/16/16 words, error q1.7."""
    shifts = {}
    for form in ("states", "offset"):
        for gain in (True, False):
            learning = {"batch": 8, "nudged": form, "gain": gain}
            spec = NetworkSpec(Design.parse({"name": "t", "network": {"layers": (4, 4, 4, 4)}, "learning": learning}))
            shifts[form, gain] = [spec.update_shift(m, 2**-3) for m in spec.graph.matrices]
    assert shifts["offset", True] == [13 + 15 - 13 + 6] * 2 + [7 + 15 - 13 + 6]
    assert shifts["offset", False] == [21 + 6, 21 + 1, 15]
    assert shifts["states", True] == [15 + 15 - 13 + 6 - 6, 23 - 1, 15]
    assert shifts["states", False] == [23, 23, 15]
