"""The sequencer's parts, each alone: fetch, walk, scan, issue, choice."""

from itertools import pairwise, product

import numpy as np
import pytest
from amaranth.hdl import Const
from amaranth.sim import Simulator
from unit_bench import PERIOD, flat, make_sizes, packed, plant, play

from fregen.hdl.choice import ChoiceUnit
from fregen.hdl.fetch import FetchUnit
from fregen.hdl.issue import IssueUnit
from fregen.hdl.program import instruction_layout, instruction_words
from fregen.hdl.scan import ScanUnit
from fregen.hdl.walk import WalkUnit
from fregen.plan import PORTABLE, Drain, Feed, Op, Pipeline, Program
from fregen.plan.beats import COLUMNS_AHEAD, learning_work
from fregen.plan.cycles import PHASE_OF, PHASES

pytestmark = pytest.mark.rtl


def word_of(sizes, number):
    """An instruction of the schedule as the number of its bits."""
    return instruction_words(sizes.schedule)[number]


def fields_of(layout, number):
    return {name: number >> offset & ((1 << width) - 1) for name, (offset, width) in flat(layout).items()}


def played(sizes, program, gaps):
    """(valid, instruction) of every cycle; and the cycles of jump and loads, each so long after an instruction came."""
    rows, events = [{}, {"jump": 1, "program": int(program)}], [1]
    for gap in gaps:
        rows += [{"jump": 0, "load": 0} for _ in range(1 + gap)] + [{"load": 1}]
        events.append(len(rows) - 1)
    rows.append({"load": 0})
    return play(FetchUnit(sizes.schedule), rows, ["valid", "fetched"], after=3), events


def test_a_word_of_the_schedule_is_its_instruction_laid_out():
    """By the layout's own constants, field by field; a shift is its place in the list of shifts."""
    schedule = make_sizes((6, 5, 4, 3), 2).schedule
    layout, words = instruction_layout(schedule), instruction_words(schedule)
    assert len(words) == len(schedule.instructions)
    for instruction, word in zip(schedule.instructions, words, strict=True):
        fields = {name: int(getattr(instruction, name)) for name, _ in layout}
        fields["shift"] = schedule.shifts.index(instruction.shift)
        fields["sigma"] = max(instruction.sigma - schedule.sigmas[0], 0)
        assert Const.cast(layout.const(fields)).value == word


@pytest.mark.parametrize("program", [p for p in Program if p is not Program.CONTRAST])
@pytest.mark.parametrize("gap", [0, 3])
def test_fetch_gives_the_instructions_of_a_program_in_order(program, gap):
    """Two cycles after a jump the first one, two cycles after each load the next; till then it is not valid."""
    sizes = make_sizes((6, 5, 4, 3), 2)
    start, count = sizes.schedule.starts[program], len(sizes.schedule.programs[program])
    found, events = played(sizes, program, [gap] * (count - 1))
    assert found[1] == (1, word_of(sizes, 0))
    assert [t for t, (valid, _) in enumerate(found) if not valid] == [t + 1 for t in events]
    for number, (begin, end) in enumerate(zip(events, [*events[1:], events[-1] + 3], strict=True)):
        assert {word for _, word in found[begin + 2 : end + 1]} == {word_of(sizes, start + number)}


def test_a_jump_wins_over_a_load():
    """The last instruction of a program may be taken in the cycle in which nothing is known of the next program."""
    sizes = make_sizes((6, 5, 4, 3), 2)
    rows = [{"jump": 1, "load": 1, "program": int(Program.READOUT)}, {"jump": 0, "load": 0}]
    found = play(FetchUnit(sizes.schedule), rows, ["valid", "fetched"], after=2)
    assert found[2] == (1, word_of(sizes, sizes.schedule.starts[Program.READOUT]))


def beats_of(sizes, line, nonzero):
    """(index, rotate, group, address of the first weight, half, turned) of every beat; turned counts in a ring."""
    base, lanes = line.weight, sizes.lanes
    if line.op is Op.DIFFERENCE:
        return [(k, 0, 0, base, half, None) for k in range(line.count) for half in (0, 1)]
    if line.op is Op.PRODUCT and line.feed is Feed.RING:
        return [
            (0, t, g, base + g * line.stride, 0, int(t == lanes - 1)) for g in range(line.groups) for t in range(lanes)
        ]
    many = {Feed.NOTHING: 1, Feed.INPUT: max(nonzero, 1)}.get(line.feed, line.count)
    return [(k, 0, 0, base, 0, None) for k in range(line.count if line.op is Op.COPY else many)]


WALKS = {  # layers, lanes
    "two lanes": ((6, 5, 4, 3), 2),
    "one lane": ((6, 3, 1, 2), 1),
    "four lanes, one group": ((6, 4, 3, 2), 4),
    "ones": ((1, 1, 1, 1), 2),
    "a word a plane": ((2, 1, 1), 4),
}


