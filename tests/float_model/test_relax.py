"""Free and nudged phase against numbers worked by hand, and against what a fixed point must satisfy.

The hand-worked net is 2-1-1-2 with hard-tanh, β = β_f = 1/2:  W0 = (1/2, -1/4), W1 = 1/2, W2 = (1, -1)^T,
s_0 = (1, 1/2), so that W0 s_0 = 3/8 and all sums stay where hard-tanh is the identity.
"""

import math

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.float_model import FloatActivation, FloatNetwork
from fregen.float_model.activation import softmax, targets

pytestmark = pytest.mark.unit

WEIGHTS = [np.array([[0.5, -0.25]]), np.array([[0.5]]), np.array([[1.0], [-1.0]])]
INPUT = np.array([[1.0, 0.5]])
FORMS = [(nudged, order) for nudged in ("states", "offset") for order in ("sweep", "synchronous")]


def hand(**learning):
    design = Design.parse(
        {
            "name": "hand",
            "network": {"layers": [2, 1, 1, 2], "beta": 0.5},
            "numerics": {"activation": {"function": "hard-tanh"}},
            "learning": {"nudge": 0.5, "batch": 1, "free_steps": 1, "nudged_steps": 1, **learning},
        }
    )
    network = FloatNetwork(design)
    network.load(WEIGHTS)
    return network


def deep(seed=0, function="tanh", beta=0.125, **learning):
    return FloatNetwork(
        Design.parse(
            {
                "name": "deep",
                "seed": seed,
                "network": {"layers": [8, 7, 6, 5, 4], "beta": beta},
                "numerics": {"activation": {"function": function}},
                "learning": {"free_steps": 200, "nudged_steps": 200, **learning},
            }
        )
    )


def samples(count=8):
    generator = np.random.default_rng(11)
    return generator.random((count, 8)), targets(np.arange(count) % 4, 4, np.float64)


# Hand-worked literals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "steps", "expected"),
    [
        ("synchronous", 1, (0.375, 0.0)),
        ("synchronous", 2, (0.375, 0.1875)),
        ("synchronous", 3, (0.421875, 0.1875)),
        ("sweep", 1, (0.375, 0.1875)),
        ("sweep", 2, (0.421875, 0.2109375)),
    ],
)
def test_free_steps(order, steps, expected):
    network = hand(order=order, free_steps=steps)
    free = network.relax.free(network.weights, INPUT)
    assert (free.states[1].item(), free.states[2].item()) == expected
    assert free.logits.tolist() == [[expected[1], -expected[1]]]
    assert free.steps == steps


Q = 1 / (1 + math.exp(0.375))
"""1 - p_0 after one free sweep: the logits are ±3/16.  The drive on layer 2 is β_f (Q + Q) = Q."""


@pytest.mark.parametrize(
    ("nudged", "order", "expected"),
    [
        ("offset", "sweep", (0.25 * Q, Q)),
        ("offset", "synchronous", (0.0, Q)),
        ("states", "sweep", (0.25 * (0.1875 + Q), Q)),
        ("states", "synchronous", (0.25 * 0.1875, Q)),
    ],
)
def test_nudged_step(nudged, order, expected):
    start = hand()  # one free sweep, whatever the order of the nudged step
    free = start.relax.free(start.weights, INPUT)
    network = hand(nudged=nudged, order=order)
    contrast = network.relax.nudged(network.weights, free, np.array([[1.0, 0.0]])).contrast
    assert (contrast[1].item(), contrast[2].item()) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(contrast[3], [[Q, -Q]], rtol=1e-12)


