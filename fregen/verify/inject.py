"""Can the verification fail?  Plant single faults and see whether each is found.

Three kinds: a bit of the golden data, a bit of a weight as it is loaded, and a bit in an operator of the hardware.
Each is run on its own, like any verification: an instrumented model holds all faults of the hardware and a plusarg
selects one.  A fault of the hardware that no run finds must be proven to change nothing that can be observed
(:mod:`fregen.verify.prove`), or it counts as survived.
"""

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..design import Design
from ..emit import emit, emit_rtlil
from ..errors import DesignError, ToolError
from ..fixed import Q
from ..golden import NetworkModel
from ..golden.trace import Trace
from ..plan import Schedule, pack_weights
from ..render import render_bench
from ..spec import NetworkSpec
from .mutants import plant
from .prove import Prover, Verdicts
from .scenario import Scenario
from .session import prepare, random_samples
from .simulate import Build, build, run

__all__ = ["GOLDEN", "MESSAGES", "InjectResult", "inject"]

Progress = Callable[[int, int, str], None]
Outcome = Literal["caught", "missed", "broken"]

GOLDEN = (
    *(f"{phase}_{what}" for phase in ("free", "readout", "nudged") for what in ("words", "places", "planes")),
    *("lines", "weights", "predictions", "counters", "free_slots", "readout_slots"),
)
"""Arrays of ``expected.npz`` that the check compares word for word."""

MESSAGES = (
    *("neurons", "free_order", "nudged_order", "nudged_skip", "has_offsets", "matrices", "batch_ends", "real_weights"),
    *("state_format", "weight_format", "offset_format", "error_format"),
)
"""Arrays of ``expected.npz`` that only tell what a mismatch is called."""

_COUNTER_START = (1 << 47) - 1
"""The first event carries through all bits of a counter."""

_STALLS = (0, 20260, 0, 7777, 31415)
"""Seed of the streams' faltering in each scenario; 0: they do not."""


_SHORT = 37
"""Scenarios before the long ones."""

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
        Faults of the hardware proven to change nothing, by method (:data:`fregen.verify.prove.METHODS`).
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

    folder: Path
    limit: int
    stall: int


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
    rng = np.random.default_rng([seed, 11])
    where.mkdir(parents=True, exist_ok=True)
    result = InjectResult(design.name)

    def tell(done: int, total: int, what: str) -> None:
        if progress:
            progress(done, total, what)

    begin = time.monotonic()
    tell(0, 0, "planting faults")
    data, weights = max(round(faults * 0.15), 1), max(round(faults * 0.15), 1)
    hardware = max(faults - data - weights, 0)
    mutants = plant(emit_rtlil(design, _COUNTER_START), design.name, max(hardware, 1), seed, where / "rtl")
    spec = NetworkSpec(design)
    count = samples or max(5 * design.learning.batch, 40)
    stages = []
    for number, scenario in enumerate(_scenarios(spec, count, seed)):
        stages.append(_stage(scenario, where / f"scenario_{number}", (*_STALLS, 0)[min(number, len(_STALLS))]))
        result.samples += scenario.samples
    bench = where / "bench.v"
    bench.write_text(render_bench(emit(design), faults=True), encoding="utf-8")
    tell(0, 0, "building the instrumented model")
    built = build([mutants.verilog, bench], optimise="-O1")
    result.seconds["build"] = round(time.monotonic() - begin, 1)

    begin = time.monotonic()
    plants = [
        *_golden(stages[0], data, rng),
        *_weights(spec, weights, rng),
        *(_Plant("rtl", str(fault), number=fault.number) for fault in mutants.faults[:hardware]),
    ]
    result.planted = dict(Counter(plant.kind for plant in plants))
    result.caught = dict.fromkeys(result.planted, 0)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        proofs = _Proofs(pool, mutants.netlist, spec.design.hardware.lanes, where)
        # What is not caught soon is mostly equivalent; the long scenarios are for what cannot be proven at once.
        missed = _simulate(pool, built, stages[:_SHORT], plants, result, tell)
        missed = proofs.run(missed, False, result, tell)
        missed = _simulate(pool, built, stages[_SHORT:], missed, result, tell)
        missed = proofs.run(missed, True, result, tell)
    result.survived += [f"fault {plant.number}: {plant.text}" for plant in missed]
    result.survived.sort()
    result.seconds["prove"] = round(proofs.seconds, 1)
    result.seconds["simulate"] = round(time.monotonic() - begin - proofs.seconds, 1)
    return result


