"""Local representation alignment, LRA-E: every layer gets a target of its own and learns to meet it.

Ororbia and Mali, "Biologically motivated algorithms for propagating local target representations", AAAI 2019
(arXiv 1805.11703).
"""

from typing import Any

import numpy as np

from ..design.document import Design
from .activation import FloatActivation
from .baseline import FeedforwardNetwork
from .feedback_alignment import random_feedback
from .model import Array, Batch
from .optimizers import Optimizer

__all__ = ["RepresentationAlignmentNetwork"]


class RepresentationAlignmentNetwork(FeedforwardNetwork):
    """The feedforward net of a design, trained by error-driven local representation alignment.

    Error units e hold how far the target of a layer lies from its state.  From the output down, fixed random error
    matrices E project the errors of the layers above; the projection moves the layer's sum, and what the moved sum
    would have given is its target::

        e_out = s_tar - softmax(h_out)
        t_i   = ρ(h_i + γ sum of α E^T e_target)          e_i = t_i - s_i
        direction of W = sum over the batch of α e_target s_source^T / B

    Each direction descends its layer's local loss ``|t_i - s_i|² / 2`` with t_i held, by the authors' simpler rule,
    which leaves the slope of ρ out.  No error is passed on but through a target: where ρ is flat, errors end.
    (The authors write e with the other sign, hence their ``h - γ E e``.)

    Choices: γ is the design's nudge ``β_f`` (the authors: 0.1).  Errors shrink by about γ a layer on their way down;
    nothing undoes it, so a small γ wants Adam or layer rates.  E stays as it was drawn; the authors may train it too.

    Parameters
    ----------
    design : Design
        Network, learning and seed.
    dtype : numpy float type
        float64, or float32 for speed.
    optimizer : Optimizer, optional
        By default the one that the design asks for.

    Attributes
    ----------
    errors : list of arrays
        E by matrix index, shape (target, source): the matrices of feedback alignment, drawn by the same
        :func:`~fregen.float_model.feedback_alignment.random_feedback`.
    """

    def __init__(self, design: Design, dtype: Any = np.float64, optimizer: Optimizer | None = None) -> None:
        super().__init__(design, dtype, optimizer)
        self.errors = random_feedback(self.graph, design.seed, self.dtype)

    def batch(self, inputs: Array, labels: Array) -> Batch:
        """Run a forward pass, then find targets from the output down."""
        graph, rho = self.graph, FloatActivation(self.design.numerics.activation.function)
        done = self._forward(self.noise.weights(self.weights), inputs, self.noise.shake)
        carriers = self.noise.weights(self.errors)
        errors = {graph.output: self._error(done.sums[-1], labels)}
        for i in (layer.index for layer in reversed(graph.hidden)):
            moved = self._back(carriers, i, errors, done.winners[i])
            moved *= self.design.learning.nudge
            moved += done.sums[i]
            errors[i] = rho(moved) - done.states[i]
        return Batch(done.sums[-1].T, self._directions(errors, done), 1, 1)
