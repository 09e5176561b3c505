"""The FRE-RNN in real numbers: it settles, is nudged, and learns from the difference."""

from typing import Any

import numpy as np

from ..design.document import Design
from .activation import targets
from .learning import contrastive_directions
from .model import Array, Batch, FloatModel
from .optimizers import Optimizer
from .relax import FloatRelax

__all__ = ["FloatNetwork"]


class FloatNetwork(FloatModel):
    """Equilibrium Propagation as the paper describes it, and in the ``offset`` form.

    The same algorithm as :class:`fregen.golden.NetworkModel`, without words: real tanh, exact softmax, nothing rounded
    or saturated.  Phase lengths, order, error and gain are the design's.

    Parameters
    ----------
    design : Design
        Network, learning and seed.
    dtype : numpy float type
        float64; float32 is faster, but in the ``states`` form it cancels digits of small ds.
    optimizer : Optimizer, optional
        By default the one that the design asks for.
    tolerance : float, optional
        End a phase early; see :class:`FloatRelax`.  By default every phase has its T or K steps.

    Attributes
    ----------
    relax : FloatRelax
        The two phases.
    gains : tuple of float
        By layer index: 2**g with ``learning.gain``, else 1.
    """

    def __init__(
        self,
        design: Design,
        dtype: Any = np.float64,
        optimizer: Optimizer | None = None,
        tolerance: float | None = None,
    ) -> None:
        super().__init__(design, dtype, optimizer)
        self.relax = FloatRelax(design, self.graph, self.dtype, tolerance)
        shrinkage = self.graph.shrinkage(design.learning.nudge)
        self.gains = tuple(2.0**g if design.learning.gain else 1.0 for g in shrinkage)

    def logits(self, inputs: Array) -> Array:
        """Return the readout after the free phase, shape (n, classes)."""
        return self.relax.free(self.weights, inputs).logits

    def batch(self, inputs: Array, labels: Array) -> Batch:
        """Run both phases; the directions are the contrast ``2**g ds_target s_source^T`` over B."""
        weights = self.noise.weights(self.weights)
        free = self.relax.free(weights, inputs, shake=self.noise.shake)
        target = targets(labels, self.graph.layers[-1].size, self.dtype)
        nudged = self.relax.nudged(weights, free, target, shake=self.noise.shake)
        directions = contrastive_directions(
            self.graph, nudged.contrast, free.states, self.gains, self.design.learning.batch
        )
        return Batch(free.logits, directions, free.steps, nudged.steps)
