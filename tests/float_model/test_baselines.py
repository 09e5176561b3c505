"""Feedback alignment, local representation alignment and P-EP: against references, limits, and real digits."""

import numpy as np
import pytest

from fregen.data.datasets import load
from fregen.design.document import Design
from fregen.float_model import (
    BackpropNetwork,
    FeedbackAlignmentNetwork,
    FloatNetwork,
    PrototypicalNetwork,
    RepresentationAlignmentNetwork,
    Sgd,
    prototypical,
)
from fregen.float_model.feedback_alignment import random_feedback
from fregen.float_model.prototypical import sigmoid_s
from fregen.training.samples import epoch_order

pytestmark = pytest.mark.unit

BASELINES = [FeedbackAlignmentNetwork, RepresentationAlignmentNetwork, PrototypicalNetwork]
LABELS = np.arange(16) % 3
TARGET = np.eye(3)[LABELS]


def design(seed=0, layers=(9, 8, 7, 6, 3), network=(), function="tanh", **learning):
    return Design.parse(
        {
            "name": "net",
            "seed": seed,
            "network": {"layers": list(layers), **dict(network)},
            "numerics": {"activation": {"function": function}},
            "learning": {"batch": 16, "free_steps": 6, "nudged_steps": 4, "nudge": 0.25, **learning},
        }
    )


def inputs():
    return np.random.default_rng(2).random((16, 9))


def softmax(logits):
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def cosine(a, b):
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


RESIDUAL = {"topology": "residual", "block": 2, "alpha": 0.5}


