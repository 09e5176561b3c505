"""Measure how fast the float model learns: two networks of the paper, two types of numbers, with and without tolerance.

All cases of a network learn the same batches from the same initial weights, so that they do the same work; they take
turns, and the best turn of each counts, so that what else the machine does hits none of them alone.  Even so, only
ratios within one run can be compared: samples a second of two runs differ with the machine and with its load.  With a
tolerance the ratio also depends on the samples and on how far the training is: it is that of the first batches.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.datasets import load
from ..design.document import Design
from ..errors import DataError, FregenError
from ..float_model import FloatNetwork
from ..processes import one_blas_thread
from ..progress import Progress
from ..reproduce.target import paper
from ..training.samples import epoch_order

__all__ = ["CASES", "Case", "Samples", "compare", "measure_cases", "networks", "request", "rows", "samples_of"]

SAMPLES = 20_000
"""Training samples that the batches are drawn from."""
SECONDS = 2.0
"""About how long a turn of a network's reference case lasts, s; its other cases learn as many batches."""
REPEATS = 3
"""Turns of every case."""

_CALIBRATIONS = 3


@dataclass(frozen=True)
class Case:
    """One network in one way of computing.

    Parameters
    ----------
    network : str
        Key of :func:`networks`.
    dtype : {"float64", "float32"}
        Type of the numbers; what :func:`fregen.training.loop.train` calls the precision ``double`` and ``single``.
    tolerance : float, optional
        Where phases end early; see :class:`fregen.float_model.FloatRelax`.  By default they have their T and K steps.
    """

    network: str
    dtype: str
    tolerance: float | None = None

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"{self.network} {self.dtype}" + ("" if self.tolerance is None else f", tolerance {self.tolerance:g}")

    @property
    def is_reference(self) -> bool:
        """Whether the network's other cases are compared with it."""
        return self.dtype == "float64" and self.tolerance is None


CASES = (
    Case("5x64", "float64"),
    Case("5x64", "float32"),
    Case("5x64", "float64", 0.01),
    Case("5x64", "float32", 0.01),
    Case("2x512", "float64"),
    Case("2x512", "float32"),
)
"""What is measured; of every network the reference is there."""


@dataclass(frozen=True)
class Samples:
    """What the networks learn.

    Parameters
    ----------
    inputs : (n, inputs) float32 array
        Values in [0, 1].
    labels : (n,) int64 array
        Classes, from 0.
    name : str
        Name of the folder, ``mnist``; or ``random``: inputs and labels drawn evenly, from which nothing can be learned.
    reason : str
        Why they are random; else empty.
    """

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    name: str
    reason: str = ""


def networks() -> dict[str, Design]:
    """Return designs by name, as in the paper's tables: 5x64 (T = 50, K = 25) and 2x512 (T = 10, K = 5), batch 500."""
    return {
        "5x64": paper((64,) * 5, "full", 0),
        "2x512": paper((512,) * 2, "full", 0, {"beta": 0.01}, {"free_steps": 10, "nudged_steps": 5}),
    }


def samples_of(design: Design) -> Samples:
    """Load the training samples of a design; draw as many as it asks for where they are not found.

    Parameters
    ----------
    design : Design
        Its data and ``data.train``; a draw is ``np.random.default_rng(0)``'s.
    """
    try:
        dataset = load(design)
    except DataError as error:
        random, sizes = np.random.default_rng(0), design.network.sizes
        count = design.data.train or SAMPLES
        inputs = random.random((count, sizes[0]), dtype=np.float32)
        return Samples(inputs, random.integers(sizes[-1], size=count), "random", str(error))
    return Samples(dataset.train_inputs, dataset.train_labels, dataset.name)