@pytest.mark.parametrize(("gain", "factors"), [(True, (4, 2)), (False, (1, 1))])
def test_update_is_the_contrast_times_gain_and_rate_over_the_batch(gain, factors):
    network = hand(gain=gain, batch=2)
    result = network.learn(INPUT, np.array([0]), 0.125)  # a last batch of one sample counts half
    rate = 0.125 / 2
    np.testing.assert_allclose(network.weights[0] - WEIGHTS[0], rate * factors[0] * 0.25 * Q * INPUT, rtol=1e-12)
    np.testing.assert_allclose(network.weights[1] - WEIGHTS[1], [[rate * factors[1] * Q * 0.375]], rtol=1e-12)
    np.testing.assert_allclose(network.weights[2] - WEIGHTS[2], rate * 0.1875 * np.array([[Q], [-Q]]), rtol=1e-12)
    assert (result.predictions.tolist(), result.free_steps, result.nudged_steps) == ([0], 1, 1)


@pytest.mark.parametrize(
    ("function", "values", "slopes"),
    [
        ("tanh", [-0.9640275801, -0.4621171573, 0.0, 0.4621171573, 0.9640275801], [0.0706508249, 0.7864477330, 1.0]),
        ("hard-tanh", [-1, -0.5, 0, 0.5, 1], [0, 1, 1]),
        ("hard-sigmoid", [0, 0, 0, 0.5, 1], [0, 0, 1]),
    ],
)
def test_activations_and_slopes(function, values, slopes):
    rho, sums = FloatActivation(function), np.array([-2.0, -0.5, 0.0, 0.5, 2.0])
    np.testing.assert_allclose(rho(sums), values, rtol=1e-9)
    np.testing.assert_allclose(rho.slope(sums)[:3], slopes, rtol=1e-9)
    corner = rho.slope(np.array([1.0, -1.0])).tolist()
    assert function == "tanh" or corner == [0, 0]


def test_softmax_is_stable():
    np.testing.assert_allclose(softmax(np.array([[1000.0, 1000.0], [0.0, math.log(3)]])), [[0.5, 0.5], [0.25, 0.75]])


