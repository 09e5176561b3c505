"""Trainings, three ways that give the same words: the golden model, networks side by side in arrays, or in blocks."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.datasets import Dataset
from ..design.document import Design
from ..errors import FormatError
from ..golden import NetworkModel
from ..golden_batch import Arrays, BatchModel, BlockModel, Bounds, Device
from ..processes import one_blas_thread
from ..spec.network import NetworkSpec
from ..training.samples import as_words, epoch_order
from .trained import Epoch, Trained, words_hash

__all__ = ["Coded", "by_arrays", "by_blocks", "by_golden", "engine_of"]

_TESTED = 64
"""Test samples at once."""

OnEpoch = Callable[[float], object]
"""Called after every epoch with its mean test accuracy."""


@dataclass(frozen=True)
class Coded:
    """A data set whose inputs have at most 256 values, such as pixels of 8 bits.

    Parameters
    ----------
    train, test : (n, inputs) uint8 arrays
        Number of the value of every input.
    values : (k,) float32 array
        The values, rising.
    """

    train: NDArray[np.uint8]
    test: NDArray[np.uint8]
    values: NDArray[Any]

    @classmethod
    def of(cls, dataset: Dataset) -> "Coded | None":
        """Return a data set by the numbers of its values; None if they are too many."""
        parts = (dataset.train_inputs, dataset.test_inputs)
        some = np.unique(np.concatenate([part[:1000].reshape(-1) for part in parts]))
        if len(some) > 256:
            return None
        numbered = [_numbered(part, some) for part in parts]
        if any(part is None for part in numbered):  # a value that the first samples do not have
            some = np.unique(np.concatenate([np.unique(part) for part in parts]))
            if len(some) > 256:
                return None
            numbered = [_numbered(part, some) for part in parts]
        train, test = numbered
        assert train is not None
        assert test is not None
        return cls(train, test, some)


def _numbered(inputs: NDArray[Any], values: NDArray[Any]) -> NDArray[np.uint8] | None:
    numbers = np.minimum(np.searchsorted(values, inputs), len(values) - 1).astype(np.uint8)
    return numbers if np.array_equal(values[numbers], inputs) else None


def engine_of(spec: NetworkSpec, coded: bool) -> str:
    """Return the fastest way that carries a network on a GPU: ``blocks``, ``arrays`` or ``golden``."""
    bounds, learning = Bounds((spec,)), spec.design.learning
    try:
        bounds.check()
        for rate in {learning.rate_at(epoch) for epoch in range(learning.epochs)}:
            for matrix in spec.graph.learned:
                bounds.update_shift(spec, matrix, rate)
    except FormatError:
        return "golden"
    split = bounds.splits_words or any(bounds.splits_update(matrix) for matrix in spec.graph.learned)
    return "arrays" if split or not coded else "blocks"


@one_blas_thread()
def by_golden(design: Design, dataset: Dataset, on_epoch: OnEpoch | None = None) -> Trained:
    """Train one network as :func:`fregen.training.loop.train` does.

    Raises
    ------
    FormatError, DesignError
        If the golden model cannot carry it.
    """
    begin, epochs = time.perf_counter(), []
    network = NetworkModel(NetworkSpec(design))
    inputs, tested = as_words(dataset.train_inputs, network.spec), as_words(dataset.test_inputs, network.spec)
    for number in range(design.learning.epochs):
        order = epoch_order(design.seed, number, len(inputs))
        found = network.train_epoch(inputs, dataset.train_labels, order, design.learning.rate_at(number))
        test = network.accuracy(tested, dataset.test_labels)
        saturations = found.weight_saturations, found.offset_saturations
        epochs.append(Epoch(test, found.accuracy, found.free_steps, found.nudged_steps, *saturations))
        if on_epoch:
            on_epoch(test)
    return Trained("golden", tuple(epochs), words_hash(network.weights), time.perf_counter() - begin)


# Side by side ---------------------------------------------------------------------------------------------------------


def by_arrays(
    designs: Sequence[Design], dataset: Dataset, arrays: Arrays, on_epoch: OnEpoch | None = None
) -> list[Trained]:
    """Train networks of one group by array operations.

    Raises
    ------
    DesignError, FormatError
        If they are no group, or not carried (:func:`engine_of`).
    """
    begin, specs = time.perf_counter(), [NetworkSpec(design) for design in designs]
    model, learning = BatchModel(specs, arrays), designs[0].learning
    formats = list(dict.fromkeys(spec.state for spec in specs))
    ones = [next(spec for spec in specs if spec.state == q) for q in formats]
    which = arrays.put(np.array([[formats.index(spec.state)] for spec in specs]))
    words, tested = (
        arrays.put(np.stack([as_words(inputs, one) for one in ones]))
        for inputs in (dataset.train_inputs, dataset.test_inputs)
    )
    classes, tested_classes = arrays.put(dataset.train_labels), arrays.put(dataset.test_labels)
    count, tests, state, history = len(dataset.train_labels), len(dataset.test_labels), model.initial(), []
    for number in range(learning.epochs):
        shifts = model.shifts([design.learning.rate_at(number) for design in designs])
        order, sums = arrays.put(_order(designs, number, count).astype(np.int64)), 0
        for start in range(0, count, learning.batch):
            chosen = order[:, start : start + learning.batch]
            labels = classes[chosen]
            state, found = model.step(state, words[which, chosen], labels, shifts)
            right = arrays.whole(found.predictions == labels).sum(-1)
            steps = (found.free_steps.sum(-1), found.nudged_steps.sum(-1))
            parts = (right, *steps, found.weight_saturations, found.offset_saturations)
            sums = sums + arrays.xp.stack([arrays.whole(part) for part in parts])
        hits: Any = 0
        for start in range(0, tests, _TESTED):
            part = slice(start, start + _TESTED)
            predicted = model.predictions(state.weights, tested[which[:, 0], part])
            hits = hits + arrays.whole(predicted == tested_classes[part]).sum(-1)
        history.append(_epochs(arrays.fetch(hits), arrays.fetch(sums), tests, count))
        if on_epoch:
            on_epoch(float(np.mean([epoch.test for epoch in history[-1]])))
    return _trainings("arrays", history, model.words(state), begin)


def by_blocks(
    designs: Sequence[Design], dataset: Dataset, coded: Coded, device: Device, on_epoch: OnEpoch | None = None
) -> list[Trained]:
    """Train networks of one group by a block of threads each.

    Raises
    ------
    DesignError, FormatError
        If they are no group, or not carried (:func:`engine_of`).
    """
    begin, learning = time.perf_counter(), designs[0].learning
    model = BlockModel([NetworkSpec(design) for design in designs], device)
    train = model.levels(coded.train, coded.values, dataset.train_labels)
    test = model.levels(coded.test, coded.values, dataset.test_labels)
    count, tests, history = len(dataset.train_labels), len(dataset.test_labels), []
    every = np.broadcast_to(np.arange(tests, dtype=np.int32), (len(designs), tests))
    tested = [device.put(part) for part in _launches(every, _TESTED)]
    following = _launches(_order(designs, 0, count), learning.batch)
    learnt: list[Any] = [None] * len(following)
    inferred: list[Any] = [None] * len(tested)
    before: tuple[Any, Any] = (0, 0)
    for number in range(learning.epochs):
        rates = [design.learning.rate_at(number) for design in designs]
        for k, part in enumerate(following):
            order, (batches, _, samples) = device.put(part), part.shape
            learnt[k] = model.enqueue(train, None, order, train.classes, batches, samples, rates, learnt[k])
        for k, order in enumerate(tested):
            batches, _, samples = order.shape
            inferred[k] = model.enqueue(test, None, order, test.classes, batches, samples, None, inferred[k])
        if number + 1 < learning.epochs:  # drawn while the device computes
            following = _launches(_order(designs, number + 1, count), learning.batch)
        steps = sum(device.fetch(given[1]).sum((0, 2)) for given in learnt)
        counts = sum(device.fetch(given[2]) for given in learnt)
        hits = sum(device.fetch(given[2])[:, 2] for given in inferred)
        now, sought = counts - before[0], hits - before[1]
        before = counts, hits
        sums = np.stack([now[:, 2], steps[:, 0], steps[:, 1], now[:, 0], now[:, 1]])
        history.append(_epochs(sought, sums, tests, count))
        if on_epoch:
            on_epoch(float(np.mean([epoch.test for epoch in history[-1]])))
    return _trainings("blocks", history, model.words, begin)


def _order(designs: Sequence[Design], epoch: int, samples: int) -> NDArray[np.int32]:
    """Return which samples every network learns, (networks, samples); networks of one seed the same."""
    drawn = {seed: epoch_order(seed, epoch, samples).astype(np.int32) for seed in {d.seed for d in designs}}
    return np.stack([drawn[design.seed] for design in designs])


def _launches(order: NDArray[np.int32], size: int) -> list[NDArray[np.int32]]:
    """Cut (networks, n) samples into batches, (batches, networks, size), and what is left, (1, networks, rest)."""
    networks, count = order.shape
    whole = count // size * size
    full = np.ascontiguousarray(order[:, :whole].reshape(networks, -1, size).swapaxes(0, 1))
    rest = np.ascontiguousarray(order[None, :, whole:])
    return [part for part in (full, rest) if part.size]


def _epochs(hits: NDArray[Any], sums: NDArray[Any], tests: int, count: int) -> list[Epoch]:
    """Return an epoch of every network from its sums: right, free and nudged steps, saturations of two kinds."""
    return [
        Epoch(int(hit) / tests, int(right) / count, int(free) / count, int(nudged) / count, int(weights), int(offsets))
        for hit, right, free, nudged, weights, offsets in zip(hits, *sums, strict=True)
    ]


def _trainings(
    engine: str, history: Sequence[Sequence[Epoch]], words: Sequence[Sequence[NDArray[Any]]], begin: float
) -> list[Trained]:
    def made() -> Iterator[Trained]:
        for k, weights in enumerate(words):
            yield Trained(engine, tuple(epochs[k] for epochs in history), words_hash(weights), seconds)

    seconds = (time.perf_counter() - begin) / len(words)
    return list(made())
