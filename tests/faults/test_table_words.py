"""Faults that ``--inject`` leaves open because only the words of the tables show that they change nothing."""

from itertools import product
from pathlib import Path

import pytest

from fregen.design.document import Design
from fregen.fixed import round_shift
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.unit

SOFTMAX = NetworkSpec(Design.load(Path(__file__).parents[2] / "rtl" / "digits" / "design.toml")).softmax
PRODUCTS = sorted({e * r for e, r in product(SOFTMAX.exponential.words, SOFTMAX.reciprocal.words)})
EXTRA = 3
"""The sum of exponentials lies in [8, 16): so many bits more are dropped from a product."""


def rounded_without(word: int, shift: int, bit: int) -> int:
    """To nearest, ties to even, by a unit that does not see one bit below the half."""
    floor, half = word >> shift, word >> (shift - 1) & 1
    sticky = word & ((1 << (shift - 1)) - 1) & ~(1 << bit)
    return floor + (half & ((sticky != 0) | (floor & 1)))


def differing(shift: int, bit: int) -> list[int]:
    return [word for word in PRODUCTS if rounded_without(word, shift, bit) != round_shift(word, shift)]


def test_a_sticky_bit_of_the_softmax_that_no_product_of_table_words_needs() -> None:
    """Digits, ``--inject 200 --seed 0``: the reduction over 15 bits, bit 8 stuck at 0."""
    assert differing(SOFTMAX.product_shift + EXTRA, 8) == []


def test_other_sticky_bits_are_needed() -> None:
    needed = [bit for bit in range(15) if differing(SOFTMAX.product_shift + EXTRA, bit)]
    assert needed == [11, 12]
