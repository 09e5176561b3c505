"""What a matrix does between two layers, in both directions, and the direction in which it learns.

Arrays here lie *neurons x samples*, one sample a column, unless said otherwise.  What a layer *forwards* to later ones
are its states, or of feature maps the greatest of every window (max-pooling); what is fed back to such a layer goes to
where the greatest were (max-unpooling).  So a convolutional layer is (docs/method.md, "Topologies")::

    h_i = conv_{i-1}(pool(s_{i-1})) + β_i unpool_i(conv^T_i(s_{i+1}))
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design.graph import Connection, Graph, Layer, Matrix
from ..errors import DesignError
from .convolution import convolve, convolve_back, convolve_gradient, gather, pool, unpool

__all__ = [
    "back",
    "bias_direction",
    "bias_of",
    "direction",
    "forward",
    "forwarded_states",
    "product",
    "refuse_maps",
    "returned_values",
]

Array = NDArray[Any]
Winners = NDArray[np.uint8] | None
"""Where in its window the greatest state of every window was; None where all states are forwarded."""


def forwarded_states(layer: Layer, states: Array, winners: Winners = None) -> tuple[Array, Winners]:
    """Return what a layer forwards, and where it was found.

    Parameters
    ----------
    layer : Layer
        Whose states.
    states : (neurons, n) array
        Its states, or what changes them.
    winners : uint8 array, optional
        Take what lies at these places, whether it is the greatest or not.

    Returns
    -------
    outputs : (outputs, n) array
        The states themselves, or one a window.
    winners : uint8 array or None
        As given, or as found.
    """
    if layer.window == 1:
        return states, None
    assert layer.maps is not None
    maps = states.reshape(*layer.maps, -1)
    if winners is None:
        chosen, winners = pool(maps, layer.window)
    else:
        chosen = gather(maps, winners, layer.window)
    return chosen.reshape(layer.outputs, -1), winners


def returned_values(layer: Layer, values: Array, winners: Winners) -> Array:
    """Return values of shape (outputs, n) where they belong: shape (neurons, n)."""
    if winners is None:
        return values
    return unpool(values.reshape(*layer.pooled, -1), winners, layer.window).reshape(layer.size, -1)


def forward(graph: Graph, matrix: Matrix, weights: Array, outputs: Array) -> Array:
    """Return ``M s`` of a matrix learned in this direction.

    Parameters
    ----------
    graph : Graph
        Layers.
    matrix : Matrix
        Which matrix.
    weights : array
        Its weights, of :meth:`Graph.shape`.
    outputs : (outputs of the source, n) array
        What the source forwards.

    Returns
    -------
    (neurons of the target, n) array
    """
    if not matrix.kernel:
        return weights @ outputs
    maps = outputs.reshape(*graph.layers[matrix.source].pooled, -1)
    return convolve(_kernels(graph, matrix, weights), maps, matrix.padding).reshape(-1, outputs.shape[1])


def back(graph: Graph, matrix: Matrix, weights: Array, states: Array) -> Array:
    """Return ``M^T s``, shape (outputs of the source, n); states of shape (neurons of the target, n)."""
    if not matrix.kernel:
        return weights.T @ states
    maps = states.reshape(*_maps(graph.layers[matrix.target]), -1)
    found = convolve_back(_kernels(graph, matrix, weights), maps, matrix.padding)
    return found.reshape(-1, states.shape[1])


def direction(graph: Graph, matrix: Matrix, errors: Array, outputs: Array) -> Array:
    """Return ``sum over the batch of e s^T``, shaped as the matrix.

    ``errors`` of the target has the shape (neurons, n), what the source forwards (outputs, n).
    """
    if not matrix.kernel:
        return errors @ outputs.T
    source, target = graph.layers[matrix.source], graph.layers[matrix.target]
    maps = np.ascontiguousarray(outputs).reshape(*source.pooled, -1)
    there = np.ascontiguousarray(errors).reshape(*_maps(target), -1)
    found = convolve_gradient(there, maps, matrix.kernel, matrix.padding)
    return found.reshape(graph.shape(matrix))


def bias_of(layer: Layer, bias: Array) -> Array:
    """Return the bias of every neuron, shape (neurons, 1), from that of every neuron or map."""
    return bias if layer.maps is None else np.repeat(bias, layer.size // layer.maps[0], axis=0)


def bias_direction(layer: Layer, errors: Array) -> Array:
    """Return the sum of errors (neurons, n) over the batch, and over the pixels of every map: (neurons or maps, 1)."""
    summed: Array = errors.sum(axis=1, keepdims=True)
    return summed if layer.maps is None else summed.reshape(layer.maps[0], -1).sum(axis=1, keepdims=True)


def product(weights: Sequence[Array], connection: Connection, source: Array) -> Array:
    """Return ``scale * M s`` of a connection between layers without maps, for every sample (a *row* of ``source``)."""
    matrix = weights[connection.matrix]
    result = source @ (matrix if connection.transposed else matrix.T)
    if connection.scale != 1:
        result *= connection.scale
    return result


def refuse_maps(graph: Graph, what: str) -> None:
    """Raise DesignError if the graph has feature maps."""
    if any(layer.maps for layer in graph.layers):
        raise DesignError(f"{what} is for networks without convolution")


def _kernels(graph: Graph, matrix: Matrix, weights: Array) -> Array:
    channels = graph.layers[matrix.source].pooled[0]
    return weights.reshape(len(weights), channels, matrix.kernel, matrix.kernel)


def _maps(layer: Layer) -> tuple[int, int, int]:
    assert layer.maps is not None
    return layer.maps
