"""Constants of the dither that stochastic rounding adds: the one definition that golden model and hardware share.

A dither word depends only on which update it is, and on which weight (its stored row and column): not on the lanes,
nor on what was skipped.  All arithmetic is on 32-bit words, modulo 2**32:

1. ``key``: one word an update; the next is :func:`next_key` (xorshift32) of it; the first is :func:`first_key` of the
seed. 2. ``column``: ``h = key ^ column_bits(id)``, then :data:`MIX`, where id counts the stored columns of all
matrices. 3. ``row``: ``y = h ^ row_bits(row)``; the dither is ``(y + (y >> 16)) & 0xffff``.

``column_bits`` and ``row_bits`` are linear over XOR: bit k of the number selects one word of a basis.  So a lane needs
one constant for its own low row bits.  Golden: :mod:`fregen.golden.dither`.  Hardware: :mod:`fregen.hdl.dither`.
"""

__all__ = ["COLUMN_BASIS", "MIX", "ROW_BASIS", "combine", "first_key", "next_key"]

_MASK = 0xFFFFFFFF

MIX = ((1, 10), (-1, 6), (1, 3), (-1, 11), (1, 15))
"""Steps of the column mix: (1, k) is ``h += h << k``, (-1, k) is ``h ^= h >> k``."""


def next_key(key: int) -> int:
    """Key of the next update."""
    key ^= (key << 13) & _MASK
    key ^= key >> 17
    return key ^ ((key << 5) & _MASK)


def first_key(seed: int) -> int:
    """Key of the first update of a run; never zero."""
    key = (seed * 0x9E3779B1 + 0x85EBCA6B) & _MASK or 1
    for _ in range(8):
        key = next_key(key)
    return key


def _basis(seed: int, length: int) -> tuple[int, ...]:
    words, key = [], seed
    for _ in range(length):
        for _ in range(5):
            key = next_key(key)
        words.append(key)
    return tuple(words)


COLUMN_BASIS = _basis(0x2545F491, 18)
"""Words that the bits of a column id select."""
ROW_BASIS = _basis(0x6C078965, 12)
"""Words that the bits of a row select."""


def combine(basis: tuple[int, ...], number: int) -> int:
    """XOR the words of a basis that the bits of a number select."""
    word = 0
    for bit, part in enumerate(basis):
        if number >> bit & 1:
            word ^= part
    return word
