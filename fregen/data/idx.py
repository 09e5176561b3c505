"""Read IDX files, plain or ``.gz``, as MNIST is published: a header of sizes, then a byte a value.

Sizes are checked from the header before anything is allocated, and no more is decompressed than it announces.
"""

import gzip
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, one_line

__all__ = ["IMAGES", "LABELS", "find_idx", "read_idx"]

IMAGES, LABELS = 0x803, 0x801
"""Magic numbers: bytes in three dimensions, and in one."""

_DENSEST = 1100
"""Bytes that one byte of a gzip file can stand for, at most (deflate: 1,032)."""


def find_idx(folder: Path, name: str) -> Path | None:
    """Return the file of a name in a folder, plain or with ``.gz``; None if there is neither."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def read_idx(
    folder: Path, name: str, magic: int, check: Callable[[tuple[int, ...], str], None]
) -> tuple[NDArray[np.uint8], Path]:
    """Read a file.

    Parameters
    ----------
    folder : Path
        Where it lies.
    name : str
        Its name without ``.gz``.
    magic : int
        :data:`IMAGES` or :data:`LABELS`.
    check : callable
        Called with the shape that the header announces and where it was read, before the data are; raises DataError
        if that shape cannot be used.

    Returns
    -------
    (uint8 array, Path)
        Its values, and the file.

    Raises
    ------
    DataError
        If it is absent, truncated or damaged, or holds other dimensions.
    """
    path = find_idx(folder, name)
    if path is None:
        raise DataError(f"{folder / name}: no such file (nor with .gz); expected the four MNIST files in {folder}")
    try:
        room = path.stat().st_size
        if path.suffix != ".gz":
            with path.open("rb") as plain:
                return _values(plain, path, magic, check, room), path
        with gzip.open(path) as unpacked:
            return _values(unpacked, path, magic, check, _DENSEST * room), path
    except (OSError, EOFError, zlib.error) as error:
        reason = one_line(error)
        raise DataError(f"{path}: truncated or damaged, cannot be read: {reason}; fetch the file again") from None


def _values(
    file: BinaryIO | gzip.GzipFile, path: Path, magic: int, check: Callable[[tuple[int, ...], str], None], room: int
) -> NDArray[np.uint8]:
    dimensions = magic & 0xFF
    length = 4 + 4 * dimensions
    header = file.read(length)
    if len(header) < length:
        raise DataError(f"{path}: expected an IDX header of {length} bytes, but there are {len(header)}")
    found = int.from_bytes(header[:4], "big")
    if found != magic:
        raise DataError(
            f"{path}: expected the IDX magic number 0x{magic:08x} (uint8, {dimensions} dimensions), not 0x{found:08x}; "
            "images and labels may be swapped"
        )
    shape = tuple(int.from_bytes(header[4 + 4 * k : 8 + 4 * k], "big") for k in range(dimensions))
    size, sizes = math.prod(shape), " x ".join(map(str, shape))
    if size == 0:
        raise DataError(f"{path}: the header announces an empty set, {sizes}")
    damaged = f"{path}: expected {size:,} bytes of data ({sizes}), but there are"
    if size > room:
        raise DataError(f"{damaged} fewer; the file is truncated or damaged")
    check(shape, str(path))
    content, filled = memoryview(bytearray(size)), 0
    while filled < size and (piece := file.read(min(1 << 20, size - filled))):
        content[filled : filled + len(piece)] = piece
        filled += len(piece)
    if filled < size:
        raise DataError(f"{damaged} {filled:,}; the file is truncated or damaged")
    if file.read(1):
        raise DataError(f"{damaged} more; the file is damaged, or its header is")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)
