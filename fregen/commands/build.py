"""`fregen build`: from a design to what an FPGA would make of it: clock, cells, worst path, as JSON and as a page."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..design.document import Design
from ..emit.render import render
from ..files import write_all
from ..fpga import Placed, Stage, find_device, place_and_route
from ..fpga.report import CELLS
from ..progress import Progress
from ..tools import find_nextpnr, find_yosys
from ..views.figures import png, svg
from ..views.placement_figure import cells_figure, path_figure

__all__ = ["build"]

SUMMARY, PAGE = "summary.json", "report.html"
_KINDS = {"LUT4": "LUT4", "CCU2C": "CCU2C", "TRELLIS_FF": "flip-flops", "DP16KD": "DP16KD", "MULT18X18D": "MULT18X18D"}
"""Kinds of cells of a netlist that the page has a column for, and its heading."""


def build(
    design: Design | Path,
    out: Path,
    device: str = "lfe5u-85f",
    seeds: Sequence[int] = (1,),
    mhz: float = 200.0,
    grade: int = 6,
    at_once: int = 1,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Synthesize the core of a design, place and route it, and write what came out.

    The core alone, without pins or buses (:class:`fregen.hdl.harness.Harness`): how fast it can be, and what it takes.
    Nothing runs on a board.  Stages whose inputs are the same as before are not done again.

    Parameters
    ----------
    design : Design or Path
        Design, or its file.
    out : Path
        Folder: ``summary.json``, ``report.html`` and its pictures (``path.png``, ``cells.png``), the tools' own files.
    device, grade : str, int
        The part, by name, and its speed grade.
    seeds : sequence of int
        Placements, each from a seed of its own; the fastest one is reported first.
    mhz : float
        Clock that placement aims at.
    at_once : int
        Placements made at the same time.
    progress : callable, optional
        Called with (done, total, what).

    Returns
    -------
    dict
        What ``summary.json`` holds: ``design``, ``family``, ``device``, ``grade``, ``aim_mhz``; ``mhz``, the best of
        ``placements``, a dict each with ``seed``, ``mhz``, ``used`` and ``path`` (steps with ``unit``, ``kind``,
        ``nanoseconds``); ``available``, the part's cells; ``units``, cells of the netlist by unit and kind;
        ``seconds`` by stage; ``versions``.

    Raises
    ------
    DesignError
        If the design, the part or an option is wrong.
    LoweringError
        If the core does not fit the part.
    ToolError
        If yosys or nextpnr is missing or fails.
    OutputError
        If the folder cannot be written.
    """
    chosen = design if isinstance(design, Design) else Design.load(design)
    part = find_device(device)
    placed, units, stages = place_and_route(chosen, part, out, seeds, mhz, grade, at_once, progress)
    placed = sorted(placed, key=lambda one: -one.mhz)
    summary = _summary(chosen, placed, units, stages)
    summary |= {"device": part.name, "grade": grade, "aim_mhz": mhz}
    steps = [(step.unit, step.kind, step.nanoseconds) for step in placed[0].path]
    figures = {"path": path_figure(steps), "cells": cells_figure(units)}
    page = _page(summary, placed[0], {name: svg(figure) for name, figure in figures.items()})
    pictures = {f"{name}.png": png(figure) for name, figure in figures.items()}
    write_all(out, {SUMMARY: json.dumps(summary, indent=1) + "\n", PAGE: page, **pictures})
    return summary


def _summary(
    design: Design, placed: Sequence[Placed], units: Mapping[str, Mapping[str, int]], stages: Mapping[str, Stage]
) -> dict[str, Any]:
    return {
        "design": design.name,
        "family": design.hardware.family,
        "lanes": design.hardware.lanes,
        "mhz": round(placed[0].mhz, 2),
        "available": placed[0].available,
        "placements": [
            {
                "seed": one.seed,
                "mhz": round(one.mhz, 2),
                "used": one.used,
                "path": [
                    {"unit": step.unit, "kind": step.kind, "nanoseconds": round(step.nanoseconds, 3)}
                    for step in one.path
                ],
            }
            for one in placed
        ],
        "units": {unit: dict(kinds) for unit, kinds in units.items()},
        "seconds": {name: stage.seconds for name, stage in stages.items()},
        "versions": {"fregen": __version__, "yosys": find_yosys().version, "nextpnr-ecp5": find_nextpnr().version},
    }


def _page(summary: Mapping[str, Any], best: Placed, figures: Mapping[str, str]) -> str:
    """Return ``report.html``: everything as text, the template computes nothing."""
    units = summary["units"]
    sums = {kind: sum(kinds.get(kind, 0) for kinds in units.values()) for kind in _KINDS}
    return render(
        "build.html.j2",
        name=summary["design"],
        device=summary["device"],
        grade=summary["grade"],
        mhz=f"{summary['mhz']:.1f}",
        aim=f"{summary['aim_mhz']:g}",
        facts=[("family", summary["family"]), ("lanes", str(summary["lanes"]))],
        cells=[
            (kind, f"{best.used[kind]:,}", f"{best.available[kind]:,}", _share(best.used[kind], best.available[kind]))
            for kind in CELLS
        ],
        placements=[(str(one["seed"]), f"{one['mhz']:.1f} MHz") for one in summary["placements"]],
        path=[(unit, f"{cells:.2f}", f"{nets:.2f}") for unit, cells, nets in best.units],
        total=f"{sum(step.nanoseconds for step in best.path):.2f}",
        kinds=list(_KINDS.values()),
        units=[(unit, [f"{kinds.get(kind, 0):,}" for kind in _KINDS]) for unit, kinds in units.items()],
        sums=[f"{sums[kind]:,}" for kind in _KINDS],
        figures=figures,
        seconds=[(name, f"{value:,.1f} s") for name, value in summary["seconds"].items()],
        versions=list(summary["versions"].items()),
    )


def _share(used: int, available: int) -> str:
    return f"{100 * used / available:.1f} %" if available else ""
