"""Can the verification fail?  Plant single faults and see whether each is found.

Three kinds: a bit of the golden data, a bit of a weight as it is loaded, and a bit in an operator of the hardware.
Each is run on its own, like any verification: an instrumented model holds all faults of the hardware and a plusarg
selects one.  A fault of the hardware that no run finds must be proven to change nothing that can be observed
(:mod:`fregen.faults.prove`), or it counts as survived.
"""

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..claims import claimed_folder
from ..design.document import Design
from ..emit.emitted import emit, emit_rtlil
from ..emit.render import render_bench
from ..errors import DesignError, ToolError
from ..hdl.ports import Port, core_ports
from ..plan import Schedule, pack_weights
from ..plan.counters import COUNTERS
from ..plan.records import HEAD_WORDS
from ..processes import workers
from ..progress import Progress
from ..runs.prepare import EXPECTED, STIMULUS, Prepared, prepare
from ..runs.scenario import Scenario
from ..runs.softmax_cases import softmax
from ..runs.stress import broad, powers, rounding
from ..spec.network import NetworkSpec
from ..verification.models import Build, build
from ..verification.simulate import run
from .mutants import plant
from .prove import Prover, Verdicts

__all__ = ["GOLDEN", "InjectResult", "inject"]

Outcome = Literal["caught", "missed", "broken"]

GOLDEN = (
    *(f"{phase}_{what}" for phase in ("free", "readout", "nudged") for what in ("words", "sites", "planes")),
    *("site_address", "site_lane", "site_offset", "site_error"),
    *("contrasts", "weights", "predictions", "counters", "free_slots", "readout_slots"),
    *("free_contexts", "readout_contexts"),
)
"""Arrays of ``expected.npz`` that the check compares word for word."""

_CARRY = 1 << 47
"""A counter that comes to this number has carried through all its bits."""

_FALTER = (0, 20260, 0, 7777, 31415)
"""Seed of the streams' faltering in each of the first runs, where inputs then move while they do not count; 0: none."""

_BRIEF, _THOROUGH = 8, 40
"""Seconds of an attempt at a proof."""


@dataclass
class InjectResult:
    """What became of the planted faults.

    Parameters
    ----------
    name : str
        The design.
    planted, caught : dict
        Faults by kind: ``golden``, ``weight``, ``rtl``.
    equivalent : dict
        Faults of the hardware proven to change nothing, by method (:data:`fregen.faults.prove.METHODS`).
    proven : list of str
        The same faults in words.
    survived : list of str
        Faults that were neither caught nor proven equivalent.
    broken : list of str
        Faults with which the simulator ended without a verdict: not counted as caught.
    samples, cycles, compared : int
        Of the runs without a fault, all scenarios.
    runs : int
        Simulations.
    seconds : dict
        Time spent on ``build``, ``simulate``, ``prove``.
    """

    name: str
    planted: dict[str, int] = field(default_factory=dict)
    caught: dict[str, int] = field(default_factory=dict)
    equivalent: dict[str, int] = field(default_factory=dict)
    proven: list[str] = field(default_factory=list)
    survived: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    samples: int = 0
    cycles: int = 0
    compared: int = 0
    runs: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every fault was caught or proven equivalent."""
        return not self.survived and not self.broken and sum(self.caught.values()) > 0

    def table(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {**self.__dict__, "passed": self.passed}


@dataclass(frozen=True)
class _Plant:
    """A fault to run: array, word and bit of the golden data, word and bit of the stimulus, or the fault's number."""

    kind: Literal["golden", "weight", "rtl"]
    text: str
    array: str = ""
    word: int = 0
    bit: int = 0
    number: int = 0


@dataclass(frozen=True)
class _Stage:
    """A scenario, ready to run."""

    run: Prepared
    cycles: int

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.run.folder