@one_blas_thread()
def compare(
    designs: Mapping[str, Design],
    cases: Sequence[Case],
    samples: Samples,
    seconds: float = SECONDS,
    repeats: int = REPEATS,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure samples learned a second, case by case.

    Every case is warmed up with one batch.  Then a turn learns as many batches as the network's reference learns in
    ``seconds``, at least one.

    Parameters
    ----------
    designs : mapping of str to Design
        By name of the network.
    cases : sequence of Case
        With a reference for every network.
    samples : Samples
        What is learned.
    seconds : float
        About how long a turn of a reference lasts, s.
    repeats : int
        Turns of every case.
    progress : callable, optional
        Called with turns done, turns in total, and what is under way.

    Returns
    -------
    dict
        ``data``, ``data_reason``, ``repeats``, ``threads``, and ``cases``: by name, with ``samples_per_s`` (the best
        turn), ``samples_per_s_by_turn``, ``ratio_to_float64`` (the best over the reference's best), and the mean number
        of steps a sample has taken, ``free_steps_taken`` and ``nudged_steps_taken``.
    """
    notify: Progress = progress or (lambda *_: None)
    total = (repeats + 1) * len(cases)
    inputs = {dtype: samples.inputs.astype(dtype) for dtype in {case.dtype for case in cases}}
    models = {case: FloatNetwork(designs[case.network], case.dtype, tolerance=case.tolerance) for case in cases}
    steps: dict[Case, tuple[float, float]] = {}

    def learn(case: Case, batches: int) -> float:
        """Learn from the initial weights; return samples a second."""
        model, design = models[case], designs[case.network]
        size = batches * design.learning.batch
        order = np.resize(epoch_order(design.seed, 0, len(samples.labels)), size)
        model.initial()
        begin = time.perf_counter()
        result = model.train_epoch(inputs[case.dtype], samples.labels, order, design.learning.rate_at(0))
        rate = size / (time.perf_counter() - begin)
        steps[case] = result.free_steps, result.nudged_steps
        return rate

    batches: dict[str, int] = {}
    for done, case in enumerate(cases):
        notify(done, total, f"{case.name}, warming up")
        learn(case, 1)
        if case.is_reference:
            rate = max(learn(case, 1) for _ in range(_CALIBRATIONS))
            batches[case.network] = max(1, round(seconds * rate / designs[case.network].learning.batch))
    turns: dict[Case, list[float]] = {case: [] for case in cases}
    for turn in range(repeats):
        for number, case in enumerate(cases):
            notify((turn + 1) * len(cases) + number, total, case.name)
            turns[case].append(learn(case, batches[case.network]))
    notify(total, total, "")
    best = {case: max(rates) for case, rates in turns.items()}
    reference = {case.network: best[case] for case in cases if case.is_reference}
    found = {}
    for case in cases:
        design = designs[case.network]
        found[case.name] = {
            "samples_per_s": best[case],
            "samples_per_s_by_turn": turns[case],
            "ratio_to_float64": best[case] / reference[case.network],
            "free_steps_taken": steps[case][0],
            "nudged_steps_taken": steps[case][1],
            "dtype": case.dtype,
            "tolerance": case.tolerance,
            "layers": design.network.sizes,
            "free_steps": design.free_steps,
            "nudged_steps": design.nudged_steps,
            "batch": design.learning.batch,
            "batches": batches[case.network],
        }
    return {
        "data": samples.name,
        "data_reason": samples.reason,
        "repeats": repeats,
        "threads": 1,
        "cases": found,
    }


def rows(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Lines of the table from what :func:`compare` returned: figure, measured, nothing wanted."""
    return [
        (
            f"float model {name} ({found['data']})",
            f"{case['samples_per_s']:,.0f} samples/s, {case['ratio_to_float64']:.2f} x float64",
            "",
        )
        for name, case in found["cases"].items()
    ]


# Process of its own -------------------------------------------------------------------------------------------------


def request(path: str | None = None) -> dict[str, Any]:
    """Return what :func:`measure_cases` reads: all cases.

    Parameters
    ----------
    path : str, optional
        Folder of the MNIST files; by default the environment variable ``FREGEN_DATA`` names it.
    """
    data = {"path": path, "train": SAMPLES}
    return {
        "designs": {name: design.replace(data=data).table() for name, design in networks().items()},
        "seconds": SECONDS,
        "repeats": REPEATS,
    }


def measure_cases() -> None:
    """Measure what stdin asks for, and write it to stdout: the inner side of a measurement."""
    asked = json.load(sys.stdin)

    def progress(done: int, total: int, text: str) -> None:
        print(json.dumps({"done": done, "total": total, "text": text}), flush=True)

    try:
        designs = {name: Design.parse(table) for name, table in asked["designs"].items()}
        samples = samples_of(next(iter(designs.values())))
        found = compare(designs, CASES, samples, asked["seconds"], asked["repeats"], progress)
    except FregenError as error:
        print(json.dumps({"error": str(error)}))
        return
    print(json.dumps(found), flush=True)
