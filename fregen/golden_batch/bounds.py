"""What exact arithmetic must hold at worst, from the formats of every network of a group.

A product of a matrix is exact in float64 as long as no sum of products can reach 2**53; where formats are wider, words
are multiplied in two parts (:data:`PART_BITS`), each of which stays far below.  Aligned sums are int64.  Slope times
sum may need more than 63 bits: then low bits of the sum are multiplied apart and enter rounding as one sticky bit.  A
group has one way of computing: that which its widest network needs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from ..design.document import log2_scale
from ..design.graph import Matrix
from ..errors import FormatError
from ..fixed import DITHER_BITS
from ..spec.network import NetworkSpec, Product

__all__ = ["FLOAT_BITS", "INTEGER_BITS", "PART_BITS", "Bounds"]

FLOAT_BITS = 53
"""Integers of a magnitude below 2**53 are exact in float64."""
INTEGER_BITS = 63
"""Integers of a magnitude below 2**63 are exact in int64."""
PART_BITS = 12
"""Low bits of words that are multiplied apart where a product could reach 2**53."""

_REMEDY = "use fewer fraction bits in numerics.weight or numerics.state, or a network.beta nearer to 1"


@dataclass(frozen=True)
class Bounds:
    """Worst cases of the networks of a group.

    Parameters
    ----------
    specs : tuple of NetworkSpec
        The networks.
    """

    specs: tuple[NetworkSpec, ...]

    def check(self) -> None:
        """Ask that everything fits.

        Raises
        ------
        FormatError
            If something does not; a line for each.
        """
        faults = [line for number in range(len(self.specs)) for line in self._faults(number)]
        if faults:
            raise FormatError("\n".join(faults))

    def _faults(self, number: int) -> Iterator[str]:
        spec = self.specs[number]
        name = f"network {number} ({spec.design.name})"
        for layer in spec.graph.layers[1:]:
            for phase, products in (("free", spec.free_products), ("nudged", spec.nudged_products)):
                bound = _sum_bound(spec, products(layer.index))
                # The output unit subtracts two sums and adds half an index step, or shifts left.
                over = bound.bit_length() + 2 + max(0, -spec.softmax.index_shift) - INTEGER_BITS
                if over > 0:
                    yield (
                        f"{name}: layer {layer.index}: a {phase} sum can need {bound.bit_length()} bits, {over} more "
                        f"than exact arithmetic holds; {_REMEDY}"
                    )
        slope = max(spec.activation.slopes).bit_length()
        wide = [("the activation", self.interpolation_bound(spec), spec.tau + 1)]
        if spec.has_offsets:
            wide.append(("slope x sum", self.offset_bound(spec), spec.offset_shift))
        for what, bound, dropped in wide:
            low = cut(bound)
            over = max(low - dropped + 1, slope + low - INTEGER_BITS)
            if low and over > 0:
                yield (
                    f"{name}: hidden layers: {what} can need {bound.bit_length()} bits, {over} more than exact "
                    f"arithmetic holds; {_REMEDY}"
                )

    # Products -------------------------------------------------------------------------------------------------------

    @cached_property
    def splits_words(self) -> bool:
        """Whether a product before its alignment could reach 2**53, so that words are multiplied in two parts."""
        return any(
            spec.product_bound(p).bit_length() > FLOAT_BITS
            for spec in self.specs
            for layer in spec.graph.layers[1:]
            for p in (*spec.free_products(layer.index), *spec.nudged_products(layer.index))
        )

    def splits_update(self, matrix: Matrix) -> bool:
        """Whether the summed products of an update could."""
        return any(self.update_bound(spec, matrix).bit_length() > FLOAT_BITS for spec in self.specs)

    # A neuron -------------------------------------------------------------------------------------------------------

    def interpolation_bound(self, spec: NetworkSpec) -> int:
        """Largest magnitude in the activation: an intercept, an interpolated value, or a sum; half a unit added."""
        table, tau = spec.activation, spec.tau
        sums = [
            _sum_bound(spec, products(layer.index))
            for layer in spec.graph.layers[1:]
            for products in (spec.free_products, spec.nudged_products)
        ]
        parts = [table.knots[-1] << tau, *sums]
        for k, (knot, slope) in enumerate(zip(table.knots, table.slopes, strict=False)):
            parts.append((abs(knot - k * slope) << tau) + (slope * (k + 1) << tau))
        return max(parts) + (1 << max(spec.state_shift - 1, 0))

    def offset_bound(self, spec: NetworkSpec) -> int:
        """Largest magnitude of slope x sum in the ``offset`` form, half a unit added."""
        sums = max(_sum_bound(spec, spec.nudged_products(layer.index)) for layer in spec.graph.hidden)
        return max(spec.activation.slopes) * sums + (1 << max(spec.offset_shift, 0))

    # Update ---------------------------------------------------------------------------------------------------------

    def update_bound(self, spec: NetworkSpec, matrix: Matrix) -> int:
        """Largest magnitude of the summed products of an update."""
        delta = spec.error.width if matrix.target == spec.graph.output else spec.delta_width
        return spec.design.learning.batch << (delta - 1 + spec.state.width - 1)

    def update_shift(self, spec: NetworkSpec, matrix: Matrix, rate: float) -> int:
        """Bits that rounding drops from an update, limited to where more of them change no result.

        Raises
        ------
        DesignError
            If the rate is not a power of two from 2**-15 to 1.
        FormatError
            If a left shift does not fit.
        """
        bound, shift = self.update_bound(spec, matrix), spec.update_shift(matrix, rate)
        most = (bound << max(DITHER_BITS - shift, 0)) + (1 << DITHER_BITS)
        over = most.bit_length() - INTEGER_BITS
        if over > 0:
            raise FormatError(
                f"{spec.design.name}: matrix {matrix.name}: an update at rate 2**-{log2_scale(rate)} can need {over} "
                "bits more than exact arithmetic holds; use another rate, or fewer bits for states and offsets"
            )
        return min(shift, bound.bit_length() + 1 + DITHER_BITS)


def _sum_bound(spec: NetworkSpec, products: tuple[Product, ...]) -> int:
    """Largest magnitude of a sum, all partial sums and aligned products included."""
    return sum(spec.product_bound(p) << p.shift for p in products)


def cut(bound: int) -> int:
    """Low bits of a sum that must be multiplied apart for a result of that magnitude."""
    return max(0, bound.bit_length() + 2 - INTEGER_BITS)
