"""What each target trains: as docs/reproduce.md says, at both scales, and nothing twice."""

from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from fregen.data.datasets import Dataset
from fregen.design.document import Design
from fregen.design.graph import Graph
from fregen.errors import DesignError
from fregen.reproduce import TARGETS, Outcome, Settling, figure_targets, files, target
from fregen.reproduce.figure_targets import BETAS
from fregen.training.loop import _network

pytestmark = pytest.mark.unit

SCALES = ("quick", "full")
BOTH = [(name, scale) for name in sorted(TARGETS) for scale in SCALES]
DOCUMENT = Path(__file__).parents[2] / "docs" / "reproduce.md"

# By target: {epochs: trainings} of the quick and the full scale, seeds of full, training and test samples of quick
# (without convolution, which has 500 of each).
WANTED = {
    "table1": ({3: 8, 1: 3}, {50: 25, 100: 15, 40: 15}, 5, (2000, 1000)),
    "table2": ({5: 14, 1: 3}, {50: 70, 40: 15}, 5, (6000, 2000)),
    "cifar": ({5: 12, 1: 3}, {50: 75}, 5, (6000, 2000)),
    "depth": ({2: 18}, {20: 54}, 3, (6000, 2000)),
    "gradients": ({}, {}, 5, None),
    "fig2": ({}, {}, 5, None),
    "fig4": ({2: 60}, {50: 300}, 5, (3000, 1000)),
    "fig5": ({3: 14}, {50: 70}, 5, (6000, 2000)),
    "fig6": ({3: 28}, {50: 140}, 5, (3000, 1000)),
    "freeze": ({5: 4}, {50: 20}, 5, (6000, 2000)),
    "noise": ({3: 11}, {50: 55}, 5, (6000, 2000)),
}
CONVOLUTIONAL = {"table1", "table2", "cifar"}


@cache
def build(name, scale):
    return list(TARGETS[name].build(scale))


def test_every_target_is_spoken_of():
    assert set(TARGETS) == set(WANTED)
    assert all(study.name == name for name, study in TARGETS.items())
    assert len({study.title for study in TARGETS.values()}) == len(TARGETS)


def test_targets_are_found_by_name():
    assert all(target(name) is study for name, study in TARGETS.items())
    with pytest.raises(DesignError) as caught:
        target("nonsense")
    assert str(caught.value) == (
        "there is no target 'nonsense'; there are: cifar, depth, fig2, fig4, fig5, fig6, freeze, gradients, noise, "
        "table1, table2"
    )


