"""Read ``.npz`` archives without trust, every fault one :class:`~fregen.errors.DataError`.

No pickle is loaded, no array that was not asked for, and sizes are checked from headers before anything is allocated.
"""

import contextlib
import io
import math
import sys
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, key_text, listed, one_line, quoted
from ..files import size_text

__all__ = ["Archive", "Header", "open_archive"]

_HEADER = 1 << 14
"""Bytes at the start of an array's file that hold its header; numpy itself refuses more than 10,000."""

_DENSEST = 1100
"""Bytes that one compressed byte of a zip archive can stand for, at most (deflate: 1,032)."""


@dataclass(frozen=True)
class Header:
    """What an array's header announces.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    is_fortran : bool
        Whether the first index moves fastest.
    dtype : numpy dtype
        Its type.
    """

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{quoted(self.shape)} of type {quoted(self.dtype)}"


class Archive:
    """An open ``.npz`` file; see :func:`open_archive`.

    Parameters
    ----------
    path : Path
        Its file, for messages.
    archive : ZipFile
        The file, open.
    what : str
        What it should be, for messages.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile, what: str) -> None:
        self._path, self._archive, self._what = path, archive, what
        self._files = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}

    @property
    def names(self) -> tuple[str, ...]:
        """The arrays that it holds."""
        return tuple(self._files)

    def header(self, name: str) -> Header:
        """Read what an array's header announces, nothing else.

        Raises
        ------
        DataError
            If it is no array of plain values, or its data cannot fill what its header announces.
        """
        info = self._files[name]
        with self._archive.open(info) as file:
            return self._header(name, file.read(_HEADER), info)[0]

    def read(self, name: str, most: int) -> NDArray[Any]:
        """Read an array.

        Parameters
        ----------
        name : str
            One of :attr:`names`.
        most : int
            Bytes that it may have.

        Raises
        ------
        DataError
            If it is larger, as :meth:`header` raises it, or if it is truncated or damaged.
        """
        info = self._files[name]
        with self._archive.open(info) as file:
            begin = file.read(_HEADER)
            header, length = self._header(name, begin, info)
            if header.size > most:
                raise DataError(
                    f"{self._path}: {key_text(name)}: expected at most {size_text(most)}, but its header announces "
                    f"{header}, {size_text(header.size)}"
                )
            content = memoryview(bytearray(header.size))
            filled = len(begin) - length
            content[:filled] = begin[length:]
            while filled < header.size and (piece := file.read(min(1 << 20, header.size - filled))):
                content[filled : filled + len(piece)] = piece
                filled += len(piece)
            file.read(1)  # at the end of a file its checksum is compared
        flat: NDArray[Any] = np.frombuffer(content, dtype=header.dtype)
        if header.dtype.kind == "U" and np.any(
            flat.view(header.dtype.str.replace("U", "u")[:2] + "4") > sys.maxunicode
        ):
            raise DataError(f"{self._path}: {key_text(name)}: damaged: its text holds what is no character")
        return flat.reshape(header.shape, order="F" if header.is_fortran else "C")

    def _header(self, name: str, begin: bytes, info: zipfile.ZipInfo) -> tuple[Header, int]:
        """Parse a header; return it and its length in bytes."""
        file = io.BytesIO(begin)
        if begin[:6] != b"\x93NUMPY":
            raise DataError(f"{self._path}: expected {self._what} that holds arrays only; {key_text(name)} is none")
        version = np.lib.format.read_magic(file)
        reads = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in reads:
            raise DataError(f"{self._path}: {key_text(name)}: expected an array of plain values, not of records")
        header = Header(*reads[version](file))
        shape, dtype = header.shape, header.dtype
        if dtype.hasobject:
            raise DataError(f"{self._path}: holds pickled Python objects, which are never loaded; save plain arrays")
        if min(shape, default=1) < 0:
            raise DataError(f"{self._path}: {key_text(name)}: damaged, its header announces the shape {quoted(shape)}")
        if info.file_size != file.tell() + header.size or info.file_size > _DENSEST * (info.compress_size + 1):
            raise DataError(
                f"{self._path}: {key_text(name)}: truncated or damaged: its header announces {header}, which needs "
                f"{size_text(header.size)}, and there is less or more"
            )
        return header, file.tell()


@contextlib.contextmanager
def open_archive(path: Path, required: Collection[str], what: str) -> Iterator[Archive]:
    """Open a ``.npz`` file whose arrays are then read one by one.

    Parameters
    ----------
    path : Path
        File to read.
    required : collection of str
        Arrays that must be there; more may be.
    what : str
        What the file should be, for messages: ``"a checkpoint"``.

    Raises
    ------
    DataError
        If the file is absent, truncated or corrupt, is no ``.npz`` file or lacks an array; also instead of whatever
        is raised while it is open.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
            if start[:2] != b"PK":
                raise DataError(f"{path}: expected {what} (a .npz archive), but the file starts with {start!r}")
            with zipfile.ZipFile(file) as zipped:
                archive = Archive(path, zipped, what)
                missing = [name for name in required if name not in archive.names]
                if missing:
                    raise DataError(
                        f"{path}: expected {what} with the arrays {listed(required)}; it lacks {listed(missing)} "
                        f"(it holds {listed(archive.names) or 'nothing'})"
                    )
                yield archive
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected {what}") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder; expected {what} (a .npz archive)") from None
    except MemoryError:
        raise
    except Exception as error:  # what zipfile, zlib and numpy's reader of headers raise on damage is listed nowhere
        raise DataError(f"{path}: truncated or damaged, cannot be read as {what}: {one_line(error)}") from None
