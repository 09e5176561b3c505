"""Fixed-point words: formats, rounding and saturation.

A *word* is the integer on the wires, a *value* the real number it stands for: ``value = word * 2**-frac_bits``.
A format is written ``q<int>.<frac>`` where **int counts the sign bit**, so the width is ``int + frac``.

=================  =================  ======================  ===============  =============
fregen             width, fraction    ``ap_fixed<W, I>``      da4ml (k, i, f)  Arm Qm.n
=================  =================  ======================  ===============  =============
``q1.15``          16, 15             ``ap_fixed<16, 1>``     (1, 0, 15)       Q0.15
``q3.13``          16, 13             ``ap_fixed<16, 3>``     (1, 2, 13)       Q2.13
=================  =================  ======================  ===============  =============

Sums and products are exact everywhere in fregen; words lose bits only through the two functions here,
:func:`round_shift` and :meth:`Q.saturate`.  Both work on Python integers and on numpy integer arrays alike.
The hardware twin is :mod:`fregen.hdl.requant`.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import FormatError, quoted

__all__ = ["DITHER_BITS", "MAX_WIDTH", "MIN_WIDTH", "Q", "Rounding", "round_shift", "round_shift_dithered"]

MIN_WIDTH = 4
"""Narrowest word, bits."""
MAX_WIDTH = 24
"""Widest word, bits."""
DITHER_BITS = 16
"""Random bits that stochastic rounding adds below the last kept bit."""


class Rounding(StrEnum):
    """What becomes of the bits below the last kept one."""

    NEAREST = "nearest"
    """To the nearest word, ties to the even one (RND_CONV)."""
    STOCHASTIC = "stochastic"
    """Up with a probability equal to the part cut off, to 2**-16."""


@dataclass(frozen=True, order=True)
class Q:
    """A signed fixed-point format.

    Parameters
    ----------
    int_bits : int
        Bits left of the binary point, the sign bit included; at least 1.
    frac_bits : int
        Bits right of the binary point; at least 0.

    Raises
    ------
    FormatError
        If either is out of range or the width is not within 4 to 24 bits.

    Examples
    --------
    >>> q = Q.parse("q3.13")
    >>> q.width, q.to_word(1.0), q.max_word
    (16, 8192, 32767)
    """

    int_bits: int
    frac_bits: int

    def __post_init__(self) -> None:
        if self.int_bits < 1 or self.frac_bits < 0:
            raise FormatError(f"a format needs at least the sign bit and no negative fraction, not {self}")
        if not MIN_WIDTH <= self.width <= MAX_WIDTH:
            raise FormatError(f"{self} is {self.width} bits wide; {MIN_WIDTH} to {MAX_WIDTH} bits are allowed")

    @classmethod
    def parse(cls, text: str) -> "Q":
        """Read ``q<int>.<frac>``; raise FormatError on anything else."""
        match = re.fullmatch(r"q(\d{1,3})\.(\d{1,3})", text)
        if match is None:
            raise FormatError(
                f"a format is written q<int>.<frac>, such as q3.13 (int counts the sign bit), not {quoted(text)}"
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"q{self.int_bits}.{self.frac_bits}"

    @property
    def width(self) -> int:
        """Bits in total."""
        return self.int_bits + self.frac_bits

    @property
    def max_word(self) -> int:
        """Largest word."""
        return (1 << (self.width - 1)) - 1

    @property
    def min_word(self) -> int:
        """Smallest word."""
        return -(1 << (self.width - 1))

    @property
    def lsb(self) -> float:
        """Value of the last bit."""
        return 2.0**-self.frac_bits

    def saturate(self, word: Any) -> Any:
        """Limit a word (integer or integer array) to this format."""
        if isinstance(word, int):
            return min(max(word, self.min_word), self.max_word)
        return np.minimum(np.maximum(word, self.min_word), self.max_word)

    def to_word(self, value: ArrayLike) -> Any:
        """Round values to the nearest words (ties to even) and saturate; int64 array, or int for a scalar.

        Raises
        ------
        FormatError
            If a value is not finite.
        """
        scaled = np.rint(np.ldexp(np.asarray(value, dtype=np.float64), self.frac_bits))
        if not np.all(np.isfinite(scaled)):
            raise FormatError(f"only finite values become {self} words")
        words = np.clip(scaled, self.min_word, self.max_word).astype(np.int64)
        return int(words) if words.ndim == 0 else words

    def to_value(self, word: ArrayLike) -> Any:
        """Real numbers that words stand for; float64."""
        values = np.ldexp(np.asarray(word, dtype=np.float64), -self.frac_bits)
        return float(values) if values.ndim == 0 else values

    def hex(self, word: int) -> str:
        """Two's complement digits of a word, for messages and memory images."""
        return f"{word & ((1 << self.width) - 1):0{(self.width + 3) // 4}x}"

    def describe(self, word: int) -> str:
        """Value, format and hexadecimal digits of a word, for messages."""
        return f"{self.to_value(word):+.{self.frac_bits}f} ({self} 0x{self.hex(word)})"


def round_shift(word: Any, shift: int) -> Any:
    """Divide by ``2**shift`` and round to nearest, ties to even.

    Parameters
    ----------
    word : int or integer array
        Words to shorten.
    shift : int
        Bits to drop; a negative shift moves left and is exact.
    """
    if shift <= 0:
        return word << -shift
    floor = word >> shift
    rest = word - (floor << shift)
    half = 1 << (shift - 1)
    if isinstance(word, int):
        return floor + int(rest > half or (rest == half and floor & 1 == 1))
    return floor + ((rest > half) | ((rest == half) & (floor & 1 == 1)))


def round_shift_dithered(word: Any, shift: int, dither: NDArray[np.integer] | int) -> Any:
    """Divide by ``2**shift`` and round up or down by chance (stochastic rounding).

    The word is cut (floor) to 16 bits below the last kept one, the dither is added there, and the sum is cut again.

    Parameters
    ----------
    word : int or integer array
        Words to shorten.
    shift : int
        Bits to drop; a negative shift moves left and is exact.
    dither : int or integer array
        Random words, 0 to 2**16 - 1.
    """
    cut = shift - DITHER_BITS
    kept = word >> cut if cut >= 0 else word << -cut
    return (kept + dither) >> DITHER_BITS
