"""The cycle model: how long every program takes, and how many multiplications it makes, to the cycle.

The sequencer spends one cycle to jump to a program, one to load each instruction, one a beat, and waits where the
schedule says so: until earlier results are written (``sync``), and at the last beat of a tile until the neurons
before it have drained. :class:`CycleModel` replays just that.  Programs without an input product take the same time
for every sample.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .instruction import Drain, Feed, Instruction, Op
from .schedule import Program, Schedule

__all__ = ["CycleModel", "PhaseCycles"]


@dataclass(frozen=True)
class PhaseCycles:
    """Cycles and useful multiplications by phase.

    Parameters
    ----------
    cycles, macs : dict of str to int
        For ``free``, ``readout``, ``nudged``, ``update``: cycles in which the sequencer is in that phase, and
        multiplications of a real weight (or row) with a real word.
    lanes : int
        Multipliers.
    """

    cycles: dict[str, int]
    macs: dict[str, int]
    lanes: int

    @property
    def total_cycles(self) -> int:
        """Cycles of all phases."""
        return sum(self.cycles.values())

    def utilisation(self, phase: str | None = None) -> float:
        """Divide useful multiplications by (lanes x busy cycles), of one phase or of all."""
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
        self._program = lru_cache(maxsize=None)(self._replay)

    def program(self, name: Program, nonzero: int = 0) -> tuple[int, int]:
        """Cycles and multiplications of a program (not UPDATE) for a sample with so many nonzero input words."""
        has_input = any(instruction.feed is Feed.INPUT for instruction in self.schedule.programs[name])
        return self._program(name, nonzero if has_input else 0)

    def _replay(self, name: Program, nonzero: int) -> tuple[int, int]:
        instructions = self.schedule.programs[name]
        if not instructions:
            return 0, 0
        now, chain_free, written, macs = 1, 0, 0, 0
        for instruction in instructions:
            beats, useful = self._beats(instruction, nonzero)
            begin = max(now + 1, written) if instruction.sync else now + 1
            last = begin + beats - 1
            if instruction.drain is not Drain.NONE:
                last = max(last, chain_free)
                chain_free = last + instruction.drain_count
            if instruction.wait:
                written = max(written, last + instruction.wait + 1)
            macs += useful
            now = last + 1
        return max(now, written) + 1, macs

    def _beats(self, instruction: Instruction, nonzero: int) -> tuple[int, int]:
        if instruction.op is Op.COPY:
            return instruction.count, 0
        if instruction.op is Op.DIFFERENCE:
            return 2 * instruction.count, 0
        if instruction.feed is Feed.NOTHING:
            return 1, 0
        if instruction.feed is Feed.RING:
            rows = (instruction.groups - 1) * self.lanes + instruction.last_rows
            return instruction.groups * self.lanes, rows * instruction.last_columns
        count = nonzero if instruction.feed is Feed.INPUT else instruction.count
        return max(count, 1), count * instruction.last_rows

    def update(self, occupancy: NDArray[np.integer], samples: int) -> tuple[int, int]:
        """Cycles and multiplications of the update of one batch.

        Parameters
        ----------
        occupancy : (inputs,) integer array
            How many samples of the batch have a nonzero word at each input.
        samples : int
            Samples of the batch.
        """
        now, macs = 1, 0
        for instruction in self.schedule.programs[Program.UPDATE]:
            loads = np.asarray(occupancy) if instruction.feed is Feed.INPUT else np.full(instruction.count, samples)
            rows = (instruction.groups - 1) * self.lanes + instruction.last_rows
            macs += int(loads.sum()) * rows
            columns = np.flatnonzero(loads)
            begin = now + 1
            if columns.size == 0:
                last = begin + instruction.count
            else:
                gaps = np.diff(columns, append=instruction.count)
                last = begin + int(columns[0]) + int(np.maximum(loads[columns] * instruction.groups, gaps).sum())
            written = last + instruction.wait + 1
            now = last + 1
        return max(now, written) + 1, macs

    def predict(
        self,
        nonzero: ArrayLike,
        free_steps: ArrayLike,
        nudged_steps: ArrayLike | None = None,
        batches: Iterable[NDArray[np.integer]] = (),
    ) -> PhaseCycles:
        """Counters after a run.

        Parameters
        ----------
        nonzero : (samples,) integers
            Nonzero input words of every sample.
        free_steps : (samples,) integers
            Steps that the golden model took.
        nudged_steps : (samples,) integers, optional
            Likewise; without them the samples are only inferred.
        batches : iterable of (batch, inputs) arrays
            Input words of every batch that was learnt.
        """
        cycles, macs = dict.fromkeys(PHASES, 0), dict.fromkeys(PHASES, 0)

        def add(name: Program, times: int, nonzero: int = 0) -> None:
            spent, made = self.program(name, nonzero)
            cycles[PHASE_OF[name]] += times * spent
            macs[PHASE_OF[name]] += times * made

        counts, times = np.unique(np.asarray(nonzero), return_counts=True)
        for count, repeated in zip(counts.tolist(), times.tolist(), strict=True):
            add(Program.FREE_FIRST, repeated, count)
            add(Program.PREDICT if nudged_steps is None else Program.READOUT, repeated, count)
        samples = int(times.sum())
        add(Program.FREE_STEP, int(np.sum(free_steps)) - samples)
        if nudged_steps is not None:
            add(Program.NUDGED_FIRST, samples)
            add(Program.NUDGED_STEP, int(np.sum(nudged_steps)) - samples)
            add(Program.CONTRAST, samples)
        for batch in batches:
            spent, made = self.update(np.count_nonzero(batch, axis=0), len(batch))
            cycles["update"] += spent
            macs["update"] += made
        return PhaseCycles(cycles, macs, self.lanes)
