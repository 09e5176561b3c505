"""Files appear whole or not at all; what cannot be written, or is too long to be read, is one short error."""

import os
import resource
import stat
import subprocess
import sys
import textwrap

import pytest

from fregen.errors import DesignError, OutputError
from fregen.files import make_folder, read_at_most, replacing, size_text, write, write_all

pytestmark = pytest.mark.unit


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_with_the_folders_that_it_lies_in(tmp_path):
    write(tmp_path / "a" / "b" / "text", "β\n")
    assert (tmp_path / "a" / "b" / "text").read_bytes() == b"\xce\xb2\n"
    assert names(tmp_path / "a" / "b") == ["text"]


def test_permissions_are_those_of_a_plain_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write(tmp_path / "ours", b"")
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_an_interrupted_write_leaves_the_older_file(tmp_path):
    path = tmp_path / "file"
    write(path, b"old")

    def interrupted():
        with replacing(path) as file:
            file.write(b"half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def full_disk(tmp_path, body, limit=1000):
    """Run Python where no file may grow beyond ``limit`` bytes, which fails as a full disk does: with an OSError."""
    code = "from fregen.files import *\nfrom fregen.errors import OutputError\n" + textwrap.dedent(body)
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )


def test_a_full_disk_leaves_the_older_files_and_no_other(tmp_path):
    write_all(tmp_path, {"a": b"old a", "b": b"old b"})
    done = full_disk(
        tmp_path,
        """
        try:
            write_all(".", {"a": b"new a", "b": bytes(5000), "c": b"new c"})
        except OutputError as error:
            print(error)
        """,
    )
    assert done.stdout == ".: cannot be written: File too large\n", done.stderr
    assert names(tmp_path) == ["a", "b"]
    assert [(tmp_path / name).read_bytes() for name in "ab"] == [b"old a", b"old b"]


def test_a_disk_that_another_program_has_filled_is_noticed(tmp_path):
    body = """
        try:
            check_room(".")
        except OutputError as error:
            print(error)
        """
    assert full_disk(tmp_path, body).stdout == ".: cannot be written: File too large\n"
    assert full_disk(tmp_path, body, 1 << 14).stdout == ""
    assert names(tmp_path) == []


def test_a_symbolic_link_goes_on_pointing_where_it_points(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to("far/file")
    write(tmp_path / "near", b"new")
    assert (tmp_path / "near").is_symlink()
    assert (tmp_path / "far" / "file").read_bytes() == b"new"


def test_a_device_is_written_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write(tmp_path / "pipe", b"word")
    assert os.read(reader, 100) == b"word"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("file/below", "file: cannot be written: "),
        ("n" * 300, "cannot be written: File name too long"),
        ("nul\0", "a path holds no NUL"),
        ("folder", "folder: cannot be written: "),
    ],
)
def test_a_place_that_cannot_be_written_is_named(tmp_path, name, message):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for attempt in (lambda: write(tmp_path / name, b""), lambda: write_all(tmp_path, {name: b""})):
        with pytest.raises(OutputError) as caught:
            attempt()
        assert message.partition(":")[2] in str(caught.value)
    assert names(tmp_path) == ["file", "folder"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/below: cannot be written: Not a directory"):
        make_folder(tmp_path / "file" / "below")


def test_a_file_is_read_up_to_its_limit(tmp_path):
    (tmp_path / "file").write_bytes(bytes(2048))
    assert len(read_at_most(tmp_path / "file", 2048, DesignError, "a design file")) == 2048
    with pytest.raises(DesignError, match="file: expected a design file, at most 1000 bytes; this file is longer"):
        read_at_most(tmp_path / "file", 1000, DesignError, "a design file")


def test_a_device_without_end_is_not_read_for_ever():
    with pytest.raises(DesignError, match="/dev/zero: expected a design file, at most 64 KiB"):
        read_at_most("/dev/zero", 1 << 16, DesignError, "a design file")


@pytest.mark.parametrize(("size", "text"), [(7, "7 bytes"), (1 << 18, "256 KiB"), (3 << 29, "1.5 GiB")])
def test_sizes_are_told_as_people_read_them(size, text):
    assert size_text(size) == text
