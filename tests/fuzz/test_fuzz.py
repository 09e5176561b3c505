"""Design and data files that were spoilt at random are read, or refused by one short message.

A few hundred with a new seed, which is printed; the thousands are ``python tests/fuzz/fuzz.py``, docs/errors.md.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).with_name("fuzz.py")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(FUZZ.parents[2]), str(FUZZ.parent)])}


def run(*arguments):
    command = [sys.executable, str(FUZZ), *map(str, arguments)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(FUZZ.parents[2]), os.environ.get("PYTHONPATH", "")]),
    }
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.unit
def test_spoilt_files_end_in_one_short_message():
    seed = random.SystemRandom().randrange(1 << 31)
    done = run("--designs", 400, "--data", 270, "--seed", seed)
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert done.stdout.startswith(f"seed {seed}\n400 design files: ")
    assert "270 data files: " in done.stdout


@pytest.mark.long
def test_thousands_of_spoilt_files():
    done = run("--designs", 20_000, "--data", 5_000)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


PLANTED = """
import time
from fuzz import Found, judge
from fregen.errors import DataError, DesignError

def fail(error):
    def action():
        raise error
    return action

kept = []
FAULTS = {
    "another error": fail(KeyError("x")),
    "no exception": fail(SystemExit(70)),
    "another kind": fail(DesignError("x")),
    "a long message": fail(DataError("x" * 5000)),
    "an escape": fail(DataError("\\x1b[31m")),
    "time": lambda: [None for _ in range(20_000_000)] and None,
    "memory": lambda: kept.append(bytes(50 << 20).replace(b"\\0", b"\\1")),
}
for name, action in FAULTS.items():
    print(name, judge(Found(), name, action, DataError, seconds=0.2, mebibytes=40))
print("sound", judge(Found(), "sound", fail(DataError("no such file")), DataError, seconds=0.2, mebibytes=40))
"""


@pytest.mark.unit
def test_the_harness_reports_each_planted_fault():
    command = [sys.executable, "-c", PLANTED]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    faults = ("another error", "no exception", "another kind", "a long message", "an escape", "time", "memory")
    assert done.stdout == "".join(f"{name} False\n" for name in faults) + "sound True\n", done.stderr
