"""What a design costs, counted by yosys before place and route: multipliers, adders, flip-flops, memory bits."""

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..design.document import Design
from ..errors import ToolError
from .emitted import emit_rtlil
from .yosys import run_yosys

__all__ = ["Resource", "count_cells", "resources"]

_SCRIPT = (
    "read_rtlil {rtlil}",
    "hierarchy -auto-top",
    "proc -norom",  # a case is logic, not a memory
    "flatten",
    "opt",
    "wreduce",
    "peepopt",
    "opt_clean",
    "tee -q -o {answer} stat -json -width",
)

_GROUPS = {
    "multipliers": ("mul",),
    "adders, subtractors, negations": ("add", "sub", "neg", "alu"),
    "comparators": ("eq", "ne", "lt", "le", "gt", "ge"),
    "shifters": ("shl", "shr", "sshl", "sshr", "shift", "shiftx"),
    "multiplexers": ("mux", "pmux", "bmux"),
    "logic": (
        *("and", "or", "xor", "xnor", "not", "logic_and", "logic_or", "logic_not"),
        *("reduce_and", "reduce_or", "reduce_xor", "reduce_xnor", "reduce_bool"),
    ),
    "flip-flops": ("dff", "dffe", "sdff", "sdffe", "sdffce", "adff", "adffe"),
}
"""Yosys's internal cells, by what an engineer calls them."""


@dataclass(frozen=True)
class Resource:
    """One row of the resource table.

    Parameters
    ----------
    name : str
        Kind of cell.
    cells : int
        How many.
    bits : int
        Sum of their widths (a multiplier's: of its product); of a memory its capacity.
    widths : dict of int to int
        Cells by width, bits; empty for memories.
    """

    name: str
    cells: int
    bits: int
    widths: dict[int, int]


def resources(design: Design) -> tuple[Resource, ...]:
    """Synthesize a design to generic cells and count them.

    Raises
    ------
    ToolError
        If yosys is missing or fails.
    """
    with tempfile.TemporaryDirectory(prefix="fregen-") as scratch:
        rtlil, answer = Path(scratch) / "design.il", Path(scratch) / "stat.json"
        rtlil.write_text(emit_rtlil(design), encoding="utf-8")
        lines = [line.format(rtlil=rtlil.name, answer=answer.name) for line in _SCRIPT]
        run_yosys(lines, Path(scratch))
        return count_cells(json.loads(answer.read_text(encoding="utf-8"))["design"])


def count_cells(stat: dict[str, object]) -> tuple[Resource, ...]:
    """Group the cells of a ``stat -json -width``; kinds that a design does not have are left out."""
    found: dict[str, dict[int, int]] = {}
    cells = stat["num_cells_by_type"]
    if not isinstance(cells, dict):
        raise ToolError("yosys's stat has no table of cells")
    for kind, count in cells.items():
        match = re.fullmatch(r"\$([a-z_]+?)((?:_\d+)+)", kind)
        group = next((name for name, kinds in _GROUPS.items() if match and match[1] in kinds), None)
        if match and group:
            width = int(match[2].split("_")[1])
            widths = found.setdefault(group, {})
            widths[width] = widths.get(width, 0) + int(count)
    rows = [
        Resource(
            name,
            sum(found[name].values()),
            sum(w * n for w, n in found[name].items()),
            dict(sorted(found[name].items())),
        )
        for name in _GROUPS
        if name in found
    ]
    memories, bits = int(str(stat["num_memories"])), int(str(stat["num_memory_bits"]))
    return (*rows, Resource("memories", memories, bits, {}))
