"""One run at a time at a place: another is refused, and told who is there; a killed one leaves the place free."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fregen.claims import claimed_file, claimed_folder
from fregen.data.datasets import load
from fregen.design.document import Design
from fregen.errors import OutputError
from fregen.training.loop import train

pytestmark = pytest.mark.unit

TINY = Path(__file__).parents[1] / "rtl" / "tiny" / "design.toml"

HOLD = """
import sys
from pathlib import Path
from fregen.claims import claimed_file, claimed_folder
claim = claimed_folder if sys.argv[1] == "folder" else claimed_file
with claim(Path(sys.argv[2])):
    print("claimed", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["folder", "file"])
def held(request, tmp_path):
    """Return a place, the process that holds it, and what claims it."""
    place = tmp_path / "place"
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD, request.param, str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout.readline() == "claimed\n"
    yield place, owner, claimed_folder if request.param == "folder" else claimed_file
    owner.kill()
    owner.communicate()


def test_a_second_process_is_refused_and_told_who_is_there(held):
    place, owner, claim = held
    told = rf"place is in use by process {owner.pid} since .*: wait until it has ended, or name another f"
    with pytest.raises(OutputError, match=told), claim(place):
        pytest.fail("claimed twice")
    owner.communicate("")
    with claim(place):
        assert [path.suffix for path in place.parent.rglob(".*")] == [".lock"]
    assert list(place.parent.rglob(".*")) == []


def test_a_killed_process_leaves_the_place_free(held):
    place, owner, claim = held
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    with claim(place):
        pass
    assert list(place.parent.rglob(".*")) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(OutputError, match="file: cannot be written: Not a directory"),
        claimed_folder(tmp_path / "file"),
    ):
        pytest.fail("claimed a file as a folder")


def test_two_trainings_on_one_checkpoint_are_refused(tmp_path):
    design = Design.load(TINY)
    checkpoint = tmp_path / "net.npz"
    with claimed_file(checkpoint), pytest.raises(OutputError, match=r"net\.npz is in use by process"):
        train(design, load(design), epochs=1, checkpoint=checkpoint)
    assert not checkpoint.exists()
    train(design, load(design), epochs=1, checkpoint=checkpoint)
    assert [path.name for path in tmp_path.iterdir()] == ["net.npz"]