def inject(
    design: Design,
    where: Path,
    faults: int = 200,
    seed: int = 0,
    samples: int | None = None,
    progress: Progress | None = None,
    processes: int = 2,
) -> InjectResult:
    """Plant random single faults and report what was caught.

    Parameters
    ----------
    design : Design
        The design.
    where : Path
        Folder of all files.
    faults : int
        How many: about 15 % golden data, 15 % weights, the rest operators of the hardware.
    seed : int
        Picks them.
    samples : int, optional
        Samples that a scenario learns; five batches, and at least 40, unless given.
    progress : callable, optional
        Called with (done, total, what).
    processes : int
        Simulations and proofs at once.

    Raises
    ------
    DesignError
        If a number is out of range.
    MismatchError, ToolError
        If the design fails without a fault, or a tool is at fault.
    """
    if not 1 <= faults <= 20000:
        raise DesignError(f"faults must be 1 to 20000, not {faults}")
    if design.hardware.family != "portable":
        raise DesignError(
            f"hardware.family: faults are planted into the portable core, not into one of {design.hardware.family}; "
            'set it to "portable"'
        )
    with claimed_folder(where):
        return _inject(design, where, faults, seed, samples, progress, processes)


def _inject(
    design: Design,
    where: Path,
    faults: int,
    seed: int,
    samples: int | None,
    progress: Progress | None,
    processes: int,
) -> InjectResult:
    rng = np.random.default_rng([seed, 11])
    where.mkdir(parents=True, exist_ok=True)
    result = InjectResult(design.name)

    def notify(done: int, total: int, what: str) -> None:
        if progress:
            progress(done, total, what)

    begin = time.monotonic()
    notify(0, 0, "planting faults")
    data, weights = max(round(faults * 0.15), 1), max(round(faults * 0.15), 1)
    hardware = max(faults - data - weights, 0)
    spec = NetworkSpec(design)
    count = samples or max(5 * design.learning.batch, 40)
    told = zip(broad(spec, count, seed), _FALTER, strict=True)
    scenarios = [replace(scenario, falter=falter, unruly=falter > 0) for scenario, falter in told]
    runs = [prepare(scenario, where / f"broad_{number}")[0] for number, scenario in enumerate(scenarios)]
    totals = np.array([_counted(run) for run in runs])
    # An odd number of counts before the carry: a bit that a fault turns over with each count is not turned back.
    starts = _CARRY - ((totals.min(axis=0) + totals.max(axis=0) + 1) // 2 | 1)
    first = [_stage(*asked, starts, result) for asked in zip(scenarios, runs, strict=True)]
    begins = dict(zip(COUNTERS, starts.tolist(), strict=True))
    mutants = plant(emit_rtlil(design, begins), design.name, max(hardware, 1), seed, where / "rtl")
    bench = where / "bench.v"
    emitted = emit(design)
    bench.write_text(render_bench(emitted, faults=True), encoding="utf-8")
    notify(0, 0, "building the instrumented model")
    with ThreadPoolExecutor(1) as helper:
        building = helper.submit(build, [mutants.verilog, bench], optimise="-O1")
        aimed = [_made(rounding(spec, seed), where / "rounding_0", starts, result)]
        built = building.result()
    result.seconds["build"] = round(time.monotonic() - begin, 1)

    begin = time.monotonic()
    plants = [
        *_golden(first[0], data, rng),
        *_weights(spec, weights, rng),
        *(_Plant("rtl", str(fault), number=fault.number) for fault in mutants.faults[:hardware]),
    ]
    result.planted = dict(Counter(plant.kind for plant in plants))
    result.caught = dict.fromkeys(result.planted, 0)
    with workers(processes) as pool:
        proofs = _Proofs(pool, mutants.netlist, core_ports(emitted.sizes), where)
        # What is not caught soon is mostly equivalent; the long runs are for what cannot be proven at once.
        missed = _simulate(pool, built, first, plants, result, notify)
        missed = _simulate(pool, built, aimed, missed, result, notify)
        missed = proofs.run(missed, False, result, notify)
        if missed:
            faltering = replace(rounding(spec, seed + 1), falter=_FALTER[-1], unruly=True)
            again = [
                _made(softmax(spec, seed), where / "softmax_0", starts, result),
                _made(faltering, where / "rounding_1", starts, result),
            ]
            missed = _simulate(pool, built, again, missed, result, notify)
        for number, scenario in enumerate(powers(spec, count, seed) if missed else ()):
            stage = _made(scenario, where / f"powers_{number}", starts, result)
            missed = _simulate(pool, built, [stage], missed, result, notify)
        missed = proofs.run(missed, True, result, notify)
    result.survived += [f"fault {plant.number}: {plant.text}" for plant in missed]
    result.survived.sort()
    result.seconds["prove"] = round(proofs.seconds, 1)
    result.seconds["simulate"] = round(time.monotonic() - begin - proofs.seconds, 1)
    return result


def _counted(run: Prepared) -> list[int]:
    """Return how much a run counts."""
    with np.load(run.folder / EXPECTED) as file:
        counted: list[int] = file["counters"].tolist()
    return counted


def _stage(scenario: Scenario, run: Prepared, starts: NDArray[np.int64], result: InjectResult) -> _Stage:
    """Make a scenario ready whose files are written: counters begin elsewhere."""
    result.samples += scenario.samples
    with np.load(run.folder / EXPECTED) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["counter_start"] = starts
    np.savez(run.folder / EXPECTED, allow_pickle=False, **arrays)
    cycles = sum(n for name, n in zip(COUNTERS, arrays["counters"].tolist(), strict=True) if name.endswith("_cycles"))
    return _Stage(run, cycles)


def _made(scenario: Scenario, folder: Path, starts: NDArray[np.int64], result: InjectResult) -> _Stage:
    """Write a scenario's files and make it ready."""
    run, _ = prepare(scenario, folder)
    return _stage(scenario, run, starts, result)


def _golden(stage: _Stage, count: int, rng: np.random.Generator) -> Iterator[_Plant]:
    """Pick bits of the golden data, arrays in turn."""
    with np.load(stage.folder / EXPECTED) as file:
        arrays = {name: file[name] for name in GOLDEN if file[name].size}
    for number in range(count):
        name = list(arrays)[number % len(arrays)]
        word = int(rng.integers(arrays[name].size))
        # Counters are compared on the 48 bits that they have.
        bit = int(rng.integers(48 if name == "counters" else 8 * arrays[name].itemsize))
        yield _Plant("golden", f"golden data: {name}, word {word}, bit {bit}", array=name, word=word, bit=bit)


def _weights(spec: NetworkSpec, count: int, rng: np.random.Generator) -> Iterator[_Plant]:
    """Pick bits of weights in the order in which they are loaded; padding is left out."""
    memory = Schedule.of(spec).memory
    ones = [np.ones(spec.graph.shape(matrix), dtype=np.int64) for matrix in spec.graph.matrices]
    real = np.flatnonzero(pack_weights(memory, ones))
    for _ in range(count):
        word, bit = int(rng.choice(real)), int(rng.integers(spec.weight.width))
        address, lane = divmod(word, memory.lanes)
        yield _Plant("weight", f"weight memory: address {address}, lane {lane}, bit {bit}", word=word, bit=bit)


def _run(built: Build, stage: _Stage, plant: _Plant | None) -> tuple[Outcome, str, int]:
    """Run one fault in one scenario, in a process of its own."""
    folder = stage.folder.parent / f"run_{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in (EXPECTED, STIMULUS):
        shutil.copyfile(stage.folder / name, folder / name)
    plusargs: list[str] = []
    if plant is not None and plant.kind == "golden":
        with np.load(folder / EXPECTED) as file:
            arrays = {name: file[name] for name in file.files}
        flat = np.ascontiguousarray(arrays[plant.array]).reshape(-1)
        flat.view(f"u{flat.itemsize}")[plant.word] ^= flat.view(f"u{flat.itemsize}").dtype.type(1 << plant.bit)
        arrays[plant.array] = flat.reshape(arrays[plant.array].shape)
        np.savez(folder / EXPECTED, allow_pickle=False, **arrays)
    elif plant is not None and plant.kind == "weight":
        words = np.fromfile(folder / STIMULUS, dtype=">u4")
        words[HEAD_WORDS + plant.word] ^= np.uint32(1 << plant.bit)
        words.tofile(folder / STIMULUS)
    elif plant is not None:
        plusargs.append(f"+fault={plant.number}")
    try:
        result = run(built, replace(stage.run, folder=folder), plusargs)
    except ToolError as error:
        return "broken", str(error), 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found: Outcome = "missed" if result.passed else "caught"
    return found, "; ".join(result.first), result.compared


def _must_pass(stage: _Stage, run_of_it: tuple[Outcome, str, int], result: InjectResult) -> None:
    """Judge a scenario that was run without a fault."""
    outcome, text, compared = run_of_it
    if outcome != "missed":
        raise ToolError(f"{stage.folder.name} fails without any fault, so that no fault can be judged: {text}")
    result.compared += compared
    result.cycles += stage.cycles
    result.runs += 1


def _simulate(
    pool: ProcessPoolExecutor,
    built: Build,
    stages: Sequence[_Stage],
    plants: Sequence[_Plant],
    result: InjectResult,
    notify: Progress,
) -> list[_Plant]:
    """Run all faults, those that were missed in the next scenario too; return what no scenario has caught.

    Before that every scenario is run without a fault: one that fails then can judge nothing.
    """
    todo = list(plants)
    if todo:
        sound = [pool.submit(_run, built, stage, None) for stage in stages]
        for stage, run_of_it in zip(stages, sound, strict=True):
            _must_pass(stage, run_of_it.result(), result)
    for stage in stages:
        if not todo:
            break
        jobs = {pool.submit(_run, built, stage, plant): plant for plant in todo}
        missed = []
        for done, job in enumerate(as_completed(jobs), 1):
            plant, (outcome, text, _) = jobs[job], job.result()
            result.runs += 1
            if outcome == "caught":
                result.caught[plant.kind] += 1
            elif outcome == "broken":
                result.broken.append(f"{plant.text}: {text}")
            elif plant.kind == "rtl":
                missed.append(plant)
            else:
                result.survived.append(plant.text)
            notify(done, len(jobs), f"simulating faults, {stage.folder.name.replace('_', ' ')}")
        todo = sorted(missed, key=lambda plant: plant.number)
    return todo


_PROVER: dict[Path, Prover] = {}


def _proof(netlist: Path, ports: Sequence[Port], where: Path, number: int, thorough: bool, known: Verdicts) -> Any:
    """Try to prove one fault equivalent, in a process of its own; the netlist is read once a process."""
    if netlist not in _PROVER:
        _PROVER[netlist] = Prover(netlist, ports)
    return _PROVER[netlist].prove(number, where, _THOROUGH if thorough else _BRIEF, thorough, known)


class _Proofs:
    """Proofs of what was missed; remembers what was refuted."""

    def __init__(self, pool: ProcessPoolExecutor, netlist: Path, ports: Sequence[Port], where: Path) -> None:
        self.pool = pool
        self.about = (netlist, ports, where)
        self.known: dict[int, Verdicts] = {}
        self.seconds = 0.0

    def run(
        self,
        missed: Sequence[_Plant],
        thorough: bool,
        result: InjectResult,
        notify: Progress,
    ) -> list[_Plant]:
        """Count what is proven equivalent; return the others."""
        begin = time.monotonic()
        left = []
        jobs = {
            self.pool.submit(_proof, *self.about, plant.number, thorough, self.known.get(plant.number, {})): plant
            for plant in missed
        }
        for done, job in enumerate(as_completed(jobs), 1):
            plant = jobs[job]
            method, self.known[plant.number] = job.result()
            if method is None:
                left.append(plant)
            else:
                result.equivalent[method] = result.equivalent.get(method, 0) + 1
                result.proven.append(f"fault {plant.number}: {plant.text} ({method})")
            notify(done, len(jobs), "proving faults equivalent")
        result.proven.sort()
        self.seconds += time.monotonic() - begin
        return sorted(left, key=lambda plant: plant.number)
