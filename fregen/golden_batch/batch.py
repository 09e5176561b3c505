"""Many networks of one shape in integers: inference and learning, bit for bit as :class:`fregen.golden.NetworkModel`.

``docs/numerics.md`` specifies every bit; networks lie along the first axis of every array.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design.weights import checked_words
from ..errors import DataError
from ..spec.network import NetworkSpec
from .arrays import Arrays
from .dither import next_keys
from .group import Group
from .record import Record
from .relax import Relax
from .update import Shifts, Update

__all__ = ["BatchModel", "BatchResult", "BatchState"]


@dataclass(frozen=True)
class BatchState:
    """All that a training goes on from.

    Parameters
    ----------
    weights : tuple of (networks, source, target) float64 arrays
        Weight words by matrix index, of the library that computes; see :meth:`BatchModel.words`.
    keys : (networks,) int64 array
        Dither key of each network's next update.
    updates : int
        Batches learned since the keys were those of the seeds.
    """

    weights: tuple[Any, ...]
    keys: Any
    updates: int = 0


@dataclass(frozen=True)
class BatchResult:
    """What one batch gave in every network; arrays of the library that computes, all int64.

    Parameters
    ----------
    predictions : (networks, n) array
        Classes predicted after the free phase, before the update.
    free_steps, nudged_steps : (networks, n) arrays
        Steps that each sample executed.
    weight_saturations, offset_saturations : (networks,) arrays
        Words that were saturated.
    """

    predictions: Any
    free_steps: Any
    nudged_steps: Any
    weight_saturations: Any
    offset_saturations: Any


class BatchModel:
    """Infer and learn with all networks of a group at once.

    The model itself has no state that learning changes: :meth:`learn` takes a :class:`BatchState` and returns the next.

    Parameters
    ----------
    specs : sequence of NetworkSpec
        The networks.
    arrays : Arrays, optional
        The library that computes; NumPy when absent.

    Attributes
    ----------
    group : Group
        The networks, and what they share.
    arrays : Arrays
        As given.

    Raises
    ------
    DesignError
        If the networks do not share what a group shares (:class:`Group`).
    FormatError
        If a worst case of a network fits no exact carrier.
    """

    def __init__(self, specs: Sequence[NetworkSpec], arrays: Arrays | None = None) -> None:
        self.group = Group(specs)
        self.arrays = arrays or Arrays()
        self._graph = self.group.graph
        self._relax = Relax(self.group, self.arrays)
        self._updates = [Update(self.group, matrix, self.arrays) for matrix in self._graph.learned]
        self._rates: tuple[tuple[float, ...], list[Shifts]] | None = None

    # State ----------------------------------------------------------------------------------------------------------

    def initial(self) -> BatchState:
        """Return every design's initial weights and the first dither key of its seed."""
        return self.state(*self.group.initial())

    def state(self, words: Sequence[Sequence[NDArray[Any]]], keys: Sequence[int], updates: int = 0) -> BatchState:
        """Return the state of given weights, one list of matrices (target, source) a network.

        Raises
        ------
        DataError
            If number, shape, type or range of words or keys differ from what the designs need.
        """
        networks = len(self.group)
        if len(words) != networks or len(keys) != networks:
            raise DataError(
                f"a state of {networks} networks needs as many lists of weights and keys, not {len(words)} and "
                f"{len(keys)}"
            )
        if wrong := [key for key in keys if not 0 < key < 1 << 32]:
            raise DataError(f"a dither key is a number from 1 to 2**32 - 1, not {wrong[0]}")
        checked = [
            checked_words(self._graph, given, spec.weight, f"network {number} ({spec.design.name})")
            for number, (given, spec) in enumerate(zip(words, self.group.specs, strict=True))
        ]
        weights = [
            self.arrays.put(np.stack([np.asarray(of[m.index], dtype=np.float64).T for of in checked]))
            for m in self._graph.matrices
        ]
        return BatchState(tuple(weights), self.arrays.put(np.array(keys, dtype=np.int64)), updates)

    def words(self, state: BatchState) -> list[list[NDArray[np.int64]]]:
        """Return the weight words of every network, by matrix index, shape (target, source)."""
        fetched = [self.arrays.fetch(array).astype(np.int64) for array in state.weights]
        return [[np.ascontiguousarray(array[k].T) for array in fetched] for k in range(len(self.group))]

    def keys(self, state: BatchState) -> list[int]:
        """Return the dither key of every network's next update."""
        return [int(key) for key in self.arrays.fetch(state.keys)]

    # Inference ------------------------------------------------------------------------------------------------------

    def infer(self, state: BatchState, inputs: NDArray[Any]) -> NDArray[np.int64]:
        """Predict classes.

        Parameters
        ----------
        state : BatchState
            Weights.
        inputs : (networks, n, inputs) integer array
            State words of every network's own format; any number of samples.

        Returns
        -------
        (networks, n) int64 array

        Raises
        ------
        DataError
            If the words do not fit the input layers.
        """
        return self.arrays.fetch(self.predictions(state.weights, self.arrays.put(self._inputs(inputs))))

    def predictions(self, weights: Sequence[Any], inputs: Any) -> Any:
        """Predict classes from arrays of the library, (networks, n, inputs) int64, unchecked."""
        words, _ = self._relax.free(weights, inputs)
        return self._relax.softmax.predict(self._relax.readout(weights, words))

    # Learning -------------------------------------------------------------------------------------------------------

    def learn(
        self,
        state: BatchState,
        inputs: NDArray[Any],
        labels: NDArray[Any],
        rates: Sequence[float],
        record: Record | None = None,
    ) -> tuple[BatchState, BatchResult]:
        """Learn one batch in every network.

        Parameters
        ----------
        state : BatchState
            Weights and keys before; left as they are.
        inputs : (networks, n, inputs) integer array
            State words of every network's own format; 1 to B samples, B the batch of the designs.
        labels : (networks, n) integer array
            Right classes.
        rates : sequence of float
            Learning rate of every network, a power of two.
        record : Record, optional
            Receives every word.

        Returns
        -------
        (BatchState, BatchResult)
            Weights and keys after, and what the batch gave.

        Raises
        ------
        DataError
            If there are no samples or more than B, or if words or labels do not fit the networks.
        DesignError
            If a rate is not a power of two from 2**-15 to 1.
        FormatError
            If an update at such a rate fits no exact carrier.
        """
        checked = self._inputs(inputs)
        batch, samples = self.group.shape.design.learning.batch, checked.shape[1]
        if not 1 <= samples <= batch:
            raise DataError(f"a batch holds 1 to {batch} samples (learning.batch), not {samples}")
        shifts = self.shifts(rates)
        given = self.arrays.put(self._labels(labels, samples))
        return self.step(state, self.arrays.put(checked), given, shifts, record)

    def shifts(self, rates: Sequence[float]) -> list[Shifts]:
        """Return how updates round at a rate a network: what :meth:`step` takes.

        Raises
        ------
        DataError
            If there are not as many rates as networks.
        DesignError, FormatError
            As :meth:`learn`.
        """
        rates = tuple(rates)
        if len(rates) != len(self.group):
            raise DataError(f"expected a rate for each of {len(self.group)} networks, not {len(rates)}")
        if self._rates is None or self._rates[0] != rates:
            self._rates = rates, [update.shifts(rates) for update in self._updates]
        return self._rates[1]

    def step(
        self, state: BatchState, inputs: Any, labels: Any, shifts: Sequence[Shifts], record: Record | None = None
    ) -> tuple[BatchState, BatchResult]:
        """Learn one batch from arrays of the library, unchecked: a pure function, which can be captured and replayed.

        Parameters
        ----------
        state : BatchState
            Weights and keys before.
        inputs : (networks, n, inputs) int64 array
            State words.
        labels : (networks, n) int64 array
            Right classes.
        shifts : list of Shifts
            From :meth:`shifts`.
        record : Record, optional
            Receives every word.
        """
        relax, weights = self._relax, state.weights
        words, free = relax.free(weights, inputs, record)
        states = dict(words.states)
        logits = relax.readout(weights, words)
        errors = relax.softmax.errors(logits, labels)
        nudged = relax.nudged(weights, words, errors, labels, record)
        contrast = relax.contrast(words, states)
        after, saturations = list(weights), nudged.saturations * 0
        for matrix, update, rounding in zip(self._graph.learned, self._updates, shifts, strict=True):
            deltas = errors if matrix.target == self._graph.output else contrast[matrix.target]
            sources = inputs if matrix.source == 0 else states[matrix.source]
            after[matrix.index], count = update.step(weights[matrix.index], sources, deltas, rounding, state.keys)
            saturations = saturations + count
        if record is not None:
            record.logits, record.errors = logits, errors
            ordered = [contrast[layer] for layer in self.group.shape.free_order]
            record.contrast = self.arrays.xp.concatenate(ordered, -1)
        result = BatchResult(relax.softmax.predict(logits), free.steps, nudged.steps, saturations, nudged.saturations)
        return BatchState(tuple(after), next_keys(state.keys), state.updates + 1), result

    # Checks ---------------------------------------------------------------------------------------------------------

    def _inputs(self, inputs: NDArray[Any]) -> NDArray[np.int64]:
        inputs, networks, size = np.asarray(inputs), len(self.group), self._graph.layers[0].size
        if inputs.ndim != 3 or inputs.shape[0] != networks or inputs.shape[2] != size:
            raise DataError(f"inputs: expected {networks} x samples x {size} words, not shape {inputs.shape}")
        if not np.issubdtype(inputs.dtype, np.integer):
            raise DataError(f"inputs: expected integer state words, not {inputs.dtype}")
        for number, (given, spec) in enumerate(zip(inputs, self.group.specs, strict=True)):
            q = spec.state
            if given.size and (given.min() < q.min_word or given.max() > q.max_word):
                raise DataError(
                    f"inputs: network {number} ({spec.design.name}): words {given.min()} to {given.max()} lie outside "
                    f"{q} ({q.min_word} to {q.max_word})"
                )
        return inputs.astype(np.int64)

    def _labels(self, labels: NDArray[Any], samples: int) -> NDArray[np.int64]:
        labels, classes = np.asarray(labels), self._graph.layers[-1].size
        shape = (len(self.group), samples)
        if labels.shape != shape or not np.issubdtype(labels.dtype, np.integer):
            raise DataError(
                f"labels: expected {shape[0]} x {shape[1]} integers, not shape {labels.shape} of {labels.dtype}"
            )
        if labels.size and (labels.min() < 0 or labels.max() >= classes):
            raise DataError(f"labels: expected 0 to {classes - 1}, not {labels.min()} to {labels.max()}")
        return labels.astype(np.int64)
