"""Beats: how many an instruction issues, and how many multiplications they make."""

from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .instruction import Feed, Instruction, Op
from .pipeline import PORTABLE, Pipeline

__all__ = ["COLUMNS_AHEAD", "Work", "learning_work", "product_work"]

COLUMNS_AHEAD = 8
"""Columns that the walk of an update has asked for and not yet begun, at most."""


class Work(NamedTuple):
    """What an instruction does.

    Parameters
    ----------
    beats : int
        Cycles in which it issues a beat.
    macs : int
        Multiplications of a real weight (or row) with a real word.
    cycles : int
        Cycles from its first one to its last beat, without waits: an update scans over inputs that no sample feeds.
    """

    beats: int
    macs: int
    cycles: int


def product_work(instruction: Instruction, lanes: int, nonzero: int) -> Work:
    """Work of a product or a move, for a sample with so many nonzero input words."""
    if instruction.op is Op.COPY:
        beats, macs = instruction.count, 0
    elif instruction.op is Op.DIFFERENCE:
        beats, macs = 2 * instruction.count, 0
    elif instruction.feed is Feed.NOTHING:
        beats, macs = 1, 0
    elif instruction.feed is Feed.RING:
        rows = (instruction.groups - 1) * lanes + instruction.last_rows
        beats, macs = instruction.groups * lanes, rows * instruction.last_columns
    else:
        count = nonzero if instruction.feed is Feed.INPUT else instruction.count
        beats, macs = max(count, 1), count * instruction.last_rows
    return Work(beats, macs, beats)


def learning_work(
    instruction: Instruction,
    lanes: int,
    occupancy: NDArray[np.integer],
    samples: int,
    pipeline: Pipeline = PORTABLE,
) -> Work:
    """Work of an update.

    Parameters
    ----------
    instruction : Instruction
        An update.
    lanes : int
        P.
    occupancy : (inputs,) integer array
        How many samples of the batch have a nonzero word at each input.
    samples : int
        Samples of the batch.
    pipeline : Pipeline, optional
        How long the walk takes to know what a column holds.
    """
    loads = np.asarray(occupancy) if instruction.feed is Feed.INPUT else np.full(instruction.count, samples)
    rows = (instruction.groups - 1) * lanes + instruction.last_rows
    beats = loads * instruction.groups
    cycles = 1 + _walk(beats.tolist(), pipeline.scan) + pipeline.element
    return Work(int(beats.sum()), int(loads.sum()) * rows, cycles)


def _walk(beats: list[int], scan: int) -> int:
    """Cycles until the last beat of columns with so many beats each, from that in which the first one is asked for.

    A column is asked for in every cycle, while fewer than :data:`COLUMNS_AHEAD` wait.  One without beats waits until it
    is known, another one until the column before has had its beats.
    """
    waiting: list[int] = []  # from which cycle each no longer does, the least first
    asked, last = -1, 0
    for count in beats:
        asked = asked + 1 if len(waiting) < COLUMNS_AHEAD else max(asked + 1, heappop(waiting))
        known = asked + scan + 1
        if count:
            known = max(known, last)
            last = known + count
            known += 2
        heappush(waiting, known)
    return max(last, asked + 1, *waiting)
