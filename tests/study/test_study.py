"""A study of digits: the same numbers whichever way they are computed; nothing is computed twice."""

import csv
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pytest

from fregen.data.datasets import load
from fregen.errors import DataError, FormatError, OutputError, ToolError
from fregen.golden_batch import Arrays
from fregen.spec.network import NetworkSpec
from fregen.study import FILES, Card, Study, study
from fregen.study import run as running
from fregen.study.learn import Coded, by_arrays, by_blocks, by_golden, engine_of
from fregen.study.store import Store
from fregen.study.summary import Spread
from fregen.study.trained import digest, words_hash
from fregen.training.loop import train

pytestmark = pytest.mark.unit

TEXT = """
seeds = 2
[grid]
numerics.weight = ["q3.5", "q3.13"]
[design]
name = "little"
network.layers = [64, 6, 5, 10]
learning = { epochs = 2, batch = 8, free_steps = 2, nudged_steps = 1, rate_steps = [{ epoch = 1, rate = 0.0625 }] }
numerics = { state = "q1.7", offset = "q2.6", rounding = "stochastic" }
data = { train = 44, test = 66 }
"""


class NoDevice:
    """Refuses to compute in blocks."""

    def put(self, array):
        raise FormatError("planted")

    fetch = launch = put


@pytest.fixture
def wanted(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(TEXT)
    return Study.load(path)


def found_in(folder):
    return [
        {key: value for key, value in row.items()}
        for row in csv.DictReader((folder / "summary.csv").read_text().splitlines())
    ]


def test_arrays_and_golden_are_the_trainings_of_the_loop(wanted):
    designs = [point.design for point in wanted.points]
    dataset = load(designs[0])
    side_by_side = by_arrays(designs, dataset, Arrays())
    for design, ours in zip(designs, side_by_side, strict=True):
        alone, loop = by_golden(design, dataset), train(design, dataset)
        assert alone.epochs == ours.epochs
        assert alone.words == ours.words == words_hash(loop.weights)
        assert [epoch.test for epoch in ours.epochs] == [record.test_accuracy for record in loop.history]
        assert [epoch.train for epoch in ours.epochs] == [record.train_accuracy for record in loop.history]
        assert [epoch.free_steps for epoch in ours.epochs] == [record.free_steps for record in loop.history]
    assert len({ours.words for ours in side_by_side}) == 4


def test_blocks_are_the_golden_trainings(wanted, device):
    designs = [point.design for point in wanted.points[1:3]]
    dataset = load(designs[0])
    coded = Coded.of(dataset)
    assert len(coded.values) == 17
    for design, ours in zip(designs, by_blocks(designs, dataset, coded, device), strict=True):
        alone = by_golden(design, dataset)
        assert (ours.epochs, ours.words) == (alone.epochs, alone.words)


def test_a_hash_sees_one_word():
    words = [np.arange(6).reshape(2, 3), np.ones((2, 2))]
    before = words_hash(words)
    words[1][0, 1] = 2
    assert words_hash(words) != before


def test_processes_and_a_card_write_the_same_table(wanted, tmp_path, device):
    cpu, card = tmp_path / "cpu", tmp_path / "card"
    steps = []
    first = study(wanted, cpu, 1, progress=lambda *step: steps.append(step))
    second = study(wanted, card, card=Card(device, Arrays()))
    assert (first.engines, second.engines) == ({"golden": 4}, {"blocks": 4})
    assert found_in(cpu) == found_in(card)
    assert [row["seeds"] for row in found_in(cpu)] == ["2", "2"]
    assert all((cpu / name).stat().st_size for name in FILES)
    assert steps[0][:2] == (0, 8)
    assert steps[-1][:2] == (8, 8)
    with Store(cpu / "study.db").closing() as one, Store(card / "study.db").closing() as other:
        for point in wanted.points:
            ours, theirs = one.get(digest(point.design)), other.get(digest(point.design))
            assert (ours.epochs, ours.words) == (theirs.epochs, theirs.words)


def test_nothing_is_computed_twice(wanted, tmp_path, monkeypatch):
    card = Card(NoDevice(), Arrays())
    monkeypatch.setattr(running, "engine_of", lambda spec, coded: "arrays")
    study(wanted, tmp_path / "out", card=card)
    before = found_in(tmp_path / "out")
    monkeypatch.setattr(running, "by_arrays", None)
    again = study(wanted, tmp_path / "out", card=card)
    assert (again.computed, again.kept) == (0, 4)
    assert found_in(tmp_path / "out") == before
    monkeypatch.undo()
    connection = sqlite3.connect(tmp_path / "out" / "study.db")
    connection.execute("delete from training where digest = ?", (digest(wanted.points[2].design),))
    connection.commit()
    monkeypatch.setattr(running, "engine_of", lambda spec, coded: "arrays")
    third = study(wanted, tmp_path / "out", card=card)
    assert (third.computed, third.kept) == (1, 3)
    assert found_in(tmp_path / "out") == before


def test_what_is_done_stays_when_a_run_is_interrupted(wanted, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "_MOST_NETWORKS", 1)
    monkeypatch.setattr(running, "engine_of", lambda spec, coded: "arrays")
    computed = []

    def interrupted(designs, *given):
        if len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(designs)
        return by_arrays(designs, *given)

    card = Card(NoDevice(), Arrays())
    monkeypatch.setattr(running, "by_arrays", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study(wanted, tmp_path, card=card)
    monkeypatch.setattr(running, "by_arrays", by_arrays)
    again = study(wanted, tmp_path, card=card)
    assert (again.computed, again.kept) == (2, 2)


def test_a_point_that_fails_is_told_and_the_others_go_on(wanted, tmp_path, monkeypatch):
    known = running.engine_of
    monkeypatch.setattr(
        running, "engine_of", lambda spec, coded: "arrays" if spec.weight.width == 16 else known(spec, 1)
    )
    found = study(wanted, tmp_path, card=Card(NoDevice(), Arrays()))
    assert [failure.message for failure in found.failures] == ["planted", "planted"]
    assert found.failures[0].code == FormatError.exit_code
    assert found.reasons == ["numerics.weight q3.5, seed 0 and 1 more points: planted"]
    assert [row["numerics.weight"] for row in found_in(tmp_path)] == ["q3.13"]
    assert "planted" in (tmp_path / "summary.md").read_text()


def test_a_point_that_fails_in_a_worker_is_told(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(TEXT.replace("data = {", 'data = { path = "nowhere", '))
    found = study(Study.load(path), tmp_path / "out", 1)
    assert len(found.failures) == 4
    assert "comes with scikit-learn" in found.failures[0].message
    assert found.failures[0].code == DataError.exit_code


def test_formats_that_no_block_carries_are_computed_otherwise(wanted):
    design = wanted.points[0].design
    assert engine_of(NetworkSpec(design), True) == "blocks"
    assert engine_of(NetworkSpec(design), False) == "arrays"
    wide = design.replace(
        numerics={"state": "q1.23", "weight": "q3.21", "offset": "q3.21"},
        network={"layers": [64, 256, 256, 10], "beta": 0.5},
    )
    assert engine_of(NetworkSpec(wide), True) == "arrays"
    wider = wide.replace(network={"beta": 2**-15})
    assert engine_of(NetworkSpec(wider), True) == "golden"


def test_more_than_256_values_have_no_numbers(wanted):
    dataset = load(wanted.points[0].design)
    late = np.array(dataset.train_inputs)
    late[-1, -1] = 0.123
    from dataclasses import replace

    assert len(Coded.of(replace(dataset, train_inputs=late)).values) == 18
    assert Coded.of(replace(dataset, train_inputs=np.random.default_rng(0).random(late.shape))) is None


def test_epochs_and_place_of_data_do_not_count(wanted):
    design = wanted.points[0].design
    assert digest(design) == digest(design.replace(learning={"epochs": 9}, name="other", hardware={"lanes": 4}))
    assert digest(design) != digest(design.replace(seed=9))


def test_a_damaged_store_and_a_place_that_is_none(wanted, tmp_path):
    (tmp_path / "study.db").write_text("no database at all, " * 99)
    with pytest.raises(DataError, match=r"study\.db: no store of trainings"):
        study(wanted, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        study(wanted, tmp_path / "file")


def test_without_a_gpu_cuda_says_what_to_install():
    if "cupy" in sys.modules:
        pytest.skip("CuPy is here")
    with pytest.raises(ToolError, match=r"fregen\[gpu\]"):
        Card.cuda()


def test_an_interval_is_students():
    spread = Spread.of([97.0, 98.0, 99.0])
    assert (spread.mean, spread.deviation) == (98.0, 1.0)
    assert spread.half == pytest.approx(4.302652729911275 / 3**0.5)
    assert Spread.of([97.0]) == Spread(97.0, 0.0, 0.0)


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "examples" / "studies").glob("*.toml")), ids=str)
def test_every_example_is_a_study(path):
    assert len(Study.load(path).points) >= 24
