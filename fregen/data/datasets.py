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

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design.document import Design
from ..errors import DataError
from .archive import open_archive
from .cifar import find_cifar10, read_cifar10
from .idx import IMAGES, LABELS, find_idx, read_idx

__all__ = ["DATA_VARIABLE", "DIGITS_TEST", "Dataset", "load"]

DATA_VARIABLE = "FREGEN_DATA"
"""Environment variable that names the folder of IDX files, or its parent."""
DIGITS_TEST = 360
"""Test samples of the digits set; 1,437 are left for training."""

_MOST_VALUES = 1 << 30
"""Values of the training or of the test samples; CIFAR-10 has 154 million."""
_ROUNDING = 1e-3
"""Values this near to [0, 1] were scaled already."""
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
    try:
        name, train, test = _read(design)
    except OSError as error:  # a folder that may not be read, a path that is too long
        raise DataError(f"{error.filename or design.data.path}: cannot be read: {error.strerror}") from None
    data = design.data
    _check_shape(design, train.inputs.shape, train.where)
    image_shape = tuple(int(size) for size in train.inputs.shape[1:])
    ranges = [_label_range(train), _label_range(test)]
    classes = 1 + max(high for _, high in ranges)
    _check_network(design, train, min(low for low, _ in ranges), classes)
    train_inputs, train_labels = _limited(train, data.train, "data.train")
    test_inputs, test_labels = _limited(test, data.test, "data.test")
    return Dataset(name, train_inputs, train_labels, test_inputs, test_labels, classes, image_shape)


def _read(design: Design) -> tuple[str, _Part, _Part]:
    """Return the name of the set, and its training and test samples as they are."""
    data = design.data
    if data.set == "digits":
        if data.path is not None:
            raise DataError(f"data.path: the set 'digits' comes with scikit-learn; remove the path {data.path!r}")
        return "digits", *_digits(data.split)
    if data.set == "idx":
        folder = _idx_folder(data.path)
        train = _idx_part(design, folder, "train")
        return folder.name, train, _idx_part(design, folder, "t10k", train)
    if data.set == "cifar10":
        return "cifar10", *_cifar10(data.path)
    if data.path is None:
        raise DataError("data.path: the set 'npz' needs the path of a .npz file")
    path = Path(data.path)
    return path.stem, *_npz(design, path)


def _check_network(design: Design, train: _Part, low: int, classes: int) -> None:
    layers, image_shape = design.network.sizes, train.inputs.shape[1:]
    image = design.network.maps().get(0)
    given = (1, *image_shape) if len(image_shape) == 2 else image_shape
    if image is not None and image != given:
        expected = ", ".join(f"{key} = {value}" for key, value in zip(_IMAGE, given, strict=False))
        raise DataError(
            f"{train.where}: a sample has the shape {given}, but network.layers begins with {image}; make it "
            f"{{ {expected} }}"
        )
    if classes > layers[-1]:
        if low > 0 and classes - low <= layers[-1]:
            raise DataError(
                f"{train.where}: labels go from {low} to {classes - 1}, but are counted from 0, and network.layers "
                f"ends with {layers[-1]}; subtract {low} from them"
            )
        raise DataError(
            f"{train.where}: there are {classes} classes, but network.layers ends with {layers[-1]}; "
            f"make it {classes} or more"
        )


def _check_shape(design: Design, shape: tuple[int, ...], where: str, train: _Part | None = None) -> None:
    """Make sure that samples of an announced shape, the first size their number, can be used; nothing is read yet."""
    if train is not None and shape[1:] != train.inputs.shape[1:]:
        raise DataError(
            f"{where}: expected samples of shape {train.inputs.shape[1:]} as in {train.where}, not {shape[1:]}"
        )
    size, wanted = math.prod(shape[1:]), design.network.sizes[0]
    if size == 0:
        raise DataError(f"{where}: a sample of shape {shape[1:]} holds no values")
    if size != wanted:
        raise DataError(f"{where}: a sample has {size} values, but network.layers begins with {wanted}; make it {size}")
    _check_count(shape, where)


def _check_count(shape: tuple[int, ...], where: str) -> None:
    if math.prod(shape) > _MOST_VALUES:
        sizes = " x ".join(map(str, shape))
        raise DataError(f"{where}: expected at most {_MOST_VALUES:,} values, not {sizes}; take fewer samples")


