"""The generated folder: complete, the same for the same design, never half written, never over somebody's files."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fregen.commands.generate import generate
from fregen.design.document import Design
from fregen.errors import DesignError, OutputError
from fregen.golden import NetworkModel
from fregen.plan import Schedule, pack_weights
from fregen.spec.network import NetworkSpec

TINY = Path(__file__).parents[2] / "rtl" / "tiny" / "design.toml"

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("generated") / "tiny"
    generate(TINY, where, samples=5)
    return where


def test_holds_what_the_manifest_lists(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert sorted([*manifest["files"], "manifest.json"]) == sorted(path.name for path in folder.iterdir())
    wanted = {"tiny.v", "tiny_example.v", "bench.v", "bench.py", "check.py", "run.py", "weights.hex"}
    assert wanted < set(manifest["files"])
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_manifest_holds_the_design(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert Design.parse(manifest["design"]) == Design.load(TINY)


def test_weight_image_is_what_the_lanes_hold(folder):
    spec = NetworkSpec(Design.load(TINY))
    model = NetworkModel(spec)
    model.initial()
    image = pack_weights(Schedule.of(spec).memory, model.weights)
    width = spec.weight.width
    lines = (folder / "weights.hex").read_text().split()
    assert len(lines) == len(image)
    for line, row in zip(lines, image.tolist(), strict=True):
        words = [int(line, 16) >> (width * lane) & ((1 << width) - 1) for lane in range(len(row))]
        assert words == [word & ((1 << width) - 1) for word in row]
        assert len(line) == -(-width * len(row) // 4)


def test_expectations_hold_batches_learnt_and_samples_inferred(folder):
    with np.load(folder / "expected.npz") as file:
        assert len(file["predictions"]) == 5 + 1
        assert len(file["weights"]) == 1 + 2  # a batch of four, and a partial one


def test_same_design_gives_the_same_bytes_in_every_process(folder, tmp_path):
    script = "import sys; from pathlib import Path; from fregen.commands.generate import generate;"
    script += "generate(Path(sys.argv[1]), Path(sys.argv[2]), samples=5)"
    for seed in ("1", "77"):
        target = tmp_path / seed
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", script, str(TINY), str(target)]
        subprocess.run(command, check=True, env=environment, cwd=tmp_path)
        assert sorted(path.name for path in target.iterdir()) == sorted(path.name for path in folder.iterdir())
        for path in target.iterdir():
            assert path.read_bytes() == (folder / path.name).read_bytes(), path.name


def test_second_run_touches_nothing_and_removes_what_is_stale(tmp_path):
    out = tmp_path / "out"
    first = generate(TINY, out, samples=2)
    times = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert len(first["changed"]) == len(times)
    assert generate(TINY, out, samples=2)["changed"] == []
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == times
    (out / "notes.txt").write_text("mine")
    renamed = Design.load(TINY).model_copy(update={"name": "other"})
    generate(renamed, out, samples=2)
    names = {path.name for path in out.iterdir()}
    assert {"other.v", "other_example.v", "notes.txt"} < names
    assert not {"tiny.v", "tiny_example.v"} & names
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_refuses_a_folder_of_someone_else(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds files that fregen generate did not write .* name another folder"):
        generate(TINY, tmp_path)
    (tmp_path / "manifest.json").write_text('{"name": "webapp"}')
    with pytest.raises(OutputError, match="did not write"):
        generate(TINY, tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_refuses_a_file_and_too_few_samples(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file; name a folder"):
        generate(TINY, tmp_path / "file")
    with pytest.raises(DesignError, match="samples must be at least 1, not 0"):
        generate(TINY, tmp_path / "new", samples=0)


@pytest.mark.rtl
@pytest.mark.tool
def test_one_command_runs_the_bench_and_a_changed_expectation_makes_it_fail(folder):
    command = [sys.executable, str(folder / "run.py")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 mismatches" in done.stdout
    with np.load(folder / "expected.npz") as file:
        arrays = {name: file[name] for name in file.files}
    original = (folder / "expected.npz").read_bytes()
    arrays["predictions"][3] ^= 1
    try:
        np.savez(folder / "expected.npz", **arrays)
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder.parent)
    finally:
        (folder / "expected.npz").write_bytes(original)
    assert done.returncode == 2
    assert "prediction 3: expected" in done.stdout
