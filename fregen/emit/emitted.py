"""From a design to Verilog, and to a manifest of all that one needs to know to use it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.back import rtlil

from .. import __version__
from ..design.document import Design
from ..hdl import Core
from ..hdl.beat import Sizes
from ..hdl.library import UnitLibrary
from ..hdl.names import named_ports
from ..hdl.ports import Port, core_ports
from ..hdl.samples import sample_layout
from ..plan import CycleModel, Program
from ..plan.counters import COUNTER_WIDTH, COUNTERS
from ..plan.cycles import PHASES
from ..spec.network import NetworkSpec
from .verilog import with_waivers, without_zeros, write_verilog

__all__ = ["Emitted", "emit", "emit_rtlil"]


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
    """

    sizes: Sizes
    core: str
    units: dict[str, str]
    manifest: dict[str, Any]

    @property
    def verilog(self) -> str:
        """Verilog-2005 of the core and all units, with the waivers of its lint."""
        return _file(self.core, self.units)

    @property
    def name(self) -> str:
        """Name of the top module."""
        return str(self.manifest["name"])


def emit(design: Design, known: dict[str, str] | None = None) -> Emitted:
    """Generate the Verilog of a design; the same design gives the same bytes.

    Parameters
    ----------
    design : Design
        The design.
    known : dict, optional
        Units are named by their content and kept here, for designs that are to share what they have in common; see
        :class:`fregen.hdl.library.UnitLibrary`.  Unless given, the units' names begin with the design's.

    Raises
    ------
    FormatError
        If formats cannot be aligned.
    """
    core = Core(NetworkSpec(design))
    library = UnitLibrary(write_verilog, design.name if known is None else None, known)
    with without_zeros():
        text = write_verilog(_rtlil(core, design, library))
    units = dict(sorted(library.modules.items()))
    return Emitted(core.sizes, text, units, _manifest(design, core.sizes, _file(text, units)))


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
    return _rtlil(Core(NetworkSpec(design), counter_start), design)


def _rtlil(core: Core, design: Design, platform: object = None) -> str:
    return str(rtlil.convert(core, name=design.name, platform=platform, ports=named_ports(core), emit_src=False))


def _manifest(design: Design, sizes: Sizes, text: str) -> dict[str, Any]:
    spec, memory, schedule = sizes.spec, sizes.memory, sizes.schedule
    model = CycleModel(schedule)
    full = memory.input_size
    return {
        "name": design.name,
        "fregen": __version__,
        "design": design.table(),
        "verilog_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "formats": {
            "state": str(spec.state),
            "weight": str(spec.weight),
            "offset": str(spec.offset),
            "error": str(spec.error),
            "sum": {"width": sizes.sum_width, "frac_bits": spec.sum_frac_bits},
        },
        "exponents": list(spec.exponents),
        "lanes": sizes.lanes,
        "weights": {
            "depth": memory.weight_depth,
            "words": memory.weight_depth * sizes.lanes,
            "order": "addresses rising, all lanes of one address first; row i lies in lane i mod lanes",
            "matrices": [
                {
                    "name": matrix.name,
                    "base": memory.weight_bases[matrix.index],
                    "stride": memory.row_stride(matrix),
                    "rows": memory.stored_shape(matrix)[0],
                    "columns": memory.stored_shape(matrix)[1],
                    "rows_are": f"neurons of layer {spec.stored(matrix)[0]}",
                    "columns_are": f"neurons of layer {spec.stored(matrix)[1]}",
                }
                for matrix in spec.graph.matrices
            ],
        },
        "vectors": {
            "planes": memory.planes,
            "plane_size": memory.plane_size,
            "slots": memory.slots,
            "layers": {str(layer.index): memory.vector_bases[layer.index] for layer in spec.graph.hidden},
            "error": memory.vector_bases[spec.graph.output],
        },
        "sample": {
            "words": memory.input_size,
            "fields": {name: {"offset": field.offset, "width": field.width} for name, field in sample_layout(sizes)},
        },
        "counters": {
            "width": COUNTER_WIDTH,
            "order": list(COUNTERS),
        },
        "ports": [_port(port) for port in core_ports(sizes)],
        "cycles": {
            "of a program": {
                name.name.lower(): model.program(name, full)[0] for name in Program if name != Program.UPDATE
            },
            "of an update": f"{_full_update(model, design, full)} for a full batch without zeros",
            "note": "free_first counts all inputs as nonzero; each zero word saves one cycle a tile",
            "phases": list(PHASES),
        },
        "instructions": len(schedule.lines),
    }


def _full_update(model: CycleModel, design: Design, inputs: int) -> int:
    """Cycles of the update of a full batch without a zero input."""
    batch = design.learning.batch
    return model.update(np.full(inputs, batch), batch)[0]


def _port(port: Port) -> dict[str, Any]:
    """Plain data of a port."""
    return {"name": port.name, "direction": port.direction, "width": port.width, "meaning": port.meaning}
