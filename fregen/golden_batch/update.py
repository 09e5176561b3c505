"""Local weight update of a matrix in every network, each with its own shift and rounding.

Follows ``docs/numerics.md``, "Update".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..design.graph import Matrix
from ..fixed import Rounding
from .arithmetic import Dithered, Limits, Nearest, column
from .arrays import Arrays
from .dither import Dither
from .group import Group
from .products import Products

__all__ = ["Shifts", "Update"]


@dataclass(frozen=True)
class Shifts:
    """How one matrix rounds at one rate a network."""

    nearest: Nearest
    dithered: Dithered


class Update:
    """Update one matrix.

    Parameters
    ----------
    group : Group
        Formats and roundings.
    matrix : Matrix
        What is updated.
    arrays : Arrays
        Where.
    """

    def __init__(self, group: Group, matrix: Matrix, arrays: Arrays) -> None:
        self._group, self._matrix, self._arrays = group, matrix, arrays
        self._products = Products(arrays, group.bounds.splits_update(matrix))
        self._limits = Limits.of(arrays, [spec.weight for spec in group.specs])
        chance = [spec.design.numerics.rounding is Rounding.STOCHASTIC for spec in group.specs]
        self._dither = Dither(group.shape, matrix, arrays) if any(chance) else None
        self._by_chance = arrays.put(column(chance)) > 0 if any(chance) and not all(chance) else None

    def shifts(self, rates: Sequence[float]) -> Shifts:
        """Return how the matrix rounds at a rate a network.

        Raises
        ------
        DesignError, FormatError
            As :meth:`Group.update_shifts`.
        """
        shifts = column(self._group.update_shifts(self._matrix, rates))
        return Shifts(Nearest(self._arrays, shifts), Dithered(self._arrays, shifts))

    def step(self, weights: Any, sources: Any, deltas: Any, shifts: Shifts, keys: Any) -> tuple[Any, Any]:
        """Return the updated weights, and how many lay outside their format before they were saturated.

        Parameters
        ----------
        weights : (networks, source, target) float64 array
            Weight words.
        sources : (networks, n, source) int64 array
            Free state words (input words for the matrix from the input).
        deltas : (networks, n, target) int64 array
            Contrast words of the target layer, or error words for the output.
        shifts : Shifts
            From :meth:`shifts`.
        keys : (networks,) int64 array
            Keys of the dither.

        Returns
        -------
        (networks, source, target) float64 array, (networks,) int64 array
        """
        xp, whole = self._arrays.xp, self._arrays.whole
        words = self._products.product(xp.swapaxes(sources, 1, 2), self._arrays.real(deltas))
        if self._dither is None:
            change = shifts.nearest(words)
        else:
            change = shifts.dithered(words, self._dither.words(keys))
            if self._by_chance is not None:
                change = xp.where(self._by_chance, change, shifts.nearest(words))
        changed = whole(weights) + change
        limited = self._limits.saturate(xp, changed)
        return self._arrays.real(limited), whole(limited != changed).sum(-1).sum(-1)
