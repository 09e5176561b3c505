"""Build a bench with a simulator, and run it through cocotb.  A build is kept by the content of its sources."""

import hashlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..emit.render import folder
from ..errors import ToolError
from ..plan.records import LOGS
from ..runs.prepare import Prepared
from ..tools import VERILATOR_ARGS, applied, find_icarus, find_verilator, user_cache

__all__ = ["Build", "Result", "Simulator", "build", "run", "run_gang"]

Simulator = Literal["verilator", "icarus"]

_VERDICT = "verdict.json"
"""File that the bench writes when it has compared."""

FAST = "-O3"
"""Option of the C++ compiler for long runs."""

_SHARED = ("-fno-dfg", "-fno-gate", "--output-groups", "2")
"""Verilator's arguments that leave a module's instances alike, and write few files."""

_LOCK = threading.Lock()


@dataclass(frozen=True)
class Build:
    """A compiled bench.

    Parameters
    ----------
    simulator : str
        ``verilator`` or ``icarus``.
    path : Path
        Folder of the compiled model.
    waves : bool
        Whether it can write waveforms.
    """

    simulator: Simulator
    path: Path
    waves: bool = False

    def discard(self) -> None:
        """Remove the compiled model."""
        shutil.rmtree(self.path, ignore_errors=True)


@dataclass(frozen=True)
class Result:
    """What a run has shown.

    Parameters
    ----------
    compared : int
        Words compared.
    different : int
        Of these, words that differ or stand at another place.
    missing, extra : int
        Words that were expected and did not come, that came and were not expected.
    first : tuple of str
        The first faults in words.
    sample : int or None
        Sample of the first fault that belongs to one.
    counters : dict
        Counters of the core.
    seconds : float
        Wall time of the run: start of the simulator, simulation and comparison.
    simulation_seconds : float
        Wall time of the simulation alone.
    folder : Path
        Logs.
    run : str
        The run that the verdict names; the one that was asked for.
    """

    compared: int
    different: int
    missing: int
    extra: int
    first: tuple[str, ...]
    sample: int | None
    counters: dict[str, int]
    seconds: float
    simulation_seconds: float
    folder: Path
    run: str

    @property
    def mismatches(self) -> int:
        """Faults in all: words that differ, are missing, or are too many."""
        return self.different + self.missing + self.extra

    @property
    def passed(self) -> bool:
        """Whether words were compared and all were equal."""
        return self.compared > 0 and self.mismatches == 0

    @property
    def findings(self) -> str:
        """What was found, in words."""
        if self.passed:
            return f"{self.compared:,} words compared, 0 mismatches"
        parts = [f"{self.different:,} of {self.compared:,} compared words differ"]
        parts += [f"{count:,} {what}" for count, what in ((self.missing, "missing"), (self.extra, "too many")) if count]
        return ", ".join(parts)

    @property
    def cycles(self) -> int:
        """Cycles in which the core was busy."""
        return sum(value for name, value in self.counters.items() if name.endswith("_cycles"))


def build(
    sources: Sequence[Path],
    simulator: Simulator = "verilator",
    waves: bool = False,
    optimise: str = FAST,
    shared: bool = False,
) -> Build:
    """Compile ``bench`` from Verilog sources, or find it compiled.

    Parameters
    ----------
    sources : sequence of Path
        Verilog files.
    simulator : {"verilator", "icarus"}
        Which one.
    waves : bool
        Whether it can write waveforms.
    optimise : str
        The C++ compiler's option; less builds faster, for short runs.
    shared : bool
        Compile units that several designs share once (``units.vlt``): builds faster, runs slower.

    Raises
    ------
    ToolError
        If the simulator is missing or refuses the sources.
    """
    tool = find_verilator() if simulator == "verilator" else find_icarus()
    if tool is None:
        raise ToolError("Icarus Verilog is not installed: apt-get install iverilog, or use --simulator verilator")
    digest = hashlib.sha256(
        f"{simulator} {tool.version} {waves} {optimise} {shared} {_SHARED} {VERILATOR_ARGS} {_interface()}".encode()
    )
    for source in sources:
        digest.update(source.read_bytes())
    path = user_cache() / "models" / digest.hexdigest()[:24]
    stamp = path / "built"
    if stamp.exists():
        return Build(simulator, path, waves)
    partial = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    log = partial / "build.log"
    try:
        with _LOCK, applied(simulator, optimise=optimise):
            _compile(list(sources), simulator, _options(simulator, waves, optimise, shared), waves, partial, log)
    except (Exception, SystemExit) as error:
        text = log.read_text(errors="replace")[-2000:] if log.exists() else str(error)
        kept = partial.with_suffix(".failed")
        shutil.rmtree(kept, ignore_errors=True)
        partial.rename(kept)
        raise ToolError(f"{simulator} could not build the bench; its log is {kept / 'build.log'}:\n{text}") from error
    (partial / "built").touch()
    try:
        partial.rename(path)
    except OSError:  # another process was first
        shutil.rmtree(partial, ignore_errors=True)
    return Build(simulator, path, waves)


