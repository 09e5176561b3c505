"""A run to verify: weights, batches to learn and to infer; the golden model's trace of it, and the bench's stimulus."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design.document import log2_scale
from ..golden import NetworkModel
from ..golden.trace import Trace
from ..hdl.beat import Sizes
from ..hdl.samples import sample_layout
from ..plan import Passage, Schedule, pack_weights
from ..plan.counters import COUNTERS
from ..progress import Progress
from ..spec.network import NetworkSpec
from .expected import expectation

__all__ = ["Batch", "Scenario"]

_END, _RATE, _SAMPLE, _LOAD = 0, 1, 2, 3
_INFER_CHUNK = 256
_SURPLUS = -1
"""Words of a sample's last beat that are not the sample's: nothing may come of them."""
_ANY_COUNT = -1
"""Stands for a count that the check does not demand (``sim/check.py``)."""


@dataclass(frozen=True)
class Batch:
    """Samples that are learnt together, or inferred.

    Parameters
    ----------
    inputs : (n, inputs) integer array
        Input words.
    labels : (n,) integer array
        Classes.
    rate : float or None
        Learning rate; None infers.
    joins : bool
        Samples to infer are sent in between those of the next batch, which learns.
    weights : sequence of (target, source) arrays, optional
        Weight words that are loaded before, once the core is idle; without them it goes on with those that it has.
    """

    inputs: NDArray[Any]
    labels: NDArray[Any]
    rate: float | None
    joins: bool = False
    weights: Sequence[NDArray[Any]] | None = None


@dataclass(frozen=True)
class _Send:
    """A sample on its way: number, whether it learns, ends its batch and says so; what to set before, once idle."""

    sample: int
    learns: bool
    closes: bool
    says_so: bool
    rate: float | None
    weights: Sequence[NDArray[Any]] | None


@dataclass
class Scenario:
    """What hardware and golden model both do.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    weights : sequence of (target, source) arrays
        Weight words at the beginning.
    batches : list of Batch
        In order; batches to infer come in chunks of their own.
    patience : float
        Chance that a sample is held back until the core is idle, 0 to 1; otherwise it is offered at once.
    restart : int
        Cycle in which the core is reset, whatever it does, and the run begins anew; 0: never.
    unruly : bool
        Whether inputs move while they do not count: ``rate`` but in an update, ``dump`` while a sample is in its free
        phase and within a load, ``close`` of samples that do not learn.
    falter : int
        Seed by which the host falters at random: words of samples and weights are not offered, words of weights and
        predictions not taken; 0: never.  An odd one takes words only once they are offered, and sends the first sample
        after a load in the middle of it.
    """

    spec: NetworkSpec
    weights: Sequence[NDArray[Any]]
    batches: list[Batch] = field(default_factory=list)
    patience: float = 0.0
    restart: int = 0
    unruly: bool = False
    falter: int = 0

    def learn(
        self,
        inputs: NDArray[Any],
        labels: NDArray[Any],
        rate: float,
        weights: Sequence[NDArray[Any]] | None = None,
    ) -> None:
        """Add samples to learn, cut into batches; the last may be smaller.  Weights, if given, are loaded before."""
        size = self.spec.design.learning.batch
        if weights is not None and self.batches and self.batches[-1].joins:
            raise ValueError("samples that join a batch cannot be sent before weights are loaded for it")
        for at in range(0, len(inputs), size):
            part = slice(at, at + size)
            self.batches.append(Batch(inputs[part], labels[part], rate, weights=weights if at == 0 else None))

    def infer(self, inputs: NDArray[Any], labels: NDArray[Any], joins: bool = False) -> None:
        """Add samples to infer; if they join, in between those of the batch that is learnt next."""
        for at in range(0, len(inputs), _INFER_CHUNK):
            part = slice(at, at + _INFER_CHUNK)
            self.batches.append(Batch(inputs[part], labels[part], None, joins))

    @property
    def samples(self) -> int:
        """Samples in all."""
        return sum(len(batch.inputs) for batch in self.batches)

    @property
    def order(self) -> NDArray[np.int64]:
        """Samples, numbered batch after batch, in the order in which they are sent."""
        order: list[int] = []
        joining: list[int] = []
        first = 0
        for batch in self.batches:
            own = list(range(first, first + len(batch.inputs)))
            first += len(own)
            if batch.joins:
                joining += own
                continue
            # Any order will do in which the last to learn comes last: it closes the batch.  Some take turns strictly.
            turns = [(k, False) for k in range(len(joining))] + [(k, True) for k in range(len(own) - 1)]
            rng = np.random.default_rng(first)
            rng.shuffle(turns)
            learns = [one for _, one in (sorted(turns) if first % 2 else turns)]
            mixed = {True: iter(own), False: iter(joining)}
            order += [next(mixed[one]) for one in learns] + list(mixed[True])
            joining = []
        return np.array(order + joining, dtype=np.int64)

    def trace(self, progress: Progress | None = None) -> tuple[NetworkModel, Trace]:
        """Run the golden model; return it as the run leaves it, and the trace."""
        model, trace = NetworkModel(self.spec), Trace()
        model.load(self.weights)
        done = 0
        for batch in self.batches:
            if batch.weights is not None:
                model.load(batch.weights)
            if batch.rate is None:
                model.infer(batch.inputs, trace=trace)
            else:
                model.learn(batch.inputs, batch.labels, batch.rate, trace=trace)
            done += len(batch.inputs)
            if progress:
                progress(done, self.samples, "golden model")
        return model, trace

    def expected(self, trace: Trace) -> dict[str, NDArray[Any]]:
        """All words that the hardware must write; see :func:`fregen.runs.expected.expectation`."""
        batches = [(batch.inputs, batch.rate is not None) for batch in self.batches]
        expected = expectation(Schedule.of(self.spec), trace, batches, self.weights, self.passages(trace))
        if any(batch.joins for batch in self.batches):
            expected = self._in_order(expected)
        loads = self._loads()
        if loads:
            images = [pack_weights(Schedule.of(self.spec).memory, weights) for _, weights in loads]
            expected = {**expected, "loads": np.array([at for at, _ in loads]), "loaded": np.stack(images)}
        if self.falter and Schedule.of(self.spec).memory.contexts > 1:
            # How samples overlap depends on when they come.
            expected["counters"][COUNTERS.index("waiting_cycles")] = _ANY_COUNT
        return {**expected, **self._places(expected)}

    def passages(self, trace: Trace) -> list[Passage]:
        """List what every sample goes through, in the order in which they are sent."""
        contrast = not self.spec.has_offsets
        nonzero, free_steps = np.concatenate(trace.nonzero).tolist(), np.concatenate(trace.free_steps).tolist()
        learning = [batch for batch in self.batches if batch.rate is not None]
        nudged_steps = iter(np.concatenate(trace.nudged_steps).tolist() if learning else [])
        occupancy = iter([(np.count_nonzero(batch.inputs, axis=0), len(batch.inputs)) for batch in learning])
        return [
            Passage(
                nonzero[send.sample],
                free_steps[send.sample],
                next(nudged_steps) if send.learns else None,
                send.learns and contrast,
                next(occupancy) if send.closes else None,
                send.rate is not None,
            )
            for send in self._sends()
        ]

    def _places(self, expected: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Say in which slot and in which context each sample is, and with that the planes of its steps."""
        slots, memory = self._slots(), Schedule.of(self.spec).memory
        learns = np.array([send.learns for send in self._sends()], dtype=bool)
        contexts = np.arange(self.samples) % memory.contexts
        of = {"free": contexts, "readout": contexts[learns], "nudged": contexts[learns]}
        places = {"free_slots": slots, "readout_slots": slots[learns]}
        places |= {"free_contexts": contexts, "readout_contexts": contexts[learns]}
        for phase, numbers in of.items():
            planes = expected[f"{phase}_planes"]
            own = np.repeat(numbers, expected[f"{phase}_counts"])
            places[f"{phase}_planes"] = np.where(planes >= memory.slots, planes + own, planes).astype(planes.dtype)
        return places

    def _loads(self) -> list[tuple[int, Sequence[NDArray[Any]]]]:
        """List the weights that are loaded between batches, each with the number of the update that comes next."""
        learning = [batch for batch in self.batches if batch.rate is not None]
        return [(update, batch.weights) for update, batch in enumerate(learning) if batch.weights is not None]

    def _slots(self) -> NDArray[np.int64]:
        """Return the slot of every sample in the order in which they are sent.

        It is the lowest that holds no sample of the batch, as it is when the sample before is taken, and none of those
        that may be in flight.
        """
        contexts = Schedule.of(self.spec).memory.contexts
        slots: list[int] = []
        batch: set[int] = set()
        ended = False
        for send in self._sends():
            busy = batch | set(slots[-contexts:])
            slots.append(next(k for k in range(len(busy) + 1) if k not in busy))
            batch = set() if ended else batch
            batch |= {slots[-1]} if send.learns else set()
            ended = send.closes
        return np.array(slots, dtype=np.int64)

    def _sends(self) -> list[_Send]:
        """List all samples in the order in which they are sent."""
        order = iter(self.order.tolist())
        patience = np.random.default_rng(self.samples).random(self.samples) < self.patience
        sends: list[_Send] = []
        kinds: dict[int, tuple[bool, bool, bool]] = {}
        count = waiting = 0
        rate = None
        for number, batch in enumerate(self.batches):
            size, learns = len(batch.inputs), batch.rate is not None
            for k in range(size):
                ends = learns and k == size - 1
                # A full batch ends by itself; a host may say so all the same.
                kinds[count + k] = learns, ends, ends and (size < self.spec.design.learning.batch or number % 2 == 1)
            count, waiting = count + size, waiting + size
            if batch.joins and number < len(self.batches) - 1:
                continue
            change = learns and (batch.rate != rate or batch.weights is not None)
            rate = batch.rate if learns else rate
            for k in range(waiting):
                sample = next(order)
                wait = (change and k == 0) or patience[len(sends)]
                weights = batch.weights if k == 0 else None
                sends.append(_Send(sample, *kinds[sample], float(rate or 1.0) if wait else None, weights))
            waiting = 0
        return sends

    def _in_order(self, expected: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Sort what the golden model computed batch after batch into the order in which samples are sent.

        Only streams that samples to infer take part in change: the others are about samples that learn, whose order
        stays.
        """
        order = self.order
        ends = np.cumsum(expected["free_counts"])
        begins = ends - expected["free_counts"]
        words = np.concatenate([np.arange(begins[sample], ends[sample]) for sample in order])
        sorted_ = {name: expected[name][words] for name in ("free_words", "free_sites", "free_planes")}
        sorted_ |= {name: expected[name][order] for name in ("free_counts", "predictions")}
        return {**expected, **sorted_}

    def stimulus(self) -> NDArray[np.uint32]:
        """Words that the bench sends: all weights, then commands (see ``bench.v``)."""
        schedule = Schedule.of(self.spec)
        payload = sample_layout(Sizes(schedule))
        above = {name: payload[name].offset - payload["words"].width for name in ("label", "learn", "close")}
        parts: list[NDArray[Any]] = [pack_weights(schedule.memory, self.weights).reshape(-1)]
        inputs = np.concatenate([batch.inputs for batch in self.batches])
        given = np.concatenate([np.asarray(batch.labels) for batch in self.batches])
        surplus = [_SURPLUS] * (schedule.memory.sample_beats * schedule.memory.words - schedule.memory.input_size)
        for send in self._sends():
            if send.rate is not None:
                parts.append(np.array([_RATE, log2_scale(send.rate)]))
            left: list[NDArray[Any]] = []
            if send.weights is not None:
                image = pack_weights(schedule.memory, send.weights).reshape(-1)
                cut = 1 + (self.falter + send.sample) % (image.size - 1) if self.falter % 2 else image.size
                first, *left = np.split(image, [cut] if cut < image.size else [])
                parts += [np.array([_LOAD, first.size]), first]
            fields = {
                "label": int(given[send.sample]),
                "learn": int(send.learns),
                "close": int(send.says_so or (self.unruly and not send.learns)),
            }
            header = sum(value << above[name] for name, value in fields.items())
            parts.append(np.array([_SAMPLE, header, *inputs[send.sample], *surplus]))
            parts += [part for rest in left for part in (np.array([_LOAD, rest.size]), rest)]
        parts.append(np.array([_END]))
        return np.concatenate(parts).astype(np.int64).astype(np.uint32)

    def cycle_limit(self, expected: Mapping[str, NDArray[Any]]) -> int:
        """Cycles after which a simulation has surely hung: twice what the cycle model predicts, and loading.

        A host that falters may take twice as long, and takes no prediction for some ten thousand cycles.
        """
        counters = dict(zip(COUNTERS, expected["counters"].tolist(), strict=True))
        busy = sum(max(counters[name], 0) for name in COUNTERS if name.endswith("_cycles"))
        memory = Schedule.of(self.spec).memory
        load = memory.weight_depth * (memory.lanes * 2 + 4) * (1 + len(self._loads()))
        limit = int(2 * busy + 2 * load + 4 * self.samples * memory.input_size + 10_000 + self.restart)
        return 2 * limit + 40_000 if self.falter else limit
