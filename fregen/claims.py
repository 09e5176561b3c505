"""Claims: one process at a time writes at a place; another one is refused, with the name of the one that is there.

A claim is an advisory lock (``flock``) on a file beside what is claimed.  The file goes when the claim ends; a process
that is killed leaves the file but no lock, so nothing has to be cleaned up.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import OutputError
from .files import make_folder, writing

__all__ = ["claimed_file", "claimed_folder"]


@contextlib.contextmanager
def claimed_folder(folder: Path) -> Iterator[None]:
    """Claim a folder for as long as the block runs; make it unless it is there.

    Raises
    ------
    OutputError
        If another run has claimed it, or it cannot be written.
    """
    with _claimed(make_folder(folder) / ".fregen.lock", folder, "name another folder (-o)"):
        yield


@contextlib.contextmanager
def claimed_file(path: Path) -> Iterator[None]:
    """Claim a file that is renewed again and again, such as a checkpoint, for as long as the block runs.

    Raises
    ------
    OutputError
        If another process has claimed it, or its folder cannot be written.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():  # a device or pipe
        yield
        return
    with _claimed(make_folder(path.parent) / f".{path.name}.lock", path, "name another file"):
        yield


@contextlib.contextmanager
def _claimed(lock: Path, place: Path, advice: str) -> Iterator[None]:
    with writing(place):
        handle = _locked(lock, place, advice)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()
        os.close(handle)


def _locked(lock: Path, place: Path, advice: str) -> int:
    """Lock a file; return its handle."""
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(handle, 200).decode(errors="replace").strip() or "another process"
            os.close(handle)
            raise OutputError(f"{place} is in use by {owner}: wait until it has ended, or {advice}") from None
        # Whoever had it before may have removed the file in between: then the lock is on no file's name.
        if lock.exists() and os.path.samestat(os.fstat(handle), lock.stat()):
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()} since {time.strftime('%H:%M:%S')}\n".encode())
            return handle
        os.close(handle)
