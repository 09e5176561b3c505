"""Runs that leave a fault little room: extreme words and weights, every rate, and the hard cases of rounding.

What is random is drawn from a seed.  Every run is checked against the golden model as any other
(:class:`~fregen.runs.scenario.Scenario`); :mod:`fregen.faults.inject` reports which faults they find.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design.document import RATE_WIDTH
from ..design.graph import Matrix
from ..fixed import Q
from ..golden import NetworkModel
from ..golden.trace import Trace
from ..spec.network import NetworkSpec
from .prepare import random_samples
from .scenario import Scenario

__all__ = ["broad", "hard_sums", "powers", "rounding"]

_RATES = 1 << RATE_WIDTH
"""Rates that the core's register can hold: 1 to 2**-15."""

_MOST_BATCHES = 160
"""Limit of :func:`rounding`."""


def broad(spec: NetworkSpec, samples: int, seed: int) -> Iterator[Scenario]:
    """Yield runs of all kinds: as in use; extreme weights and words, at every rate; small weights.

    From the second on batches are cut anywhere, and samples to infer come in between those to learn; in the third the
    host often waits until the core is idle.
    """
    design, batch = spec.design, spec.design.learning.batch
    rng = np.random.default_rng([seed, 13])
    initial, wild, mixed = _weights(spec, rng)
    rates = [2.0**-k for k in (0, 15, 3, 8, 1, 5, 12, 2, 10, 4, 7, 6, 14, 9, 11, 13)]
    for number, weights in enumerate((initial, wild, mixed, [words // 8 for words in mixed])):
        scenario = Scenario(spec, weights)
        words, labels = random_samples(spec, samples + samples // 4, seed + number)
        if number:
            extreme = rng.random(words.shape) < 0.3
            words = np.where(extreme, rng.choice([spec.state.min_word, spec.state.max_word, 1, -1], words.shape), words)
            words[:2] = np.array([spec.state.max_word, spec.state.min_word])[:, None]
            words *= rng.random(words.shape) < rng.choice([0.0, 0.02, 0.3, 1.0], (len(words), 1))
        at = turn = 0
        while at < samples:
            size = batch if number == 0 or turn % 2 else int(rng.integers(1, batch + 1))
            rate = design.learning.rate if number in (0, 3) else rates[turn // 2 % len(rates)]
            end = min(at + size, samples)
            scenario.learn(words[at:end], labels[at:end], rate)
            if number or turn % 3 == 1:
                chosen = samples + turn % max(samples // 4 - batch, 1)
                part = slice(chosen, chosen + (batch if turn % 4 else int(rng.integers(1, batch + 2))))
                scenario.infer(words[part], labels[part], joins=number != 0)
            at, turn = end, turn + 1
        scenario.infer(words[samples:], labels[samples:])
        yield scenario
        if number == 1:
            yield replace(scenario, patience=0.5)


def rounding(spec: NetworkSpec, seed: int) -> Scenario:
    """Aim the updates of every lane at the hard cases of rounding, at every rate: ties, and what misses one by a bit.

    Without weights from the input the contrast does not depend on the input words.  So the golden model is asked for
    the contrast, and the words of a batch are solved for such that their products add up to what is wanted: an input
    for every case, in one row of the lane.  New weights are loaded before every batch.
    """
    rng = np.random.default_rng([seed, 17])
    matrix = next(matrix for matrix in spec.graph.matrices if matrix.source == 0)
    target, size = spec.graph.shape(matrix)
    lanes, batch = min(spec.design.hardware.lanes, target), spec.design.learning.batch
    scenario = Scenario(spec, _weights(spec, rng)[0])
    for k in range(_RATES):
        rate = 2.0**-k
        cases = [(lane, case) for case in hard_sums(spec.update_shift(matrix, rate)) for lane in range(lanes)]
        turns = np.arange(0, len(cases), size)
        for turn in rng.permutation(turns)[: _MOST_BATCHES // _RATES]:
            labels = rng.integers(0, spec.graph.layers[-1].size, batch)
            weights, contrast = _strong(spec, matrix, labels, rng)
            inputs = np.zeros((batch, size), dtype=np.int64)
            for place, (lane, (wanted, bits)) in enumerate(cases[turn : turn + size]):
                inputs[:, place] = _solve(_best(contrast[:, lane::lanes], rng), wanted, bits, spec.state, rng)
            scenario.learn(inputs, labels, rate, weights)
    return scenario


def powers(spec: NetworkSpec, samples: int, seed: int) -> Iterator[Scenario]:
    """Yield long runs of words that are 0, 1 or powers of two, at several rates."""
    rng = np.random.default_rng([seed, 19])
    initial, _, _ = _weights(spec, rng)
    for turn, first in enumerate((2, 0, 4, 1, 6, 3, 8, 2)):
        few = [rng.choice([-4, -2, -1, 0, 0, 1, 2, 4], words.shape) << turn for words in initial]
        yield _ties(spec, samples, rng, few if turn % 2 else initial, range(first, first + 6))


def _weights(spec: NetworkSpec, rng: np.random.Generator) -> tuple[list[NDArray[Any]], ...]:
    """Return initial weights, wild ones (many extreme), and initial ones mixed with any."""
    model = NetworkModel(spec)
    model.initial()
    initial = [np.array(words) for words in model.weights]
    low, high = spec.weight.min_word, spec.weight.max_word
    wild = [rng.choice([low, high, 0, *rng.integers(low, high + 1, 5)], words.shape) for words in initial]
    mixed = [
        np.where(rng.random(words.shape) < 0.2, rng.integers(low, high + 1, words.shape), words) for words in initial
    ]
    return initial, wild, mixed


def hard_sums(shift: int) -> Iterator[tuple[int, int]]:
    """Yield sums whose rounding by so many bits is hard: low bits, and how many bits count."""
    if shift < 1:
        return
    half = 1 << (shift - 1)
    yield half, shift + 1  # a tie to an even word
    yield from ((half + (1 << bit), shift + 1) for bit in range(shift - 1))
    yield half - 1, shift + 1
    yield 3 * half, shift + 1  # a tie to an odd word
    yield 3 * half - 1, shift + 1


def _strong(
    spec: NetworkSpec, matrix: Matrix, labels: NDArray[Any], rng: np.random.Generator
) -> tuple[list[NDArray[Any]], NDArray[np.int64]]:
    """Draw weights, none from the input, that make the contrast of a matrix's target large, but few words extreme.

    Returns
    -------
    (list of arrays, (n, neurons) array)
        Weights by matrix index, and the contrast.
    """
    q = spec.offset if spec.has_offsets else Q(spec.state.int_bits + 1, spec.state.frac_bits)
    weights: list[NDArray[Any]] = []
    contrast = np.empty((0, 0), dtype=np.int64)
    for halvings in range(spec.weight.width - 1):
        most = spec.weight.max_word >> halvings
        weights = [rng.integers(-most, most + 1, spec.graph.shape(m)) * (m is not matrix) for m in spec.graph.matrices]
        contrast = _contrast(spec, matrix, weights, labels)
        if np.mean((contrast >= q.max_word) | (contrast <= q.min_word)) < 0.1:
            break
    return weights, contrast


def _contrast(spec: NetworkSpec, matrix: Matrix, weights: Sequence[Any], labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return the contrast of a matrix's target for samples of no effect, (n, neurons)."""
    model, trace = NetworkModel(spec), Trace()
    model.load(weights)
    model.learn(np.ones((len(labels), spec.graph.layers[0].size), dtype=np.int64), labels, 1.0, trace=trace)
    if trace.contrast:
        words, order = trace.contrast[0], [layer.index for layer in spec.graph.hidden]
    else:
        ends = trace.nudged_steps[0] - 1
        words, order = trace.nudged[0][np.arange(len(labels)), ends], list(spec.nudged_order)
    begin = sum(spec.graph.layers[layer].size for layer in order[: order.index(matrix.target)])
    return words[:, begin : begin + spec.graph.layers[matrix.target].size].astype(np.int64)


def _best(rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose the neuron whose contrast leaves the most freedom: an odd word, few zeros."""
    freedom = 8.0 * (rows & 1).any(axis=0) + (rows != 0).sum(axis=0) + rng.random(rows.shape[1])
    return rows[:, int(np.argmax(freedom))]


def _ties(
    spec: NetworkSpec, samples: int, rng: np.random.Generator, weights: Sequence[Any], rates: Sequence[int]
) -> Scenario:
    """Make a long run of words that are 0, 1 or powers of two: sums meet the ties of rounding, or nearly."""
    batch, size = spec.design.learning.batch, spec.graph.layers[0].size
    classes = spec.graph.layers[-1].size
    scenario = Scenario(spec, weights)
    powers = 1 << np.arange(spec.state.width - 1)
    for turn in range(8 * samples):
        count = int(rng.integers(1, min(batch, 3) + 1))
        signs = rng.choice([-1, 1], (count, size))
        words = np.where(rng.random((count, size)) < 0.5, 1, rng.choice(powers, (count, size))) * signs
        words *= rng.random((count, size)) < rng.choice([0.05, 0.7])
        scenario.learn(words, rng.integers(0, classes, count), 2.0 ** -rates[turn // 2 % len(rates)])
    return scenario


def _solve(factors: Any, wanted: int, bits: int, form: Q, rng: np.random.Generator) -> Any:
    """Find words whose products with factors sum up to a number, modulo ``2**bits``; any words if that fails."""
    low, high = form.min_word, form.max_word
    goal = (wanted + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))
    # The last word is solved for, so its factor had better be odd: the one with the fewest zeros below takes it.
    order = np.argsort([int(f & -f) if f else 1 << 62 for f in factors], kind="stable")[::-1]
    last = int(factors[order[-1]])
    zeros = (last & -last).bit_length() - 1 if last else bits
    modulus = 1 << max(bits - zeros, 0)
    inverse = pow(last >> zeros, -1, modulus) if modulus > 1 else 0
    other = int(factors[order[-2]]) if len(factors) > 1 else 0
    reach = (abs(last) + abs(other)) * high * 3 // 4
    tried = np.arange(low, high + 1) if form.width <= 17 else rng.integers(low, high + 1, 1 << 17)
    words = rng.integers(low, high + 1, len(factors))
    for _ in range(6):
        words = rng.integers(low, high + 1, len(factors))
        rest = goal - sum(int(factors[k]) * int(words[k]) for k in order[:-2])
        for k in order[:-2]:
            if abs(rest) > reach:  # too far for two words: this one goes to its end
                end = high if (rest > 0) == (factors[k] > 0) else low
                rest -= int(factors[k]) * (end - int(words[k]))
                words[k] = end
        left = (rest - other * tried) & ((1 << bits) - 1)
        solved = (left >> zeros) * inverse & (modulus - 1)
        solved = np.where(solved >= modulus // 2, solved - modulus, solved)
        fits = np.flatnonzero((left & ((1 << zeros) - 1) == 0) & (solved >= low) & (solved <= high))
        if len(fits):
            chosen = rng.choice(fits)
            words[order[-1]] = solved[chosen]
            if len(factors) > 1:
                words[order[-2]] = tried[chosen]
            break
    return words
