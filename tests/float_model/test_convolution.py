"""Convolution, pooling and their transposes against loops; a convolutional net's phases, contrast and learning."""

import itertools

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.errors import DesignError
from fregen.float_model import (
    BackpropNetwork,
    FeedbackAlignmentNetwork,
    FloatNetwork,
    PrototypicalNetwork,
    RepresentationAlignmentNetwork,
)
from fregen.float_model.activation import softmax, targets
from fregen.float_model.convolution import convolve, convolve_back, convolve_gradient, gather, pool, unpool
from fregen.float_model.measures import convergence_time, ftmle
from fregen.float_model.spectrum import spectral_radius

pytestmark = pytest.mark.unit

SHAPES = [(1, 0), (3, 0), (3, 1), (3, 2), (2, 1)]
LABELS = np.arange(12) % 3


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def loops(weights, maps, padding):
    """The correlation, written as it is defined."""
    out, channels, kernel, _ = weights.shape
    _, height, width, n = maps.shape
    found = np.zeros((out, height + 2 * padding - kernel + 1, width + 2 * padding - kernel + 1, n))
    for o, y, x, c, i, j in itertools.product(
        range(out), range(found.shape[1]), range(found.shape[2]), range(channels), range(kernel), range(kernel)
    ):
        row, column = y + i - padding, x + j - padding
        if 0 <= row < height and 0 <= column < width:
            found[o, y, x] += weights[o, c, i, j] * maps[c, row, column]
    return found


# Products -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kernel", "padding"), SHAPES)
def test_convolution_is_its_definition(kernel, padding):
    weights, maps = drawn(2, 3, kernel, kernel), drawn(3, 5, 6, 4, seed=1)
    np.testing.assert_allclose(convolve(weights, maps, padding), loops(weights, maps, padding), atol=1e-12)


@pytest.mark.parametrize(("kernel", "padding"), SHAPES)
def test_the_way_back_is_the_transpose_and_the_gradient_is_the_derivative(kernel, padding):
    """``<y, C(W, x)>`` is linear in x and in W: its derivatives are ``C^T y`` and the gradient."""
    weights, maps = drawn(2, 3, kernel, kernel), drawn(3, 5, 6, 4, seed=1)
    errors = drawn(*convolve(weights, maps, padding).shape, seed=2)
    back, gradient = convolve_back(weights, errors, padding), convolve_gradient(errors, maps, kernel, padding)
    assert (back.shape, gradient.shape) == (maps.shape, weights.shape)
    for other in (3, 4):
        x, w = drawn(*maps.shape, seed=other), drawn(*weights.shape, seed=other)
        assert (errors * loops(weights, x, padding)).sum() == pytest.approx((back * x).sum(), rel=1e-9)
        assert (errors * loops(w, maps, padding)).sum() == pytest.approx((gradient * w).sum(), rel=1e-9)


def test_types_stay():
    weights, maps = drawn(2, 3, 3, 3).astype(np.float32), drawn(3, 6, 6, 4).astype(np.float32)
    out = convolve(weights, maps)
    chosen, winners = pool(out, 2)
    arrays = (out, convolve_back(weights, out), convolve_gradient(out, maps, 3), chosen, unpool(chosen, winners, 2))
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


@pytest.mark.parametrize("window", [2, 3])
def test_pooling_takes_the_greatest_and_unpooling_puts_it_back(window):
    maps = drawn(2, 6, 12, 5)
    chosen, winners = pool(maps, window)
    for c, y, x, n in np.ndindex(*chosen.shape):
        part = maps[c, y * window : (y + 1) * window, x * window : (x + 1) * window, n]
        assert chosen[c, y, x, n] == part.max()
        assert winners[c, y, x, n] == part.argmax()
    np.testing.assert_array_equal(gather(maps, winners, window), chosen)
    back = unpool(chosen, winners, window)
    np.testing.assert_array_equal(back[back != 0], maps[back != 0])
    assert np.count_nonzero(back) == chosen.size
    other = drawn(*maps.shape, seed=3)
    assert (other * back).sum() == pytest.approx((gather(other, winners, window) * chosen).sum())


def test_the_first_of_equals_wins():
    chosen, winners = pool(np.array([[0.0, 1.0], [1.0, 1.0]]).reshape(1, 2, 2, 1), 2)
    assert (chosen.item(), winners.item()) == (1.0, 1)


# Networks -----------------------------------------------------------------------------------------------------------


