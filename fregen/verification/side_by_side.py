"""Networks computed side by side against the golden model, word for word.

``python -m fregen.verification.side_by_side --designs N --seed S`` compares designs drawn at random over the whole
design-file space: each alone, and every third with others of its shape and of other formats, roundings, scales and
rates.  ``--library torch`` computes on a GPU where there is one.
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
from ..errors import FregenError
from ..golden import NetworkModel, Trace
from ..golden_batch import Arrays, BatchModel, Record, load_arrays
from ..golden_batch.arrays import LIBRARIES
from ..spec.network import NetworkSpec
from .draw import draw_design, draw_table

__all__ = ["Compared", "alike", "compare"]

MOST_WORK = 4_000_000
"""About how many multiplications a comparison of one network may cost."""


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


def compare(specs: Sequence[NetworkSpec], seed: int, batches: int = 3, using: Arrays | None = None) -> Compared:
    """Let networks learn side by side and each by itself, and compare all words after every batch.

    Parameters
    ----------
    specs : sequence of NetworkSpec
        A group.
    seed : int
        Draws weights (usual, any or extreme ones), inputs, labels and rates.
    batches : int
        How many; the last one is not full, and then three samples are inferred.
    using : Arrays, optional
        The library that computes.
    """
    result, rng = Compared(), np.random.default_rng([seed, 37])
    batch = BatchModel(specs, using)
    state, models = batch.initial(), [NetworkModel(spec) for spec in specs]
    if rng.random() < 0.6:
        words = [_weights(spec, rng) for spec in specs]
        state = batch.state(words, [model.key for model in models])
        for model, given in zip(models, words, strict=True):
            model.load(given)
    size = specs[0].design.learning.batch
    for number in range(batches):
        samples = size if number + 1 < batches else max(1, size // 2)
        inputs = np.stack([_inputs(spec, samples, rng) for spec in specs])
        labels = rng.integers(0, specs[0].graph.layers[-1].size, (len(specs), samples))
        rates = [_rate(model, spec, rng) for model, spec in zip(models, specs, strict=True)]
        record = Record()
        state, learnt = batch.learn(state, inputs, labels, rates, record)
        after, keys = batch.words(state), batch.keys(state)
        found = _fetched(batch.arrays, learnt, record)
        for k, model in enumerate(models):
            trace = Trace()
            golden = model.learn(inputs[k], labels[k], rates[k], trace)
            where = f"network {k} ({specs[k].design.name}), batch {number}: "
            for name, wanted in _wanted(golden, trace):
                array = found[name]
                if name in ("states", "nudged", "nudged_errors"):  # all steps here, until all samples stop there
                    last = wanted[:, -1:]
                    wanted = np.concatenate([wanted, *[last] * (array.shape[2] - wanted.shape[1])], axis=1)
                result.check(where + name, array[k], wanted)
            result.check(where + "key", keys[k], model.key)
            for matrix, ours, theirs in zip(model.graph.matrices, after[k], model.weights, strict=True):
                result.check(where + matrix.name, ours, theirs)
    inputs = np.stack([_inputs(spec, 3, rng) for spec in specs])
    for k, (model, predictions) in enumerate(zip(models, batch.infer(state, inputs), strict=True)):
        result.check(f"network {k} ({specs[k].design.name}): inferred", predictions, model.infer(inputs[k]))
    return result


def _fetched(using: Arrays, learnt: Any, record: Record) -> dict[str, NDArray[Any]]:
    found = {name: using.fetch(value) for name, value in vars(learnt).items()}
    for name in ("logits", "errors", "contrast"):
        found[name] = using.fetch(getattr(record, name))
    for name in ("states", "nudged", "nudged_errors"):
        steps = [using.fetch(words) for words in getattr(record, name)]
        if steps:
            found[name] = np.stack(steps, axis=2)
    return found


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


@click.command()
@click.option("--designs", default=300, show_default=True, help="How many.")
@click.option("--seed", default=0, show_default=True, help="Which sequence of designs and words.")
@click.option("--library", type=click.Choice(LIBRARIES), default="numpy", show_default=True)
@click.option("--group", default=6, show_default=True, help="Networks of every third group; the others have one.")
def main(designs: int, seed: int, library: str, group: int) -> None:
    """Compare designs drawn at random; exit code 2 if a word differs."""
    using, kinds = load_arrays(library), Counter[str]()
    words = networks = skipped = number = 0
    wrong: list[str] = []
    begin = time.monotonic()
    while networks < designs:
        draw = draw_design(seed, number)
        rng = np.random.default_rng([seed, number, 41])
        number += 1
        if _work(draw.design) > MOST_WORK:
            skipped += 1
            continue
        specs = alike(draw.table, group if number % 3 == 0 else 1, rng)
        compared = compare(specs, number, using=using)
        words, networks = words + compared.words, networks + len(specs)
        wrong += [f"seed {seed}, number {number - 1}: {line}" for line in compared.wrong]
        for spec in specs:
            learning, numerics = spec.design.learning, spec.design.numerics
            kinds.update((spec.design.network.topology, learning.nudged, learning.order, str(numerics.rounding)))
            kinds.update((f"error {learning.error}", "stops" if learning.stop else "all steps"))
            kinds.update((spec.design.network.feedback, numerics.activation.function))
        kinds["groups of several"] += len(specs) > 1
        kinds["groups that multiply in two parts"] += BatchModel(specs).group.bounds.splits_words
    took = f"{using.name}, {time.monotonic() - begin:.0f} s"
    click.echo(f"{networks} networks, {words:,} words compared, {len(wrong)} kinds of words differ; {took}")
    click.echo(f"{skipped} designs of more than {MOST_WORK:,} multiplications a batch were left out")
    click.echo(", ".join(f"{name} {count}" for name, count in sorted(kinds.items())))
    for line in wrong[:20]:
        click.echo(line)
    sys.exit(2 if wrong else 0)


if __name__ == "__main__":
    main()
