"""What the picture of a study draws where."""

import numpy as np
import pytest

from fregen.study import Study
from fregen.study.picture import accuracy_figure
from fregen.study.summary import Spread, summarise
from fregen.study.trained import Epoch, Trained

pytestmark = pytest.mark.unit

TEXT = """
name = "pictured"
seeds = 2
[grid]
numerics.rounding = ["nearest", "stochastic"]
numerics.weight = ["q3.13", "q3.5", "q3.9"]
words = [{ label = "8", numerics.state = "q1.7" }, { label = "4", numerics.state = "q1.3", numerics.offset = "q2.4" }]
[design]
name = "little"
network.layers = [64, 6, 5, 10]
"""


def cells(tmp_path, accuracy):
    path = tmp_path / "study.toml"
    path.write_text(TEXT)
    study = Study.load(path)
    results = []
    for point in study.points:
        numerics = point.design.numerics
        test = accuracy(numerics.weight.width, numerics.state.width, point.design.seed)
        results.append(
            (point, Trained("golden", (Epoch(test + 0.01, 0, 2, 1, 0, 0), Epoch(test, 0, 2, 1, 0, 0)), "", 1))
        )
    return study, summarise(study.axes, results)


def test_weight_bits_state_bits_and_panels(tmp_path):
    study, found = cells(tmp_path, lambda weight, state, seed: 0.9 + weight / 1000 - state / 10000 + seed / 1000)
    figure = accuracy_figure(study.name, study.picture, found)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == ["rounding nearest", "rounding stochastic"]
    assert [label.get_text() for label in panels[0].get_xticklabels()] == ["8", "12", "16"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["8", "4"]
    line = panels[0].containers[0].lines[0]
    np.testing.assert_allclose(np.array(line.get_ydata(), dtype=float), [90.77, 91.17, 91.57])
    assert np.round(np.array(line.get_xdata(), dtype=float)).tolist() == [0, 1, 2]
    assert panels[0].get_yscale() == "linear"
    assert "2 epochs" in figure.get_suptitle()


def test_a_row_has_all_seeds_and_the_best_epoch(tmp_path):
    _, found = cells(tmp_path, lambda weight, state, seed: 0.9 + seed / 100)
    assert len(found) == 12
    assert found[0].last == Spread.of([90.0, 91.0])
    assert found[0].best.mean == pytest.approx(91.5)
    assert (found[0].best_epoch, found[0].seeds, found[0].epochs) == (1, 2, 2)


def test_bad_accuracies_do_not_press_the_good_ones_together(tmp_path):
    study, found = cells(tmp_path, lambda weight, state, seed: {8: 0.7, 12: 0.97, 16: 0.98}[weight])
    axes = accuracy_figure(study.name, study.picture, found).axes[0]
    low, middle, high = axes.transData.transform([(0, 70), (0, 97), (0, 98)])[:, 1]
    assert (high - middle) / (high - low) > 0.1
