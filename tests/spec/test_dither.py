"""Constants of the dither: literals, and that keys and bases are as independent as they must be."""

import pytest

from fregen.spec.dither import COLUMN_BASIS, MIX, ROW_BASIS, combine, first_key, next_key

pytestmark = pytest.mark.unit


def rank(words):
    """Rank over GF(2)."""
    basis = []
    for word in words:
        for other in basis:
            word = min(word, word ^ other)
        if word:
            basis.append(word)
    return len(basis)


def test_keys_step_as_xorshift32():
    """Marsaglia's published generator (13, 17, 5): 1 -> 270369 -> 67634689."""
    assert next_key(1) == 270369
    assert next_key(270369) == 67634689


def test_first_keys_differ_and_are_never_zero():
    keys = [first_key(seed) for seed in range(2000)]
    assert len(set(keys)) == 2000
    assert 0 not in keys
    assert all(0 < key < 2**32 for key in keys)


def test_keys_do_not_return_soon():
    start = key = first_key(0)
    for _ in range(20000):
        key = next_key(key)
        assert key not in (start, 0)


@pytest.mark.parametrize(("basis", "bits"), [(COLUMN_BASIS, 18), (ROW_BASIS, 12)])
def test_basis_words_are_independent(basis, bits):
    assert len(basis) == rank(basis) == bits


def test_combine_is_linear():
    assert combine(ROW_BASIS, 0) == 0
    assert combine(ROW_BASIS, 5) == ROW_BASIS[0] ^ ROW_BASIS[2]
    assert combine(ROW_BASIS, 9 ^ 12) == combine(ROW_BASIS, 9) ^ combine(ROW_BASIS, 12)


def test_mix_is_invertible_in_every_step():
    assert all(sign in (1, -1) and 0 < bits < 32 for sign, bits in MIX)
