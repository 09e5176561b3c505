"""What a person sees while a command works, on a terminal and in a log file."""

import io
import re
import time

import pytest
from rich.console import Console

from fregen.commands import console
from fregen.commands.console import Bars

pytestmark = pytest.mark.unit


@pytest.fixture
def terminal(monkeypatch):
    """Let stderr be a wide terminal, and return what was written there, without colours."""
    written = io.StringIO()
    monkeypatch.setattr(console, "Console", lambda file: Console(file=written, force_terminal=True, width=120))

    def read():
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.getvalue())

    return read


def test_bar_shows_what_is_done_and_the_time_left(terminal):
    with Bars() as bars:
        bars.step("float", 0, 3000, "")
        time.sleep(0.1)
        bars.step("float", 1, 3000, "epoch 1")
        bars._progress.refresh()
    assert re.search(r"float .* 1/3,000 0:00:00 0:0\d:\d\d left +epoch 1", terminal())


def test_step_of_unknown_length_shows_no_question_mark(terminal):
    with Bars() as bars:
        bars.step("generate", 0, 0, "writing Verilog")
        bars._progress.refresh()
        bars.step("spectrum", 40, 0, "products")
        bars._progress.refresh()
    shown = terminal()
    assert "?" not in shown
    assert re.search(r"spectrum .* 40 0:00:00 +products", shown)


def test_log_file_gets_a_line_now_and_then_also_while_nothing_is_reported(capsys):
    with Bars(first=0.05, every=0.05) as bars:
        time.sleep(0.12)
        bars.step("simulating", 0, 50, "in verilator")
        bars.step("simulating", 5, 50, "in verilator")
        time.sleep(0.12)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "fregen: starting"
    assert re.fullmatch(r"fregen: simulating, 5/50, \d:\d\d:\d\d left, in verilator", lines[-1])


def test_short_commands_write_nothing_beside_their_result(capsys):
    with Bars() as bars:
        bars.step("verify", 1, 2, "")
    assert capsys.readouterr().err == ""


def test_time_left_counts_only_what_this_run_has_done(capsys):
    """Gone on from a checkpoint after 90 of 100 epochs: one more in a tenth of a second leaves about a second."""
    with Bars(first=0.2, every=0.1) as bars:
        bars.step("fixed", 90, 100, "")
        time.sleep(0.1)
        bars.step("fixed", 91, 100, "")
        time.sleep(0.15)
    assert re.match(r"fregen: fixed, 91/100, 0:00:0[12] left", capsys.readouterr().err)


def test_step_without_a_length_ends_when_the_next_one_begins(terminal):
    with Bars() as bars:
        bars.by_text(0, 0, "generating Verilog")
        bars.by_text(0, 0, "building the model")
        first, second = bars._progress.tasks
        assert (first.finished, second.finished) == (True, False)
    assert "?" not in terminal()
