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
from ..tools import VERILATOR_ARGS, applied, find_icarus, find_verilator, user_cache

__all__ = ["Build", "Result", "Simulator", "build", "run", "run_gang"]

Simulator = Literal["verilator", "icarus"]

LOGS = ("words", "lines", "weights", "predictions", "readback", "counters")
"""Files that the bench writes."""

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
    compared, mismatches : int
        Words.
    first : tuple of str
        The first mismatches.
    sample : int or None
        Sample of the first mismatch.
    counters : dict
        Counters of the core.
    seconds : float
        Time of the run.
    folder : Path
        Logs.
    """

    compared: int
    mismatches: int
    first: tuple[str, ...]
    sample: int | None
    counters: dict[str, int]
    seconds: float
    folder: Path

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
    where: Path,
    limit: int,
    plusargs: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> Result:
    """Run a compiled bench in a folder that holds ``stimulus.bin`` and ``expected.npz``; see :func:`run_gang`."""
    return run_gang(built, where, limit, (), plusargs, progress)[0]


def run_gang(
    built: Build,
    where: Path,
    limit: int,
    members: Sequence[str] = (),
    plusargs: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> list[Result]:
    """Run a compiled model of one bench, or of several with a folder each.

    Parameters
    ----------
    built : Build
        The bench.
    where : Path
        Folder of the run; logs are written there.
    limit : int
        Cycles after which a bench is ended.
    members : sequence of str
        Folders of the benches, below ``where``; none for a single bench in ``where`` itself.
    plusargs : sequence of str
        Further ``+name=value``.
    progress : callable, optional
        Called with the number of predictions so far, a few times a second.

    Raises
    ------
    ToolError
        If the simulator fails, or ends without a verdict.
    """
    from cocotb_tools.runner import get_runner

    for folder_of_bench in [where / member for member in members] or [where]:
        for name in ("verdict.json", *(f"{log}.bin" for log in LOGS)):
            (folder_of_bench / name).unlink(missing_ok=True)
    (where / "results.xml").unlink(missing_ok=True)
    failure: list[BaseException] = []

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
    if members:
        return [_verdict(where / member, where / "run.log", failure, seconds) for member in members]
    return [_verdict(where, where / "run.log", failure, seconds)]


def _verdict(where: Path, log: Path, failure: list[BaseException], seconds: float) -> Result:
    """Read the verdict that the bench has written."""
    verdict = where / "verdict.json"
    if not verdict.exists():
        text = log.read_text(errors="replace")[-1500:] if log.exists() else "".join(map(str, failure))
        raise ToolError(f"the simulation ended without a verdict; its log is {log}:\n{text}")
    found: dict[str, Any] = json.loads(verdict.read_text())
    return Result(
        found["compared"],
        found["mismatches"],
        tuple(found["first"]),
        found["sample"],
        found["counters"],
        seconds,
        where,
    )
