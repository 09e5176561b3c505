"""The figures of the report: data in, SVG text out.

Colours are those of Okabe and Ito: people with any colour vision can distinguish them.  Every line has its own mark.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

__all__ = ["Evolution", "budget_figure", "curves_figure", "evolution_figure", "svg"]

BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW, GREY = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#e69f00",
    "#666666",
)
PHASE_COLOURS = {"free": BLUE, "readout": YELLOW, "nudged": ORANGE, "update": GREEN}

STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "fregen",
}


@dataclass(frozen=True)
class Evolution:
    """What one sample's hidden words did while it was learnt, as values.

    Parameters
    ----------
    layers : sequence of str
        Hidden layers, from the input up.
    states : sequence of (steps + 1, neurons) arrays
        By layer, from the zero states on.
    nudged : sequence of (steps + 1, neurons) arrays
        Likewise in the nudged phase: offsets d (from zero), or states (from the free ones).
    state_lsb, nudged_lsb : float
        Value of one unit of the last place.
    nudged_name : str
        What the nudged phase holds: ``offset d`` or ``state s``.
    """

    layers: Sequence[str]
    states: Sequence[NDArray[np.float64]]
    nudged: Sequence[NDArray[np.float64]]
    state_lsb: float
    nudged_lsb: float
    nudged_name: str


def svg(figure: Figure) -> str:
    """Return a figure as an ``<svg>`` element, the same bytes for the same figure."""
    text = io.StringIO()
    with matplotlib.rc_context(STYLE):  # its salt, without which the names inside differ from time to time
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    whole = text.getvalue()
    return whole[whole.index("<svg") :]


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG of 144 dots an inch, the same bytes for the same figure."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=144, metadata={"Software": None})
    return content.getvalue()


def curves_figure(
    float_curve: Sequence[float], fixed_curve: Sequence[float], rtl_curve: Sequence[float], rtl_measured: float
) -> Figure:
    """Test accuracy after every epoch: float model, golden model, and the chip's own weights.

    Parameters
    ----------
    float_curve, fixed_curve, rtl_curve : sequences of float
        Accuracy, 0 to 1, from epoch 1 on.
    rtl_measured : float
        Accuracy of the predictions that the chip itself sent, after its last epoch.
    """
    longest = max(len(float_curve), len(fixed_curve), len(rtl_curve))
    if longest == 1:
        return _one_epoch(float_curve[0], fixed_curve[0], rtl_curve[0], rtl_measured)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 3.9), layout="constrained")
        axes = figure.subplots()
        for curve, colour, mark, name in (
            (float_curve, BLUE, "o", "float model"),
            (fixed_curve, ORANGE, "s", "fixed point (golden model)"),
        ):
            epochs = np.arange(1, len(curve) + 1)
            axes.plot(epochs, 100 * np.array(curve), color=colour, marker=mark, markersize=4, linewidth=1.6, label=name)
        epochs = np.arange(1, len(rtl_curve) + 1)
        axes.plot(
            epochs,
            100 * np.array(rtl_curve),
            linestyle="none",
            marker="o",
            markersize=10,
            markerfacecolor="none",
            markeredgecolor=GREEN,
            markeredgewidth=1.6,
            label="RTL, from its weights after each epoch",
        )
        axes.plot(
            [len(rtl_curve)],
            [100 * rtl_measured],
            linestyle="none",
            marker="*",
            markersize=15,
            markerfacecolor=GREEN,
            markeredgecolor="white",
            markeredgewidth=0.8,
            label=f"RTL, its own predictions: {100 * rtl_measured:.2f} %",
            zorder=5,
        )
        axes.set_xlim(0.4, longest + 0.6)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epochs learnt")
        axes.set_ylabel("test accuracy (%)")
        axes.legend(loc="lower right", fontsize=9)
        return figure


def _one_epoch(float_model: float, fixed: float, rtl_weights: float, rtl_measured: float) -> Figure:
    """Draw one accuracy of each kind, a row each: marks that lie on each other would hide one another."""
    rows = (
        ("float model", float_model, BLUE, "o"),
        ("fixed point (golden model)", fixed, ORANGE, "s"),
        ("RTL, from its weights", rtl_weights, GREEN, "D"),
        ("RTL, its own predictions", rtl_measured, GREEN, "*"),
    )
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 2.4), layout="constrained")
        axes = figure.subplots()
        for place, (_, accuracy, colour, mark) in enumerate(rows):
            axes.plot([0, 100 * accuracy], [place, place], color=colour, linewidth=1.6)
            axes.plot([100 * accuracy], [place], color=colour, marker=mark, markersize=12 if mark == "*" else 7)
            axes.text(100 * accuracy + 2.5, place, f"{100 * accuracy:.2f} %", va="center", fontsize=9)
        axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.set_xlim(0, 115)
        axes.set_xticks(range(0, 101, 20))
        axes.set_xlabel("test accuracy after one epoch (%)")
        return figure


def evolution_figure(data: Evolution) -> Figure:
    """Hidden words of one sample, step by step, and their distance to where they end."""
    with matplotlib.rc_context(STYLE):
        rows = len(data.layers)
        figure = Figure(figsize=(8.6, 2.1 * rows + 2.3), layout="constrained")
        grid = figure.add_gridspec(rows + 1, 2)
        phases = (
            ("free phase", "state s", data.states, data.state_lsb),
            ("nudged phase", data.nudged_name, data.nudged, data.nudged_lsb),
        )
        marks = ("o", "s", "^", "D", "v")
        colours = (BLUE, ORANGE, GREEN, PURPLE, SKY)
        for column, (phase, name, words, lsb) in enumerate(phases):
            for row, layer in enumerate(data.layers):
                axes = figure.add_subplot(grid[row, column])
                steps = np.arange(len(words[row]))
                axes.plot(steps, words[row], color=colours[row % len(colours)], linewidth=0.8, alpha=0.55)
                axes.set_title(f"{layer}, {phase}: {words[row].shape[1]} neurons")
                axes.set_ylabel(f"{name} (value)")
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
                axes.ticklabel_format(axis="y", scilimits=(-2, 3))
            axes = figure.add_subplot(grid[rows, column])
            for row, layer in enumerate(data.layers):
                distance = np.abs(words[row] - words[row][-1]).max(axis=1) / lsb
                axes.plot(
                    np.arange(len(distance)),
                    distance,
                    color=colours[row % len(colours)],
                    marker=marks[row % len(marks)],
                    markersize=5,
                    linewidth=1.4,
                    label=layer,
                )
            axes.set_yscale("symlog", linthresh=1)
            axes.set_ylim(-0.15, None)
            axes.set_title(f"{phase}: greatest distance to the last step")
            axes.set_ylabel("distance (LSB)")
            axes.set_xlabel("step (0: before the phase)")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend(loc="upper right", fontsize=9)
        return figure


def budget_figure(
    learn: Mapping[str, float],
    infer: Mapping[str, float],
    learn_macs: Mapping[str, float],
    infer_macs: Mapping[str, float],
) -> Figure:
    """Cycles of one sample by phase, and the part of them in which all multipliers would have been enough.

    Parameters
    ----------
    learn, infer : mapping of str to float
        Mean cycles of a sample by phase.
    learn_macs, infer_macs : mapping of str to float
        Useful multiplications / lanes of a sample by phase: the cycles that fully used multipliers would take.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 2.7), layout="constrained")
        axes = figure.subplots()
        names = ("learn", "infer")
        total = max(sum(learn.values()), sum(infer.values()))
        for place, (cycles, useful) in enumerate(((learn, learn_macs), (infer, infer_macs))):
            left = 0.0
            for phase, colour in PHASE_COLOURS.items():
                width = cycles[phase]
                axes.barh(
                    place, width, left=left, height=0.55, color=colour, alpha=0.38, edgecolor="white", linewidth=1
                )
                axes.barh(place - 0.275 + 0.0825, useful[phase], left=left, height=0.165, color=colour)
                if width > 0.055 * total:
                    axes.text(left + width / 2, place + 0.09, f"{width:,.0f}", ha="center", va="center", fontsize=9)
                left += width
            axes.text(left + 0.012 * total, place, f"{left:,.1f}", va="center", fontweight="bold")
        handles = [Patch(facecolor=c, alpha=0.5, label=p) for p, c in PHASE_COLOURS.items()]
        axes.legend(handles=handles, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.2), fontsize=9)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_xlim(0, 1.12 * total)
        axes.set_xlabel("clock cycles a sample (mean)")
        return figure
