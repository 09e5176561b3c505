"""Figures of the targets, in the style of :mod:`fregen.views.figures`; every one is drawn from a :class:`Found`."""

from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..views.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, STYLE, YELLOW

if TYPE_CHECKING:
    from .target import Found

__all__ = [
    "accuracy_maps",
    "against_published",
    "alignment_lines",
    "error_curves",
    "noise_lines",
    "settling_lines",
    "state_evolution",
]

_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW, GREY)
_MARKS = ("o", "s", "^", "D", "v", "P", "X")


def against_published(found: "Found") -> Figure:
    """Best and last accuracy of every label, with its spread, beside the published one."""
    with matplotlib.rc_context(STYLE):
        rows = found.rows
        figure = Figure(figsize=(8.6, 1.5 + 0.36 * len(rows)), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(rows))
        best, spread = [row.best for row in rows], [row.best_spread for row in rows]
        axes.errorbar(best, places, xerr=spread, fmt="o", color=BLUE, markersize=7, capsize=3, label="best epoch")
        last, spread = [row.last for row in rows], [row.last_spread for row in rows]
        axes.errorbar(
            last, places, xerr=spread, fmt="s", color=ORANGE, markersize=4.5, capsize=3, label="last epoch", zorder=3
        )
        known = [(row.published, place) for row, place in zip(rows, places, strict=True) if row.published is not None]
        if known:
            values, at = zip(*known, strict=True)
            axes.plot(values, at, "D", markersize=9, markerfacecolor="none", markeredgecolor=GREEN, label="published")
        axes.set_yticks(places, [row.label for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel("test accuracy (%)")
        figure.suptitle(found.title, x=0.01, ha="left", fontsize=10.5)
        figure.legend(loc="outside lower center", ncols=3, fontsize=9)
        return figure


def noise_lines(found: "Found") -> Figure:
    """Best accuracy against the noise on weights and on states."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 3.6), layout="constrained")
        axes = figure.subplots()
        levels = {e.label: (e.design.learning.weight_noise, e.design.learning.state_noise) for e, _ in found.runs}
        kinds = (("on weights, relative to each matrix's largest", 0), ("on states", 1))
        for (name, kind), colour, mark in zip(kinds, _COLOURS, _MARKS, strict=False):
            part = sorted(((levels[r.label][kind], r) for r in found.rows if not levels[r.label][1 - kind]), key=_first)
            x, rows = [level for level, _ in part], [row for _, row in part]
            axes.errorbar(
                x,
                [row.best for row in rows],
                yerr=[row.best_spread for row in rows],
                color=colour,
                marker=mark,
                capsize=3,
                linewidth=1.6,
                label=name,
            )
        axes.set_xscale("symlog", linthresh=0.001, linscale=0.3)
        axes.set_xlim(0, None)
        axes.set_xlabel("standard deviation of the noise")
        axes.set_ylabel("best test accuracy (%)")
        axes.legend(loc="lower left", fontsize=9)
        figure.suptitle(found.title, x=0.01, ha="left", fontsize=10.5)
        return figure


def state_evolution(found: "Found") -> Figure:
    """Draw states of some neurons, a panel for each β, and how much all states change in a step."""
    assert found.sheet is not None
    with matplotlib.rc_context(STYLE):
        rows = np.array(found.sheet.rows, dtype=np.float64)
        betas = list(dict.fromkeys(rows[:, 0]))
        figure = Figure(figsize=(8.6, 5.6), layout="constrained")
        grid = figure.add_gridspec(2, len(betas), height_ratios=(1, 1.1))
        below = figure.add_subplot(grid[1, :])
        for column, beta in enumerate(betas):
            part = rows[rows[:, 0] == beta]
            axes = figure.add_subplot(grid[0, column])
            axes.plot(part[:, 1], part[:, 3:], color=_COLOURS[column], linewidth=0.9, alpha=0.7)
            axes.set_ylim(-1.05, 1.05)
            axes.set_title(f"β = {beta:g}")
            axes.set_xlabel("free step")
            if column:
                axes.set_yticklabels([])
            else:
                axes.set_ylabel("state, hidden layer 1")
            below.plot(
                part[:, 1],
                np.where(part[:, 2] > 0, part[:, 2], np.nan),
                color=_COLOURS[column],
                marker=_MARKS[column],
                markersize=3.5,
                linewidth=1.2,
                label=f"β = {beta:g}",
            )
        below.axhline(1e-6, color=GREY, linestyle="--", linewidth=1)
        below.text(rows[:, 1].max(), 5e-7, "below: settled", color=GREY, ha="right", va="top", fontsize=9)
        below.set_yscale("log")
        below.set_xlabel("free step")
        below.set_ylabel("change of all states, ‖Δs‖")
        below.legend(loc="lower right", ncols=len(betas), fontsize=9)
        figure.suptitle(found.title, x=0.01, ha="left", fontsize=10.5)
        return figure


def accuracy_maps(found: "Found") -> Figure:
    """Best accuracy over α and β, a map for each number of layers."""
    with matplotlib.rc_context(STYLE):
        designs = {experiment.label: experiment.design.network for experiment, _ in found.runs}
        best = {row.label: row.best for row in found.rows}
        counts = sorted({len(network.hidden) for network in designs.values()})
        alphas = sorted({network.alpha for network in designs.values()})
        betas = sorted({network.beta for network in designs.values()})
        low, high = min(best.values()), max(best.values())
        figure = Figure(figsize=(8.6, 3.5), layout="constrained")
        panels = figure.subplots(1, len(counts), squeeze=False)[0]
        for axes, count in zip(panels, counts, strict=True):
            values = np.full((len(alphas), len(betas)), np.nan)
            for label, network in designs.items():
                if len(network.hidden) == count:
                    values[alphas.index(network.alpha), betas.index(network.beta)] = best[label]
            image = axes.imshow(values, origin="lower", cmap="cividis", vmin=low, vmax=high, aspect="auto")
            for (y, x), value in np.ndenumerate(values):
                colour = "black" if value > (low + high) / 2 else "white"
                axes.text(x, y, f"{value:.1f}", ha="center", va="center", fontsize=7.5, color=colour)
            axes.set_xticks(range(len(betas)), [f"{beta:g}" for beta in betas])
            axes.set_yticks(range(len(alphas)), [f"{alpha:g}" for alpha in alphas])
            axes.grid(visible=False)
            axes.set_title(f"{count} hidden layers")
            axes.set_xlabel("β")
        panels[0].set_ylabel("α")
        figure.colorbar(image, ax=panels[-1], label="best test accuracy (%)")
        figure.suptitle(found.title, x=0.01, ha="left", fontsize=10.5)
        return figure


def settling_lines(found: "Found") -> Figure:
    """Error, spectral radius, Lyapunov exponent and convergence time against β, before and after training."""
    assert found.sheet is not None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 6.2), layout="constrained")
        panels = figure.subplots(2, 2).ravel()
        names = ("best test error (%)", "spectral radius", "FTMLE (1/step)", "steps to settle")
        columns = [found.sheet.columns.index(name) for name in ("error %", "SR", "FTMLE", "steps to settle")]
        for axes, name, column in zip(panels, names, columns, strict=True):
            for feedback, colour, mark in (("symmetric", BLUE, "o"), ("asymmetric", ORANGE, "s")):
                for when, line, face in (("before", ":", "white"), ("after", "-", colour)):
                    if column == columns[0] and when == "before":
                        continue  # an untrained net has no error of interest
                    rows: list[Any] = [r for r in found.sheet.rows if (r[0], r[2]) == (feedback, when)]
                    axes.plot(
                        [r[1] for r in rows],
                        [np.nan if r[column] == "" else r[column] for r in rows],
                        color=colour,
                        marker=mark,
                        linestyle=line,
                        markerfacecolor=face,
                        linewidth=1.5,
                        label=f"{feedback}, {when} training",
                    )
            axes.set_xscale("log")
            axes.set_xlabel("β")
            axes.set_ylabel(name)
        panels[0].set_yscale("log")
        panels[1].set_yscale("log")
        panels[1].axhline(1, color=GREY, linestyle="--", linewidth=1)
        panels[2].axhline(0, color=GREY, linestyle="--", linewidth=1)
        panels[3].set_title("no mark: no sample settles", fontsize=9)
        _legend_below(figure, panels[1], 2)
        figure.suptitle(found.title, x=0.01, ha="left", fontsize=10.5)
        return figure


def alignment_lines(found: "Found") -> Figure:
    """Cosine to backpropagation by matrix of the chain: a panel for each net, a line for each form."""
    assert found.sheet is not None
    with matplotlib.rc_context(STYLE):
        rows: list[Any] = found.sheet.rows
        nets = list(dict.fromkeys((row[0], row[1]) for row in rows))
        forms = list(dict.fromkeys(row[2] for row in rows))
        depths = list(dict.fromkeys(depth for depth, _ in nets))
        figure = Figure(figsize=(8.6, 0.9 + 2.2 * len(depths)), layout="constrained")
        panels = figure.subplots(len(depths), 2, sharey=True, squeeze=False).ravel()
        for axes, (depth, topology) in zip(panels, nets, strict=True):
            for form, colour, mark in zip(forms, _COLOURS, _MARKS, strict=False):
                net = [row for row in rows if row[:3] == (depth, topology, form)]
                chain = [(row[4], row[6]) for row in net if row[5] == row[4] + 1]
                axes.plot(*zip(*chain, strict=True), color=colour, marker=mark, markersize=4, linewidth=1.2, label=form)
            axes.axhline(0, color=GREY, linewidth=0.8)
            axes.set_ylim(-0.25, 1.05)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_title(f"{depth} hidden layers, {topology}")
            axes.set_xlabel("matrix (0: from the input)")
            axes.set_ylabel("cosine")
        _legend_below(figure, panels[0], len(forms))
        figure.suptitle(found.title, x=0.01, ha="left", fontsize=10.5)
        return figure


def error_curves(found: "Found") -> Figure:
    """Test error after every epoch, mean over seeds: a panel for each T, a line for each β."""
    with matplotlib.rc_context(STYLE):
        cases: dict[tuple[int, float], list[list[float]]] = {}
        for experiment, outcome in found.runs:
            key = experiment.design.free_steps, experiment.design.network.beta
            cases.setdefault(key, []).append(outcome.history)
        lengths, betas = sorted({t for t, _ in cases}), sorted({beta for _, beta in cases})
        figure = Figure(figsize=(8.6, 6.2), layout="constrained")
        panels = figure.subplots(-(-len(lengths) // 2), 2, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, steps in zip(panels, lengths, strict=False):
            for beta, colour, mark in zip(betas, _COLOURS, _MARKS, strict=False):
                error = 100 - 100 * np.mean(cases[steps, beta], axis=0)
                axes.plot(
                    np.arange(1, len(error) + 1),
                    error,
                    color=colour,
                    marker=mark,
                    markersize=4,
                    markevery=max(len(error) // 10, 1),
                    linewidth=1.4,
                    label=f"β = {beta:g}",
                )
            axes.set_title(f"T = {steps}, K = {steps // 2}")
            axes.set_yscale("log")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_xlabel("epochs learnt")
            axes.set_ylabel("test error (%)")
        _legend_below(figure, panels[0], len(betas))
        figure.suptitle(found.title, x=0.01, ha="left", fontsize=10.5)
        return figure


def _legend_below(figure: Figure, axes: Axes, columns: int) -> None:
    """Write once, under all panels, what the lines of one of them are."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=9)


def _first(pair: tuple[float, Any]) -> float:
    return pair[0]
