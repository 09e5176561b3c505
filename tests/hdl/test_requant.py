"""Rounding and saturation as expressions, against :mod:`fregen.fixed`: every word of every small width."""

import pytest
from amaranth.hdl import Elaboratable, Module, Signal, signed, unsigned
from unit_bench import play

from fregen import fixed
from fregen.fixed import Q
from fregen.hdl import requant

pytestmark = pytest.mark.rtl

WIDTHS = (4, 5, 6, 7)


class Table(Elaboratable):
    """One input word, and every expression of it as an output."""

    def __init__(self, shape, expressions):
        self.word = Signal(shape)
        self.outputs = [Signal(signed(40), name=f"out_{k}") for k in range(len(expressions))]
        self.expressions = expressions

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [out.eq(make(self.word)) for out, make in zip(self.outputs, self.expressions, strict=True)]
        return m


def words_of(shape):
    return range(-(1 << (shape.width - 1)), 1 << (shape.width - 1)) if shape.signed else range(1 << shape.width)


def differences(shape, pairs):
    """(word, which, found, expected) of every difference between expressions and functions of integers."""
    table = Table(shape, [make for make, _ in pairs])
    words = list(words_of(shape))
    found = play(table, ({"word": word} for word in words), table.outputs, clocked=False)
    assert len(found) == 1 << shape.width
    return [
        (word, which, got, compute(word))
        for word, record in zip(words, found, strict=True)
        for which, (got, (_, compute)) in enumerate(zip(record, pairs, strict=True))
        if got != compute(word)
    ]


def shifts_of(width):
    return range(-3, width + 4)


@pytest.mark.parametrize("shape", [*map(signed, WIDTHS), unsigned(4), unsigned(6)], ids=str)
def test_round_shift_equals_fixed(shape):
    """All words, all shifts: to the left, none, within the word, at and beyond its width."""
    pairs = [
        (lambda w, s=s: requant.round_shift(w, s), lambda w, s=s: fixed.round_shift(w, s))
        for s in shifts_of(shape.width)
    ]
    assert not differences(shape, pairs)


@pytest.mark.parametrize("width", range(3, 9))
def test_saturate_equals_fixed(width):
    """From narrower, equal and wider words to every format of 4 to 7 bits."""
    pairs = [(lambda w, q=q: requant.saturate(w, q), q.saturate) for q in (Q(1, n - 1) for n in WIDTHS)]
    assert not differences(signed(width), pairs)


@pytest.mark.parametrize("shape", [*map(signed, WIDTHS), unsigned(5)], ids=str)
def test_fits_tells_whether_a_cut_changes_the_word(shape):
    pairs = [
        (lambda w, n=n: requant.fits(w, n), lambda w, n=n: int(-(1 << (n - 1)) <= w < 1 << (n - 1)))
        for n in range(1, shape.width + 3)
    ]
    assert not differences(shape, pairs)


MUTANTS = {
    "truncates": lambda w, s: w >> s if s > 0 else w << -s,
    "rounds half up": lambda w, s: (w + (1 << (s - 1))) >> s if s > 0 else w << -s,
    "forgets left shifts": lambda w, s: requant.round_shift(w, s) if s > 0 else w,
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_bench_sees_another_rounding(mutant):
    pairs = [(lambda w, s=s: MUTANTS[mutant](w, s), lambda w, s=s: fixed.round_shift(w, s)) for s in shifts_of(5)]
    assert differences(signed(5), pairs)


def test_the_bench_sees_a_limit_that_is_off_by_one():
    q = Q(1, 4)
    pairs = [(lambda w: requant.saturate(w, q), lambda w: min(max(w, q.min_word + 1), q.max_word))]
    assert differences(signed(6), pairs)
