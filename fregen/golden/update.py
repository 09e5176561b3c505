"""Local weight update: summed products, rounded once a batch, added, saturated.

Follows ``docs/numerics.md``, "Update".  The hardware twin is :mod:`fregen.hdl.update`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design.graph import Matrix
from ..fixed import DITHER_BITS, Rounding, round_shift, round_shift_dithered
from ..spec.network import NetworkSpec
from .carrier import FLOAT_BITS, Carrier
from .dither import DitherModel

__all__ = ["UpdateModel"]


class UpdateModel:
    """Update one matrix in place.

    Weights lie in memory as (source, target), the transpose of the logical shape: so a batch of rows multiplies from
    the left without a copy.

    That no weight can have saturated follows from a bound that grows with every update; only when it passes the largest
    word are the weights looked at.  What is counted and what is stored does not depend on it.

    Parameters
    ----------
    spec : NetworkSpec
        Formats and shifts.
    matrix : Matrix
        What is updated.
    carrier : Carrier
        Type of the weights.
    dither : DitherModel
        Read if weights round stochastically.
    """

    def __init__(self, spec: NetworkSpec, matrix: Matrix, carrier: Carrier, dither: DitherModel) -> None:
        self._spec, self._matrix, self._carrier, self._dither = spec, matrix, carrier, dither
        self._stochastic = spec.design.numerics.rounding is Rounding.STOCHASTIC
        self._max_word, self._min_word = spec.weight.max_word, spec.weight.min_word
        self._state_bound = float(1 << (spec.state.width - 1))
        self._float_product = carrier.update_bound(matrix).bit_length() <= FLOAT_BITS
        self._has_zeros = matrix.source == 0
        target, source = spec.graph.shape(matrix)
        self._change = np.empty((source, target)) if carrier.sums_in_float else None
        self._reach = float(self._max_word)
        self._rate = -1.0
        self._in_float = False
        self._shift = 0

    def forget(self) -> None:
        """Take note that the weights were replaced from outside."""
        self._reach = float(self._max_word)

    def step(self, weights: NDArray[Any], sources: NDArray[Any], deltas: NDArray[Any], rate: float, key: int) -> int:
        """Update the weights in place.

        Parameters
        ----------
        weights : (source, target) array of the carrier's type
            Weight words.
        sources : (n, source) array of the carrier's type
            Free state words (input words for the matrix from the input).
        deltas : (n, target) array of the carrier's type
            Contrast words of the target layer, or error words for the output.
        rate : float
            Learning rate, a power of two.
        key : int
            Key of the dither.

        Returns
        -------
        int
            Weights that lay outside their format before they were saturated.
        """
        if rate != self._rate:
            self._in_float = self._carrier.updates_in_float(self._matrix, rate)
            self._shift = self._carrier.update_shift(self._matrix, rate)
            self._rate = rate
        if not self._in_float:
            return self._step_integer(weights, sources, deltas, key)
        scaled = deltas * 2.0**-self._shift
        if self._stochastic and self._has_zeros:
            self._step_stochastic_rows(weights, sources, scaled, key)
        else:
            change = self._change
            assert change is not None
            np.matmul(sources.T, scaled, out=change)
            if self._stochastic:
                self._dithered(change, self._dither.words(key, self._matrix).T)
            else:
                np.rint(change, out=change)
            np.add(weights, change, out=weights)
        np.abs(scaled, out=scaled)
        self._reach += float(scaled.sum(axis=0).max()) * self._state_bound + 1.0
        return self._limit(weights) if self._reach > self._max_word else 0

    def _dithered(self, change: NDArray[Any], dither: NDArray[np.uint32]) -> None:
        change += dither * 2.0**-DITHER_BITS
        np.floor(change, out=change)

    def _step_stochastic_rows(
        self, weights: NDArray[Any], sources: NDArray[Any], scaled: NDArray[Any], key: int
    ) -> None:
        """Leave out source neurons that are zero in the whole batch: their weights cannot change."""
        kept = np.flatnonzero(sources.any(axis=0))
        assert self._change is not None
        change = self._change[: len(kept)]
        np.matmul(sources.take(kept, axis=1).T, scaled, out=change)
        self._dithered(change, self._dither.words(key, self._matrix, kept).T)
        change += weights.take(kept, axis=0)
        weights[kept] = change

    def _limit(self, weights: NDArray[Any]) -> int:
        high, low = float(weights.max()), float(weights.min())
        count = 0
        if high > self._max_word or low < self._min_word:
            count = int(np.count_nonzero(weights > self._max_word) + np.count_nonzero(weights < self._min_word))
            np.minimum(weights, self._max_word, out=weights)
            np.maximum(weights, self._min_word, out=weights)
        self._reach = min(max(high, -low), float(-self._min_word))
        return count

    def _step_integer(self, weights: NDArray[Any], sources: NDArray[Any], deltas: NDArray[Any], key: int) -> int:
        kind = np.float64 if self._float_product else np.int64
        products = sources.T.astype(kind) @ deltas.astype(kind)
        words = products.astype(np.int64)
        if self._stochastic:
            change = round_shift_dithered(words, self._shift, self._dither.words(key, self._matrix).T.astype(np.int64))
        else:
            change = round_shift(words, self._shift)
        changed = weights.astype(np.int64) + change
        weights[...] = self._spec.weight.saturate(changed)
        return int(np.count_nonzero(changed != weights))
