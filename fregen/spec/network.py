"""What a design means in integers: alignment of every product, width of every sum, shift of every update.

A :class:`NetworkSpec` is derived once from a :class:`~fregen.design.document.Design`; the golden model computes
with it and the hardware is built from it.  ``docs/numerics.md`` says the same in prose.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from ..design.document import Design, log2_scale
from ..design.graph import Connection, Graph, Matrix
from ..errors import DesignError, FormatError
from ..fixed import Q
from .tables import FINEST_ERROR, ExponentialTable, PiecewiseLinear, ReciprocalTable

__all__ = ["NetworkSpec", "Operand", "Product", "SoftmaxSpec"]


class Operand(StrEnum):
    """Which words of the source layer a product reads."""

    INPUT = "input"
    """States of the input layer: constant during a sample, mostly zero."""
    STATE = "state"
    """States of a hidden layer."""
    OFFSET = "offset"
    """Offsets d of a hidden layer (``offset`` form)."""
    ERROR = "error"
    """Output error."""


@dataclass(frozen=True)
class Product:
    """One aligned product of a layer's sum: ``(M @ words[source]) << shift``.

    Parameters
    ----------
    matrix : int
        Matrix of the graph.
    transposed : bool
        Whether it is read transposed.
    source, target : int
        Layers.
    operand : Operand
        Words of the source layer that are read.
    shift : int
        Left shift that brings the product to the sum's fraction, bits; never negative.
    static : bool
        Whether it stays the same through a phase (so hardware computes it once).
    """

    matrix: int
    transposed: bool
    source: int
    target: int
    operand: Operand
    shift: int
    static: bool


@dataclass(frozen=True)
class SoftmaxSpec:
    """Sizes of the softmax and error unit.

    Parameters
    ----------
    classes : int
        Output neurons.
    sum_frac_bits : int
        Fraction bits of the sums that come in.
    sum_width : int
        Bits of a sum.
    error : Q
        Format of the error that comes out.
    """

    classes: int
    sum_frac_bits: int
    sum_width: int
    error: Q

    @cached_property
    def exponential(self) -> ExponentialTable:
        """Table of exp(-x), with 3 more fraction bits than the error."""
        return ExponentialTable.of(self.error)

    @cached_property
    def reciprocal(self) -> ReciprocalTable:
        """Table of 1/x, with 3 more fraction bits than the error."""
        return ReciprocalTable.of(self.error)

    @property
    def index_shift(self) -> int:
        """Right shift from a sum to a table index, bits (negative: left)."""
        return self.sum_frac_bits + self.exponential.step_log2

    @property
    def total_width(self) -> int:
        """Bits of the unsigned sum of exponentials."""
        return (self.classes << self.exponential.frac_bits).bit_length()

    @property
    def product_shift(self) -> int:
        """Bits dropped from exponential x reciprocal when the sum of exponentials lies in [1, 2)."""
        return self.exponential.frac_bits + self.reciprocal.frac_bits - self.error.frac_bits

    @property
    def one(self) -> int:
        """The word of probability 1 (one more than an error may hold)."""
        return 1 << self.error.frac_bits


@dataclass(frozen=True)
class NetworkSpec:
    """All integers of a design.

    Raises
    ------
    DesignError
        If the design asks for what only the float model can do; the message has a line for each such key.
    FormatError
        If formats cannot be aligned.
    """

    design: Design

    def __post_init__(self) -> None:
        if faults := list(_not_in_fixed_point(self.design)):
            raise DesignError("\n".join(faults))
        if self.tau < 0 or self.offset_shift < 0:
            raise FormatError(
                f"numerics.activation: {self.activation.segments} segments are finer than the sums "
                f"({self.sum_frac_bits} fraction bits); use fewer segments or wider weights"
            )

    @cached_property
    def graph(self) -> Graph:
        """Layers, matrices, connections."""
        return Graph.build(self.design.network)

    # Formats ---------------------------------------------------------------------------------------------

    @property
    def state(self) -> Q:
        """Format of states and input."""
        return self.design.numerics.state

    @property
    def weight(self) -> Q:
        """Format of weights."""
        return self.design.numerics.weight

    @property
    def offset(self) -> Q:
        """Format of the offsets of the ``offset`` form."""
        return self.design.numerics.offset

    @property
    def error(self) -> Q:
        """Format of the output error."""
        return self.design.numerics.error

    @cached_property
    def activation(self) -> PiecewiseLinear:
        """Table of the activation."""
        return PiecewiseLinear(self.design.numerics.activation, self.state)

    @property
    def has_offsets(self) -> bool:
        """Whether the nudged phase has the ``offset`` form."""
        return self.design.learning.nudged == "offset"

    @property
    def recomputes_error(self) -> bool:
        """Whether the nudged phase computes the error anew at every step."""
        return self.design.learning.error == "recomputed"

    @property
    def delta_width(self) -> int:
        """Bits of a hidden layer's contrast: an offset word, or the difference of two states."""
        return self.offset.width if self.has_offsets else self.state.width + 1

    @property
    def delta_frac_bits(self) -> int:
        """Fraction bits of a hidden layer's contrast."""
        return self.offset.frac_bits if self.has_offsets else self.state.frac_bits

    # Exponents -------------------------------------------------------------------------------------------

    @property
    def nudge_log2(self) -> int:
        """K of the nudging factor ``2**-k``."""
        return log2_scale(self.design.learning.nudge)

    @cached_property
    def exponents(self) -> tuple[int, ...]:
        """G of every layer: ``2**g`` undoes the shrinking of the offsets between the output (g = 0) and that layer.

        :meth:`fregen.design.graph.Graph.shrinkage`, so that every alignment of the ``offset`` form is a right shift.
        """
        return tuple(round(shrinkage) for shrinkage in self.graph.shrinkage(self.design.learning.nudge))

    # Sums ------------------------------------------------------------------------------------------------

    @cached_property
    def _products(self) -> tuple[dict[int, list[tuple[Connection, Operand, int, bool]]], ...]:
        """Products of the free and of the nudged phase with the fraction each needs, by target layer."""
        fw, fs, fe = self.weight.frac_bits, self.state.frac_bits, self.error.frac_bits
        g = self.exponents
        free: dict[int, list[tuple[Connection, Operand, int, bool]]] = {layer.index: [] for layer in self.graph.layers}
        nudged: dict[int, list[tuple[Connection, Operand, int, bool]]] = {
            layer.index: [] for layer in self.graph.layers
        }
        for c in self.graph.connections:
            operand = Operand.INPUT if c.source == 0 else Operand.STATE
            item = (c, operand, fw + fs + log2_scale(c.scale), c.source == 0)
            free[c.target].append(item)
            if not self.has_offsets or (c.target == self.graph.output and self.recomputes_error):
                nudged[c.target].append(item)
            if self.has_offsets and c.source != 0 and (c.target != self.graph.output or self.recomputes_error):
                needed = fw + self.offset.frac_bits + log2_scale(c.scale) + g[c.source] - g[c.target]
                nudged[c.target].append((c, Operand.OFFSET, needed, False))
        for c in self.graph.error_connections:
            needed = fw + fe + self.nudge_log2 - (g[c.target] if self.has_offsets else 0)
            nudged[c.target].append((c, Operand.ERROR, needed, not self.recomputes_error))
        return free, nudged

    @cached_property
    def sum_frac_bits(self) -> int:
        """F: fraction bits of every sum: as many as the finest product needs, so that products only move left."""
        return max(needed for phase in self._products for items in phase.values() for _, _, needed, _ in items)

    def _aligned(self, phase: int, target: int) -> tuple[Product, ...]:
        return tuple(
            Product(c.matrix, c.transposed, c.source, c.target, operand, self.sum_frac_bits - needed, static)
            for c, operand, needed, static in self._products[phase][target]
        )

    def free_products(self, target: int) -> tuple[Product, ...]:
        """Products of a layer's sum in the free phase; of the output layer: its readout."""
        return self._aligned(0, target)

    def nudged_products(self, target: int) -> tuple[Product, ...]:
        """Products of a layer's sum in the nudged phase; of the output layer: its readout, if error is recomputed."""
        return self._aligned(1, target)

    def operand_width(self, operand: Operand) -> int:
        """Bits of an operand's words."""
        return {Operand.OFFSET: self.offset.width, Operand.ERROR: self.error.width}.get(operand, self.state.width)

    def product_bound(self, product: Product) -> int:
        """Largest magnitude of a product before its shift."""
        bits = self.weight.width - 1 + self.operand_width(product.operand) - 1
        return self.graph.layers[product.source].size << bits

    @cached_property
    def sum_width(self) -> int:
        """Bits of every sum (and partial sum): no sum can overflow."""
        bound = max(
            sum(self.product_bound(p) << p.shift for p in products(layer.index))
            for layer in self.graph.layers[1:]
            for products in (self.free_products, self.nudged_products)
        )
        return bound.bit_length() + 1

    @property
    def tau(self) -> int:
        """Bits of a sum below a whole segment of the activation."""
        return self.sum_frac_bits + self.activation.step_log2

    @property
    def state_shift(self) -> int:
        """Bits that rounding drops from the interpolated activation."""
        return self.tau + self.activation.GUARD_BITS

    @property
    def offset_shift(self) -> int:
        """Bits that rounding drops from slope x sum in the ``offset`` form."""
        return self.sum_frac_bits + self.activation.slope_frac_bits - self.offset.frac_bits

    @cached_property
    def softmax(self) -> SoftmaxSpec:
        """Sizes of the output unit."""
        return SoftmaxSpec(self.graph.layers[-1].size, self.sum_frac_bits, self.sum_width, self.error)

    # Update ----------------------------------------------------------------------------------------------

    def stored(self, matrix: Matrix) -> tuple[int, int]:
        """Layers whose neurons are the stored rows and columns of a matrix.

        Rows are the target's neurons, except that a matrix into a narrower output layer is kept transposed.
        """
        sizes = self.graph.shape(matrix)
        if matrix.target == self.graph.output and matrix.source != 0 and sizes[0] < sizes[1]:
            return matrix.source, matrix.target
        return matrix.target, matrix.source

    def column_id(self, matrix: Matrix) -> int:
        """Return the number of the first stored column of a matrix, counted over all matrices (for the dither)."""
        return sum(self.graph.layers[self.stored(m)[1]].size for m in self.graph.matrices[: matrix.index])

    @property
    def batch_log2(self) -> int:
        """log2 of the batch size."""
        return self.design.learning.batch.bit_length() - 1

    def update_shift(self, matrix: Matrix, rate: float) -> int:
        """Bits that rounding drops from the summed products of an update (negative: left shift)."""
        g = self.exponents[matrix.target]
        if matrix.target == self.graph.output:
            frac = self.error.frac_bits
        elif self.has_offsets:
            frac = self.offset.frac_bits + (0 if self.design.learning.gain else g)
        else:
            frac = self.state.frac_bits - (g if self.design.learning.gain else 0)
        return frac + self.state.frac_bits - self.weight.frac_bits + self.batch_log2 + log2_scale(rate)

    def update_width(self, matrix: Matrix) -> int:
        """Bits of the summed products of an update, of the widest batch (two least words have the product 2**k)."""
        width = self.error.width if matrix.target == self.graph.output else self.delta_width
        bound = 1 << (width - 1 + self.state.width - 1 + self.batch_log2)
        return bound.bit_length() + 1

    # Phases ----------------------------------------------------------------------------------------------

    @property
    def free_order(self) -> tuple[int, ...]:
        """Hidden layers in the order in which a free step updates and reports them: from the input up."""
        return tuple(layer.index for layer in self.graph.hidden)

    @property
    def nudged_order(self) -> tuple[int, ...]:
        """Hidden layers in the order in which a nudged step updates and reports them: from the output down."""
        return tuple(reversed(self.free_order))

    @property
    def is_sweep(self) -> bool:
        """Whether a layer reads the newest states; otherwise those of the step before."""
        return self.design.learning.order == "sweep"


