"""Backpropagation through the same network without feedback: what equilibrium propagation is compared with."""

from collections.abc import Sequence

from ..graph import Kind
from .activation import FloatActivation, softmax, targets
from .model import Array, Batch, FloatModel
from .noise import Shake
from .relax import product

__all__ = ["BackpropNetwork", "FeedforwardNetwork"]


class FeedforwardNetwork(FloatModel):
    """The feedforward net of a design: its forward connections only, no phases, softmax at the output.

    Same initial weights and activation as :class:`~fregen.float_model.FloatNetwork`::

        s_i = ρ(h_i)      h_i = sum of α W s_source      s_out = softmax(h_out)

    Parameters and attributes as :class:`~fregen.float_model.FloatModel`.
    """

    def logits(self, inputs: Array) -> Array:
        """Return the readout of a forward pass, shape (n, classes)."""
        return self._forward(self.weights, inputs)[1][-1]

    def _forward(
        self, weights: Sequence[Array], inputs: Array, shake: Shake | None = None
    ) -> tuple[list[Array], list[Array]]:
        """Return states and sums by layer index; the sums of the output layer are the logits, its states are left out.

        ``shake`` adds noise to the states of every hidden layer as soon as they are computed.
        """
        graph, rho = self.graph, FloatActivation(self.design.numerics.activation.function)
        states, sums = [inputs], [inputs[:, :0]]
        for layer in graph.layers[1:]:
            terms = [product(weights, c, states[c.source]) for c in graph.into(layer.index) if c.kind is Kind.FORWARD]
            sums.append(sum(terms[1:], terms[0]))
            if layer.index != graph.output:
                states.append(rho(sums[-1]))
                if shake is not None:
                    shake(states[-1])
        return states, sums

    def _error(self, logits: Array, labels: Array) -> Array:
        """Return ``s_tar - softmax(logits)``, shape (n, classes): how the output should move."""
        return targets(labels, self.graph.layers[-1].size, self.dtype) - softmax(logits)

    def _back(self, carriers: Sequence[Array], layer: int, errors: dict[int, Array]) -> Array:
        """Return ``sum of α M^T error_target`` over the forward connections out of a layer, shape (n, neurons).

        ``carriers`` holds, by matrix index, the M that stands for each forward matrix on the way back: (target,
        source).
        """
        terms = [
            c.scale * (errors[c.target] @ carriers[c.matrix])
            for c in self.graph.connections
            if c.source == layer and c.kind is Kind.FORWARD
        ]
        return sum(terms[1:], terms[0])

    def _directions(self, errors: dict[int, Array], states: Sequence[Array]) -> dict[int, Array]:
        """Return ``sum over the batch of α error_target s_source^T / B`` by index of the learned matrices."""
        scales = {c.matrix: c.scale for c in self.graph.connections if c.kind is Kind.FORWARD}
        size = self.design.learning.batch
        return {m.index: (errors[m.target].T @ states[m.source]) * (scales[m.index] / size) for m in self.graph.learned}


class BackpropNetwork(FeedforwardNetwork):
    """The feedforward net of a design, trained by backpropagation of the softmax cross-entropy.

    ::

        δ_out = s_tar - softmax(h_out)      δ_i = ρ'(h_i) * (sum of α W^T δ_target)
        direction of W = sum over the batch of α δ_target s_source^T / B

    Parameters and attributes as :class:`~fregen.float_model.FloatModel`.
    """

    def batch(self, inputs: Array, labels: Array) -> Batch:
        """Run a forward and a backward pass."""
        graph, rho = self.graph, FloatActivation(self.design.numerics.activation.function)
        weights = self.noise.weights(self.weights)
        states, sums = self._forward(weights, inputs, self.noise.shake)
        carriers = self._carriers(weights)
        delta = {graph.output: self._error(sums[-1], labels)}
        for layer in reversed(graph.hidden):
            delta[layer.index] = rho.slope(sums[layer.index]) * self._back(carriers, layer.index, delta)
        return Batch(sums[-1], self._directions(delta, states), 1, 1)

    def _carriers(self, weights: Sequence[Array]) -> Sequence[Array]:
        """Return the matrices that carry errors back, by matrix index: the weights themselves."""
        return weights
