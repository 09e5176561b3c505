"""Data sets: images in [0, 1] with labels, checked before anything computes with them.

=========  ===========================================================================================================
``set``    where it comes from
=========  ===========================================================================================================
digits     UCI digits in scikit-learn, 8 x 8: the last 360 of a permutation (seed ``data.split``) test, 1,437 train
idx        folder with the four MNIST files, plain or ``.gz``: ``data.path``, or else ``FREGEN_DATA`` (the folder or its
           parent holding ``mnist/``)
cifar10    CIFAR-10 as published, binary or Python, packed or not (:mod:`fregen.data.cifar`): ``data.path``, or else
           ``FREGEN_DATA`` (the folder or its parent holding ``cifar10/``)
npz        one ``.npz`` file, ``data.path``: ``x_train``, ``y_train``, ``x_test``, ``y_test``
=========  ===========================================================================================================

Files are only ever read.
"""

import gzip
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design.document import Design
from ..errors import DataError
from .archive import read_arrays
from .cifar import find_cifar10, read_cifar10

__all__ = ["DATA_VARIABLE", "DIGITS_TEST", "Dataset", "load"]

DATA_VARIABLE = "FREGEN_DATA"
"""Environment variable that names the folder of IDX files, or its parent."""
DIGITS_TEST = 360
"""Test samples of the digits set; 1,437 are left for training."""

_IMAGES, _LABELS = 0x803, 0x801
_IMAGE = ("channels", "height", "width")


@dataclass(frozen=True)
class Dataset:
    """Training and test samples.

    Parameters
    ----------
    name : str
        What it is, for messages and reports.
    train_inputs : (n, inputs) float32 array
        Pixels in [0, 1], row by row.
    train_labels : (n,) int64 array
        Classes, from 0.
    test_inputs : (m, inputs) float32 array
        As the training samples.
    test_labels : (m,) int64 array
        As the training samples.
    classes : int
        Number of classes.
    image_shape : tuple of int
        Shape of one sample before it became a row.
    """

    name: str
    train_inputs: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_inputs: NDArray[np.float32]
    test_labels: NDArray[np.int64]
    classes: int
    image_shape: tuple[int, ...]


@dataclass(frozen=True)
class _Part:
    """Training or test samples as they were read: inputs of any shape, uint8 or float."""

    inputs: NDArray[Any]
    labels: NDArray[Any]
    where: str


def load(design: Design) -> Dataset:
    """Load the data set of a design and check that it fits the network.

    Raises
    ------
    DataError
        If files are absent, truncated or damaged, if shapes, types or ranges are wrong, if there are fewer samples than
        the design asks for, or if the network has too few inputs or outputs.
    """
    data = design.data
    if data.set == "digits":
        if data.path is not None:
            raise DataError(f"data.path: the set 'digits' comes with scikit-learn; remove the path {data.path!r}")
        name, train, test = "digits", *_digits(design.data.split)
    elif data.set == "idx":
        folder = _idx_folder(data.path)
        name, train, test = folder.name, _idx_part(folder, "train"), _idx_part(folder, "t10k")
    elif data.set == "cifar10":
        name, train, test = "cifar10", *_cifar10(data.path)
    else:
        if data.path is None:
            raise DataError("data.path: the set 'npz' needs the path of a .npz file")
        path = Path(data.path)
        name, train, test = path.stem, *_npz(path)
    if train.inputs.shape[1:] != test.inputs.shape[1:]:
        raise DataError(
            f"{test.where}: expected samples of shape {train.inputs.shape[1:]} as in {train.where}, "
            f"not {test.inputs.shape[1:]}"
        )
    image_shape = tuple(int(size) for size in train.inputs.shape[1:])
    classes = 1 + max(_top_label(train), _top_label(test))
    _check_network(design, train, image_shape, classes)
    train_inputs, train_labels = _limited(train, data.train, "data.train")
    test_inputs, test_labels = _limited(test, data.test, "data.test")
    return Dataset(name, train_inputs, train_labels, test_inputs, test_labels, classes, image_shape)


def _check_network(design: Design, train: _Part, image_shape: tuple[int, ...], classes: int) -> None:
    layers, size = design.network.sizes, int(np.prod(image_shape))
    if size != layers[0]:
        raise DataError(
            f"{train.where}: a sample has {size} values, but network.layers begins with {layers[0]}; make it {size}"
        )
    image = design.network.maps().get(0)
    given = (1, *image_shape) if len(image_shape) == 2 else image_shape
    if image is not None and image != given:
        expected = ", ".join(f"{key} = {value}" for key, value in zip(_IMAGE, given, strict=False))
        raise DataError(
            f"{train.where}: a sample has the shape {given}, but network.layers begins with {image}; make it "
            f"{{ {expected} }}"
        )
    if classes > layers[-1]:
        raise DataError(
            f"{train.where}: there are {classes} classes, but network.layers ends with {layers[-1]}; "
            f"make it {classes} or more"
        )


def _top_label(part: _Part) -> int:
    """Check labels; return the highest."""
    labels, where = part.labels, part.where
    if labels.ndim != 1 or len(labels) != len(part.inputs):
        raise DataError(f"{where}: expected one label for each of {len(part.inputs)} samples, not shape {labels.shape}")
    if not len(labels):
        raise DataError(f"{where}: holds no samples")
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"{where}: expected integer labels, not {labels.dtype}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0:
        raise DataError(f"{where}: expected labels from 0 up, not {low}")
    return high


