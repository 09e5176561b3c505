"""From a design to Verilog, and to a manifest of all that one needs to know to use it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from amaranth.back import rtlil

from ..design.document import Design
from ..hdl import Core
from ..hdl.beat import Sizes
from ..hdl.families import FAMILIES, Portable
from ..hdl.harness import Harness
from ..hdl.library import UnitLibrary
from ..hdl.names import named_ports
from ..spec.network import NetworkSpec
from .manifest import manifest
from .verilog import with_waivers, without_zeros, write_verilog

__all__ = ["Emitted", "Memories", "emit", "emit_harness", "emit_rtlil"]


class Memories(StrEnum):
    """Where the contents of tables stand: the schedule, and those of activation and softmax."""

    INLINE = "inline"
    """In the Verilog, a line a word, assigned in ``initial`` blocks."""
    READMEMH = "readmemh"
    """In files beside it, read by ``$readmemh``."""
    CASE = "case"
    """In the Verilog, as logic: for synthesis tools that ignore what memories begin with."""


@dataclass(frozen=True)
class Emitted:
    """Generated hardware.

    Parameters
    ----------
    sizes : Sizes
        Widths and plan.
    core : str
        Verilog-2005 of the top module.
    units : dict of str to str
        Verilog-2005 of every unit, by module.
    manifest : dict
        Formats, memory map, ports, handshakes, latencies; plain data.
    images : dict of str to str
        Files that the Verilog reads, by name; only with :attr:`Memories.READMEMH`.
    """

    sizes: Sizes
    core: str
    units: dict[str, str]
    manifest: dict[str, Any]
    images: dict[str, str] = field(default_factory=dict)

    @property
    def verilog(self) -> str:
        """Verilog-2005 of the core and all units, with the waivers of its lint."""
        return _file(self.core, self.units)

    @property
    def name(self) -> str:
        """Name of the top module."""
        return str(self.manifest["name"])

    @property
    def family(self) -> str:
        """Family whose primitives the modules are made of."""
        return self.sizes.spec.design.hardware.family


def emit(design: Design, known: dict[str, str] | None = None, memories: Memories = Memories.INLINE) -> Emitted:
    """Generate the Verilog of a design; the same design gives the same bytes.

    Parameters
    ----------
    design : Design
        The design.
    known : dict, optional
        Units are named by their content and kept here, for designs that are to share what they have in common; see
        :class:`fregen.hdl.library.UnitLibrary`.  Unless given, the units' names begin with the design's.
    memories : Memories
        Where the contents of tables stand.  With ``known``, always in the Verilog.

    Raises
    ------
    FormatError
        If formats cannot be aligned.
    """
    images: dict[str, str] = {}
    writer = partial(write_verilog, images=images if memories is Memories.READMEMH else None)
    prefix = design.name if known is None else None
    platform = FAMILIES[design.hardware.family](tables_as_logic=memories is Memories.CASE)
    library = UnitLibrary(writer, prefix, known, platform)
    core = Core(NetworkSpec(design), library=library)
    with without_zeros():
        text = writer(_rtlil(core, design, platform))
    units = dict(sorted(library.modules.items()))
    return Emitted(core.sizes, text, units, manifest(design, core.sizes, _file(text, units)), images)


def _file(core: str, units: Mapping[str, str]) -> str:
    return with_waivers(core + "".join(units.values()))


def emit_rtlil(design: Design, counter_start: Mapping[str, int] | None = None) -> str:
    """Generate the RTLIL of a design, for yosys: the same units, all of them submodules.

    Parameters
    ----------
    design : Design
        The design.
    counter_start : mapping of str to int, optional
        What counters begin with at reset, by name; 0 unless given.
    """
    return _rtlil(Core(NetworkSpec(design), counter_start), design, FAMILIES[design.hardware.family]())


def emit_harness(design: Design) -> str:
    """Generate the RTLIL of a core in the harness in which it is placed: module ``top``, pins ``i`` and ``o``."""
    harness = Harness(Core(NetworkSpec(design)))
    platform = FAMILIES[design.hardware.family]()
    return str(rtlil.convert(harness, name="top", ports=[harness.i, harness.o], platform=platform, emit_src=False))


def _rtlil(core: Core, design: Design, platform: Portable) -> str:
    return str(rtlil.convert(core, name=design.name, platform=platform, ports=named_ports(core), emit_src=False))
