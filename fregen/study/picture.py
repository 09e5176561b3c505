"""The picture of a study: test accuracy, a line a width, a panel for what else varies."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from ..views.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, STYLE, YELLOW
from .study_file import Picture
from .summary import Cell

__all__ = ["accuracy_figure"]

_COLOURS, _MARKS = (BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW, GREY), ("o", "s", "^", "D", "v", "P", "X")
_MOST_PANELS, _COLUMNS = 24, 3
_WIDE = 6.0
"""Points between the best and the worst accuracy from which on the axis is stretched."""
_TICKS = (0, 50, 70, 75, 80, 85, 90, 92, 94, 95, 96, 97, 97.5, 98, 98.5, 99, 99.5, 99.8)


def accuracy_figure(name: str, picture: Picture, cells: Sequence[Cell]) -> Figure:
    """Draw the accuracy after the last epoch, mean and 95 % interval over seeds.

    Parameters
    ----------
    name : str
        Title.
    picture : Picture
        What is drawn where.
    cells : sequence of Cell
        At least one.
    """
    panels: dict[str, list[Cell]] = {}
    for cell in cells:
        title = ", ".join(f"{_name(axis)} {cell.point.coordinate(axis)}" for axis in picture.panel)
        panels.setdefault(title, []).append(cell)
    left_out = max(len(panels) - _MOST_PANELS, 0)
    shown = dict(list(panels.items())[:_MOST_PANELS])
    lines = list(dict.fromkeys(cell.point.coordinate(picture.line) for cell in cells))
    places = _places([cell.point.coordinate(picture.x) for cell in cells])
    columns = min(_COLUMNS, len(shown))
    height = -(-len(shown) // columns)
    with matplotlib.rc_context(STYLE):
        width = max(3.4, 0.55 * len(places))
        figure = Figure(figsize=(1.0 + width * max(columns, 1.5), 1.3 + 3.1 * height), layout="constrained")
        grid = figure.subplots(height, columns, sharex=True, sharey=True, squeeze=False)
        flat = [axes for row in grid for axes in row]
        for axes, (title, some) in zip(flat, shown.items(), strict=False):
            axes.set_title(title)
            for number, line in enumerate(lines):
                _draw(axes, [c for c in some if c.point.coordinate(picture.line) == line], places, picture.x, number)
            axes.set_xticks(range(len(places)), list(places))
            axes.set_xlim(-0.5, len(places) - 0.5)
        for axes in flat[len(shown) :]:
            axes.set_visible(False)
        for axes in grid[-1]:
            axes.set_xlabel(_name(picture.x))
        for row in grid:
            row[0].set_ylabel("test accuracy (%)")
        _stretch(flat[0], cells)
        handles = [
            Line2D([], [], color=_COLOURS[k % 7], marker=_MARKS[k % 7], linewidth=1.6, markersize=5)
            for k in range(len(lines))
        ]
        beside = max(1, min(len(lines), 120 // (6 + max(map(len, lines)))))
        title = _name(picture.line)
        figure.legend(handles, lines, title=title, loc="outside lower center", ncols=beside, fontsize=9)
        note = f"; {left_out} more panels are in the table" if left_out else ""
        seeds, epochs = _range([cell.seeds for cell in cells]), _range([cell.epochs for cell in cells])
        text = f"{name}: last of {epochs} epochs, mean and 95 % interval of {seeds} seeds{note}"
        figure.suptitle(text, x=0.01, ha="left", fontsize=10.5)
        return figure


def _draw(axes: Axes, cells: Sequence[Cell], places: dict[str, int], x: str, number: int) -> None:
    """Draw one line; marks of different lines stand beside each other."""
    some = sorted(cells, key=lambda cell: places[cell.point.coordinate(x)])
    axes.errorbar(
        [places[cell.point.coordinate(x)] + 0.06 * (number % 7 - 3) for cell in some],
        [cell.last.mean for cell in some],
        yerr=[cell.last.half for cell in some],
        color=_COLOURS[number % 7],
        marker=_MARKS[number % 7],
        markersize=5,
        linewidth=1.4,
        elinewidth=1.0,
        capsize=2,
    )


def _stretch(axes: Axes, cells: Sequence[Cell]) -> None:
    """Give good accuracies more room where bad ones would press them together: the logarithm of the error."""
    means = [cell.last.mean for cell in cells]
    if max(means) - min(means) < _WIDE:
        return
    axes.set_yscale("function", functions=(_error, _accuracy))
    low = min(max(cell.last.mean - cell.last.half, 0) for cell in cells)
    high = min(max(cell.last.mean + cell.last.half for cell in cells), 99.9)
    axes.set_ylim(low - 1, high + (100 - high) / 20)
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in _TICKS if low - 1 <= tick <= high]))


def _error(accuracy: Any) -> Any:
    return -np.log10(np.maximum(100 - np.asarray(accuracy, dtype=float), 0.01))


def _accuracy(error: Any) -> Any:
    return 100 - 10.0 ** -np.asarray(error, dtype=float)


def _places(labels: Sequence[str]) -> dict[str, int]:
    """Return where labels stand: numbers by size, others in their order."""
    found = list(dict.fromkeys(labels))
    if all(label.isdecimal() for label in found):
        found.sort(key=int)
    return {label: place for place, label in enumerate(found)}


def _name(axis: str) -> str:
    """Return the last part of a key: ``beta`` of ``network.beta``."""
    return axis.rpartition(".")[2]


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"
