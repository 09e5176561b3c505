"""Contrast against gradient; learning of real digits."""

import numpy as np
import pytest

from fregen.data.datasets import load
from fregen.design.document import Design
from fregen.design.graph import Connection, Graph, Kind, Matrix
from fregen.errors import DataError
from fregen.float_model import BackpropNetwork, FloatNetwork
from fregen.float_model.activation import softmax, targets
from fregen.training.samples import epoch_order

pytestmark = pytest.mark.unit

LABELS = np.arange(16) % 3


def design(beta=2**-12, function="tanh", **learning):
    return Design.parse(
        {
            "name": "net",
            "network": {"layers": [9, 8, 7, 6, 3], "beta": beta},
            "numerics": {"activation": {"function": function}},
            "learning": {"nudge": 2**-10, "batch": 16, "free_steps": 40, "nudged_steps": 40, **learning},
        }
    )


def inputs():
    return np.random.default_rng(2).random((16, 9))


def cosine(a, b):
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


@pytest.mark.parametrize("error", ["held", "recomputed"])
@pytest.mark.parametrize("order", ["sweep", "synchronous"])
@pytest.mark.parametrize("nudged", ["offset", "states"])
def test_contrast_with_gain_is_the_gradient_at_small_beta(nudged, order, error):
    chosen = design(nudged=nudged, order=order, error=error)
    contrast = FloatNetwork(chosen).batch(inputs(), LABELS).directions
    gradient = BackpropNetwork(chosen).batch(inputs(), LABELS).directions
    assert set(contrast) == set(gradient) == {0, 1, 2, 3}
    for index in gradient:
        assert cosine(contrast[index], gradient[index]) > 0.999, index
        assert np.linalg.norm(contrast[index]) == pytest.approx(np.linalg.norm(gradient[index]), rel=0.01), index


def test_large_beta_is_not_the_gradient():
    chosen = design(beta=1.0)
    contrast = FloatNetwork(chosen).batch(inputs(), LABELS).directions
    gradient = BackpropNetwork(chosen).batch(inputs(), LABELS).directions
    assert cosine(contrast[0], gradient[0]) < 0.99


@pytest.mark.parametrize("nudged", ["offset", "states"])
def test_without_gain_layers_learn_less_by_nudge_and_beta(nudged):
    """g is 0 at the output, 2 at the last hidden layer (β_f = 1/4), and 3 more a layer (β = 1/8)."""
    with_gain, without = (
        FloatNetwork(design(beta=2**-3, nudge=0.25, nudged=nudged, gain=gain)).batch(inputs(), LABELS).directions
        for gain in (True, False)
    )
    for index, g in enumerate((8, 5, 2, 0)):
        np.testing.assert_allclose(with_gain[index], 2**g * without[index], rtol=1e-12)


@pytest.mark.parametrize(("function", "alpha"), [("tanh", 1.0), ("tanh", 0.5), ("hard-sigmoid", 1.0)])
def test_backpropagation_is_the_derivative_of_the_loss(function, alpha):
    table = design(function=function).table()
    network = BackpropNetwork(Design.parse({**table, "network": {**table["network"], "alpha": alpha}}))
    directions = network.batch(inputs(), LABELS).directions

    def loss():
        return -np.log(softmax(network.logits(inputs()))[np.arange(16), LABELS]).mean()

    for index, weights in enumerate(network.weights):
        for place in ((0, 0), (2, 3), (1, 5)):
            kept = weights[place]
            weights[place] = kept + 1e-6
            above = loss()
            weights[place] = kept - 1e-6
            below = loss()
            weights[place] = kept
            assert -directions[index][place] == pytest.approx((above - below) / 2e-6, rel=1e-5, abs=1e-9)


def test_graphs_are_walked_without_knowing_their_topology():
    """A skip connection with a fixed feedback matrix of its own: the fixed one enters the sums and never learns."""
    network = FloatNetwork(design(beta=0.125, free_steps=200))
    graph = Graph(
        network.graph.layers,
        (*network.graph.matrices, Matrix(4, "S", 3, 1), Matrix(5, "F", 1, 3)),
        (
            *network.graph.connections,
            Connection(1, 3, 4, False, 1.0, Kind.FORWARD),
            Connection(3, 1, 5, False, 0.125, Kind.FEEDBACK),
        ),
    )
    generator = np.random.default_rng(0)
    w = [*network.weights, generator.normal(size=(6, 8)) / 3, generator.normal(size=(8, 6)) / 3]
    relax = type(network.relax)(network.design, graph)
    s = relax.free(w, inputs()).states
    np.testing.assert_allclose(s[1], np.tanh(inputs() @ w[0].T + 0.125 * (s[2] @ w[1] + s[3] @ w[5].T)), atol=1e-10)
    np.testing.assert_allclose(s[3], np.tanh(s[2] @ w[2].T + s[1] @ w[4].T), atol=1e-10)
    network.relax, network.graph, network.weights = relax, graph, w
    assert set(network.batch(inputs(), LABELS).directions) == {0, 1, 2, 3, 4}