def walk_differences(name, nonzero, pauses):
    """All products and moves of a schedule, with a pause before every so many steps, or none.

    The instruction is shown as ``next`` in the cycle of ``clear`` alone, which may be that of the last step before.
    """
    (layers, lanes), learning = WALKS[name], {"order": "synchronous", "nudged": "states", "error": "recomputed"}
    sizes, nonzero = make_sizes(layers, lanes, learning=learning), min(nonzero, layers[0])
    rows, wanted = [{"step": 0}], []
    for number, line in enumerate(sizes.schedule.instructions):
        if line.op is Op.UPDATE:
            continue
        if pauses:
            rows.append({"step": 0, "clear": 0})
        rows[-1] |= {"next": word_of(sizes, number), "nonzero": nonzero, "clear": 1}
        beats = beats_of(sizes, line, nonzero)
        for k, beat in enumerate(beats):
            ends = int(k == 0), int(k == len(beats) - 1)
            for step in (0, 1) if pauses and k % pauses == 0 else (1,):
                # What is shown beside `clear` is another instruction than the one that is walked through.
                rows.append({"clear": 0, "step": step, "instruction": word_of(sizes, number), "next": 0, "nonzero": 0})
                wanted.append((len(rows) - 1, beat, ends))
    unit = WalkUnit(sizes)
    found = [fields_of(unit.o.shape(), number) for (number,) in play(unit, rows, ["o"])]
    names, wrong = ("index", "rotate", "group", "row_base", "half", "turned"), []
    for at, beat, ends in wanted:
        got = [(found[at][key], word) for key, word in zip(names, beat, strict=True) if word is not None]
        if any(a != b for a, b in got) or (found[at]["is_first"], found[at]["is_last"]) != ends:
            wrong.append((at, found[at], beat, ends))
    return wrong


@pytest.mark.parametrize("pauses", [0, 1, 3])
@pytest.mark.parametrize("nonzero", [0, 1, 2, 6])
@pytest.mark.parametrize("name", WALKS)
def test_walk_visits_every_beat_once_and_waits_where_it_is_not_stepped(name, nonzero, pauses):
    wrong = walk_differences(name, nonzero, pauses)
    assert not wrong, wrong[:3]


WALK_FAULTS = {
    "a last beat of a walk a step too soon": {"index + 1 == last_index": "index + 2 == last_index"},
    "a difference that ends with its first half": {"is_last.eq(~half & (index": "is_last.eq(half & (index"},
    "a ring that ends with every group": {
        "is_last.eq((rotate == lanes - 2) & is_last_group)": "is_last.eq(rotate == lanes - 2)",
    },
    "the group before the last one ends": {"group == instruction.groups - 2": "group == instruction.groups - 3"},
    "a group of one lane that does not end": {"is_last.eq(ends if lanes == 1 else 0)": "is_last.eq(0)"},
    "a single group that does not end": {"is_last_group.eq(following.groups == 1)": "is_last_group.eq(0)"},
    "one group of one lane that does not end": {
        "is_last.eq(following.groups == 1 if lanes == 1 else 0)": "is_last.eq(0)",
    },
    "a single beat that is not the last": {"is_last.eq(count == 1)": "is_last.eq(0)"},
    "a difference of one word that ends at once": {"following.op == Op.DIFFERENCE": "Const(0)"},
    "a tile turned a beat too late": {"turned.eq(rotate == lanes - 2)": "turned.eq(rotate == lanes - 1)"},
    "rows without stride": {"row_base + instruction.stride": "row_base + 1"},
    "the stride of what comes next": {"row_base + instruction.stride": "row_base + following.stride"},
    "no beat without nonzero words": {"Mux(self.nonzero == 0, 1, self.nonzero)": "self.nonzero"},
}


@pytest.mark.parametrize("fault", WALK_FAULTS)
def test_a_walk_with_a_fault_is_seen(monkeypatch, fault):
    monkeypatch.setitem(WalkUnit.elaborate.__globals__, "Const", Const)
    plant(monkeypatch, WalkUnit, WALK_FAULTS[fault])
    assert any(walk_differences(name, nonzero, pauses) for name in WALKS for nonzero in (0, 2) for pauses in (0, 3))


