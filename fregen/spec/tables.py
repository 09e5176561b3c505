"""Integer tables that golden model and hardware read: activation, exponential, reciprocal.

What both sides share proves nothing by agreement, so these tables have tests of their own, against real-valued
functions and literals (``tests/spec/test_tables.py``).
"""

import math
from dataclasses import dataclass
from functools import cached_property

from ..design.document import Activation
from ..fixed import Q

__all__ = ["FINEST_ERROR", "ExponentialTable", "PiecewiseLinear", "ReciprocalTable"]


_GUARD_BITS = 3
"""Fraction bits that words of the softmax tables have beyond those of the error."""

FINEST_ERROR = 12
"""Fraction bits of the finest error: its exponentials are 8,192 words; what is finer would need more than tables."""

_COARSE_UP_TO = 9
"""Fraction bits of an error up to which the smallest tables serve: 256 and 64 words."""


@dataclass(frozen=True)
class PiecewiseLinear:
    """An activation function as straight pieces between knots.

    Over ``[0, range)`` lie ``segments`` pieces of equal width; from ``range`` on the function is flat at the last knot.
    An odd function is mirrored to negative arguments, the other kind is 0 there.  A knot is a word with ``frac_bits``
    = fraction of the state format + 2 guard bits; the slope handed over for a segment is the difference of its two
    knots, so the slope is exactly the one that the interpolation has used.

    Parameters
    ----------
    activation : Activation
        Function, segments, range.
    state : Q
        Format of the result.
    """

    activation: Activation
    state: Q

    GUARD_BITS = 2

    @property
    def odd(self) -> bool:
        """Whether negative arguments mirror positive ones; otherwise they give 0 with slope 0."""
        return self.activation.function != "hard-sigmoid"

    @property
    def segments(self) -> int:
        """Pieces over ``[0, range)``: a power of two; the hard functions have one."""
        return self.activation.segments if self.activation.function == "tanh" else 1

    @property
    def range_log2(self) -> int:
        """log2 of the end of the last piece; 0 for the hard functions."""
        return self.activation.range.bit_length() - 1 if self.activation.function == "tanh" else 0

    @property
    def step_log2(self) -> int:
        """log2 of the width of a piece (negative: a fraction)."""
        return self.range_log2 - (self.segments.bit_length() - 1)

    @property
    def frac_bits(self) -> int:
        """Fraction bits of a knot."""
        return self.state.frac_bits + self.GUARD_BITS

    @property
    def slope_frac_bits(self) -> int:
        """Fraction bits of a slope word."""
        return self.frac_bits + self.step_log2

    @cached_property
    def knots(self) -> tuple[int, ...]:
        """``segments + 1`` function values, words with :attr:`frac_bits`."""
        function = math.tanh if self.activation.function == "tanh" else (lambda x: min(x, 1.0))
        step = math.ldexp(1.0, self.step_log2)
        return tuple(round(math.ldexp(function(k * step), self.frac_bits)) for k in range(self.segments + 1))

    @cached_property
    def slopes(self) -> tuple[int, ...]:
        """``segments`` differences of neighbouring knots, words with :attr:`slope_frac_bits`; never negative."""
        return tuple(high - low for low, high in zip(self.knots, self.knots[1:], strict=False))

    @property
    def slope_width(self) -> int:
        """Bits of an unsigned slope word."""
        return max(max(self.slopes).bit_length(), 1)

    @property
    def knot_width(self) -> int:
        """Bits of an unsigned knot."""
        return max(self.knots).bit_length()

    def error_lsb(self) -> float:
        """Bound of the distance to the real function, in bits of the last place of the state format.

        Interpolation (second derivative of tanh at most 0.77), rounding of the knots and of the result, the flat
        tail, and saturation at the largest word.
        """
        scale = math.ldexp(1.0, self.state.frac_bits)
        top = max(0.0, 1.0 - self.state.to_value(self.state.max_word)) * scale
        bound = 0.5 + 0.5 / (1 << self.GUARD_BITS)
        if self.activation.function == "tanh":
            width = math.ldexp(1.0, self.step_log2)
            bound += 0.77 * width * width / 8 * scale + (1 - math.tanh(math.ldexp(1.0, self.range_log2))) * scale
        return max(bound, top + 0.5)


@dataclass(frozen=True)
class ExponentialTable:
    """``exp(-x)`` for x in ``[0, 2**range_log2)`` at steps of ``2**step_log2``; the last word is 0.

    Parameters
    ----------
    frac_bits : int
        Fraction bits of a word.
    step_log2, range_log2 : int
        log2 of the step and of the range.
    """

    frac_bits: int
    step_log2: int = -5
    range_log2: int = 3

    @classmethod
    def of(cls, error: Q) -> "ExponentialTable":
        """Return the table for an error format: 256 words to 1/32, or from 10 fraction bits on finer and twice as far.

        A step finer by one bit for every bit of the error keeps the probability's distance to softmax, in units of the
        last place, where it is at 10 bits.
        """
        if error.frac_bits <= _COARSE_UP_TO:
            return cls(error.frac_bits + _GUARD_BITS)
        return cls(error.frac_bits + _GUARD_BITS, 3 - error.frac_bits, 4)

    @property
    def index_bits(self) -> int:
        """log2 of the number of words."""
        return self.range_log2 - self.step_log2

    @cached_property
    def words(self) -> tuple[int, ...]:
        """``2**index_bits`` unsigned words; the first is ``2**frac_bits``."""
        step = math.ldexp(1.0, self.step_log2)
        entries = [round(math.ldexp(math.exp(-k * step), self.frac_bits)) for k in range((1 << self.index_bits) - 1)]
        return (*entries, 0)


@dataclass(frozen=True)
class ReciprocalTable:
    """``1 / x`` for x in [1, 2), each word for the middle of its interval.

    Parameters
    ----------
    frac_bits : int
        Fraction bits of a word.
    index_bits : int
        log2 of the number of words.
    """

    frac_bits: int
    index_bits: int = 6

    @classmethod
    def of(cls, error: Q) -> "ReciprocalTable":
        """Return the table for an error format: 64 words, or from 10 fraction bits on half as many as it has values."""
        bits = 6 if error.frac_bits <= _COARSE_UP_TO else error.frac_bits - 1
        return cls(error.frac_bits + _GUARD_BITS, bits)

    @cached_property
    def words(self) -> tuple[int, ...]:
        """``2**index_bits`` unsigned words, all between ``2**(frac_bits - 1)`` and ``2**frac_bits``."""
        entries = 1 << self.index_bits
        return tuple(round(math.ldexp(entries / (entries + k + 0.5), self.frac_bits)) for k in range(entries))
