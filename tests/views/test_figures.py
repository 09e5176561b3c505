"""Figures of the report: what a reader must be able to see in them."""

import pytest

from fregen.views.figures import curves_figure

pytestmark = pytest.mark.unit


def test_one_epoch_is_four_rows_with_their_figures():
    """As curves they were one dot, hidden under two larger marks."""
    figure = curves_figure([0.5], [0.53], [0.53], 0.525)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["50.00 %", "53.00 %", "53.00 %", "52.50 %"]
    heights = [text.get_position()[1] for text in axes.texts]
    assert len(set(heights)) == 4
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "float model",
        "fixed point (golden model)",
        "RTL, from its weights",
        "RTL, its own predictions",
    ]


def test_several_epochs_are_curves():
    (axes,) = curves_figure([0.5, 0.6, 0.7], [0.5, 0.6, 0.65], [0.5, 0.6], 0.6).axes
    assert [list(line.get_xdata()) for line in axes.lines] == [[1, 2, 3], [1, 2, 3], [1, 2], [2]]
    assert [round(line.get_ydata()[-1], 9) for line in axes.lines] == [70, 65, 60, 60]
