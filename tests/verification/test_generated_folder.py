"""`fregen verify FOLDER`: the Verilog as it lies there; what is no longer as it was written is told."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from fregen.commands import cli
from fregen.commands.generate import generate
from fregen.errors import DesignError
from fregen.verification import verify as module
from fregen.verification.simulate import Result

pytestmark = pytest.mark.unit

TINY = Path(__file__).parents[2] / "rtl" / "tiny" / "design.toml"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a generated folder; every run in it passes without a simulator."""
    where = tmp_path / "tiny"
    generate(TINY, where, samples=1)
    result = Result(5, 0, 0, 0, (), None, {}, 1.0, 0.5, where, "0123456789abcdef")
    monkeypatch.setattr(module, "simulate", lambda *_: (result, None))
    return where


def run(folder):
    return CliRunner().invoke(cli.cli, ["verify", str(folder), "-o", str(folder.parent / "run"), "--json"])


def test_an_untouched_folder_has_no_note(folder):
    done = run(folder)
    assert done.exit_code == 0
    assert "note:" not in done.stderr
    assert json.loads(done.stdout)["changed"] == []


@pytest.mark.parametrize("name", ["tiny.v", "bench.v"])
def test_a_changed_file_is_told_and_verified_as_it_is(folder, name):
    with (folder / name).open("a") as file:
        file.write("// mine\n")
    done = run(folder)
    assert done.exit_code == 0
    assert f"note: {folder / name} is not as fregen generate wrote it; verified as it is\n" in done.stderr
    assert json.loads(done.stdout)["changed"] == [name]


def test_a_folder_whose_bench_logs_otherwise_is_refused(folder):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["records"]["words"]["size"] += 1
    path.write_text(json.dumps(manifest))
    with pytest.raises(DesignError, match="was written by another version of fregen, whose bench logs otherwise"):
        module.verify(folder, folder.parent / "run")


def test_what_differs_is_told_apart_from_what_never_came():
    result = Result(464, 13, 1464, 0, (), None, {}, 1.0, 0.5, Path(), "")
    assert result.findings == "13 of 464 compared words differ, 1,464 missing"
    assert result.mismatches == 1477
    assert not result.passed
    assert Result(464, 0, 0, 0, (), None, {}, 1.0, 0.5, Path(), "").findings == "464 words compared, 0 mismatches"
