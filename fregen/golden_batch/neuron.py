"""What neurons make of their sums, in every network by its own table: state words, slope words, offset words.

Follows ``docs/numerics.md``, "Activation (and its slope)" and "Phases".
"""

from typing import Any

import numpy as np

from .arithmetic import MOST_SHIFT, Limits, Scaled, column
from .arrays import Arrays
from .bounds import cut
from .group import Group

__all__ = ["Activations", "Offsets"]


class Activations:
    """Piecewise-linear functions, one a network.

    A segment is kept as intercept and slope, ``y = c_k + Δ_k·|h|`` with ``c_k = (y_k − k·Δ_k)·2^τ``.  One more entry
    stands for the flat tail and one for what lies below 0 of a function that is 0 there; tables of all networks lie one
    after the other, each as long as the longest.

    Parameters
    ----------
    group : Group
        Tables, formats and shifts.
    arrays : Arrays
        Where.
    """

    def __init__(self, group: Group, arrays: Arrays) -> None:
        self._arrays = arrays
        tables = [spec.activation for spec in group.specs]
        taus = column([spec.tau for spec in group.specs])
        cuts = column([cut(group.bounds.interpolation_bound(spec)) for spec in group.specs])
        entries = max(table.segments for table in tables) + 2
        intercepts = np.zeros((len(tables), entries), dtype=np.int64)
        slopes = np.zeros((len(tables), entries), dtype=np.int64)
        for row, table in enumerate(tables):
            left = int(taus[row, 0, 0] - cuts[row, 0, 0])
            for k, (knot, slope) in enumerate(zip(table.knots, table.slopes, strict=False)):
                intercepts[row, k], slopes[row, k] = (knot - k * slope) << left, slope
            intercepts[row, table.segments] = table.knots[-1] << left
        self._intercepts, self._slopes = arrays.put(intercepts.reshape(-1)), arrays.put(slopes.reshape(-1))
        first = column(np.arange(len(tables)) * entries)
        self._first = arrays.put(first)
        self._tail = arrays.put(first + column([table.segments for table in tables]))
        rectified = column([not table.odd for table in tables])
        self._beyond_tail = arrays.put(rectified) if rectified.any() else None
        self._tau = arrays.put(np.minimum(taus, MOST_SHIFT))
        self._scaled = Scaled(arrays, column([spec.state_shift for spec in group.specs]), cuts)
        self._most = arrays.put(column([spec.state.max_word for spec in group.specs]))

    def step(self, sums: Any) -> tuple[Any, Any]:
        """Return state words and the table entries they came from, (networks, samples, neurons) int64 each."""
        xp = self._arrays.xp
        magnitude, is_negative = xp.abs(sums), sums < 0
        entries = xp.minimum((magnitude >> self._tau) + self._first, self._tail)
        if self._beyond_tail is not None:
            entries = xp.where(is_negative & (self._beyond_tail > 0), self._tail + 1, entries)
        words = self._scaled(self._slopes[entries], magnitude, self._intercepts[entries])
        # What is 0 below 0 stays 0.  No function passes 1, and -1 is a word of every format.
        return xp.minimum(xp.where(is_negative, -words, words), self._most), entries

    def slopes(self, entries: Any) -> Any:
        """Slope words of table entries."""
        return self._slopes[entries]


class Offsets:
    """``saturate(slope·a, rounded to nearest even)``.

    Parameters
    ----------
    group : Group
        Formats and shifts; of the ``offset`` form.
    arrays : Arrays
        Where.
    """

    def __init__(self, group: Group, arrays: Arrays) -> None:
        self._arrays = arrays
        cuts = column([cut(group.bounds.offset_bound(spec)) for spec in group.specs])
        self._scaled = Scaled(arrays, column([spec.offset_shift for spec in group.specs]), cuts)
        self._limits = Limits.of(arrays, [spec.offset for spec in group.specs])

    def step(self, slopes: Any, sums: Any) -> tuple[Any, Any]:
        """Return offset words, and how many of each sample were saturated, (networks, samples)."""
        words = self._scaled(slopes, sums)
        limited = self._limits.saturate(self._arrays.xp, words)
        return limited, self._arrays.whole(limited != words).sum(-1)