class Scan:
    """Run walks of updates beside masks that answer as late as the pipeline says, and write their beats down.

    Attributes
    ----------
    found : list, one a walk, of lists of dict
        Fields of every beat, and the ``cycle``; the first cycle with ``run`` is 0.
    cycles : list, one a walk, of int
        Cycles with ``run``, to the one that is told to be the last.
    ahead : int
        Columns that had been asked for beyond the one worked on, at most.
    """

    def __init__(self, sizes, masks, active):
        self.sizes, self.masks, self.active = sizes, masks, active
        self.found, self.cycles, self.ahead = [], [], 0
        self.unit, self.answers = ScanUnit(sizes), [0] * (sizes.pipeline.steer - 1)

    def play(self, walks, cycles=5000):
        """Walk through some updates, (instruction, cycles until it begins) each.

        After 0 cycles it begins as the sequencer has it where the next update has been taken: with the last cycle of
        the one before.  Otherwise another instruction begins first, which is no update.
        """
        simulator = Simulator(self.unit)
        simulator.add_clock(PERIOD)

        async def bench(ctx):
            for number, gap in walks:
                await self._walk(ctx, number, gap, cycles)
            for _ in range(3):
                await self._tick(ctx)
                ctx.set(self.unit.run, 0)
                assert not ctx.get(self.unit.o.valid), "a beat after the end"

        simulator.add_testbench(bench)
        simulator.run()
        return self

    async def _tick(self, ctx):
        asked = ctx.get(self.unit.mask.index)
        self.answers.append(self.masks[asked] if asked < len(self.masks) else -1)
        await ctx.tick()
        ctx.set(self.unit.mask.slots, self.answers.pop(0))

    async def _walk(self, ctx, number, gap, cycles):
        unit = self.unit
        ctx.set(unit.clear, 1)
        for _ in range(gap):
            await self._tick(ctx)
            ctx.set(unit.run, 0)
            ctx.set(unit.clear, 0)
            ctx.set(unit.instruction.as_value(), word_of(self.sizes, 0))
        ctx.set(unit.clear, 1)
        await self._tick(ctx)
        ctx.set(unit.clear, 0)
        ctx.set(unit.run, 1)
        ctx.set(unit.instruction.as_value(), word_of(self.sizes, number))
        ctx.set(unit.active, self.active)
        self.found.append([])
        for cycle in range(cycles):
            o = fields_of(unit.o.shape(), ctx.get(unit.o.as_value()))
            if o.pop("valid"):
                self.found[-1].append(o | {"cycle": cycle})
                self.ahead = max(self.ahead, ctx.get(unit.mask.index) - o["column"] - 1)
            if ctx.get(unit.done):
                self.cycles.append(cycle + 1)
                return
            await self._tick(ctx)
        raise AssertionError("no end")


def updates_of(sizes):
    """Numbers of the instructions of an update."""
    return [k for k, line in enumerate(sizes.schedule.instructions) if line.op is Op.UPDATE]


def elements_of(line, masks, active):
    """What beats an update must have, by column, row group and sample; without the cycles."""
    wanted = []
    for column in range(line.count):
        mask = masks[column] & active if line.feed is Feed.INPUT else active
        slots = [k for k in range(active.bit_length()) if mask >> k & 1]
        wanted += [
            {
                "column": column, "group": g, "row_base": line.weight + g * line.stride, "slot": slot,
                "is_first": int(slot == slots[0]), "is_last": int(slot == slots[-1]),
            }
            for g in range(line.groups)
            for slot in slots
        ]  # fmt: skip
    return wanted


def scan_differences(sizes, masks, active, walks):
    """What differs from the beats of updates, and from the model of their cycles."""
    scan, wrong = Scan(sizes, masks, active).play(walks), []
    occupancy = np.array([(mask & active).bit_count() for mask in masks])
    for (number, _), beats, cycles in zip(walks, scan.found, scan.cycles, strict=True):
        line = sizes.schedule.instructions[number]
        found = [{name: word for name, word in beat.items() if name != "cycle"} for beat in beats]
        work = learning_work(line, sizes.lanes, occupancy, active.bit_count(), sizes.pipeline)
        wrong += [] if found == elements_of(line, masks, active) else [("beats", number, len(found))]
        wrong += [] if len(found) == work.beats else [("number of beats", number, len(found), work.beats)]
        wrong += [] if cycles == work.cycles else [("cycles", number, cycles, work.cycles)]
    return wrong, scan


@pytest.mark.parametrize("masks", [(0, 0, 0, 0), (3, 3, 3, 3), (0, 1, 0, 2), (2, 0, 0, 0), (0, 0, 0, 3), (4, 4, 5, 4)])
def test_scan_visits_columns_that_a_sample_feeds_their_groups_and_samples(masks):
    """Slots outside the batch count for nothing."""
    sizes = make_sizes((4, 5, 3), 2, learning={"batch": 2})
    wrong, _ = scan_differences(sizes, masks, 0b011, [(updates_of(sizes)[0], 1)])
    assert not wrong, wrong


def test_the_first_beats_of_an_update_as_worked_by_hand():
    """Sizes 3, 3, 2 on 4 lanes, so that there is one row group; a sample each in columns 0 and 2.

    Column 0 is asked for in cycle 0.  Its mask is there in 1 and enters the queue, where it is found in 2; so its beat
    is in 3.  Column 1, asked for in 1 and there in 2, enters no queue.  Column 2 is asked for in 2, there in 3, in the
    queue in 4, and has its beat in 5.  That none waits any more is told a cycle after it was taken, and known in the
    next one, 6: the end.
    """
    sizes = make_sizes((3, 3, 2), 4, learning={"batch": 2})
    wrong, scan = scan_differences(sizes, (1, 0, 1), 0b001, [(updates_of(sizes)[0], 1)])
    assert not wrong, wrong
    assert ([beat["cycle"] for beat in scan.found[0]], scan.cycles) == ([3, 5], [7])


