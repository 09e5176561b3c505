"""Networks computed side by side against the golden model, word for word.

``python -m fregen.verification.side_by_side --designs N --seed S`` compares designs drawn at random over the whole
design-file space: each alone, and every third with others of its shape and of other formats, roundings, scales and
rates.  ``--library torch`` computes on a GPU where there is one, ``--library blocks`` by the kernel.
"""

import itertools
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from ..design.document import Design
from ..errors import FormatError, FregenError
from ..golden import NetworkModel, Trace
from ..golden_batch import Arrays, BatchModel, BlockModel, CupyDevice, Device, Group, Record, load_arrays
from ..golden_batch.arrays import LIBRARIES
from ..spec.network import NetworkSpec
from .draw import draw_design, draw_table

__all__ = ["Compared", "Survey", "alike", "compare", "survey"]

MOST_WORK, MOST_SMALL = 4_000_000, 200_000
"""Multiplications of a batch of one network, all steps together, of designs that are compared, and of small ones."""


@dataclass
class Compared:
    """What a comparison found.

    Parameters
    ----------
    words : int
        Words, steps and counts that were compared.
    wrong : list of str
        For every kind of word of every network and batch that differs: where first, and both words.
    """

    words: int = 0
    wrong: list[str] = field(default_factory=list)

    def check(self, where: str, found: Any, wanted: Any) -> None:
        """Compare two arrays of words."""
        found, wanted = np.asarray(found), np.asarray(wanted)
        self.words += wanted.size
        if found.shape != wanted.shape:
            self.wrong.append(f"{where}: shape {found.shape}, golden {wanted.shape}")
        elif (differ := found != wanted).any():
            at = tuple(int(i) for i in np.argwhere(differ)[0]) if wanted.ndim else ()
            many = f"{np.count_nonzero(differ)} of {differ.size} differ"
            self.wrong.append(f"{where}{list(at)}: {found[at]}, golden {wanted[at]}; {many}")


class _ByArrays:
    """Networks side by side in array operations: every word can be compared."""

    def __init__(self, specs: Sequence[NetworkSpec], using: Arrays) -> None:
        self._model = BatchModel(specs, using)
        self._state = self._model.initial()

    def load(self, words: Sequence[Sequence[NDArray[Any]]], keys: Sequence[int]) -> None:
        self._state = self._model.state(words, keys)

    def learn(self, inputs: NDArray[Any], labels: NDArray[Any], rates: Sequence[float]) -> dict[str, NDArray[Any]]:
        fetch, record = self._model.arrays.fetch, Record()
        self._state, learnt = self._model.learn(self._state, inputs, labels, rates, record)
        found = {name: fetch(value) for name, value in vars(learnt).items()}
        for name in ("logits", "errors", "contrast"):
            found[name] = fetch(getattr(record, name))
        for name in ("states", "nudged", "nudged_errors"):
            if steps := [fetch(words) for words in getattr(record, name)]:
                found[name] = np.stack(steps, axis=2)
        return found

    def after(self) -> tuple[list[list[NDArray[np.int64]]], list[int]]:
        return self._model.words(self._state), self._model.keys(self._state)

    def infer(self, inputs: NDArray[Any]) -> NDArray[Any]:
        return self._model.infer(self._state, inputs)


class _ByBlocks:
    """Networks by a block of threads each: what comes out of a batch can be compared."""

    def __init__(self, specs: Sequence[NetworkSpec], device: Device) -> None:
        self._model = BlockModel(specs, device)
        self.load, self.infer = self._model.load, self._model.infer

    def learn(self, inputs: NDArray[Any], labels: NDArray[Any], rates: Sequence[float]) -> dict[str, NDArray[Any]]:
        found = vars(self._model.learn(inputs, labels, rates))
        return {name: value[0] if value.ndim == 3 else value for name, value in found.items()}

    def after(self) -> tuple[list[list[NDArray[np.int64]]], list[int]]:
        return self._model.words, self._model.keys


