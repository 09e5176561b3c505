"""Noise: how much, where, how often; and that none is none."""

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
    contrastive_directions,
)
from fregen.float_model.activation import targets
from fregen.float_model.noise import Noise
from fregen.training.loop import train
from fregen.training.samples import epoch_order

pytestmark = pytest.mark.unit

MODELS = [
    FloatNetwork,
    BackpropNetwork,
    FeedbackAlignmentNetwork,
    RepresentationAlignmentNetwork,
    PrototypicalNetwork,
]
INPUTS, LABELS = np.random.default_rng(2).random((16, 9)), np.arange(16) % 3


def design(seed=0, **learning):
    keys = {"batch": 16, "free_steps": 5, "nudged_steps": 3, **learning}
    return Design.parse({"name": "net", "seed": seed, "network": {"layers": [9, 8, 7, 3]}, "learning": keys})


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# How much -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weight_noise_is_relative_to_the_largest_weight_of_its_matrix(dtype):
    noise = Noise(design(weight_noise=0.125))
    clean = [np.full((200, 200), 0.5, dtype), np.zeros((200, 200), dtype), np.zeros((200, 200), dtype)]
    clean[1][3, 4] = -4
    kept = [array.copy() for array in clean]
    noisy, again = noise.weights(clean), noise.weights(clean)
    assert same(clean, kept)
    for index, deviation in enumerate((0.0625, 0.5, 0)):
        added = noisy[index] - clean[index]
        assert added.dtype == dtype
        assert added.std() == pytest.approx(deviation, rel=0.02)
        assert abs(added.mean()) <= 0.02 * deviation
        assert np.array_equal(noisy[index], again[index]) == (deviation == 0), "fresh for every batch"
    assert not np.allclose((noisy[0] - clean[0]) * 8, noisy[1] - clean[1]), "matrices have noise of their own"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_state_noise_has_its_standard_deviation(dtype):
    noise, state = Noise(design(state_noise=0.25)), np.ones((200, 200), dtype)
    noise.shake(state)
    assert (state.mean(), state.std()) == (pytest.approx(1, abs=0.01), pytest.approx(0.25, rel=0.02))
    assert state.dtype == dtype


# Where and how often ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["sweep", "synchronous"])
@pytest.mark.parametrize("nudged", ["offset", "states"])
def test_every_state_is_shaken_once_a_step_as_soon_as_it_is_computed(nudged, order):
    """A shake that adds 1 shows itself: what is observed is the activation plus 1, and a sweep reads it at once."""
    network, shaken = FloatNetwork(design(nudged=nudged, order=order)), []

    def shake(state):
        shaken.append(state.shape[1])
        state += 1

    seen = []
    free = network.relax.free(network.weights, INPUTS, lambda step, states: seen.append(states), shake=shake)
    assert shaken == [8, 7] * 5
    w, b = network.weights, 2**-5
    first = np.tanh(INPUTS @ w[0].T) + 1
    below = first if order == "sweep" else np.zeros_like(first)
    np.testing.assert_allclose(seen[0][1], first, rtol=1e-12)
    np.testing.assert_allclose(seen[0][2], np.tanh(below @ w[1].T) + 1, rtol=1e-12)
    np.testing.assert_allclose(seen[1][1], np.tanh(INPUTS @ w[0].T + b * seen[0][2] @ w[1]) + 1, rtol=1e-12)
    shaken.clear()
    network.relax.nudged(network.weights, free, targets(LABELS, 3, np.float64), shake=shake)
    assert shaken == [7, 8] * 3


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", ["weight_noise", "state_noise"])
def test_learning_is_noisy_inference_and_stored_weights_are_clean(model, kind):
    clean, noisy = model(design()), model(design(**{kind: 0.125}))
    np.testing.assert_array_equal(clean.logits(INPUTS), noisy.logits(INPUTS))
    one, other, third = clean.batch(INPUTS, LABELS), noisy.batch(INPUTS, LABELS), noisy.batch(INPUTS, LABELS)
    assert not np.allclose(one.logits, other.logits)
    assert not np.allclose(third.logits, other.logits), "fresh for every batch"
    for index in one.directions:
        assert not np.allclose(one.directions[index], other.directions[index])
    noisy.learn(INPUTS, LABELS, 0.0)
    assert same(noisy.weights, clean.weights)
    np.testing.assert_array_equal(clean.logits(INPUTS), noisy.logits(INPUTS))


