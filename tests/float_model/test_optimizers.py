"""Optimisers against few steps worked out number by number, and what a design makes of them."""

import math

import numpy as np
import pytest

from fregen.data.datasets import load
from fregen.design.document import Design
from fregen.design.graph import Graph
from fregen.errors import DesignError
from fregen.float_model import Adam, BackpropNetwork, FloatNetwork, Momentum, Sgd, optimizer_of
from fregen.training.loop import train

pytestmark = pytest.mark.unit

RATES = (0.5, 0.5, 0.125, 0.25)
"""Rate of each step; the third one is another."""
FACTORS = {0: 1.0, 1: 0.25}
SHAPES = {0: (2, 3), 1: (4, 2)}


def design(layers=(9, 8, 7, 3), network=(), **learning):
    return Design.parse(
        {"name": "net", "network": {"layers": list(layers), **dict(network)}, "learning": {"batch": 16, **learning}}
    )


def problem(dtype=np.float64):
    """Two matrices and four rounds of directions; matrix 1 has none in the second round."""
    generator = np.random.default_rng(5)
    weights = [generator.normal(size=SHAPES[i]).astype(dtype) for i in SHAPES]
    rounds = [{i: generator.normal(size=SHAPES[i]).astype(dtype) for i in SHAPES} for _ in RATES]
    del rounds[1][1]
    return weights, rounds


# References: one weight at a time, in Python numbers -----------------------------------------------------------------


def sgd(weight, directions):
    for rate, d in directions:
        weight += rate * d
    return weight


def momentum(weight, directions):
    step = 0.0
    for rate, d in directions:
        step = 0.75 * step + rate * d
        weight += step
    return weight


def adam(weight, directions):
    """Algorithm 1 of Kingma and Ba, climbing."""
    m = v = 0.0
    for t, (rate, d) in enumerate(directions, start=1):
        m = 0.9 * m + 0.1 * d
        v = 0.999 * v + 0.001 * d * d
        weight += rate * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return weight


@pytest.mark.parametrize(
    ("make", "reference"),
    [(Sgd, sgd), (lambda factors=None: Momentum(0.75, factors), momentum), (Adam, adam)],
    ids=["sgd", "momentum", "adam"],
)
@pytest.mark.parametrize("factors", [None, FACTORS], ids=["one rate", "a rate each"])
def test_steps_are_those_of_the_hand_written_reference(make, reference, factors):
    weights, rounds = problem()
    start, optimizer = [w.copy() for w in weights], make(factors)
    for rate, directions in zip(RATES, rounds, strict=True):
        optimizer.step(weights, directions, rate)
    for i in SHAPES:
        factor = (factors or {}).get(i, 1.0)
        for place in np.ndindex(SHAPES[i]):
            seen = [(rate * factor, d[i][place]) for rate, d in zip(RATES, rounds, strict=True) if i in d]
            assert weights[i][place] == pytest.approx(reference(start[i][place], seen), rel=1e-12), (i, place)


@pytest.mark.parametrize("make", [Sgd, Momentum, Adam])
def test_steps_are_in_place_in_the_type_of_the_weights_and_leave_directions_alone(make):
    weights, rounds = problem(np.float32)
    arrays, kept, optimizer = list(weights), [{i: d.copy() for i, d in r.items()} for r in rounds], make()
    wide, wide_rounds = problem()
    for rate, directions in zip(RATES, rounds, strict=True):
        optimizer.step(weights, directions, rate)
    reference = make()
    for rate, wider in zip(RATES, wide_rounds, strict=True):
        reference.step(wide, wider, rate)
    for i in SHAPES:
        assert weights[i] is arrays[i]
        assert weights[i].dtype == np.float32
        np.testing.assert_allclose(weights[i], wide[i], rtol=1e-4, atol=1e-5)
    for before, after in zip(kept, rounds, strict=True):
        for i in before:
            np.testing.assert_array_equal(before[i], after[i])


@pytest.mark.parametrize("make", [Momentum, Adam])
def test_reset_forgets(make):
    weights, rounds = problem()
    fresh, used = [w.copy() for w in weights], [w.copy() for w in weights]
    optimizer = make()
    optimizer.step(used, rounds[0], 0.5)
    memory = [w.copy() for w in weights]
    optimizer.step(memory, rounds[2], 0.5)
    optimizer.reset()
    used = [w.copy() for w in weights]
    optimizer.step(used, rounds[2], 0.5)
    make().step(fresh, rounds[2], 0.5)
    for i in SHAPES:
        np.testing.assert_array_equal(used[i], fresh[i])
        assert not np.allclose(memory[i], fresh[i])


