"""Feedback alignment: backpropagation whose errors return through fixed random matrices (docs/method.md, "Baselines").

Lillicrap, Cownden, Tweed and Akerman, "Random synaptic feedback weights support error backpropagation for deep
learning", Nature Communications 7, 13276, 2016.  The forward weights learn to agree with the random ones, so that the
errors that arrive become useful.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..design.document import Design
from ..design.graph import Graph
from .baseline import BackpropNetwork
from .model import Array
from .optimizers import Optimizer

__all__ = ["FeedbackAlignmentNetwork", "random_feedback"]


def random_feedback(graph: Graph, seed: int, dtype: Any = np.float64) -> list[Array]:
    """Draw a fixed matrix for the way back beside each matrix that learns: Glorot uniform, as the weights are.

    Parameters
    ----------
    graph : Graph
        Its learned matrices are drawn in the order of their index, row by row, but for those that leave the input, to
        which no error returns.
    seed : int
        Seed of the design; the generator is ``np.random.default_rng([seed, 4])``.
    dtype : numpy float type
        Type of the matrices.

    Returns
    -------
    list of arrays
        By matrix index, shape (target, source) as the matrix that it stands for; 0 x 0 where nothing is drawn.
    """
    generator = np.random.default_rng([seed, 4])
    feedback: list[Array] = [np.zeros((0, 0), dtype=dtype) for _ in graph.matrices]
    for matrix in graph.learned:
        if matrix.source != 0:
            shape = graph.shape(matrix)
            bound = math.sqrt(6 / sum(graph.fans(matrix)))
            feedback[matrix.index] = generator.uniform(-bound, bound, shape).astype(dtype)
    return feedback


class FeedbackAlignmentNetwork(BackpropNetwork):
    """The feedforward net of a design, its errors sent back through fixed random matrices B.

    Like :class:`~fregen.float_model.BackpropNetwork`, with B in place of W on the way back::

        δ_out = s_tar - softmax(h_out)      δ_i = ρ'(h_i) * (sum of α B^T δ_target)
        direction of W = sum over the batch of α δ_target s_source^T / B

    B never learns.  With weight noise it is as noisy as the weights.

    Parameters
    ----------
    design : Design
        Network, learning and seed.  Whether its own feedback is symmetric makes no difference here.
    dtype : numpy float type
        float64, or float32 for speed.
    optimizer : Optimizer, optional
        By default the one that the design asks for.

    Attributes
    ----------
    feedback : list of arrays
        B by matrix index, shape (target, source); see :func:`random_feedback`.
    """

    def __init__(self, design: Design, dtype: Any = np.float64, optimizer: Optimizer | None = None) -> None:
        super().__init__(design, dtype, optimizer)
        self.feedback = random_feedback(self.graph, design.seed, self.dtype)

    def _carriers(self, weights: Sequence[Array]) -> Sequence[Array]:
        """Return the matrices that carry errors back, by matrix index: the random ones."""
        return self.noise.weights(self.feedback)
