"""Files: written whole or not at all, read no further than they may be long.

A file is written under another name beside its place, synced and renamed; what fails on the way (a full disk, an
interruption) leaves the older file, or none.  What cannot be written is an :class:`~fregen.errors.OutputError`.
"""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from .errors import FregenError, OutputError

__all__ = [
    "check_place",
    "check_room",
    "make_folder",
    "read_at_most",
    "replacing",
    "size_text",
    "write",
    "write_all",
    "writing",
]


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn what goes wrong while a file or folder is written into an OutputError.

    Parameters
    ----------
    path : str or Path
        What is written, for an error that names no file.

    Raises
    ------
    OutputError
        Instead of an OSError, or of the ValueError of a path with a NUL.
    """
    try:
        yield
    except OSError as error:
        place = path if error.filename is None or _is_beside(error.filename) else error.filename
        reason = error.strerror or str(error)
        if isinstance(error, FileExistsError):  # what mkdir raises where a file is in the way
            reason = os.strerror(errno.ENOTDIR)
        raise OutputError(f"{place}: cannot be written: {reason}") from None
    except ValueError as error:
        if "null" not in str(error):
            raise
        raise OutputError(f"{str(path)!r}: cannot be written: a path holds no NUL") from None


def make_folder(path: str | Path) -> Path:
    """Make a folder, and those that it lies in, unless they are there; raise OutputError if that is impossible."""
    with writing(path):
        Path(path).mkdir(parents=True, exist_ok=True)
    return Path(path)


def check_place(path: str | Path) -> None:
    """Make sure that a file can be written later, before hours of work; make its folder.

    Raises
    ------
    OutputError
        If the place is a folder, or its folder cannot be made or takes no file.
    """
    with writing(path):
        goal = Path(os.path.realpath(path))
        if goal.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if goal.exists() and not goal.is_file():
            return
        goal.parent.mkdir(parents=True, exist_ok=True)
        beside = _beside(goal)
        beside.touch(exist_ok=False)
        beside.unlink()


def check_room(folder: str | Path) -> None:
    """Make sure that a disk is not full, after an outside program that takes no notice of it has written there.

    Raises
    ------
    OutputError
        If two more blocks do not fit.
    """
    with writing(folder):
        beside = _beside(Path(folder) / "room")
        try:
            with beside.open("xb") as file:
                file.write(bytes(1 << 13))
                _sync(file)
        finally:
            beside.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a binary file that takes its place when the block ends without an error.

    A device or pipe (``/dev/stdout``) is written directly; a symbolic link goes on pointing where it points.

    Raises
    ------
    OutputError
        If the file cannot be written; its place is as it was before.
    """
    with writing(path):
        goal = Path(os.path.realpath(path))
        if goal.exists() and not goal.is_file():
            with goal.open("wb") as file:
                yield file
            return
        goal.parent.mkdir(parents=True, exist_ok=True)
        beside = _beside(goal)
        try:
            with beside.open("xb") as file:
                yield file
                _sync(file)
            os.replace(beside, goal)
        finally:
            beside.unlink(missing_ok=True)
        _sync_folder(goal.parent)


def write(path: str | Path, content: bytes | str) -> None:
    """Write a file whole or not at all; text as UTF-8.  Raises OutputError as :func:`replacing` does."""
    with replacing(path) as file:
        file.write(_bytes(content))


def write_all(folder: str | Path, contents: Mapping[str, bytes | str]) -> None:
    """Write several files of one folder: all of them, or none if the disk is full.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there; other files in it stay.
    contents : dict of str to bytes or str
        Content by name; text is written as UTF-8.

    Raises
    ------
    OutputError
        If a file cannot be written; the folder's files are as they were before.
    """
    folder = make_folder(folder)
    with writing(folder), contextlib.ExitStack() as scratch:
        ready = []
        for name, content in contents.items():
            goal = folder / name
            if goal.is_dir():
                raise OutputError(f"{goal}: cannot be written: it is a folder")
            beside = _beside(goal)
            scratch.callback(beside.unlink, missing_ok=True)
            with beside.open("xb") as file:
                file.write(_bytes(content))
                _sync(file)
            ready.append((beside, goal))
        for beside, goal in ready:
            os.replace(beside, goal)
        _sync_folder(folder)


def read_at_most(path: str | Path, most: int, kind: type[FregenError], what: str) -> bytes:
    """Read a whole file that must not be longer than ``most`` bytes.

    Parameters
    ----------
    path : str or Path
        File to read.
    most : int
        Bytes that it may have; nothing much beyond is read, so that ``/dev/zero`` ends, too.
    kind : type
        Error that is raised if it is longer.
    what : str
        What it should be, for the message: ``"a design file"``.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with Path(path).open("rb") as file:
        length, pieces = os.fstat(file.fileno()).st_size, []
        while length <= most and (piece := file.read(1 << 20)):
            pieces.append(piece)
            length = max(length, sum(map(len, pieces)))
    if length > most:
        raise kind(f"{path}: expected {what}, at most {size_text(most)}; this file is longer")
    return b"".join(pieces)


def size_text(size: int) -> str:
    """Return a number of bytes as people read it: ``512 bytes``, ``64 KiB``, ``1.5 GiB``."""
    for unit, scale in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 1 << scale:
            return f"{size / (1 << scale):,.4g} {unit}"
    return f"{size} bytes"


def _bytes(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _beside(goal: Path) -> Path:
    return goal.with_name(f".fregen-{secrets.token_hex(6)}.tmp")


def _is_beside(name: object) -> bool:
    stem = Path(os.fsdecode(name)).name if isinstance(name, (str, bytes, os.PathLike)) else ""
    return stem.startswith(".fregen-") and stem.endswith(".tmp")


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the new name durable where the system can (not on Windows)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
