from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fregen.data.datasets import load
from fregen.design.document import Design
from fregen.errors import DataError
from fregen.float_model import FloatNetwork
from fregen.golden import NetworkModel
from fregen.spec.network import NetworkSpec
from fregen.training.checkpoint import load as load_checkpoint
from fregen.training.checkpoint import save as save_checkpoint
from fregen.training.loop import train
from fregen.training.samples import as_words, epoch_order

pytestmark = pytest.mark.unit

TINY = Design.load(Path(__file__).parents[2] / "rtl" / "tiny" / "design.toml")
DESIGN = TINY.replace(
    learning={
        "epochs": 3,
        "free_steps": 2,
        "nudged_steps": 1,
        "rate_steps": [{"epoch": 1, "rate": 0.0625}],
    },
    numerics={"rounding": "stochastic"},
)


@pytest.fixture(scope="module")
def dataset():
    return load(DESIGN)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_fixed_training_is_the_golden_model_epoch_by_epoch(dataset):
    result = train(DESIGN, dataset)
    network = NetworkModel(NetworkSpec(DESIGN))
    x, test_x = (as_words(part, network.spec) for part in (dataset.train_inputs, dataset.test_inputs))
    for epoch, rate in enumerate((0.125, 0.0625, 0.0625)):
        epoch_result = network.train_epoch(x, dataset.train_labels, epoch_order(0, epoch, 64), rate)
        record = result.history[epoch]
        assert (record.epoch, record.rate, record.train_accuracy) == (epoch, rate, epoch_result.accuracy)
        assert record.test_accuracy == network.accuracy(test_x, dataset.test_labels)
    assert same(result.weights, network.weights)
    assert result.key == network.key
    assert len(result.history) == 3
    assert (result.last, result.best) == (
        result.history[-1].test_accuracy,
        max(record.test_accuracy for record in result.history),
    )
    assert result.samples_per_second > 0


@pytest.mark.parametrize("model", ["float", "backprop"])
def test_real_valued_models_go_through_the_same_loop(dataset, model):
    result = train(DESIGN, dataset, model)
    assert (result.model, result.key, len(result.history)) == (model, None, 3)
    assert [array.shape for array in result.weights] == [(6, 64), (5, 6), (10, 5)]
    assert result.history[2].train_accuracy > result.history[0].train_accuracy
    again = train(DESIGN, dataset, model)
    assert same(result.weights, again.weights)


@pytest.mark.parametrize("model", ["fa", "lra", "pep"])
def test_baselines_go_through_the_same_loop(model):
    longer = DESIGN.replace(network={"layers": [64, 12, 10]}, data={"train": 512}, learning={"free_steps": 6})
    dataset = load(longer)
    result = train(longer, dataset, model)
    assert (result.model, result.key, len(result.history)) == (model, None, 3)
    assert [array.shape for array in result.weights] == [(12, 64), (10, 12)]
    assert result.history[2].train_accuracy > result.history[0].train_accuracy + 0.2
    assert same(result.weights, train(longer, dataset, model).weights)
    assert not same(result.weights, train(longer, dataset, "backprop").weights)


def test_float_and_fixed_start_from_the_same_weights(dataset):
    words = NetworkModel(NetworkSpec(DESIGN)).weights
    values = FloatNetwork(DESIGN).weights
    for word, value in zip(words, values, strict=True):
        assert np.abs(DESIGN.numerics.weight.to_value(word) - value).max() <= 2**-14


def test_seed_changes_everything(dataset):
    assert not same(train(DESIGN, dataset, epochs=1).weights, train(DESIGN.replace(seed=1), dataset, epochs=1).weights)


def test_resumed_training_gives_the_same_words(dataset, tmp_path):
    path = tmp_path / "c.npz"
    through = train(DESIGN, dataset)
    train(DESIGN, dataset, epochs=1, checkpoint=path)
    resumed = train(DESIGN, dataset, checkpoint=path, resume=path)
    assert same(through.weights, resumed.weights)
    assert resumed.key == through.key
    untimed = [replace(record, seconds=0) for record in through.history]
    assert [replace(record, seconds=0) for record in resumed.history] == untimed
    done = train(DESIGN, dataset, resume=path)
    assert same(through.weights, done.weights)
    assert done.last == through.last


