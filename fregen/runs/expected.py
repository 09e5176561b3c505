"""What the hardware must write, word for word and address for address, from a trace of the golden model.

The bench logs every word that the core writes; :func:`expectation` says which words these are, in the same order, as
plain arrays (``expected.npz``).  ``sim/check.py`` compares the two and needs nothing but numpy.

Places are packed into one number, as the bench logs them: ``address | lane << 12 | offset << 20 | error << 21 | phase
<< 22``.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..golden.trace import Trace
from ..plan import CycleModel, Schedule, pack_weights
from ..plan.counters import COUNTERS
from ..plan.cycles import PHASES

__all__ = ["expectation"]

_OFFSET, _ERROR, _PHASE = 1 << 20, 1 << 21, 22
_ANY_SLOT = 0xFFF
"""Stands for the plane of whichever slot the sample lies in."""


class _Places:
    """Places of words, packed: plane (apart), local address, lane, memory, phase."""

    def __init__(self, schedule: Schedule) -> None:
        self.memory = schedule.memory
        self.spec = schedule.spec

    def _local(self, base: int, size: int) -> NDArray[np.int64]:
        neuron = np.arange(size)
        return base + neuron // self.memory.lanes + ((neuron % self.memory.lanes) << 12)

    def hidden(self, order: Sequence[int], is_offset: bool, phase: str) -> NDArray[np.int64]:
        """Places of all hidden neurons, layers in a given order."""
        sizes = {layer.index: layer.size for layer in self.spec.graph.layers}
        parts = [self._local(self.memory.vector_bases[layer], sizes[layer]) for layer in order]
        return np.concatenate(parts) + is_offset * _OFFSET + (PHASES.index(phase) << _PHASE)

    def error(self, phase: str) -> NDArray[np.int64]:
        """Places of the error of all classes."""
        size = self.spec.graph.layers[-1].size
        base = self.memory.vector_bases[self.spec.graph.output]
        return self._local(base, size) + _OFFSET + _ERROR + (PHASES.index(phase) << _PHASE)


def expectation(
    schedule: Schedule,
    trace: Trace,
    batches: Sequence[tuple[NDArray[np.integer], bool]],
    before: Sequence[NDArray[Any]],
) -> dict[str, NDArray[Any]]:
    """Lay out all that the hardware must write for the batches of a trace.

    Parameters
    ----------
    schedule : Schedule
        What the hardware runs.
    trace : Trace
        Of the golden model, all batches in order.
    batches : sequence of ((n, inputs) words, learns)
        Input words of the same batches.
    before : sequence of arrays
        Weights before the first batch.

    Returns
    -------
    dict of str to array
        Streams ``free``, ``readout``, ``nudged`` (words, places, planes, and words of each sample), ``lines``,
        ``weights``, ``predictions``, ``readback``, ``counters``, and sizes.
    """
    spec, memory = schedule.spec, schedule.memory
    places = _Places(schedule)
    learns = [learn for _, learn in batches]
    home = memory.scratch_plane if not spec.has_offsets else _ANY_SLOT
    later_free = _ANY_SLOT if spec.is_sweep else memory.next_plane
    later_nudged = home if spec.is_sweep else memory.next_plane
    result: dict[str, NDArray[Any]] = {}

    free = places.hidden(spec.free_order, False, "free")
    _stream(result, "free", zip(trace.states, trace.free_steps, strict=True), free, _ANY_SLOT, later_free)

    errors = np.concatenate([e.reshape(-1) for e in trace.errors]) if trace.errors else np.empty(0, np.int32)
    samples = sum(len(e) for e in trace.errors)
    classes = spec.softmax.classes
    result["readout_words"] = errors.astype(np.int32)
    result["readout_places"] = np.tile(places.error("readout"), samples).astype(np.int32)
    result["readout_planes"] = np.full(errors.size, _ANY_SLOT, dtype=np.int16)
    result["readout_counts"] = np.full(samples, classes)

    nudged = places.hidden(spec.nudged_order, spec.has_offsets, "nudged")
    words = [
        np.concatenate([e, w], axis=2) if spec.recomputes_error else w
        for w, e in zip(trace.nudged, trace.nudged_errors if spec.recomputes_error else trace.nudged, strict=True)
    ]
    skip = classes if spec.recomputes_error else 0
    if skip:
        nudged = np.concatenate([places.error("nudged"), nudged])
    _stream(result, "nudged", zip(words, trace.nudged_steps, strict=True), nudged, home, later_nudged, skip)
    if skip:
        is_error = (result["nudged_places"] & _ERROR) != 0
        result["nudged_planes"][is_error] = memory.scratch_plane

    if spec.has_offsets or not trace.contrast:
        result["lines"] = np.empty((0, memory.lanes), dtype=np.int32)
    else:
        result["lines"] = np.concatenate([_lines(schedule, contrast) for contrast in trace.contrast])
    result["line_groups"] = np.array(memory.hidden_groups)

    images = [pack_weights(memory, before)] + [pack_weights(memory, weights) for weights in trace.weights]
    result["weights"] = np.stack(images)
    learnt = [len(part) for part, learn in batches if learn]
    result["batch_ends"] = np.cumsum(learnt, dtype=np.int64)
    result["real_weights"] = np.array(sum(w.size for w in before))
    result["predictions"] = np.concatenate([p.reshape(-1) for p in trace.predictions]).astype(np.int32)
    result["counters"] = _counters(schedule, trace, batches, learns)
    result["counter_start"] = np.zeros(len(COUNTERS), dtype=np.int64)
    result["neurons"] = np.array([layer.size for layer in spec.graph.layers])
    result["free_order"], result["nudged_order"] = np.array(spec.free_order), np.array(spec.nudged_order)
    result["slots"], result["plane_size"] = np.array(memory.slots), np.array(memory.plane_size)
    result["nudged_skip"] = np.array(skip)
    for kind in ("state", "weight", "offset", "error"):
        result[f"{kind}_format"] = np.array([getattr(spec, kind).int_bits, getattr(spec, kind).frac_bits])
    result["has_offsets"] = np.array(spec.has_offsets)
    result["matrices"] = np.array(
        [
            (memory.weight_bases[m.index], memory.row_stride(m), *memory.stored_shape(m), *spec.stored(m))
            for m in spec.graph.matrices
        ]
    )
    return result


def _stream(
    result: dict[str, NDArray[Any]],
    name: str,
    batches: Iterable[tuple[NDArray[np.int32], NDArray[np.int64]]],
    places: NDArray[np.int64],
    first_plane: int,
    later_plane: int,
    skip: int = 0,
) -> None:
    """Flatten (sample, step, word) arrays; the first step lacks the first ``skip`` words."""
    words, where, planes, counts = [], [], [], []
    for batch, steps in batches:
        _, most, width = batch.shape
        mask = np.broadcast_to((np.arange(most) < steps[:, None])[:, :, None], batch.shape).copy()
        mask[:, 0, :skip] = False
        plane = np.full((1, most, 1), later_plane, dtype=np.int16)
        plane[:, 0] = first_plane
        words.append(batch[mask].astype(np.int32))
        where.append(np.broadcast_to(places.astype(np.int32), batch.shape)[mask])
        planes.append(np.broadcast_to(plane, batch.shape)[mask])
        counts.append(steps * width - skip)
    empty = np.empty(0, dtype=np.int32)
    result[f"{name}_words"] = np.concatenate(words) if words else empty
    result[f"{name}_places"] = np.concatenate(where) if where else empty
    result[f"{name}_planes"] = np.concatenate(planes) if planes else empty.astype(np.int16)
    result[f"{name}_counts"] = np.concatenate(counts) if counts else empty


def _lines(schedule: Schedule, contrast: NDArray[np.int32]) -> NDArray[np.int32]:
    """Contrasts of a batch as lines of P words, padding 0."""
    memory, spec = schedule.memory, schedule.spec
    lines = np.zeros((len(contrast), memory.hidden_groups * memory.lanes), dtype=np.int32)
    at = 0
    for layer in spec.graph.hidden:
        begin = memory.vector_bases[layer.index] * memory.lanes
        lines[:, begin : begin + layer.size] = contrast[:, at : at + layer.size]
        at += layer.size
    return lines.reshape(-1, memory.lanes)


def _counters(
    schedule: Schedule, trace: Trace, batches: Sequence[tuple[NDArray[np.integer], bool]], learns: Sequence[bool]
) -> NDArray[np.int64]:
    """All counters of the core after the run, predicted by the cycle model."""
    model = CycleModel(schedule)
    chosen: dict[str, int] = dict.fromkeys(COUNTERS, 0)

    def joined(parts: Sequence[NDArray[Any]], wanted: bool) -> NDArray[Any]:
        picked = [part for part, learn in zip(parts, learns, strict=True) if learn is wanted]
        return np.concatenate(picked) if picked else np.empty(0, dtype=np.int64)

    for learn in (False, True):
        if learn not in learns:
            continue
        nudged = np.concatenate(trace.nudged_steps) if learn else None
        words = [part for part, kind in batches if kind and learn]
        phases = model.predict(joined(trace.nonzero, learn), joined(trace.free_steps, learn), nudged, words)
        for phase in PHASES:
            chosen[f"{phase}_cycles"] += phases.cycles[phase]
            chosen[f"{phase}_macs"] += phases.macs[phase]
    chosen["samples"] = sum(part.size for part in trace.predictions)
    chosen["free_steps"] = int(sum(part.sum() for part in trace.free_steps))
    chosen["nudged_steps"] = int(sum(part.sum() for part in trace.nudged_steps))
    chosen["updates"] = len(trace.weights)
    chosen["weight_saturations"] = sum(weights for weights, _ in trace.saturations)
    chosen["offset_saturations"] = sum(offsets for _, offsets in trace.saturations)
    return np.array([chosen[name] for name in COUNTERS], dtype=np.int64)
