"""The generated folder: complete, the same for the same design, never half written, never over somebody's files."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fregen.commands.generate import generate, weight_image
from fregen.design.document import Design
from fregen.emit.emitted import emit
from fregen.errors import DataError, DesignError, OutputError
from fregen.golden import NetworkModel
from fregen.plan import Schedule, pack_weights
from fregen.spec.network import NetworkSpec
from fregen.training.checkpoint import Checkpoint, save

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


def test_weights_of_a_checkpoint_are_in_the_image(tmp_path):
    design = Design.load(TINY)
    spec = NetworkSpec(design)
    model = NetworkModel(spec)
    model.initial()
    trained = [array[::-1].copy() for array in model.weights]
    save(tmp_path / "trained.npz", Checkpoint(design, trained, 3, 1, []))
    generate(TINY, tmp_path / "out", samples=1, weights=tmp_path / "trained.npz")
    assert (tmp_path / "out" / "weights.hex").read_text() == weight_image(spec, trained)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["images"]["weights.hex"]["holds"].startswith("given weights")


def test_weights_that_are_not_the_designs_are_refused_and_nothing_is_written(tmp_path):
    design = Design.load(TINY)
    model = NetworkModel(NetworkSpec(design))
    model.initial()
    words = list(model.weights)
    out = tmp_path / "out"
    for wrong, match in (
        (words[:-1], "matri"),
        ([array.T for array in words], "shape"),
        ([array * 1.0 for array in words], "integer words"),
        ([array + (1 << 20) for array in words], "lie outside"),
        (tmp_path / "absent.npz", "absent.npz"),
    ):
        with pytest.raises(DataError, match=match):
            generate(TINY, out, samples=1, weights=wrong)
    real = [array / 8192 for array in words]
    save(tmp_path / "real.npz", Checkpoint(design, real, 1, 0, [], {"model": "float"}))
    with pytest.raises(DataError, match="holds real numbers"):
        generate(TINY, out, samples=1, weights=tmp_path / "real.npz")
    with pytest.raises(DesignError, match="memories must be one of inline, readmemh, case, not 'rom'"):
        generate(TINY, out, samples=1, memories="rom")
    assert not out.exists()


def test_a_run_that_is_cut_off_leaves_no_folder(tmp_path):
    def stop(done, total, what):
        if what.startswith("computing"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(TINY, tmp_path / "out", progress=stop)
    assert not list(tmp_path.iterdir())


def test_a_net_of_4096_by_4096_is_generated_in_a_moment_of_memory():
    """Amaranth would make an object of each of 17 million bits that are 0."""
    design = Design.parse({"name": "big", "network": {"layers": [4096, 4096, 10]}, "hardware": {"lanes": 16}})
    assert len(emit(design).verilog) < 1_000_000


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
