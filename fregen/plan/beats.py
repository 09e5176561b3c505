"""Beats: how many an instruction issues, and how many multiplications they make."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .instruction import Feed, Instruction, Op

__all__ = ["Work", "learning_work", "product_work"]


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


def learning_work(instruction: Instruction, lanes: int, occupancy: NDArray[np.integer], samples: int) -> Work:
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
    """
    loads = np.asarray(occupancy) if instruction.feed is Feed.INPUT else np.full(instruction.count, samples)
    rows = (instruction.groups - 1) * lanes + instruction.last_rows
    beats, columns = int(loads.sum()) * instruction.groups, np.flatnonzero(loads)
    if columns.size == 0:
        return Work(0, 0, instruction.count + 1)
    # While a column is worked on, the scan looks for the next one.
    gaps = np.diff(columns, append=instruction.count)
    cycles = 1 + int(columns[0]) + int(np.maximum(loads[columns] * instruction.groups, gaps).sum())
    return Work(beats, int(loads.sum()) * rows, cycles)
