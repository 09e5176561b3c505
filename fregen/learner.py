"""What every model that learns has in common, in words or in real numbers: checks, accuracy, epochs of batches."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from .design.document import Design
from .design.graph import Graph
from .errors import DataError

__all__ = ["Learned", "Learner"]


class Learned(Protocol):
    """What one batch gave."""

    @property
    def predictions(self) -> NDArray[np.int64]:
        """Classes predicted before the update."""

    def sums(self) -> Mapping[str, float]:
        """Return what an epoch adds up, by name: sums over the samples of the batch."""


OfBatch = TypeVar("OfBatch", bound=Learned)
OfEpoch = TypeVar("OfEpoch")


class Learner(ABC, Generic[OfBatch, OfEpoch]):
    """A network that infers and learns.

    Parameters
    ----------
    design : Design
        Network, learning and seed.
    graph : Graph
        The design's.

    Attributes
    ----------
    design, graph : Design, Graph
        As given.
    """

    numbers = "values"
    """What messages call the numbers of an input."""

    def __init__(self, design: Design, graph: Graph) -> None:
        self.design = design
        self.graph = graph

    @abstractmethod
    def infer(self, inputs: NDArray[Any]) -> NDArray[np.int64]:
        """Predict classes, (n,), from (n, inputs) samples."""

    @abstractmethod
    def _learn(self, inputs: NDArray[Any], labels: NDArray[Any], rate: float) -> OfBatch:
        """Learn a batch that has been checked."""

    @abstractmethod
    def _epoch(self, accuracy: float, samples: int, sums: Mapping[str, float]) -> OfEpoch:
        """Make the result of an epoch from what its batches gave."""

    def accuracy(self, inputs: NDArray[Any], labels: NDArray[Any]) -> float:
        """Return the part of the samples that is predicted right, 0 to 1.

        Raises
        ------
        DataError
            If there are no samples, or if inputs or labels do not fit the network.
        """
        labels = self._labels(labels, len(inputs))
        if not len(labels):
            raise DataError("an accuracy needs at least one sample")
        return float(np.mean(self.infer(inputs) == labels))

    def learn(self, inputs: NDArray[Any], labels: NDArray[Any], rate: float) -> OfBatch:
        """Learn one batch.

        Parameters
        ----------
        inputs : (n, inputs) array
            Samples; 1 to B, B the design's batch.
        labels : (n,) integer array
            Right classes.
        rate : float
            Learning rate.

        Raises
        ------
        DataError
            If there are no samples or more than B, or if inputs or labels do not fit the network.
        """
        return self._learn(*self._batch(inputs, labels), rate)

    def train_epoch(
        self,
        inputs: NDArray[Any],
        labels: NDArray[Any],
        order: NDArray[Any],
        rate: float,
        progress: Callable[[int], object] | None = None,
    ) -> OfEpoch:
        """Learn samples in a given order, B at a time; the last batch may hold fewer.

        Parameters
        ----------
        inputs : (n, inputs) array
            Samples.
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
        size, right, sums = self.design.learning.batch, 0, Counter[str]()
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            wanted = labels[chosen]
            result = self._learn(inputs[chosen], wanted, rate)
            right += int(np.count_nonzero(result.predictions == wanted))
            sums.update(result.sums())
            if progress is not None:
                progress(start + len(chosen))
        return self._epoch(right / len(order), len(order), sums)

    # Checks ---------------------------------------------------------------------------------------------------------

    def _batch(self, inputs: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        inputs, size = self._inputs(inputs), self.design.learning.batch
        if not 1 <= len(inputs) <= size:
            raise DataError(f"a batch holds 1 to {size} samples (learning.batch), not {len(inputs)}")
        return inputs, self._labels(labels, len(inputs))

    def _inputs(self, inputs: NDArray[Any]) -> NDArray[Any]:
        inputs, size = np.asarray(inputs), self.graph.layers[0].size
        if inputs.ndim != 2 or inputs.shape[1] != size:
            raise DataError(f"inputs: expected samples x {size} {self.numbers}, not shape {inputs.shape}")
        return inputs

    def _labels(self, labels: NDArray[Any], samples: int) -> NDArray[Any]:
        labels, classes = np.asarray(labels), self.graph.layers[-1].size
        if labels.shape != (samples,) or not np.issubdtype(labels.dtype, np.integer):
            raise DataError(f"labels: expected {samples} integers, not shape {labels.shape} of {labels.dtype}")
        if samples and (labels.min() < 0 or labels.max() >= classes):
            raise DataError(f"labels: expected 0 to {classes - 1}, not {labels.min()} to {labels.max()}")
        return labels
