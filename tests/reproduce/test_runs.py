"""Trainings: known by all they depend on, run once, never mistaken for another."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from fregen.data.datasets import load
from fregen.design.document import Design
from fregen.errors import DataError
from fregen.float_model import FloatNetwork
from fregen.processes import ONE_THREAD
from fregen.reproduce import Experiment, Settling, execute, runs, settle, sources
from fregen.training.checkpoint import load as load_checkpoint
from fregen.training.loop import train

pytestmark = pytest.mark.unit

# Digest -------------------------------------------------------------------------------------------------------------

DESIGN = Design.parse({"name": "a", "network": {"layers": [64, 5, 5, 5, 10]}, "data": {"train": 32, "test": 16}})
BASE = Experiment("label", DESIGN, "float", 2)
RING, CHAIN = [[0, 0, 1], [1, 0, 0], [0, 1, 0]], [[0, 1, 0], [1, 0, 1], [0, 1, 0]]

CHANGES = {
    "seed": 1,
    "network.layers": [64, 5, 5, 6, 10],
    "network.topology": "random",
    "network.feedback": "asymmetric",
    "network.alpha": 0.5,
    "network.beta": 0.1,
    "network.scales": [{"source": 1, "target": 2, "scale": 0.5}],
    "network.block": 2,
    "network.biases": True,
    "network.start": 2,
    "network.probability": 0.5,
    "network.graph_seed": 1,
    "network.adjacency": RING,
    "numerics.state": "q1.14",
    "numerics.weight": "q3.12",
    "numerics.offset": "q3.12",
    "numerics.error": "q1.8",
    "numerics.rounding": "stochastic",
    "numerics.activation": {"function": "hard-tanh", "segments": 1},
    "learning.free_steps": 3,
    "learning.nudged_steps": 3,
    "learning.stop": False,
    "learning.order": "synchronous",
    "learning.nudged": "states",
    "learning.error": "recomputed",
    "learning.nudge": 0.25,
    "learning.gain": False,
    "learning.batch": 4,
    "learning.rate": 0.0625,
    "learning.rate_steps": [{"epoch": 1, "rate": 0.5}],
    "learning.optimizer": "adam",
    "learning.momentum": 0.8,
    "learning.layer_rates": [1, 1, 1, 0.5],
    "learning.weight_noise": 0.1,
    "learning.state_noise": 0.1,
    "data.set": "idx",
    "data.split": 1,
    "data.train": 31,
    "data.test": 15,
}
LEFT_OUT = {
    "name": "b",
    "learning.epochs": 7,
    "hardware.lanes": 4,
    "hardware.samples": 2,
    "hardware.drain": 2,
    "hardware.words": 4,
    "hardware.family": "ecp5",
    "data.path": "elsewhere",
}


def changed(key, value):
    section, _, inner = key.partition(".")
    base, new = DESIGN, {inner: value} if inner else value
    if key == "network.adjacency":
        base = DESIGN.replace(network={"topology": "adjacency", "adjacency": CHAIN})
    design = base.replace(**{section: new})
    assert design != base, key
    return replace(BASE, design=base).digest, replace(BASE, design=design).digest


def test_every_key_of_a_design_is_spoken_of_below():
    table = DESIGN.table()
    keys = {f"{s}.{key}" for s, part in table.items() if isinstance(part, dict) for key in part}
    assert keys | {s for s, part in table.items() if not isinstance(part, dict)} == {*CHANGES, *LEFT_OUT}


@pytest.mark.parametrize("key", CHANGES)
def test_digest_depends_on(key):
    before, after = changed(key, CHANGES[key])
    assert before != after


@pytest.mark.parametrize("key", LEFT_OUT)
def test_digest_does_not_depend_on(key):
    before, after = changed(key, LEFT_OUT[key])
    assert before == after


def test_digest_depends_on_model_epochs_measurement_and_code(monkeypatch):
    how = Settling(10, 20, 30)
    others = [
        BASE,
        replace(BASE, model="fixed"),
        replace(BASE, model="backprop"),
        replace(BASE, epochs=3),
        replace(BASE, settling=how),
        replace(BASE, settling=replace(how, samples=11)),
        replace(BASE, settling=replace(how, steps=21)),
        replace(BASE, settling=replace(how, limit=31)),
    ]
    digests = [experiment.digest for experiment in others]
    assert len(set(digests)) == len(others)
    assert all(len(digest) == 16 and int(digest, 16) >= 0 for digest in digests)
    assert replace(BASE, label="another").digest == BASE.digest

    asked = []
    monkeypatch.setattr(runs, "code_identity", lambda model, measured: asked.append((model, measured)) or "other code")
    assert not {experiment.digest for experiment in others} & set(digests)
    assert asked == [(experiment.model, experiment.settling is not None) for experiment in others]


# Trainings ----------------------------------------------------------------------------------------------------------

SMALL = Design.parse(
    {
        "name": "little",
        "network": {"layers": [64, 5, 4, 10]},
        "data": {"train": 128, "test": 50},
        "learning": {"free_steps": 3, "nudged_steps": 2, "batch": 8, "rate": 1.0},
    }
)
HOW = Settling(10, 4, 50)
FIRST = Experiment("float, measured", SMALL, "float", 3, HOW)
SECOND = Experiment("fixed", SMALL.replace(seed=2), "fixed", 2)
THIRD = Experiment("fixed", SMALL.replace(seed=1), "fixed", 1)
EXPERIMENTS = (FIRST, SECOND, THIRD)
ABSENT = Experiment("absent", SMALL.replace(data={"set": "npz", "path": "absent.npz"}), "fixed", 1)


class Told:
    """What progress was told, and the variables of threads at that time."""

    def __init__(self):
        self.calls, self.threads = [], []

    def __call__(self, *call):
        self.calls.append(call)
        self.threads.append(tuple(os.environ.get(name) for name in ONE_THREAD))


def record(where, experiment):
    return where / f"{experiment.digest}.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three trainings, made once in processes of their own."""
    where, told = tmp_path_factory.mktemp("made") / "new" / "runs", Told()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip(ONE_THREAD, ("7", None, "3"), strict=True):
            patch.setenv(name, value) if value else patch.delenv(name, raising=False)
        outcomes = execute(EXPERIMENTS, where, progress=told)
        after = tuple(os.environ.get(name) for name in ONE_THREAD)
    return where, outcomes, told, after


