"""A run whose error words are hard: probabilities at the ties of rounding, distances at the ends of a table's steps.

A probability is a word of the exponential table times one of the reciprocal table, rounded.  Few pairs of words make a
tie, or miss one by a single bit, and each needs a sum of exponentials within a narrow range; random logits hardly ever
meet one.  So the pairs are looked up in the tables, and logits are made for them: the weights into the output layer
are solved for, which the states of the free phase do not depend on.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from ..golden import NetworkModel
from ..golden.trace import Trace
from ..spec.network import NetworkSpec, SoftmaxSpec
from .scenario import Scenario
from .stress import hard_sums

__all__ = ["Pair", "hard_pairs", "softmax"]

_MOST_SAMPLES, _MOST_LOGITS = 160, 1 << 14
"""Limits of :func:`softmax`: samples, and logits in all of them."""

_TRIES = 8
"""Attempts at what is drawn at random and may fail."""


@dataclass(frozen=True)
class Pair:
    """Two words that are multiplied: an exponential, and a reciprocal by the sums that choose it.

    Parameters
    ----------
    word : int
        The exponential.
    lowest, highest : int
        Sums of all classes' exponentials with which the reciprocal is read.
    """

    word: int
    lowest: int
    highest: int


def hard_pairs(softmax: SoftmaxSpec) -> dict[tuple[int, int], list[Pair]]:
    """Find the pairs of words whose product is hard to round, as far as their sums lie within reach of the classes.

    Returns
    -------
    dict
        Pairs by the bits that rounding drops, and what the product is modulo twice as much (as in
        :func:`~fregen.runs.stress.hard_sums`).  Those that no pair makes are left out.
    """
    words, top = np.unique(softmax.exponential.words), softmax.exponential.words[0]
    found: dict[tuple[int, int], list[Pair]] = {}
    for extra in range(softmax.total_width - softmax.exponential.frac_bits):
        shift = softmax.product_shift + extra
        wanted = [low for low, _ in hard_sums(shift)]
        for reciprocal, lowest, highest in _reciprocals(softmax, extra):
            low = words * reciprocal & ((2 << shift) - 1)
            for place in np.flatnonzero(np.isin(low, wanted)):
                word = int(words[place])
                least = word if word == top else word + top  # one class has the greatest word
                most = least + top * (softmax.classes - (1 if word == top else 2))
                if max(lowest, least) <= min(highest, most):
                    pair = Pair(word, max(lowest, least), min(highest, most))
                    found.setdefault((shift, int(low[place])), []).append(pair)
    return found


def softmax(spec: NetworkSpec, seed: int) -> Scenario:
    """Aim every sample's logits at a pair of words that is hard to round, and its distances at the ends of a step.

    Each kind of pair comes in turn, then pairs drawn at random.  A sample is a batch of its own, before which new
    weights are loaded.  Nothing is aimed at where the weights are too coarse or too few.
    """
    rng, unit = np.random.default_rng([seed, 23]), spec.softmax
    samples = max(min(_MOST_SAMPLES, _MOST_LOGITS // unit.classes), 8)
    drawn = (_places(unit, pair, rng) for pair in _in_turn(hard_pairs(unit), rng))
    places = list(islice((place for place in drawn if place is not None), samples))
    while len(places) < samples:
        places.append(_places(unit, _any_pair(unit, rng), rng) or [0] * unit.classes)
    weights = _lively(spec, rng)
    low, high = spec.state.min_word, spec.state.max_word
    inputs = rng.integers(low, high + 1, (samples, spec.graph.layers[0].size))
    readout = _Readout(spec, weights, inputs)
    labels = rng.integers(0, unit.classes, samples)
    scenario = Scenario(spec, weights)
    for number in range(samples):
        loaded = readout.weights(number, places[number], rng)
        part = slice(number, number + 1)
        scenario.learn(inputs[part], labels[part], spec.design.learning.rate, loaded)
    return scenario


def _reciprocals(softmax: SoftmaxSpec, extra: int) -> Iterator[tuple[int, int, int]]:
    """Yield words of the reciprocal table, each with the least and greatest sum that reads it.

    Sums lie in ``[2**extra, 2**(extra + 1))``, and are no greater than so many classes can make them.
    """
    table, top = softmax.reciprocal, softmax.exponential.words[0]
    for place, word in enumerate(table.words):
        ends = [((1 << table.index_bits) + end) * top << extra for end in (place, place + 1)]
        lowest, behind = (-(-end >> table.index_bits) for end in ends)
        if lowest < min(behind, softmax.classes * top + 1):
            yield word, lowest, min(behind - 1, softmax.classes * top)


def _in_turn(pairs: Mapping[tuple[int, int], Sequence[Pair]], rng: np.random.Generator) -> Iterator[Pair]:
    """Yield one pair of each kind, then a second one, and so on; which is drawn."""
    mixed = [[group[k] for k in rng.permutation(len(group))] for group in pairs.values()]
    for turn in range(max(map(len, mixed), default=0)):
        yield from (mixed[k][turn] for k in rng.permutation(len(mixed)) if turn < len(mixed[k]))


def _any_pair(softmax: SoftmaxSpec, rng: np.random.Generator) -> Pair:
    """Draw a pair of words."""
    extra = int(rng.integers(softmax.total_width - softmax.exponential.frac_bits))
    sums = list(_reciprocals(softmax, extra))
    _, lowest, highest = sums[rng.integers(len(sums))]
    return Pair(int(rng.choice(softmax.exponential.words)), lowest, highest)


def _places(softmax: SoftmaxSpec, pair: Pair, rng: np.random.Generator) -> list[int] | None:
    """Draw a place in the exponential table for each class: one has the pair's word, one is the greatest logit's.

    Returns
    -------
    list of int, or None
        None if no such words were found whose sum is what the pair needs.
    """
    words = np.array(softmax.exponential.words)
    given = [0] if pair.word == words[0] else [0, int(rng.choice(np.flatnonzero(words == pair.word)))]
    count = softmax.classes - len(given)
    if count < 0:
        return None
    taken = int(words[given].sum())
    for _ in range(_TRIES):
        places, low, high = list(given), pair.lowest - taken, pair.highest - taken
        for left in range(count - 1, -1, -1):  # what is left over must be within reach of the other classes
            share = int(rng.integers(0, max(low + high, 0) // (left + 1) + 1))
            least, most = max(low - left * int(words[0]), 0), high
            fits = np.flatnonzero((words >= least) & (words <= most))
            if not len(fits):
                break
            nearest = fits[np.abs(words[fits] - share).argmin()] if left else rng.choice(fits)
            places.append(int(nearest))
            low, high = low - int(words[nearest]), high - int(words[nearest])
        else:
            if low <= 0 <= high:
                return [places[k] for k in rng.permutation(len(places))]
    return None


def _lively(spec: NetworkSpec, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Draw weights with which hidden states are large, but few of them extreme; by matrix index."""
    inputs = rng.integers(spec.state.min_word, spec.state.max_word + 1, (16, spec.graph.layers[0].size))
    weights: list[NDArray[np.int64]] = []
    for halvings in range(spec.weight.width - 1):
        most = spec.weight.max_word >> halvings
        weights = [rng.integers(-most, most + 1, spec.graph.shape(matrix)) for matrix in spec.graph.matrices]
        states = np.concatenate(list(_settled(spec, weights, inputs).values()), axis=1)
        if np.mean(np.abs(states) >= spec.state.max_word) < 0.1:
            break
    return weights


