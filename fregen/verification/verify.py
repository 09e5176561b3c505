"""Verify a design: learn and infer on the hardware, compare every word with the golden model, say where they differ."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..design.document import Design
from ..emit.emitted import Emitted, emit
from ..emit.render import copy_bench, render_bench
from ..errors import DesignError
from ..files import make_folder, write
from ..golden import NetworkModel
from ..runs.prepare import prepare, random_samples
from ..runs.scenario import Scenario
from ..spec.network import NetworkSpec
from .simulate import Build, Result, Simulator, build, run

__all__ = ["Verdict", "simulate", "verify"]

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Verdict:
    """Outcome of a verification.

    Parameters
    ----------
    name : str
        The design.
    simulator : str
        Which one ran.
    samples : int
        Samples learnt and inferred.
    result : Result
        What the bench found.
    wave : Path or None
        Waveform of the first mismatch.
    """

    name: str
    simulator: str
    samples: int
    result: Result
    wave: Path | None = None

    @property
    def passed(self) -> bool:
        """Whether every word was compared and equal."""
        return self.result.compared > 0 and self.result.mismatches == 0

    def table(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        table = asdict(self)
        table["result"] = {**table["result"], "folder": str(self.result.folder), "first": list(self.result.first)}
        return {**table, "wave": str(self.wave) if self.wave else None, "passed": self.passed}


def write_sources(emitted: Emitted, where: Path) -> list[Path]:
    """Write core and bench; return the files to compile."""
    make_folder(where)
    sources = [where / f"{emitted.name}.v", where / "bench.v"]
    for path, text in zip(sources, (emitted.verilog, render_bench(emitted)), strict=True):
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write(path, text)
    return sources


def simulate(
    scenario: Scenario,
    sources: list[Path],
    where: Path,
    simulator: Simulator = "verilator",
    progress: Progress | None = None,
) -> tuple[Result, Path | None]:
    """Build, run, and on a mismatch run again for a waveform of the sample where it shows.

    Returns
    -------
    (Result, Path or None)
        What was found, and the waveform.
    """
    limit, _ = prepare(scenario, where, progress)
    if progress:
        progress(0, 0, f"building the {simulator} model")
    built = build(sources, simulator)
    count = scenario.samples

    def report(done: int) -> None:
        if progress:
            progress(min(done, count), count, f"simulating in {simulator}")

    result = run(built, where, limit, progress=report)
    report(count)
    wave = _wave(sources, where, simulator, limit, result) if result.mismatches else None
    return result, wave


def _wave(sources: list[Path], where: Path, simulator: Simulator, limit: int, result: Result) -> Path | None:
    """Waveform from the first sample that differs to the one after it."""
    folder = where / "wave"
    folder.mkdir(exist_ok=True)
    for name in ("expected.npz", "stimulus.bin"):
        shutil.copyfile(where / name, folder / name)
    begin = max(result.sample or 0, 0)
    built: Build = build(sources, simulator, waves=True)
    name = "wave.vcd" if simulator == "verilator" else "wave.fst"
    run(built, folder, limit, [f"+wave={name}", f"+wave_from={begin}", f"+wave_to={begin + 2}"])
    wave = folder / name
    return wave if wave.exists() else None


def verify(
    source: Path | Design,
    where: Path,
    simulator: Simulator = "verilator",
    samples: int = 64,
    progress: Progress | None = None,
    random: bool = False,
) -> Verdict:
    """Verify a design file, a generated folder (its Verilog as it stands), or a design.

    Learns ``samples`` training samples from the initial weights (the last batch may be a partial one), then infers a
    quarter as many test samples.

    Parameters
    ----------
    source : Path or Design
        Design file, folder written by ``fregen generate``, or design.
    where : Path
        Folder of the run.
    simulator : {"verilator", "icarus"}
        Which one.
    samples : int
        Samples to learn.
    progress : callable, optional
        Called with (done, total, what).
    random : bool
        Use random samples with corner cases instead of the design's data set.

    Raises
    ------
    DesignError, DataError, ToolError
        If the design, its data or a tool is at fault.
    """
    if samples < 1:
        raise DesignError(f"samples must be at least 1, not {samples}")
    where = where.resolve()
    make_folder(where)
    sources: list[Path] | None = None
    if isinstance(source, Design):
        design = source
    elif source.is_dir():
        design, sources = _generated(source)
    else:
        design = Design.load(source)
    spec = NetworkSpec(design)
    model = NetworkModel(spec)
    model.initial()
    scenario = Scenario(spec, model.weights)
    tests = max(samples // 4, 1)
    if random:
        words, labels = random_samples(spec, samples + tests)
        scenario.learn(words[:samples], labels[:samples], design.learning.rate)
        scenario.infer(words[samples:], labels[samples:])
    else:
        from ..data.datasets import load
        from ..training.samples import as_words

        data = load(design)
        scenario.learn(as_words(data.train_inputs[:samples], spec), data.train_labels[:samples], design.learning.rate)
        scenario.infer(as_words(data.test_inputs[:tests], spec), data.test_labels[:tests])
    if sources is None:
        if progress:
            progress(0, 0, "generating Verilog")
        sources = write_sources(emit(design), where)
    copy_bench(where)
    result, wave = simulate(scenario, sources, where, simulator, progress)
    return Verdict(design.name, simulator, scenario.samples, result, wave)


def _generated(folder: Path) -> tuple[Design, list[Path]]:
    """Design and sources of a generated folder."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        design = Design.parse(manifest["design"], where=str(path))
        sources = [folder / f"{manifest['name']}.v", folder / "bench.v"]
    except (OSError, ValueError, KeyError, TypeError):
        raise DesignError(
            f"{folder} is no folder that fregen generate wrote: {path} is missing or unreadable"
        ) from None
    for source in sources:
        if not source.exists():
            raise DesignError(f"{folder} lacks {source.name}; generate it anew")
    return design, sources