@pytest.fixture
def where(made, tmp_path):
    """Return a folder of one's own with the three records."""
    shutil.copytree(made[0], tmp_path / "runs")
    return tmp_path / "runs"


def test_outcomes_are_those_of_train_in_the_order_of_the_experiments(made):
    for experiment, outcome in zip(EXPERIMENTS, made[1], strict=True):
        result = train(experiment.design, load(experiment.design), experiment.model, experiment.epochs)
        assert outcome.history == pytest.approx([r.test_accuracy for r in result.history], abs=1e-12)
        assert (outcome.best, outcome.last) == (max(outcome.history), outcome.history[-1])
        assert outcome.train == pytest.approx(result.history[-1].train_accuracy, abs=1e-12)
        assert (outcome.label, outcome.model, outcome.digest, outcome.seed, outcome.epochs) == (
            experiment.label,
            experiment.model,
            experiment.digest,
            experiment.design.seed,
            experiment.epochs,
        )
        assert outcome.seconds >= 0
    assert made[1][1].best > made[1][1].last, "the best epoch is not the last one"
    assert made[1][1].settling == made[1][2].settling == {}


def test_code_is_read_before_a_training_begins(tmp_path, monkeypatch):
    """What is edited during a training of hours must not name its record."""
    sources._hashes.cache_clear()
    read = []

    def spy(*arguments, **keys):
        read.append(sources._hashes.cache_info().currsize)
        return train(*arguments, **keys)

    monkeypatch.setattr(runs, "train", spy)
    runs._run(THIRD, tmp_path, SimpleNamespace(put=lambda text: None))
    assert read == [1]
    assert record(tmp_path, THIRD).exists()


def test_settling_is_measured_before_and_after(made):
    data, network = load(SMALL), FloatNetwork(SMALL)
    found = made[1][0].settling
    assert list(found) == ["before", "after"]
    assert found["before"] == pytest.approx(settle(network, data.test_inputs, HOW))
    network.load(train(SMALL, data, "float", 3).weights)
    assert found["after"] == pytest.approx(settle(network, data.test_inputs, HOW))
    assert found["before"]["radius"] != pytest.approx(found["after"]["radius"])


def test_folder_holds_one_record_a_training(made):
    assert sorted(path.name for path in made[0].iterdir()) == sorted(f"{e.digest}.json" for e in EXPERIMENTS)


def test_progress_counts_epochs_and_tells_label_seed_and_accuracy(made):
    _, outcomes, told, _ = made
    epochs = [
        f"{o.label}, seed {o.seed}: {100 * accuracy:.2f} %" for o in outcomes for accuracy in o.history
    ]  # one process: one after the other
    assert told.calls == [(0, 6, ""), *((done, 6, text) for done, text in enumerate(epochs, 1)), (6, 6, "")]


def test_trainings_have_one_thread_and_the_environment_comes_back(made):
    _, _, told, after = made
    mine, one = ("7", None, "3"), ("1", "1", "1")
    assert told.threads == [mine, *[one] * 6, mine]
    assert after == mine