@pytest.mark.parametrize(
    ("model", "learning", "how"),
    [
        ("float", {"optimizer": "adam", "rate": 0.01}, {}),
        ("float", {"optimizer": "adam", "rate": 0.01}, {"precision": "single", "tolerance": 1e-3}),
        ("float", {"optimizer": "momentum", "weight_noise": 0.1, "state_noise": 0.01, "nudged": "states"}, {}),
        ("backprop", {"weight_noise": 0.1}, {"precision": "single"}),
        ("fa", {"optimizer": "adam"}, {}),
        ("lra", {}, {}),
        ("pep", {"optimizer": "momentum"}, {}),
    ],
)
def test_resumed_training_gives_the_same_values(dataset, tmp_path, model, learning, how):
    """Bit for bit, through every optimiser and both streams of noise."""
    path, design = tmp_path / "c.npz", DESIGN.replace(learning=learning)
    through = train(design, dataset, model, **how)
    train(design, dataset, model, epochs=1, checkpoint=path, **how)
    resumed = train(design, dataset, model, checkpoint=path, resume=path, **how)
    assert same(through.weights, resumed.weights)
    assert [array.dtype for array in resumed.weights] == [array.dtype for array in through.weights]
    untimed = [replace(record, seconds=0) for record in through.history]
    assert [replace(record, seconds=0) for record in resumed.history] == untimed
    assert same(through.weights, train(design, dataset, model, resume=path, **how).weights)


def test_what_was_remembered_matters(dataset, tmp_path):
    """A planted fault: without Adam's means, or the noise's place, other weights come out."""
    path, design = tmp_path / "c.npz", DESIGN.replace(learning={"optimizer": "adam", "rate": 0.01, "weight_noise": 0.1})
    through = train(design, dataset, "float")
    train(design, dataset, "float", epochs=1, checkpoint=path)
    stored = load_checkpoint(path)
    for part in ("optimizer", "noise"):
        fresh = FloatNetwork(design).memory()
        memory = {k: v for k, v in stored.memory.items() if not k.startswith(part)}
        memory |= {k: v for k, v in fresh.items() if k.startswith(part)}
        save_checkpoint(path, replace(stored, memory=memory))
        assert not same(through.weights, train(design, dataset, "float", resume=path).weights)
    for memory, message in (
        ({**stored.memory, "optimizer.count_9": np.array(1)}, "cannot be read: KeyError"),
        ({**stored.memory, "optimizer.mean": np.array(1)}, "optimizer.mean does not fit"),
        ({**stored.memory, "noise.weight_stream": np.array("{")}, "cannot be read: JSONDecodeError"),
    ):
        save_checkpoint(path, replace(stored, memory=memory))
        with pytest.raises(DataError, match=message):
            train(design, dataset, "float", resume=path)


def test_a_checkpoint_that_names_no_model_is_refused(dataset, tmp_path):
    path = tmp_path / "c.npz"
    train(DESIGN, dataset, "float", epochs=1, checkpoint=path)
    save_checkpoint(path, replace(load_checkpoint(path), how={"model": None, "precision": "double"}))
    with pytest.raises(DataError, match=r"another training: model = none, not float$"):
        train(DESIGN, dataset, "float", resume=path)


def test_a_checkpoint_of_other_learning_is_refused(dataset, tmp_path):
    path = tmp_path / "c.npz"
    train(DESIGN, dataset, "float", epochs=1, checkpoint=path, precision="single")
    for model, how, message in (
        ("float", {}, "precision = single, not double"),
        ("float", {"precision": "single", "tolerance": 0.1}, "tolerance = none, not 0.1"),
        ("backprop", {"precision": "single"}, "model = float, not backprop"),
        ("fixed", {}, "model = float, not fixed; precision = single, not none"),
    ):
        with pytest.raises(DataError, match=f"another training: {message}$"):
            train(DESIGN, dataset, model, resume=path, **how)


