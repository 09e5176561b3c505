"""The cycle model: how long samples take, and how many multiplications they make, to the cycle.

A program takes one cycle to jump and one to load its first instruction; each further instruction follows the one before
without a gap, if that has two beats or more.  Then there are only the waits that the schedule asks for: until earlier
results of the sample are written (``sync``, and a program's end), and at the last beat of a tile until the neurons
before it have drained.  With one sample in flight every program takes its own time whatever comes before it; with more
of them :class:`~fregen.plan.in_flight.Replay` follows all of them at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .beats import Work, learning_work, product_work
from .in_flight import Passage, Replay
from .instruction import Drain, Feed
from .schedule import Program, Schedule

__all__ = ["PHASES", "PHASE_OF", "CycleModel", "PhaseCycles"]


@dataclass(frozen=True)
class PhaseCycles:
    """Cycles and useful multiplications by phase.

    Parameters
    ----------
    cycles, macs : dict of str to int
        For ``free``, ``readout``, ``nudged``, ``update``: cycles in which the lanes get work of that phase, and
        multiplications of a real weight (or row) with a real word.
    lanes : int
        Multipliers.
    waiting : int
        Cycles in which samples are under way, and none of them has work for the lanes.
    """

    cycles: dict[str, int]
    macs: dict[str, int]
    lanes: int
    waiting: int = 0

    def __add__(self, other: "PhaseCycles") -> "PhaseCycles":
        return self._joined(other, 1)

    def __sub__(self, other: "PhaseCycles") -> "PhaseCycles":
        return self._joined(other, -1)

    def _joined(self, other: "PhaseCycles", sign: int) -> "PhaseCycles":
        cycles = {phase: self.cycles[phase] + sign * other.cycles[phase] for phase in self.cycles}
        macs = {phase: self.macs[phase] + sign * other.macs[phase] for phase in self.macs}
        return PhaseCycles(cycles, macs, self.lanes, self.waiting + sign * other.waiting)

    @property
    def total_cycles(self) -> int:
        """Cycles of all phases, and those of waiting."""
        return sum(self.cycles.values()) + self.waiting

    def utilisation(self, phase: str | None = None) -> float:
        """Divide useful multiplications by (lanes x cycles): of a phase's own cycles, or of all with waiting."""
        cycles = self.total_cycles if phase is None else self.cycles[phase]
        macs = sum(self.macs.values()) if phase is None else self.macs[phase]
        return macs / (self.lanes * cycles) if cycles else 0.0


PHASE_OF = {
    Program.FREE_FIRST: "free",
    Program.FREE_STEP: "free",
    Program.PREDICT: "readout",
    Program.READOUT: "readout",
    Program.NUDGED_FIRST: "nudged",
    Program.NUDGED_STEP: "nudged",
    Program.CONTRAST: "nudged",
    Program.UPDATE: "update",
}
"""Phase that a program's cycles count for."""

PHASES = ("free", "readout", "nudged", "update")
"""Phases that the hardware counts cycles of."""


class CycleModel:
    """Predicts the hardware's cycle and multiplication counters.

    Parameters
    ----------
    schedule : Schedule
        What the hardware runs.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.lanes = schedule.memory.lanes
        self._work = lru_cache(maxsize=None)(self._count)

    def work(self, name: Program, nonzero: int = 0) -> Work:
        """Beats and multiplications of a program (not UPDATE) for a sample with so many nonzero input words.

        Its ``cycles`` are those that it takes when no other sample is in flight.
        """
        has_input = any(i.feed is Feed.INPUT for i in self.schedule.programs[name])
        return self._work(name, nonzero if has_input else 0)

    def update(self, occupancy: NDArray[np.integer], samples: int) -> Work:
        """Beats, multiplications and cycles of the update of one batch.

        Parameters
        ----------
        occupancy : (inputs,) integer array
            How many samples of the batch have a nonzero word at each input.
        samples : int
            Samples of the batch.
        """
        instructions = self.schedule.programs[Program.UPDATE]
        return self._summed(
            Program.UPDATE,
            [learning_work(i, self.lanes, occupancy, samples, self.schedule.pipeline) for i in instructions],
        )

    def _count(self, name: Program, nonzero: int) -> Work:
        return self._summed(name, [product_work(i, self.lanes, nonzero) for i in self.schedule.programs[name]])

    def _summed(self, name: Program, works: Sequence[Work]) -> Work:
        """Work of a program, from that of its instructions."""
        return Work(sum(w.beats for w in works), sum(w.macs for w in works), self._replay(name, works))

    def _replay(self, name: Program, works: Iterable[Work]) -> int:
        """Cycles of a program that runs alone: jump, instructions, and the wait at its end."""
        instructions = self.schedule.programs[name]
        if not instructions:
            return 0
        # Cycle 0 jumps; an instruction is taken when the one before has begun, and begins when that has finished.
        free, ready, begun, drained, written = 0, self.schedule.pipeline.jump, 0, 0, 0
        for instruction, work in zip(instructions, works, strict=True):
            taken = max(begun, ready, written if instruction.sync else 0)
            begun = max(free, taken + 1) + 1
            last = begun - 1 + work.cycles
            if instruction.drain is not Drain.NONE:
                last = max(last, drained)
                drained = last + instruction.drain_cycles
            if instruction.wait:
                written = max(written, last + instruction.wait)
            free, ready = last, taken + 2
        return max(free, written) + 2

    def predict(self, passages: Iterable[Passage]) -> PhaseCycles:
        """Predict what the counters count in a run, from its samples in order.

        The host is taken to offer every word, and to take every prediction, at once; with one sample in flight cycles
        do not depend on it.
        """
        cycles, macs, total = dict.fromkeys(PHASES, 0), dict.fromkeys(PHASES, 0), 0

        def add(work: Work, phase: str, times: int = 1) -> int:
            cycles[phase] += times * work.beats
            macs[phase] += times * work.macs
            return times * work.cycles

        replay = Replay(self.schedule) if self.schedule.memory.contexts > 1 else None
        for passage in passages:
            for name, times in passage.programs():
                total += add(self.work(name, passage.nonzero), PHASE_OF[name], times)
            if passage.batch is not None:
                total += add(self.update(*passage.batch), "update")
            if replay is not None:
                replay.send(passage)
        if replay is not None:
            total = replay.finish()
        return PhaseCycles(cycles, macs, self.lanes, total - sum(cycles.values()))