@pytest.mark.parametrize(("name", "scale"), BOTH)
def test_trainings_epochs_and_seeds_are_as_documented(name, scale):
    quick, full, seeds, _ = WANTED[name]
    experiments = build(name, scale)
    assert Counter(experiment.epochs for experiment in experiments) == (quick if scale == "quick" else full)
    seeds = 1 if scale == "quick" else seeds
    by_label = {}
    for experiment in experiments:
        by_label.setdefault(experiment.label, []).append(experiment.design.seed)
    assert all(found == list(range(seeds)) for found in by_label.values()), "seeds innermost"


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_document_has_the_trainings_of_each_target(name):
    (line,) = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{name}` |")]
    *_, quick, full = line.strip("| ").split(" | ")
    for cell, wanted in zip((quick, full), WANTED[name], strict=False):
        assert all(f"{count} × {epochs}" in cell for epochs, count in wanted.items())
        assert cell.count("×") == len(wanted)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_quick_has_fewer_samples_and_full_has_all(name):
    samples = WANTED[name][3]
    found = {(bool(e.design.network.maps()), e.design.data.train, e.design.data.test) for e in build(name, "quick")}
    convolution = {(True, 500, 500)} if name in CONVOLUTIONAL else set()
    assert found == ({(False, *samples)} | convolution if samples else set())
    assert {(e.design.data.train, e.design.data.test) for e in build(name, "full")} <= {(None, None)}


@pytest.mark.parametrize(("name", "scale"), BOTH)
def test_no_training_is_there_twice(name, scale):
    experiments = build(name, scale)
    assert len({experiment.digest for experiment in experiments}) == len(experiments)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_scales_have_no_training_in_common(name):
    quick, full = ({experiment.digest for experiment in build(name, scale)} for scale in SCALES)
    assert not quick & full


@pytest.mark.parametrize(("name", "scale"), BOTH)
def test_every_published_number_has_its_label(name, scale):
    labels = {experiment.label for experiment in build(name, scale)}
    assert set(TARGETS[name].published) <= labels
    low, high = (30, 76) if name == "cifar" else (80, 99.5)
    assert all(low < value < high for value in TARGETS[name].published.values())


@pytest.mark.parametrize(("name", "scale"), BOTH)
def test_every_design_is_one_that_its_model_takes(name, scale):
    tried = set()
    for experiment in build(name, scale):
        design = experiment.design
        data = ("cifar10", 3072, 10) if name == "cifar" else ("idx", 784, 10)
        assert (design.data.set, design.network.sizes[0], design.network.sizes[-1]) == data
        if experiment.label not in tried:
            tried.add(experiment.label)
            network, graph = _network(design, experiment.model, "double", None), Graph.build(design.network)
            assert [array.shape for array in network.weights] == [graph.shape(matrix) for matrix in graph.matrices]


def test_a_design_that_its_model_does_not_take_is_refused():
    """The test above can fail: fixed point refuses what the paper's float nets have."""
    (first, *_) = build("freeze", "quick")
    with pytest.raises(DesignError):
        _network(first.design, "fixed", "double", None)


# What varies --------------------------------------------------------------------------------------------------------


def test_all_but_depth_learn_as_the_paper_does():
    for name in set(TARGETS) - {"depth"}:
        for scale, batch in (("quick", 100), ("full", 500)):
            for experiment in build(name, scale):
                if experiment.design.network.maps():
                    continue
                learning = experiment.design.learning
                phases = learning.order, learning.nudged, learning.error, learning.gain
                assert phases == ("synchronous", "states", "held", experiment.label.endswith(", gain"))
                rate = 2e-4 if name == "cifar" else 1e-3
                assert learning.optimizer == "sgd" or (learning.optimizer, learning.rate) == ("adam", rate)
                assert learning.batch == (20 if learning.optimizer == "sgd" else batch)
                assert learning.nudge == (0.5 if experiment.model == "pep" else 0.1)
                if name not in ("table1", "fig6"):
                    layers = len(experiment.design.network.hidden)
                    assert (learning.free_steps, learning.nudged_steps) == (10 * layers, 5 * layers)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", sorted(CONVOLUTIONAL))
def test_convolutional_nets(name, scale):
    """32c-64c-10 and 32c-64c-128c-10: maps before they are pooled, and the way of learning."""
    found = {e.label: e for e in build(name, scale) if e.design.network.maps()}
    assert [(label, e.model) for label, e in found.items()] == [
        ("conv, FRE-RNN", "float"),
        ("conv, FRE-RNN, 3 + 1 sweeps", "float"),
        ("conv, BP", "backprop"),
    ]
    cifar = name == "cifar"
    mnist_maps = {0: (1, 28, 28), 1: (32, 24, 24), 2: (64, 8, 8)}
    cifar_maps = {0: (3, 32, 32), 1: (32, 32, 32), 2: (64, 16, 16), 3: (128, 8, 8)}
    paper = (40 if cifar else 20, 10, "synchronous", "states", False)
    steps = [paper, (3, 1, "sweep", "offset", True), paper]
    for (label, e), phases in zip(found.items(), steps, strict=True):
        network, learning = e.design.network, e.design.learning
        assert network.maps() == (cifar_maps if cifar else mnist_maps), label
        assert (network.beta, network.biases, learning.nudge) == (0.01, True, 0.25)
        assert e.design.numerics.activation.function == "hard-sigmoid"
        way = learning.free_steps, learning.nudged_steps, learning.order, learning.nudged, learning.gain
        assert (*way, learning.error) == (*phases, "held")
        assert (learning.optimizer, learning.rate) == ("adam", 2e-4 if cifar else 1e-3)
        assert learning.batch == (20 if scale == "quick" else 128)


def test_the_convolutional_example_is_table_1s_net_in_few_sweeps():
    example = Design.load(DOCUMENT.parents[1] / "examples" / "convolutional.toml")
    (wanted,) = [e for e in build("table1", "full") if e.label == "conv, FRE-RNN, 3 + 1 sweeps" and e.design.seed == 0]
    assert example.replace(learning={"epochs": wanted.design.learning.epochs}) == wanted.design


def test_the_deep_example_is_table_2s_net_with_gain():
    example = Design.load(DOCUMENT.parents[1] / "examples" / "deep.toml")
    (wanted,) = [e for e in build("table2", "full") if e.label == "10 symm, no residual, gain" and e.design.seed == 0]
    learning = {"epochs": wanted.design.learning.epochs}
    assert example.replace(learning=learning, name=wanted.design.name) == wanted.design


def test_table1():
    found = {e.label: e for e in build("table1", "quick") if not e.design.network.maps()}
    shape = {e.design.network.layers[1:-1] for e in found.values()}
    assert shape == {(512,) * 2, (512,) * 3}
    steps = {label: (e.model, e.design.free_steps, e.design.nudged_steps) for label, e in found.items()}
    assert steps["2HL, P-EP"] == ("pep", 100, 20)
    assert steps["3HL, P-EP"] == ("pep", 180, 20)
    assert steps["2HL, FRE-RNN, Adam"] == ("float", 10, 5)
    assert {steps[label] for label in steps if "3HL, FRE-RNN" in label} == {("float", 18, 10)}
    assert {label for label, e in found.items() if e.model == "backprop"} == {"2HL, BP, Adam", "3HL, BP, Adam"}
    assert {e.design.network.beta for e in found.values()} == {0.01}
    assert {len(e.design.learning.layer_rates) for e in found.values() if e.model == "pep"} == {3, 4}
    assert set(TARGETS["table1"].published) == {*found, "conv, FRE-RNN", "conv, BP"}


@pytest.mark.parametrize(("name", "inputs"), [("table2", 784), ("cifar", 3072)])
def test_table2_and_its_cifar_column(name, inputs):
    experiments = [e for e in build(name, "full") if not e.design.network.maps()]
    for e in experiments:
        count, kind, *_ = e.label.replace(",", "").split()
        assert e.design.network.layers == (inputs, *[64] * int(count), 10)
        assert e.design.network.feedback == {"symm": "symmetric", "asymm": "asymmetric"}[kind]
        wanted = "random" if "AGT" in e.label else "residual" if ", residual" in e.label else "layered"
        assert e.design.network.topology == wanted
        assert e.model == ("backprop" if "BP" in e.label else "fa" if "FA" in e.label else "float")
    graphs = [(e.design.seed, e.design.network.graph_seed) for e in experiments if "AGT" in e.label]
    assert graphs == [(seed, seed) for seed in range(5)], "each seed its own graph"
    labels = {e.label for e in experiments if not e.label.endswith(", gain")}
    assert set(TARGETS[name].published) == {*labels, "conv, FRE-RNN", "conv, BP"}


def test_depth():
    for e in build("depth", "full"):
        numerics = e.design.numerics
        widths = (numerics.state.width, numerics.weight.width, numerics.rounding.value)
        assert widths == ((12, 12, "stochastic") if e.label.endswith("12/12") else (16, 16, "nearest"))
        learning, network = e.design.learning, e.design.network
        assert (learning.nudged, learning.free_steps, learning.nudged_steps) == ("offset", 3, 1)
        rate, batch = (2**-3, 32) if network.feedback == "asymmetric" else (2**-4, 16)
        assert (learning.rate, learning.nudge, network.beta, learning.batch) == (rate, 0.5, 2**-5, batch)
        assert (learning.optimizer, e.model) == ("sgd", "float" if e.label.endswith(", float") else "fixed")
        if network.topology == "random":
            assert network.graph_seed == e.design.seed
    table2 = TARGETS["table2"].published
    for label, value in TARGETS["depth"].published.items():
        name = label.rsplit(", ", 1)[0]
        assert value == table2.get(name, table2.get(f"{name}, FRE-RNN")), label


def test_figures_4_5_and_6_cover_their_grids():
    networks = [e.design.network for e in build("fig4", "quick")]
    found = {(len(n.hidden), n.alpha, n.beta) for n in networks}
    assert found == {
        (count, a, b) for count in (2, 3, 5) for a in (0.1, 0.25, 0.5, 1.0) for b in (0.01, 0.1, 0.25, 0.5, 1.0)
    }
    experiments = build("fig5", "quick")
    assert {(e.design.network.feedback, e.design.network.beta) for e in experiments} == {
        (feedback, beta) for feedback in ("symmetric", "asymmetric") for beta in BETAS
    }
    assert {e.settling for e in experiments} == {Settling(100, 20, 500)}
    assert {e.settling for e in build("fig5", "full")} == {Settling(500, 20, 500)}
    experiments = build("fig6", "quick")
    assert {(e.design.free_steps, e.design.nudged_steps, e.design.network.beta) for e in experiments} == {
        (steps, steps // 2, beta) for steps in (10, 20, 50, 100) for beta in BETAS
    }


def test_freeze_and_noise():
    rates = {e.label: e.design.learning.layer_rates for e in build("freeze", "quick")}
    assert {label: rate.count(0) for label, rate in rates.items()} == {
        "all learn": 0,
        "W0 frozen": 1,
        "W0-W2 frozen": 3,
        "only W5 learns": 5,
    }
    assert all(rate == tuple(sorted(rate)) and len(rate) == 6 for rate in rates.values()), "the lowest are frozen"
    noise = {e.label: (e.design.learning.weight_noise, e.design.learning.state_noise) for e in build("noise", "quick")}
    levels = (0.001, 0.01, 0.05, 0.1, 0.2)
    assert noise == {
        "no noise": (0, 0),
        **{f"weight noise {level:g}": (level, 0) for level in levels},
        **{f"state noise {level:g}": (0, level) for level in levels},
    }


@pytest.mark.parametrize(("name", "scale"), BOTH)
def test_files_are_named_by_what_a_target_does(name, scale):
    names = files(TARGETS[name], scale)
    stem = f"{name}_{scale}"
    wanted = [f"{stem}.svg", f"{stem}.png"]
    wanted += [] if name in ("gradients", "fig2") else [f"{stem}.csv", f"{stem}.md"]
    wanted += [f"{stem}_measured.csv"] if name in ("gradients", "fig2", "fig5") else []
    assert names == wanted


# Measurements -------------------------------------------------------------------------------------------------------


def test_figure_2_measures_states_and_their_change(monkeypatch):
    pixels = np.random.default_rng(0).random((100, 784), dtype=np.float32)
    labels = np.zeros(100, dtype=np.int64)
    images = Dataset("noise", pixels, labels, pixels, labels, 10, (28, 28))
    monkeypatch.setattr(figure_targets, "load", lambda design: images)
    for scale, count in (("quick", 1), ("full", 100)):
        sheet = TARGETS["fig2"].measure(scale, ())
        assert sheet.columns[:4] == ("beta", "step", "change", "s1[0]")
        assert len(sheet.columns) == 3 + 12
        assert [row[:2] for row in sheet.rows] == [(b, t) for b in (0.01, 0.25, 1.0, 4.0) for t in range(1, 51)]

        for beta in (0.01, 1.0):
            network = figure_targets.FloatNetwork(figure_targets.paper((64, 64), "quick", 0, {"beta": beta}))
            first, between = network.weights[:2]
            x, one, two, last = pixels[:count].astype(float), np.zeros((count, 64)), np.zeros((count, 64)), 0
            for row in [row for row in sheet.rows if row[0] == beta]:
                one, two = np.tanh(x @ first.T + beta * two @ between), np.tanh(one @ between.T)
                now = np.concatenate([one, two], axis=1)
                change = np.linalg.norm(now - last, axis=1).mean()
                assert row[2:] == pytest.approx([change, *one[0, :12]], abs=1e-12)
                last = now


def test_figure_5_gathers_the_seeds_of_a_label():
    experiments = [e for e in build("fig5", "full") if e.label == "asymmetric, β = 2" and e.design.seed < 3]

    def outcome(e, best, before, after):
        keys = ("radius", "ftmle", "settled", "time")
        settling = {"before": dict(zip(keys, before, strict=True)), "after": dict(zip(keys, after, strict=True))}
        return Outcome(e.label, e.model, e.digest, e.design.seed, 1, best, 0.0, 0.0, 1.0, [best], settling)

    outcomes = [
        outcome(experiments[0], 0.9, (1.0, -3.0, 1.0, 10.0), (2.0, 0.5, 0.0, -1.0)),
        outcome(experiments[1], 0.8, (2.0, -2.0, 0.5, 30.0), (3.0, 0.5, 0.0, -1.0)),
        outcome(experiments[2], 0.4, (6.0, -4.0, 0.0, -1.0), (4.0, 2.0, 0.0, -1.0)),
    ]
    sheet = TARGETS["fig5"].measure("full", list(zip(experiments, outcomes, strict=True)))
    assert sheet.columns == ("feedback", "beta", "training", "error %", "SR", "FTMLE", "settled %", "steps to settle")
    before, after = sheet.rows
    assert before[:3] == ("asymmetric", 2.0, "before")
    assert before[3:] == pytest.approx((30.0, 3.0, -3.0, 50.0, 20.0)), "-1 is no time"
    assert after[:3] == ("asymmetric", 2.0, "after")
    assert after[3:7] == pytest.approx((30.0, 3.0, 1.0, 0.0))
    assert after[7] == ""
