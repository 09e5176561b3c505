"""Two verifications of one design at once, no folder given: each reports its own words, or is refused."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fregen.errors import ToolError
from fregen.runs.prepare import Prepared
from fregen.verification import simulate

pytestmark = [pytest.mark.rtl, pytest.mark.tool]

TINY = Path(__file__).parents[2] / "rtl" / "tiny" / "design.toml"


def start(where, *arguments):
    command = [sys.executable, "-m", "fregen", "verify", str(TINY), *arguments, "--json"]
    return subprocess.Popen(command, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_second_is_refused_and_the_first_tells_its_own_words(tmp_path):
    first = start(tmp_path, "--samples", "16", "--random")
    lock = tmp_path / "build" / "verify" / "tiny" / ".fregen.lock"
    while not lock.exists() and first.poll() is None:
        time.sleep(0.02)
    second = start(tmp_path, "--samples", "8", "--seed", "3", "--random")
    said = second.communicate()
    verdict = json.loads(first.communicate()[0])
    assert second.returncode == 6
    assert f"build/verify/tiny is in use by process {first.pid} since" in said[1]
    assert said[0] == ""
    assert first.returncode == 0
    assert verdict["samples"] == 16 + 4
    assert verdict["passed"]
    assert verdict["result"]["run"] == json.loads((lock.parent / "verdict.json").read_text())["run"]


def test_a_verdict_of_another_run_is_no_verdict(tmp_path):
    (tmp_path / "verdict.json").write_text(json.dumps({"run": "0123456789abcdef", "missing": 0}))
    with pytest.raises(ToolError, match="is about run 0123456789abcdef, not 00000000000000ff: another run writes into"):
        simulate._verdict(Prepared(tmp_path, "00000000000000ff", 1), tmp_path / "run.log", [], 0.0)
