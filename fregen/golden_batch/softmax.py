"""Predictions and error words from the output layer's sums, in every network by its own tables.

Follows ``docs/numerics.md``, "Softmax and error".
"""

from typing import Any

import numpy as np

from .arithmetic import Limits, column
from .arrays import Arrays
from .group import Group

__all__ = ["Softmax"]


class Softmax:
    """Approximate softmax by two small tables and one multiplication a class.

    Parameters
    ----------
    group : Group
        Error formats and fractions of the sums.
    arrays : Arrays
        Where.
    """

    def __init__(self, group: Group, arrays: Arrays) -> None:
        self._arrays = arrays
        units = [spec.softmax for spec in group.specs]

        def side_by_side(tables: list[tuple[int, ...]]) -> tuple[Any, Any]:
            length = max(map(len, tables))
            rows = np.zeros((len(tables), length), dtype=np.int64)
            for row, table in zip(rows, tables, strict=True):
                row[: len(table)] = table
            return arrays.put(rows.reshape(-1)), arrays.put(column(np.arange(len(tables)) * length))

        self._exponentials, self._first_exponential = side_by_side([unit.exponential.words for unit in units])
        self._reciprocals, self._first_reciprocal = side_by_side([unit.reciprocal.words for unit in units])
        shifts = column([unit.index_shift for unit in units])
        right = np.maximum(shifts, 0)
        self._right, self._half = arrays.put(right), arrays.put((np.int64(1) << right) >> 1)
        self._left = arrays.put(np.maximum(-shifts, 0))
        self._last = arrays.put(column([len(unit.exponential.words) - 1 for unit in units]))
        self._rest_bits = arrays.put(column([unit.reciprocal.index_bits for unit in units]))
        self._rest_mask = arrays.put(column([len(unit.reciprocal.words) - 1 for unit in units]))
        self._drop = arrays.put(column([unit.reciprocal.frac_bits - unit.error.frac_bits for unit in units]))
        self._one = arrays.put(column([unit.one for unit in units]))
        self._limits = Limits.of(arrays, [unit.error for unit in units])
        widest = max(unit.total_width for unit in units)
        self._powers = arrays.put(np.int64(1) << np.arange(1, widest + 1))
        self._classes = arrays.put(np.arange(units[0].classes))
        self._unit = arrays.put(np.ones((1, 1, 1), dtype=np.int64))

    def predict(self, logits: Any) -> Any:
        """Return the index of the greatest logit, the lowest of equals; (networks, n) of (networks, n, classes)."""
        is_greatest = logits == self._arrays.xp.amax(logits, -1)[..., None]
        return -self._arrays.xp.amax(self._arrays.xp.where(is_greatest, -self._classes, -len(self._classes)), -1)

    def errors(self, logits: Any, labels: Any) -> Any:
        """Return error words (target minus probability, saturated); (networks, n, classes) int64.

        Parameters
        ----------
        logits : (networks, n, classes) int64 array
            Sums of the output layer.
        labels : (networks, n) int64 array
            Right classes.
        """
        xp, whole = self._arrays.xp, self._arrays.whole
        below = xp.amax(logits, -1)[..., None] - logits
        index = xp.minimum(((below << self._left) + self._half) >> self._right, self._last)
        words = self._exponentials[index + self._first_exponential]
        total = words.sum(-1)[..., None]
        leading = whole(total >= self._powers).sum(-1)[..., None]
        rest = ((total << self._rest_bits) >> leading) & self._rest_mask
        words = words * self._reciprocals[rest + self._first_reciprocal]
        shift = leading + self._drop
        # Nearest, ties to even: add half less one, and one more if the kept part is odd.
        words = (words + (self._unit << (shift - 1)) - 1 + ((words >> shift) & 1)) >> shift
        wanted = whole(labels[..., None] == self._classes) * self._one
        return self._limits.saturate(xp, wanted - words)
