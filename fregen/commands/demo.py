"""The demonstration: train in software, generate the chip, let the chip itself learn, prove every word, report.

One design, one data set, one seed; float model and golden model both learn all epochs.  The chip's Verilog learns the
first ten from the initial weights and then classifies the test samples, in a single simulation; the bench compares
everything that it writes with the golden model.
"""

import json
import platform
import resource
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..claims import claimed_folder
from ..data.datasets import Dataset, load
from ..design.document import Design
from ..emit.render import folder
from ..emit.resources import Resource, resources
from ..errors import DataError
from ..files import make_folder, write
from ..golden import NetworkModel
from ..golden.trace import Trace
from ..plan import CycleModel, PhaseCycles, Schedule, unpack_weights
from ..plan.counters import COUNTERS
from ..plan.cycles import PHASES
from ..progress import StepProgress
from ..runs.prepare import Prepared, lay_out
from ..runs.scenario import Scenario
from ..runtime import BRIEF, FAST
from ..spec.network import NetworkSpec
from ..tools import survey
from ..training.loop import Model, TrainResult, train
from ..training.samples import as_words, epoch_order
from ..verification.models import Build, build
from ..verification.simulate import Result, run
from ..verification.verify import simulate
from ..views.figures import budget_figure, curves_figure, evolution_figure, svg
from .demo_report import evolution, report
from .generate import generate

__all__ = ["DESIGN", "DemoResult", "demo"]

DESIGN = Path("digits") / "design.toml"
"""The design of the demonstration, within the folder of reference designs."""

_MODELS: tuple[Model, ...] = ("float", "fixed")
EPOCHS = 10
"""Epochs that the chip learns."""
CLOCK_NS = 10
"""Clock period of the bench, ns of simulated time."""
QUICK_SAMPLES = 200
"""Training samples of the quick form, which learns one epoch."""


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration found.

    Parameters
    ----------
    summary : dict
        As ``summary.json`` has it.
    folder : Path
        Where report, summary, generated files and logs lie.
    first : tuple of str
        The first mismatches in words.
    wave : Path or None
        Waveform of the first mismatch.
    """

    summary: dict[str, Any]
    folder: Path
    first: tuple[str, ...] = ()
    wave: Path | None = None

    @property
    def passed(self) -> bool:
        """Whether every word was equal and the chip classifies as the golden model does."""
        return bool(self.summary["passed"])


@dataclass
class _Clock:
    """Seconds by step."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - begin


@dataclass(frozen=True)
class _Run:
    """The chip's run: what was asked, expected and found."""

    spec: NetworkSpec
    epochs: int
    tests: int
    learnt: int
    scenario: Scenario
    trace: Trace
    expected: dict[str, NDArray[Any]]
    curve: list[float]
    learn: PhaseCycles
    infer: PhaseCycles


def demo(
    out: str | Path,
    quick: bool = False,
    progress: StepProgress | None = None,
    design: str | Path | Design | None = None,
) -> DemoResult:
    """Run the demonstration.

    Parameters
    ----------
    out : path
        Folder for ``report.html``, ``summary.json``, the generated files (``rtl/``) and the logs (``run/``).
    quick : bool
        One epoch of 200 samples instead of ten whole ones, for tests.
    progress : callable, optional
        Called with step, done, total and a text.
    design : path or Design, optional
        Another design than ``rtl/digits/design.toml``.

    Raises
    ------
    DesignError, DataError, ToolError, OutputError
        If the design, its data, a tool or the folder is at fault.
    """
    chip = _chosen(design, quick)
    with claimed_folder(Path(out)):
        return _demo(chip, Path(out), quick, progress or (lambda *_: None))


def _demo(chip: Design, out: Path, quick: bool, notify: StepProgress) -> DemoResult:
    clock, begin = _Clock(), time.perf_counter()
    epochs = min(EPOCHS, chip.learning.epochs)
    run_folder, rtl_folder = (out / "run").resolve(), out / "rtl"
    make_folder(run_folder)
    dataset = load(chip)
    sources = [rtl_folder / f"{chip.name}.v", rtl_folder / "bench.v"]
    optimise = BRIEF if quick else FAST

    def make() -> Build:
        with clock.step("generate"):
            notify("generate", 0, 0, "Verilog")
            generate(chip, rtl_folder)
            notify("generate", 1, 1, "Verilog")
        with clock.step("build"):
            notify("build", 0, 0, "Verilator model")
            built = build(sources, optimise=optimise)
            notify("build", 1, 1, "Verilator model")
        return built

    def count() -> tuple[Resource, ...]:
        with clock.step("resources"):
            return resources(chip)

    with ThreadPoolExecutor(1) as helper:
        making: Future[Build] = helper.submit(make)
        counting = helper.submit(count)
        try:
            trained: dict[Model, TrainResult] = {}
            for model in _MODELS:
                step = f"train {model}"
                with clock.step(step):
                    trained[model] = train(chip, dataset, model, progress=partial(notify, step))
            with clock.step("golden trace"):
                asked = _ask(chip, dataset, epochs, notify)
                prepared = lay_out(asked.scenario, asked.expected, run_folder)
            built = making.result()
            with clock.step("simulate"):
                result, cpu_seconds = _simulate(built, prepared, asked, notify)
            cells = counting.result()
        except BaseException:
            counting.cancel()
            raise
    wave = None
    if not result.passed:
        _, wave = simulate(asked.scenario, sources, run_folder / "again")
    with clock.step("report"):
        summary = _summary(chip, asked, trained, result, run_folder)
        summary["simulation_cpu_seconds"] = cpu_seconds
        summary["rtl_cycles_per_cpu_s"] = _ratio(summary["cycles"]["clock"], cpu_seconds)
        summary["resources"] = [{"name": row.name, "cells": row.cells, "bits": row.bits} for row in cells]
        figures = _figures(asked, trained, summary)
        notify("report", 0, 1, "figures")
        clock.seconds["total"] = time.perf_counter() - begin
        summary["seconds"] = {name: round(value, 3) for name, value in clock.seconds.items()}
        write(out / "report.html", report(chip, summary, figures, cells, result))
        notify("report", 1, 1, "figures")
    clock.seconds["total"] = time.perf_counter() - begin
    summary["seconds"] = {name: round(value, 3) for name, value in clock.seconds.items()}
    write(out / "summary.json", json.dumps(summary, indent=1) + "\n")
    return DemoResult(summary, out, result.first, wave)


