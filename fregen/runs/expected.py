"""What the hardware must write, word for word and address for address, from a trace of the golden model.

The bench logs every word that the core writes; :func:`expectation` says which words these are, in the same order, as
plain arrays (``expected.npz``).  ``sim/check.py`` compares the two and needs nothing but numpy.

A word lies at a *site* (a neuron's state, its offset, or a class's error: ``site_*`` has address within a plane, lane
and memory of each, by the names of the log's fields) in a *plane* (of the sample's slot, or of a step).  ``about`` is a
JSON text: the layout of the logs, what the sites, words and weights are called, and the number of the run.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..golden.trace import Trace
from ..hdl.beat import Sizes
from ..hdl.ports import core_ports
from ..plan import CycleModel, Passage, Schedule, pack_weights
from ..plan.counters import COUNTERS
from ..plan.cycles import PHASES
from ..plan.records import layout_table, records

__all__ = ["expectation"]

_ANY_SLOT = -1
"""Stands for the plane of whichever slot the sample lies in."""


class _Sites:
    """Sites of words: numbered, with address, lane and memory of each, and layer and neuron for people."""

    def __init__(self, schedule: Schedule) -> None:
        self.memory, spec = schedule.memory, schedule.spec
        self.sizes = {layer.index: layer.size for layer in spec.graph.layers}
        self.output = spec.graph.output
        self.names: list[tuple[int, int]] = []
        self.columns: dict[str, list[NDArray[np.int64]]] = {"address": [], "lane": [], "offset": [], "error": []}
        hidden = [layer.index for layer in spec.graph.hidden]
        self.states = {layer: self._add(layer, False, False) for layer in hidden}
        self.offsets = {layer: self._add(layer, True, False) for layer in hidden} if spec.has_offsets else self.states
        self.error = self._add(self.output, True, True)

    def _add(self, layer: int, offset: bool, error: bool) -> NDArray[np.int32]:
        """Give numbers to the sites of a layer."""
        neuron, lanes, first = np.arange(self.sizes[layer]), self.memory.lanes, len(self.names)
        self.names += [(layer, int(k)) for k in neuron]
        self.columns["address"].append(self.memory.vector_bases[layer] + neuron // lanes)
        self.columns["lane"].append(neuron % lanes)
        self.columns["offset"].append(np.full(neuron.size, int(offset)))
        self.columns["error"].append(np.full(neuron.size, int(error)))
        return np.arange(first, len(self.names), dtype=np.int32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what the check looks up."""
        return {f"site_{name}": np.concatenate(parts).astype(np.int32) for name, parts in self.columns.items()}