def compare(
    specs: Sequence[NetworkSpec], seed: int, batches: int = 3, using: Arrays | Device | None = None
) -> Compared:
    """Let networks learn side by side and each by itself, and compare all words after every batch.

    Parameters
    ----------
    specs : sequence of NetworkSpec
        A group.
    seed : int
        Draws weights (usual, any or extreme ones), inputs, labels and rates.
    batches : int
        How many; the last one is not full, and then three samples are inferred.
    using : Arrays or Device, optional
        The library that computes, or where a block of threads a network does; NumPy when absent.
    """
    result, rng = Compared(), np.random.default_rng([seed, 37])
    models = [NetworkModel(spec) for spec in specs]
    both: _ByArrays | _ByBlocks
    both = (
        _ByArrays(specs, using or Arrays()) if using is None or isinstance(using, Arrays) else _ByBlocks(specs, using)
    )
    if rng.random() < 0.6:
        words = [_weights(spec, rng) for spec in specs]
        both.load(words, [model.key for model in models])
        for model, given in zip(models, words, strict=True):
            model.load(given)
    size = specs[0].design.learning.batch
    for number in range(batches):
        samples = size if number + 1 < batches else max(1, size // 2)
        inputs = np.stack([_inputs(spec, samples, rng) for spec in specs])
        labels = rng.integers(0, specs[0].graph.layers[-1].size, (len(specs), samples))
        rates = [_rate(model, spec, rng) for model, spec in zip(models, specs, strict=True)]
        found = both.learn(inputs, labels, rates)
        after, keys = both.after()
        for k, model in enumerate(models):
            trace = Trace()
            golden = model.learn(inputs[k], labels[k], rates[k], trace)
            where = f"network {k} ({specs[k].design.name}), batch {number}: "
            for name, wanted in _wanted(golden, trace):
                if name not in found:
                    continue
                array = found[name]
                if name in ("states", "nudged", "nudged_errors"):  # all steps here, until all samples stop there
                    last = wanted[:, -1:]
                    wanted = np.concatenate([wanted, *[last] * (array.shape[2] - wanted.shape[1])], axis=1)
                result.check(where + name, array[k], wanted)
            result.check(where + "key", keys[k], model.key)
            for matrix, ours, theirs in zip(model.graph.matrices, after[k], model.weights, strict=True):
                result.check(where + matrix.name, ours, theirs)
    inputs = np.stack([_inputs(spec, 3, rng) for spec in specs])
    for k, (model, predictions) in enumerate(zip(models, both.infer(inputs), strict=True)):
        result.check(f"network {k} ({specs[k].design.name}): inferred", predictions, model.infer(inputs[k]))
    return result


def _wanted(golden: Any, trace: Trace) -> Iterator[tuple[str, Any]]:
    yield from ((name, value) for name, value in vars(golden).items())
    for name in ("states", "logits", "errors", "nudged", "nudged_errors", "contrast"):
        if kept := getattr(trace, name):
            yield name, kept[-1]


def _weights(spec: NetworkSpec, rng: np.random.Generator) -> list[NDArray[Any]]:
    low, high = spec.weight.min_word, spec.weight.max_word
    shapes = [spec.graph.shape(matrix) for matrix in spec.graph.matrices]
    if rng.random() < 0.4:
        return [rng.choice([low, high, 0, 1, -1], shape) for shape in shapes]
    few = max(high >> int(rng.integers(0, spec.weight.width)), 1)
    return [rng.integers(-few, few + 1, shape) for shape in shapes]


def _inputs(spec: NetworkSpec, samples: int, rng: np.random.Generator) -> NDArray[np.int64]:
    low, high = spec.state.min_word, spec.state.max_word
    shape = samples, spec.graph.layers[0].size
    words = rng.integers(low if rng.random() < 0.5 else 0, high + 1, shape)
    words = np.where(rng.random(shape) < 0.1, rng.choice([low, high, 1, -1], shape), words)
    return words * (rng.random(shape) < rng.choice([0.1, 0.5, 1.0], (samples, 1)))


def _rate(model: NetworkModel, spec: NetworkSpec, rng: np.random.Generator) -> float:
    """Draw a rate that the golden model's arithmetic holds; mostly the design's."""
    rate = 2.0 ** -int(rng.integers(0, 16))
    if rng.random() < 0.5:
        return spec.design.learning.rate
    try:
        for matrix in spec.graph.learned:
            model.carrier.updates_in_float(matrix, rate)
    except FregenError:
        return spec.design.learning.rate
    return rate


# Groups ---------------------------------------------------------------------------------------------------------------


def alike(table: dict[str, Any], count: int, rng: np.random.Generator) -> list[NetworkSpec]:
    """Draw networks of the shape of a design that differ in everything in which a group may.

    Parameters
    ----------
    table : dict
        The design, as :class:`fregen.verification.draw.Draw` has it.
    count : int
        How many are wanted, the design itself first; what the validator refuses is drawn again, 20 times each at most.
    rng : Generator
        Draws them.
    """
    specs = [NetworkSpec(Design.parse(table))]
    for _ in range(20 * (count - 1)):
        if len(specs) == count:
            break
        other = draw_table(rng, f"g{len(specs)}")
        drawn, learning = other["network"], dict(table["learning"])
        learning |= {key: other["learning"][key] for key in ("nudge", "rate", "gain")}
        network = {key: value for key, value in table["network"].items() if key not in ("alpha", "beta", "scales")}
        network |= {key: drawn[key] for key in ("alpha", "beta") if key in drawn}
        own = {"numerics": other["numerics"], "seed": int(rng.integers(2**31))}
        try:
            spec = NetworkSpec(
                Design.parse({**table, **own, "name": other["name"], "network": network, "learning": learning})
            )
            model = NetworkModel(spec)
            for matrix in spec.graph.learned:
                model.carrier.updates_in_float(matrix, spec.design.learning.rate)
        except FregenError:
            continue
        specs.append(spec)
    return specs


def _work(design: Design) -> int:
    sizes = design.network.sizes
    weights = sum(a * b for a, b in itertools.pairwise(sizes)) * (1 + len(sizes) // 3)
    return weights * (design.free_steps + design.nudged_steps) * design.learning.batch


@dataclass
class Survey:
    """Comparisons of many designs.

    Parameters
    ----------
    compared : Compared
        All of them together.
    networks, left_out, refused : int
        Networks compared; designs that were left out because they cost too much, and those too wide for a block.
    kinds : Counter
        Of how many networks (of groups) each kind was.
    """

    compared: Compared = field(default_factory=Compared)
    networks: int = 0
    left_out: int = 0
    refused: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    def count(self, specs: Sequence[NetworkSpec]) -> None:
        """Take note of what a group was."""
        self.networks += len(specs)
        for spec in specs:
            learning, numerics = spec.design.learning, spec.design.numerics
            self.kinds.update((spec.design.network.topology, learning.nudged, learning.order, str(numerics.rounding)))
            self.kinds.update((f"error {learning.error}", "stops" if learning.stop else "all steps"))
            self.kinds.update((spec.design.network.feedback, numerics.activation.function))
        self.kinds["groups of several"] += len(specs) > 1
        self.kinds["groups that multiply in two parts"] += Group(specs).bounds.splits_words

    def __str__(self) -> str:
        wrong = self.compared.wrong
        lines = [
            f"{self.networks} networks, {self.compared.words:,} words compared, {len(wrong)} kinds of words differ",
            f"left out: {self.left_out} designs of too many multiplications a batch, {self.refused} of "
            "formats too wide for a block of threads",
            ", ".join(f"{name} {count}" for name, count in sorted(self.kinds.items())),
        ]
        return "\n".join(lines + wrong[:20])


def survey(
    designs: int, seed: int, using: Arrays | Device, group: int = 6, seconds: float = 1e9, most: int = MOST_WORK
) -> Survey:
    """Compare designs drawn at random, until there are so many networks or so much time has gone by.

    Parameters
    ----------
    designs : int
        Networks wanted.
    seed : int
        Which sequence of designs and words.
    using : Arrays or Device
        Where.
    group : int
        Networks of every third group; the others have one.
    seconds : float
        After which no other group is begun.
    most : int
        Multiplications of a batch of a design; what costs more is left out.
    """
    done, number, begin = Survey(), 0, time.monotonic()
    while done.networks < designs and time.monotonic() - begin < seconds:
        draw = draw_design(seed, number)
        rng = np.random.default_rng([seed, number, 41])
        number += 1
        if _work(draw.design) > most:
            done.left_out += 1
            continue
        specs = alike(draw.table, group if number % 3 == 0 else 1, rng)
        try:
            compared = compare(specs, number, using=using)
        except FormatError:
            done.refused += 1
            continue
        done.count(specs)
        done.compared.words += compared.words
        done.compared.wrong += [f"seed {seed}, number {number - 1}: {line}" for line in compared.wrong]
    return done


@click.command()
@click.option("--designs", default=300, show_default=True, help="How many networks.")
@click.option("--seed", default=0, show_default=True, help="Which sequence of designs and words.")
@click.option(
    "--library",
    type=click.Choice([*LIBRARIES, "blocks"]),
    default="numpy",
    show_default=True,
    help="What computes; blocks: the kernel with a block of threads a network, on a GPU by CuPy.",
)
@click.option("--group", default=6, show_default=True, help="Networks of every third group; the others have one.")
def main(designs: int, seed: int, library: str, group: int) -> None:
    """Compare designs drawn at random; exit code 2 if a word differs."""
    begin = time.monotonic()
    found = survey(designs, seed, CupyDevice() if library == "blocks" else load_arrays(library), group)
    click.echo(found)
    click.echo(f"{library}, {time.monotonic() - begin:.0f} s")
    sys.exit(2 if found.compared.wrong else 0)


if __name__ == "__main__":
    main()
