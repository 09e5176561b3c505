"""Backpropagation through the same network without feedback: what equilibrium propagation is compared with."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..design.graph import Kind
from .activation import FloatActivation, softmax, targets
from .model import Array, Batch, FloatModel
from .noise import Shake
from .products import Winners, back, bias_direction, bias_of, direction, forward, forwarded_states, returned_values

__all__ = ["BackpropNetwork", "FeedforwardNetwork", "Pass"]


@dataclass
class Pass:
    """What a forward pass left, each list by layer index.

    Parameters
    ----------
    states : list of (neurons, n) arrays
        The input first; the output layer has none.
    outputs : list of (outputs, n) arrays
        What the layers forward to later ones; of feature maps the greatest state of every window.
    winners : list of uint8 arrays or None
        Where those were.
    sums : list of (neurons, n) arrays
        What entered the layers; of the input nothing, of the output layer the logits.
    """

    states: list[Array] = field(default_factory=list)
    outputs: list[Array] = field(default_factory=list)
    winners: list[Winners] = field(default_factory=list)
    sums: list[Array] = field(default_factory=list)


class FeedforwardNetwork(FloatModel):
    """The feedforward net of a design: its forward connections only, no phases, softmax at the output.

    Same initial weights and activation as :class:`~fregen.float_model.FloatNetwork`::

        s_i = ρ(h_i)      h_i = sum of α W s_source      s_out = softmax(h_out)

    Parameters and attributes as :class:`~fregen.float_model.FloatModel`.
    """

    def logits(self, inputs: Array) -> Array:
        """Return the readout of a forward pass, shape (n, classes)."""
        return self._forward(self.weights, inputs).sums[-1].T

    def _forward(self, weights: Sequence[Array], inputs: Array, shake: Shake | None = None) -> Pass:
        """Pass samples, one a row, from the input up.

        ``shake`` adds noise to the states of every hidden layer as soon as they are computed.
        """
        graph, rho = self.graph, FloatActivation(self.design.numerics.activation.function)
        biases = {matrix.target: weights[matrix.index] for matrix in graph.biases}
        done = Pass(sums=[inputs.T[:0]])
        states = inputs.T
        for layer in graph.layers:
            if layer.index:
                total = self._entering(weights, layer.index, done.outputs)
                if layer.index in biases:
                    total += bias_of(layer, biases[layer.index])
                done.sums.append(total)
                if layer.index == graph.output:
                    break
                states = rho(total)
                if shake is not None:
                    shake(states.T)
            outputs, winners = forwarded_states(layer, states)
            done.states.append(states)
            done.outputs.append(outputs)
            done.winners.append(winners)
        return done

    def _entering(self, weights: Sequence[Array], layer: int, outputs: Sequence[Array]) -> Array:
        """Return ``sum of α W s`` over the forward connections into a layer, shape (neurons, n)."""
        total: Array | None = None
        for c in self.graph.into(layer):
            if c.kind is Kind.FORWARD:
                term = forward(self.graph, self.graph.matrices[c.matrix], weights[c.matrix], outputs[c.source])
                if c.scale != 1:
                    term *= c.scale
                total = term if total is None else total + term
        assert total is not None
        return total

    def _error(self, logits: Array, labels: Array) -> Array:
        """Return ``s_tar - softmax(logits)``: how the output should move; logits and result (classes, n)."""
        return (targets(labels, self.graph.layers[-1].size, self.dtype) - softmax(logits.T)).T

    def _back(self, carriers: Sequence[Array], layer: int, errors: dict[int, Array], winners: Winners) -> Array:
        """Return ``sum of α M^T error_target`` over the forward connections out of a layer, shape (neurons, n).

        ``carriers`` holds, by matrix index, the M that stands for each forward matrix on the way back, of its shape.
        What is fed back to feature maps goes to the winners.
        """
        graph = self.graph
        terms = [
            c.scale * back(graph, graph.matrices[c.matrix], carriers[c.matrix], errors[c.target])
            for c in graph.connections
            if c.source == layer and c.kind is Kind.FORWARD
        ]
        return returned_values(graph.layers[layer], sum(terms[1:], terms[0]), winners)

    def _directions(self, errors: dict[int, Array], done: Pass) -> dict[int, Array]:
        """Return ``sum over the batch of α error_target s_source^T / B`` by index of the learned matrices.

        Of a bias, s is 1.
        """
        graph, size = self.graph, self.design.learning.batch
        scales = {c.matrix: c.scale for c in graph.connections if c.kind is Kind.FORWARD}
        directions = {}
        for matrix in graph.learned:
            total = direction(graph, matrix, errors[matrix.target], done.outputs[matrix.source])
            total *= scales[matrix.index] / size
            directions[matrix.index] = total
        for matrix in graph.biases:
            directions[matrix.index] = bias_direction(graph.layers[matrix.target], errors[matrix.target]) / size
        return directions


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
        done = self._forward(weights, inputs, self.noise.shake)
        carriers = self._carriers(weights)
        delta = {graph.output: self._error(done.sums[-1], labels)}
        for i in (layer.index for layer in reversed(graph.hidden)):
            delta[i] = rho.slope(done.sums[i]) * self._back(carriers, i, delta, done.winners[i])
        return Batch(done.sums[-1].T, self._directions(delta, done), 1, 1)

    def _carriers(self, weights: Sequence[Array]) -> Sequence[Array]:
        """Return the matrices that carry errors back, by matrix index: the weights themselves."""
        return weights
