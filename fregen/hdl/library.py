"""Units as modules of their own, each emitted once however often it is used."""

import hashlib
import re
from collections.abc import Callable, Sequence

from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from .names import named, named_ports

__all__ = ["UnitLibrary", "add_unit", "add_units"]


class UnitLibrary:
    """Makes instances of modules from units; without a library they are plain submodules.

    Parameters
    ----------
    write : callable
        Turns RTLIL into the text of a module (:func:`fregen.emit.verilog.write_verilog`).
    prefix : str, optional
        Modules are called ``prefix_unit``.  Without it a module's name comes from its content, so that designs which
        have equal units share them.
    known : dict, optional
        Text by name from content, of this design and of earlier ones; grows.  Only without ``prefix``.
    platform : object, optional
        What the units are elaborated for.

    Attributes
    ----------
    modules : dict of str to str
        Text of every module that was asked for, by name.
    """

    def __init__(
        self,
        write: Callable[[str], str],
        prefix: str | None = None,
        known: dict[str, str] | None = None,
        platform: object = None,
    ) -> None:
        if prefix is not None and known is not None:
            raise ValueError(
                f"modules are called after {prefix!r} or after their content, which known is kept by: not both"
            )
        self.write = write
        self.platform = platform
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
            connections[f"{way}_{'_'.join(map(str, path))}"] = Value.cast(value)
        return Instance(name, **connections)

    def _emit(self, unit: wiring.Component) -> str:
        """Write a unit's text unless it is known; return its module's name."""
        kind = type(unit).__name__.removesuffix("Unit").lower()
        if self.prefix is not None:
            name = f"{self.prefix}_{kind}"
            if name in self.modules:
                raise ValueError(f"two units want to be called {name}: give one of them ports of the other")
            text = self.write(
                rtlil.convert(unit, name=name, platform=self.platform, ports=named_ports(unit), emit_src=False)
            )
        else:
            content = rtlil.convert(unit, name=kind, platform=self.platform, ports=named_ports(unit), emit_src=False)
            name = f"{kind}_{hashlib.sha256(content.encode()).hexdigest()[:12]}"
            if name not in self.known:
                # The module, its submodules, which have its name and a dot before their own, and cells of these.
                top = re.compile(rf"^(module|  cell) \\{kind}(?=[.\s])", re.MULTILINE)
                self.known[name] = self.write(top.sub(rf"\1 \\{name}", content))
            text = self.known[name]
        self.modules[name] = text
        return name


def add_unit(m: Module, name: str, unit: wiring.Component, library: UnitLibrary | None) -> None:
    """Add a unit to a module: an instance where there is a library, else the unit."""
    m.submodules[name] = unit if library is None else library.instance(unit)
    named(name, unit)


def add_units(
    m: Module, name: str, make: Callable[[], wiring.Component], count: int, library: UnitLibrary | None
) -> Sequence[wiring.PureInterface]:
    """Add so many units of one kind to a module, called ``name_0`` and so on; return their ports.

    Where there is a library they are instances of one module.
    """
    ports: Sequence[wiring.PureInterface]
    if library is None:
        ports = units = [make() for _ in range(count)]
    else:
        unit = make()
        ports = [unit.signature.create(path=(f"{name}_{k}",)) for k in range(count)]
        units = [library.instance(unit, own) for own in ports]
    for k, own in enumerate(ports):
        m.submodules[f"{name}_{k}"] = units[k]
        named(f"{name}_{k}", own)
    return ports
