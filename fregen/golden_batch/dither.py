"""Dither words of a matrix in every network, from a key a network.

Definition and constants: :mod:`fregen.spec.dither`.  Words of 32 bits lie in int64, which every library can shift.
"""

from typing import Any

import numpy as np

from ..design.graph import Matrix
from ..spec.dither import COLUMN_BASIS, MIX, ROW_BASIS, combine
from ..spec.network import NetworkSpec
from .arrays import Arrays

__all__ = ["Dither", "next_keys"]

_MASK = 0xFFFFFFFF


def next_keys(keys: Any) -> Any:
    """Return the keys of the next update; (networks,) int64 array, as :func:`fregen.spec.dither.next_key`."""
    keys = keys ^ ((keys << 13) & _MASK)
    keys = keys ^ (keys >> 17)
    return keys ^ ((keys << 5) & _MASK)


class Dither:
    """Dither of one matrix.

    Parameters
    ----------
    spec : NetworkSpec
        Any of the group: says which stored row and column a weight has.
    matrix : Matrix
        The matrix.
    arrays : Arrays
        Where.
    """

    def __init__(self, spec: NetworkSpec, matrix: Matrix, arrays: Arrays) -> None:
        sizes = spec.graph.layers
        rows, columns = spec.stored(matrix)
        self._columns_are_sources = columns == matrix.source
        first = spec.column_id(matrix)
        numbers = range(first, first + sizes[columns].size)
        self._columns = arrays.put(np.array([combine(COLUMN_BASIS, k) for k in numbers], dtype=np.int64))
        self._rows = arrays.put(np.array([combine(ROW_BASIS, k) for k in range(sizes[rows].size)], dtype=np.int64))

    def words(self, keys: Any) -> Any:
        """Return the dither of every weight, 0 to 2**16 - 1; (networks, source, target) int64 array."""
        mixed = keys[:, None] ^ self._columns
        for sign, bits in MIX:
            mixed = (mixed + (mixed << bits)) & _MASK if sign > 0 else mixed ^ (mixed >> bits)
        sources, targets = mixed[:, :, None], self._rows
        if not self._columns_are_sources:
            sources, targets = self._rows[:, None], mixed[:, None, :]
        words = sources ^ targets
        return (words + (words >> 16)) & 0xFFFF
