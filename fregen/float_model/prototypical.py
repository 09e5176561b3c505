"""P-EP, equilibrium propagation in its prototypical setting (docs/method.md, "Baselines"; the paper's table 1).

Ernoult, Grollier, Querlioz, Bengio and Scellier, "Updates of equilibrium prop match gradients of backprop through time
in an RNN with static input", NeurIPS 2019 (arXiv 1905.13633).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..design.document import Design
from ..design.graph import Connection, Kind
from .activation import targets
from .model import Array, Batch, FloatModel
from .optimizers import Optimizer
from .products import product, refuse_maps

__all__ = ["PrototypicalNetwork", "sigmoid_s"]


def sigmoid_s(sums: Array) -> Array:
    """Return ``1 / (1 + exp(-4 (x - 1/2)))``, shape and type as given, for sums of any size."""
    states = np.tanh(2 * sums - 1)
    states += 1
    states /= 2
    return states


class PrototypicalNetwork(FloatModel):
    """A recurrent network that settles as a whole, output layer included, and learns from two of its states.

    Between all layers that a forward connection of the design joins, but not back to the input, feedback is the same
    matrix transposed; all scales are 1.  All layers step at once from the states before the step, starting from zero::

        free, T steps:     s_i <- ρ(h_i)     h_i = sum of W s_source + sum of W^T s_target        i = 1 ... p
        nudged, K steps:   the same from the free states, but for the output
                           s_p <- ρ(h_p) + β_f (s_tar - s_p)
        direction of W  =  sum over the batch of (s_t^nudged s_s^nudged^T - s_t^free s_s^free^T) / (β_f B)

    where s_p on the right is the output before the step, s_tar is one-hot, ρ is :func:`sigmoid_s`, and W leads from
    layer s to layer t.  With ρ the identity and small β_f the last line would be the gradient of
    ``-|s_tar - s_p|² / 2`` at the fixed point; ρ bends the rule away from it, which "prototypical" accepts.  There is
    no softmax: the class is the greatest output state of the free phase.

    Of the design it takes layers, forward connections, T, K, β_f, batch, optimiser, noise and seed; and it leaves
    alone activation, alpha, beta, own feedback matrices, gain, and order, form and error of the nudged phase.
    Initial weights are those of all models.  A bias b adds to its layer's sum, and learns
    ``sum over the batch of (s_t^nudged - s_t^free) / (β_f B)``.

    Parameters and attributes as :class:`~fregen.float_model.FloatModel`.

    Raises
    ------
    DesignError
        As for :class:`~fregen.float_model.FloatModel`, and if the network has feature maps.
    """

    def __init__(self, design: Design, dtype: Any = np.float64, optimizer: Optimizer | None = None) -> None:
        super().__init__(design, dtype, optimizer)
        refuse_maps(self.graph, "P-EP (prototypical equilibrium propagation)")

    def logits(self, inputs: Array) -> Array:
        """Return the output states after the free phase, shape (n, classes)."""
        return self._settle(self.weights, self._start(inputs), self.design.free_steps, None, False)[-1]

    def batch(self, inputs: Array, labels: Array) -> Batch:
        """Run both phases; the readout is the free output."""
        design = self.design
        target = targets(labels, self.graph.layers[-1].size, self.dtype)
        weights = self.noise.weights(self.weights)
        free = self._settle(weights, self._start(inputs), design.free_steps, None, True)
        nudged = self._settle(weights, free, design.nudged_steps, target, True)
        scale = 1 / (design.learning.nudge * design.learning.batch)
        directions = {}
        for matrix in self.graph.learned:
            direction = nudged[matrix.target].T @ nudged[matrix.source]
            direction -= free[matrix.target].T @ free[matrix.source]
            direction *= scale
            directions[matrix.index] = direction
        for matrix in self.graph.biases:
            risen = nudged[matrix.target].sum(axis=0) - free[matrix.target].sum(axis=0)
            directions[matrix.index] = scale * risen[:, np.newaxis]
        return Batch(free[-1], directions, design.free_steps, design.nudged_steps)

    def _start(self, inputs: Array) -> list[Array]:
        """Return the inputs, and zero states of all other layers."""
        return [inputs, *(np.zeros((len(inputs), layer.size), dtype=self.dtype) for layer in self.graph.layers[1:])]

    def _settle(
        self, weights: Sequence[Array], states: list[Array], steps: int, target: Array | None, noisy: bool
    ) -> list[Array]:
        """Return the states after some steps, by layer index; nudged if there is a target."""
        incoming = self._incoming()
        shake = self.noise.shake if noisy else None
        static = [self._total(weights, [c for c in into if c.source == 0], states) for into in incoming]
        for matrix in self.graph.biases:
            total, bias = static[matrix.target], weights[matrix.index].T
            static[matrix.target] = bias if total is None else total + bias
        moving = [[c for c in into if c.source != 0] for into in incoming]
        for _ in range(steps):
            fresh = [states[0]]
            for layer in self.graph.layers[1:]:
                parts = [self._total(weights, moving[layer.index], states), static[layer.index]]
                sums = [part for part in parts if part is not None]
                state = sigmoid_s(sum(sums[1:], sums[0]))
                if target is not None and layer.index == self.graph.output:
                    state += self.design.learning.nudge * (target - states[layer.index])
                if shake is not None:
                    shake(state)
                fresh.append(state)
            states = fresh
        return states

    def _incoming(self) -> list[list[Connection]]:
        """Return by layer what enters it: each forward connection, and each but the input's in both directions."""
        incoming: list[list[Connection]] = [[] for _ in self.graph.layers]
        for c in self.graph.connections:
            if c.kind is Kind.FORWARD:
                incoming[c.target].append(Connection(c.source, c.target, c.matrix, False, 1.0, Kind.FORWARD))
                if c.source != 0:
                    incoming[c.source].append(Connection(c.target, c.source, c.matrix, True, 1.0, Kind.FEEDBACK))
        return incoming

    @staticmethod
    def _total(weights: Sequence[Array], connections: Sequence[Connection], states: Sequence[Array]) -> Array | None:
        """Return the summed products of some connections, None of none."""
        terms = [product(weights, c, states[c.source]) for c in connections]
        return sum(terms[1:], terms[0]) if terms else None