def _check_labels(shape: tuple[int, ...], kind: np.dtype[Any], samples: int, where: str) -> None:
    if shape != (samples,):
        raise DataError(f"{where}: expected one label for each of {samples} samples, not shape {shape}")
    if not samples:
        raise DataError(f"{where}: holds no samples")
    if kind.kind not in "iu":
        raise DataError(f"{where}: expected integer labels, not {kind}")


def _label_range(part: _Part) -> tuple[int, int]:
    """Check labels; return the lowest and the highest."""
    _check_labels(part.labels.shape, part.labels.dtype, len(part.inputs), part.where)
    low, high = int(part.labels.min()), int(part.labels.max())
    if low < 0:
        raise DataError(f"{part.where}: expected labels from 0 up, not {low}")
    return low, high


def _limited(part: _Part, limit: int | None, key: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Take the first samples and bring them to one type; uint8 pixels become x / 255."""
    count = len(part.inputs) if limit is None else limit
    if count > len(part.inputs):
        raise DataError(f"{part.where}: {key} asks for {count} samples, but there are {len(part.inputs)}")
    raw = part.inputs[:count].reshape(count, -1)
    if raw.dtype == np.uint8:
        inputs = raw.astype(np.float32) / np.float32(255)
    elif np.issubdtype(raw.dtype, np.floating):
        _check_values(raw, part.where)
        inputs = raw.astype(np.float32)
    else:
        raise DataError(f"{part.where}: expected uint8 or floating-point samples, not {raw.dtype}")
    return np.ascontiguousarray(inputs), part.labels[:count].astype(np.int64)


def _check_values(raw: NDArray[Any], where: str) -> None:
    """Make sure that real values lie in [0, 1], and say what to do if they do not."""
    low, high = raw.min(), raw.max()  # not a number if any value is not
    if not (np.isfinite(low) and np.isfinite(high)):
        sample = int(np.argmin(np.isfinite(raw).all(axis=1)))
        raise DataError(f"{where}: expected values from 0 to 1, but sample {sample} holds one that is not finite")
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise DataError(f"{where}: expected values from 0 to 1, not {low:g} to {high:g}; scale them")
    if low < 0 or high > 1:
        raise DataError(
            f"{where}: expected values from 0 to 1, not {float(low)!r} to {float(high)!r}: rounded; clip them"
        )


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
        if find_idx(folder, "train-images-idx3-ubyte") is not None:
            return folder
    sought = " or ".join(str(folder) for folder in candidates)
    raise DataError(
        f"{sought} ({origin}): expected the file train-images-idx3-ubyte or train-images-idx3-ubyte.gz there; "
        "it is absent: point the path at the folder of the four MNIST files"
    )


def _idx_part(design: Design, folder: Path, prefix: str, train: _Part | None = None) -> _Part:
    def fits(shape: tuple[int, ...], where: str) -> None:
        _check_shape(design, shape, where, train)

    images, where = read_idx(folder, f"{prefix}-images-idx3-ubyte", IMAGES, fits)
    labels, labels_where = read_idx(folder, f"{prefix}-labels-idx1-ubyte", LABELS, _check_count)
    if len(images) != len(labels):
        raise DataError(
            f"{labels_where}: expected {len(images)} labels, one for each image of {where}, not {len(labels)}; "
            "take both files from the same set"
        )
    return _Part(images, labels, str(where))


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


def _npz(design: Design, path: Path) -> tuple[_Part, _Part]:
    parts: list[_Part] = []
    with open_archive(path, ("x_train", "y_train", "x_test", "y_test"), "a data set") as archive:
        for which in ("train", "test"):
            asked = f"{path}: x_{which}"
            given, labels = archive.header(f"x_{which}"), archive.header(f"y_{which}")
            if len(given.shape) < 2:
                raise DataError(f"{asked}: expected samples x values (2 or more dimensions), not {given.shape}")
            where = f"{asked}, y_{which}"
            _check_labels(labels.shape, labels.dtype, given.shape[0], where)
            _check_shape(design, given.shape, asked, parts[0] if parts else None)
            inputs = archive.read(f"x_{which}", given.size)
            parts.append(_Part(inputs, archive.read(f"y_{which}", labels.size), where))
    return parts[0], parts[1]