def _settled(
    spec: NetworkSpec, weights: Sequence[NDArray[np.int64]], inputs: NDArray[np.int64]
) -> dict[int, NDArray[np.int64]]:
    """Return the hidden layers' states after the free phase, (n, neurons) by layer."""
    model, trace = NetworkModel(spec), Trace()
    model.load(weights)
    model.infer(inputs, trace=trace)
    words = np.concatenate([words[:, -1] for words in trace.states]).astype(np.int64)
    return trace.by_layer("states", words)


class _Readout:
    """What logits are made of: states of the free phase, and the weights that are solved for.

    Logits are counted in steps of ``2**unit``, the finest that all products have.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    weights : sequence of (target, source) arrays
        All weights; those into the output layer are replaced.
    inputs : (n, inputs) array
        Samples.
    """

    def __init__(self, spec: NetworkSpec, weights: Sequence[NDArray[np.int64]], inputs: NDArray[np.int64]) -> None:
        self.spec, self.loaded = spec, list(weights)
        self.products = spec.free_products(spec.graph.output)
        self.unit = min(product.shift for product in self.products)
        states = {0: inputs, **_settled(spec, weights, inputs)}
        parts = [states[product.source] << (product.shift - self.unit) for product in self.products]
        self.factors = np.concatenate(parts, axis=1)

    def weights(self, sample: int, places: Sequence[int], rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """Return weights with which a sample's logits lead to places in the exponential table, one a class."""
        factors = self.factors[sample].tolist()
        most = self.spec.weight.max_word
        reach = most * sum(map(abs, factors)) * 3 // 4
        deepest = self._distances(max(places))[0]
        greatest = int(rng.integers(deepest - reach, reach + 1)) if 2 * reach > deepest else deepest // 2
        rows: dict[int, list[int]] = {}
        first = places.index(0)
        rows[first] = _solve(factors, (greatest,), most, rng)
        greatest = sum(f * w for f, w in zip(factors, rows[first], strict=True))
        for k, place in enumerate(places):
            if k != first:
                nearest, farthest = self._distances(place)
                one = rng.choice([nearest, farthest, min(nearest + 1, farthest)])
                rows[k] = _solve(factors, (greatest - int(one), greatest - (nearest + farthest) // 2), most, rng)
        table = np.array([rows[k] for k in range(len(places))], dtype=np.int64)
        loaded, begin = list(self.loaded), 0
        for product in self.products:
            end = begin + self.spec.graph.layers[product.source].size
            loaded[product.matrix] = table[:, begin:end]
            begin = end
        return loaded

    def _distances(self, place: int) -> tuple[int, int]:
        """Return the least and greatest distance from the greatest logit that lead to a place in the table."""
        shift = self.spec.softmax.index_shift - self.unit
        if shift <= 0:
            return place >> -shift, place >> -shift
        half = 1 << (shift - 1)
        return max((place << shift) - half, 0), (place << shift) + half - 1


def _solve(factors: Sequence[int], goals: Sequence[int], most: int, rng: np.random.Generator) -> list[int]:
    """Find words, up to ``most`` in magnitude, whose products with factors add up to a goal; nearly if none does.

    All words but two are drawn, then made to leave little; the two make the rest.  The last goal is the one to be near.
    """
    order = sorted((k for k, factor in enumerate(factors) if factor), key=lambda k: -abs(factors[k]))
    words = [0] * len(factors)
    if not order:
        return words
    a, b = _pair(factors, order)
    for attempt in range(_TRIES):
        goal = goals[min(attempt * len(goals) // _TRIES, len(goals) - 1)]
        words = [int(word) for word in rng.integers(-most, most + 1, len(factors))]
        words[a] = words[b] = 0
        rest = goal - sum(f * w for f, w in zip(factors, words, strict=True))
        for k in order:
            if k not in (a, b) and 2 * abs(rest) > most * (abs(factors[a]) + abs(factors[b])):
                word = _limited(words[k] + _nearest(rest, factors[k]), most)
                rest -= factors[k] * (word - words[k])
                words[k] = word
        found = _two(factors[a], factors[b], rest, most, rng) if a != b else None
        if found is not None:
            words[a], words[b] = found
            return words
    words[a] = _limited(_nearest(rest, factors[a]), most)
    if a != b:
        words[b] = _limited(_nearest(rest - factors[a] * words[a], factors[b]), most)
    return words


def _pair(factors: Sequence[int], order: Sequence[int]) -> tuple[int, int]:
    """Choose two of the smallest factors, if possible without a common divisor; the larger one first."""
    pairs = list(combinations(order[-8:], 2)) or [(order[0], order[0])]
    return min(pairs, key=lambda pair: (math.gcd(factors[pair[0]], factors[pair[1]]), abs(factors[pair[0]])))


def _two(a: int, b: int, rest: int, most: int, rng: np.random.Generator) -> tuple[int, int] | None:
    """Find ``a * x + b * y == rest`` with both words in range."""
    divisor = math.gcd(a, b)
    if rest % divisor:
        return None
    a, b, rest = a // divisor, b // divisor, rest // divisor
    step = abs(b)
    begin = rest * pow(a, -1, step) % step
    ends = sorted(((rest - abs(b) * most) * (1 if a > 0 else -1), (rest + abs(b) * most) * (1 if a > 0 else -1)))
    low, high = max(-(-ends[0] // abs(a)), -most), min(ends[1] // abs(a), most)
    first, last = -((begin - low) // step), (high - begin) // step
    if first > last:
        return None
    x = begin + step * int(rng.integers(first, last + 1))
    return x, (rest - a * x) // b


def _nearest(word: int, divisor: int) -> int:
    return (2 * word + abs(divisor)) // (2 * abs(divisor)) * (1 if divisor > 0 else -1)


def _limited(word: int, most: int) -> int:
    return max(-most, min(word, most))
