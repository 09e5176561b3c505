"""How directions become new weights: plain descent, momentum and Adam (docs/method.md, "Learning").

All climb along the directions, ``W <- W + step``, in place and in the type of the weights.  A direction is never
changed: what a step needs of it goes to one buffer a matrix, kept from call to call.  With factors (the paper's layer
rates) each matrix has a rate of its own, ``rate * factor``.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..design.document import Design
from ..design.graph import Graph
from ..errors import DesignError

__all__ = ["Adam", "Momentum", "Optimizer", "Sgd", "layer_factors", "optimizer_of"]

Array = NDArray[Any]


class Optimizer(Protocol):
    """Turns directions into new weights; may keep memory from call to call."""

    def reset(self) -> None:
        """Forget all memory."""

    def memory(self) -> dict[str, Array]:
        """Return what the next step depends on beside weights, directions and rate, as arrays by name."""

    def recall(self, memory: Mapping[str, Array]) -> None:
        """Take over what :meth:`memory` returned at another time."""

    def step(self, weights: list[Array], directions: Mapping[int, Array], rate: float) -> None:
        """Renew the weights in place.

        Parameters
        ----------
        weights : list of arrays
            By matrix index, shape (target, source).
        directions : mapping of int to array
            By matrix index; matrices that do not learn are left out.
        rate : float
            Learning rate.
        """


class _ByMatrix(ABC):
    """Steps matrix after matrix, each at its own rate and with its own buffer.

    Parameters
    ----------
    factors : mapping of int to float, optional
        Factor of the rate by matrix index; 1 for matrices left out.
    """

    def __init__(self, factors: Mapping[int, float] | None = None) -> None:
        self.factors = dict(factors or {})
        self._buffers: dict[int, Array] = {}

    def reset(self) -> None:
        """Forget all memory."""
        self._buffers.clear()

    def memory(self) -> dict[str, Array]:
        """Return what the next step depends on: nothing."""
        return {}

    def recall(self, memory: Mapping[str, Array]) -> None:
        """Take over what :meth:`memory` returned at another time."""
        self.reset()

    def step(self, weights: list[Array], directions: Mapping[int, Array], rate: float) -> None:
        """Renew the weights in place; parameters as :meth:`Optimizer.step`."""
        for index, direction in directions.items():
            matrix = weights[index]
            buffer = self._buffers.get(index)
            if buffer is None:
                buffer = self._buffers[index] = np.empty_like(matrix)
            self._climb(index, matrix, direction, rate * self.factors.get(index, 1.0), buffer)

    @abstractmethod
    def _climb(self, index: int, matrix: Array, direction: Array, rate: float, buffer: Array) -> None:
        """Renew one matrix; the buffer has its shape and type, and any content."""


class Sgd(_ByMatrix):
    """Plain descent: ``W <- W + rate * direction``.  This is what fixed point does.

    Parameters
    ----------
    factors : mapping of int to float, optional
        Factor of the rate by matrix index; 1 for matrices left out.
    """

    def _climb(self, index: int, matrix: Array, direction: Array, rate: float, buffer: Array) -> None:
        np.multiply(direction, rate, out=buffer)
        matrix += buffer


class Momentum(_ByMatrix):
    """Classical momentum: ``step <- momentum * step + rate * direction``, ``W <- W + step``; the first step is plain.

    The step is what is remembered, so another rate acts on what comes, not on what was.

    Parameters
    ----------
    momentum : float
        Part of the last step that the next one keeps, 0 to below 1.
    factors : mapping of int to float, optional
        Factor of the rate by matrix index; 1 for matrices left out.

    Raises
    ------
    DesignError
        If momentum is not from 0 to below 1.
    """

    def __init__(self, momentum: float = 0.9, factors: Mapping[int, float] | None = None) -> None:
        super().__init__(factors)
        if not 0 <= momentum < 1:
            raise DesignError(f"momentum: expected 0 to below 1, not {momentum!r}")
        self.momentum = momentum
        self._steps: dict[int, Array] = {}

    def reset(self) -> None:
        """Forget the last steps."""
        super().reset()
        self._steps.clear()

    def memory(self) -> dict[str, Array]:
        """Return the last steps: ``step_0``, ..., by matrix index."""
        return {f"step_{index}": step.copy() for index, step in self._steps.items()}

    def recall(self, memory: Mapping[str, Array]) -> None:
        """Take over what :meth:`memory` returned at another time."""
        self.reset()
        self._steps = {int(name.removeprefix("step_")): step.copy() for name, step in memory.items()}

    def _climb(self, index: int, matrix: Array, direction: Array, rate: float, buffer: Array) -> None:
        last = self._steps.get(index)
        if last is None:
            last = self._steps[index] = np.zeros_like(matrix)
        last *= self.momentum
        np.multiply(direction, rate, out=buffer)
        last += buffer
        matrix += last


@dataclass
class _Moments:
    """Running means of a matrix's directions and of their squares, and how many entered."""

    first: Array
    second: Array
    count: int = 0


