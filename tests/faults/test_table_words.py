"""Which sticky bits of the softmax the words of its tables need: a second source for proofs, and what they leave open.

``fregen.faults.history`` proves that a bit is not needed if no product of two words of the tables needs it, whatever
their sum.  Here all products are tried.
"""

from itertools import product
from pathlib import Path

import pytest

from fregen.design.document import Design
from fregen.fixed import round_shift
from fregen.runs.softmax_cases import hard_pairs
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.unit

SOFTMAX = NetworkSpec(Design.load(Path(__file__).parents[2] / "rtl" / "digits" / "design.toml")).softmax
PRODUCTS = sorted({e * r for e, r in product(SOFTMAX.exponential.words, SOFTMAX.reciprocal.words)})
SHIFTS = range(SOFTMAX.product_shift, SOFTMAX.product_shift + 4)
"""Bits that are dropped from a product if the sum of exponentials lies in [1, 2), [2, 4), [4, 8), [8, 16)."""


def rounded_without(word: int, shift: int, bit: int) -> int:
    """To nearest, ties to even, by a unit that does not see one bit below the half."""
    floor, half = word >> shift, word >> (shift - 1) & 1
    sticky = word & ((1 << (shift - 1)) - 1) & ~(1 << bit)
    return floor + (half & ((sticky != 0) | (floor & 1)))


def needed(shift: int) -> set[int]:
    """Bits without which a product is rounded to another word."""
    return {
        bit
        for bit in range(shift - 1)
        if any(rounded_without(word, shift, bit) != round_shift(word, shift) for word in PRODUCTS)
    }


def test_a_sticky_bit_that_no_product_of_table_words_needs() -> None:
    """Digits, ``--inject 200 --seed 0``: the reduction over 15 bits, bit 8 stuck at 0; only two of these are needed."""
    assert needed(SHIFTS[-1]) == {11, 12}


def test_what_proofs_leave_open_is_what_no_sum_of_ten_exponentials_meets() -> None:
    """Proofs know nothing of the sum.  992 with the greatest word, 1,024, is already more than the one sum it needs.

    Bits stuck at 0 are seen by products that miss a tie by this bit, bits stuck at 1 by ties to an even word.
    """
    pairs = hard_pairs(SOFTMAX)
    half = {shift: 1 << (shift - 1) for shift in SHIFTS}
    met = {shift: {bit for bit in range(shift - 1) if (shift, half[shift] + (1 << bit)) in pairs} for shift in SHIFTS}
    assert {shift: needed(shift) - met[shift] for shift in SHIFTS} == {13: {3, 9}, 14: set(), 15: set(), 16: {12}}
    assert all(met[shift] <= needed(shift) for shift in SHIFTS)
    ties = {shift for shift in SHIFTS if any(word % (2 << shift) == half[shift] for word in PRODUCTS)}
    assert ties == {13, 14, 16}
    assert {shift for shift in ties if (shift, half[shift]) not in pairs} == {16}
