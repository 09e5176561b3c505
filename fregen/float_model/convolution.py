"""Convolution, max-pooling, and their ways back (docs/method.md, "Topologies"), in numpy.

Feature maps lie *channels x height x width x samples*: in the layout of all layers, neurons x samples, a map layer is a
block of rows, and a row of pixels of all samples is one piece of memory.  Weights lie (out, in, kernel, kernel).  No
kernel is flipped: all is correlation, as usual in this field.

A convolution is ``kernel`` products.  The pixels are copied ``kernel`` times, once for every horizontal offset; for a
vertical offset the rows that it sees already lie side by side.  All functions keep the type of what they are given.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["convolve", "convolve_back", "convolve_gradient", "gather", "pool", "unpool"]

Array = NDArray[Any]


def convolve(weights: Array, maps: Array, padding: int = 0) -> Array:
    """Correlate with stride 1: ``out[o, y, x] = sum of W[o, c, i, j] * maps[c, y + i - padding, x + j - padding]``.

    Parameters
    ----------
    weights : (out, in, kernel, kernel) array
        W.
    maps : (in, height, width, n) array
        What it reads.
    padding : int
        Rows and columns of zeros around the maps.

    Returns
    -------
    (out, height + 2 padding - kernel + 1, width + 2 padding - kernel + 1, n) array
    """
    kernel = weights.shape[-1]
    shifted, height, width, samples = _shifted(maps, kernel, padding)
    rows = height - kernel + 1
    line = width * samples
    out: Array = np.empty((len(weights), rows * line), dtype=maps.dtype)
    scratch = np.empty_like(out)
    for i in range(kernel):
        seen = shifted[:, i * line : (i + rows) * line]
        if i:
            out += np.matmul(_band(weights, i), seen, out=scratch)
        else:
            np.matmul(_band(weights, i), seen, out=out)
    return out.reshape(len(weights), rows, width, samples)


def convolve_back(weights: Array, maps: Array, padding: int = 0) -> Array:
    """Apply the transpose of :func:`convolve` (a transposed convolution).

    Parameters
    ----------
    weights : (out, in, kernel, kernel) array
        W of the convolution.
    maps : (out, height, width, n) array
        Of the shape that the convolution returns.
    padding : int
        That of the convolution.

    Returns
    -------
    (in, height - 2 padding + kernel - 1, width - 2 padding + kernel - 1, n) array
    """
    channels, kernel = weights.shape[1], weights.shape[-1]
    _, rows, width, samples = maps.shape
    line = width * samples
    flat = maps.reshape(len(maps), rows * line)
    shifted = np.zeros((kernel * channels, (rows + kernel - 1) * line), dtype=maps.dtype)
    scratch = np.empty((kernel * channels, rows * line), dtype=maps.dtype)
    for i in range(kernel):
        shifted[:, i * line : (i + rows) * line] += np.matmul(_band(weights, i).T, flat, out=scratch)
    parts = shifted.reshape(kernel, channels, rows + kernel - 1, width, samples)
    out = np.zeros((channels, rows + kernel - 1, width + kernel - 1, samples), dtype=maps.dtype)
    for j in range(kernel):
        out[:, :, j : j + width] += parts[j]
    return out[:, padding : out.shape[1] - padding, padding : out.shape[2] - padding] if padding else out


def convolve_gradient(errors: Array, maps: Array, kernel: int, padding: int = 0) -> Array:
    """Return ``sum over samples and places of errors[o, y, x] * maps[c, y + i - padding, x + j - padding]``.

    Parameters
    ----------
    errors : (out, height, width, n) array
        Of the shape that the convolution returns.
    maps : (in, height, width, n) array
        What the convolution read.
    kernel, padding : int
        Those of the convolution.

    Returns
    -------
    (out, in, kernel, kernel) array
        Shaped as its weights.
    """
    shifted, _, width, samples = _shifted(maps, kernel, padding)
    rows, line = errors.shape[1], width * samples
    flat = errors.reshape(len(errors), rows * line)
    found = np.empty((len(errors), len(maps), kernel, kernel), dtype=maps.dtype)
    for i in range(kernel):
        product = flat @ shifted[:, i * line : (i + rows) * line].T
        found[:, :, i, :] = product.reshape(len(errors), kernel, len(maps)).transpose(0, 2, 1)
    return found


def pool(maps: Array, window: int) -> tuple[Array, NDArray[np.uint8]]:
    """Return the greatest of every window, and where it was: the first of equals, row by row.

    Parameters
    ----------
    maps : (channels, height, width, n) array
        Height and width are multiples of the window.
    window : int
        Height and width of a window, which is also the step to the next.

    Returns
    -------
    greatest : (channels, height / window, width / window, n) array
    winners : uint8 array of that shape
        ``row * window + column`` inside the window.
    """
    first, *others = _windows(maps, window)
    greatest = first.copy()
    winners = np.zeros(greatest.shape, dtype=np.uint8)
    for number, values in enumerate(others, start=1):
        wins = values > greatest
        np.maximum(greatest, values, out=greatest)
        np.copyto(winners, np.uint8(number), where=wins)
    return greatest, winners


def gather(maps: Array, winners: NDArray[np.uint8], window: int) -> Array:
    """Return of every window what lies at a known place; shapes as in :func:`pool`."""
    first, *others = _windows(maps, window)
    chosen = first.copy()
    for number, values in enumerate(others, start=1):
        np.copyto(chosen, values, where=winners == number)
    return chosen


def unpool(pooled: Array, winners: NDArray[np.uint8], window: int) -> Array:
    """Put every value back to where it came from, zeros elsewhere: the transpose of :func:`gather`."""
    channels, height, width, samples = pooled.shape
    maps = np.empty((channels, height * window, width * window, samples), dtype=pooled.dtype)
    for number, part in enumerate(_windows(maps, window)):
        np.multiply(pooled, winners == number, out=part)
    return maps


def _windows(maps: Array, window: int) -> list[Array]:
    """Return views of the first, second, ... place of all windows."""
    return [maps[:, row::window, column::window] for row in range(window) for column in range(window)]


def _band(weights: Array, row: int) -> Array:
    """Return the weights of one row of the kernel, shape (out, kernel * in), as :func:`_shifted` lays out pixels."""
    return np.ascontiguousarray(weights[:, :, row, :].transpose(0, 2, 1)).reshape(len(weights), -1)


def _shifted(maps: Array, kernel: int, padding: int) -> tuple[Array, int, int, int]:
    """Return the maps shifted by each horizontal offset, shape (kernel * in, height * width * n), and those three."""
    if padding:
        maps = np.pad(maps, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    channels, height, width, samples = maps.shape
    width -= kernel - 1
    shifted = np.empty((kernel, channels, height, width, samples), dtype=maps.dtype)
    for j in range(kernel):
        shifted[j] = maps[:, :, j : j + width]
    return shifted.reshape(kernel * channels, height * width * samples), height, width, samples
