"""Compile a bench with a simulator.  A compiled model is kept by the content of its sources (:mod:`fregen.cache`)."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from .. import processes
from ..cache import Models
from ..emit.render import folder
from ..errors import ToolError
from ..runtime import BRIEF, FAST, environment
from ..tools import VERILATOR_ARGS, find_verilator, need_icarus

__all__ = ["Build", "Simulator", "build", "optimisation", "runner"]

Simulator = Literal["verilator", "icarus"]

_LONG = 3_000_000
"""Cycles from which a model that runs fast saves more time than it takes to build: of the demo's design that takes 13 s
longer, and a million cycles then take 4 s less."""

_KEPT = {"verilator": ("bench",), "icarus": ("sim.vvp", "cmds.f")}
"""What a run needs of a compiled model; the rest is a hundred times as large."""


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
        Models(self.path.parent).discard(self.path)


def optimisation(cycles: int) -> str:
    """Return the C++ compiler's option with which a run of so many cycles is over soonest, build included."""
    return BRIEF if cycles < _LONG else FAST


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
    tool = find_verilator() if simulator == "verilator" else need_icarus()
    arguments = _arguments(simulator, waves, optimise, shared)
    digest = hashlib.sha256(f"{simulator} {tool.version} {waves} {optimise} {arguments} {_interface()}".encode())
    for source in sources:
        digest.update(source.read_bytes())
    key, models = digest.hexdigest()[:24], Models()
    path = models.find(key)
    if path is None:
        with models.building(key) as partial:
            _compile(list(sources), simulator, arguments, waves, optimise, partial)
            _thin(partial, _KEPT[simulator])
        path = models.find(key)
    if path is None:
        raise ToolError(f"{models.folder / key}: the compiled model is gone again; FREGEN_CACHE_GB may be too small")
    return Build(simulator, path, waves)


def _interface() -> str:
    """Where cocotb's libraries are: a model that Verilator made finds them there and nowhere else."""
    from cocotb_tools.config import libs_dir

    return str(libs_dir)


def _arguments(simulator: Simulator, waves: bool, optimise: str, shared: bool) -> list[str]:
    """Arguments of the simulator's compiler."""
    if simulator == "icarus":
        return []
    if shared:
        return [*VERILATOR_ARGS, str(folder("sim") / "units.vlt")]
    return [*VERILATOR_ARGS, *(["--flatten"] if optimise == FAST and not waves else [])]  # runs 1.2 times as fast


def _compile(
    sources: list[Path], simulator: Simulator, arguments: list[str], waves: bool, optimise: str, target: Path
) -> None:
    log = target / "build.log"
    variables = environment(simulator, optimise=optimise)
    try:
        runner(simulator, variables).build(
            sources=[str(source) for source in sources],
            hdl_toplevel="bench",
            build_dir=str(target),
            build_args=arguments,
            timescale=("1ns", "1ps"),
            waves=waves and simulator == "verilator",  # Icarus needs none, and cocotb's dump module is no Verilog-2005
            log_file=str(log),
        )
    except (Exception, SystemExit) as error:
        text = log.read_text(errors="replace") if log.exists() else str(error)
        raise ToolError(f"{simulator} could not build the bench:\n{text[-2000:].strip()}") from error


def _thin(model: Path, kept: tuple[str, ...]) -> None:
    """Remove what only the compiler needed."""
    for path in model.iterdir():
        if path.is_file() and path.name not in (*kept, "built"):
            path.unlink()


def runner(
    simulator: Simulator,
    variables: Mapping[str, str],
    python_path: Sequence[str] = (),
    tick: Callable[[], object] | None = None,
) -> Any:
    """Return cocotb's runner, whose commands run in an environment of their own and end with this process.

    Parameters
    ----------
    simulator : {"verilator", "icarus"}
        Which one.
    variables : mapping of str to str
        Their environment; cocotb's variables come on top.
    python_path : sequence of str
        Folders where the bench's modules are sought first.
    tick : callable, optional
        Called a few times a second while a command runs.
    """
    from cocotb_tools.runner import get_runner

    kind: Any = type(get_runner(simulator))

    class Runner(kind):
        # cocotb's own takes the environment of the whole process, and waits where no signal is heard.
        def _simulator_in_path_build_only(self) -> None:
            self.executable = simulator

        def _execute_cmds(self, cmds: Sequence[Sequence[str]], cwd: str | Path, stdout: IO[str] | None = None) -> None:
            added = {name: text for name, text in self.env.items() if os.environ.get(name) != text}
            added["PATH"] = variables["PATH"]
            added["PYTHONPATH"] = os.pathsep.join([*python_path, self.env["PYTHONPATH"]])
            for command in cmds:
                code = processes.run(command, cwd, {**variables, **added}, stdout, tick)
                if code:
                    raise RuntimeError(f"{command[0]} ended with code {code}")

    return Runner()
