"""Many networks of one shape on a GPU, a block of threads each: the fastest of the ways, for formats that double holds.

A whole batch of a network (both phases and the update) is one run of a program (:mod:`fregen.golden_batch.program`) by
one block: weights come through memory once for the first product and once for their update, everything between stays
with the block, and a launch may hold as many batches as one likes.  The words are those of
:class:`~fregen.golden_batch.batch.BatchModel`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..design.weights import checked_words
from ..errors import DataError, FormatError, ToolError, one_line
from ..fixed import Rounding
from ..spec.dither import COLUMN_BASIS, ROW_BASIS, combine
from ..spec.network import NetworkSpec
from .bounds import FLOAT_BITS, cut
from .group import Group
from .program import Program

__all__ = ["BlockModel", "BlockResult", "CupyDevice", "Device", "Levels", "kernel_source"]

_FOLDER = Path(__file__).with_name("cuda")
_PARTS = ("block.cuh", "product.cuh", "neuron.cuh", "softmax.cuh", "update.cuh", "network.cu")

_MOST_SAMPLES, _MOST_SHIFT = 64, 62


def kernel_source() -> str:
    """Return the kernel's source, all parts in one."""
    return "\n".join((_FOLDER / part).read_text(encoding="utf-8") for part in _PARTS)


class Device(Protocol):
    """Where the kernel runs."""

    def put(self, array: NDArray[Any]) -> Any:
        """Return a copy of an array on the device."""

    def fetch(self, array: Any) -> NDArray[Any]:
        """Return an array of the device."""

    def launch(self, networks: int, arguments: Sequence[Any]) -> None:
        """Run the kernel with a block a network; arguments are arrays of the device, None, or numbers."""


class CupyDevice:
    """The GPU, by CuPy, which compiles the kernel when it is first needed and keeps it.

    Raises
    ------
    ToolError
        If CuPy or a GPU is not there.
    """

    def __init__(self) -> None:
        try:
            import cupy

            cupy.cuda.runtime.getDeviceProperties(0)
        except Exception as error:  # whatever a broken installation raises
            text = f"no GPU that CuPy can use ({one_line(error)}); install it: pip install 'fregen[gpu]'"
            raise ToolError(text) from None
        self.cupy = cupy
        self._kernel = cupy.RawModule(code=kernel_source(), options=("-std=c++17",)).get_function("run")

    def put(self, array: NDArray[Any]) -> Any:
        """Return a copy of an array on the device."""
        return self.cupy.asarray(array)

    def fetch(self, array: Any) -> NDArray[Any]:
        """Return an array of the device."""
        return np.asarray(array.get())

    def launch(self, networks: int, arguments: Sequence[Any]) -> None:
        """Run the kernel on the current stream."""
        given = [
            np.int32(value) if isinstance(value, int) else np.uintp(0) if value is None else value
            for value in arguments
        ]
        self._kernel((networks,), (256,), tuple(given))


@dataclass(frozen=True)
class BlockResult:
    """What batches gave.

    Parameters
    ----------
    predictions : (batches, networks, n) int32 array
        Classes predicted before the update.
    free_steps, nudged_steps : (batches, networks, n) int32 arrays
        Steps that each sample executed.
    weight_saturations, offset_saturations, right : (networks,) int64 arrays
        Saturated words, and samples predicted right, of all batches together.
    """

    predictions: NDArray[np.int32]
    free_steps: NDArray[np.int32]
    nudged_steps: NDArray[np.int32]
    weight_saturations: NDArray[np.int64]
    offset_saturations: NDArray[np.int64]
    right: NDArray[np.int64]


@dataclass(frozen=True)
class Levels:
    """A data set whose inputs have few values, such as pixels of 8 bits: one copy for all networks, whatever formats.

    Parameters
    ----------
    levels : (samples, inputs) uint8 array of the device
        Number of the value of every input.
    words : (networks, 256) int32 array of the device
        State word of every value.
    classes : (samples,) int32 array of the device
        Right classes.
    """

    levels: Any
    words: Any
    classes: Any


