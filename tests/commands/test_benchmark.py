"""The benchmark: what it reports.  How fast anything is, is not asked here."""

import json

import numpy as np
import pytest

from fregen.commands import benchmark, float_benchmark
from fregen.commands.float_benchmark import CASES, Case, Samples, compare, networks, samples_of
from fregen.data.datasets import DATA_VARIABLE, load
from fregen.errors import DataError
from fregen.reproduce.target import mnist
from fregen.training.loop import train

pytestmark = pytest.mark.unit

CASE_KEYS = {
    "samples_per_s",
    "samples_per_s_by_turn",
    "ratio_to_float64",
    "free_steps_taken",
    "nudged_steps_taken",
    "dtype",
    "tolerance",
    "layers",
    "free_steps",
    "nudged_steps",
    "batch",
    "batches",
}


def tiny(name):
    learning = {"free_steps": 6, "nudged_steps": 3, "order": "synchronous", "nudged": "states", "batch": 4}
    return mnist((3,) * int(name[0]), "full", 0, learning=learning, data={"train": 12})


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(float_benchmark, "networks", lambda: {name: tiny(name) for name in ("5x64", "2x512")})
    monkeypatch.setattr(float_benchmark, "SAMPLES", 12)
    monkeypatch.setattr(float_benchmark, "SECONDS", 0.001)
    monkeypatch.setattr(float_benchmark, "REPEATS", 2)


def check(found, repeats):
    assert set(found) == {"data", "data_reason", "repeats", "threads", "cases"}
    assert list(found["cases"]) == [case.name for case in CASES]
    for case, measured in zip(CASES, found["cases"].values(), strict=True):
        assert set(measured) == CASE_KEYS
        assert len(measured["samples_per_s_by_turn"]) == repeats
        assert measured["samples_per_s"] == max(measured["samples_per_s_by_turn"])
        positive = {"samples_per_s", "ratio_to_float64", "free_steps_taken", "nudged_steps_taken", "batches"}
        assert all(measured[key] > 0 for key in positive)
        assert (measured["dtype"], measured["tolerance"]) == (case.dtype, case.tolerance)
        assert measured["ratio_to_float64"] == 1 or not case.is_reference


def test_cases_of_tiny_networks():
    designs = {name: tiny(name) for name in networks()}
    random = np.random.default_rng(0)
    samples = Samples(random.random((12, 784), dtype=np.float32), random.integers(10, size=12), "random", "a test")
    told = []
    found = compare(designs, CASES, samples, 0.001, 2, lambda *report: told.append(report))
    check(found, 2)
    for name in designs:
        assert len({case["batches"] for key, case in found["cases"].items() if key.startswith(name)}) == 1
    assert [done for done, *_ in told] == list(range(3 * len(CASES) + 1))
    assert {total for _, total, _ in told} == {3 * len(CASES)}


def test_every_network_has_a_reference():
    assert {case.network for case in CASES if case.is_reference} == set(networks())
    assert Case("5x64", "float32", 0.1).name == "5x64 float32, tolerance 0.1"


def test_networks_are_those_of_the_paper():
    deep, wide = networks()["5x64"], networks()["2x512"]
    assert (deep.network.sizes[1:-1], deep.free_steps, deep.nudged_steps) == ((64,) * 5, 50, 25)
    assert (wide.network.sizes[1:-1], wide.free_steps, wide.nudged_steps) == ((512,) * 2, 10, 5)
    assert (deep.network.beta, wide.network.beta) == (0.1, 0.01)
    assert deep.learning.batch == wide.learning.batch == 500


def test_samples_are_drawn_where_mnist_is_not_found(tmp_path):
    samples = samples_of(tiny("2x512").replace(data={"path": str(tmp_path)}))
    assert samples.name == "random"
    assert "train-images-idx3-ubyte" in samples.reason
    assert samples.inputs.shape == (12, 784)
    assert 0 <= samples.inputs.min() < samples.inputs.max() < 1
    assert set(samples.labels) <= set(range(10))


def failing(*_):
    raise DataError("left out here")


def test_benchmark_reports_the_float_model(small, monkeypatch, tmp_path):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    for step in ("_generation", "_golden", "_states", "_hardware"):
        monkeypatch.setattr(benchmark, step, failing)
    told = []
    figures = benchmark.benchmark(tmp_path / "benchmark.json", lambda *report: told.append(report))
    written = json.loads((tmp_path / "benchmark.json").read_text())
    check(written["float_model"], 2)
    assert written["float_model"]["data"] == "random"
    assert written["ratios"] == {}
    assert told[-1][:3] == ("float model", 3 * len(CASES), 3 * len(CASES))
    lines = benchmark.rows(figures)
    assert [line[0] for line in lines[-len(CASES) :]] == [f"float model {case.name} (random)" for case in CASES]
    assert all("samples/s" in line[1] and "x float64" in line[1] for line in lines[-len(CASES) :])


def test_a_float_model_that_was_not_measured(monkeypatch, tmp_path):
    for step in ("_generation", "_golden", "_states", "_float_model", "_hardware"):
        monkeypatch.setattr(benchmark, step, failing)
    figures = benchmark.benchmark(tmp_path / "benchmark.json")
    assert figures["float_model"] is None
    assert benchmark.rows(figures)[-1] == ("float_model", "not measured: left out here", "")


def test_the_golden_model_is_measured_as_fregen_train_does_it():
    design = mnist((3, 2), "full", 0).replace(
        network={"layers": (64, 5, 4, 10)},
        learning={"batch": 8, "rate_steps": [{"epoch": 1, "rate": 0.5}]},
        data={"set": "digits", "train": 80, "test": 20},
    )
    told = []
    found = benchmark._training(design, 2, lambda *report: told.append(report))
    result = train(design, load(design), "fixed", 2)
    assert found["curve"] == [record.test_accuracy for record in result.history]
    assert (found["samples"], found["epochs"], found["layers"]) == (80, 2, (64, 5, 4, 10))
    assert found["samples_per_s"] > 0
    assert found["samples_per_cpu_s"] > 0
    assert told[-1] == (1, 1, "fregen train")
