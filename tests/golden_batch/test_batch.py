"""The model of many networks: its state goes in and comes out, and what does not fit is refused."""

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.errors import DataError, DesignError
from fregen.golden import NetworkModel
from fregen.golden_batch import BatchModel
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.golden

ROUNDING = ("stochastic", "nearest", "stochastic")


@pytest.fixture
def specs():
    table = {"name": "t", "network": {"layers": (6, 5, 4, 3)}, "learning": {"batch": 4, "rate": 0.25}}
    return [
        NetworkSpec(Design.parse({**table, "seed": seed, "numerics": {"rounding": rounding}}))
        for seed, rounding in enumerate(ROUNDING)
    ]


@pytest.fixture
def samples():
    rng = np.random.default_rng(1)
    return rng.integers(0, 1 << 15, (10, 3, 4, 6)), rng.integers(0, 3, (10, 3, 4))


def learn(model, state, samples, part):
    inputs, labels = samples
    for number in part:
        state, _ = model.learn(state, inputs[number], labels[number], [0.25] * 3)
    return state


def test_initial_words_are_those_of_the_golden_model(specs):
    model = BatchModel(specs)
    state = model.initial()
    for spec, words, key in zip(specs, model.words(state), model.keys(state), strict=True):
        golden = NetworkModel(spec)
        assert key == golden.key
        for ours, theirs in zip(words, golden.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_training_goes_on_from_weights_keys_and_number_of_updates(specs, samples):
    model = BatchModel(specs)
    through = learn(model, model.initial(), samples, range(10))
    half = learn(model, model.initial(), samples, range(4))
    other = BatchModel(specs)
    resumed = learn(other, other.state(model.words(half), model.keys(half), half.updates), samples, range(4, 10))
    assert resumed.updates == through.updates == 10
    assert other.keys(resumed) == model.keys(through)
    for ours, theirs in zip(other.words(resumed), model.words(through), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


def test_learning_leaves_the_state_it_was_given(specs, samples):
    model = BatchModel(specs)
    state = model.initial()
    before = [array.copy() for array in (*state.weights, state.keys)]
    learn(model, state, samples, range(2))
    for array, kept in zip((*state.weights, state.keys), before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_networks_do_not_know_each_other(specs, samples):
    """Alone, and in another place of the group, each learns the same."""
    inputs, labels = samples
    turned = BatchModel(specs[::-1])
    state, _ = turned.learn(turned.initial(), inputs[0][::-1], labels[0][::-1], [0.25] * 3)
    for k, words in enumerate(turned.words(state)[::-1]):
        alone = BatchModel(specs[k : k + 1])
        single, _ = alone.learn(alone.initial(), inputs[0][k : k + 1], labels[0][k : k + 1], [0.25])
        for a, b in zip(words, alone.words(single)[0], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda i, w: (i[:2], w), "inputs: expected 3 x samples x 6 words, not shape"),
        (lambda i, w: (i * 1.0, w), "inputs: expected integer state words, not float64"),
        (lambda i, w: (i + (1 << 15), w), r"inputs: network 0 \(t\): words .* lie outside q1.15 \(-32768 to 32767\)"),
        (lambda i, w: (i[:, :0], w[:, :0]), r"a batch holds 1 to 4 samples \(learning.batch\), not 0"),
        (lambda i, w: (i, w[:, :3]), "labels: expected 3 x 4 integers"),
        (lambda i, w: (i, w + 3), "labels: expected 0 to 2, not"),
    ],
)
def test_samples_that_do_not_fit_are_refused(specs, samples, change, text):
    model = BatchModel(specs)
    inputs, labels = change(samples[0][0], samples[1][0])
    with pytest.raises(DataError, match=text):
        model.learn(model.initial(), inputs, labels, [0.25] * 3)


def test_rates_are_powers_of_two_and_one_a_network(specs, samples):
    model = BatchModel(specs)
    with pytest.raises(DataError, match="expected a rate for each of 3 networks, not 2"):
        model.shifts([0.25] * 2)
    with pytest.raises(DesignError, match="a scale is a power of two"):
        model.shifts([0.25, 0.3, 0.25])


def test_states_that_do_not_fit_are_refused(specs):
    model = BatchModel(specs)
    words = model.words(model.initial())
    with pytest.raises(DataError, match="a state of 3 networks needs as many lists of weights and keys, not 2 and 3"):
        model.state(words[:2], [1, 1, 1])
    with pytest.raises(DataError, match=r"a dither key is a number from 1 to 2\*\*32 - 1, not 0"):
        model.state(words, [1, 0, 1])
    words[1][0] = words[1][0] + 40_000
    with pytest.raises(DataError, match=r"network 1 \(t\): matrix W0: words .* lie outside q3.13"):
        model.state(words, [1, 1, 1])