PATTERNS = {
    "all": lambda rng, count: np.ones(count),
    "none": lambda rng, count: np.zeros(count),
    "half": lambda rng, count: rng.random(count) < 0.5,
    "few": lambda rng, count: rng.random(count) < 0.06,
    "bursts": lambda rng, count: np.repeat(rng.random(count // 5 + 1) < 0.4, 5)[:count],
    "a long gap": lambda rng, count: np.abs(np.arange(count) - count // 2) > 2 * COLUMNS_AHEAD,
    "one at the end": lambda rng, count: np.arange(count) == count - 1,
    "one at the beginning": lambda rng, count: np.arange(count) == 0,
}
"""Which columns some slot feeds."""

SCAN_PIPELINES = [
    Pipeline(steer=steer, scan=scan, element=element, address=max(steer, 1))
    for steer, scan, element in [(1, 1, 0), (1, 2, 0), (1, 3, 1), (2, 2, 0), (2, 3, 2), (2, 4, 1), (3, 4, 2), (1, 4, 0)]
]


@pytest.mark.parametrize(
    "pipeline", SCAN_PIPELINES, ids=lambda p: f"steer={p.steer}, scan={p.scan}, element={p.element}"
)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_cycles_of_an_update_are_those_of_its_model(pipeline, pattern):
    """At random: 100 columns, many more than the queue holds; one row group, two or five; one sample to four.

    Gaps that are longer than the queue and shorter; columns of several beats, behind which it fills up.
    """
    rng = np.random.default_rng(len(pattern) + 16 * pipeline.scan)
    for lanes, batch in [(4, 2), (1, 4), (8, 1), (4, 1)]:
        hidden = {4: 6, 1: 5, 8: 8}[lanes]
        sizes = make_sizes((100, hidden, 3), lanes, learning={"batch": batch}, pipeline=pipeline)
        most = sizes.memory.slots
        masks = [int(is_fed) * int(rng.integers(1, 1 << most)) for is_fed in PATTERNS[pattern](rng, 100)]
        active = 0
        while not active:
            active = int(rng.integers(1, 1 << most))
        updates = updates_of(sizes)
        walks = [(number, int(rng.integers(1, 4)) * int(rng.integers(2))) for number in [*updates, *reversed(updates)]]
        wrong, _ = scan_differences(sizes, masks, active, walks)
        assert not wrong, (lanes, batch, active, wrong)


def test_the_queue_fills_up_behind_a_column_of_many_beats():
    """Five row groups of four samples: 20 beats a column; then so many columns are known ahead, and no more."""
    sizes = make_sizes((60, 5, 3), 1, learning={"batch": 4})
    wrong, scan = scan_differences(sizes, [15] * 60, 15, [(updates_of(sizes)[0], 1)])
    assert not wrong, wrong
    assert scan.ahead == COLUMNS_AHEAD
    assert [beat["cycle"] for beat in scan.found[0]] == list(range(3, 3 + 60 * 20))


SCAN_FAULTS = {
    "a queue that is asked to hold one more": {"asked != COLUMNS_AHEAD": "asked != COLUMNS_AHEAD + 1"},
    "a queue that is asked to hold one fewer": {"asked != COLUMNS_AHEAD": "asked != COLUMNS_AHEAD - 1"},
    "columns in vain that are not counted off": {"- (is_known & ~is_fed)": ""},
    "columns taken that are not counted off": {' - delayed(m, takes & has_found, 1, "taken")': ""},
    "columns taken that are counted off too soon": {'delayed(m, takes & has_found, 1, "taken")': "(takes & has_found)"},
    "columns taken that are counted off too late": {'has_found, 1, "taken"': 'has_found, 2, "taken"'},
    "a first column that is not asked for": {"number.eq(0)": "number.eq(1)"},
    "other instructions that ask": {"asks.eq(self.run & ~is_all": "asks.eq(~is_all"},
    "an end before all is known": {"over.eq(is_all & (asked == 0))": "over.eq(is_all & (asked <= 1))"},
    "columns that no sample feeds": {"COLUMNS_AHEAD, is_known & is_fed, takes": "COLUMNS_AHEAD, is_known, takes"},
    "columns that are left out": {"number.eq(number + 1)": "number.eq(number + 2)"},
    "slots outside the batch": {"known = self.active & Mux(": "known = Mux("},
    "columns that are numbered a cycle too soon": {
        'delayed(m, number, pipeline.scan, "asked_number")': 'delayed(m, number, pipeline.scan - 1, "asked_number")',
    },
    "a count of the column before": {'late, "counted"': 'late + 1, "counted"'},
}


@pytest.mark.parametrize("fault", SCAN_FAULTS)
def test_a_scan_that_looks_otherwise_is_seen(monkeypatch, fault):
    plant(monkeypatch, ScanUnit, SCAN_FAULTS[fault], "_look")
    assert scan_is_seen()


ELEMENT_FAULTS = {
    "a sample that comes twice": {"(remaining - 1)[:slots]": "remaining"},
    "a last sample too late": {"is_last.eq(left == 2)": "is_last.eq(left == 1)"},
    "a single sample that is not the last": {"is_last.eq(is_single)": "is_last.eq(0)"},
    "a first sample that is not told": {"is_first.eq(1), is_last_group": "is_first.eq(0), is_last_group"},
    "a column that ends a group too soon": {"instruction.groups - 2": "instruction.groups - 3"},
    "a single group that is not the last": {"is_last_group.eq(instruction.groups == 1)": "is_last_group.eq(0)"},
    "rows of the first group": {"row_base.eq(row_base + instruction.stride)": "row_base.eq(instruction.weight)"},
    "samples of the column before": {"remaining.eq(column.slots)": "remaining.eq(remaining)"},
    "an end that is told too soon": {"late, done = element, takes & over": "late, done = element, over"},
    "the highest slot first": {"for k in reversed(range(slots)):": "for k in range(slots):"},
    "an end that is left over": {"[late.valid.eq(0), done.eq(0)]": "late.valid.eq(0)"},
}


@pytest.mark.parametrize("fault", ELEMENT_FAULTS)
def test_a_scan_with_another_fault_is_seen(monkeypatch, fault):
    plant(monkeypatch, ScanUnit, ELEMENT_FAULTS[fault])
    assert scan_is_seen()


def full_queue():
    """A column of 32 beats, behind which as many of 2 wait as can; and then a gap, which these do not hide."""
    masks = [0xFFFF] + [1] * COLUMNS_AHEAD + [0] * 70
    return make_sizes((100, 6, 3), 4, learning={"batch": 16}), masks + [1] * (100 - len(masks)), 0xFFFF


def test_a_gap_behind_a_full_queue_is_looked_through_from_the_first_column_on_that_is_taken():
    """All in whole cycles: one column more in the queue, and the gap would be over sooner."""
    sizes, masks, active = full_queue()
    wrong, scan = scan_differences(sizes, masks, active, [(updates_of(sizes)[0], 1)])
    assert not wrong, wrong
    cycles = [beat["cycle"] for beat in scan.found[0]]
    hidden = 32 + 2 * COLUMNS_AHEAD
    assert cycles[:hidden] == list(range(3, 3 + hidden))
    assert cycles[hidden] > 3 + hidden


def scan_is_seen():
    """Whether anything is wrong in a few updates; one that does not end is seen, too."""
    sizes, masks, active = full_queue()
    try:
        if scan_differences(sizes, masks, active, [(updates_of(sizes)[0], 1)])[0]:
            return True
    except (AssertionError, IndexError):
        return True
    rng = np.random.default_rng(5)
    for pipeline in (PORTABLE, Pipeline(address=2, steer=2, scan=4, element=2)):
        for lanes in (1, 2, 4):
            sizes = make_sizes((50, 4, 3), lanes, learning={"batch": 2}, pipeline=pipeline)
            masks = [int(mask) for mask in rng.integers(1, 8, 50) * (np.arange(50) % 25 < 18)]
            updates = updates_of(sizes)
            walks = [(updates[0], 0), (updates[1], 0), (updates[0], 2), (updates[0], 0), (updates[1], 1)]
            for active in (0b011, 0b100):
                try:
                    if scan_differences(sizes, masks, active, walks)[0]:
                        return True
                except (AssertionError, IndexError):
                    return True
    return False


def test_a_scan_without_a_fault_is_not_seen():
    assert not scan_is_seen()


def after(sizes, first, second, cycles, start=0, between=None):
    """Whether the last beat of ``second`` may be issued, 1 and more cycles after that of ``first`` was.

    It begins in the cycle after, or in one ``start`` cycles later; until then another instruction is worked on that
    does not end, or, if there is none between, none.
    """
    layout = instruction_layout(sizes.schedule)
    old, new = packed(layout, **first), packed(layout, **second)
    other = old if between is None else packed(layout, **between)
    rows = [{"next": old, "begins": 1}]
    rows += [{"instruction": old, "next": other, "begins": between is not None, "is_last": 1, "finish": 1}]
    rows += [{"instruction": other, "next": new, "begins": 0, "is_last": 0, "finish": 0} for _ in range(start)]
    rows[-1] |= {"next": new, "begins": 1}
    rows.append({"instruction": new, "next": old, "begins": 0, "is_last": 1, "finish": 0})
    rows += [{} for _ in range(cycles - start - 1)]
    _, *found = [may for (may,) in play(IssueUnit(sizes), rows, ["may_issue"])]
    assert found[: start + 1] == [1] * (start + 1)
    return found[1:]


def leaving(sizes, drain, count):
    """Cycles in which so many neurons leave the lanes: D a cycle, or logits one by one."""
    return count if drain == Drain.SOFTMAX else -(-count // sizes.drain)


def tile(sizes, drain, count, wants_error=0):
    counts = {"drain_count": count, "drain_cycles": leaving(sizes, drain, count)}
    return {"op": int(Op.PRODUCT), "drain": int(drain), "wants_error": wants_error, **counts}


@pytest.mark.parametrize("samples", [1, 4])
def test_a_tile_waits_for_the_drain_before_it(samples):
    """Anything else does not: a beat within a tile, and a beat that is not the last one."""
    sizes = make_sizes((9, 6, 5, 3), 4, hardware={"samples": samples})
    layout, four = instruction_layout(sizes.schedule), tile(sizes, Drain.STATE, 4)
    assert after(sizes, tile(sizes, Drain.STATE, 3), four, 9) == [0] * 2 + [1] * 7
    assert after(sizes, tile(sizes, Drain.STATE, 1), four, 9) == [1] * 9
    assert after(sizes, four, tile(sizes, Drain.NONE, 4), 9) == [1] * 9
    rows = [
        {"next": packed(layout, **four), "begins": 1},
        {"begins": 0, "instruction": packed(layout, **four), "is_last": 1, "finish": 1},
        *({"is_last": 0, "finish": 0} for _ in range(9)),
    ]
    assert [may for (may,) in play(IssueUnit(sizes), rows, ["may_issue"])] == [1] * 11


@pytest.mark.parametrize(("drain", "waits"), [(1, [0, 1, 2, 3]), (2, [0, 0, 1, 1]), (4, [0, 0, 0, 0])])
def test_a_drain_lasts_as_many_cycles_as_neurons_leave_in(drain, waits):
    """Of logits always one a neuron."""
    sizes = make_sizes((9, 6, 5, 3), 4, hardware={"drain": drain})
    for count, wait in enumerate(waits, 1):
        kinds = [(Drain.STATE, wait), (Drain.OFFSET, wait), *[(Drain.SOFTMAX, count - 1)] * (count < 4)]
        for kind, cycles in kinds:
            found = after(sizes, tile(sizes, kind, count), tile(sizes, Drain.STATE, 4), 9)
            assert found == [0] * cycles + [1] * (9 - cycles)


def written(sizes, kind, end, count):
    """Cycles in which the words of a tile are written whose last beat is in cycle ``end``: neurons, or errors."""
    pipeline, classes = sizes.pipeline, sizes.spec.softmax.classes
    if kind.startswith("logits"):
        first = end + pipeline.drained + count - 1 + pipeline.errors(classes) + pipeline.write
        return set(range(first, first + classes)) if kind == "logits with errors" else set()
    return set(range(end + pipeline.word, end + pipeline.word + leaving(sizes, KINDS[kind][0], count)))


KINDS = {"states": (Drain.STATE, 0), "offsets": (Drain.OFFSET, 0), "logits": (Drain.SOFTMAX, 0),
         "logits with errors": (Drain.SOFTMAX, 1)}  # fmt: skip


def meetings(sizes):
    """Cases in which a tile after logits is held back otherwise than it must be, and how many cycles are held back.

    Every number of neurons in the second tile, every kind of it, every distance.  It must wait if one of its words
    would be written together with an error; and logits that want errors until the last of them comes no sooner than the
    last error before, and no tile that ends later can meet that error.
    """
    pipeline, classes, wrong, held = sizes.pipeline, sizes.spec.softmax.classes, [], 0
    last = sizes.memory.tile(classes, sizes.memory.groups(classes) - 1)
    reach = pipeline.errors_left(last, classes) + 20
    errors = written(sizes, "logits with errors", 0, last)
    for second, kind in product(range(1, sizes.lanes + 1), KINDS):
        if second not in {"logits": range(classes + 1), "logits with errors": (last,)}.get(kind, (second,)):
            continue
        drain, wants_error = KINDS[kind]
        found = after(sizes, tile(sizes, Drain.SOFTMAX, last, 1), tile(sizes, drain, second, wants_error), reach)
        for distance, may in enumerate(found, 1):
            waits = distance < last or bool(written(sizes, kind, distance, second) & errors)
            if kind == "logits with errors":
                waits |= distance + pipeline.drained + second - 1 < max(errors)
                waits |= distance + 1 + pipeline.word <= max(errors)
            held += waits
            if may == waits:
                wrong.append((second, kind, distance))
        if second in (1, sizes.lanes):
            wrong += [(second, kind, "begins later", start) for start in later_starts(sizes, last, second, kind, found)]
    return wrong, held


def later_starts(sizes, last, second, kind, found):
    """Starts from which a tile after logits is held back otherwise than if it had begun at once.

    Those are tried with which its first beat comes as soon as it may again, or no longer may, and a cycle beside that.
    """
    drain, wants_error = KINDS[kind]
    logits, new = tile(sizes, Drain.SOFTMAX, last, 1), tile(sizes, drain, second, wants_error)
    changes = [t for t in range(1, len(found)) if found[t] != found[t - 1]]
    starts = sorted({1, *(t + k for t in changes for k in (-1, 0, 1) if t + k > 0)})
    others = (None, tile(sizes, Drain.STATE, 1), tile(sizes, Drain.SOFTMAX, last, 1))
    return [
        start
        for number, start in enumerate(starts)
        if after(sizes, logits, new, len(found), start, others[number % 3])[start:] != found[start:]
    ]


DEEP = Pipeline(2, 3, 2, 3, 2, 2, 2, 2, 2)
MEETINGS = {  # layers, lanes, pipeline, neurons that leave in a cycle
    "as usual": ((4, 4, 3), 4, PORTABLE, 1),
    "more classes than lanes": ((4, 4, 9), 4, PORTABLE, 1),
    "many classes": ((4, 16, 9), 16, PORTABLE, 1),
    "one lane": ((4, 3, 2), 1, PORTABLE, 1),
    "a class": ((4, 4, 1), 4, PORTABLE, 1),
    "deeper": ((4, 4, 3), 4, DEEP, 1),
    "two leave at once": ((4, 4, 3), 4, PORTABLE, 2),
    "two of many": ((4, 16, 9), 16, PORTABLE, 2),
    "four leave at once": ((4, 4, 3), 4, PORTABLE, 4),
    "four of many": ((4, 16, 9), 16, PORTABLE, 4),
    "two of many, deeper": ((4, 8, 7), 8, DEEP, 2),
}


def meeting_sizes(name):
    layers, lanes, pipeline, drain = MEETINGS[name]
    return make_sizes(layers, lanes, pipeline=pipeline, hardware={"samples": 2, "drain": drain})


@pytest.mark.parametrize("name", MEETINGS)
def test_no_word_is_written_together_with_an_error_of_another_sample(name):
    wrong, held = meetings(meeting_sizes(name))
    assert not wrong, wrong[:5]
    assert held > 10


def random_meetings(sizes, seed, cycles=1500):
    """Tiles of all kinds at random, each as soon as it may end: what is written twice in a cycle, or begins too early.

    Logits come only in whole readouts of a tile each; the model knows nothing of how the unit waits.
    """
    rng, layout, pipeline = np.random.default_rng(seed), instruction_layout(sizes.schedule), sizes.pipeline
    classes, unit, ends = sizes.spec.softmax.classes, IssueUnit(sizes), []

    def chosen():
        kind = list(KINDS)[rng.integers(len(KINDS))]
        count = classes if kind.startswith("logits") else int(rng.integers(1, sizes.lanes + 1))
        return kind, count, packed(layout, **tile(sizes, KINDS[kind][0], count, KINDS[kind][1]))

    async def bench(ctx):
        at, (kind, count, word) = 0, chosen()
        ctx.set(unit.next.as_value(), word)
        ctx.set(unit.begins, 1)
        await ctx.tick()
        ctx.set(unit.begins, 0)
        ctx.set(unit.instruction.as_value(), word)
        while at < cycles:
            following = chosen()
            pause = int(rng.integers(4)) * int(rng.integers(2))  # cycles in which nothing is worked on
            for is_last in [0] * int(rng.integers(4)) + [1]:
                ctx.set(unit.is_last, is_last)
                while not ctx.get(unit.may_issue):
                    at += 1
                    await ctx.tick()
                if is_last:
                    ends.append((kind, at, count))
                    ctx.set(unit.finish, 1)
                    ctx.set(unit.begins, not pause)
                    ctx.set(unit.next.as_value(), chosen()[2] if pause else following[2])
                at += 1
                await ctx.tick()
                ctx.set(unit.finish, 0)
            for left in reversed(range(pause)):
                ctx.set(unit.begins, not left)
                ctx.set(unit.next.as_value(), following[2])
                at += 1
                await ctx.tick()
            ctx.set(unit.begins, 0)
            kind, count, word = following
            ctx.set(unit.instruction.as_value(), word)
            ctx.set(unit.next.as_value(), chosen()[2])

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    cycles_of = [t for kind, end, count in ends for t in sorted(written(sizes, kind, end, count))]
    wrong = [t for t in set(cycles_of) if cycles_of.count(t) > 1]
    jobs = [(end, count) for kind, end, count in ends if kind == "logits with errors"]
    for (end, count), (later, _) in pairwise(jobs):
        last = max(written(sizes, "logits with errors", end, count))
        wrong += [("job", later)] if later + pipeline.drained + count - 1 < last else []
    return wrong, len(jobs), len(ends)


@pytest.mark.parametrize(
    "name", ["as usual", "many classes", "deeper", "two leave at once", "two of many", "four of many"]
)
def test_tiles_that_end_as_soon_as_they_may_keep_apart(name):
    wrong, jobs, tiles = random_meetings(meeting_sizes(name), seed=1)
    assert not wrong, wrong[:5]
    assert jobs > 10
    assert tiles > 2 * jobs


ISSUE_FAULTS = {
    "errors that are counted a cycle too long": {"left.eq(begin)": "left.eq(begin + 1)"},
    "errors that are counted a cycle too short": {"left.eq(begin)": "left.eq(begin - 1)"},
    "errors of predictions": {
        "(instruction.drain == Drain.SOFTMAX) & instruction.wants_error": "(instruction.drain == Drain.SOFTMAX)",
    },
    "a word together with the last error": {"(left > neuron + 1)": "(left > neuron + 2)"},
    "a word together with the first error": {"classes + asked.drain_cycles": "classes + asked.drain_cycles - 1"},
    "a long tile together with the first error": {"drain_cycles > longest": "drain_cycles > longest + 1"},
    "predictions that wait for errors": {"asked.wants_error & (left > begin - wait + 1)": "left > 1"},
    "logits a cycle too soon": {"begin - wait + 1": "begin - wait + 2"},
    "logits a cycle too late": {"begin - wait + 1": "begin - wait"},
    "decided for the instruction that ends": {"Mux(self.begins, met(self.next), met(instruction))": "met(instruction)"},
    "decided for the instruction to come": {"met(instruction))": "met(self.next))"},
    "decided for the logits themselves": {"met_at_first(self.next)": "met_at_first(instruction)"},
    "decided a cycle too late": {
        "begin - wait + 1": "begin - wait",
        "(left > neuron + 1) & (left < neuron + 1": "(left > neuron) & (left < neuron",
    },
}


@pytest.mark.parametrize("fault", ISSUE_FAULTS)
def test_an_issue_unit_that_waits_otherwise_is_seen(monkeypatch, fault):
    plant(monkeypatch, IssueUnit, ISSUE_FAULTS[fault], "_meets_errors")
    sizes = meeting_sizes("as usual")
    assert meetings(sizes)[0] or meetings(meeting_sizes("a class"))[0] or random_meetings(sizes, seed=1)[0]


def test_a_drain_that_is_a_neuron_too_short_is_seen(monkeypatch):
    plant(
        monkeypatch,
        IssueUnit,
        {"instruction.drain_cycles - 1": "instruction.drain_cycles - 2", "drain_cycles != 1": "drain_cycles > 2"},
    )
    assert meetings(meeting_sizes("as usual"))[0]


def test_a_drain_that_is_waited_for_a_cycle_a_neuron_is_seen(monkeypatch):
    plant(
        monkeypatch,
        IssueUnit,
        {"instruction.drain_cycles - 1": "instruction.drain_count - 1", "drain_cycles != 1": "drain_count != 1"},
    )
    assert not random_meetings(meeting_sizes("two of many"), seed=1)[0]
    with pytest.raises(AssertionError):
        test_a_drain_lasts_as_many_cycles_as_neurons_leave_in(2, [0, 0, 1, 1])


def test_a_meeting_that_is_reckoned_by_neurons_instead_of_cycles_is_seen(monkeypatch):
    plant(
        monkeypatch,
        IssueUnit,
        {"classes + asked.drain_cycles": "classes + asked.drain_count"},
        "_meets_errors",
    )
    assert meetings(meeting_sizes("two leave at once"))[0]
    assert not meetings(meeting_sizes("as usual"))[0]


def test_a_sample_alone_waits_for_no_error():
    """It waits for its own before it goes on: the schedule sees to that."""
    sizes = make_sizes((4, 4, 3), 4)
    logits, states = tile(sizes, Drain.SOFTMAX, 3, 1), tile(sizes, Drain.STATE, 3)
    assert after(sizes, logits, states, 30) == [0] * 2 + [1] * 28


def programs_of(sizes, changed, learns, most=40):
    """Programs that follow each other, from a sample's first to its last."""
    unit, found = ChoiceUnit(sizes.schedule), []

    async def bench(ctx):
        ctx.set(unit.learns, learns)
        ctx.set(unit.begin, 1)
        await ctx.tick()
        ctx.set(unit.begin, 0)
        ctx.set(unit.advance, 1)
        for _ in range(most):
            running = Program(ctx.get(unit.running))
            assert PHASES[ctx.get(unit.phase)] == PHASE_OF[running]
            found.append(running)
            ctx.set(unit.changed, changed(found))
            if not ctx.get(unit.goes_on) and running not in (Program.READOUT,):
                return
            await ctx.tick()

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found


@pytest.mark.parametrize("nudged", ["offset", "states"])
@pytest.mark.parametrize("stop", [True, False])
def test_choice_runs_steps_until_nothing_changes_or_all_are_done(nudged, stop):
    learning = {"free_steps": 4, "nudged_steps": 3, "stop": stop, "nudged": nudged, "batch": 2}
    sizes = make_sizes((4, 3, 2), 2, learning=learning)
    contrast = [Program.CONTRAST] if nudged == "states" else []
    whole = [Program.FREE_FIRST, *[Program.FREE_STEP] * 3, Program.READOUT]
    whole += [Program.NUDGED_FIRST, *[Program.NUDGED_STEP] * 2, *contrast]
    assert programs_of(sizes, lambda _: 1, 1) == whole
    assert programs_of(sizes, lambda _: 1, 0) == [*whole[:4], Program.PREDICT]
    settled = [Program.FREE_FIRST, Program.READOUT, Program.NUDGED_FIRST, *contrast]
    assert programs_of(sizes, lambda _: 0, 1) == (settled if stop else whole)
    once = [Program.FREE_FIRST, Program.FREE_STEP, Program.READOUT, Program.NUDGED_FIRST, *contrast]
    assert programs_of(sizes, lambda found: len(found) == 1, 1) == (once if stop else whole)
