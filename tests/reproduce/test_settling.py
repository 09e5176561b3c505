"""How a network settles, against steps taken here one by one."""

import math

import numpy as np
import pytest

from fregen.data.datasets import load
from fregen.design.document import Design
from fregen.errors import DataError
from fregen.float_model import FloatNetwork
from fregen.reproduce import Settling, settle

pytestmark = pytest.mark.unit

DESIGN = Design.parse(
    {
        "name": "little",
        "network": {"layers": [64, 6, 5, 10], "alpha": 0.5, "beta": 0.5},
        "learning": {"order": "synchronous"},
        "data": {"train": 8, "test": 12},
    }
)


@pytest.fixture(scope="module")
def network():
    return FloatNetwork(DESIGN)


@pytest.fixture(scope="module")
def inputs():
    return load(DESIGN).test_inputs


def states(network, x):
    """Yield the hidden states of one sample after each free step."""
    first, between = network.weights[:2]
    one, two = np.zeros(6), np.zeros(5)
    while True:
        one, two = np.tanh(first @ x + 0.5 * between.T @ two), np.tanh(0.5 * between @ one)
        yield np.concatenate([one, two])


def time(network, x):
    """Least t after which three changes in a row are below 1e-6."""
    last, small = np.zeros(11), 0
    for step, now in enumerate(states(network, x), 1):
        small = small + 1 if np.linalg.norm(now - last) < 1e-6 else 0
        if small == 3:
            return step - 3
        last = now


def growth(network, x, steps, delta):
    """Mean logarithm of the growth of one vector."""
    between, total = network.weights[1], 0.0
    matrix = np.block([[np.zeros((6, 6)), 0.5 * between.T], [0.5 * between, np.zeros((5, 5))]])
    for _, now in zip(range(steps), states(network, x), strict=False):
        delta = (1 - now**2) * (matrix @ delta)
        total += math.log(np.linalg.norm(delta))
        delta = delta / np.linalg.norm(delta)
    return total / steps


def test_numbers_are_those_of_steps_taken_one_by_one(network, inputs):
    found = settle(network, inputs, Settling(7, 5, 200))
    times = [time(network, x) for x in inputs[:7]]
    assert list(found) == ["radius", "ftmle", "settled", "time"]
    assert found["radius"] == pytest.approx(0.5 * np.linalg.norm(network.weights[1], 2))
    assert (found["settled"], found["time"]) == (1.0, pytest.approx(np.mean(times)))
    deltas = np.random.default_rng(0).standard_normal((7, 11))
    deltas /= np.linalg.norm(deltas, axis=1, keepdims=True)
    wanted = np.mean([growth(network, x, 5, d) for x, d in zip(inputs, deltas, strict=False)])
    assert found["ftmle"] == pytest.approx(wanted)
    assert len(set(times)) > 1


def test_mean_time_is_that_of_samples_that_settle(network, inputs):
    times = np.array([time(network, x) for x in inputs])
    limit = int(np.sort(times)[6]) + 3
    inside = times[times <= limit - 3]
    assert 0 < len(inside) < len(times)
    found = settle(network, inputs, Settling(12, 5, limit))
    assert (found["settled"], found["time"]) == (len(inside) / 12, pytest.approx(inside.mean()))


def test_no_sample_settles(network, inputs):
    found = settle(network, inputs, Settling(12, 5, 3))
    assert (found["settled"], found["time"]) == (0.0, -1.0)


def test_numbers_can_stand_in_a_record(network, inputs):
    assert {type(value) for value in settle(network, inputs, Settling(3, 5, 100)).values()} == {float}


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (Settling(0, 5, 100), "at least one sample"),
        (Settling(3, 0, 100), "steps: expected at least 1, not 0"),
        (Settling(3, 5, 2), "limit: expected at least 3 steps, not 2"),
    ],
)
def test_faults_are_named(network, inputs, how, message):
    with pytest.raises(DataError, match=message):
        settle(network, inputs, how)
