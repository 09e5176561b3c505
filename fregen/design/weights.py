"""Is this list of weights the graph's?  One answer for models, checkpoints, memory images and measures."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError
from ..fixed import Q
from .graph import Graph

__all__ = ["checked_arrays", "checked_values", "checked_words"]


def checked_arrays(
    graph: Graph, weights: Sequence[ArrayLike], where: str = "", what: str = "values"
) -> list[NDArray[Any]]:
    """Return weights as arrays, by matrix index.

    Parameters
    ----------
    graph : Graph
        The network.
    weights : sequence of arrays
        By matrix index, each of its :meth:`Graph.shape`.
    where : str
        Where they come from, for messages: a file.
    what : str
        What they hold, for messages: ``"words"`` or ``"values"``.

    Raises
    ------
    DataError
        If number or shape of the matrices are not the graph's.
    """
    return [array for _, array in _matched(graph, weights, where, what)]


def checked_words(graph: Graph, weights: Sequence[ArrayLike], q: Q, where: str = "") -> list[NDArray[Any]]:
    """Return weight words, integers of any type, as :func:`checked_arrays` does; all must lie in the format ``q``.

    Raises
    ------
    DataError
        If number, shape, type or range of the words are not what the graph and the format need.
    """
    checked = []
    for place, array in _matched(graph, weights, where, "words"):
        if array.dtype.kind not in "iu":
            raise DataError(f"{place}: expected integer words, not {array.dtype}")
        low, high = array.min(), array.max()
        if low < q.min_word or high > q.max_word:
            raise DataError(f"{place}: words {low} to {high} lie outside {q} ({q.min_word} to {q.max_word})")
        checked.append(array)
    return checked


def checked_values(graph: Graph, weights: Sequence[ArrayLike], where: str = "") -> list[NDArray[Any]]:
    """Return weight values, real numbers of any type, as :func:`checked_arrays` does; all must be finite.

    Raises
    ------
    DataError
        If number, shape or type of the matrices are not what the graph needs, or a value is not finite.
    """
    checked = []
    for place, array in _matched(graph, weights, where, "values"):
        if array.dtype.kind not in "fiu":
            raise DataError(f"{place}: expected real values, not {array.dtype}")
        if not np.isfinite(array).all():
            raise DataError(f"{place}: expected finite values only")
        checked.append(array)
    return checked


def _matched(graph: Graph, weights: Sequence[ArrayLike], where: str, what: str) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the name of each matrix, for messages, and its array."""
    begin = f"{where}: " if where else ""
    if len(weights) != len(graph.matrices):
        raise DataError(f"{begin}the design has {len(graph.matrices)} weight matrices, not {len(weights)}")
    for matrix, given in zip(graph.matrices, weights, strict=True):
        array, shape = np.asarray(given), graph.shape(matrix)
        if array.shape != shape:
            sizes = " x ".join(map(str, shape))
            raise DataError(f"{begin}matrix {matrix.name}: expected {sizes} {what}, not shape {array.shape}")
        yield f"{begin}matrix {matrix.name}", array
