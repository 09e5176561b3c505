"""The cache of compiled models stays within its limits, and takes nothing away that somebody uses."""

import os
import subprocess
import sys
import time

import pytest

from fregen.cache import Limits, Models
from fregen.errors import ToolError

pytestmark = pytest.mark.unit

DAY = 86400
MANY = Limits(1.0, 30.0)


@pytest.fixture
def models(tmp_path):
    return Models(tmp_path / "models")


def make(models, key, size=1000, days=0.0):
    """Build an entry as another process would that has ended since: nobody holds it."""
    with models.building(key) as folder:
        (folder / "bench").write_bytes(bytes(size))
    models._release(models.folder / key)
    used = time.time() - days * DAY
    os.utime(models.folder / key / "built", (used, used))


def names(models):
    return sorted(path.name for path in models.folder.iterdir())


def test_what_was_built_is_found(models):
    assert models.find("a") is None
    make(models, "a")
    assert models.find("a") == models.folder / "a"
    assert (models.folder / "a" / "bench").stat().st_size == 1000


def test_a_failed_build_leaves_nothing(models):
    def fail():
        with models.building("a") as folder:
            (folder / "log").write_text("error")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert names(models) == []


def test_two_builders_of_one_model_do_not_meet(models):
    with models.building("a") as first, models.building("a") as second:
        assert first != second
        (first / "bench").write_text("1")
        (second / "bench").write_text("2")
    assert names(models) == ["a"]
    assert (models.folder / "a" / "bench").read_text() == "2"


def test_what_was_used_last_stays_where_there_is_too_much(models):
    for key, days in (("a", 3), ("b", 1), ("c", 2)):
        make(models, key, 1000, days)
    models.prune(Limits(2500 / 1e9, 30))
    assert names(models) == ["b", "c"]


def test_finding_counts_as_use(models):
    for key, days in (("a", 3), ("b", 1), ("c", 2)):
        make(models, key, 1000, days)
    models.find("a")
    models._release(models.folder / "a")
    models.prune(Limits(2500 / 1e9, 30))
    assert names(models) == ["a", "b"]


def test_what_nobody_used_for_long_goes(models):
    make(models, "old", days=31)
    make(models, "new", days=29)
    models.prune(MANY)
    assert names(models) == ["new"]


HOLD = """
import sys
from pathlib import Path
from fregen.cache import Models
models = Models(Path(sys.argv[1]))
if sys.argv[2] == "find":
    models.find("a")
else:
    context = models.building("b")
    (context.__enter__() / "bench").write_text("half")
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(models):
    """Start another process that uses or builds a model until its stdin closes or it is killed."""
    started = []

    def start(what):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, models.folder, what], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_model_in_use_by_another_process_stays(models, other):
    make(models, "a", days=40)
    user = other("find")
    old = time.time() - 40 * DAY
    os.utime(models.folder / "a" / "built", (old, old))
    models.prune(Limits(0.0, 30.0))
    assert names(models) == ["a"]
    user.kill()
    user.wait()
    models.prune(Limits(0.0, 30.0))
    assert names(models) == []


def test_a_build_that_was_killed_is_cleaned_up_and_one_that_goes_on_is_not(models, other):
    builder = other("build")
    models.prune(MANY)
    assert len(names(models)) == 1
    builder.kill()
    builder.wait()
    make(models, "a")  # building anything cleans up
    assert names(models) == ["a"]


def test_failed_folders_of_earlier_versions_go_and_fresh_ones_may_have_a_builder(models):
    for name, age in (("a.123.failed", 2 * DAY), ("b.124.7", 10)):
        folder = models.folder / name
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - age,) * 2)
    models.prune(MANY)
    assert names(models) == ["b.124.7"]


def test_no_space_at_all_keeps_what_this_process_uses(models, monkeypatch):
    monkeypatch.setenv("FREGEN_CACHE_GB", "0")
    with models.building("a") as folder:
        (folder / "bench").write_text("model")
    assert models.find("a") == models.folder / "a"
    models.discard(models.folder / "a")
    assert names(models) == []


def test_usage_counts_finished_models(models):
    make(models, "a", 1000)
    make(models, "b", 234)
    (models.folder / "c.building.1.2").mkdir()
    assert models.usage() == (2, 1234)


@pytest.mark.parametrize("text", ["-1", "many", "nan"])
def test_limits_are_numbers(monkeypatch, text):
    monkeypatch.setenv("FREGEN_CACHE_GB", "1.5")
    monkeypatch.delenv("FREGEN_CACHE_DAYS", raising=False)
    assert Limits.asked() == Limits(1.5, 30.0)
    monkeypatch.setenv("FREGEN_CACHE_DAYS", text)
    with pytest.raises(ToolError, match=f"FREGEN_CACHE_DAYS: expected a number from 0 on, not '{text}'"):
        Limits.asked()
