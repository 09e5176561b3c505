"""The whole network in integers: inference, learning, training.

The reference that generated hardware is compared with, word for word.  ``docs/numerics.md`` specifies every bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design.initial import glorot
from ..design.weights import checked_words
from ..errors import DataError
from ..learner import Learner
from ..spec.dither import first_key, next_key
from ..spec.network import NetworkSpec
from .carrier import Carrier
from .dither import DitherModel
from .relax import Phase, RelaxModel
from .trace import Trace
from .update import UpdateModel

__all__ = ["EpochResult", "LearnResult", "NetworkModel", "initial_weights"]

_CHUNK = 256
"""Samples that inference handles at once."""


def initial_weights(spec: NetworkSpec) -> list[NDArray[np.int64]]:
    """Draw the design's initial weights (Glorot uniform) as words; shape (target, source), by matrix index."""
    return [spec.weight.to_word(values) for values in glorot(spec.graph, spec.design.seed)]


@dataclass(frozen=True)
class LearnResult:
    """What one batch gave.

    Parameters
    ----------
    predictions : (n,) int64 array
        Classes predicted after the free phase, before the update.
    free_steps, nudged_steps : (n,) int64 array
        Steps that each sample executed.
    weight_saturations, offset_saturations : int
        Words that were saturated.
    """

    predictions: NDArray[np.int64]
    free_steps: NDArray[np.int64]
    nudged_steps: NDArray[np.int64]
    weight_saturations: int
    offset_saturations: int

    def sums(self) -> dict[str, int]:
        """Return steps and saturations of all samples together."""
        return {
            "free_steps": int(self.free_steps.sum()),
            "nudged_steps": int(self.nudged_steps.sum()),
            "weight_saturations": self.weight_saturations,
            "offset_saturations": self.offset_saturations,
        }


@dataclass(frozen=True)
class EpochResult:
    """What one pass over the training samples gave.

    Parameters
    ----------
    accuracy : float
        Part of the samples that was predicted right before they were learned, 0 to 1.
    free_steps, nudged_steps : float
        Mean number of executed steps a sample.
    weight_saturations, offset_saturations : int
        Words that were saturated.
    """

    accuracy: float
    free_steps: float
    nudged_steps: float
    weight_saturations: int
    offset_saturations: int


