"""Integer tables that golden model and hardware read: activation, exponential, reciprocal.

What both sides share proves nothing by agreement, so these tables have tests of their own, against real-valued
functions and literals (``tests/spec/test_tables.py``).
"""

import math
from dataclasses import dataclass
from functools import cached_property

from ..design.document import Activation
from ..fixed import Q

__all__ = ["ExponentialTable", "PiecewiseLinear", "ReciprocalTable"]


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
    """``exp(-x)`` for x in [0, 8): 256 words at steps of 1/32; the last one is 0.

    Parameters
    ----------
    frac_bits : int
        Fraction bits of a word.
    """

    frac_bits: int

    INDEX_BITS = 8
    STEP_LOG2 = -5

    @cached_property
    def words(self) -> tuple[int, ...]:
        """Unsigned words; the first is ``2**frac_bits``."""
        step = math.ldexp(1.0, self.STEP_LOG2)
        entries = [round(math.ldexp(math.exp(-k * step), self.frac_bits)) for k in range((1 << self.INDEX_BITS) - 1)]
        return (*entries, 0)


@dataclass(frozen=True)
class ReciprocalTable:
    """``1 / x`` for x in [1, 2): 64 words, each for the middle of its interval.

    Parameters
    ----------
    frac_bits : int
        Fraction bits of a word.
    """

    frac_bits: int

    INDEX_BITS = 6

    @cached_property
    def words(self) -> tuple[int, ...]:
        """Unsigned words, all between ``2**(frac_bits - 1)`` and ``2**frac_bits``."""
        entries = 1 << self.INDEX_BITS
        return tuple(round(math.ldexp(entries / (entries + k + 0.5), self.frac_bits)) for k in range(entries))
