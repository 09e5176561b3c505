"""Checkpoints: weights, history and all else that a training goes on from, bound to its design.

One ``.npz`` file without pickle.  ``header`` is a JSON text (design, hash of its numerics, what learns and how, epochs
done, dither key, history, hash of everything); ``matrix_0``, ``matrix_1``, ... are the weights, shape (target, source):
words as int32, or the values of a real-valued model, float32 or float64, beside which stand ``memory.NAME``, what its
optimiser and noise remember.  The file appears whole or not at all: it is written beside its place, synced and renamed.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.archive import Archive, open_archive
from ..design.document import Design
from ..design.graph import Graph
from ..design.weights import checked_values, checked_words
from ..errors import DataError, DesignError, GraphError, key_text, listed, quoted
from ..files import replacing

__all__ = ["Checkpoint", "load", "save"]

_KIND = "fregen checkpoint"
_VERSION = 2
_MEMORY = "memory."
_MOST_HEADER, _LITTLE = 1 << 25, 1 << 16
"""Bytes of a header (10,000 epochs have a third); of what is remembered beside two values a weight."""
_NO_FAMILIES = ("generic", "ice40", "gowin")
"""What ``hardware.family`` could be when nothing read it, and no longer can: the checkpoint is of the same design."""


@dataclass(frozen=True)
class Checkpoint:
    """State of a training after a number of epochs.

    Parameters
    ----------
    design : Design
        The design that was trained.
    weights : list of arrays
        By matrix index, shape (target, source): int64 words, or the values of a real-valued model, all of one type.
    epoch : int
        Epochs done.
    key : int
        Dither key of the next update; 0 for real-valued models.
    history : list of dict
        One record an epoch, plain numbers.
    how : dict
        What learned, and its settings: ``{"model": "fixed"}``, or plain values beside.
    memory : dict of str to array
        What a real-valued model goes on from beside its weights (:meth:`fregen.float_model.FloatModel.memory`).
    """

    design: Design
    weights: Sequence[NDArray[Any]]
    epoch: int
    key: int
    history: Sequence[Mapping[str, float]]
    how: Mapping[str, Any] = field(default_factory=lambda: {"model": "fixed"})
    memory: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def save(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, replacing an older one in one step.

    Parameters
    ----------
    path : str or Path
        File to write.
    checkpoint : Checkpoint
        What to write.

    Raises
    ------
    DataError
        If number, shape, type or range of the weights do not fit the design.
    OutputError
        If the file cannot be written; an older one is still there.
    """
    path, design = Path(path), checkpoint.design
    weights = _checked(path, design, checkpoint.how, checkpoint.weights)
    header: dict[str, Any] = {
        "kind": _KIND,
        "version": _VERSION,
        "design": design.table(),
        "numerics": design.numerics_hash(),
        "how": dict(checkpoint.how),
        "epoch": checkpoint.epoch,
        "key": checkpoint.key,
        "history": [dict(record) for record in checkpoint.history],
    }
    arrays = {f"matrix_{index}": array for index, array in enumerate(weights)}
    arrays |= {f"{_MEMORY}{name}": np.asarray(array) for name, array in checkpoint.memory.items()}
    header["content"] = _content_hash(header, arrays)
    if checkpoint.how["model"] == "fixed":
        arrays = {name: array.astype(np.int32) for name, array in arrays.items()}
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, header=np.array(json.dumps(header)), **arrays)


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
    with open_archive(path, ("header",), "a checkpoint") as archive:
        return _read(path, archive, design)


