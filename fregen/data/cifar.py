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

import io
import math
import pickle
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

__all__ = ["IMAGE_SHAPE", "find_cifar10", "read_cifar10"]

IMAGE_SHAPE = (3, 32, 32)
"""Colours (red, green, blue), rows, columns of an image."""

_PIXELS = math.prod(IMAGE_SHAPE)
_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = ("test_batch",)
_FOLDERS = {"cifar-10-batches-bin": ".bin", "cifar-10-batches-py": ""}
"""What the names of the batches end in, by unpacked folder."""
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
        with tarfile.open(path, "r:gz") as archive:
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
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DataError(f"{path}: truncated or damaged, cannot be read: {error}; fetch the archive again") from None


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
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
        batch = _Plain(io.BytesIO(content), encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    except Exception as error:  # a damaged pickle can end in nearly any exception
        raise DataError(f"{where}: truncated or damaged, cannot be read: {error}") from None
    if not isinstance(batch, dict):
        raise DataError(f"{where}: expected a dictionary with 'data' and 'labels', not {type(batch).__name__}")
    found = {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in batch.items()}
    if "data" not in found or "labels" not in found:
        raise DataError(f"{where}: expected 'data' and 'labels'; there are: {', '.join(sorted(map(str, found)))}")
    pixels = found["data"]
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != _PIXELS:
        raise DataError(f"{where}: 'data': expected samples x {_PIXELS} uint8 values")
    labels = found["labels"]
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{where}: 'labels': expected a list of integers")
    return _checked(pixels, np.array(labels, dtype=np.int64), where)


def _checked(pixels: Images, labels: NDArray[Any], where: str) -> Part:
    if len(pixels) != len(labels) or not len(labels):
        raise DataError(f"{where}: expected a label for each image, at least one; {len(pixels)} and {len(labels)}")
    if labels.min() < 0 or labels.max() > 9:
        raise DataError(f"{where}: expected labels 0 to 9, not {labels.min()} to {labels.max()}")
    return pixels.reshape(-1, *IMAGE_SHAPE), labels.astype(np.int64)


class _Plain(pickle.Unpickler):
    """Understands numpy arrays and plain values, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the four names that a pickled array needs."""
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _reconstruct
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):
            return _encode
        raise DataError(f"the pickle asks for {module}.{name}, which no batch of CIFAR-10 has; it was not executed")


def _reconstruct(kind: type, shape: tuple[int, ...], code: bytes) -> NDArray[Any]:
    """Return the empty array that a pickled one fills."""
    return np.ndarray((0,), dtype=np.uint8)


def _encode(text: str, encoding: str) -> bytes:
    """Return bytes that newer pickles of protocol 2 spell as text."""
    return text.encode("latin-1")
