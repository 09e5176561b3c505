"""Read CIFAR-10 as it is published: the binary or the Python archive, packed (``.tar.gz``) or unpacked.

==========================  =========================================================================
file or folder sought       what it holds
==========================  =========================================================================
``cifar-10-batches-bin``    ``data_batch_1.bin`` ... ``_5.bin``, ``test_batch.bin``: records of a label
                            byte and 3,072 pixel bytes
``cifar-10-batches-py``     ``data_batch_1`` ... ``_5``, ``test_batch``: pickled dictionaries with
                            ``data`` (n, 3072) uint8 and ``labels``
``cifar-10-binary.tar.gz``  the first folder, packed
``cifar-10-python.tar.gz``  the second folder, packed
==========================  =========================================================================

Nothing is written, and nothing in a pickle is executed: only the arrays and plain values of the published files are
understood.  Any number of samples a batch is taken, so that a test can make a small archive.
"""

import gzip
import io
import math
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, listed, one_line, quoted
from ..files import read_at_most, size_text
from .plain_pickle import ByteArray, loads

__all__ = ["IMAGE_SHAPE", "find_cifar10", "read_cifar10"]

IMAGE_SHAPE = (3, 32, 32)
"""Colours (red, green, blue), rows, columns of an image."""

_PIXELS = math.prod(IMAGE_SHAPE)
_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = ("test_batch",)
_FOLDERS = {"cifar-10-batches-bin": ".bin", "cifar-10-batches-py": ""}
"""What the names of the batches end in, by unpacked folder."""
_LONGEST = 1 << 30
"""Bytes of a batch, and of an archive unpacked; the published one has 186 million."""
_ARCHIVES = ("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz")

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Part = tuple[Images, Labels]
_Read = Callable[[str], bytes]


def find_cifar10(candidates: list[Path]) -> Path | None:
    """Return the first place that holds CIFAR-10.

    Parameters
    ----------
    candidates : list of Path
        Folders that hold, or are, an unpacked archive, or hold a packed one; or a packed archive itself.
    """
    for path in candidates:
        if path.name in _FOLDERS and path.is_dir():
            return path
        if path.name.endswith(".tar.gz") and path.is_file():
            return path
        for name in _FOLDERS:
            if (path / name).is_dir():
                return path / name
        for name in _ARCHIVES:
            if (path / name).is_file():
                return path / name
    return None


def read_cifar10(path: Path) -> tuple[Part, Part]:
    """Read training and test samples.

    Parameters
    ----------
    path : Path
        What :func:`find_cifar10` found.

    Returns
    -------
    pair of ((n, 3, 32, 32) uint8 array, (n,) int64 array)
        Images and labels 0 to 9, training first, in the order of the files.

    Raises
    ------
    DataError
        If a batch is absent, truncated or damaged, or holds a label above 9.
    """
    if path.is_dir():
        return _both(path, path.name, lambda name: _file(path / name))
    try:
        with gzip.open(path) as unpacked, tarfile.open(fileobj=_Bounded(unpacked, path), mode="r:") as archive:
            members = {member.name.removeprefix("./"): member for member in archive.getmembers() if member.isfile()}
            folder = next((name for name in _FOLDERS if any(m.startswith(f"{name}/") for m in members)), None)
            if folder is None:
                raise DataError(f"{path}: expected an archive of {' or '.join(_FOLDERS)}; take the published file")

            def read(name: str) -> bytes:
                member = members.get(f"{folder}/{name}")
                content = None if member is None else archive.extractfile(member)
                if content is None:
                    raise DataError(f"{path}: there is no {folder}/{name} inside; fetch the archive again")
                return content.read()

            return _both(path, folder, read)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # what a damaged header of an archive ends in is listed nowhere
        reason = one_line(error)
        raise DataError(f"{path}: truncated or damaged, cannot be read: {reason}; fetch the archive again") from None


class _Bounded(io.RawIOBase):
    """An unpacked archive that ends in an error where it is longer than any CIFAR-10.

    Parameters
    ----------
    file : GzipFile
        The archive.
    path : Path
        Its file, for messages.
    """

    def __init__(self, file: gzip.GzipFile, path: Path) -> None:
        self._file, self._path = file, path

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position, bytes."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a position; see :meth:`read`."""
        self._check(offset)
        return self._file.seek(offset, whence)

    def read(self, size: int = -1, /) -> bytes:
        """Read bytes; raise DataError beyond 1 GiB."""
        self._check(self._file.tell() + size)
        return self._file.read(size)

    def _check(self, end: int) -> None:
        if end > _LONGEST:
            raise DataError(f"{self._path}: expected CIFAR-10, at most {size_text(_LONGEST)} unpacked; this is longer")


def _file(path: Path) -> bytes:
    try:
        return read_at_most(path, _LONGEST, DataError, "a batch of CIFAR-10")
    except OSError as error:
        raise DataError(f"{path}: expected a batch of CIFAR-10: {error.strerror}; fetch the archive again") from None


def _both(where: Path, folder: str, read: _Read) -> tuple[Part, Part]:
    ending = _FOLDERS[folder]
    parse = _binary if ending else _pickled
    train = [parse(read(name + ending), f"{where}: {name}{ending}") for name in _TRAIN]
    test = [parse(read(name + ending), f"{where}: {name}{ending}") for name in _TEST]
    return _joined(train), _joined(test)


def _joined(parts: list[Part]) -> Part:
    return np.concatenate([images for images, _ in parts]), np.concatenate([labels for _, labels in parts])


def _binary(content: bytes, where: str) -> Part:
    record = 1 + _PIXELS
    if not content or len(content) % record:
        raise DataError(f"{where}: expected records of {record} bytes, not {len(content)} bytes in all; truncated?")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, record)
    return _checked(records[:, 1:], records[:, 0], where)


def _pickled(content: bytes, where: str) -> Part:
    try:
        batch = loads(content)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    except Exception as error:  # a damaged pickle can end in nearly any exception
        raise DataError(f"{where}: truncated or damaged, cannot be read: {one_line(error)}") from None
    if not isinstance(batch, dict):
        raise DataError(f"{where}: expected a dictionary with 'data' and 'labels', not {type(batch).__name__}")
    found = {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in batch.items()}
    if "data" not in found or "labels" not in found:
        raise DataError(f"{where}: expected 'data' and 'labels'; there are: {listed(found)}")
    pixels = found["data"].values if isinstance(found["data"], ByteArray) else None
    if pixels is None or pixels.ndim != 2 or pixels.shape[1] != _PIXELS:
        raise DataError(f"{where}: 'data': expected samples x {_PIXELS} uint8 values")
    labels = found["labels"]
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{where}: 'labels': expected a list of integers")
    if labels and not 0 <= min(labels) <= max(labels) <= 9:
        raise DataError(f"{where}: expected labels 0 to 9, not {quoted(min(labels))} to {quoted(max(labels))}")
    return _checked(pixels, np.array(labels, dtype=np.int64), where)


def _checked(pixels: Images, labels: NDArray[Any], where: str) -> Part:
    if len(pixels) != len(labels) or not len(labels):
        raise DataError(f"{where}: expected a label for each image, at least one; {len(pixels)} and {len(labels)}")
    if labels.min() < 0 or labels.max() > 9:
        raise DataError(f"{where}: expected labels 0 to 9, not {labels.min()} to {labels.max()}")
    return pixels.reshape(-1, *IMAGE_SHAPE), labels.astype(np.int64)