class NetworkModel(Learner[LearnResult, EpochResult]):
    """Infer and learn, bit for bit as the hardware does.

    Starts from the design's initial weights.

    Parameters
    ----------
    spec : NetworkSpec
        All integers of a design.

    Attributes
    ----------
    spec : NetworkSpec
        As given.
    carrier : Carrier
        Which numpy types hold words and sums.
    key : int
        Dither key of the next update.

    Raises
    ------
    FormatError
        If the worst case of a sum fits no exact carrier.
    """

    numbers = "words"

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec.design, spec.graph)
        self.spec = spec
        self.carrier = Carrier(spec)
        self._relax = RelaxModel(spec, self.carrier)
        dither = DitherModel(spec)
        self._updates = [UpdateModel(spec, matrix, self.carrier, dither) for matrix in spec.graph.learned]
        self._weights: list[NDArray[Any]] = []
        self.initial()

    # Weights --------------------------------------------------------------------------------------------------------

    @property
    def weights(self) -> list[NDArray[np.int64]]:
        """Copies of the weight words, by matrix index, shape (target, source)."""
        return [np.ascontiguousarray(words.T).astype(np.int64) for words in self._weights]

    def load(self, words: Sequence[NDArray[Any]]) -> None:
        """Replace the weights.

        Raises
        ------
        DataError
            If number, shape, type or range of the words differ from what the design needs.
        """
        checked = checked_words(self.spec.graph, words, self.spec.weight)
        self._weights = [np.ascontiguousarray(array.T).astype(self.carrier.dtype) for array in checked]
        for update in self._updates:
            update.forget()

    def initial(self) -> None:
        """Return to the initial weights and to the first dither key of the design's seed."""
        self.load(initial_weights(self.spec))
        self.key = first_key(self.spec.design.seed)

    # Inference ------------------------------------------------------------------------------------------------------

    def infer(self, inputs: NDArray[Any], trace: Trace | None = None) -> NDArray[np.int64]:
        """Predict classes.

        Parameters
        ----------
        inputs : (n, inputs) integer array
            State words; any number of samples.
        trace : Trace, optional
            Receives the words of the free phase, one entry for every 256 samples.

        Returns
        -------
        (n,) int64 array
            Predicted classes.

        Raises
        ------
        DataError
            If the words do not fit the input layer.
        """
        inputs = self._inputs(inputs)
        predictions = np.empty(len(inputs), dtype=np.int64)
        for start in range(0, len(inputs), _CHUNK):
            part = inputs[start : start + _CHUNK]
            phase = self._relax.free(self._weights, part, keep=trace is not None)
            logits = self._relax.readout(self._weights, len(part))
            predictions[start : start + len(part)] = self._relax.softmax.predict(logits)
            if trace is not None:
                self._record_free(trace, part, phase, logits, predictions[start : start + len(part)].copy())
        return predictions

    # Learning -------------------------------------------------------------------------------------------------------

    def learn(self, inputs: NDArray[Any], labels: NDArray[Any], rate: float, trace: Trace | None = None) -> LearnResult:
        """Learn one batch: free phase, readout, nudged phase, update.

        Parameters
        ----------
        inputs : (n, inputs) integer array
            State words; 1 to B samples, B the design's batch.
        labels : (n,) integer array
            Right classes.
        rate : float
            Learning rate, a power of two.
        trace : Trace, optional
            Receives every word.

        Raises
        ------
        DataError
            If there are no samples or more than B, or if words or labels do not fit the network.
        DesignError
            If the rate is not a power of two from 2**-15 to 1.
        FormatError
            If an update at this rate fits no exact carrier.
        """
        return self._learn(*self._batch(inputs, labels), rate, trace)

    def _epoch(self, accuracy: float, samples: int, sums: Mapping[str, float]) -> EpochResult:
        return EpochResult(
            accuracy,
            sums["free_steps"] / samples,
            sums["nudged_steps"] / samples,
            int(sums["weight_saturations"]),
            int(sums["offset_saturations"]),
        )

    def _learn(
        self, inputs: NDArray[Any], labels: NDArray[Any], rate: float, trace: Trace | None = None
    ) -> LearnResult:
        samples, relax, keep = len(inputs), self._relax, trace is not None
        free = relax.free(self._weights, inputs, keep)
        logits = relax.readout(self._weights, samples)
        predictions = relax.softmax.predict(logits)
        errors = relax.softmax.errors(logits, labels)
        nudged = relax.nudged(self._weights, errors, labels, keep)
        contrast = relax.contrast(samples)
        saturated = 0
        for matrix, update in zip(self.spec.graph.learned, self._updates, strict=True):
            is_output = matrix.target == self.spec.graph.output
            delta = errors if is_output else contrast[matrix.target]
            sources = relax.free_states(samples, matrix.source)
            saturated += update.step(self._weights[matrix.index], sources, delta, rate, self.key)
        self.key = next_key(self.key)
        if trace is not None:
            self._record_free(trace, inputs, free, logits, predictions)
            trace.errors.append(errors.astype(np.int32))
            trace.nudged.append(np.stack(nudged.words, axis=1))
            trace.nudged_steps.append(nudged.steps.copy())
            if nudged.errors:
                trace.nudged_errors.append(np.stack(nudged.errors, axis=1))
            trace.contrast.append(np.concatenate([contrast[i] for i in self.spec.free_order], axis=1).astype(np.int32))
            trace.weights.append([np.ascontiguousarray(words.T).astype(np.int32) for words in self._weights])
            trace.saturations.append((saturated, nudged.saturations))
        return LearnResult(predictions, free.steps, nudged.steps, saturated, nudged.saturations)

    def _record_free(
        self,
        trace: Trace,
        inputs: NDArray[Any],
        phase: Phase,
        logits: NDArray[np.int64],
        predictions: NDArray[np.int64],
    ) -> None:
        trace.bind(self.spec)
        trace.states.append(np.stack(phase.words, axis=1))
        trace.free_steps.append(phase.steps.copy())
        trace.logits.append(logits)
        trace.predictions.append(predictions)
        trace.nonzero.append(np.count_nonzero(inputs, axis=1).astype(np.int64))

    # Checks ---------------------------------------------------------------------------------------------------------

    def _inputs(self, inputs: NDArray[Any]) -> NDArray[Any]:
        inputs, q = super()._inputs(inputs), self.spec.state
        if not np.issubdtype(inputs.dtype, np.integer):
            raise DataError(f"inputs: expected integer state words ({q}), not {inputs.dtype}")
        if inputs.size and (inputs.min() < q.min_word or inputs.max() > q.max_word):
            raise DataError(
                f"inputs: words {inputs.min()} to {inputs.max()} lie outside {q} ({q.min_word} to {q.max_word})"
            )
        return inputs
