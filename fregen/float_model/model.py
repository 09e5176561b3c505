"""What every real-valued model shares: weights, optimiser and noise, inference in portions."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design.document import Design
from ..design.graph import Graph
from ..design.initial import glorot
from ..design.weights import checked_values
from ..errors import DataError
from ..learner import Learner
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

    def sums(self) -> dict[str, float]:
        """Return the steps of all samples together."""
        count = len(self.predictions)
        return {"free_steps": self.free_steps * count, "nudged_steps": self.nudged_steps * count}


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


class FloatModel(Learner[LearnResult, EpochResult]):
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
        super().__init__(design, Graph.build(design.network))
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

    # Learning -------------------------------------------------------------------------------------------------------

    def _learn(self, inputs: Array, labels: Array, rate: float) -> LearnResult:
        batch = self.batch(inputs, labels)
        self.optimizer.step(self.weights, batch.directions, rate)
        return LearnResult(batch.logits.argmax(axis=1), batch.free_steps, batch.nudged_steps)

    def _epoch(self, accuracy: float, samples: int, sums: Mapping[str, float]) -> EpochResult:
        return EpochResult(accuracy, sums["free_steps"] / samples, sums["nudged_steps"] / samples)

    def _inputs(self, inputs: Array) -> Array:
        return super()._inputs(inputs).astype(self.dtype, copy=False)
