"""What docs/instructions.md says that a schedule MUST keep, read anew from the compiled instructions of many designs.

The check knows nothing of the compiler: it walks the programs of a schedule and remembers what has been written.
"""

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from fregen.design.document import Design
from fregen.plan import Schedule
from fregen.plan.instruction import Drain, Feed, Op, Start, Store
from fregen.plan.schedule import Program
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
NETWORKS = {
    "one layer": {"layers": (7, 5, 3)},
    "chain": {"layers": (9, 6, 5, 7, 4)},
    "residual": {"layers": (9, 6, 5, 6, 7, 5, 4), "topology": "residual", "block": 2},
    "fixed feedback": {"layers": (9, 6, 5, 6, 3), "topology": "random", "feedback": "asymmetric"},
}
LEARNING = [
    {"order": order, "nudged": form, "error": error}
    for order, form, error in product(("sweep", "synchronous"), ("offset", "states"), ("held", "recomputed"))
]

HARDWARE = ((1, 1, 1), (4, 1, 1), (1, 4, 1), (4, 2, 1), (4, 1, 2), (4, 2, 4))
"""Lanes, samples in flight, and neurons that leave in a cycle."""


def designs():
    for name in ("tiny", "digits", "residual", "mnist"):
        yield Design.load(ROOT / "rtl" / name / "design.toml")
    for network, learning, (lanes, samples, drain) in product(NETWORKS.values(), LEARNING, HARDWARE):
        hardware = {"lanes": lanes, "samples": samples, "drain": drain}
        yield Design.parse({"name": "t", "network": network, "learning": learning, "hardware": hardware})


def faults(programs, memory):
    """Every MUST that the programs break, as its number and where."""
    spec = memory.spec
    output = spec.graph.output
    layers = {base: layer for layer, base in enumerate(memory.vector_bases)}
    saved = set()
    for name, lines in programs.items():
        if bool(lines) != (name is not Program.CONTRAST or not spec.has_offsets):
            yield 9, name
        if [line.end for line in lines] != [False] * (len(lines) - 1) + [True] * bool(lines):
            yield 9, name
        fresh, opened, classes = set(), False, 0
        saves = 0
        for number, line in enumerate(lines):
            place = (name, number)
            if line.sync:
                fresh.clear()
            reads = set()
            if line.op is Op.PRODUCT and line.feed in (Feed.BROADCAST, Feed.RING):
                reads = {(line.store, line.plane, line.vector)}
            elif line.op is Op.COPY:
                reads = {(line.store, line.plane, base) for base in memory.vector_bases}
            if reads & fresh:
                yield 1, place
            if line.op is Op.UPDATE and fresh:
                yield 7, place
            if line.op is not Op.PRODUCT:
                continue
            if (line.start is Start.KEEP) != opened:
                yield 2, place
            if line.start is not Start.KEEP:
                saves = 0
            opened = line.drain is Drain.NONE
            if not opened and line.drain_count < 1:
                yield 2, place
            if line.start is Start.LOAD and line.drive not in saved:
                yield 3, place
            if line.save:
                saves += 1
                saved.add(line.drive)
            if saves > 1:
                yield 3, place
            if not opened and line.feed in (Feed.BROADCAST, Feed.INPUT) and line.drain_count > line.last_rows:
                yield 4, place
            if not opened and line.feed is Feed.RING and line.drain_count > line.last_columns:
                yield 4, place
            if line.drain is Drain.SOFTMAX:
                if line.neuron != classes:
                    yield 6, place
                classes += line.drain_count
                if line.wants_error and classes != spec.graph.layers[output].size:
                    yield 6, place
                if classes == spec.graph.layers[output].size:
                    classes = 0
            elif line.drain is not Drain.NONE and (classes or line.wants_error):
                yield 6, place
            if line.drain is not Drain.NONE:
                store = Store.STATES if line.drain is Drain.STATE else Store.OFFSETS
                layer = max(base for base in layers if base <= line.target)
                fresh.add((store, line.target_plane, layer))
        if opened or classes:
            yield 2, name


ALL = list(designs())


def test_designs_of_every_kind_are_checked():
    assert len(ALL) == 4 + len(NETWORKS) * len(LEARNING) * len(HARDWARE)


@pytest.mark.parametrize("lanes", [1, 4, 16])
def test_schedules_keep_what_the_page_says(lanes):
    found = {}
    for index, design in enumerate(ALL):
        if design.hardware.lanes == lanes:
            schedule = Schedule.of(NetworkSpec(design))
            broken = list(faults(schedule.programs, schedule.memory))
            if broken:
                found[index, design.name] = broken[:3]
    assert not found


def test_shifts_are_those_that_are_built():
    for design in ALL:
        schedule = Schedule.of(NetworkSpec(design))
        low, high = schedule.sigmas
        assert all(line.shift in schedule.shifts for line in schedule.instructions)
        assert all(low <= line.sigma <= high for line in schedule.programs[Program.UPDATE])


PLANTED = {  # the MUST that is broken, and how
    "no wait": (1, lambda line: replace(line, sync=False) if line.sync else None),
    "a tile that goes on": (2, lambda line: replace(line, start=Start.KEEP) if line.start is Start.CLEAR else None),
    "a drive that is not saved": (3, lambda line: replace(line, save=False) if line.save else None),
    "a row too many": (
        4,
        lambda line: (
            replace(line, drain_count=line.drain_count + 1)
            if line.drain is Drain.STATE and line.feed is not Feed.NOTHING
            else None
        ),
    ),
    "a class left out": (
        6,
        lambda line: replace(line, neuron=line.neuron + 1) if line.drain is Drain.SOFTMAX else None,
    ),
    "errors of states": (6, lambda line: replace(line, wants_error=True) if line.drain is Drain.STATE else None),
    "no end": (9, lambda line: replace(line, end=False) if line.end else None),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_schedule_that_breaks_one_is_seen(fault):
    """In every reference design, and with samples in flight, wherever the fault can be planted."""
    seen, (must, plant) = 0, PLANTED[fault]
    for design in (*ALL[:3], ALL[-1]):
        schedule = Schedule.of(NetworkSpec(design))
        for name, lines in schedule.programs.items():
            for number, line in enumerate(lines):
                changed = plant(line)
                if changed is not None:
                    programs = {**schedule.programs, name: (*lines[:number], changed, *lines[number + 1 :])}
                    assert must in {fault for fault, _ in faults(programs, schedule.memory)}, (
                        design.name,
                        name,
                        number,
                    )
                    seen += 1
    assert seen > 3
