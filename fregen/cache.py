"""What is compiled once a machine, and how much of it is kept.

============================  =========  ========================================================
environment variable          default    meaning
============================  =========  ========================================================
``XDG_CACHE_HOME``            ~/.cache   folder in which fregen's lies
``FREGEN_CACHE_GB``           2          most that compiled models may take; those used last stay
``FREGEN_CACHE_DAYS``         30         models that nobody used for so long are removed
============================  =========  ========================================================

An entry is a folder of :class:`Models`.  A process that uses one holds a lock on it until the process ends, so that no
other removes it meanwhile; a lock goes with its process, however that ends, and what a builder left behind is found by
that.
"""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from .errors import ToolError

__all__ = ["Limits", "Models", "user_cache"]

_STAMP, _BUILDING = "built", ".building"
_FRESH = 3600.0
"""Age from which a folder without a lock is left over, s."""


def user_cache() -> Path:
    """Folder of what is compiled once per machine: Verilator's run-time library and simulation models."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fregen"


@dataclass(frozen=True)
class Limits:
    """How much is kept.

    Parameters
    ----------
    gigabytes : float
        Most that all models may take, 10⁹ bytes.
    days : float
        Age, since it was last used, at which a model is removed.
    """

    gigabytes: float = 2.0
    days: float = 30.0

    @classmethod
    def asked(cls) -> "Limits":
        """Return the limits that the environment sets.

        Raises
        ------
        ToolError
            If a variable is no number from 0 on.
        """
        return cls(_number("FREGEN_CACHE_GB", cls.gigabytes), _number("FREGEN_CACHE_DAYS", cls.days))


def _number(variable: str, default: float) -> float:
    text = os.environ.get(variable)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not value >= 0:
        raise ToolError(f"{variable}: expected a number from 0 on, not {text[:40]!r}")
    return value


class Models:
    """Compiled models by key: those of a folder, ``models`` in the user's cache unless another is given.

    Parameters
    ----------
    folder : Path, optional
        Where they lie.
    """

    _held: ClassVar[dict[Path, int]] = {}
    """Open locks of this process."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = user_cache() / "models" if folder is None else folder

    def find(self, key: str) -> Path | None:
        """Return the folder of a model and keep it from being removed as long as this process lives; None if absent."""
        path = self.folder / key
        stamp = path / _STAMP
        if not self._hold(path, stamp):
            return None
        os.utime(stamp)
        return path

    def _hold(self, path: Path, stamp: Path) -> bool:
        """Lock an entry for use; return whether it is there."""
        if path in self._held and stamp.exists():
            return True
        self._release(path)
        try:
            handle = os.open(stamp, os.O_RDWR)
        except OSError:
            return False
        fcntl.flock(handle, fcntl.LOCK_SH)
        if not stamp.exists():  # it was removed between the two
            os.close(handle)
            return False
        self._held[path] = handle
        return True

    def _release(self, path: Path) -> None:
        if path in self._held:
            os.close(self._held.pop(path))

    @contextlib.contextmanager
    def building(self, key: str) -> Iterator[Path]:
        """Give a fresh folder in which to build a model; an entry in use if the block ends well, gone if not."""
        limits = Limits.asked()
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{key}{_BUILDING}.{os.getpid()}.{time.monotonic_ns()}"
        partial.mkdir()
        lock = os.open(partial / _STAMP, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield partial
            (partial / _STAMP).write_text(str(_size(partial)), encoding="utf-8")
            with contextlib.suppress(OSError):  # another process was first
                partial.rename(self.folder / key)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            os.close(lock)
        self.find(key)
        self.prune(limits)

    def discard(self, path: Path) -> None:
        """Remove an entry."""
        self._release(path)
        shutil.rmtree(path, ignore_errors=True)

    def prune(self, limits: Limits | None = None) -> None:
        """Remove what is too old, what is too much (those used last stay), and what builders left that are gone.

        Models in use stay, and do not count as too old.
        """
        limits = limits or Limits.asked()
        entries = sorted(self._entries(), reverse=True)
        left, oldest = limits.gigabytes * 1e9, time.time() - limits.days * 86400
        for used, path, size in entries:
            left -= size
            if left < 0 or used < oldest or not _is_entry(path):
                self._remove(path)

    def _remove(self, path: Path) -> None:
        """Remove an entry that nobody uses or builds."""
        try:
            handle = os.open(path / _STAMP, os.O_RDWR)
        except OSError:
            handle = None
        try:
            if handle is not None:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(path / _STAMP)  # from here on nobody finds it
            elif time.time() - path.stat().st_mtime < _FRESH:
                return  # its builder may have made the folder just now, and no lock in it yet
            shutil.rmtree(path, ignore_errors=True)
        except OSError:
            pass
        finally:
            if handle is not None:
                os.close(handle)

    def _entries(self) -> Iterator[tuple[float, Path, int]]:
        """Last use, folder and bytes of everything in the folder; those of an unfinished one count as none."""
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                try:
                    stamp = path / _STAMP
                    yield stamp.stat().st_mtime, path, int(stamp.read_text(encoding="utf-8") or 0) or _size(path)
                except (OSError, ValueError):
                    yield 0.0, path, 0

    def usage(self) -> tuple[int, int]:
        """Return how many models there are, and their bytes."""
        entries = [size for _, path, size in self._entries() if _is_entry(path)]
        return len(entries), sum(entries)


def _is_entry(path: Path) -> bool:
    """Whether a folder is a finished model, by its name and stamp; failed builds of earlier versions are none."""
    return "." not in path.name and (path / _STAMP).exists()


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
