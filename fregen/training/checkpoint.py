"""Checkpoints: weights, history and all else that a training goes on from, bound to its design.

One ``.npz`` file without pickle.  ``header`` is a JSON text (design, hash of its numerics, what learns and how, epochs
done, dither key, history, hash of everything); ``matrix_0``, ``matrix_1``, ... are the weights, shape (target, source):
words as int32, or the values of a real-valued model, float32 or float64, beside which stand ``memory.NAME``, what its
optimiser and noise remember.  The file appears whole or not at all: it is written beside its place, synced and renamed.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.archive import read_arrays
from ..design.document import Design
from ..design.graph import Graph
from ..errors import DataError, DesignError
from ..files import replacing
from ..fixed import Q

__all__ = ["Checkpoint", "load", "save"]

_KIND = "fregen checkpoint"
_VERSION = 2
_MEMORY = "memory."
_DROPPED = ("family", "clock_mhz")
"""Keys of ``hardware`` that designs had before and nothing read: a checkpoint that holds them is of the same design."""


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
    arrays = read_arrays(path, ("header",), "a checkpoint")
    header = _header(path, arrays.pop("header"))
    try:
        stored = Design.parse(_current(header["design"]), where=str(path))
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
    memory = {name: array for name, array in arrays.items() if name.startswith(_MEMORY)}
    found = sorted(set(arrays) - set(memory))
    if found != sorted(expected):
        raise DataError(f"{path}: expected the arrays {', '.join(expected)}, not {', '.join(found) or 'none'}")
    weights = _checked(path, stored, header["how"], [arrays[name] for name in expected])
    if _content_hash(header, dict(zip(expected, weights, strict=True)) | memory) != header["content"]:
        raise DataError(f"{path}: the content does not match its hash: the file was damaged or changed")
    remembered = {name.removeprefix(_MEMORY): array for name, array in memory.items()}
    return Checkpoint(stored, weights, header["epoch"], header["key"], header["history"], header["how"], remembered)


def _current(table: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what designs no longer have."""
    hardware = table.get("hardware")
    if not isinstance(hardware, dict):
        return dict(table)
    return {**table, "hardware": {key: value for key, value in hardware.items() if key not in _DROPPED}}


def _header(path: Path, array: NDArray[Any]) -> dict[str, Any]:
    try:
        header = json.loads(str(array[()]))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("kind") != _KIND:
        raise DataError(f"{path}: expected a fregen checkpoint; its header says otherwise")
    if header.get("version") != _VERSION:
        raise DataError(f"{path}: expected checkpoint version {_VERSION}, not {header.get('version')!r}; train anew")
    types = {"design": dict, "numerics": str, "how": dict, "epoch": int, "key": int, "history": list, "content": str}
    for key, kind in types.items():
        if not isinstance(header.get(key), kind):
            raise DataError(f"{path}: header: expected {key} of type {kind.__name__}, not {header.get(key)!r}")
    return header


def _checked(path: Path, design: Design, how: Mapping[str, Any], weights: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return the weights as they are handed on: int64 words, or values as they are."""
    graph = Graph.build(design.network)
    if len(weights) != len(graph.matrices):
        raise DataError(f"{path}: the design has {len(graph.matrices)} weight matrices, not {len(weights)}")
    fixed, checked = how.get("model") == "fixed", []
    for matrix, given in zip(graph.matrices, weights, strict=True):
        array, shape = np.asarray(given), graph.shape(matrix)
        where = f"{path}: {matrix.name}"
        if array.shape != shape:
            kind = "words" if fixed else "values"
            raise DataError(f"{where}: expected {shape[0]} x {shape[1]} {kind}, not shape {array.shape}")
        checked.append(_words(where, array, design.numerics.weight) if fixed else _values(where, array))
    types = sorted({str(array.dtype) for array in checked})
    if len(types) > 1:
        raise DataError(f"{path}: expected values of one type, not {' and '.join(types)}")
    return checked


def _words(where: str, array: NDArray[Any], q: Q) -> NDArray[np.int64]:
    if not np.issubdtype(array.dtype, np.integer):
        raise DataError(f"{where}: expected integer words, not {array.dtype}")
    if array.min() < q.min_word or array.max() > q.max_word:
        raise DataError(f"{where}: words {array.min()} to {array.max()} lie outside {q} ({q.min_word} to {q.max_word})")
    return array.astype(np.int64)


def _values(where: str, array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype not in (np.float32, np.float64):
        raise DataError(f"{where}: expected values of type float32 or float64, not {array.dtype}")
    if not np.isfinite(array).all():
        raise DataError(f"{where}: expected finite values only")
    return array


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


def _differences(stored: Design, wanted: Design) -> list[str]:
    """Name every key of network and numerics that differs: ``numerics.weight = q3.13, not q3.9``."""
    lines = []
    for section in ("network", "numerics"):
        ours, theirs = stored.table()[section], wanted.table()[section]
        lines += [f"{section}.{k} = {ours.get(k)}, not {theirs.get(k)}" for k in theirs if ours.get(k) != theirs.get(k)]
    return lines