def design(biases=True, function="hard-sigmoid", beta=0.25, pools=(2, 1), network=(), **learning):
    """2 x 7 x 7 pixels, 3 maps of 6 x 6 pooled to 3 x 3, 4 maps of 3 x 3, 5 neurons, 3 classes."""
    first, second = pools
    return Design.parse(
        {
            "name": "maps",
            "network": {
                "layers": [
                    {"channels": 2, "height": 7, "width": 7},
                    {"channels": 3, "kernel": 2, "pool": first},
                    {"channels": 4, "kernel": 3, "padding": 1, "pool": second},
                    5,
                    3,
                ],
                "beta": beta,
                "biases": biases,
                **dict(network),
            },
            "numerics": {"activation": {"function": function, "segments": 1}},
            "learning": {"free_steps": 4, "nudged_steps": 3, "nudge": 0.5, "batch": 12, "gain": False, **learning},
        }
    )


def samples():
    return np.random.default_rng(2).random((12, 98))


def moved(network, seed=5):
    """The network with biases that are not zero."""
    generator = np.random.default_rng(seed)
    network.load([array + 0.1 * generator.normal(size=array.shape) for array in network.weights])
    return network


def naive_free(w, inputs, steps):
    """Synchronous free phase of :func:`design`, with loops of its own and samples last."""
    w0, w1, w2, w3, b1, b2, b3, b4 = w
    rho = lambda h: np.clip(h, 0, 1)  # noqa: E731
    x = inputs.T.reshape(2, 7, 7, -1)
    n = x.shape[-1]
    s1, s2, s3 = np.zeros((3, 6, 6, n)), np.zeros((4, 3, 3, n)), np.zeros((5, n))
    k0, k1 = w0.reshape(3, 2, 2, 2), w1.reshape(4, 3, 3, 3)
    for _ in range(steps):
        p1, winners = pool(s1, 2)
        h1 = loops(k0, x, 0) + b1.reshape(3, 1, 1, 1) + 0.25 * unpool(convolve_back(k1, s2, 1), winners, 2)
        h2 = loops(k1, p1, 1) + b2.reshape(4, 1, 1, 1) + 0.25 * (w2.T @ s3).reshape(s2.shape)
        h3 = w2 @ s2.reshape(-1, n) + b3
        s1, s2, s3 = rho(h1), rho(h2), rho(h3)
    return s1, s2, s3, w3 @ s3 + b4


def test_free_phase_is_the_papers_formula():
    network = moved(FloatNetwork(design(order="synchronous")))
    free = network.relax.free(network.weights, samples())
    *states, logits = naive_free(network.weights, samples(), 4)
    for layer, expected in enumerate(states, start=1):
        np.testing.assert_allclose(free.states[layer].T, expected.reshape(len(free.states[layer].T), -1), atol=1e-12)
    np.testing.assert_allclose(free.logits.T, logits, atol=1e-12)
    assert np.count_nonzero(free.states[1]) > 100


@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("order", ["sweep", "synchronous"])
@pytest.mark.parametrize("nudged", ["offset", "states"])
@pytest.mark.parametrize("pools", [(2, 1), (1, 3)])
def test_contrast_is_the_gradient_at_small_beta(pools, nudged, order, biases):
    """β is far below β_f: where the nudge moves a winner, feedback moves with it, and counts as contrast."""
    settled = {"free_steps": 9, "nudged_steps": 9, "nudge": 2**-10, "gain": True}
    chosen = design(biases, beta=2**-16, pools=pools, nudged=nudged, order=order, **settled)
    contrast, exact = moved(FloatNetwork(chosen)), moved(BackpropNetwork(chosen))
    found, gradient = contrast.batch(samples(), LABELS).directions, exact.batch(samples(), LABELS).directions
    assert set(found) == set(gradient) == set(range(8 if biases else 4))
    for index, direction in gradient.items():
        a, b = found[index].ravel(), direction.ravel()
        assert np.abs(b).max() > 1e-5
        assert a @ b / np.sqrt((a @ a) * (b @ b)) > 0.999, index
        assert np.linalg.norm(a) == pytest.approx(np.linalg.norm(b), rel=0.02), index


def test_backpropagation_is_the_derivative_of_the_loss():
    network = moved(BackpropNetwork(design(function="tanh")))
    directions = network.batch(samples(), LABELS).directions

    def loss():
        return -np.log(softmax(network.logits(samples()))[np.arange(12), LABELS]).mean()

    for index, weights in enumerate(network.weights):
        place = (1, min(2, weights.shape[1] - 1))
        kept, ends = weights[place], []
        for step in (1e-6, -1e-6):
            weights[place] = kept + step
            ends.append(loss())
        weights[place] = kept
        assert -directions[index][place] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-9), index