class BlockModel:
    """Infer and learn with all networks of a group at once; weights and keys stay on the device.

    Starts from the designs' initial weights.

    Parameters
    ----------
    specs : sequence of NetworkSpec
        The networks.
    device : Device, optional
        Where; the GPU by CuPy when absent.

    Raises
    ------
    DesignError
        If the networks do not share what a group shares.
    FormatError
        If a worst case of a network fits no exact carrier, or a sum of products could reach 2**53:
        :class:`~fregen.golden_batch.batch.BatchModel` multiplies those in two parts.
    ToolError
        If CuPy or a GPU is not there.
    """

    def __init__(self, specs: Sequence[NetworkSpec], device: Device | None = None) -> None:
        self.group = Group(specs)
        self._check()
        self.device = device or CupyDevice()
        self._learning, self._inferring = Program(self.group, True), Program(self.group, False)
        self._matrices = self.group.graph.matrices
        put = self.device.put
        self._programs = {
            program.learns: (
                put(np.array(program.instructions, dtype=np.int32)),
                put(np.array(program.shifts, dtype=np.int32)),
            )
            for program in (self._learning, self._inferring)
        }
        self._tables = self._put_tables()
        self._rooms: dict[tuple[bool, int], tuple[Any, Any]] = {}
        self._rates: tuple[tuple[float, ...], Any] | None = None
        self.initial()

    def _check(self) -> None:
        bounds, faults = self.group.bounds, []
        if bounds.splits_words:
            faults.append(f"a product can reach 2**{FLOAT_BITS}")
        faults += [
            f"the update of {matrix.name} can reach 2**{FLOAT_BITS}"
            for matrix in self.group.graph.learned
            if bounds.splits_update(matrix)
        ]
        if faults:
            raise FormatError(
                f"{'; '.join(faults)}: too wide for a block of threads a network, which multiplies in double only; "
                "use BatchModel, or narrower states, offsets or weights"
            )

    def _put_tables(self) -> list[Any]:
        """Put numbers and tables of all networks on the device, as ``enum Parameter`` of the kernel names them."""
        rows: list[list[int]] = []
        intercepts: list[int] = []
        slopes: list[int] = []
        exponentials: list[int] = []
        reciprocals: list[int] = []
        for spec in self.group.specs:
            table, unit = spec.activation, spec.softmax
            state_cut = cut(self.group.bounds.interpolation_bound(spec))
            offset_cut = cut(self.group.bounds.offset_bound(spec)) if spec.has_offsets else 0
            state_shift, offset_shift = spec.state_shift, spec.offset_shift
            left = spec.tau - state_cut
            rows.append(
                [
                    min(spec.tau, _MOST_SHIFT),
                    len(slopes),
                    table.segments,
                    not table.odd,
                    state_cut,
                    state_shift - state_cut + 1 if state_cut else state_shift,
                    spec.state.max_word,
                    offset_cut,
                    offset_shift - offset_cut + 1 if offset_cut else offset_shift,
                    spec.offset.min_word,
                    spec.offset.max_word,
                    max(unit.index_shift, 0),
                    max(-unit.index_shift, 0),
                    len(unit.exponential.words) - 1,
                    len(exponentials),
                    unit.reciprocal.index_bits,
                    len(reciprocals),
                    unit.reciprocal.frac_bits - unit.error.frac_bits,
                    unit.one,
                    unit.error.min_word,
                    unit.error.max_word,
                    spec.weight.min_word,
                    spec.weight.max_word,
                    spec.design.numerics.rounding is Rounding.STOCHASTIC,
                ]
            )
            pairs = enumerate(zip(table.knots, table.slopes, strict=False))
            intercepts += [(knot - k * slope) << left for k, (knot, slope) in pairs]
            intercepts += [table.knots[-1] << left, 0]
            slopes += [*table.slopes, 0, 0]
            exponentials += unit.exponential.words
            reciprocals += unit.reciprocal.words
        graph, spec = self.group.graph, self.group.shape
        columns = sum(graph.layers[spec.stored(m)[1]].size for m in graph.matrices)
        bits = [combine(ROW_BASIS, k) for k in range(max(layer.size for layer in graph.layers))]
        bits += [combine(COLUMN_BASIS, k) for k in range(columns)]
        tables: list[list[Any]] = [rows, intercepts, slopes, exponentials, reciprocals]
        put = [self.device.put(np.array(table, dtype=np.int64)) for table in tables]
        return [*put, self.device.put(np.array(bits, dtype=np.uint32))]

    # State ----------------------------------------------------------------------------------------------------------

    def initial(self) -> None:
        """Return to every design's initial weights and to the first dither key of its seed."""
        self.load(*self.group.initial())

    def load(self, words: Sequence[Sequence[NDArray[Any]]], keys: Sequence[int]) -> None:
        """Replace weights, one list of matrices (target, source) a network, and dither keys.

        Raises
        ------
        DataError
            If number, shape, type or range of words or keys differ from what the designs need.
        """
        networks = len(self.group)
        if len(words) != networks or len(keys) != networks or not all(0 < key < 1 << 32 for key in keys):
            raise DataError(f"expected weights of {networks} networks, and a key from 1 to 2**32 - 1 for each")
        flat = []
        for number, (given, spec) in enumerate(zip(words, self.group.specs, strict=True)):
            checked = checked_words(spec.graph, given, spec.weight, f"network {number} ({spec.design.name})")
            flat.append(np.concatenate([np.asarray(array).T.reshape(-1) for array in checked]))
        self._weights = self.device.put(np.array(flat, dtype=np.int32))
        self._keys = self.device.put(np.array(keys, dtype=np.uint32))

    @property
    def words(self) -> list[list[NDArray[np.int64]]]:
        """Copies of the weight words of every network, by matrix index, shape (target, source)."""
        shapes = [self.group.graph.shape(matrix) for matrix in self._matrices]
        ends = np.cumsum([rows * columns for rows, columns in shapes])[:-1]
        return [
            [
                np.ascontiguousarray(part.reshape(columns, rows).T).astype(np.int64)
                for part, (rows, columns) in zip(np.split(flat, ends), shapes, strict=True)
            ]
            for flat in self.device.fetch(self._weights)
        ]

    @property
    def keys(self) -> list[int]:
        """Dither key of every network's next update."""
        return [int(key) for key in self.device.fetch(self._keys)]

    # Samples --------------------------------------------------------------------------------------------------------

    def levels(self, levels: NDArray[np.uint8], values: NDArray[Any], classes: NDArray[Any]) -> Levels:
        """Put a data set on the device.

        Parameters
        ----------
        levels : (samples, inputs) uint8 array
            Number of the value of every input.
        values : (k,) float array
            The values, at most 256.
        classes : (samples,) integer array
            Right classes.
        """
        words = np.zeros((len(self.group), 256), dtype=np.int32)
        for row, spec in zip(words, self.group.specs, strict=True):
            row[: len(values)] = spec.state.to_word(values)
        put = self.device.put
        return Levels(put(np.ascontiguousarray(levels)), put(words), put(np.asarray(classes, dtype=np.int32)))

    # Batches --------------------------------------------------------------------------------------------------------

    def learn(self, inputs: NDArray[Any], labels: NDArray[Any], rates: Sequence[float]) -> BlockResult:
        """Learn one batch; (networks, n, inputs) state words, (networks, n) classes, a rate a network."""
        return self._given(inputs, labels, rates)

    def infer(self, inputs: NDArray[Any]) -> NDArray[np.int32]:
        """Predict classes, (networks, n), of (networks, n, inputs) state words, at most 64 samples at once."""
        networks, samples = inputs.shape[:2]
        return self._given(inputs, np.zeros((networks, samples), dtype=np.int32), None).predictions[0]

    def _given(self, inputs: NDArray[Any], labels: NDArray[Any], rates: Sequence[float] | None) -> BlockResult:
        networks, samples = len(self.group), inputs.shape[1]
        most = self.group.shape.design.learning.batch if rates is not None else _MOST_SAMPLES
        if inputs.shape != (networks, samples, self.group.graph.layers[0].size) or not 1 <= samples <= most:
            raise DataError(f"inputs: expected {networks} x 1 to {most} x inputs words, not shape {inputs.shape}")
        put = self.device.put
        words, classes = put(np.ascontiguousarray(inputs, dtype=np.int32)), put(np.asarray(labels, dtype=np.int32))
        return self.results(self.enqueue(None, words, None, classes, 1, samples, rates))

    def train(self, data: Levels, order: Any, rates: Sequence[float]) -> BlockResult:
        """Learn batches of a data set in one launch.

        Parameters
        ----------
        data : Levels
            From :meth:`levels`.
        order : (batches, networks, n) int32 array of the device
            Which samples.
        rates : sequence of float
            Learning rate of every network.
        """
        batches, _, samples = order.shape
        return self.results(self.enqueue(data, None, order, data.classes, batches, samples, rates))

    def enqueue(
        self,
        data: Levels | None,
        inputs: Any,
        order: Any,
        classes: Any,
        batches: int,
        samples: int,
        rates: Sequence[float] | None,
        results: Sequence[Any] | None = None,
    ) -> tuple[Any, ...]:
        """Start the kernel and return its results as arrays of the device, unchecked; for graphs that are captured.

        ``results`` of an earlier call are used again: counts are added to.
        """
        learns = rates is not None
        program = self._learning if learns else self._inferring
        networks, put = len(self.group), self.device.put
        if (learns, samples) not in self._rooms:
            self._rooms[learns, samples] = (
                put(np.zeros((networks, program.sums * samples), dtype=np.int64)),
                put(np.zeros((networks, program.words * samples), dtype=np.int32)),
            )
        sums, words = self._rooms[learns, samples]
        if results is None:
            results = (
                put(np.zeros((batches, networks, samples), dtype=np.int32)),
                put(np.zeros((batches, networks, samples, 2), dtype=np.int32)),
                put(np.zeros((networks, 3), dtype=np.int64)),
            )
        instructions, shifts = self._programs[learns]
        updates = self._updates(rates) if rates is not None else shifts
        numbers, intercepts, slopes, exponentials, reciprocals, bits = self._tables
        each = int(self._weights.shape[1])
        given = (
            *(instructions, numbers, shifts, updates, self._weights, each, sums, program.sums, words, program.words),
            *(intercepts, slopes, exponentials, reciprocals, bits, self._keys),
            *(data and data.levels, data and data.words, inputs, order, classes, batches, samples, networks),
            *results,
        )
        self.device.launch(networks, given)
        return tuple(results)

    def results(self, given: Sequence[Any]) -> BlockResult:
        """Fetch what :meth:`enqueue` has returned."""
        predictions, steps, counts = (self.device.fetch(array) for array in given)
        return BlockResult(predictions, steps[..., 0], steps[..., 1], counts[:, 0], counts[:, 1], counts[:, 2])

    def _updates(self, rates: Sequence[float]) -> Any:
        """Return the shift of every update, a network each."""
        rates = tuple(rates)
        if self._rates is None or self._rates[0] != rates:
            if len(rates) != len(self.group):
                raise DataError(f"expected a rate for each of {len(self.group)} networks, not {len(rates)}")
            rows = [self.group.update_shifts(matrix, rates) for matrix in self.group.graph.learned]
            self._rates = rates, self.device.put(np.array(rows, dtype=np.int32))
        return self._rates[1]