def test_one_epoch_is_its_batches_in_order():
    """20 samples at B = 16: a whole batch and a rest of 4."""
    x, y = np.random.default_rng(3).random((20, 9)), np.arange(20) % 3
    whole, parts = FloatNetwork(design()), FloatNetwork(design())
    order, seen = epoch_order(0, 0, 20), []
    result = whole.train_epoch(x, y, order, 0.25, seen.append)
    right = 0
    for chosen in (order[:16], order[16:]):
        right += (parts.learn(x[chosen], y[chosen], 0.25).predictions == y[chosen]).sum()
    assert (result.accuracy, result.free_steps, seen) == (right / 20, 40, [16, 20])
    for a, b in zip(whole.weights, parts.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    whole.initial()
    np.testing.assert_array_equal(whole.weights[0], FloatNetwork(design()).weights[0])


def test_float32_stays_float32():
    network = FloatNetwork(design(), dtype=np.float32)
    network.learn(inputs(), LABELS, 0.125)
    assert {array.dtype for array in network.weights} == {np.dtype(np.float32)}
    assert network.logits(inputs().astype(np.float32)).dtype == np.float32
    wide = FloatNetwork(design())
    np.testing.assert_array_equal(network.infer(inputs()), wide.infer(inputs()))


@pytest.mark.parametrize("model", [FloatNetwork, BackpropNetwork])
def test_faults_are_named(model):
    network = model(design())
    for call, message in (
        (lambda: network.infer(inputs()[:, :5]), r"inputs: expected samples x 9 values, not shape \(16, 5\)"),
        (lambda: network.learn(inputs(), LABELS[:3], 0.1), r"labels: expected 16 integers, not shape \(3,\)"),
        (lambda: network.learn(inputs(), LABELS + 1, 0.1), "labels: expected 0 to 2, not 1 to 3"),
        (lambda: network.learn(inputs()[:0], LABELS[:0], 0.1), "a batch holds 1 to 16 samples"),
        (lambda: network.accuracy(inputs()[:0], LABELS[:0]), "at least one sample"),
        (lambda: network.train_epoch(inputs(), LABELS, np.array([16]), 0.1), "order: expected indices of the 16"),
        (lambda: network.load(network.weights[:2]), "the design has 4 weight matrices, not 2"),
        (lambda: network.load([w.T for w in network.weights]), "W0: expected 8 x 9 values"),
        (lambda: network.load([w * np.nan for w in network.weights]), "W0: expected finite values"),
    ):
        with pytest.raises(DataError, match=message):
            call()


# Digits -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "learning",
    [
        {"free_steps": 2, "nudged_steps": 1},
        {"free_steps": 10, "nudged_steps": 5, "nudged": "states", "order": "synchronous", "error": "recomputed"},
        "backprop",
    ],
    ids=["offset sweep 2+1", "states synchronous 10+5", "backprop"],
)
def test_digits_are_learned_in_a_few_epochs(learning):
    keys = {} if learning == "backprop" else learning
    chosen = Design.parse({"name": "d", "network": {"layers": [64, 32, 32, 10]}, "learning": {"rate": 0.25, **keys}})
    data = load(chosen)
    network = (BackpropNetwork if learning == "backprop" else FloatNetwork)(chosen)
    before = network.accuracy(data.test_inputs, data.test_labels)
    accuracies = [
        network.train_epoch(data.train_inputs, data.train_labels, epoch_order(0, epoch, 1437), 0.25).accuracy
        for epoch in range(5)
    ]
    assert before < 0.25
    assert network.accuracy(data.test_inputs, data.test_labels) >= 0.95
    assert accuracies[-1] > 0.95 > accuracies[0]


def test_frozen_lower_layers_learn_clearly_less():
    """Only the output weights learn: the hidden layers' own learning must be what makes the rest of the accuracy."""
    chosen = Design.parse(
        {"name": "d", "network": {"layers": [64, 32, 32, 10]}, "learning": {"free_steps": 2, "nudged_steps": 1}}
    )
    data, rates = load(chosen), {}

    class Frozen:
        def reset(self):
            pass

        def step(self, weights, directions, rate):
            weights[2] += rate * directions[2]

    for name, optimizer in (("all", None), ("frozen", Frozen())):
        network = FloatNetwork(chosen, optimizer=optimizer)
        for epoch in range(4):
            network.train_epoch(data.train_inputs, data.train_labels, epoch_order(0, epoch, 1437), 0.25)
        rates[name] = 1 - network.accuracy(data.test_inputs, data.test_labels)
    assert rates["frozen"] > 2 * rates["all"]


def test_targets_are_one_hot():
    assert targets(np.array([1, 0]), 3, np.float32).tolist() == [[0, 1, 0], [1, 0, 0]]
