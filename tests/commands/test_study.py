"""`fregen study` on the command line."""

import json

import pytest
from click.testing import CliRunner

from fregen.commands.cli import cli

pytestmark = pytest.mark.unit

TEXT = """
seeds = 2
epochs = 1
[design]
name = "little"
network.layers = [64, 6, 5, 10]
learning = { free_steps = 2, nudged_steps = 1 }
data = { train = 40, test = 30 }
"""


def run(tmp_path, text, *options):
    path = tmp_path / "widths.toml"
    path.write_text(text)
    return CliRunner().invoke(cli, ["study", str(path), "-o", str(tmp_path / "out"), "--processes", "1", *options])


def test_a_study_is_run_once(tmp_path):
    result = run(tmp_path, TEXT, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["trained"], told["kept"], told["engines"]) == (2, 0, {"golden": 2})
    assert all((tmp_path / "out" / name).exists() for name in told["files"])
    again = run(tmp_path, TEXT)
    assert "trained now: 0; there before: 2" in again.stdout


def test_a_wrong_file_says_so_at_once(tmp_path):
    result = run(
        tmp_path, "[grid]\nlearning.bath = [1]\nnumerics.state = []\n" + TEXT.replace("seeds = 2\nepochs = 1", "")
    )
    assert result.exit_code == 3
    assert "learning.bath" in result.stderr
    assert "numerics.state" in result.stderr


def test_points_that_fail_are_told(tmp_path):
    result = run(tmp_path, TEXT.replace("train = 40", "train = 40, path = 'nowhere'"))
    assert result.exit_code == 4
    assert "seed 0 and 1 more points: data.path" in result.stderr
    assert "error: 2 points failed" in result.stderr
