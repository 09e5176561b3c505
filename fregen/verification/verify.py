"""Verify a design: learn and infer on the hardware, compare every word with the golden model, say where they differ."""

import hashlib
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..claims import claimed_folder
from ..design.document import Design
from ..emit.emitted import Emitted, emit
from ..emit.manifest import read_manifest
from ..emit.render import copy_bench, render_bench
from ..errors import DesignError
from ..files import make_folder, write
from ..golden import NetworkModel
from ..hdl.beat import Sizes
from ..hdl.ports import core_ports
from ..plan import Schedule
from ..plan.records import layout_table, records
from ..progress import Progress
from ..runs.prepare import EXPECTED, STIMULUS, Prepared, prepare, random_samples
from ..runs.scenario import Scenario
from ..spec.network import NetworkSpec
from .models import Build, Simulator, build, optimisation
from .simulate import Result, run

__all__ = ["Verdict", "simulate", "verify"]


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
    changed : tuple of str
        Files of a generated folder that are not as ``fregen generate`` wrote them.
    """

    name: str
    simulator: str
    samples: int
    result: Result
    wave: Path | None = None
    changed: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every word was compared and equal."""
        return self.result.passed

    def table(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        table = asdict(self)
        result = {
            "folder": str(self.result.folder),
            "first": list(self.result.first),
            "mismatches": self.result.mismatches,
        }
        table |= {"result": table["result"] | result, "changed": list(self.changed), "passed": self.passed}
        return {**table, "wave": str(self.wave) if self.wave else None}


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
    asked, _ = prepare(scenario, where, progress)
    if progress:
        progress(0, 0, f"building the {simulator} model")
    optimise = optimisation(asked.cycles)
    built = build(sources, simulator, optimise=optimise)
    count = scenario.samples

    def report(done: int) -> None:
        if progress:
            progress(min(done, count), count, f"simulating in {simulator}")

    result = run(built, asked, progress=report)
    report(count)
    wave = None if result.passed else _wave(sources, asked, simulator, result, optimise)
    return result, wave


def _wave(sources: list[Path], asked: Prepared, simulator: Simulator, result: Result, optimise: str) -> Path | None:
    """Waveform from the first sample that differs to the one after it."""
    folder = make_folder(asked.folder / "wave")
    for name in (EXPECTED, STIMULUS, *(image.name for image in asked.folder.glob("*.hex"))):
        shutil.copyfile(asked.folder / name, folder / name)
    begin = max(result.sample or 0, 0)
    built: Build = build(sources, simulator, waves=True, optimise=optimise)
    name = "wave.vcd" if simulator == "verilator" else "wave.fst"
    again = replace(asked, folder=folder)
    run(built, again, [f"+wave={name}", f"+wave_from={begin}", f"+wave_to={begin + 2}"])
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
    quarter as many test samples.  The folder of the run is claimed: another run in it is refused until this one ends.

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
    OutputError
        If the folder cannot be written, or another run writes into it.
    """
    if samples < 1:
        raise DesignError(f"samples must be at least 1, not {samples}")
    sources: list[Path] | None = None
    changed: tuple[str, ...] = ()
    if isinstance(source, Design):
        design = source
    elif source.is_dir():
        design, sources, changed = _generated(source)
    else:
        design = Design.load(source)
    scenario = _scenario(design, samples, random)
    where = where.resolve()
    with claimed_folder(where):
        if sources is None:
            if progress:
                progress(0, 0, "generating Verilog")
            sources = write_sources(emit(design), where)
        copy_bench(where)
        if isinstance(source, Path) and source.is_dir() and source.resolve() != where:
            for table in source.glob(f"{design.name}_*.hex"):  # the Verilog reads them where the simulator runs
                shutil.copyfile(table, where / table.name)
        result, wave = simulate(scenario, sources, where, simulator, progress)
    return Verdict(design.name, simulator, scenario.samples, result, wave, changed)


def _scenario(design: Design, samples: int, random: bool) -> Scenario:
    """Make the run: samples to learn from the initial weights, and a quarter as many to infer."""
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
    return scenario


def _generated(folder: Path) -> tuple[Design, list[Path], tuple[str, ...]]:
    """Design and sources of a generated folder, and which of these are no longer as they were written."""
    manifest = read_manifest(folder)
    design = Design.parse(manifest.get("design") or {}, where=str(folder / "manifest.json"))
    sources = [folder / f"{design.name}.v", folder / "bench.v"]
    written = {source.name: manifest["files"].get(source.name) for source in sources}
    for source in sources:
        if not source.exists():
            raise DesignError(f"{folder} lacks {source.name}; generate it anew")
    if manifest.get("records") != layout_table(records(core_ports(Sizes(Schedule.of(NetworkSpec(design)))))):
        raise DesignError(
            f"{folder} was written by another version of fregen, whose bench logs otherwise; generate it anew"
        )
    digests = {source.name: hashlib.sha256(source.read_bytes()).hexdigest() for source in sources}
    return design, sources, tuple(name for name in written if digests[name] != written[name])
