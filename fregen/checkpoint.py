"""Checkpoints: weight words, dither key and history of a training, bound to their design.

One ``.npz`` file without pickle.  ``header`` is a JSON text (design, hash of its numerics, epochs done, dither key,
history, hash of everything); ``matrix_0``, ``matrix_1``, ... are the weight words as int32, shape (target, source).
The file appears whole or not at all: it is written beside its place, synced and then renamed.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .archive import read_arrays
from .design import Design
from .errors import DataError, DesignError
from .graph import Graph

__all__ = ["Checkpoint", "load", "save"]

_KIND = "fregen checkpoint"
_VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """State of a training after a number of epochs.

    Parameters
    ----------
    design : Design
        The design that was trained.
    weights : list of int64 arrays
        Words by matrix index, shape (target, source).
    epoch : int
        Epochs done.
    key : int
        Dither key of the next update.
    history : list of dict
        One record an epoch, plain numbers.
    """

    design: Design
    weights: list[NDArray[np.int64]]
    epoch: int
    key: int
    history: list[dict[str, float]]


def save(
    path: str | Path,
    design: Design,
    weights: Sequence[NDArray[Any]],
    epoch: int,
    key: int,
    history: Sequence[Mapping[str, float]],
) -> None:
    """Write a checkpoint, replacing an older one in one step.

    Parameters
    ----------
    path : str or Path
        File to write.
    design : Design
        The design that is trained.
    weights : sequence of integer arrays
        Words by matrix index, shape (target, source).
    epoch : int
        Epochs done.
    key : int
        Dither key of the next update.
    history : sequence of mappings
        One record an epoch, plain numbers.

    Raises
    ------
    DataError
        If number, shape, type or range of the words do not fit the design, or the file cannot be written.
    """
    path = Path(path)
    words = _checked(path, design, list(weights))
    header: dict[str, Any] = {
        "kind": _KIND,
        "version": _VERSION,
        "design": design.table(),
        "numerics": design.numerics_hash(),
        "epoch": epoch,
        "key": key,
        "history": [dict(record) for record in history],
    }
    header["content"] = _content_hash(header, words)
    arrays = {f"matrix_{index}": array.astype(np.int32) for index, array in enumerate(words)}
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as file:
                np.savez(file, allow_pickle=False, header=np.array(json.dumps(header)), **arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise DataError(f"{path}: the checkpoint cannot be written: {error}") from None


def load(path: str | Path, design: Design | None = None) -> Checkpoint:
    """Read a checkpoint and check everything in it.

    Parameters
    ----------
    path : str or Path
        File to read.
    design : Design, optional
        The design that the words shall serve: network and numerics must be those of the checkpoint.

    Raises
    ------
    DataError
        If the file is absent, truncated, damaged, of another kind, version or design, or holds pickled objects.
    """
    path = Path(path)
    arrays = read_arrays(path, ("header",), "a checkpoint")
    header = _header(path, arrays.pop("header"))
    try:
        stored = Design.parse(header["design"], where=str(path))
    except DesignError as error:
        raise DataError(f"{path}: the design inside the checkpoint is not valid here: {error}") from None
    if stored.numerics_hash() != header["numerics"]:
        raise DataError(
            f"{path}: the design inside has the numerics hash {stored.numerics_hash()}, not {header['numerics']} as "
            "recorded: it was changed, or written by a version in which words meant something else; train anew"
        )
    if design is not None and design.numerics_hash() != stored.numerics_hash():
        raise DataError(
            f"{path}: the checkpoint belongs to another design (it has {', '.join(_differences(stored, design))}); "
            "use its own design file, or train anew"
        )
    expected = [f"matrix_{index}" for index in range(len(Graph.build(stored.network).matrices))]
    if sorted(arrays) != sorted(expected):
        raise DataError(f"{path}: expected the arrays {', '.join(expected)}, not {', '.join(sorted(arrays)) or 'none'}")
    words = _checked(path, stored, [arrays[name] for name in expected])
    if _content_hash(header, words) != header["content"]:
        raise DataError(f"{path}: the content does not match its hash: the file was damaged or changed")
    return Checkpoint(stored, words, header["epoch"], header["key"], header["history"])


def _header(path: Path, array: NDArray[Any]) -> dict[str, Any]:
    try:
        header = json.loads(str(array[()]))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("kind") != _KIND:
        raise DataError(f"{path}: expected a fregen checkpoint; its header says otherwise")
    if header.get("version") != _VERSION:
        raise DataError(f"{path}: expected checkpoint version {_VERSION}, not {header.get('version')!r}")
    types = {"design": dict, "numerics": str, "epoch": int, "key": int, "history": list, "content": str}
    for key, kind in types.items():
        if not isinstance(header.get(key), kind):
            raise DataError(f"{path}: header: expected {key} of type {kind.__name__}, not {header.get(key)!r}")
    return header


def _checked(path: Path, design: Design, words: list[NDArray[Any]]) -> list[NDArray[np.int64]]:
    graph, q = Graph.build(design.network), design.numerics.weight
    if len(words) != len(graph.matrices):
        raise DataError(f"{path}: the design has {len(graph.matrices)} weight matrices, not {len(words)}")
    checked = []
    for matrix, given in zip(graph.matrices, words, strict=True):
        array, shape = np.asarray(given), graph.shape(matrix)
        if array.shape != shape:
            raise DataError(f"{path}: {matrix.name}: expected {shape[0]} x {shape[1]} words, not shape {array.shape}")
        if not np.issubdtype(array.dtype, np.integer):
            raise DataError(f"{path}: {matrix.name}: expected integer words, not {array.dtype}")
        if array.min() < q.min_word or array.max() > q.max_word:
            raise DataError(
                f"{path}: {matrix.name}: words {array.min()} to {array.max()} lie outside {q} "
                f"({q.min_word} to {q.max_word})"
            )
        checked.append(array.astype(np.int64))
    return checked


def _content_hash(header: Mapping[str, Any], words: Sequence[NDArray[np.int64]]) -> str:
    """SHA-256 of the header (without this hash) and of all words."""
    text = json.dumps({key: value for key, value in header.items() if key != "content"}, sort_keys=True)
    digest = hashlib.sha256(text.encode())
    for array in words:
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
    return digest.hexdigest()


def _differences(stored: Design, wanted: Design) -> list[str]:
    """Name every key of network and numerics that differs: ``numerics.weight = q3.13, not q3.9``."""
    lines = []
    for section in ("network", "numerics"):
        ours, theirs = stored.table()[section], wanted.table()[section]
        lines += [f"{section}.{k} = {ours.get(k)}, not {theirs.get(k)}" for k in theirs if ours.get(k) != theirs.get(k)]
    return lines


def _sync_folder(folder: Path) -> None:
    """Make the new name durable where the system can (not on Windows)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
