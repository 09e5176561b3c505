"""No process that this one has started outlives it, however it ends."""

import io
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from fregen import processes

pytestmark = [pytest.mark.unit, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

SLEEPERS = ["sh", "-c", "sleep 600 & sleep 600"]


def marked(mark):
    """Process ids whose environment holds a mark, but those of processes that have ended."""
    found = set()
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and mark.encode() in (folder / "environ").read_bytes():
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                found |= {int(folder.name)} if state != "Z" else set()
        except OSError:
            continue
    return found


def wait_for(condition):
    """Wait until something is so; half a minute is a fault."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def mark(monkeypatch):
    text = uuid.uuid4().hex
    yield text
    for pid in marked(text):
        os.kill(pid, signal.SIGKILL)


def test_a_command_has_the_environment_and_the_folder_that_were_asked_for(tmp_path):
    before = dict(os.environ)
    variables = {"PATH": os.environ["PATH"], "ONLY": "this"}
    with (tmp_path / "log").open("w") as log:
        assert processes.run(["sh", "-c", "pwd; env; exit 7"], tmp_path, variables, log) == 7
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[0] == str(tmp_path)
    assert "ONLY=this" in lines
    assert not any(line.startswith("HOME=") for line in lines)
    assert dict(os.environ) == before


def test_captured_returns_what_a_command_said():
    done = processes.captured(["sh", "-c", "cat; echo bad >&2; exit 3"], "asked")
    assert (done.returncode, done.stdout, done.stderr) == (3, "asked", "bad\n")
    with pytest.raises(subprocess.TimeoutExpired):
        processes.captured(["sleep", "600"], timeout=0.1)


def test_a_program_that_is_not_there_is_told_apart_from_one_that_fails():
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        processes.captured(["no-such-program"])
    with pytest.raises(FileNotFoundError, match="sh"):
        processes.run(["sh"], env={"PATH": "/nowhere"})


def test_an_interruption_ends_a_command_and_what_it_has_started(mark):
    def tick():
        if len(marked(mark)) >= 3:  # the shell and both sleepers
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        processes.run(SLEEPERS, env={**os.environ, "MARK": mark}, tick=tick)
    wait_for(lambda: not marked(mark))


PARENT = """
import signal, sys, time
from fregen import processes

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell without job control has started by &

def job():
    processes.run(["sleep", "600"])

if __name__ == "__main__":
    try:
        with processes.workers(2) as pool:
            jobs = [pool.submit(job) for _ in range(2)]
            while not all(one.done() for one in jobs):
                time.sleep(0.05)  # a signal that comes just before a lock is waited for wakes nobody
    except KeyboardInterrupt:
        sys.exit(9)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_workers_and_their_commands_end_with_their_parent(mark, tmp_path, number):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, script], env={**os.environ, "MARK": mark}, stderr=subprocess.PIPE, start_new_session=True
    )

    def sleepers():
        return sum(b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in marked(mark))

    wait_for(lambda: sleepers() == 2)
    if number == signal.SIGINT:
        os.killpg(parent.pid, number)  # as a terminal does it, to the workers too
    else:
        parent.send_signal(number)
    _, said = parent.communicate(timeout=30)
    assert parent.returncode == (9 if number == signal.SIGINT else -number)
    assert said == b"" or number != signal.SIGINT
    wait_for(lambda: not marked(mark))


def test_workers_do_their_jobs_with_one_thread_for_matrices():
    before = dict(os.environ)
    with processes.workers(2) as pool:
        assert pool.submit(os.getenv, "OPENBLAS_NUM_THREADS").result() == "1"
        assert [job.result() for job in [pool.submit(abs, -number) for number in range(5)]] == list(range(5))
        with pytest.raises(ValueError, match="invalid literal"):
            pool.submit(int, "x").result()
    assert dict(os.environ) == before


def test_an_error_in_the_block_ends_workers_at_once(mark, monkeypatch):
    monkeypatch.setenv("MARK", mark)

    def fail():
        with processes.workers(1) as pool:
            pool.submit(time.sleep, 600)
            wait_for(lambda: len(marked(mark) - {os.getpid()}) >= 1)
            raise io.UnsupportedOperation("from within")

    with pytest.raises(io.UnsupportedOperation):
        fail()
    monkeypatch.delenv("MARK")


# Threads for matrices -----------------------------------------------------------------------------------------------


def blas_threads():
    import numpy as np  # loads the library that threadpoolctl finds
    from threadpoolctl import threadpool_info

    assert np.eye(2).sum() == 2
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


COUNT = """
import os, sys
from fregen import processes
processes.choose_threads()
import numpy
from threadpoolctl import threadpool_info
print([pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"])
"""


@pytest.mark.parametrize(
    ("asked", "threads"), [({}, "[1]"), ({"OMP_NUM_THREADS": "2"}, f"[{min(2, os.cpu_count())}]")], ids=["none", "two"]
)
def test_a_command_computes_with_one_thread_unless_the_environment_says_more(asked, threads):
    environment = {name: text for name, text in os.environ.items() if name not in processes.ONE_THREAD}
    done = subprocess.run([sys.executable, "-c", COUNT], env=environment | asked, capture_output=True, text=True)
    assert done.stdout.strip() == threads, done.stderr


def test_a_block_computes_with_one_thread_and_then_as_before(monkeypatch):
    for name in processes.ONE_THREAD:
        monkeypatch.delenv(name, raising=False)
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with processes.one_blas_thread():
            assert blas_threads() == {1}
        assert blas_threads() == before
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
        with processes.one_blas_thread():
            assert blas_threads() == before
