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


def instruction_words(schedule: Schedule) -> list[int]:
    """Contents of the schedule memory: each instruction's fields in the bits of :func:`instruction_layout`.

    The layout's own constants would give the same words, and take a quarter of the time in which a core is emitted.
    """
    offsets = {name: field.offset for name, field in instruction_layout(schedule)}
    return [sum(entry[name] << offset for name, offset in offsets.items()) for entry in _numbers(schedule)]