def test_more_epochs_may_follow_but_nothing_else_may_change(dataset, tmp_path):
    path = tmp_path / "c.npz"
    train(DESIGN, dataset, epochs=2, checkpoint=path)
    longer = DESIGN.replace(learning={"epochs": 4})
    assert same(train(longer, dataset, resume=path).weights, train(longer, dataset).weights)
    for sections, message in (
        ({"learning": {"rate": 0.5, "batch": 8}}, r"another training: learning\.rate, learning\.batch differ"),
        ({"seed": 1}, "another training: seed differ"),
        ({"data": {"train": 32}}, r"another training: data\.train differ"),
        ({"numerics": {"rounding": "nearest"}}, "another design"),
    ):
        with pytest.raises(DataError, match=message):
            train(DESIGN.replace(**sections), dataset, resume=path)
    with pytest.raises(DataError, match="2 epochs are done already, more than the 1 asked for"):
        train(DESIGN, dataset, epochs=1, resume=path)
    with pytest.raises(DataError, match="no such file; expected a checkpoint"):
        train(DESIGN, dataset, resume=tmp_path / "other.npz")


@pytest.mark.parametrize("model", ["fixed", "float"])
def test_progress_rises_to_the_total(dataset, model):
    seen, records = [], []
    train(DESIGN, dataset, model, epochs=2, progress=lambda *report: seen.append(report), on_epoch=records.append)
    done = [report[0] for report in seen]
    assert done == [*range(4, 129, 4), 128]
    assert {report[1] for report in seen} == {128}
    assert seen[0][2] == "epoch 1/2"
    assert seen[-1][2] == f"epoch 2/2, test {100 * records[-1].test_accuracy:.2f} %"
    assert [record.epoch for record in records] == [0, 1]


def test_faults_are_named(dataset):
    with pytest.raises(DataError, match="epochs: expected at least 1, not 0"):
        train(DESIGN, dataset, epochs=0)
    with pytest.raises(DataError, match="model: expected one of fixed, float, backprop, fa, lra, pep, not 'double'"):
        train(DESIGN, dataset, "double")


def test_precision_and_tolerance_reach_the_model(dataset):
    double, single, early = (
        train(
            DESIGN.replace(learning={"nudged": "states", "free_steps": 60, "nudged_steps": 60}), dataset, "float", **how
        )
        for how in ({}, {"precision": "single"}, {"tolerance": 1e-6})
    )
    assert double.weights[0].dtype == early.weights[0].dtype == np.float64
    assert single.weights[0].dtype == np.float32
    for a, b, c in zip(double.weights, single.weights, early.weights, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-3)
        np.testing.assert_allclose(c, a, atol=1e-4)
        assert not np.array_equal(a, c)
    assert double.history[0].free_steps == double.history[0].nudged_steps == 60
    assert early.history[0].free_steps < 40
    assert early.history[0].nudged_steps < 60


@pytest.mark.parametrize(
    ("model", "how", "message"),
    [
        ("fixed", {"precision": "single"}, "precision: the model 'fixed' has words; their formats are in the design's"),
        ("float", {"precision": "half"}, "precision: expected one of double, single, not 'half'"),
        ("fixed", {"tolerance": 0.1}, "tolerance: only the model 'float' ends its phases at one, not 'fixed'"),
        ("backprop", {"tolerance": 0.1}, "tolerance: only the model 'float' ends its phases at one, not 'backprop'"),
        ("float", {"tolerance": 0.0}, "tolerance: expected more than 0, not 0.0"),
    ],
)
def test_a_model_has_only_its_own_options(dataset, model, how, message):
    with pytest.raises(DataError) as caught:
        train(DESIGN, dataset, model, **how)
    assert str(caught.value).startswith(message)