# Fixed points -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["tanh", "hard-tanh", "hard-sigmoid"])
def test_sweep_and_synchronous_reach_the_same_free_fixed_point(function):
    inputs, _ = samples()
    ends = [deep(function=function, order=order) for order in ("sweep", "synchronous")]
    one, other = (network.relax.free(network.weights, inputs) for network in ends)
    for a, b in zip(one.states[1:4], other.states[1:4], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    w = ends[0].weights
    rho, s = FloatActivation(function), one.states
    np.testing.assert_allclose(s[1], rho(inputs @ w[0].T + 0.125 * s[2] @ w[1]), atol=1e-12)
    np.testing.assert_allclose(s[2], rho(s[1] @ w[1].T + 0.125 * s[3] @ w[2]), atol=1e-12)
    np.testing.assert_allclose(s[3], rho(s[2] @ w[2].T), atol=1e-12)
    short = deep(function=function, free_steps=2)
    assert np.abs(short.relax.free(w, inputs).states[1] - s[1]).max() > 1e-4, "two sweeps must not be enough here"


@pytest.mark.parametrize("error", ["held", "recomputed"])
@pytest.mark.parametrize(("nudged", "order"), FORMS)
def test_nudged_fixed_point_holds_or_recomputes_its_error(nudged, order, error):
    inputs, target = samples()
    network = deep(nudged=nudged, order=order, error=error, nudge=1.0)
    w = network.weights
    free = network.relax.free(w, inputs)
    ds = network.relax.nudged(w, free, target).contrast
    if nudged == "states":
        s = [a + b if i in (1, 2, 3) else a for i, (a, b) in enumerate(zip(free.states, ds, strict=True))]
        e = target - softmax((free.states[3] if error == "held" else s[3]) @ w[3].T)
        np.testing.assert_allclose(s[1], np.tanh(inputs @ w[0].T + 0.125 * s[2] @ w[1]), atol=1e-10)
        np.testing.assert_allclose(s[2], np.tanh(s[1] @ w[1].T + 0.125 * s[3] @ w[2]), atol=1e-10)
        np.testing.assert_allclose(s[3], np.tanh(s[2] @ w[2].T + e @ w[3]), atol=1e-10)
    else:
        slope = [1 - a**2 for a in free.states]
        e = target - softmax((free.states[3] + (0 if error == "held" else ds[3])) @ w[3].T)
        np.testing.assert_allclose(ds[1], slope[1] * (0.125 * ds[2] @ w[1]), atol=1e-10)
        np.testing.assert_allclose(ds[2], slope[2] * (ds[1] @ w[1].T + 0.125 * ds[3] @ w[2]), atol=1e-10)
        np.testing.assert_allclose(ds[3], slope[3] * (ds[2] @ w[2].T + e @ w[3]), atol=1e-10)
    np.testing.assert_allclose(ds[4], target - softmax(free.logits), atol=1e-12)


@pytest.mark.parametrize(("nudged", "order"), FORMS)
def test_recomputing_matters_from_the_second_nudged_step_on(nudged, order):
    inputs, target = samples()
    ends = {}
    for steps in (1, 2):
        for error in ("held", "recomputed"):
            network = deep(nudged=nudged, order=order, error=error, nudged_steps=steps)
            free = network.relax.free(network.weights, inputs)
            ends[steps, error] = network.relax.nudged(network.weights, free, target).contrast[3]
    np.testing.assert_array_equal(ends[1, "held"], ends[1, "recomputed"])
    assert np.abs(ends[2, "held"] - ends[2, "recomputed"]).max() > 1e-3


def test_tolerance_ends_a_phase_early_at_nearly_the_same_states():
    inputs, target = samples()
    full = deep(order="synchronous")
    early = FloatNetwork(full.design, tolerance=1e-9)
    free, free_early = (network.relax.free(full.weights, inputs) for network in (full, early))
    assert free.steps == 200
    assert 5 < free_early.steps < 100
    np.testing.assert_allclose(free_early.states[1], free.states[1], atol=1e-8)
    nudged, nudged_early = (n.relax.nudged(full.weights, free, target) for n in (full, early))
    assert nudged_early.steps < nudged.steps == 200
    np.testing.assert_allclose(nudged_early.contrast[1], nudged.contrast[1], atol=1e-8)


@pytest.mark.parametrize(("nudged", "order"), FORMS)
def test_samples_that_settle_are_set_aside_and_none_takes_anothers_place(nudged, order):
    """The largest inputs take the most steps; every sample ends where it would after all steps."""
    inputs, target = samples(12)
    inputs *= np.linspace(0, 2, 12)[:, None]
    full = deep(nudged=nudged, order=order, beta=0.25)
    early = FloatNetwork(full.design, tolerance=1e-4)
    free, free_early = (network.relax.free(full.weights, inputs) for network in (full, early))
    ends, ends_early = (
        network.relax.nudged(full.weights, phase, target) for network, phase in ((full, free), (early, free_early))
    )
    for layer in (1, 2, 3):
        np.testing.assert_allclose(free_early.states[layer], free.states[layer], atol=1e-3)
        np.testing.assert_allclose(ends_early.contrast[layer], ends.contrast[layer], atol=1e-3)
    alone = [early.relax.free(full.weights, inputs[i : i + 1]).steps for i in range(12)]
    assert all(steps % 6 == 0 for steps in alone)
    assert np.mean(alone) <= free_early.steps < max(alone), "some are set aside before the last has settled"


def test_observer_sees_every_step_and_later_steps_leave_it_alone():
    network, seen = hand(free_steps=3), []
    network.relax.free(network.weights, INPUT, lambda step, states: seen.append((step, states[2])))
    assert [(step, state.item()) for step, state in seen] == [(1, 0.1875), (2, 0.2109375), (3, 0.2138671875)]


def test_phases_leave_weights_and_free_states_alone():
    inputs, target = samples()
    network = deep(nudged="states", error="recomputed")
    before = [array.copy() for array in network.weights]
    free = network.relax.free(network.weights, inputs)
    states = [array.copy() for array in free.states]
    network.relax.nudged(network.weights, free, target)
    assert all(np.array_equal(a, b) for a, b in zip(before, network.weights, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(states, free.states, strict=True))
