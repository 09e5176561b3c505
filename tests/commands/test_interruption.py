"""Ctrl-C at any moment: one line, exit code 130, nothing left running."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fregen.commands import interruption

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

RTL = Path(__file__).parents[2] / "rtl"


def handles_signals(pid):
    """Whether a process has got so far as to handle SIGTERM, which no Python does by itself."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
    return caught >> (signal.SIGTERM - 1) & 1


def interrupted(folder, arguments, seconds, number=signal.SIGINT):
    """Exit code, stdout and stderr of a command that gets a signal so many seconds after its first instructions."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "fregen", *map(str, arguments)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not handles_signals(process.pid):
        time.sleep(0.002)
    time.sleep(seconds)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err.splitlines()[-1:]


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        (["train", RTL / "digits" / "design.toml", "--epochs", 9999], 0.0),
        (["train", RTL / "digits" / "design.toml", "--epochs", 9999], 2.0),
        (["generate", RTL / "digits" / "design.toml", "-o", "out"], 0.5),
        (["verify", RTL / "digits" / "design.toml", "--samples", 1000, "-o", "out"], 1.0),
        (["demo", "-o", "out"], 1.5),
        (["benchmark", "-o", "out.json"], 1.0),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else str(value),
)
def test_ctrl_c_is_one_line_and_exit_code_130(tmp_path, arguments, seconds):
    code, out, err = interrupted(tmp_path, arguments, seconds)
    assert (code, out, err) == (130, "", ["error: interrupted"])


def test_reproduce_is_interrupted(tmp_path, mnist):
    code, _, err = interrupted(tmp_path, ["reproduce", "table1", "--epochs", 9999, "-o", "out"], 2.0)
    assert (code, err) == (130, ["error: interrupted"])


def test_sigterm_has_a_code_of_its_own(tmp_path):
    arguments = ["train", RTL / "digits" / "design.toml", "--epochs", 9999]
    assert interrupted(tmp_path, arguments, 0.3, signal.SIGTERM) == (143, "", ["error: terminated"])


DEAF = """
import time
from fregen.commands import interruption
interruption.watch()
try:
    print("ready", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    time.sleep(600)
"""


def test_a_main_thread_that_goes_on_is_ended_by_another():
    process = subprocess.Popen(
        [sys.executable, "-c", DEAF],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "error: interrupted\n")


def test_the_line_is_written_once_a_signal(capsys):
    interruption.report()
    interruption.report()  # without a signal this is another command of the same process
    assert capsys.readouterr().err == "error: interrupted\n" * 2
