"""Runs drawn at random: whatever a host may do, in any order, within a budget of cycles."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from ..golden import NetworkModel
from ..golden.carrier import Carrier
from ..plan import CycleModel, Program, Schedule
from ..spec.network import NetworkSpec
from .scenario import Scenario

__all__ = ["varied"]

_RATES = 16


def varied(spec: NetworkSpec, seed: int, cycles: int = 12_000) -> Scenario:
    """Draw a run: full and partial batches, samples to infer between and inside them, new weights, all rates.

    Input words and weights are usual ones or extreme ones.  At times the core is reset in mid-run, inputs move while
    they do not count, or the streams falter.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    seed : int
        The same one gives the same run.
    cycles : int
        About how long the run may take; it has at least one sample, and at most two and a half full batches to learn.
    """
    rng = np.random.default_rng([seed, 31])
    batch, size = spec.design.learning.batch, spec.graph.layers[0].size
    most = int(np.clip(cycles // _sample_cycles(spec), 1, 5 * batch // 2 + 3))
    words, labels = _samples(spec, rng, most)
    rates = _rates(spec, rng)
    scenario = Scenario(spec, _weights(spec, rng), patience=float(rng.choice([0.0, 0.0, 0.0, 0.3, 1.0])))
    scenario.unruly = bool(rng.random() < 0.5)
    scenario.falter = int(rng.integers(1, 1 << 31)) if rng.random() < 0.4 else 0
    if rng.random() < 0.4:  # at times in the weights' first load, at times in a sample or an update
        memory = Schedule.of(spec).memory
        load = memory.weight_depth * memory.lanes
        scenario.restart = 5 + int(
            rng.integers(0, load + (rng.random() < 0.7) * min(most * _sample_cycles(spec), cycles))
        )
    at = 0
    while at < most:
        count = min(batch if rng.random() < 0.7 else int(rng.integers(1, batch + 1)), most - at)
        part = slice(at, at + count)
        at += count
        joins = bool(scenario.batches) and scenario.batches[-1].joins
        kind = rng.random()
        if kind < 0.15 and count < most:
            scenario.infer(words[part], labels[part])
        elif kind < 0.35 and at < most:
            scenario.infer(words[part], labels[part], joins=True)
        else:
            fresh = _weights(spec, rng) if scenario.batches and not joins and rng.random() < 0.2 else None
            scenario.learn(words[part], labels[part], float(rng.choice(rates)), fresh)
    few = slice(0, 1 + int(rng.integers(0, 3)))
    scenario.infer(words[few] * 0 if size % 2 else words[few], labels[few])
    return scenario


def _sample_cycles(spec: NetworkSpec) -> int:
    """Cycles of a sample that learns, if it needs all steps and no input word is zero."""
    model, design = CycleModel(Schedule.of(spec)), spec.design
    inputs = spec.graph.layers[0].size
    once = (Program.FREE_FIRST, Program.READOUT, Program.NUDGED_FIRST, Program.CONTRAST)
    steps = {Program.FREE_STEP: design.free_steps - 1, Program.NUDGED_STEP: design.nudged_steps - 1}
    cycles = sum(model.work(name, inputs).cycles for name in once)
    return cycles + sum(times * model.work(name).cycles for name, times in steps.items())


def _samples(spec: NetworkSpec, rng: np.random.Generator, count: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw input words, of which some samples are zero, extreme or dense, and labels."""
    low, high = spec.state.min_word, spec.state.max_word
    shape = count, spec.graph.layers[0].size
    words = rng.integers(low if rng.random() < 0.5 else 0, high + 1, shape)
    words = np.where(rng.random(shape) < 0.1, rng.choice([low, high, 1, -1], shape), words)
    words *= rng.random(shape) < rng.choice([0.0, 0.1, 0.5, 1.0], (count, 1), p=[0.1, 0.2, 0.4, 0.3])
    return words.astype(np.int64), rng.integers(0, spec.graph.layers[-1].size, count)


def _weights(spec: NetworkSpec, rng: np.random.Generator) -> list[NDArray[Any]]:
    """Draw weights: initial ones, any, extreme, or few bits wide."""
    model = NetworkModel(spec)
    model.initial()
    initial = [np.array(words) for words in model.weights]
    low, high = spec.weight.min_word, spec.weight.max_word
    kind = rng.integers(0, 4)
    if kind == 0:
        return initial
    if kind == 1:
        return [rng.integers(low, high + 1, words.shape) for words in initial]
    if kind == 2:
        return [rng.choice([low, high, 0, 1, -1], words.shape) for words in initial]
    few = max(high >> int(rng.integers(1, spec.weight.width)), 1)
    return [rng.integers(-few, few + 1, words.shape) for words in initial]


def _rates(spec: NetworkSpec, rng: np.random.Generator) -> list[float]:
    """Return the design's rates and three others; those whose update exact arithmetic cannot hold are left out."""
    learning, carrier = spec.design.learning, Carrier(spec)
    wanted = [learning.rate, *(step.rate for step in learning.rate_steps)]
    wanted += [2.0 ** -int(k) for k in rng.integers(0, _RATES, 3)]
    held = []
    for rate in wanted:
        try:
            for matrix in spec.graph.learned:
                carrier.updates_in_float(matrix, rate)
        except FormatError:
            continue
        held.append(rate)
    return held
