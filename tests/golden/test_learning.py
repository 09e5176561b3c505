"""What the words mean: updates against the backpropagation gradient, and training that learns."""

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.design.initial import glorot
from fregen.golden import NetworkModel
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.golden


def gradient(weights, x, labels, classes):
    """Descent direction of the mean cross entropy of a tanh network without biases, layer by layer."""
    activities = [x]
    for w in weights[:-1]:
        activities.append(np.tanh(activities[-1] @ w.T))
    logits = activities[-1] @ weights[-1].T
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    delta = np.eye(classes)[labels] - p / p.sum(axis=1, keepdims=True)
    down = []
    for w, a in zip(reversed(weights), reversed(activities), strict=True):
        down.append(delta.T @ a / len(x))
        delta = (delta @ w) * (1 - a**2)
    return down[::-1]


@pytest.mark.parametrize("order", ["sweep", "synchronous"])
@pytest.mark.parametrize("form", ["offset", "states"])
def test_small_feedback_and_fine_words_give_the_backpropagation_gradient(form, order):
    numerics = {
        "state": "q1.17", "weight": "q2.22", "offset": "q2.18", "error": "q1.12", "activation": {"segments": 512},
    }  # fmt: skip
    learning = {"batch": 8, "nudged": form, "nudge": 2**-4, "order": order, "free_steps": 30, "nudged_steps": 20}
    network = {"layers": (20, 16, 12, 5), "beta": 2**-8}
    spec = NetworkSpec(Design.parse({"name": "t", "network": network, "numerics": numerics, "learning": learning}))
    model, rng = NetworkModel(spec), np.random.default_rng(0)
    inputs, labels = spec.state.to_word(rng.random((8, 20))), rng.integers(0, 5, 8)
    before = model.weights
    model.learn(inputs, labels, 1.0)
    real = gradient([spec.weight.to_value(w) for w in before], spec.state.to_value(inputs), labels, 5)
    for old, new, wanted in zip(before, model.weights, real, strict=True):
        change = spec.weight.to_value(new - old)
        cosine = (change * wanted).sum() / np.sqrt((change**2).sum() * (wanted**2).sum())
        assert cosine > (0.999 if form == "offset" else 0.99)
        assert (change * wanted).sum() / (wanted**2).sum() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("form", ["offset", "states"])
def test_learns_separable_samples(form):
    learning = {"batch": 8, "nudged": form, "free_steps": 4, "nudged_steps": 2}
    spec = NetworkSpec(Design.parse({"name": "t", "network": {"layers": (16, 12, 8, 4)}, "learning": learning}))
    rng = np.random.default_rng(1)
    centres = rng.random((4, 16))
    labels = rng.integers(0, 4, 400)
    inputs = spec.state.to_word(np.clip(centres[labels] + rng.normal(0, 0.1, (400, 16)), 0, 1))
    model = NetworkModel(spec)
    before = model.accuracy(inputs[300:], labels[300:])
    for _ in range(5):
        result = model.train_epoch(inputs, labels, np.arange(300), 0.25)
    after = model.accuracy(inputs[300:], labels[300:])
    assert before < 0.7
    assert after > 0.95
    assert result.accuracy > 0.95


def test_glorot_draws_are_uniform_within_their_bound_and_depend_on_the_seed():
    spec = NetworkSpec(Design.parse({"name": "t", "network": {"layers": (100, 60, 10)}}))
    first, again, other = glorot(spec.graph, 4), glorot(spec.graph, 4), glorot(spec.graph, 5)
    assert [w.shape for w in first] == [(60, 100), (10, 60)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    for w in first:
        bound = np.sqrt(6 / sum(w.shape))
        assert 0.98 * bound < np.abs(w).max() <= bound
        assert abs(w.mean()) < 0.1 * bound
        assert w.std() == pytest.approx(bound / np.sqrt(3), rel=0.06)
