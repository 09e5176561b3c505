"""Dither words of a whole matrix in bulk.

Definition and constants: :mod:`fregen.spec.dither`.  The hardware twin is :mod:`fregen.hdl.dither`.
"""

import numpy as np
from numpy.typing import NDArray

from ..design.graph import Matrix
from ..spec.dither import COLUMN_BASIS, MIX, ROW_BASIS, combine
from ..spec.network import NetworkSpec

__all__ = ["DitherModel"]


class DitherModel:
    """Dither words, one a weight, from an update's key.

    Parameters
    ----------
    spec : NetworkSpec
        Says which stored row and column every weight has.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        graph = spec.graph
        columns = sum(graph.layers[spec.stored(m)[1]].size for m in graph.matrices)
        self._columns = np.array([combine(COLUMN_BASIS, k) for k in range(columns)], dtype=np.uint32)
        rows = max(layer.size for layer in graph.layers)
        self._rows = np.array([combine(ROW_BASIS, k) for k in range(rows)], dtype=np.uint32)
        self._first = [spec.column_id(m) for m in graph.matrices]
        self._straight = [spec.stored(m) == (m.target, m.source) for m in graph.matrices]
        self._sizes = [graph.shape(m) for m in graph.matrices]
        self._key = -1
        self._mixed = self._columns

    def _mix(self, key: int) -> NDArray[np.uint32]:
        if key != self._key:
            words = self._columns ^ np.uint32(key)
            for sign, bits in MIX:
                if sign > 0:
                    words += words << np.uint32(bits)
                else:
                    words ^= words >> np.uint32(bits)
            self._key, self._mixed = key, words
        return self._mixed

    def words(self, key: int, matrix: Matrix, sources: NDArray[np.intp] | None = None) -> NDArray[np.uint32]:
        """Return the dither of every weight of a matrix, 0 to 2**16 - 1.

        Parameters
        ----------
        key : int
            Key of the update.
        matrix : Matrix
            Matrix of the spec's graph.
        sources : (k,) intp array, optional
            Only the weights from these source neurons, in this order.

        Returns
        -------
        (target, source) uint32 array
            In the logical orientation whatever the stored one; its transpose is contiguous.
        """
        mixed, first = self._mix(key), self._first[matrix.index]
        target, source = self._sizes[matrix.index]
        if self._straight[matrix.index]:
            of_sources, of_targets = mixed[first : first + source], self._rows[:target]
        else:
            of_sources, of_targets = self._rows[:source], mixed[first : first + target]
        if sources is not None:
            of_sources = of_sources[sources]
        words = of_sources[:, None] ^ of_targets[None, :]
        words += words >> np.uint32(16)
        words &= np.uint32(0xFFFF)
        return words.T
