"""Tables that both sides share, against real-valued functions and literals."""

import math
from itertools import pairwise

import numpy as np
import pytest

from fregen.design.document import Activation
from fregen.fixed import Q
from fregen.spec.tables import ExponentialTable, PiecewiseLinear, ReciprocalTable

pytestmark = pytest.mark.unit


def test_tanh_knots_of_a_small_table_are_these():
    """By hand: tanh(0, 1, 2, 3, 4) x 2**9 = 0, 389.94, 493.58, 509.47, 511.66."""
    table = PiecewiseLinear(Activation(segments=4, range=4), Q(1, 7))
    assert table.knots == (0, 390, 494, 509, 512)
    assert table.slopes == (390, 104, 15, 3)
    assert (table.range_log2, table.step_log2, table.frac_bits, table.slope_frac_bits) == (2, 0, 9, 9)
    assert (table.slope_width, table.knot_width) == (9, 10)


@pytest.mark.parametrize("function", ["hard-tanh", "hard-sigmoid"])
def test_hard_functions_are_one_segment_of_slope_one(function):
    table = PiecewiseLinear(Activation(function=function, segments=64, range=8), Q(1, 7))
    assert table.knots == (0, 512)
    assert table.slopes == (512,)
    assert (table.segments, table.range_log2, table.step_log2, table.slope_frac_bits) == (1, 0, 0, 9)
    assert table.odd == (function == "hard-tanh")


@pytest.mark.parametrize("state", ["q1.3", "q1.7", "q1.15", "q1.17", "q2.10", "q1.23"])
@pytest.mark.parametrize(("segments", "span"), [(1, 1), (4, 4), (8, 4), (64, 4), (64, 8), (512, 8)])
def test_interpolated_tanh_stays_within_its_bound(state, segments, span):
    """The straight pieces in real arithmetic; rounding of the result counts half a bit."""
    q = Q.parse(state)
    table = PiecewiseLinear(Activation(segments=segments, range=span), q)
    x = np.linspace(0, 2 * span, 20001)
    steps = np.linspace(0, span, segments + 1)
    y = np.interp(x, steps, np.array(table.knots) / 2.0**table.frac_bits)
    y = np.minimum(y, q.to_value(q.max_word))
    error = np.abs(y - np.tanh(x)).max() * 2.0**q.frac_bits
    assert error <= table.error_lsb() - (0.5 if table.error_lsb() > 1 else 0)
    # The bound is no empty promise: it is at most four times what really occurs, and two bits.
    assert table.error_lsb() <= 4 * error + 2


def test_slopes_never_rise_and_sum_to_the_last_knot():
    table = PiecewiseLinear(Activation(segments=64, range=4), Q(1, 15))
    assert all(a >= b >= 0 for a, b in pairwise(table.slopes))
    assert sum(table.slopes) == table.knots[-1] == round(math.tanh(4) * 2**17)


@pytest.mark.parametrize("frac_bits", [6, 10, 15])
def test_exponentials_are_rounded_values(frac_bits):
    words = ExponentialTable(frac_bits).words
    assert len(words) == 256
    assert words[0] == 2**frac_bits
    assert words[-1] == 0
    assert max(abs(w - math.exp(-k / 32) * 2**frac_bits) for k, w in enumerate(words[:-1])) <= 0.5
    assert all(a >= b for a, b in pairwise(words))


def test_exponential_literals():
    """exp(-1) = 0.36788, exp(-2) = 0.13534; times 1024."""
    words = ExponentialTable(10).words
    assert (words[32], words[64], words[254]) == (377, 139, 0)


@pytest.mark.parametrize("frac_bits", [6, 10, 15])
def test_reciprocals_are_within_a_part_in_128(frac_bits):
    words = ReciprocalTable(frac_bits).words
    assert len(words) == 64
    for k, word in enumerate(words):
        for x in (1 + k / 64, 1 + (k + 1) / 64):
            assert abs(word / 2**frac_bits - 1 / x) <= 1 / 128 + 0.5 / 2**frac_bits
        assert 2 ** (frac_bits - 1) <= word <= 2**frac_bits


def test_reciprocal_literals():
    """64/64.5 and 64/127.5, times 1024."""
    words = ReciprocalTable(10).words
    assert (words[0], words[-1]) == (1016, 514)


@pytest.mark.parametrize("error", ["q4.0", "q1.3", "q1.7", "q1.9", "q8.9"])
def test_errors_up_to_nine_fraction_bits_have_the_smallest_tables(error):
    q = Q.parse(error)
    assert ExponentialTable.of(q) == ExponentialTable(q.frac_bits + 3, step_log2=-5, range_log2=3)
    assert ReciprocalTable.of(q) == ReciprocalTable(q.frac_bits + 3, index_bits=6)


@pytest.mark.parametrize(
    ("error", "exponentials", "reciprocals"), [("q1.10", 2048, 512), ("q2.11", 4096, 1024), ("q1.12", 8192, 2048)]
)
def test_tables_grow_with_a_finer_error(error, exponentials, reciprocals):
    q = Q.parse(error)
    assert len(ExponentialTable.of(q).words) == exponentials
    assert len(ReciprocalTable.of(q).words) == reciprocals


def test_finer_table_literals():
    """Steps of 1/128 to 16 with 13 fraction bits: exp(-1) = 0.367879, exp(-9) = 0.000123; 512/512.5 and 512/1023.5."""
    exponential, reciprocal = ExponentialTable.of(Q(1, 10)).words, ReciprocalTable.of(Q(1, 10)).words
    assert (exponential[0], exponential[128], exponential[9 * 128], exponential[-1]) == (8192, 3014, 1, 0)
    assert (reciprocal[0], reciprocal[-1]) == (8184, 4098)