def _scenarios(spec: NetworkSpec, samples: int, seed: int) -> Iterator[Scenario]:
    """Yield what is run: as in use; extreme weights and words, at every rate; small weights; ties of rounding.

    From the second to the fifth batches are cut anywhere, and samples to infer come in between those to learn; in the
    third the host often waits until the core is idle.
    """
    design, batch = spec.design, spec.design.learning.batch
    rng = np.random.default_rng([seed, 13])
    model = NetworkModel(spec)
    model.initial()
    initial = [np.array(words) for words in model.weights]
    low, high = spec.weight.min_word, spec.weight.max_word
    wild = [rng.choice([low, high, 0, *rng.integers(low, high + 1, 5)], words.shape) for words in initial]
    mixed = [
        np.where(rng.random(words.shape) < 0.2, rng.integers(low, high + 1, words.shape), words) for words in initial
    ]
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
    for turn in range(64):
        yield _aimed(spec, rng, wild if (turn % 8 > 5) == (turn < 32) else mixed, 2.0 ** -(turn // 2 % 16), turn)
    for turn, first in enumerate((2, 0, 4, 1, 6, 3, 8, 2)):
        few = [rng.choice([-4, -2, -1, 0, 0, 1, 2, 4], words.shape) << turn for words in initial]
        yield _ties(spec, samples, rng, few if turn % 2 else initial, range(first, first + 6))


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


def _aimed(spec: NetworkSpec, rng: np.random.Generator, weights: Sequence[Any], rate: float, turn: int) -> Scenario:
    """Aim single updates at the hardest cases of rounding: ties, and what misses one by a single bit.

    In even turns each lane gets sums that are a tie to an even word but for one bit, bit after bit, turn after turn; in
    odd turns all other cases.  Without weights from the input the contrast does not depend on the input words.  So the
    golden model is asked for the contrast, and the words of a batch are solved for such that their products add up to
    what is wanted.
    """
    matrix = next(matrix for matrix in spec.graph.matrices if matrix.source == 0)
    chosen = [
        np.zeros_like(words) if m is matrix else words for m, words in zip(spec.graph.matrices, weights, strict=True)
    ]
    batch, size = spec.design.learning.batch, spec.graph.layers[0].size
    labels = rng.integers(0, spec.graph.layers[-1].size, batch)
    model, trace = NetworkModel(spec), Trace()
    model.load(chosen)
    model.learn(np.ones((batch, size), dtype=np.int64), labels, rate, trace=trace)
    if trace.contrast:
        words, order = trace.contrast[0], [layer.index for layer in spec.graph.hidden]
    else:
        ends = trace.nudged_steps[0] - 1
        words, order = trace.nudged[0][np.arange(batch), ends], list(spec.nudged_order)
    begin = sum(spec.graph.layers[layer].size for layer in order[: order.index(matrix.target)])
    contrast = words[:, begin : begin + spec.graph.layers[matrix.target].size].astype(np.int64)
    shift = max(spec.update_shift(matrix, rate), 1)
    half, lanes, neurons = 1 << (shift - 1), spec.design.hardware.lanes, contrast.shape[1]
    inputs = np.empty((batch, size), dtype=np.int64)
    for place in range(size):
        lane = place % min(lanes, neurons)
        row = int(rng.choice(np.arange(lane, neurons, lanes)))
        part = place // lanes
        if turn % 2 == 0:
            far = (turn // 2 * max(size // lanes // 2, 1) + part // 2) % max(shift - 1, 1)
            near = 0 if part % 4 == 1 else 1 + turn // 2 % 7
            wanted, bits = half + (1 << near if part % 2 else half >> (far + 1)), shift + 1
        else:
            far = int(rng.integers(0, shift))
            wanted, bits = half + (0, 1 << far, -1 << far)[int(rng.integers(3))], shift
        inputs[:, place] = _solve(contrast[:, row], wanted, bits, spec.state, rng)
    scenario = Scenario(spec, chosen)
    scenario.learn(inputs, labels, rate)
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
    for _ in range(12):
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


def _stage(scenario: Scenario, folder: Path, stall: int) -> _Stage:
    """Write a scenario's files."""
    limit, _ = prepare(scenario, folder)
    with np.load(folder / "expected.npz") as file:
        arrays = {name: file[name] for name in file.files}
    arrays["counter_start"] = np.array(_COUNTER_START)
    if stall:  # which slot is free when a sample begins depends on how the streams falter
        arrays["free_slots"], arrays["readout_slots"] = (
            -np.ones_like(arrays[k]) for k in ("free_slots", "readout_slots")
        )
    np.savez(folder / "expected.npz", allow_pickle=False, **arrays)
    return _Stage(folder, limit * (2 if stall else 1), stall)


def _golden(stage: _Stage, count: int, rng: np.random.Generator) -> Iterator[_Plant]:
    """Pick bits of the golden data, arrays in turn."""
    with np.load(stage.folder / "expected.npz") as file:
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


def _run(built: Build, stage: _Stage, plant: _Plant | None) -> tuple[Outcome, str, int, int]:
    """Run one fault in one scenario, in a process of its own."""
    folder = stage.folder.parent / f"run_{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in ("expected.npz", "stimulus.bin"):
        shutil.copyfile(stage.folder / name, folder / name)
    plusargs = [f"+stall={stage.stall}"]
    if plant is not None and plant.kind == "golden":
        with np.load(folder / "expected.npz") as file:
            arrays = {name: file[name] for name in file.files}
        flat = np.ascontiguousarray(arrays[plant.array]).reshape(-1)
        flat.view(f"u{flat.itemsize}")[plant.word] ^= flat.view(f"u{flat.itemsize}").dtype.type(1 << plant.bit)
        arrays[plant.array] = flat.reshape(arrays[plant.array].shape)
        np.savez(folder / "expected.npz", allow_pickle=False, **arrays)
    elif plant is not None and plant.kind == "weight":
        words = np.fromfile(folder / "stimulus.bin", dtype=">u4")
        words[plant.word] ^= np.uint32(1 << plant.bit)
        words.tofile(folder / "stimulus.bin")
    elif plant is not None:
        plusargs.append(f"+fault={plant.number}")
    try:
        result = run(built, folder, stage.limit, plusargs)
    except ToolError as error:
        return "broken", str(error), 0, 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found: Outcome = "caught" if result.mismatches or not result.compared else "missed"
    cycles = result.cycles % (1 << 47) if plant is None else 0
    return found, "; ".join(result.first), result.compared, cycles


def _must_pass(stage: _Stage, run_of_it: tuple[Outcome, str, int, int], result: InjectResult) -> None:
    """Judge a scenario that was run without a fault."""
    outcome, text, compared, cycles = run_of_it
    if outcome != "missed":
        raise ToolError(f"{stage.folder.name} fails without any fault, so that no fault can be judged: {text}")
    result.compared += compared
    result.cycles += cycles
    result.runs += 1


def _simulate(
    pool: ProcessPoolExecutor,
    built: Build,
    stages: Sequence[_Stage],
    plants: Sequence[_Plant],
    result: InjectResult,
    tell: Callable[[int, int, str], None],
) -> list[_Plant]:
    """Run all faults, those that were missed in the next scenario too; return what no scenario has caught."""
    todo = list(plants)
    for stage in stages:
        if not todo:
            break
        sound = pool.submit(_run, built, stage, None)
        jobs = {pool.submit(_run, built, stage, plant): plant for plant in todo}
        _must_pass(stage, sound.result(), result)
        missed = []
        for done, job in enumerate(as_completed(jobs), 1):
            plant, (outcome, text, _, _) = jobs[job], job.result()
            result.runs += 1
            if outcome == "caught":
                result.caught[plant.kind] += 1
            elif outcome == "broken":
                result.broken.append(f"{plant.text}: {text}")
            elif plant.kind == "rtl":
                missed.append(plant)
            else:
                result.survived.append(plant.text)
            tell(done, len(jobs), f"simulating faults, {stage.folder.name.replace('_', ' ')}")
        todo = sorted(missed, key=lambda plant: plant.number)
    return todo


_PROVER: dict[Path, Prover] = {}


def _proof(netlist: Path, lanes: int, where: Path, number: int, thorough: bool, known: Verdicts) -> Any:
    """Try to prove one fault equivalent, in a process of its own; the netlist is read once a process."""
    if netlist not in _PROVER:
        _PROVER[netlist] = Prover(netlist, lanes)
    return _PROVER[netlist].prove(number, where, _THOROUGH if thorough else _BRIEF, thorough, known)


class _Proofs:
    """Proofs of what was missed; remembers what was refuted."""

    def __init__(self, pool: ProcessPoolExecutor, netlist: Path, lanes: int, where: Path) -> None:
        self.pool = pool
        self.about = (netlist, lanes, where)
        self.known: dict[int, Verdicts] = {}
        self.seconds = 0.0

    def run(
        self,
        missed: Sequence[_Plant],
        thorough: bool,
        result: InjectResult,
        tell: Callable[[int, int, str], None],
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
            tell(done, len(jobs), "proving faults equivalent")
        result.proven.sort()
        self.seconds += time.monotonic() - begin
        return sorted(left, key=lambda plant: plant.number)