def _read(path: Path, archive: Archive, design: Design | None) -> Checkpoint:
    header = _header(path, archive.read("header", _MOST_HEADER))
    try:
        stored = Design.parse(_current(header["design"]), where=str(path))
    except DesignError as error:
        raise DataError(f"{path}: the design inside the checkpoint is not valid here: {error}") from None
    if stored.numerics_hash() != header["numerics"]:
        recorded = key_text(header["numerics"])
        raise DataError(
            f"{path}: the design inside has the numerics hash {stored.numerics_hash()}, not {recorded} as "
            "recorded: it was changed, or written by a version in which words meant something else; train anew"
        )
    if design is not None and design.numerics_hash() != stored.numerics_hash():
        raise DataError(
            f"{path}: the checkpoint belongs to another design (it has {_differences(stored, design)}); "
            "use its own design file, or train anew"
        )
    sizes = _sizes(path, stored)
    found = [name for name in archive.names if name != "header" and not name.startswith(_MEMORY)]
    if sorted(found) != sorted(sizes):
        raise DataError(f"{path}: expected the arrays {listed(sizes)}, not {listed(sorted(found)) or 'none'}")
    expected = [archive.read(name, 8 * size + _LITTLE) for name, size in sizes.items()]
    weights, room = _checked(path, stored, header["how"], expected), 16 * sum(sizes.values()) + _LITTLE
    memory = {}
    for name in archive.names:
        if name.startswith(_MEMORY):
            memory[name] = archive.read(name, room)
            room -= memory[name].nbytes
    if _content_hash(header, dict(zip(sizes, weights, strict=True)) | memory) != header["content"]:
        raise DataError(f"{path}: the content does not match its hash: the file was damaged or changed")
    remembered = {name.removeprefix(_MEMORY): array for name, array in memory.items()}
    return Checkpoint(stored, weights, header["epoch"], header["key"], header["history"], header["how"], remembered)


def _current(table: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what designs no longer have."""
    hardware = table.get("hardware")
    if not isinstance(hardware, dict):
        return dict(table)
    kept = {key: value for key, value in hardware.items() if key != "clock_mhz"}  # nothing ever read it
    if kept.get("family") in _NO_FAMILIES:
        del kept["family"]
    return {**table, "hardware": kept}


def _header(path: Path, array: NDArray[Any]) -> dict[str, Any]:
    try:
        header = json.loads(str(array[()]))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("kind") != _KIND:
        raise DataError(f"{path}: expected a fregen checkpoint; its header says otherwise")
    if header.get("version") != _VERSION:
        raise DataError(
            f"{path}: expected checkpoint version {_VERSION}, not {quoted(header.get('version'))}; train anew"
        )
    types = {"design": dict, "numerics": str, "how": dict, "epoch": int, "key": int, "history": list, "content": str}
    for key, kind in types.items():
        if not isinstance(header.get(key), kind):
            raise DataError(f"{path}: header: expected {key} of type {kind.__name__}, not {quoted(header.get(key))}")
    if not all(isinstance(record, dict) and _is_plain(record) for record in header["history"]):
        raise DataError(f"{path}: header: expected a history of records of numbers, not {quoted(header['history'])}")
    return header


def _is_plain(record: dict[str, Any]) -> bool:
    return all(type(value) in (int, float) for value in record.values())


def _checked(path: Path, design: Design, how: Mapping[str, Any], weights: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return the weights as they are handed on: int64 words, or values as they are."""
    graph = Graph.build(design.network)
    if how.get("model") == "fixed":
        words = checked_words(graph, weights, design.numerics.weight, str(path))
        return [array.astype(np.int64) for array in words]
    checked = checked_values(graph, weights, str(path))
    types = sorted({str(array.dtype) for array in checked})
    if not set(types) <= {"float32", "float64"}:
        raise DataError(f"{path}: expected values of type float32 or float64, not {' and '.join(types)}")
    if len(types) > 1:
        raise DataError(f"{path}: expected values of one type, not {' and '.join(types)}")
    return checked


def _sizes(path: Path, design: Design) -> dict[str, int]:
    """Return how many weights each matrix of a design has, by the array's name."""
    try:
        graph = Graph.build(design.network)
    except GraphError as error:
        raise DataError(f"{path}: the design inside the checkpoint is not valid here: {error}") from None
    return {f"matrix_{matrix.index}": math.prod(graph.shape(matrix)) for matrix in graph.matrices}


def _content_hash(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of the header (without this hash) and of all arrays, the same on every machine."""
    text = json.dumps({key: value for key, value in header.items() if key != "content"}, sort_keys=True)
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        array = array.astype(array.dtype.newbyteorder("<"))
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _differences(stored: Design, wanted: Design) -> str:
    """Name every key of network and numerics that differs: ``numerics.weight = q3.13, not q3.9``."""
    lines = []
    for section in ("network", "numerics"):
        ours, theirs = stored.table()[section], wanted.table()[section]
        for key in theirs:
            if ours.get(key) != theirs.get(key):
                lines.append(f"{section}.{key} = {_plain(ours.get(key))}, not {_plain(theirs.get(key))}")
    return ", ".join(lines)


def _plain(value: Any) -> str:
    return key_text(value) if isinstance(value, str) else quoted(value)
