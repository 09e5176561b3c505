"""Exact products of words with matrices, one a network."""

from dataclasses import dataclass
from typing import Any

from .arrays import Arrays
from .bounds import PART_BITS

__all__ = ["Products"]


@dataclass(frozen=True)
class Products:
    """Products made in float64, of whole words or of words in two parts.

    Parameters
    ----------
    arrays : Arrays
        Where.
    splits : bool
        Whether words are multiplied in two parts, because a product of whole ones could reach 2**53.
    """

    arrays: Arrays
    splits: bool

    def product(self, words: Any, matrix: Any) -> Any:
        """Return ``words @ matrix``.

        Parameters
        ----------
        words : (networks, n, k) int64 array
            Words of up to 24 bits.
        matrix : (networks, k, m) float64 array
            Words of up to 25 bits.

        Returns
        -------
        (networks, n, m) int64 array
        """
        whole, real, matmul = self.arrays.whole, self.arrays.real, self.arrays.xp.matmul
        if not self.splits:
            return whole(matmul(real(words), matrix))
        high, low = words >> PART_BITS, words & ((1 << PART_BITS) - 1)
        return (whole(matmul(real(high), matrix)) << PART_BITS) + whole(matmul(real(low), matrix))