def _interface() -> str:
    """Where cocotb's libraries are: a model that Verilator made finds them there and nowhere else."""
    from cocotb_tools.config import libs_dir

    return str(libs_dir)


def _options(simulator: Simulator, waves: bool, optimise: str, shared: bool) -> list[str]:
    """Arguments of the simulator's compiler."""
    if simulator == "icarus":
        return []
    if shared:
        return [*VERILATOR_ARGS, str(folder("sim") / "units.vlt"), *_SHARED]
    return [*VERILATOR_ARGS, *(["--flatten"] if optimise == FAST and not waves else [])]  # runs 1.2 times as fast


def _compile(
    sources: list[Path], simulator: Simulator, arguments: list[str], waves: bool, target: Path, log: Path
) -> None:
    from cocotb_tools.runner import get_runner

    get_runner(simulator).build(
        sources=[str(source) for source in sources],
        hdl_toplevel="bench",
        build_dir=str(target),
        build_args=arguments,
        timescale=("1ns", "1ps"),
        waves=waves and simulator == "verilator",  # Icarus needs none, and cocotb's dump module is no Verilog-2005
        log_file=str(log),
    )


def run(
    built: Build,
    asked: Prepared,
    plusargs: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> Result:
    """Run a compiled bench in the folder of a prepared run; see :func:`run_gang`."""
    return run_gang(built, asked.folder, [asked], plusargs, progress)[0]


def run_gang(
    built: Build,
    where: Path,
    asked: Sequence[Prepared],
    plusargs: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> list[Result]:
    """Run a compiled model of one bench, or of several with a folder each.

    Parameters
    ----------
    built : Build
        The bench.
    where : Path
        Folder in which the simulator runs: that of the only bench, or the one that holds the benches' folders.
    asked : sequence of Prepared
        A run a bench; all end after the greatest of their limits.
    plusargs : sequence of str
        Further ``+name=value``.
    progress : callable, optional
        Called with the number of predictions so far, a few times a second.

    Raises
    ------
    ToolError
        If the simulator fails, ends without a verdict, or with one about another run.
    """
    from cocotb_tools.runner import get_runner

    for member in asked:
        for name in (_VERDICT, *(f"{log}.bin" for log in LOGS)):
            (member.folder / name).unlink(missing_ok=True)
    (where / "results.xml").unlink(missing_ok=True)
    failure: list[BaseException] = []
    limit = max(member.limit for member in asked)

    def simulate() -> None:
        try:
            get_runner(built.simulator).test(
                hdl_toplevel="bench",
                hdl_toplevel_lang="verilog",
                test_module="bench",
                build_dir=str(built.path),
                test_dir=str(where),
                plusargs=[f"+limit={limit}", *plusargs],
                results_xml=str(where / "results.xml"),
                log_file=str(where / "run.log"),
                waves=built.waves and built.simulator == "icarus",
            )
        except BaseException as error:
            failure.append(error)

    begin = time.monotonic()
    bench = str(where if (where / "bench.py").exists() else folder("sim"))
    with _LOCK:
        if bench in sys.path:
            sys.path.remove(bench)
        sys.path.insert(0, bench)
    with applied(built.simulator):
        thread = threading.Thread(target=simulate)
        thread.start()
        while thread.is_alive():
            thread.join(0.25)
            if progress:
                done = where / "predictions.bin"
                progress(done.stat().st_size // 4 if done.exists() else 0)
    seconds = time.monotonic() - begin
    return [_verdict(member, where / "run.log", failure, seconds) for member in asked]


def _verdict(asked: Prepared, log: Path, failure: list[BaseException], seconds: float) -> Result:
    """Read the verdict that the bench has written, and make sure that it is about this run."""
    verdict = asked.folder / _VERDICT
    if not verdict.exists():
        text = log.read_text(errors="replace")[-1500:] if log.exists() else "".join(map(str, failure))
        raise ToolError(f"the simulation ended without a verdict; its log is {log}:\n{text}")
    found: dict[str, Any] = json.loads(verdict.read_text(encoding="utf-8"))
    if found["run"] != asked.number:
        raise ToolError(
            f"{verdict} is about run {found['run']}, not {asked.number}: another run writes into {asked.folder}; "
            "run again, in a folder of its own"
        )
    return Result(
        found["compared"],
        found["different"],
        found["missing"],
        found["extra"],
        tuple(found["first"]),
        found["sample"],
        found["counters"],
        seconds,
        found["seconds"]["simulation"],
        asked.folder,
        found["run"],
    )
