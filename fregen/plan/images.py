"""Weights as matrices, and as the words that a lane's memory holds."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..design.weights import checked_arrays
from ..errors import LoweringError
from .memory_map import MemoryMap

__all__ = ["pack_weights", "unpack_weights"]


def pack_weights(memory: MemoryMap, weights: Sequence[NDArray[np.integer]]) -> NDArray[np.int32]:
    """Lay matrices out as memory words.

    Parameters
    ----------
    memory : MemoryMap
        Where they go.
    weights : sequence of (target, source) arrays
        Weight words, by matrix.

    Returns
    -------
    (weight_depth, lanes) array
        Word of every address and lane; padding is 0.  Its rows, one after the other, are the order of the load stream.

    Raises
    ------
    DataError
        If number or shape of the matrices are not the graph's.
    """
    spec = memory.spec
    image = np.zeros((memory.weight_depth, memory.lanes), dtype=np.int32)
    for matrix, words in zip(spec.graph.matrices, checked_arrays(spec.graph, weights, what="words"), strict=True):
        stored = words.T if memory.is_transposed(matrix) else words
        _view(memory, image, matrix.index)[: stored.shape[0], : stored.shape[1]] = stored
    return image


def unpack_weights(memory: MemoryMap, image: NDArray[np.integer]) -> list[NDArray[np.int64]]:
    """Read matrices back from memory words; the inverse of :func:`pack_weights`.

    Raises
    ------
    LoweringError
        If the image has another shape, or a padding word is not 0.
    """
    if image.shape != (memory.weight_depth, memory.lanes):
        raise LoweringError(f"a weight image is {memory.weight_depth} x {memory.lanes} words, not {image.shape}")
    copy = np.array(image, dtype=np.int64)
    matrices: list[NDArray[np.int64]] = []
    for matrix in memory.spec.graph.matrices:
        rows, columns = memory.stored_shape(matrix)
        view = _view(memory, copy, matrix.index)
        stored = view[:rows, :columns].copy()
        view[:rows, :columns] = 0
        matrices.append(np.array(stored.T if memory.is_transposed(matrix) else stored, dtype=np.int64))
    if copy.any():
        address, lane = (int(axis[0]) for axis in np.nonzero(copy))
        raise LoweringError(f"padding word at address {address}, lane {lane} is {copy[address, lane]}, not 0")
    return matrices


class _RowView:
    """One stored matrix inside an image: row ``g P + l``, column c is at address ``base + g stride + c``, lane l."""

    def __init__(self, block: NDArray[np.integer], lanes: int, stride: int) -> None:
        self.rows = block.reshape(-1, stride, lanes).transpose(0, 2, 1)

    def __getitem__(self, key: tuple[slice, slice]) -> NDArray[np.integer]:
        return self.rows.reshape(-1, self.rows.shape[2])[key]

    def __setitem__(self, key: tuple[slice, slice], words: NDArray[np.integer] | int) -> None:
        flat = self.rows.reshape(-1, self.rows.shape[2]).copy()
        flat[key] = words
        self.rows[...] = flat.reshape(self.rows.shape)


def _view(memory: MemoryMap, image: NDArray[np.integer], index: int) -> _RowView:
    matrix = memory.spec.graph.matrices[index]
    base, end = memory.weight_bases[index : index + 2]
    return _RowView(image[base:end], memory.lanes, memory.row_stride(matrix))