def _chosen(design: str | Path | Design | None, quick: bool) -> Design:
    chip = design if isinstance(design, Design) else Design.load(design or folder("rtl") / DESIGN)
    if quick:
        chip = chip.replace(learning={"epochs": 1, "rate_steps": ()}, data={"train": QUICK_SAMPLES})
    return chip


# The run ------------------------------------------------------------------------------------------------------------


def _ask(chip: Design, dataset: Dataset, epochs: int, notify: StepProgress) -> _Run:
    """Lay out the chip's run; let the golden model do it first."""
    spec = NetworkSpec(chip)
    inputs, tests = as_words(dataset.train_inputs, spec), as_words(dataset.test_inputs, spec)
    if not len(tests):
        raise DataError("the demonstration needs test samples")
    model = NetworkModel(spec)
    scenario = Scenario(spec, model.weights)
    for epoch in range(epochs):
        order = epoch_order(chip.seed, epoch, len(inputs))
        scenario.learn(inputs[order], dataset.train_labels[order], chip.learning.rate_at(epoch))
    updates = len(scenario.batches)
    scenario.infer(tests, dataset.test_labels)

    def advance(done: int, total: int, _: str) -> None:
        notify("golden trace", done, total, "every word of the chip's run")

    _, trace = scenario.trace(advance)
    expected = scenario.expected(trace)
    curve = _curve(model, expected["weights"], updates // epochs, tests, dataset.test_labels)
    learn, infer = _predicted(scenario, trace, updates, expected["counters"])
    return _Run(spec, epochs, len(tests), epochs * len(inputs), scenario, trace, expected, curve, learn, infer)


def _curve(
    model: NetworkModel, images: NDArray[Any], interval: int, tests: NDArray[Any], labels: NDArray[Any]
) -> list[float]:
    """Test accuracy after every epoch, from the weight images that the chip's own must equal."""
    memory = Schedule.of(model.spec).memory
    accuracies = []
    for image in images[interval::interval]:
        model.load(unpack_weights(memory, image))
        accuracies.append(model.accuracy(tests, labels))
    return accuracies


def _predicted(
    scenario: Scenario, trace: Trace, updates: int, counters: NDArray[np.int64]
) -> tuple[PhaseCycles, PhaseCycles]:
    """Cycles of learning and of inference, from the plan; the last update leaves the core idle in between."""
    learnt = sum(len(batch.inputs) for batch in scenario.batches[:updates])
    model, found = CycleModel(Schedule.of(scenario.spec)), dict(zip(COUNTERS, counters.tolist(), strict=True))
    cycles, macs = ({phase: found[f"{phase}_{what}"] for phase in PHASES} for what in ("cycles", "macs"))
    infer = model.predict(scenario.passages(trace)[learnt:])
    return PhaseCycles(cycles, macs, model.lanes, found["waiting_cycles"]) - infer, infer


def _cpu_seconds() -> float:
    """CPU time of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _simulate(built: Build, prepared: Prepared, asked: _Run, notify: StepProgress) -> tuple[Result, float]:
    """Run; return what was found and the CPU seconds of simulator, comparison and start."""
    total = asked.scenario.samples
    notify("simulate", 0, total, "the chip learns, every word is compared")

    def advance(samples: int) -> None:
        text = "the chip learns" if samples < total else "comparing every word"
        notify("simulate", min(samples, total - 1), total, text)

    before = _cpu_seconds()
    result = run(built, prepared, progress=advance)
    used = _cpu_seconds() - before
    notify("simulate", total, total, "every word compared")
    return result, used


# The summary --------------------------------------------------------------------------------------------------------


def _summary(
    chip: Design, asked: _Run, trained: dict[Model, TrainResult], result: Result, run_folder: Path
) -> dict[str, Any]:
    labels = np.concatenate([batch.labels for batch in asked.scenario.batches if batch.rate is None])
    own = np.fromfile(run_folder / "predictions.bin", dtype="<i4")[asked.learnt :]
    right = int(np.count_nonzero(own == labels)) if len(own) == asked.tests else 0
    golden = trained["fixed"].history[asked.epochs - 1].test_accuracy
    golden_right = round(golden * asked.tests)
    both = asked.learn + asked.infer
    measured = {
        phase: {what: result.counters.get(f"{phase}_{what}", 0) for what in ("cycles", "macs")} for phase in PHASES
    }
    clock_cycles = _clock_cycles(run_folder)
    lanes = chip.hardware.lanes
    waiting = result.counters.get("waiting_cycles", 0)
    busy = sum(row["cycles"] for row in measured.values()) + waiting
    macs = sum(row["macs"] for row in measured.values())
    phases = [
        {
            "phase": phase,
            "predicted_cycles": both.cycles[phase],
            "measured_cycles": measured[phase]["cycles"],
            "predicted_macs": both.macs[phase],
            "measured_macs": measured[phase]["macs"],
            "learn_cycles": asked.learn.cycles[phase],
            "infer_cycles": asked.infer.cycles[phase],
            "mac_utilisation": _ratio(measured[phase]["macs"], lanes * measured[phase]["cycles"]),
        }
        for phase in PHASES
    ]
    exact = (
        all(
            row["predicted_cycles"] == row["measured_cycles"] and row["predicted_macs"] == row["measured_macs"]
            for row in phases
        )
        and both.waiting == waiting
    )
    curve_agrees = asked.curve == [record.test_accuracy for record in trained["fixed"].history[: asked.epochs]]
    seconds = result.simulation_seconds
    return {
        "passed": result.passed and right == golden_right and exact and curve_agrees,
        "accuracy": {
            "float": trained["float"].last,
            "fixed": trained["fixed"].last,
            "rtl": right / asked.tests,
            "golden_after_rtl_epochs": golden,
            "float_after_rtl_epochs": trained["float"].history[asked.epochs - 1].test_accuracy,
        },
        "test_samples": asked.tests,
        "right": {"rtl": right, "golden": golden_right},
        "epochs": {"float": len(trained["float"].history), "fixed": len(trained["fixed"].history), "rtl": asked.epochs},
        "samples_learnt": asked.learnt,
        "words_compared": result.compared,
        "mismatches": result.mismatches,
        "cycles_per_sample": {
            "learn": asked.learn.total_cycles / asked.learnt,
            "infer": asked.infer.total_cycles / asked.tests,
        },
        "cycles": {"busy": busy, "clock": clock_cycles, "predicted": both.total_cycles, "equal_to_plan": exact},
        "waiting_cycles": {
            "predicted": both.waiting,
            "measured": waiting,
            "learn": asked.learn.waiting,
            "infer": asked.infer.waiting,
        },
        "mac_utilisation": {
            "overall": _ratio(macs, lanes * busy),
            **{row["phase"]: row["mac_utilisation"] for row in phases},
            "learn": asked.learn.utilisation(),
            "infer": asked.infer.utilisation(),
        },
        "phases": phases,
        "counters": result.counters,
        "curves": {
            "float": [record.test_accuracy for record in trained["float"].history],
            "fixed": [record.test_accuracy for record in trained["fixed"].history],
            "rtl": asked.curve,
        },
        "rtl_cycles_per_s": clock_cycles / seconds if seconds else None,
        "simulation_seconds": seconds,
        "seed": chip.seed,
        "design": chip.table(),
        "versions": {"fregen": __version__, "python": platform.python_version(), **_tool_versions()},
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _tool_versions() -> dict[str, str]:
    return {tool.name: tool.version for tool in survey() if tool.is_found}


def _clock_cycles(run_folder: Path) -> int:
    """Clock cycles of the whole simulation, loading and read-back included."""
    try:
        root = ElementTree.parse(run_folder / "results.xml").getroot()
        found = {item.attrib["name"]: item.attrib["value"] for item in root.iter("property")}
        return round(float(found["sim_time_duration"]) / CLOCK_NS)
    except (OSError, ElementTree.ParseError, KeyError, ValueError):
        return 0


def _figures(asked: _Run, trained: dict[Model, TrainResult], summary: dict[str, Any]) -> dict[str, str]:
    lanes = asked.spec.design.hardware.lanes

    def mean(table: dict[str, int], samples: int, share: int = 1) -> dict[str, float]:
        return {phase: table[phase] / samples / share for phase in PHASES}

    curves = summary["curves"]
    return {
        "curves": svg(curves_figure(curves["float"], curves["fixed"], curves["rtl"], summary["accuracy"]["rtl"])),
        "evolution": svg(evolution_figure(evolution(asked.spec, asked.trace))),
        "budget": svg(
            budget_figure(
                mean(asked.learn.cycles, asked.learnt),
                mean(asked.infer.cycles, asked.tests),
                mean(asked.learn.macs, asked.learnt, lanes),
                mean(asked.infer.macs, asked.tests, lanes),
            )
        ),
    }