def _limited(part: _Part, limit: int | None, key: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Take the first samples and bring them to one type; uint8 pixels become x / 255."""
    count = len(part.inputs) if limit is None else limit
    if count > len(part.inputs):
        raise DataError(f"{part.where}: {key} asks for {count} samples, but there are {len(part.inputs)}")
    raw = part.inputs[:count].reshape(count, -1)
    if raw.dtype == np.uint8:
        inputs = raw.astype(np.float32) / np.float32(255)
    elif np.issubdtype(raw.dtype, np.floating):
        if not np.isfinite(raw).all() or raw.min() < 0 or raw.max() > 1:
            raise DataError(f"{part.where}: expected values from 0 to 1, not {raw.min()} to {raw.max()}; scale them")
        inputs = raw.astype(np.float32)
    else:
        raise DataError(f"{part.where}: expected uint8 or floating-point samples, not {raw.dtype}")
    return np.ascontiguousarray(inputs), part.labels[:count].astype(np.int64)


# Sets ---------------------------------------------------------------------------------------------------------------


def _digits(split: int) -> tuple[_Part, _Part]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    inputs, labels = bunch.images / 16, bunch.target
    order = np.random.default_rng(split).permutation(len(labels))
    train, test = order[:-DIGITS_TEST], order[-DIGITS_TEST:]
    return (
        _Part(inputs[train], labels[train], "digits, training samples"),
        _Part(inputs[test], labels[test], "digits, test samples"),
    )


def _places(path: str | None, name: str, below: str, needs: str) -> tuple[list[Path], str]:
    """Return where the files of a set may lie, and what names the place: ``data.path`` or the environment variable."""
    if path is not None:
        return [Path(path)], "data.path"
    variable = os.environ.get(DATA_VARIABLE)
    if not variable:
        raise DataError(
            f"the set {name!r} needs {needs}, or set {DATA_VARIABLE} to the folder or to its parent holding {below}/"
        )
    return [Path(variable), Path(variable) / below], DATA_VARIABLE


def _idx_folder(path: str | None) -> Path:
    """Find the folder that holds the first of the four files."""
    candidates, origin = _places(path, "idx", "mnist", "a folder with the four MNIST files: give data.path")
    for folder in candidates:
        if _idx_file(folder, "train-images-idx3-ubyte") is not None:
            return folder
    sought = " or ".join(str(folder) for folder in candidates)
    raise DataError(
        f"{sought} ({origin}): expected the file train-images-idx3-ubyte or train-images-idx3-ubyte.gz there; "
        "it is absent: point the path at the folder of the four MNIST files"
    )


def _idx_file(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _idx_part(folder: Path, prefix: str) -> _Part:
    images, where = _read_idx(folder, f"{prefix}-images-idx3-ubyte", _IMAGES)
    labels, labels_where = _read_idx(folder, f"{prefix}-labels-idx1-ubyte", _LABELS)
    if len(images) != len(labels):
        raise DataError(
            f"{labels_where}: expected {len(images)} labels, one for each image of {where}, not {len(labels)}; "
            "take both files from the same set"
        )
    return _Part(images, labels, str(where))


def _read_idx(folder: Path, name: str, magic: int) -> tuple[NDArray[np.uint8], Path]:
    path = _idx_file(folder, name)
    if path is None:
        raise DataError(f"{folder / name}: no such file (nor with .gz); expected the four MNIST files in {folder}")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: truncated or damaged, cannot be read: {error}; fetch the file again") from None
    dimensions = magic & 0xFF
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise DataError(f"{path}: expected an IDX header of {header} bytes, but there are {len(content)}")
    found = int.from_bytes(content[:4], "big")
    if found != magic:
        raise DataError(
            f"{path}: expected the IDX magic number 0x{magic:08x} (uint8, {dimensions} dimensions), not 0x{found:08x}; "
            "images and labels may be swapped"
        )
    shape = tuple(int.from_bytes(content[4 + 4 * k : 8 + 4 * k], "big") for k in range(dimensions))
    size = 1
    for length in shape:
        size *= length
    if size == 0:
        raise DataError(f"{path}: the header announces an empty set, {' x '.join(map(str, shape))}")
    if len(content) - header != size:
        raise DataError(
            f"{path}: expected {size} bytes of data ({' x '.join(map(str, shape))}), but there are "
            f"{len(content) - header}; the file is truncated or damaged"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape), path


def _cifar10(given: str | None) -> tuple[_Part, _Part]:
    needs = "the published archive: give data.path (the file, or the folder that holds it)"
    candidates, origin = _places(given, "cifar10", "cifar10", needs)
    path = find_cifar10(candidates)
    if path is None:
        raise DataError(
            f"{' or '.join(map(str, candidates))} ({origin}): expected cifar-10-binary.tar.gz or "
            "cifar-10-python.tar.gz there, or the folder that one unpacks to; it is absent"
        )
    train, test = read_cifar10(path)
    return _Part(*train, f"{path}, training samples"), _Part(*test, f"{path}, test samples")


def _npz(path: Path) -> tuple[_Part, _Part]:
    arrays = read_arrays(path, ("x_train", "y_train", "x_test", "y_test"), "a data set")
    parts = []
    for which in ("train", "test"):
        inputs, labels = arrays[f"x_{which}"], arrays[f"y_{which}"]
        if inputs.ndim < 2:
            raise DataError(f"{path}: x_{which}: expected samples x values (2 or more dimensions), not {inputs.shape}")
        parts.append(_Part(inputs, labels, f"{path}: x_{which}, y_{which}"))
    return parts[0], parts[1]
