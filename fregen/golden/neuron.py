"""What a neuron makes of its sum: state word, slope word, offset word.

Both follow ``docs/numerics.md``, "Activation (and its slope)" and "Phases".  The hardware twin is
:mod:`fregen.hdl.neuron`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spec.network import NetworkSpec
from .carrier import Carrier, rounded_product

__all__ = ["ActivationModel", "OffsetModel"]


class ActivationModel:
    """Turn sums into state words by a piecewise-linear function.

    A segment is kept as intercept and slope, ``y = c_k + Δ_k·|h|`` with ``c_k = (y_k − k·Δ_k)·2^τ``: the same integer
    as ``y_k·2^τ + Δ_k·t``.  Two more entries stand for the flat tail and for the negative side of a function that is 0
    there.

    Parameters
    ----------
    spec : NetworkSpec
        Table, formats and shifts.
    carrier : Carrier, optional
        Decides between float64 and int64; built from the spec when absent.
    """

    def __init__(self, spec: NetworkSpec, carrier: Carrier | None = None) -> None:
        self._carrier = carrier or Carrier(spec)
        table = spec.activation
        self._odd = table.odd
        self._tau = spec.tau
        self._shift = spec.state_shift
        self._max_word = spec.state.max_word
        self._segments = table.segments
        intercepts = [knot - k * slope for k, (knot, slope) in enumerate(zip(table.knots, table.slopes, strict=False))]
        intercepts += [table.knots[-1]] + ([] if self._odd else [0])
        slopes = [*table.slopes, 0] + ([] if self._odd else [0])
        self._in_float = self._carrier.interpolates_in_float
        self._slope_words: NDArray[Any] = np.array(slopes, dtype=np.int64)
        if self._in_float:
            # Scaled by 2**-(tau + 2), exact in float64, so that one rint is the rounding.
            self._intercepts: NDArray[Any] = np.ldexp(np.array(intercepts, dtype=np.float64), self._tau - self._shift)
            self._slopes: NDArray[Any] = np.ldexp(np.array(slopes, dtype=np.float64), -self._shift)
        else:
            self._cut = self._carrier.interpolation_cut
            self._intercepts = np.array([i << (self._tau - self._cut) for i in intercepts], dtype=np.int64)
            self._slopes = self._slope_words
        self._per_segment = 2.0**-self._tau
        self._scratch: dict[tuple[int, ...], tuple[NDArray[Any], NDArray[Any]]] = {}

    def step(self, sums: NDArray[Any], out: NDArray[Any], segments: NDArray[np.intp]) -> None:
        """Compute state words.

        Parameters
        ----------
        sums : (n, neurons) array of the carrier's type
            Sums with the spec's ``sum_frac_bits``; left as they are.
        out : (n, neurons) array of the carrier's type
            Receives state words: rounded to nearest even, saturated.
        segments : (n, neurons) intp array
            Receives the table entry of every neuron, for :meth:`slopes`.
        """
        if not self._in_float:
            self._step_integer(sums, out, segments)
            return
        if sums.shape not in self._scratch:
            if len(self._scratch) > 32:
                self._scratch.clear()
            self._scratch[sums.shape] = (np.empty(sums.shape), np.empty(sums.shape))
        magnitude, part = self._scratch[sums.shape]
        np.abs(sums, out=magnitude)
        np.multiply(magnitude, self._per_segment, out=part)
        np.copyto(segments, part, casting="unsafe")  # towards zero: floor of a magnitude
        if not self._odd:
            np.minimum(segments, self._segments, out=segments)
            segments[sums < 0] = self._segments + 1
        # For an odd function the flat tail is the last entry: clipping finds it.
        self._slopes.take(segments, out=part, mode="clip")
        np.multiply(magnitude, part, out=magnitude)
        self._intercepts.take(segments, out=part, mode="clip")
        np.add(magnitude, part, out=magnitude)
        np.rint(magnitude, out=magnitude)
        if self._odd:
            np.copysign(magnitude, sums, out=magnitude)
        # No function passes 1 in magnitude, and -1 is a word of every format: only the positive end saturates.
        np.minimum(magnitude, self._max_word, out=out)

    def _step_integer(self, sums: NDArray[Any], out: NDArray[Any], segments: NDArray[np.intp]) -> None:
        sums = sums.astype(np.int64)
        magnitude = np.abs(sums)
        segments[...] = np.minimum(magnitude >> self._tau, self._segments)
        if not self._odd:
            segments[sums < 0] = self._segments + 1
        words = rounded_product(self._slopes[segments], magnitude, self._shift, self._cut, self._intercepts[segments])
        if self._odd:
            words = np.where(sums < 0, -words, words)
        np.minimum(words, self._max_word, out=out, casting="unsafe")

    def slopes(self, segments: NDArray[np.intp]) -> NDArray[np.int64]:
        """Slope words of table entries; (n, neurons), unsigned words with the table's ``slope_frac_bits``."""
        return self._slope_words.take(segments, mode="clip")


class OffsetModel:
    """Turn sums of disturbances into offset words: ``saturate(slope·a, rounded to nearest even)``.

    Parameters
    ----------
    spec : NetworkSpec
        Formats and shifts; of the ``offset`` form.
    carrier : Carrier, optional
        Decides between float64 and int64; built from the spec when absent.
    """

    def __init__(self, spec: NetworkSpec, carrier: Carrier | None = None) -> None:
        self._carrier = carrier or Carrier(spec)
        self._shift = spec.offset_shift
        self._max_word = spec.offset.max_word
        self._min_word = spec.offset.min_word
        self._in_float = self._carrier.offsets_in_float
        self._cut = self._carrier.offset_cut

    def operand(self, slopes: NDArray[np.int64]) -> NDArray[Any]:
        """Bring slope words into the form that :meth:`step` multiplies by; once a phase."""
        return np.ldexp(slopes.astype(np.float64), -self._shift) if self._in_float else slopes

    def step(self, slopes: NDArray[Any], sums: NDArray[Any], out: NDArray[Any]) -> NDArray[np.int64] | None:
        """Compute offset words.

        Parameters
        ----------
        slopes : (n, neurons) array
            What :meth:`operand` returned.
        sums : (n, neurons) array of the carrier's type
            Sums with the spec's ``sum_frac_bits``.
        out : (n, neurons) array of the carrier's type
            Receives offset words.

        Returns
        -------
        (n,) int64 array or None
            Saturated words of each sample; None if there were none at all.
        """
        if self._in_float:
            words = slopes * sums
            np.rint(words, out=words)
        else:
            words = rounded_product(slopes, sums.astype(np.int64), self._shift, self._cut)
        np.minimum(words, self._max_word, out=out, casting="unsafe")
        np.maximum(out, self._min_word, out=out)
        outside = out != words
        return np.count_nonzero(outside, axis=1).astype(np.int64) if outside.any() else None