def expectation(
    schedule: Schedule,
    trace: Trace,
    batches: Sequence[tuple[NDArray[np.integer], bool]],
    before: Sequence[NDArray[Any]],
    passages: Sequence[Passage],
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
    passages : sequence of Passage
        What every sample goes through, in the order in which they are sent.

    Returns
    -------
    dict of str to array
        Streams ``free``, ``readout``, ``nudged`` (words, sites, planes, and words of each sample), ``contrasts``,
        ``weights``, ``predictions``, ``counters``, ``site_*``, and ``about``.
    """
    spec, memory = schedule.spec, schedule.memory
    sites = _Sites(schedule)
    home = memory.scratch_plane if not spec.has_offsets else _ANY_SLOT
    later_free = _ANY_SLOT if spec.is_sweep else memory.next_plane
    later_nudged = home if spec.is_sweep else memory.next_plane
    result: dict[str, NDArray[Any]] = sites.arrays()

    free = np.concatenate([sites.states[layer] for layer in spec.free_order])
    _stream(result, "free", zip(trace.states, trace.free_steps, strict=True), free, _ANY_SLOT, later_free)

    classes = spec.softmax.classes
    errors = [e.reshape(-1, 1, classes) for e in trace.errors]
    ones = [np.ones(len(e), dtype=np.int64) for e in errors]
    _stream(result, "readout", zip(errors, ones, strict=True), sites.error, _ANY_SLOT, _ANY_SLOT)

    nudged = np.concatenate([sites.offsets[layer] for layer in spec.nudged_order])
    words = [
        np.concatenate([e, w], axis=2) if spec.recomputes_error else w
        for w, e in zip(trace.nudged, trace.nudged_errors if spec.recomputes_error else trace.nudged, strict=True)
    ]
    skip = classes if spec.recomputes_error else 0
    if skip:
        nudged = np.concatenate([sites.error, nudged])
    _stream(result, "nudged", zip(words, trace.nudged_steps, strict=True), nudged, home, later_nudged, skip)
    if skip:
        result["nudged_planes"][np.isin(result["nudged_sites"], sites.error)] = memory.scratch_plane

    if spec.has_offsets or not trace.contrast:
        result["contrasts"] = np.empty((0, memory.lanes), dtype=np.int32)
    else:
        result["contrasts"] = np.concatenate([_rows(schedule, contrast) for contrast in trace.contrast])

    images = [pack_weights(memory, before)] + [pack_weights(memory, weights) for weights in trace.weights]
    result["weights"] = np.stack(images)
    result["predictions"] = np.concatenate([p.reshape(-1) for p in trace.predictions]).astype(np.int32)
    result["counters"] = _counters(schedule, trace, passages)
    result["counter_start"] = np.zeros(len(COUNTERS), dtype=np.int64)
    result["about"] = np.array(json.dumps(_about(schedule, sites, batches, before)))
    return result


def _about(
    schedule: Schedule,
    sites: _Sites,
    batches: Sequence[tuple[NDArray[np.integer], bool]],
    before: Sequence[NDArray[Any]],
) -> dict[str, Any]:
    """Sizes, names and formats; the run's number is put in when its files are written."""
    spec, memory = schedule.spec, schedule.memory
    learnt = [len(part) for part, learn in batches if learn]
    return {
        "run": "",
        "layout": layout_table(records(core_ports(Sizes(schedule)))),
        "formats": {
            kind: [getattr(spec, kind).int_bits, getattr(spec, kind).frac_bits]
            for kind in ("state", "weight", "offset", "error")
        },
        "sites": sites.names,
        "slots": memory.slots,
        "contexts": memory.contexts,
        "plane_size": memory.plane_size,
        "contrast_groups": memory.hidden_groups,
        "matrices": [
            (memory.weight_bases[m.index], memory.row_stride(m), *memory.stored_shape(m), *spec.stored(m))
            for m in spec.graph.matrices
        ],
        "batch_ends": np.cumsum(learnt, dtype=np.int64).tolist(),
        "real_weights": sum(w.size for w in before),
    }


def _stream(
    result: dict[str, NDArray[Any]],
    name: str,
    batches: Iterable[tuple[NDArray[np.int32], NDArray[np.int64]]],
    sites: NDArray[np.int32],
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
        where.append(np.broadcast_to(sites, batch.shape)[mask])
        planes.append(np.broadcast_to(plane, batch.shape)[mask])
        counts.append(steps * width - skip)
    empty = np.empty(0, dtype=np.int32)
    result[f"{name}_words"] = np.concatenate(words) if words else empty
    result[f"{name}_sites"] = np.concatenate(where) if where else empty
    result[f"{name}_planes"] = np.concatenate(planes) if planes else empty.astype(np.int16)
    result[f"{name}_counts"] = np.concatenate(counts) if counts else empty


def _rows(schedule: Schedule, contrast: NDArray[np.int32]) -> NDArray[np.int32]:
    """Contrasts of a batch as rows of P words, padding 0."""
    memory, spec = schedule.memory, schedule.spec
    rows = np.zeros((len(contrast), memory.hidden_groups * memory.lanes), dtype=np.int32)
    at = 0
    for layer in spec.graph.hidden:
        begin = memory.vector_bases[layer.index] * memory.lanes
        rows[:, begin : begin + layer.size] = contrast[:, at : at + layer.size]
        at += layer.size
    return rows.reshape(-1, memory.lanes)


def _counters(schedule: Schedule, trace: Trace, passages: Sequence[Passage]) -> NDArray[np.int64]:
    """All counters of the core after the run, predicted by the cycle model."""
    found = CycleModel(schedule).predict(passages)
    chosen: dict[str, int] = dict.fromkeys(COUNTERS, 0)
    for phase in PHASES:
        chosen[f"{phase}_cycles"] = found.cycles[phase]
        chosen[f"{phase}_macs"] = found.macs[phase]
    chosen["waiting_cycles"] = found.waiting
    chosen["samples"] = sum(part.size for part in trace.predictions)
    chosen["free_steps"] = int(sum(part.sum() for part in trace.free_steps))
    chosen["nudged_steps"] = int(sum(part.sum() for part in trace.nudged_steps))
    chosen["updates"] = len(trace.weights)
    chosen["weight_saturations"] = sum(weights for weights, _ in trace.saturations)
    chosen["offset_saturations"] = sum(offsets for _, offsets in trace.saturations)
    return np.array([chosen[name] for name in COUNTERS], dtype=np.int64)