@pytest.mark.parametrize("model", [FloatNetwork, BackpropNetwork])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_it_learns_where_a_bright_square_is(model, optimizer):
    generator, labels = np.random.default_rng(0), np.arange(120) % 3
    images = 0.2 * generator.random((120, 2, 7, 7))
    for image, label in zip(images, labels, strict=True):
        image[:, 2 * label : 2 * label + 3, 2 * label : 2 * label + 3] += 0.6
    rate = {"sgd": 0.1, "momentum": 0.01, "adam": 0.02}[optimizer]
    network = model(design(beta=0.1, optimizer=optimizer, gain=True, free_steps=6, nudged_steps=6))
    x = images.reshape(120, -1)
    before = network.accuracy(x, labels)
    for _ in range(20):
        network.train_epoch(x, labels, np.arange(120), rate)
    assert before < 0.7
    assert network.accuracy(x, labels) > 0.95


def test_noise_and_layer_rates_reach_maps_and_biases():
    quiet, noisy = (moved(FloatNetwork(design(state_noise=level, weight_noise=level))) for level in (0, 0.05))
    found = [network.batch(samples(), LABELS).directions for network in (quiet, noisy)]
    assert all(np.abs(found[0][i] - found[1][i]).max() > 0 for i in range(8))
    network = FloatNetwork(design(layer_rates=(0.0, 1.0, 0.0, 1.0)))
    before = [array.copy() for array in network.weights]
    network.learn(samples(), LABELS, 0.5)
    changed = [bool(np.any(a != b)) for a, b in zip(before, network.weights, strict=True)]
    assert changed == [False, True, False, True] * 2, "a bias learns at the rate of the matrix into its layer"


def test_portions_give_what_the_whole_gives():
    network = moved(FloatNetwork(design()))
    np.testing.assert_array_equal(
        network.infer(np.tile(samples(), (100, 1))), np.tile(network.logits(samples()).argmax(axis=1), 100)
    )


@pytest.mark.parametrize("make", [FeedbackAlignmentNetwork, RepresentationAlignmentNetwork])
def test_other_baselines_learn_all_kernels_and_biases(make):
    directions = moved(make(design())).batch(samples(), LABELS).directions
    assert {index for index, direction in directions.items() if np.abs(direction).max() > 0} == set(range(8))


def test_prototypical_network_refuses_maps():
    with pytest.raises(DesignError, match="without convolution"):
        PrototypicalNetwork(design())


def test_measures_of_settling_refuse_maps():
    network = FloatNetwork(design())
    with pytest.raises(DesignError, match="pooling makes it depend on the states"):
        spectral_radius(network.graph, network.weights)
    for measure in (ftmle, convergence_time):
        with pytest.raises(DesignError, match="without convolution"):
            measure(network, samples(), 10)


# Biases without maps ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topology", [{}, {"topology": "residual", "block": 2}, {"feedback": "asymmetric"}])
def test_biases_enter_every_sum_and_learn_the_sum_of_the_contrast(topology):
    table = {
        "name": "net",
        "network": {"layers": [9, 8, 7, 6, 3], "beta": 0.125, "biases": True, **topology},
        "learning": {"batch": 12, "free_steps": 60, "nudged_steps": 60, "nudged": "states"},
    }
    network = moved(FloatNetwork(Design.parse(table)))
    x = np.random.default_rng(2).random((12, 9))
    w, names = network.weights, {matrix.name: matrix.index for matrix in network.graph.matrices}
    free = network.relax.free(w, x)
    top = w[names["W2"]] @ free.states[2].T + w[names["b3"]]
    if topology.get("topology"):
        top += w[names["W1_3"]] @ free.states[1].T
    np.testing.assert_allclose(free.states[3].T, np.tanh(top), atol=1e-10)
    np.testing.assert_allclose(free.logits.T, w[names["W3"]] @ free.states[3].T + w[names["b4"]], atol=1e-12)
    contrast = network.relax.nudged(w, free, targets(LABELS, 3, np.float64)).contrast
    directions = network.batch(x, LABELS).directions
    for layer in range(1, 5):
        expected = network.gains[layer] * contrast[layer].sum(axis=0)[:, None] / 12
        np.testing.assert_allclose(directions[names[f"b{layer}"]], expected, rtol=1e-10, atol=1e-15)
