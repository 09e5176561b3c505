"""Formats, rounding and saturation against literals, exact fractions and an independent library."""

import math
from fractions import Fraction

import numpy as np
import pytest
from apytypes import APyFixed, OverflowMode, QuantizationMode
from hypothesis import given
from hypothesis import strategies as st

from fregen.errors import FormatError
from fregen.fixed import Q, Rounding, round_shift, round_shift_dithered

pytestmark = pytest.mark.unit

WORDS = st.integers(-(2**60), 2**60)


@pytest.mark.parametrize(
    ("word", "shift", "expected"),
    [
        (0, 3, 0), (3, 3, 0), (4, 3, 0), (5, 3, 1), (11, 3, 1), (12, 3, 2), (13, 3, 2), (20, 3, 2), (28, 3, 4),
        (-3, 3, 0), (-4, 3, 0), (-5, 3, -1), (-11, 3, -1), (-12, 3, -2), (-13, 3, -2), (-20, 3, -2), (-28, 3, -4),
        (1, 1, 0), (3, 1, 2), (-1, 1, 0), (-3, 1, -2), (7, 0, 7), (-7, 0, -7), (7, -2, 28), (-7, -2, -28),
    ],
)  # fmt: skip
def test_rounds_to_nearest_and_ties_to_even(word, shift, expected):
    assert round_shift(word, shift) == expected
    assert round_shift(np.array([word]), shift).tolist() == [expected]


@given(WORDS, st.integers(0, 62))
def test_rounding_equals_the_rounding_of_fractions(word, shift):
    assert round_shift(word, shift) == round(Fraction(word, 2**shift))
    if shift < 62:
        assert int(round_shift(np.array([word]), shift)[0]) == round(Fraction(word, 2**shift))


@given(st.integers(-(2**40), 2**40 - 1), st.integers(1, 30), st.integers(2, 12), st.integers(0, 12))
def test_requantises_as_an_independent_library(word, drop, int_bits, frac_bits):
    q = Q(int_bits, max(frac_bits, 4 - int_bits))
    source = APyFixed(word & (2**41 - 1), int_bits=41 - q.frac_bits - drop, frac_bits=q.frac_bits + drop)
    cast = source.cast(q.int_bits, q.frac_bits, quantization=QuantizationMode.RND_CONV, overflow=OverflowMode.SAT)
    expected = cast.to_bits() - (1 << q.width if cast.to_bits() > q.max_word else 0)
    assert q.saturate(round_shift(word, drop)) == expected
    assert q.saturate(round_shift(np.array([word]), drop)).tolist() == [expected]


@given(WORDS, st.integers(-4, 50), st.integers(0, 2**16 - 1))
def test_dithered_rounding_goes_up_exactly_when_the_dither_reaches_one(word, shift, dither):
    """Against fractions: the part cut off, itself cut to 16 bits, plus the dither."""
    value = Fraction(word) / Fraction(2) ** shift
    low = math.floor(value)
    part = math.floor((value - low) * 2**16)
    assert round_shift_dithered(word, shift, dither) == low + (part + dither >= 2**16)
    word >>= 22
    found = round_shift_dithered(np.array([word]), shift, np.array([dither]))
    assert found.tolist() == [round_shift_dithered(word, shift, dither)]


@pytest.mark.parametrize(
    ("word", "dither", "expected"),
    [(0x18000, 0x7FFF, 1), (0x18000, 0x8000, 2), (-0x18000, 0x7FFF, -2), (-0x18000, 0x8000, -1), (0, 0xFFFF, 0)],
)
def test_dithered_rounding_literals(word, dither, expected):
    assert round_shift_dithered(word, 16, dither) == expected


@given(WORDS, st.integers(0, 40))
def test_dither_of_every_value_rounds_to_the_mean(word, shift):
    part = word % 2**shift
    ups = part * 2**16 // 2**shift
    low = word >> shift
    assert round_shift_dithered(word, shift, 2**16 - ups - 1) == low
    if ups:
        assert round_shift_dithered(word, shift, 2**16 - ups) == low + 1


def test_saturates_on_both_sides():
    q = Q.parse("q2.2")
    assert [q.saturate(w) for w in (-100, -9, -8, -7, 0, 7, 8, 100)] == [-8, -8, -8, -7, 0, 7, 7, 7]
    assert q.saturate(np.array([-9, 8])).tolist() == [-8, 7]


@pytest.mark.parametrize(
    ("value", "word"),
    [(0.125, 0), (0.375, 2), (-0.125, 0), (-0.375, -2), (0.3, 1), (1.75, 7), (1.9, 7), (-2.0, -8), (-9.0, -8)],
)
def test_values_become_the_nearest_words(value, word):
    q = Q.parse("q2.2")
    assert q.to_word(value) == word
    assert q.to_word([value]).tolist() == [word]


def test_words_and_values_of_every_word_agree():
    q = Q.parse("q3.5")
    words = np.arange(q.min_word, q.max_word + 1)
    assert q.to_word(q.to_value(words)).tolist() == words.tolist()
    assert q.to_value(-1) == -(2.0**-5)
    assert q.lsb == 2.0**-5


def test_limits_and_text():
    q = Q.parse("q3.13")
    assert (q.int_bits, q.frac_bits, q.width, q.max_word, q.min_word) == (3, 13, 16, 32767, -32768)
    assert str(q) == "q3.13"
    assert q.hex(-1) == "ffff"
    assert q.describe(-8192) == "-1.0000000000000 (q3.13 0xe000)"
    assert Q.parse("q1.4").hex(-1) == "1f"


@pytest.mark.parametrize("text", ["q3", "3.13", "Q3.13", "q3.13 ", "q-1.5", "q3,13", ""])
def test_refuses_text_that_is_no_format(text):
    with pytest.raises(FormatError, match=r"a format is written q<int>\.<frac>"):
        Q.parse(text)


@pytest.mark.parametrize(
    ("text", "why"), [("q1.2", "3 bits wide; 4 to 24"), ("q9.16", "25 bits wide"), ("q0.8", "sign bit")]
)
def test_refuses_formats_out_of_range(text, why):
    with pytest.raises(FormatError, match=why):
        Q.parse(text)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_refuses_values_that_are_not_finite(value):
    with pytest.raises(FormatError, match="only finite values"):
        Q(1, 7).to_word([0.0, value])


def test_rounding_names():
    assert [r.value for r in Rounding] == ["nearest", "stochastic"]
