"""What synthesis, and place and route, say of a core, by the units of ours that its cells lie in."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from ..errors import ToolError

__all__ = ["CELLS", "Placed", "Step", "Units", "read_report"]

CELLS = ("TRELLIS_COMB", "TRELLIS_FF", "DP16KD", "MULT18X18D")
"""Kinds of cells of a part that a core takes: logic, flip-flops, block RAM, multipliers."""

_ROOT, _HARNESS = "core", "harness"
_NUMBER = re.compile(r"_\d+(?=\.|$)")


@dataclass(frozen=True)
class Step:
    """A step of a path: through a cell, or along a net.

    Parameters
    ----------
    unit : str
        Unit of ours that it ends in, as :class:`Units` names it.
    kind : str
        nextpnr's word for it: ``clk-to-q``, ``routing``, ``logic`` or ``setup``.
    nanoseconds : float
        How long it takes.
    """

    unit: str
    kind: str
    nanoseconds: float


@dataclass(frozen=True)
class Placed:
    """A core that was placed and routed once.

    Parameters
    ----------
    seed : int
        Of placement.
    mhz : float
        Clock that its worst path allows.
    used, available : dict of str to int
        Cells by kind (:data:`CELLS`): the core's with its harness, and the part's.
    path : tuple of Step
        The worst path, from a register to the next one.
    """

    seed: int
    mhz: float
    used: dict[str, int]
    available: dict[str, int]
    path: tuple[Step, ...]

    @property
    def units(self) -> list[tuple[str, float, float]]:
        """Units along the worst path, each with its nanoseconds in cells and along nets; a unit once a visit."""
        found = []
        for unit, steps in groupby(self.path, lambda step: step.unit):
            times = {True: 0.0, False: 0.0}
            for step in steps:
                times[step.kind == "routing"] += step.nanoseconds
            found.append((unit, times[False], times[True]))
        return found


class Units:
    """Which unit of ours a cell of a flat netlist lies in.

    Parameters
    ----------
    netlist : Path
        yosys's netlist; it has a cell of kind ``$scopeinfo`` for every module that was dissolved.

    Attributes
    ----------
    cells : dict of str to dict
        Cells by unit and kind; units with most logic first, where a carry cell counts as two lookup tables.

    Raises
    ------
    ToolError
        If it is no netlist with one top module.
    """

    def __init__(self, netlist: Path) -> None:
        try:
            modules = json.loads(netlist.read_text(encoding="utf-8"))["modules"].values()
            (top,) = (module for module in modules if int(module["attributes"].get("top", "0"), 2))
            kinds = {str(name): str(cell["type"]) for name, cell in top["cells"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ToolError(f"{netlist}: yosys has not written a netlist with one top module ({error!r})") from None
        self._scopes = {name for name, kind in kinds.items() if kind == "$scopeinfo"}
        found: dict[str, Counter[str]] = {}
        for name, kind in kinds.items():
            if kind != "$scopeinfo":
                found.setdefault(self.unit(name), Counter())[kind] += 1
        most = sorted(found, key=lambda unit: (-found[unit]["LUT4"] - 2 * found[unit]["CCU2C"], unit))
        self.cells = {unit: dict(sorted(found[unit].items())) for unit in most}

    def unit(self, cell: str) -> str:
        """Return the unit of ours that a cell lies in, without numbers of instances: ``array.lane``.

        ``core`` where it lies in the core itself, ``harness`` where it lies around it.
        """
        parts = cell.split(".")
        depth = next((n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in self._scopes), 0)
        if depth == 0:
            return _HARNESS
        return _NUMBER.sub("", ".".join(parts[1:depth])) or _ROOT


def read_report(path: Path, seed: int, units: Units) -> Placed:
    """Read nextpnr's report of a placement.

    Raises
    ------
    ToolError
        If it is none, or tells of another number of clocks than one.
    """
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        (clock,) = report["fmax"].values()
        inside = [path["path"] for path in report["critical_paths"] if path["from"] == path["to"]]
        steps = [Step(units.unit(str(s["to"]["cell"])), str(s["type"]), float(s["delay"])) for s in inside[0]]
        kinds = {kind: report["utilization"].get(kind, {"used": 0, "available": 0}) for kind in CELLS}
        used = {kind: int(cells["used"]) for kind, cells in kinds.items()}
        available = {kind: int(cells["available"]) for kind, cells in kinds.items()}
        return Placed(seed, float(clock["achieved"]), used, available, tuple(steps))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ToolError(f"{path}: nextpnr has not written a report of one clock ({error!r})") from None
