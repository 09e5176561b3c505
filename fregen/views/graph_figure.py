"""The picture of a network: layers as nodes, connections as arcs, and the adjacency matrix of layers (paper, Fig. 3).

Colour shows where a connection leads (forward, feedback, output error), the line what it reads: a learned matrix
(solid), a learned matrix transposed (dashed: symmetric feedback), or fixed random weights (dotted).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path
from matplotlib.patheffects import withStroke

from ..design.graph import Connection, Graph, Kind
from .figures import BLUE, GREEN, GREY, ORANGE, PURPLE, STYLE

__all__ = ["LineKind", "graph_figure", "layer_name", "line_kind"]

_HALF_WIDTH, _HALF_HEIGHT = 0.29, 0.25
_PAD = 0.35
_NAMED_UP_TO = 9
"""Layers up to which arcs and cells bear the names of their matrices."""
_NOTES_WIDTH = 3.5
_ROWS = {2: (0.09, -0.09), 3: (0.15, 0.0, -0.15)}
"""Where the lines of text of a node stand, by how many there are."""


@dataclass(frozen=True)
class LineKind:
    """How a sort of connection is drawn.

    Parameters
    ----------
    name : str
        What it is, for the legend.
    colour : str
        Of line and cell.
    dash : {"-", "--", ":"}
        Line style of matplotlib.
    """

    name: str
    colour: str
    dash: Literal["-", "--", ":"]


_LEARNED = LineKind("forward, learned", BLUE, "-")
_STIFF = LineKind("forward, fixed", BLUE, ":")
_SYMMETRIC = LineKind("feedback, symmetric (transposed)", ORANGE, "--")
_RANDOM = LineKind("feedback, fixed random weights", PURPLE, ":")
_ERROR = LineKind("output error, transposed readout", GREEN, "--")
_RANDOM_ERROR = LineKind("output error, fixed random weights", GREEN, ":")
_KINDS = (_LEARNED, _STIFF, _SYMMETRIC, _RANDOM, _ERROR, _RANDOM_ERROR)


def layer_name(graph: Graph, index: int) -> str:
    """Return ``input``, ``hidden 1``, ``hidden 2``, ..., ``output``."""
    return "input" if index == 0 else "output" if index == graph.output else f"hidden {index}"


def line_kind(graph: Graph, connection: Connection) -> LineKind:
    """Return how a connection, or an error connection, is drawn."""
    learns = any(matrix.index == connection.matrix for matrix in graph.learned)
    if connection.source == graph.output:
        return _ERROR if learns else _RANDOM_ERROR
    if connection.kind is Kind.FORWARD:
        return _LEARNED if learns else _STIFF
    return _SYMMETRIC if learns else _RANDOM


def graph_figure(graph: Graph, nudge: float, title: str, notes: Sequence[tuple[str, str]] = ()) -> Figure:
    """Draw a network.

    Parameters
    ----------
    graph : Graph
        Layers and connections; of any topology.
    nudge : float
        β_f, by which the output error is scaled.
    title : str
        Stands above.
    notes : sequence of (str, str)
        Names and figures that stand beside the matrix.
    """
    count = len(graph.layers)
    arrows = [(c, c.scale) for c in graph.connections] + [(c, c.scale * nudge) for c in graph.error_connections]
    top, bottom = (
        max((_height(c) for c, _ in arrows if (c.kind is Kind.FORWARD) == forward), default=0.0)
        for forward in (True, False)
    )
    rise, fall = (_HALF_HEIGHT + height + (0.28 if height else 0.08) for height in (top, bottom))
    unit = min(1.75, max(0.62, 11.0 / count))
    side = min(7.5, max(2.8, (0.62 if count <= _NAMED_UP_TO else 0.42) * count))
    width = max(unit * (count - 0.1), side + 1.1 + _NOTES_WIDTH) + 2 * _PAD
    upper, lower = unit * (rise + fall), side + 0.95
    height = upper + lower + 0.6
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        figure.text(_PAD / width, 1 - 0.3 / height, title, fontsize=13, fontweight="bold", va="center")
        net = figure.add_axes((0, lower / height, 1, upper / height))
        net.set_axis_off()
        span = width / unit
        net.set_xlim((count - 1) / 2 - span / 2, (count - 1) / 2 + span / 2)
        net.set_ylim(-fall, rise)
        _draw_net(net, graph, arrows, unit)
        left = 0.95 + _PAD
        matrix = figure.add_axes((left / width, 0.25 / height, side / width, side / height))
        _draw_matrix(matrix, graph, arrows, side / count)
        _draw_notes(figure, graph, arrows, notes, (left + side + 0.35) / width, (0.25 + side) / height)
        return figure


def _draw_net(axes: Axes, graph: Graph, arrows: Sequence[tuple[Connection, float]], unit: float) -> None:
    small = len(graph.layers) <= _NAMED_UP_TO
    wide = 1.5 if small else 1.2
    ports, apart = _ports([c for c, _ in arrows])
    # Heads of the arrows at one node must not run together: as wide as they are apart, in points, at the most.
    head = min(1.25, 1.25 * 72 * unit * apart / (7.5 if small else 6.5))
    for c, scale in sorted(arrows, key=lambda arrow: -abs(arrow[0].target - arrow[0].source)):
        kind, forward, span = line_kind(graph, c), c.kind is Kind.FORWARD, abs(c.target - c.source)
        way = 1 if forward else -1
        if forward and span == 1:
            path = Path([(c.source + _HALF_WIDTH + 0.03, 0), (c.target - _HALF_WIDTH - 0.03, 0)])
            label = ((c.source + c.target) / 2, 0.05)
        else:
            start, end = c.source + ports[c, c.source], c.target + ports[c, c.target]
            foot, bow = way * (_HALF_HEIGHT + 0.03), way * _height(c)
            points = [(start, foot), (start, foot + bow * 4 / 3), (end, foot + bow * 4 / 3), (end, foot)]
            path = Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
            label = ((start + end) / 2, foot + bow + way * 0.04)
        axes.add_patch(
            FancyArrowPatch(
                path=path,
                arrowstyle="-|>,head_length=5,head_width=2.4" if small else "-|>,head_length=3.6,head_width=1.8",
                linestyle=kind.dash,
                linewidth=wide,
                color=kind.colour,
                alpha=1.0 if small else 0.85,
                mutation_scale=1.25 if forward and span == 1 else head,
                shrinkA=0,
                shrinkB=0,
                zorder=1 + 1 / span,
            )
        )
        if small:
            place = "bottom" if forward else "top"
            drawn = axes.text(*label, _label(graph, c, scale), color=kind.colour, fontsize=9, ha="center", va=place)
            drawn.set(zorder=4, path_effects=[withStroke(linewidth=3, foreground="white")])
    size = min(10.0, 7.2 * unit)
    for layer in graph.layers:
        outside = layer.index in (0, graph.output)
        axes.add_patch(
            FancyBboxPatch(
                (layer.index - _HALF_WIDTH + 0.08, -_HALF_HEIGHT + 0.08),
                2 * _HALF_WIDTH - 0.16,
                2 * _HALF_HEIGHT - 0.16,
                boxstyle="round,pad=0.08",
                facecolor="#f3f3f3" if outside else "white",
                edgecolor="#444444",
                linewidth=1.2,
                zorder=3,
            )
        )
        name = layer_name(graph, layer.index) if unit > 1 else _short(graph, layer.index)
        text = f"{layer.size}" if layer.maps is None else "×".join(map(str, layer.maps))
        lines = [(name, 0.85 * size, GREY, "normal"), (text, min(1.15 * size, 48 * unit / len(text)), "black", "bold")]
        if layer.window > 1:
            lines.append((f"max {layer.window}×{layer.window}", 0.75 * size, GREY, "normal"))
        for (words, fontsize, colour, weight), y in zip(lines, _ROWS[len(lines)], strict=True):
            axes.text(
                layer.index,
                y,
                words,
                fontsize=fontsize,
                fontweight=weight,
                color=colour,
                ha="center",
                va="center",
                zorder=4,
            )


def _ports(connections: Sequence[Connection]) -> tuple[dict[tuple[Connection, int], float], float]:
    """Place the ends of arcs side by side at the upper and the lower edge of every node.

    Arcs to the left come first, the shortest outermost, so that arcs at one edge do not cross.

    Returns
    -------
    dict of (Connection, int) to float
        Distance of an arc's end from the middle of a layer's node.
    float
        Least distance of two ends at one edge.
    """
    edges: dict[tuple[int, bool], list[tuple[Connection, int]]] = {}
    for c in connections:
        if _height(c):
            for here, there in ((c.source, c.target), (c.target, c.source)):
                edges.setdefault((here, c.kind is Kind.FORWARD), []).append((c, there))
    ports, least = {}, 2 * _HALF_WIDTH
    for (here, _), ends in edges.items():
        ends.sort(key=lambda end: (end[1] > here, abs(end[1] - here) if end[1] < here else here - end[1]))
        apart = min(0.17, (2 * _HALF_WIDTH - 0.1) / max(len(ends) - 1, 1))
        least = min(least, apart) if len(ends) > 1 else least
        for place, (c, there) in enumerate(ends):
            middle = (len(ends) - 1) / 2
            alone = 0.12 if there > here else -0.12
            ports[c, here] = alone if len(ends) == 1 else (place - middle) * apart
    return ports, least


def _draw_matrix(axes: Axes, graph: Graph, arrows: Sequence[tuple[Connection, float]], cell: float) -> None:
    count = len(graph.layers)
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(count - 0.5, -0.5)
    axes.grid(visible=False)
    cells = [
        Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="#e9e9e9" if row == column else "#fafafa")
        for row in range(count)
        for column in range(count)
    ]
    for square in cells:
        square.set(edgecolor="white", linewidth=1.5)
    # One by one, matplotlib needs seconds for the largest network's.
    axes.add_collection(PatchCollection(cells, match_original=True), autolim=False)
    texts: dict[tuple[int, int], list[str]] = {}
    for c, scale in arrows:
        kind = line_kind(graph, c)
        box = Rectangle((c.source - 0.47, c.target - 0.47), 0.94, 0.94, facecolor=kind.colour, linewidth=0)
        box.set_alpha(0.2 if count <= _NAMED_UP_TO else 0.45)
        axes.add_patch(box)
        edge = Rectangle((c.source - 0.44, c.target - 0.44), 0.88, 0.88, fill=False, edgecolor=kind.colour)
        edge.set(linestyle=kind.dash, linewidth=1.2)
        axes.add_patch(edge)
        texts.setdefault((c.source, c.target), []).append(_label(graph, c, scale))
    if count <= _NAMED_UP_TO:
        for (column, row), lines in texts.items():
            size = min(9.5, 15 * cell)
            axes.text(column, row, "\n".join(lines), fontsize=size, ha="center", va="center")
    names = [_short(graph, layer.index) for layer in graph.layers]
    axes.set_xticks(range(count), names, fontsize=min(9.0, 22 * cell))
    axes.set_yticks(range(count), names, fontsize=min(9.0, 22 * cell))
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0)
    axes.set_xlabel("from layer")
    axes.set_ylabel("to layer")
    axes.spines[:].set_visible(False)


def _draw_notes(
    figure: Figure,
    graph: Graph,
    arrows: Sequence[tuple[Connection, float]],
    notes: Sequence[tuple[str, str]],
    left: float,
    top: float,
) -> None:
    there = {line_kind(graph, c).name for c, _ in arrows}
    handles = [
        Line2D([], [], color=kind.colour, linestyle=kind.dash, linewidth=1.8, label=kind.name)
        for kind in _KINDS
        if kind.name in there
    ]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(left, top),
        borderaxespad=0,
        borderpad=0,
        handlelength=2.6,
        labelspacing=0.7,
        fontsize=9,
    )
    inch = 1 / figure.get_figheight()
    used = 0.22 * len(handles) + 0.2
    for line, (name, text) in enumerate(notes):
        y = top - (used + 0.21 * line) * inch
        figure.text(left, y, name, fontsize=9, color=GREY, va="top")
        figure.text(left + _NOTES_WIDTH / figure.get_figwidth() - 0.02, y, text, fontsize=9, va="top", ha="right")


def _height(connection: Connection) -> float:
    """Return how far an arc bows out of the row of nodes; 0 for the straight arrow to the next layer."""
    span = abs(connection.target - connection.source)
    if connection.kind is Kind.FORWARD and span == 1:
        return 0.0
    return 0.2 + 0.2 * (span - 1) ** 0.8


def _label(graph: Graph, connection: Connection, scale: float) -> str:
    """Return matrix and scale as mathematics: ``2^-5 W_1^T``."""
    found = re.fullmatch(r"([A-Za-z]+)(\d+(?:_\d+)*)", graph.matrices[connection.matrix].name)
    letter, index = found.groups() if found else (graph.matrices[connection.matrix].name.replace("_", ""), "")
    name = f"{letter}_{{{index.replace('_', ',')}}}" + (r"^{\,T}" if connection.transposed else "")
    mantissa, exponent = math.frexp(scale)
    power = f"2^{{{exponent - 1}}}" if mantissa == 0.5 else f"{scale:.3g}"
    return f"${name}$" if scale == 1 else rf"${power}\,{name}$"


def _short(graph: Graph, index: int) -> str:
    return "in" if index == 0 else "out" if index == graph.output else str(index)
