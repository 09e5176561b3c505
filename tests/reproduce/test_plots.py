"""The figures of the targets, from made-up results: what is drawn is what was found."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from fregen.reproduce import TARGETS, Found, Outcome, Sheet, summarise
from fregen.reproduce.figure_targets import BETAS
from fregen.views.figures import BLUE, GREEN, ORANGE, svg

pytestmark = pytest.mark.unit


def found(name, scale="quick", sheet=None):
    """Results of all trainings of a target, no two alike."""
    runs, draw = [], np.random.default_rng(0)
    for e in TARGETS[name].build(scale):
        history = [float(x) for x in draw.uniform(0.5, 0.99, 4)]
        settling = {}
        if e.settling is not None:
            settling = {
                when: {
                    "radius": float(draw.uniform(0.1, 3)),
                    "ftmle": float(draw.uniform(-2, 1)),
                    "settled": float(e.design.network.beta < 1),
                    "time": float(draw.uniform(3, 90)) if e.design.network.beta < 1 else -1.0,
                }
                for when in ("before", "after")
            }
        best, last = max(history), history[-1]
        runs.append(
            (e, Outcome(e.label, e.model, e.digest, e.design.seed, 4, best, last, 0.5, 60.0, history, settling))
        )
    rows = summarise([outcome for _, outcome in runs], TARGETS[name].published)
    if sheet is None and TARGETS[name].measure is not None:
        sheet = TARGETS[name].measure(scale, runs)
    return Found(f"title of {name}", rows, runs, sheet)


def drawn(name, *arguments, **keys):
    result = found(name, *arguments, **keys)
    figure = TARGETS[name].draw(result)
    text = svg(figure)
    assert text.lstrip().startswith(("<?xml", "<svg"))
    assert figure.get_suptitle() == f"title of {name}"
    return result, figure


def texts(legend):
    return [text.get_text() for text in legend.get_texts()]


def spread(container):
    """Half lengths of the error bars of one series."""
    (bars,) = container.lines[2]
    return [np.ptp(segment, axis=0).max() / 2 for segment in bars.get_segments()]


@pytest.mark.parametrize(("name", "scale"), [("depth", "quick"), ("table2", "full"), ("freeze", "full")])
def test_accuracies_stand_beside_the_published_ones(name, scale):
    result, figure = drawn(name, scale)
    (axes,) = figure.axes
    rows = result.rows
    assert [label.get_text() for label in axes.get_yticklabels()] == [row.label for row in rows]
    assert axes.get_xlabel() == "test accuracy (%)"
    best, last = axes.containers
    for series, value, width in ((best, "best", "best_spread"), (last, "last", "last_spread")):
        assert list(series.lines[0].get_xdata()) == [getattr(row, value) for row in rows]
        assert list(series.lines[0].get_ydata()) == list(range(len(rows)))
        assert spread(series) == pytest.approx([getattr(row, width) for row in rows])
    low, high = axes.get_ylim()
    assert low > len(rows) - 1 > 0 > high, "the first label is the uppermost"
    (legend,) = figure.legends
    names = ["published"] if TARGETS[name].published else []
    assert sorted(texts(legend)) == sorted(["best epoch", "last epoch", *names])
    published = [line for line in axes.lines if line.get_markeredgecolor() == GREEN]
    assert len(published) == len(names)
    for line in published:
        known = [(row.published, place) for place, row in enumerate(rows) if row.published is not None]
        assert list(zip(line.get_xdata(), line.get_ydata(), strict=True)) == known


def test_noise_has_a_line_for_weights_and_one_for_states():
    result, figure = drawn("noise", "full")
    (axes,) = figure.axes
    rows = {row.label: row for row in result.rows}
    levels = (0.001, 0.01, 0.05, 0.1, 0.2)
    for container, kind in zip(axes.containers, ("weight", "state"), strict=True):
        labels = ["no noise", *(f"{kind} noise {level:g}" for level in levels)]
        line = container.lines[0]
        assert list(line.get_xdata()) == [0, *levels]
        assert list(line.get_ydata()) == [rows[label].best for label in labels]
        assert spread(container) == pytest.approx([rows[label].best_spread for label in labels])
    assert texts(axes.get_legend()) == ["on weights, relative to each matrix's largest", "on states"]
    assert (axes.get_xscale(), axes.get_xlim()[0]) == ("symlog", 0)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("standard deviation of the noise", "best test accuracy (%)")


def test_states_have_a_panel_for_each_beta_and_their_change_one_for_all():
    draw = np.random.default_rng(1)
    rows = [(beta, t, 10.0**-t, *draw.uniform(-1, 1, 12)) for beta in (0.01, 1.0) for t in range(1, 9)]
    rows[3] = (0.01, 4, 0.0, *rows[3][3:])
    sheet = Sheet(("beta", "step", "change", *(f"s1[{i}]" for i in range(12))), rows)
    _, figure = drawn("fig2", sheet=sheet)
    below, *panels = figure.axes
    assert [axes.get_title(loc="left") or axes.get_title() for axes in panels] == ["β = 0.01", "β = 1"]
    for axes, part in zip(panels, (rows[:8], rows[8:]), strict=True):
        assert [list(line.get_ydata()) for line in axes.lines] == np.array(part)[:, 3:].T.tolist()
        assert {tuple(line.get_xdata()) for line in axes.lines} == {tuple(range(1, 9))}
        assert axes.get_xlabel() == "free step"
    first, second, settled = below.lines
    assert list(first.get_ydata()) == pytest.approx([0.1, 0.01, 0.001, np.nan, *10.0 ** -np.arange(5, 9)], nan_ok=True)
    assert list(second.get_ydata()) == pytest.approx(10.0 ** -np.arange(1, 9))
    assert set(settled.get_ydata()) == {1e-6}
    assert texts(below.get_legend()) == ["β = 0.01", "β = 1"]
    assert (below.get_yscale(), below.get_xlabel()) == ("log", "free step")
    assert "change of all states" in below.get_ylabel()


def test_accuracy_maps_have_a_cell_for_each_alpha_and_beta():
    result, figure = drawn("fig4")
    *panels, bar = figure.axes
    assert [axes.get_title(loc="left") or axes.get_title() for axes in panels] == [
        f"{n} hidden layers" for n in (2, 3, 5)
    ]
    best = {row.label: row.best for row in result.rows}
    for axes, count in zip(panels, (2, 3, 5), strict=True):
        alphas, betas = ("0.1", "0.25", "0.5", "1"), ("0.01", "0.1", "0.25", "0.5", "1")
        assert [label.get_text() for label in axes.get_yticklabels()] == list(alphas)
        assert [label.get_text() for label in axes.get_xticklabels()] == list(betas)
        wanted = [[best[f"{count} layers, α = {a}, β = {b}"] for b in betas] for a in alphas]
        (image,) = axes.images
        assert image.get_array().tolist() == wanted
        assert image.get_clim() == (min(best.values()), max(best.values())), "one scale of colours for all maps"
        cells = {tuple(map(int, text.get_position())): text.get_text() for text in axes.texts}
        assert cells == {(x, y): f"{value:.1f}" for (y, x), value in np.ndenumerate(wanted)}
        assert axes.get_xlabel() == "β"
    assert panels[0].get_ylabel() == "α"
    assert bar.get_ylabel() == "best test accuracy (%)"


def test_settling_has_four_panels_before_and_after():
    result, figure = drawn("fig5")
    names = ["best test error (%)", "spectral radius", "FTMLE (1/step)", "steps to settle"]
    assert [axes.get_ylabel() for axes in figure.axes] == names
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "log", "linear", "linear"]
    assert {(axes.get_xlabel(), axes.get_xscale()) for axes in figure.axes} == {("β", "log")}
    for axes, column, extra in zip(figure.axes, (3, 4, 5, 7), (0, 1, 1, 0), strict=True):
        times = ("after",) if column == 3 else ("before", "after")
        lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
        assert set(lines) == {f"{f}, {when} training" for f in ("symmetric", "asymmetric") for when in times}
        assert len(axes.lines) == len(lines) + extra
        for name, line in lines.items():
            feedback, when = name.removesuffix(" training").split(", ")
            rows = [row for row in result.sheet.rows if (row[0], row[2]) == (feedback, when)]
            assert tuple(line.get_xdata()) == BETAS
            values = [np.nan if row[column] == "" else row[column] for row in rows]
            assert list(line.get_ydata()) == pytest.approx(values, nan_ok=True)
            assert to_hex(line.get_color()) == (BLUE if feedback == "symmetric" else ORANGE)
            assert line.get_linestyle() == ("-" if when == "after" else ":")
    assert [np.isnan(y) for y in figure.axes[3].lines[0].get_ydata()] == [beta >= 1 for beta in BETAS]
    (legend,) = figure.legends
    assert len(texts(legend)) == 4


def test_alignment_has_a_panel_for_each_net_and_a_line_for_each_form():
    draw, rows, forms = np.random.default_rng(2), [], ("paper, 32 bits", "offset, words 16/16")
    for depth in (2, 5):
        for topology in ("layered", "residual"):
            for form in forms:
                matrices = [(f"W{i}", i, i + 1) for i in range(depth + 1)] + [("W1_4", 1, 4)] * (topology == "residual")
                rows += [(depth, topology, form, *matrix, float(draw.uniform(-0.2, 1))) for matrix in matrices]
    columns = ("hidden layers", "topology", "form", "matrix", "source", "target", "cosine")
    _, figure = drawn("gradients", sheet=Sheet(columns, rows))
    nets = [(depth, topology) for depth in (2, 5) for topology in ("layered", "residual")]
    for axes, (depth, topology) in zip(figure.axes, nets, strict=True):
        assert (axes.get_title(loc="left") or axes.get_title()) == f"{depth} hidden layers, {topology}"
        lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
        assert list(lines) == list(forms)
        for form, line in lines.items():
            chain = [row for row in rows if row[:3] == (depth, topology, form) and row[3] != "W1_4"]
            assert list(line.get_xdata()) == list(range(depth + 1))
            assert list(line.get_ydata()) == [row[6] for row in chain]
        assert axes.get_ylim() == (-0.25, 1.05)
    (legend,) = figure.legends
    assert texts(legend) == list(forms)


def test_error_curves_have_a_panel_for_each_length_and_a_line_for_each_beta():
    result, figure = drawn("fig6", "full")
    titles = [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes]
    assert titles == [f"T = {t}, K = {t // 2}" for t in (10, 20, 50, 100)]
    for axes, steps in zip(figure.axes, (10, 20, 50, 100), strict=True):
        assert [line.get_label() for line in axes.lines] == [f"β = {beta:g}" for beta in BETAS]
        assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("epochs learnt", "test error (%)", "log")
        for line, beta in zip(axes.lines, BETAS, strict=True):
            seeds = [outcome.history for e, outcome in result.runs if e.label == f"T = {steps}, β = {beta:g}"]
            assert len(seeds) == 5
            assert list(line.get_xdata()) == [1, 2, 3, 4]
            assert list(line.get_ydata()) == pytest.approx(list(100 * (1 - np.mean(seeds, axis=0))))
    (legend,) = figure.legends
    assert texts(legend) == [f"β = {beta:g}" for beta in BETAS]
