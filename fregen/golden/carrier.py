"""Which numpy type carries which integers exactly, decided from worst-case bounds when a model is built.

Words and sums are integers, but float64 holds every integer below 2**53 exactly, and its matrix products run on BLAS,
many times as fast as numpy's own int64 loops.  So a model computes in float64 where no sum, no partial sum and no
aligned product can reach 2**53, and in int64 (2**63) elsewhere; what fits neither is refused.  Scaling by a power of
two is exact in float64, so alignment shifts are factors there.  (float32 holds sums below 2**24 only: with the
alignment of the feedback hardly a design fits.)
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..design.document import log2_scale
from ..design.graph import Matrix
from ..errors import FormatError
from ..fixed import DITHER_BITS, round_shift
from ..spec.network import NetworkSpec, Product

__all__ = ["FLOAT_BITS", "INTEGER_BITS", "Carrier", "rounded_product"]

FLOAT_BITS = 53
"""Integers of a magnitude below 2**53 are exact in float64."""
INTEGER_BITS = 63
"""Integers of a magnitude below 2**63 are exact in int64."""

_REMEDY = "use fewer fraction bits in numerics.weight or numerics.state, or a network.beta nearer to 1"


def rounded_product(factors: Any, words: Any, shift: int, cut: int = 0, high: Any = 0) -> Any:
    """Return ``high·2^cut + factors·words``, divided by ``2^shift`` and rounded to nearest even.

    Where the whole product would not fit in int64, its low ``cut`` bits are computed apart and enter the rounding as
    one sticky bit, which is exact as long as rounding drops more bits than that.

    Parameters
    ----------
    factors, words : int64 arrays
        To be multiplied; factors are not negative.
    shift : int
        Bits to drop, more than ``cut``.
    cut : int
        Low bits of ``words`` that are multiplied apart.
    high : int64 array
        Added; given without its low ``cut`` bits, which are 0.
    """
    if not cut:
        return round_shift(high + factors * words, shift)
    mask = (1 << cut) - 1
    low = factors * (words & mask)
    kept = high + factors * (words >> cut) + (low >> cut)
    return round_shift((kept << 1) | ((low & mask) != 0), shift - cut + 1)


@dataclass(frozen=True)
class Carrier:
    """Types that carry a network's words and sums without loss.

    Parameters
    ----------
    spec : NetworkSpec
        Its worst-case bounds decide.

    Raises
    ------
    FormatError
        If a sum, an interpolation or an offset product of the design fits no carrier; the message names the bound, the
        layer and what to change.
    """

    spec: NetworkSpec

    def __post_init__(self) -> None:
        for layer in self.spec.graph.layers[1:]:
            for phase in ("free", "nudged"):
                bound = self.sum_bound(phase, layer.index)
                # The output unit subtracts two sums and adds half an index step, or shifts left.
                bits = bound.bit_length() + (2 + max(0, -self.spec.softmax.index_shift))
                if bits > INTEGER_BITS:
                    raise FormatError(
                        f"layer {layer.index}: a {phase} sum can need {bound.bit_length()} bits, exact arithmetic "
                        f"holds {INTEGER_BITS - 2}; {_REMEDY}"
                    )
        slope = max(self.spec.activation.slopes).bit_length()
        wide = [("the activation", self.interpolation_bound, self.interpolation_cut, self.spec.state_shift)]
        if self.spec.has_offsets:
            wide.append(("slope x sum", self.offset_bound, self.offset_cut, self.spec.offset_shift))
        for name, bound, cut, shift in wide:
            if cut and (cut >= shift or slope + cut > INTEGER_BITS):
                raise FormatError(
                    f"hidden layers: {name} can need {bound.bit_length()} bits, of which rounding drops only {shift}; "
                    f"exact arithmetic holds {INTEGER_BITS}; {_REMEDY}"
                )

    def products(self, phase: str, layer: int) -> tuple[Product, ...]:
        """Products of a layer's sum in the ``"free"`` or the ``"nudged"`` phase."""
        return self.spec.free_products(layer) if phase == "free" else self.spec.nudged_products(layer)

    def sum_bound(self, phase: str, layer: int) -> int:
        """Largest magnitude of a layer's sum, all partial sums and aligned products included."""
        return sum(self.spec.product_bound(p) << p.shift for p in self.products(phase, layer))

    @cached_property
    def largest_sum(self) -> int:
        """Largest magnitude of any sum."""
        return max(
            self.sum_bound(phase, layer.index) for layer in self.spec.graph.layers[1:] for phase in ("free", "nudged")
        )

    @property
    def sums_in_float(self) -> bool:
        """Whether float64 carries words and sums; otherwise int64 does."""
        return self.largest_sum.bit_length() <= FLOAT_BITS

    @property
    def dtype(self) -> Any:
        """Type of weights, states, offsets, errors and sums."""
        return np.float64 if self.sums_in_float else np.int64

    @cached_property
    def interpolation_bound(self) -> int:
        """Largest magnitude in the activation: an intercept or an interpolated value, or a sum."""
        table, tau = self.spec.activation, self.spec.tau
        parts = [table.knots[-1] << tau, self.largest_sum]
        for k, (knot, slope) in enumerate(zip(table.knots, table.slopes, strict=False)):
            parts.append((abs(knot - k * slope) << tau) + (slope * (k + 1) << tau))
        return max(parts) + (1 << max(self.spec.state_shift - 1, 0))

    @property
    def interpolates_in_float(self) -> bool:
        """Whether float64 carries the activation; otherwise int64 does."""
        return self.sums_in_float and self.interpolation_bound.bit_length() <= FLOAT_BITS

    @property
    def interpolation_cut(self) -> int:
        """Low bits of a sum that int64 must multiply apart in the activation."""
        return max(0, self.interpolation_bound.bit_length() + 2 - INTEGER_BITS)

    @cached_property
    def offset_bound(self) -> int:
        """Largest magnitude of slope x sum in the ``offset`` form."""
        sums = max(self.sum_bound("nudged", layer.index) for layer in self.spec.graph.hidden)
        return max(self.spec.activation.slopes) * sums + (1 << max(self.spec.offset_shift, 0))

    @property
    def offsets_in_float(self) -> bool:
        """Whether float64 carries slope x sum; otherwise int64 does."""
        return self.sums_in_float and self.offset_bound.bit_length() <= FLOAT_BITS

    @property
    def offset_cut(self) -> int:
        """Low bits of a sum that int64 must multiply apart in the ``offset`` form."""
        return max(0, self.offset_bound.bit_length() + 2 - INTEGER_BITS)

    def update_bound(self, matrix: Matrix) -> int:
        """Largest magnitude of the summed products of an update."""
        delta = self.spec.error.width if matrix.target == self.spec.graph.output else self.spec.delta_width
        return self.spec.design.learning.batch << (delta - 1 + self.spec.state.width - 1)

    def update_shift(self, matrix: Matrix, rate: float) -> int:
        """Bits that rounding drops from an update, limited to where more of them change no result."""
        return min(self.spec.update_shift(matrix, rate), self.update_bound(matrix).bit_length() + DITHER_BITS + 1)

    def updates_in_float(self, matrix: Matrix, rate: float) -> bool:
        """Whether float64 carries an update, summed products and dither included; otherwise int64 does.

        Raises
        ------
        FormatError
            If neither does.
        """
        shift = self.update_shift(matrix, rate)
        # In units of the finer of two grids: summed products, and dither (a step is 2**(shift - 16) of those).
        bound = (self.update_bound(matrix) << max(DITHER_BITS - shift, 0)) + (1 << max(shift, DITHER_BITS))
        bits = bound.bit_length() + 1
        if bits > INTEGER_BITS:
            raise FormatError(
                f"matrix {matrix.name}: an update at rate 2**-{log2_scale(rate)} can need {bits} bits, exact "
                f"arithmetic holds {INTEGER_BITS}; use another rate, or fewer bits for states and offsets"
            )
        return self.sums_in_float and bits <= FLOAT_BITS