def test_what_has_a_record_is_not_run_again(where, monkeypatch):
    path = record(where, SECOND)
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "best": 0.125, "label": "as it was called then"}))
    content, told = {p: p.read_bytes() for p in where.iterdir()}, []

    def never(*_, **__):
        raise AssertionError("nothing is left to train")

    monkeypatch.setattr(runs, "workers", never)
    outcomes = execute([THIRD, SECOND, FIRST], where, progress=lambda *call: told.append(call))
    assert [outcome.digest for outcome in outcomes] == [THIRD.digest, SECOND.digest, FIRST.digest]
    assert (outcomes[1].best, outcomes[1].label) == (0.125, "fixed")
    assert told == [(6, 6, ""), (6, 6, "")]
    assert {p: p.read_bytes() for p in where.iterdir()} == content


def test_only_what_is_missing_is_run_and_an_error_of_one_leaves_the_others(made, where):
    kept = record(where, SECOND)
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "best": 0.125}))
    record(where, THIRD).unlink()
    told = Told()
    with pytest.raises(DataError, match=r"^absent\.npz: no such file"):
        execute([ABSENT, THIRD, SECOND], where, processes=1, progress=told)
    assert [call[:2] for call in told.calls] == [(2, 4), (3, 4)]
    assert told.calls[1][2].startswith("fixed, seed 1: ")
    outcomes = execute([THIRD, SECOND], where)
    assert replace(outcomes[0], seconds=0) == replace(made[1][2], seconds=0)
    assert outcomes[1].best == 0.125
    assert not record(where, ABSENT).exists()


class CutOffError(Exception):
    pass


def test_a_training_that_was_cut_off_goes_on(made, where, monkeypatch):
    """After its last whole epoch: what it gives, and what progress tells, are as if it had run through."""
    record(where, FIRST).unlink()
    told = []

    def cut(text):
        told.append(text)
        if len(told) == 2:
            raise CutOffError

    with pytest.raises(CutOffError):
        runs._run(FIRST, where, SimpleNamespace(put=cut))
    checkpoint = where / f"{FIRST.digest}.npz"
    assert load_checkpoint(checkpoint).epoch == 2
    assert not record(where, FIRST).exists()
    seen = Told()
    outcome = execute([FIRST, SECOND], where, progress=seen)[0]
    assert [call[:2] for call in seen.calls] == [(4, 5), (5, 5), (5, 5)]
    assert replace(outcome, seconds=0) == replace(made[1][0], seconds=0)
    assert not checkpoint.exists()


def test_a_damaged_checkpoint_is_named(where):
    record(where, THIRD).unlink()
    checkpoint = where / f"{THIRD.digest}.npz"
    checkpoint.write_bytes(b"nothing")
    with pytest.raises(DataError, match=f"{checkpoint.name}: expected a checkpoint"):
        execute([THIRD], where)


def test_other_code_trains_again(where, monkeypatch):
    asked = []
    monkeypatch.setattr(runs, "code_identity", lambda *_: "other code")

    def stop(*_, **__):
        asked.append(1)
        raise RuntimeError("it would train")

    monkeypatch.setattr(runs, "workers", stop)
    with pytest.raises(RuntimeError, match="it would train"):
        execute(EXPERIMENTS, where)
    assert asked == [1]


def without(name):
    return lambda stored: json.dumps({key: value for key, value in stored.items() if key != name})


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda _: "{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (lambda _: "", "Expecting value: line 1 column 1 (char 0)"),
        (lambda _: "[]", "'list' object is not a mapping"),
        (without("seed"), "Outcome.__init__() missing 1 required positional argument: 'seed'"),
        (
            lambda stored: json.dumps({**stored, "more": 1}),
            "Outcome.__init__() got an unexpected keyword argument 'more'",
        ),
        (lambda stored: json.dumps({**stored, "digest": "0" * 16}), "it is of the training 0000000000000000"),
        (lambda stored: json.dumps({**stored, "history": [0.5]}), "it has 1 epochs, not 2"),
        (lambda stored: json.dumps({**stored, "history": [0.5] * 3}), "it has 3 epochs, not 2"),
    ],
    ids=["cut", "empty", "list", "less", "more", "another", "fewer epochs", "more epochs"],
)
def test_a_record_that_is_not_the_trainings_own_is_refused(where, damage, why):
    path = record(where, SECOND)
    path.write_text(damage(json.loads(path.read_text())))
    with pytest.raises(DataError) as caught:
        execute(EXPERIMENTS, where)
    assert str(caught.value) == f"{path}: cannot be read as the record of a training ({why}); remove it"


def test_a_record_of_another_training_is_refused(where):
    shutil.copy(record(where, THIRD), record(where, SECOND))
    with pytest.raises(DataError, match=rf"\(it is of the training {THIRD.digest}\); remove it$"):
        execute([SECOND], where)


def test_nothing_to_do_makes_the_folder_and_tells_so(tmp_path):
    told = Told()
    assert execute([], tmp_path / "a" / "b", progress=told) == []
    assert told.calls == [(0, 0, ""), (0, 0, "")]
    assert Path(tmp_path / "a" / "b").is_dir()
