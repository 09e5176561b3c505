"""Activation functions, their slopes and the softmax, in real numbers."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["FloatActivation", "softmax", "targets"]


class FloatActivation:
    """A function ρ and its slope ρ'.

    Fixed point draws straight pieces through tanh (:class:`fregen.spec.tables.PiecewiseLinear`); here it is tanh
    itself.  At a corner of the hard functions the slope is the one that fixed point takes: that of the piece on the
    right.

    Parameters
    ----------
    function : {"tanh", "hard-tanh", "hard-sigmoid"}
        tanh(x), clip(x, -1, 1) or clip(x, 0, 1).
    """

    def __init__(self, function: Literal["tanh", "hard-tanh", "hard-sigmoid"]) -> None:
        self.function = function
        self._low = 0.0 if function == "hard-sigmoid" else -1.0

    def __call__(self, sums: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return ρ(h), shape and type as given; written to ``out`` if that is given."""
        return np.tanh(sums, out=out) if self.function == "tanh" else np.clip(sums, self._low, 1.0, out=out)

    def slope(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return ρ'(h), shape and type as given."""
        if self.function == "tanh":
            return 1 - np.tanh(sums) ** 2
        inside = np.abs(sums) < 1 if self.function == "hard-tanh" else (sums >= 0) & (sums < 1)
        return inside.astype(sums.dtype)


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """Return the class probabilities of each row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def targets(labels: NDArray[Any], classes: int, dtype: Any) -> NDArray[Any]:
    """Return one row a label: 1 at the label, else 0."""
    rows = np.zeros((len(labels), classes), dtype=dtype)
    rows[np.arange(len(labels)), labels] = 1
    return rows