def test_plain_descent_is_bit_for_bit_rate_times_direction():
    weights, rounds = problem()
    expected = [w + 0.3 * rounds[0][i] for i, w in enumerate(weights)]
    Sgd().step(weights, rounds[0], 0.3)
    for i in SHAPES:
        np.testing.assert_array_equal(weights[i], expected[i])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Momentum(1.0), r"momentum: expected 0 to below 1, not 1\.0"),
        (lambda: Adam(betas=(0.9, 1.0)), r"betas: expected 0 to below 1, not \(0\.9, 1\.0\)"),
        (lambda: Adam(epsilon=0.0), r"epsilon: expected a positive number, not 0\.0"),
    ],
)
def test_wrong_constants_are_refused(make, message):
    with pytest.raises(DesignError, match=message):
        make()


# What a design asks for ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), [("sgd", Sgd), ("momentum", Momentum), ("adam", Adam)])
def test_the_design_chooses_the_optimizer(name, kind):
    chosen = design(optimizer=name, momentum=0.5, layer_rates=(1.0, 0.5, 0.25))
    optimizer = optimizer_of(chosen, Graph.build(chosen.network))
    assert type(optimizer) is kind
    assert optimizer.factors == {0: 1.0, 1: 0.5, 2: 0.25}
    assert getattr(optimizer, "momentum", 0.5) == 0.5
    assert type(FloatNetwork(chosen).optimizer) is kind
    own = Sgd()
    assert FloatNetwork(chosen, optimizer=own).optimizer is own


def test_layer_rates_scale_the_step_of_each_learned_matrix():
    """Fixed feedback matrices come behind those that learn; they have no factor and stay."""
    network = {"feedback": "asymmetric"}
    inputs, labels = np.random.default_rng(1).random((16, 9)), np.arange(16) % 3
    plain, scaled = (
        FloatNetwork(design(network=network)),
        FloatNetwork(design(network=network, layer_rates=(0.5, 2.0, 0.125))),
    )
    start = [w.copy() for w in plain.weights]
    for one in (plain, scaled):
        one.learn(inputs, labels, 0.25)
    assert len(start) == 5
    for index, factor in enumerate((0.5, 2.0, 0.125, 0, 0)):
        moved = plain.weights[index] - start[index]
        np.testing.assert_allclose(scaled.weights[index] - start[index], factor * moved, rtol=1e-9, atol=1e-15)
        assert bool(np.abs(moved).max() > 0) == bool(factor)


@pytest.mark.parametrize("rates", [(1.0,), (1.0, 1.0), (1.0, 1.0, 1.0, 1.0, 1.0)])
@pytest.mark.parametrize("feedback", ["symmetric", "asymmetric"])
def test_a_wrong_count_of_layer_rates_is_refused(rates, feedback):
    chosen = design(network={"feedback": feedback}, layer_rates=rates)
    message = rf"learning\.layer_rates: expected 3 factors, .*\(W0, W1, W2\), not {len(rates)}"
    for model in (FloatNetwork, BackpropNetwork):
        with pytest.raises(DesignError, match=message):
            model(chosen)


def test_loading_weights_forgets_what_the_optimizer_remembers():
    inputs, labels = np.random.default_rng(1).random((16, 9)), np.arange(16) % 3
    used, fresh = FloatNetwork(design(optimizer="adam")), FloatNetwork(design(optimizer="adam"))
    for _ in range(3):
        used.learn(inputs, labels, 0.01)
    used.initial()
    for one in (used, fresh):
        one.learn(inputs, labels, 0.01)
    for a, b in zip(used.weights, fresh.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_adam_takes_the_same_steps_with_and_without_gain():
    """The gain is a factor of each direction, and the size of directions cancels."""
    inputs, labels = np.random.default_rng(1).random((16, 9)), np.arange(16) % 3
    ends = {}
    for optimizer in ("adam", "sgd"):
        pair = [FloatNetwork(design(optimizer=optimizer, gain=gain)) for gain in (True, False)]
        for network in pair:
            network.learn(inputs, labels, 0.001)
        ends[optimizer] = np.abs(pair[0].weights[0] - pair[1].weights[0]).max()
    assert ends["adam"] < 1e-5 < 5 * ends["sgd"]


@pytest.mark.parametrize(("optimizer", "rate"), [("momentum", 0.03), ("adam", 0.01)])
def test_digits_are_learned(optimizer, rate):
    learning = {"optimizer": optimizer, "rate": rate, "free_steps": 2, "nudged_steps": 1, "batch": 8}
    chosen = Design.parse({"name": "d", "network": {"layers": [64, 32, 32, 10]}, "learning": learning})
    assert train(chosen, load(chosen), "float", epochs=4).last >= 0.95