# All of them --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", BASELINES)
@pytest.mark.parametrize("network", [{}, RESIDUAL, {"feedback": "asymmetric"}], ids=["chain", "residual", "asymmetric"])
def test_they_start_from_the_same_weights_and_learn_the_same_matrices(model, network):
    baseline, ours = model(design(network=network)), FloatNetwork(design(network=network))
    for a, b in zip(baseline.weights, ours.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    directions = baseline.batch(inputs(), LABELS).directions
    assert set(directions) == {matrix.index for matrix in baseline.graph.learned}
    for index, direction in directions.items():
        assert direction.shape == baseline.weights[index].shape
        assert np.abs(direction).max() > 0


@pytest.mark.parametrize("model", [BackpropNetwork, *BASELINES])
def test_feedback_matrices_of_the_design_are_not_read(model):
    network = model(design(network={"feedback": "asymmetric"}))
    plain = network.batch(inputs(), LABELS)
    learned = {matrix.index for matrix in network.graph.learned}
    assert len(learned) < len(network.weights)
    for index in range(len(network.weights)):
        if index not in learned:
            network.weights[index][:] = np.nan
    again = network.batch(inputs(), LABELS)
    np.testing.assert_array_equal(again.logits, plain.logits)
    for index, direction in plain.directions.items():
        np.testing.assert_array_equal(again.directions[index], direction)


@pytest.mark.parametrize("model", BASELINES)
def test_float32_stays_float32(model):
    network, wide = model(design(), dtype=np.float32), model(design())
    batch, expected = network.batch(inputs().astype(np.float32), LABELS), wide.batch(inputs(), LABELS)
    assert batch.logits.dtype == np.float32
    for index, direction in batch.directions.items():
        assert direction.dtype == np.float32
        np.testing.assert_allclose(direction, expected.directions[index], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("model", BASELINES)
def test_a_last_batch_of_half_the_samples_counts_half(model):
    network, x = model(design()), inputs()
    twice = network.batch(np.concatenate([x[:8], x[:8]]), np.concatenate([LABELS[:8], LABELS[:8]])).directions
    once = network.batch(x[:8], LABELS[:8]).directions
    for index in once:
        np.testing.assert_allclose(twice[index], 2 * once[index], rtol=1e-12, atol=1e-15)


# Feedback alignment -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [{}, RESIDUAL], ids=["chain", "residual"])
@pytest.mark.parametrize("function", ["tanh", "hard-sigmoid"])
def test_feedback_alignment_is_backpropagation_where_feedback_is_the_weights(network, function):
    chosen = design(network=network, function=function)
    aligned, exact = FeedbackAlignmentNetwork(chosen), BackpropNetwork(chosen)
    gradient, other = exact.batch(inputs(), LABELS), aligned.batch(inputs(), LABELS).directions
    aligned.feedback = aligned.weights
    found = aligned.batch(inputs(), LABELS)
    np.testing.assert_array_equal(found.logits, gradient.logits)
    last = max(m.index for m in exact.graph.learned if m.target == exact.graph.output)
    for index, direction in gradient.directions.items():
        np.testing.assert_array_equal(found.directions[index], direction)
        assert np.allclose(other[index], direction) == (index == last), "only the output needs no feedback"


def test_feedback_is_drawn_as_documented_and_never_changes():
    network = FeedbackAlignmentNetwork(design(seed=7))
    generator = np.random.default_rng([7, 4])
    assert network.feedback[0].size == 0
    for index, shape in ((1, (7, 8)), (2, (6, 7)), (3, (3, 6))):
        bound = np.sqrt(6 / sum(shape))
        np.testing.assert_array_equal(network.feedback[index], generator.uniform(-bound, bound, shape))
    kept = [array.copy() for array in network.feedback]
    for _ in range(3):
        network.learn(inputs(), LABELS, 0.25)
    for a, b in zip(kept, network.feedback, strict=True):
        np.testing.assert_array_equal(a, b)
    lra = RepresentationAlignmentNetwork(design(seed=7))
    for a, b in zip(kept, lra.errors, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.allclose(random_feedback(network.graph, 8)[1], kept[1])


# Local representation alignment -------------------------------------------------------------------------------------


def test_representation_alignment_against_a_net_written_out():
    """Two hidden layers, in the signs of its authors: e is state minus target, and weights go down."""
    network, x, gamma = RepresentationAlignmentNetwork(design(layers=(9, 8, 7, 3))), inputs(), 0.25
    (w0, w1, w2), (_, e1, e2) = network.weights, network.errors
    h1 = x @ w0.T
    h2 = np.tanh(h1) @ w1.T
    out = np.tanh(h2) @ w2.T
    error3 = softmax(out) - TARGET
    error2 = np.tanh(h2) - np.tanh(h2 - gamma * error3 @ e2)
    error1 = np.tanh(h1) - np.tanh(h1 - gamma * error2 @ e1)
    found = network.batch(x, LABELS)
    np.testing.assert_allclose(found.logits, out, rtol=1e-12)
    for index, (error, below) in enumerate(((error1, x), (error2, np.tanh(h1)), (error3, np.tanh(h2)))):
        np.testing.assert_allclose(-found.directions[index], error.T @ below / 16, rtol=1e-9, atol=1e-15)


def test_representation_alignment_with_small_gamma_and_the_weights_as_errors_is_backpropagation():
    """To first order a target lies γ ρ'(h) W^T e away: each layer's error is γ times that of the layer above."""
    chosen = design(nudge=1e-4)
    network, exact = RepresentationAlignmentNetwork(chosen), BackpropNetwork(chosen)
    network.errors = network.weights
    found, gradient = network.batch(inputs(), LABELS).directions, exact.batch(inputs(), LABELS).directions
    for index, depth in enumerate((3, 2, 1, 0)):
        np.testing.assert_allclose(found[index] / 1e-4**depth, gradient[index], rtol=0.01, atol=1e-5)


# P-EP ---------------------------------------------------------------------------------------------------------------


def test_sigmoid_s_is_its_formula_and_does_not_overflow():
    x = np.linspace(-3, 3, 13)
    np.testing.assert_allclose(sigmoid_s(x), 1 / (1 + np.exp(-4 * (x - 0.5))), rtol=1e-9)
    with np.errstate(all="raise"):
        assert sigmoid_s(np.array([-1e6, 1e6])).tolist() == [0, 1]


def test_prototypical_against_a_net_written_out():
    """Two hidden layers, all at once from the old states, six free and four nudged steps."""
    network, x = PrototypicalNetwork(design(layers=(9, 8, 7, 3), network={"alpha": 0.5, "beta": 0.125})), inputs()
    w0, w1, w2 = network.weights

    def rho(h):
        return 1 / (1 + np.exp(-4 * (h - 0.5)))

    def settle(s, steps, nudge):
        for _ in range(steps):
            s1, s2, s3 = s
            s = (
                rho(x @ w0.T + s2 @ w1),
                rho(s1 @ w1.T + s3 @ w2),
                rho(s2 @ w2.T) + nudge * (TARGET - s3),
            )
        return s

    free = settle((np.zeros((16, 8)), np.zeros((16, 7)), np.zeros((16, 3))), 6, 0)
    nudged = settle(free, 4, 0.25)
    found = network.batch(x, LABELS)
    np.testing.assert_allclose(found.logits, free[2], rtol=1e-9)
    np.testing.assert_allclose(network.logits(x), free[2], rtol=1e-9)
    assert (found.free_steps, found.nudged_steps) == (6, 4)
    f, n = (x, *free), (x, *nudged)
    for i in range(3):
        expected = (n[i + 1].T @ n[i] - f[i + 1].T @ f[i]) / 0.25 / 16
        np.testing.assert_allclose(found.directions[i], expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("network", [{}, RESIDUAL], ids=["chain", "residual"])
def test_prototypical_is_the_gradient_where_rho_is_the_identity(monkeypatch, network):
    monkeypatch.setattr(prototypical, "sigmoid_s", lambda sums: sums.copy())
    model = PrototypicalNetwork(design(network=network, nudge=2**-12, free_steps=200, nudged_steps=200))
    model.load([0.3 * w for w in model.weights])
    directions = model.batch(inputs(), LABELS).directions

    def loss():
        return ((model.logits(inputs()) - TARGET) ** 2).sum() / 2 / 16

    for index, weights in enumerate(model.weights):
        for place in ((0, 0), (2, 3), (1, 5)):
            kept = weights[place]
            weights[place] = kept + 1e-5
            above = loss()
            weights[place] = kept - 1e-5
            below = loss()
            weights[place] = kept
            assert -directions[index][place] == pytest.approx((above - below) / 2e-5, rel=0.01, abs=1e-6), index


# Digits -------------------------------------------------------------------------------------------------------------


class OutputOnly(Sgd):
    """Freezes all but the last matrix."""

    def step(self, weights, directions, rate):
        last = max(directions)
        super().step(weights, {last: directions[last]}, rate)


@pytest.mark.parametrize(
    ("model", "layers", "learning", "reached"),
    [
        (FeedbackAlignmentNetwork, (64, 32, 32, 10), {}, 0.95),
        (RepresentationAlignmentNetwork, (64, 32, 32, 10), {"nudge": 0.5}, 0.93),
        (PrototypicalNetwork, (64, 32, 10), {"nudge": 0.5, "free_steps": 20, "nudged_steps": 8}, 0.94),
    ],
)
def test_digits_are_learned_and_not_by_the_output_alone(model, layers, learning, reached):
    chosen = Design.parse({"name": "d", "network": {"layers": list(layers)}, "learning": {"batch": 8, **learning}})
    data, accuracies = load(chosen), []
    for optimizer in (None, OutputOnly()):
        network = model(chosen, optimizer=optimizer)
        assert network.accuracy(data.test_inputs, data.test_labels) < 0.3
        for epoch in range(5):
            network.train_epoch(data.train_inputs, data.train_labels, epoch_order(0, epoch, 1437), 0.25)
        accuracies.append(network.accuracy(data.test_inputs, data.test_labels))
    assert accuracies[0] >= reached > accuracies[1]
    assert 1 - accuracies[1] > 2 * (1 - accuracies[0])
