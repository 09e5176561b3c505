"""The schedule as a memory: instruction fields laid out in bits, as wide as the schedule needs them."""

from dataclasses import fields
from enum import IntEnum
from typing import Any, get_type_hints

from amaranth.lib import data

from ..plan import Instruction, Schedule

__all__ = ["instruction_layout", "instruction_words"]


def _numbers(schedule: Schedule) -> list[dict[str, int]]:
    """All instructions as plain numbers: shifts as positions in ``schedule.shifts``, sigma above the least."""
    low, _ = schedule.sigmas
    numbers = []
    for instruction in schedule.instructions:
        entry = {field.name: int(getattr(instruction, field.name)) for field in fields(Instruction)}
        entry["shift"] = schedule.shifts.index(instruction.shift)
        entry["sigma"] = max(instruction.sigma - low, 0)
        numbers.append(entry)
    return numbers


def instruction_layout(schedule: Schedule) -> data.StructLayout:
    """Fields of :class:`~fregen.plan.Instruction`: enumerations, and numbers as wide as their greatest value."""
    numbers = _numbers(schedule)
    shapes: dict[str, Any] = {}
    for name, kind in get_type_hints(Instruction).items():
        greatest = max(entry[name] for entry in numbers)
        shapes[name] = kind if issubclass(kind, IntEnum) else max(greatest.bit_length(), 1)
    return data.StructLayout(shapes)


def instruction_words(schedule: Schedule) -> list[dict[str, int]]:
    """Contents of the schedule memory."""
    return _numbers(schedule)