@pytest.mark.parametrize("model", MODELS)
def test_all_of_a_batch_reads_the_noisy_weights_and_random_feedback_is_noisy_too(model):
    """Weights that noise doubles are those of a network that has twice the weights."""
    network, twice = model(design()), model(design())
    network.noise.weights = lambda clean: [2 * array for array in clean]
    twice.load([2 * array for array in twice.weights])
    for name in ("feedback", "errors"):
        if hasattr(twice, name):
            setattr(twice, name, [2 * array for array in getattr(twice, name)])
    found, expected = network.batch(INPUTS, LABELS), twice.batch(INPUTS, LABELS)
    np.testing.assert_array_equal(found.logits, expected.logits)
    for index, direction in expected.directions.items():
        np.testing.assert_array_equal(found.directions[index], direction)


# Determinism --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_the_same_batches_learn_the_same_weights(model):
    keys = {"weight_noise": 0.125, "state_noise": 0.125}
    one, other, unlike = model(design(**keys)), model(design(**keys)), model(design(seed=1, **keys))
    unlike.load(one.weights)

    def learn(network):
        for _ in range(3):
            network.learn(INPUTS, LABELS, 0.25)
        return [w.copy() for w in network.weights]

    first = learn(one)
    other.infer(INPUTS)
    assert same(first, learn(other)), "inference draws nothing"
    assert not same(first, learn(unlike)), "another seed, other noise"
    assert not same(first, learn(one))
    one.initial()
    assert same(first, learn(one)), "initial weights begin the noise anew"


@pytest.mark.parametrize("kind", ["weight_noise", "state_noise"])
def test_each_noise_depends_on_the_seed(kind):
    drawn = []
    for seed in (0, 0, 1):
        noise, state = Noise(design(seed, **{kind: 0.5})), np.ones((3, 3))
        if noise.shake is not None:
            noise.shake(state)
        drawn.append(noise.weights([state])[0])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.allclose(drawn[0], drawn[2])


# None is none -------------------------------------------------------------------------------------------------------


class NeverDrawn:
    """Stands in for a generator and refuses."""

    def __getattr__(self, name):
        raise AssertionError(f"drew {name}")


@pytest.mark.parametrize("model", MODELS)
def test_without_noise_nothing_is_drawn_or_copied(model):
    network = model(design(weight_noise=0.0, state_noise=0.0))
    network.noise._weight_stream = network.noise._state_stream = NeverDrawn()
    assert network.noise.weights(network.weights) is network.weights
    assert network.noise.shake is None
    network.learn(INPUTS, LABELS, 0.25)
    noisy = model(design(weight_noise=0.125))
    noisy.noise._weight_stream = NeverDrawn()
    with pytest.raises(AssertionError, match="drew standard_normal"):
        noisy.learn(INPUTS, LABELS, 0.25)


@pytest.mark.parametrize("nudged", ["offset", "states"])
def test_without_noise_no_bit_changes(nudged):
    """Both phases run by hand, with no word about noise."""
    network = FloatNetwork(design(nudged=nudged, weight_noise=0.0, state_noise=0.0))
    free = network.relax.free(network.weights, INPUTS)
    contrast = network.relax.nudged(network.weights, free, targets(LABELS, 3, np.float64)).contrast
    expected = contrastive_directions(network.graph, contrast, free.states, network.gains, 16)
    found = network.batch(INPUTS, LABELS)
    np.testing.assert_array_equal(found.logits, free.logits)
    assert set(found.directions) == {0, 1, 2}
    for index, direction in expected.items():
        np.testing.assert_array_equal(found.directions[index], direction)


# Learning in spite of it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "learning"),
    [
        ("float", {"weight_noise": 0.1}),
        ("float", {"state_noise": 0.01, "gain": False}),
        ("fa", {"weight_noise": 0.05, "state_noise": 0.05}),
    ],
)
def test_digits_are_learned_in_spite_of_noise(model, learning):
    keys = {"rate": 0.25, "free_steps": 4, "nudged_steps": 2, **learning}
    chosen = Design.parse({"name": "d", "network": {"layers": [64, 32, 32, 10]}, "learning": keys})
    assert train(chosen, load(chosen), model, epochs=5).best >= 0.93


def test_too_much_noise_is_felt():
    keys = {"rate": 0.25, "free_steps": 4, "nudged_steps": 2, "state_noise": 0.05}
    chosen = Design.parse({"name": "d", "network": {"layers": [64, 32, 32, 10]}, "learning": keys})
    data, network = load(chosen), FloatNetwork(chosen)
    for epoch in range(3):
        network.train_epoch(data.train_inputs, data.train_labels, epoch_order(0, epoch, 1437), 0.25)
    assert network.accuracy(data.test_inputs, data.test_labels) < 0.6
