"""The schedule as a memory: instruction fields laid out in bits, as wide as the schedule needs them."""

from dataclasses import fields

from amaranth.lib import data

from ..plan import Instruction, Schedule

__all__ = ["instruction_layout", "instruction_words"]


def _numbers(schedule: Schedule) -> list[dict[str, int]]:
    """All instructions as plain numbers: shifts as positions in ``schedule.shifts``, sigma above the least."""
    low, _ = schedule.sigmas
    numbers = []
    for line in schedule.lines:
        entry = {field.name: int(getattr(line, field.name)) for field in fields(Instruction)}
        entry["shift"] = schedule.shifts.index(line.shift)
        entry["sigma"] = max(line.sigma - low, 0)
        numbers.append(entry)
    return numbers


def instruction_layout(schedule: Schedule) -> data.StructLayout:
    """Fields of :class:`~fregen.plan.Instruction`, each as wide as its greatest value."""
    numbers = _numbers(schedule)
    greatest = {name: max(entry[name] for entry in numbers) for name in numbers[0]}
    return data.StructLayout({name: max(value.bit_length(), 1) for name, value in greatest.items()})


def instruction_words(schedule: Schedule) -> list[dict[str, int]]:
    """Contents of the schedule memory."""
    return _numbers(schedule)
