"""Pictures of a placed core: where its worst path spends its time, and which units take its logic."""

from collections.abc import Mapping, Sequence
from itertools import groupby

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .figures import BLUE, GREEN, ORANGE, SKY, STYLE

__all__ = ["cells_figure", "path_figure"]

_MOST_UNITS = 14


def path_figure(steps: Sequence[tuple[str, str, float]]) -> Figure:
    """Draw a path as bars from left to right, a row a unit that it visits: in cells, and along nets.

    Parameters
    ----------
    steps : sequence of (str, str, float)
        Unit, kind of step (``routing``, or one in a cell) and nanoseconds, in the order of the path.
    """
    visits = [(unit, list(visit)) for unit, visit in groupby(steps, lambda step: step[0])]
    at = 0.0
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 1.0 + 0.34 * len(visits)), layout="constrained")
        axes = figure.subplots()
        for row, (_, visit) in enumerate(visits):
            for _, kind, nanoseconds in visit:
                colour = SKY if kind == "routing" else BLUE
                axes.barh(row, nanoseconds, left=at, height=0.62, color=colour, edgecolor="white", linewidth=0.5)
                at += nanoseconds
        axes.set_yticks(range(len(visits)), [unit for unit, _ in visits])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("ns from the clock's edge; dark: in cells, light: along nets")
        axes.set_xlim(0, max(at, 0.1) * 1.02)
    return figure


def cells_figure(units: Mapping[str, Mapping[str, int]]) -> Figure:
    """Draw the cells of the first units.

    Parameters
    ----------
    units : dict of str to dict
        Cells of a netlist by unit and kind, units with most logic first (:class:`fregen.fpga.report.Units`).
    """
    parts = (("LUT4", 1, BLUE), ("CCU2C", 2, ORANGE))
    labels = {"lookup tables": BLUE, "carry chains": ORANGE, "flip-flops": GREEN}
    rows = list(units.items())[:_MOST_UNITS]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 1.2 + 0.32 * max(len(rows), 1)), layout="constrained")
        axes = figure.subplots()
        for row, (_, kinds) in enumerate(rows):
            at = 0
            for kind, weight, colour in parts:
                axes.barh(row - 0.17, weight * kinds.get(kind, 0), left=at, height=0.34, color=colour)
                at += weight * kinds.get(kind, 0)
            axes.barh(row + 0.17, kinds.get("TRELLIS_FF", 0), height=0.34, color=GREEN)
        axes.set_yticks(range(len(rows)), [unit for unit, _ in rows])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("cells (a carry cell counts as two lookup tables)")
        handles = [Patch(color=colour, label=label) for label, colour in labels.items()]
        axes.legend(handles=handles, loc="lower right")
    return figure
