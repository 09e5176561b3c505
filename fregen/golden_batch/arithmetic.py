"""Rounding and saturation where shifts and limits are arrays: a number a network, along the first axis.

Each does to int64 arrays what its namesake in :mod:`fregen.fixed` does to words with one shift.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..fixed import DITHER_BITS
from .arrays import Arrays

__all__ = ["MOST_SHIFT", "Dithered", "Limits", "Nearest", "Scaled", "column"]

MOST_SHIFT = 62
"""Bits that int64 can be shifted by and 1 still be shifted to."""


def column(numbers: Any, axes: int = 3) -> NDArray[np.int64]:
    """Return a number a network as an array that meets (networks, samples, neurons)."""
    return np.array(numbers, dtype=np.int64).reshape((-1,) + (1,) * (axes - 1))


@dataclass(frozen=True)
class Limits:
    """Saturation between two words a network."""

    low: Any
    high: Any

    @classmethod
    def of(cls, arrays: Arrays, formats: Any) -> "Limits":
        """Put the limits of a format a network on the device."""
        return cls(arrays.put(column([q.min_word for q in formats])), arrays.put(column([q.max_word for q in formats])))

    def saturate(self, xp: Any, words: Any) -> Any:
        """Limit words."""
        return xp.minimum(xp.maximum(words, self.low), self.high)


class Nearest:
    """Division by ``2**shift``, rounded to nearest, ties to even; a negative shift moves left.

    Parameters
    ----------
    arrays : Arrays
        Where.
    shifts : (networks, 1, 1) integer array
        Bits to drop.
    """

    def __init__(self, arrays: Arrays, shifts: NDArray[np.int64]) -> None:
        right = np.clip(shifts, 0, MOST_SHIFT)
        self._right = arrays.put(right)
        self._below_half = arrays.put(((np.int64(1) << right) >> 1) - (right > 0))
        self._drops = arrays.put((right > 0).astype(np.int64))
        self._left = arrays.put(np.maximum(-shifts, 0)) if (shifts < 0).any() else None

    def __call__(self, words: Any) -> Any:
        """Round int64 words."""
        if self._left is not None:
            words = words << self._left
        return (words + self._below_half + ((words >> self._right) & self._drops)) >> self._right


class Dithered:
    """Division by ``2**shift``, rounded up or down by chance (:func:`fregen.fixed.round_shift_dithered`).

    Parameters
    ----------
    arrays : Arrays
        Where.
    shifts : (networks, 1, 1) integer array
        Bits to drop; negative ones move left.
    """

    def __init__(self, arrays: Arrays, shifts: NDArray[np.int64]) -> None:
        cuts = shifts - DITHER_BITS
        self._right = arrays.put(np.clip(cuts, 0, MOST_SHIFT))
        self._left = arrays.put(np.maximum(-cuts, 0))

    def __call__(self, words: Any, dither: Any) -> Any:
        """Round int64 words with a dither word for each."""
        return (((words << self._left) >> self._right) + dither) >> DITHER_BITS


class Scaled:
    """``high + factors·words``, divided by ``2**shift`` and rounded to nearest even, however wide the product.

    Low ``cut`` bits of words are multiplied apart and enter rounding as one sticky bit; that is exact as long as
    rounding drops more bits than that, which :class:`~fregen.golden_batch.bounds.Bounds` asks for.

    Parameters
    ----------
    arrays : Arrays
        Where.
    shifts, cuts : (networks, 1, 1) integer arrays
        Bits to drop, and bits to multiply apart.
    """

    def __init__(self, arrays: Arrays, shifts: NDArray[np.int64], cuts: NDArray[np.int64]) -> None:
        self._arrays = arrays
        self._cuts = arrays.put(cuts) if cuts.any() else None
        if self._cuts is not None:
            self._mask = arrays.put((np.int64(1) << cuts) - 1)
            shifts = shifts - cuts + 1
        self._round = Nearest(arrays, shifts)

    def __call__(self, factors: Any, words: Any, high: Any = 0) -> Any:
        """Multiply and round.

        Parameters
        ----------
        factors, words : int64 arrays
            To be multiplied; factors are not negative.
        high : int64 array
            Added, in units of ``2**cut``.
        """
        if self._cuts is None:
            return self._round(high + factors * words)
        low = factors * (words & self._mask)
        kept = high + factors * (words >> self._cuts) + (low >> self._cuts)
        return self._round((kept << 1) | self._arrays.whole((low & self._mask) != 0))
