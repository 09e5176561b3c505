"""What every real-valued model shares: weights, checks, inference in portions, epochs of batches."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design.document import Design
from ..design.graph import Graph
from ..design.initial import glorot
from ..design.weights import checked_values
from ..errors import DataError
from .noise import Noise
from .optimizers import Optimizer, optimizer_of

__all__ = ["Batch", "EpochResult", "FloatModel", "LearnResult"]

Array = NDArray[Any]
_CHUNK = 1024
"""Most samples that inference handles at once."""
_STATES = 2**22
"""Most states that it handles at once."""


@dataclass(frozen=True)
class Batch:
    """What a model computed for a batch before it learned it.

    Parameters
    ----------
    logits : (n, classes) array
        Readout before the update.
    directions : dict of int to (target, source) array
        What each learned matrix should grow by, for rate 1; by matrix index.
    free_steps, nudged_steps : float
        Steps of the two phases, mean over the samples (backpropagation: passes).
    """

    logits: Array
    directions: dict[int, Array]
    free_steps: float
    nudged_steps: float


@dataclass(frozen=True)
class LearnResult:
    """What one batch gave.

    Parameters
    ----------
    predictions : (n,) int64 array
        Classes predicted before the update.
    free_steps, nudged_steps : float
        Steps of the two phases, mean over the samples.
    """

    predictions: NDArray[np.int64]
    free_steps: float
    nudged_steps: float


@dataclass(frozen=True)
class EpochResult:
    """What one pass over the training samples gave.

    Parameters
    ----------
    accuracy : float
        Part of the samples that was predicted right before they were learned, 0 to 1.
    free_steps, nudged_steps : float
        Mean number of executed steps a sample.
    """

    accuracy: float
    free_steps: float
    nudged_steps: float


class FloatModel(ABC):
    """A real-valued network that infers and learns; starts from the design's initial weights.

    The verbs are those of :class:`fregen.golden.NetworkModel`, with values in place of words.

    Parameters
    ----------
    design : Design
        Network, learning and seed.
    dtype : numpy float type
        float64, or float32 for speed.
    optimizer : Optimizer, optional
        By default the one that the design asks for (:func:`~fregen.float_model.optimizer_of`).

    Attributes
    ----------
    design, graph : Design, Graph
        The network.
    noise : Noise
        What learning adds to the weights and states that it reads; inference reads clean ones.
    dtype : numpy.dtype
        Type of weights and states.
    weights : list of arrays
        By matrix index, shape (target, source).

    Raises
    ------
    DesignError
        If ``learning.layer_rates`` does not have one factor for each matrix that learns.
    """

    def __init__(self, design: Design, dtype: Any = np.float64, optimizer: Optimizer | None = None) -> None:
        self.design = design
        self.graph = Graph.build(design.network)
        self.dtype = np.dtype(dtype)
        self.optimizer: Optimizer = optimizer_of(design, self.graph) if optimizer is None else optimizer
        self.noise = Noise(design)
        self.weights: list[Array] = []
        self.initial()

    @abstractmethod
    def logits(self, inputs: Array) -> Array:
        """Return the readout of a batch, shape (n, classes)."""

    @abstractmethod
    def batch(self, inputs: Array, labels: Array) -> Batch:
        """Compute logits and directions of a batch without learning it; with the noise that the design asks for."""

    # Weights --------------------------------------------------------------------------------------------------------

    def initial(self) -> None:
        """Return to the initial weights (Glorot uniform, from the design's seed)."""
        self.load(glorot(self.graph, self.design.seed))

    def load(self, values: Sequence[Array]) -> None:
        """Replace the weights, forget what the optimiser remembers, and begin the noise anew.

        Raises
        ------
        DataError
            If number or shape of the matrices differ from what the design needs, or a value is not finite.
        """
        self.weights = [np.array(array, dtype=self.dtype) for array in checked_values(self.graph, values)]
        self.optimizer.reset()
        self.noise.reset()

    def memory(self) -> dict[str, Array]:
        """Return all that learning goes on from beside the weights: of optimiser and noise, as arrays by name."""
        both = {"optimizer": self.optimizer.memory(), "noise": self.noise.memory()}
        return {f"{part}.{name}": array for part, arrays in both.items() for name, array in arrays.items()}

    def recall(self, memory: Mapping[str, Array]) -> None:
        """Go on as the model would have from which :meth:`memory` was taken; after :meth:`load`, which forgets.

        Raises
        ------
        DataError
            If optimiser and noise of this model remember other things, or what they remember cannot be read.
        """
        try:
            for part, owner in (("optimizer", self.optimizer), ("noise", self.noise)):
                owner.recall({k.removeprefix(f"{part}."): v for k, v in memory.items() if k.startswith(f"{part}.")})
        except (KeyError, ValueError, TypeError) as error:
            raise DataError(f"what optimiser and noise remember cannot be read: {error!r}") from None
        strange = sorted(set(self.memory()) ^ set(memory))
        if strange:
            raise DataError(f"expected what this optimiser and this noise remember; {', '.join(strange)} does not fit")

    # Inference ------------------------------------------------------------------------------------------------------

    def infer(self, inputs: Array) -> NDArray[np.int64]:
        """Predict classes: the greatest logit, the lowest index of equals.

        Parameters
        ----------
        inputs : (n, inputs) array
            Values; any number of samples.

        Returns
        -------
        (n,) int64 array
            Predicted classes.
        """
        inputs = self._inputs(inputs)
        predictions = np.empty(len(inputs), dtype=np.int64)
        chunk = max(1, min(_CHUNK, _STATES // sum(layer.size for layer in self.graph.layers)))
        for start in range(0, len(inputs), chunk):
            predictions[start : start + chunk] = self.logits(inputs[start : start + chunk]).argmax(axis=1)
        return predictions

    def accuracy(self, inputs: Array, labels: Array) -> float:
        """Return the part of the samples that is predicted right, 0 to 1."""
        labels = self._labels(labels, len(inputs))
        if not len(labels):
            raise DataError("an accuracy needs at least one sample")
        return float(np.mean(self.infer(inputs) == labels))

    # Learning -------------------------------------------------------------------------------------------------------

    def learn(self, inputs: Array, labels: Array, rate: float) -> LearnResult:
        """Learn one batch.

        Parameters
        ----------
        inputs : (n, inputs) array
            Values; 1 to B samples, B the design's batch.
        labels : (n,) integer array
            Right classes.
        rate : float
            Learning rate.

        Raises
        ------
        DataError
            If there are no samples or more than B, or if inputs or labels do not fit the network.
        """
        inputs = self._inputs(inputs)
        size = self.design.learning.batch
        if not 1 <= len(inputs) <= size:
            raise DataError(f"a batch holds 1 to {size} samples (learning.batch), not {len(inputs)}")
        return self._learn(inputs, self._labels(labels, len(inputs)), rate)

    def train_epoch(
        self,
        inputs: Array,
        labels: Array,
        order: NDArray[Any],
        rate: float,
        progress: Callable[[int], object] | None = None,
    ) -> EpochResult:
        """Learn samples in a given order, B at a time; the last batch may hold fewer.

        Parameters
        ----------
        inputs : (n, inputs) array
            Values.
        labels : (n,) integer array
            Right classes.
        order : (m,) integer array
            Which samples, in which order.
        rate : float
            Learning rate.
        progress : callable, optional
            Called after every batch with the number of samples learned so far.

        Raises
        ------
        DataError
            As :meth:`learn`.
        """
        inputs, order = self._inputs(inputs), np.asarray(order)
        labels = self._labels(labels, len(inputs))
        if order.ndim != 1 or not len(order) or order.min() < 0 or order.max() >= len(inputs):
            raise DataError(f"order: expected indices of the {len(inputs)} samples, at least one")
        size = self.design.learning.batch
        right, free, nudged = 0, 0.0, 0.0
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            result = self._learn(inputs[chosen], labels[chosen], rate)
            right += int(np.count_nonzero(result.predictions == labels[chosen]))
            free += result.free_steps * len(chosen)
            nudged += result.nudged_steps * len(chosen)
            if progress is not None:
                progress(start + len(chosen))
        return EpochResult(right / len(order), free / len(order), nudged / len(order))

    def _learn(self, inputs: Array, labels: Array, rate: float) -> LearnResult:
        batch = self.batch(inputs, labels)
        self.optimizer.step(self.weights, batch.directions, rate)
        return LearnResult(batch.logits.argmax(axis=1), batch.free_steps, batch.nudged_steps)

    # Checks ---------------------------------------------------------------------------------------------------------

    def _inputs(self, inputs: Array) -> Array:
        inputs, size = np.asarray(inputs), self.graph.layers[0].size
        if inputs.ndim != 2 or inputs.shape[1] != size:
            raise DataError(f"inputs: expected samples x {size} values, not shape {inputs.shape}")
        return inputs.astype(self.dtype, copy=False)

    def _labels(self, labels: Array, samples: int) -> Array:
        labels, classes = np.asarray(labels), self.graph.layers[-1].size
        if labels.shape != (samples,) or not np.issubdtype(labels.dtype, np.integer):
            raise DataError(f"labels: expected {samples} integers, not shape {labels.shape} of {labels.dtype}")
        if samples and (labels.min() < 0 or labels.max() >= classes):
            raise DataError(f"labels: expected 0 to {classes - 1}, not {labels.min()} to {labels.max()}")
        return labels