def _not_in_fixed_point(design: Design) -> Iterator[str]:
    """Yield what the float model can do and fixed point cannot: key, value, what is allowed."""
    learning = design.learning
    scales = {"network.alpha": design.network.alpha, "network.beta": design.network.beta}
    scales |= {f"network.scales ({c.source} to {c.target})": c.scale for c in design.network.scales}
    scales |= {"learning.nudge": learning.nudge, "learning.rate": learning.rate}
    scales |= {f"learning.rate_steps (epoch {step.epoch})": step.rate for step in learning.rate_steps}
    for key, scale in scales.items():
        try:
            log2_scale(scale)
        except DesignError as error:
            yield f"{key}: {error}"
    if learning.batch > 64 or learning.batch & (learning.batch - 1):
        yield f"learning.batch: in fixed point a batch is a power of two from 1 to 64, not {learning.batch}"
    if learning.optimizer != "sgd":
        yield f"learning.optimizer: fixed point has 'sgd', not {learning.optimizer!r}"
    if design.numerics.error.frac_bits > FINEST_ERROR:
        yield (
            f"numerics.error: {design.numerics.error} has more than {FINEST_ERROR} fraction bits, and softmax is "
            f"computed no finer than that: q1.{FINEST_ERROR} has all that it gives"
        )
    if design.network.maps():
        yield "network.layers: fixed point has no convolution; only the float model has it"
    if design.network.biases:
        yield "network.biases: fixed point has none; only the float model has them"
    for key in ("layer_rates", "weight_noise", "state_noise"):
        if getattr(learning, key):
            yield f"learning.{key}: only the float model has it; leave it out"