class Adam(_ByMatrix):
    """Adam (Kingma and Ba, 2015, algorithm 1), upwards, its means corrected for their start at zero.

    For the t-th direction d of a matrix::

        m <- β1 m + (1 - β1) d            v <- β2 v + (1 - β2) d²
        W <- W + rate * (m / (1 - β1^t)) / (sqrt(v / (1 - β2^t)) + ε)

    The size of the directions cancels: with or without the gain, Adam takes the same steps (as far as ε is small).

    Parameters
    ----------
    factors : mapping of int to float, optional
        Factor of the rate by matrix index; 1 for matrices left out.
    betas : pair of float
        β1 and β2, 0 to below 1.
    epsilon : float
        ε.

    Raises
    ------
    DesignError
        If a beta is not from 0 to below 1, or epsilon is not positive.
    """

    def __init__(
        self,
        factors: Mapping[int, float] | None = None,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(factors)
        if not all(0 <= beta < 1 for beta in betas):
            raise DesignError(f"betas: expected 0 to below 1, not {betas!r}")
        if not epsilon > 0:
            raise DesignError(f"epsilon: expected a positive number, not {epsilon!r}")
        self.betas, self.epsilon = betas, epsilon
        self._moments: dict[int, _Moments] = {}

    def reset(self) -> None:
        """Forget the means."""
        super().reset()
        self._moments.clear()

    def memory(self) -> dict[str, Array]:
        """Return means and counts: ``first_0``, ``second_0``, ``count_0``, ..., by matrix index."""
        kept: dict[str, Array] = {}
        for index, moments in self._moments.items():
            kept[f"first_{index}"], kept[f"second_{index}"] = moments.first.copy(), moments.second.copy()
            kept[f"count_{index}"] = np.array(moments.count)
        return kept

    def recall(self, memory: Mapping[str, Array]) -> None:
        """Take over what :meth:`memory` returned at another time."""
        self.reset()
        for index in sorted(int(name.removeprefix("count_")) for name in memory if name.startswith("count_")):
            first, second = memory[f"first_{index}"].copy(), memory[f"second_{index}"].copy()
            self._moments[index] = _Moments(first, second, int(memory[f"count_{index}"]))

    def _climb(self, index: int, matrix: Array, direction: Array, rate: float, buffer: Array) -> None:
        moments = self._moments.get(index)
        if moments is None:
            moments = self._moments[index] = _Moments(np.zeros_like(matrix), np.zeros_like(matrix))
        moments.count += 1
        first, second = self.betas
        moments.first *= first
        np.multiply(direction, 1 - first, out=buffer)
        moments.first += buffer
        moments.second *= second
        np.multiply(direction, direction, out=buffer)
        buffer *= 1 - second
        moments.second += buffer
        np.sqrt(moments.second, out=buffer)
        buffer /= math.sqrt(1 - second**moments.count)
        buffer += self.epsilon
        np.divide(moments.first, buffer, out=buffer)
        buffer *= rate / (1 - first**moments.count)
        matrix += buffer


def layer_factors(design: Design, graph: Graph) -> dict[int, float]:
    """Return the factors of the rate, ``learning.layer_rates``, by matrix index; empty if the design has none.

    A bias has the factor of the first matrix that leads into its layer.

    Raises
    ------
    DesignError
        If there is not one factor for each matrix that learns.
    """
    rates = design.learning.layer_rates
    if rates and len(rates) != len(graph.learned):
        names = ", ".join(matrix.name for matrix in graph.learned)
        raise DesignError(
            f"learning.layer_rates: expected {len(graph.learned)} factors, one for each matrix that learns ({names}), "
            f"not {len(rates)}"
        )
    factors = {matrix.index: rate for matrix, rate in zip(graph.learned, rates, strict=False)}
    into = {m.target: m.index for m in reversed(graph.learned)}
    return factors | {bias.index: factors[into[bias.target]] for bias in graph.biases if factors}


def optimizer_of(design: Design, graph: Graph) -> Optimizer:
    """Make the optimiser that a design asks for: ``learning.optimizer``, ``momentum`` and ``layer_rates``.

    Raises
    ------
    DesignError
        If there is not one layer rate for each matrix that learns.
    """
    factors = layer_factors(design, graph)
    if design.learning.optimizer == "momentum":
        return Momentum(design.learning.momentum, factors)
    return Adam(factors) if design.learning.optimizer == "adam" else Sgd(factors)
