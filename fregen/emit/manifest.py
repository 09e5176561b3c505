"""The manifest: formats, memory map, ports, handshakes and log records of a core, as plain data."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..design.document import Design
from ..errors import DesignError
from ..files import read_at_most
from ..hdl.beat import Sizes
from ..hdl.ports import Port, core_ports
from ..hdl.samples import sample_layout
from ..plan import CycleModel, Program
from ..plan.counters import COUNTER_WIDTH, COUNTERS
from ..plan.cycles import PHASES
from ..plan.records import layout_table, records

__all__ = ["manifest", "read_manifest"]

_LONGEST = 1 << 24
"""Bytes of a manifest; that of the largest design has some thousands."""


def manifest(design: Design, sizes: Sizes, text: str) -> dict[str, Any]:
    """Return all that one needs to know to use a core.

    Parameters
    ----------
    design : Design
        The design.
    sizes : Sizes
        Widths and plan.
    text : str
        The Verilog.

    Returns
    -------
    dict
        Plain data.
    """
    spec, memory, schedule = sizes.spec, sizes.memory, sizes.schedule
    model = CycleModel(schedule)
    full = memory.input_size
    ports = core_ports(sizes)
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
            "words_a_beat": memory.words,
            "fields": {name: {"offset": field.offset, "width": field.width} for name, field in sample_layout(sizes)},
        },
        "counters": {
            "width": COUNTER_WIDTH,
            "order": list(COUNTERS),
        },
        "records": layout_table(records(ports)),
        "ports": [_port(port) for port in ports],
        "cycles": {
            "of a program": {
                name.name.lower(): model.work(name, full).cycles for name in Program if name != Program.UPDATE
            },
            "of an update": f"{_full_update(model, design, full)} for a full batch without zeros",
            "note": "free_first counts all inputs as nonzero; each zero word saves one cycle a tile",
            "phases": list(PHASES),
        },
        "instructions": len(schedule.instructions),
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a folder that ``fregen generate`` wrote.

    Raises
    ------
    DesignError
        If there is none, or it is no manifest of fregen's.
    """
    path = folder / "manifest.json"
    try:
        found = json.loads(read_at_most(path, _LONGEST, DesignError, "a manifest"))
    except (OSError, ValueError, RecursionError):
        found = None
    if not (isinstance(found, dict) and found.get("fregen") and isinstance(found.get("files"), dict)):
        raise DesignError(f"{folder} is no folder that fregen generate wrote: {path} is missing or unreadable")
    return found


def _full_update(model: CycleModel, design: Design, inputs: int) -> int:
    """Cycles of the update of a full batch without a zero input."""
    batch = design.learning.batch
    return model.update(np.full(inputs, batch), batch).cycles


def _port(port: Port) -> dict[str, Any]:
    """Plain data of a port."""
    return {"name": port.name, "direction": port.direction, "width": port.width, "meaning": port.meaning}
