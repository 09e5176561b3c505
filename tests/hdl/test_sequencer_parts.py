"""The sequencer's parts, each alone: fetch, walk, scan, issue, choice."""

import pytest
from amaranth.sim import Simulator
from unit_bench import flat, make_sizes, packed, play

from fregen.hdl.choice import ChoiceUnit
from fregen.hdl.fetch import FetchUnit
from fregen.hdl.issue import IssueUnit
from fregen.hdl.program import instruction_layout, instruction_words
from fregen.hdl.scan import ScanUnit
from fregen.hdl.walk import WalkUnit, position_layout
from fregen.plan import Feed, Op, Program
from fregen.plan.cycles import PHASE_OF, PHASES

pytestmark = pytest.mark.rtl


def word_of(sizes, number):
    """An instruction of the schedule as the number of its bits."""
    return packed(instruction_layout(sizes.schedule), **instruction_words(sizes.schedule)[number])


def fields_of(layout, number):
    return {name: number >> offset & ((1 << width) - 1) for name, (offset, width) in flat(layout).items()}


@pytest.mark.parametrize("program", [p for p in Program if p is not Program.CONTRAST])
def test_fetch_gives_the_instructions_of_a_program_in_order(program):
    """Two cycles after a jump the first one, two cycles after each load the next; reset goes to the first program."""
    sizes = make_sizes((6, 5, 4, 3), 2)
    start, count = sizes.schedule.starts[program], len(sizes.schedule.programs[program])
    rows = [{}, {"jump": 1, "program": int(program)}, {"jump": 0}]
    for _ in range(count):
        rows += [{"load": 1}, {"load": 0}]
    found = play(FetchUnit(sizes.schedule), rows, ["fetched", "instruction"])
    assert found[1][0] == word_of(sizes, 0)
    wanted = [word_of(sizes, start + k) for k in range(count)]
    assert [found[3 + 2 * k][0] for k in range(count)] == wanted
    assert [found[4 + 2 * k][1] for k in range(count)] == wanted


def beats_of(sizes, line, nonzero):
    """(index, rotate, group, row offset, half) of every beat of an instruction."""
    if line.op is Op.DIFFERENCE:
        return [(k, 0, 0, 0, half) for k in range(line.count) for half in (0, 1)]
    if line.op is Op.PRODUCT and line.feed is Feed.RING:
        return [(0, t, g, g * line.stride, 0) for g in range(line.groups) for t in range(sizes.lanes)]
    many = {Feed.NOTHING: 1, Feed.INPUT: max(nonzero, 1)}.get(line.feed, line.count)
    return [(k, 0, 0, 0, 0) for k in range(line.count if line.op is Op.COPY else many)]


@pytest.mark.parametrize("nonzero", [0, 1, 6])
def test_walk_visits_every_beat_once_and_waits_where_it_is_not_stepped(nonzero):
    """All products and moves of a schedule; a pause before every third step."""
    learning = {"order": "synchronous", "nudged": "states", "error": "recomputed"}
    sizes = make_sizes((6, 5, 4, 3), 2, learning=learning)
    rows, wanted, waits = [], [], []
    for number, line in enumerate(sizes.schedule.instructions):
        if line.op is Op.UPDATE:
            continue
        rows.append({"instruction": word_of(sizes, number), "nonzero": nonzero, "clear": 1, "step": 0})
        beats = beats_of(sizes, line, nonzero)
        for k, beat in enumerate(beats):
            if k % 3 == 0:
                rows.append({"clear": 0, "step": 0})
                waits.append((len(rows) - 1, beat))
            rows.append({"clear": 0, "step": 1})
            wanted.append((len(rows) - 1, beat, k == 0, k == len(beats) - 1))
    unit = WalkUnit(sizes)
    found = [fields_of(unit.o.shape(), number) for (number,) in play(unit, rows, ["o"])]
    names = ("index", "rotate", "group", "row_offset", "half")
    ends = [(found[t]["is_first"], found[t]["is_last"]) for t, *_ in wanted]
    assert [tuple(found[t][name] for name in names) for t, *_ in wanted] == [beat for _, beat, *_ in wanted]
    assert ends == [(int(first), int(last)) for *_, first, last in wanted]
    assert [tuple(found[t][name] for name in names) for t, _ in waits] == [beat for _, beat in waits]


@pytest.mark.parametrize("masks", [(0, 0, 0, 0), (3, 3, 3, 3), (0, 1, 0, 2), (2, 0, 0, 0), (0, 0, 0, 3), (4, 4, 5, 4)])
def test_scan_visits_columns_that_a_sample_feeds_their_groups_and_samples(masks):
    """One cycle a column without samples; slots outside the batch count for nothing."""
    sizes = make_sizes((4, 5, 3), 2, learning={"batch": 2})
    number = next(k for k, line in enumerate(sizes.schedule.instructions) if line.op is Op.UPDATE)
    line, active = sizes.schedule.instructions[number], 0b011
    wanted = []
    for column, mask in enumerate(masks):
        slots = [k for k in range(3) if mask & active & 1 << k]
        wanted += [
            (column, g, g * line.stride, slot, int(slot == slots[0]), int(slot == slots[-1]))
            for g in range(line.groups)
            for slot in slots
        ]
    unit, found, done = ScanUnit(sizes), [], []

    async def bench(ctx):
        ctx.set(unit.instruction.as_value(), word_of(sizes, number))
        ctx.set(unit.active, active)
        ctx.set(unit.clear, 1)
        for cycle in range(60):
            asked = ctx.get(unit.mask.index)
            o = fields_of(unit.o.shape(), ctx.get(unit.o.as_value()))
            if o.pop("valid") and not done:
                found.append(tuple(o.values()))
            if ctx.get(unit.done):
                done.append(cycle)
            await ctx.tick()
            ctx.set(unit.mask.slots, masks[asked] if asked < len(masks) else 0)
            ctx.set(unit.clear, 0)
            ctx.set(unit.run, int(not done))

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == wanted
    assert len(done) == 1


def test_issue_counts_down_what_is_waited_for():
    """A sync waits for results, a tile for the drain before it; anything else does not."""
    sizes = make_sizes((9, 6, 5, 3), 4)
    layout = instruction_layout(sizes.schedule)
    tile = packed(layout, op=0, drain=1, drain_count=3, wait=5)
    reader, other = packed(layout, op=0, sync=1), packed(layout, op=0)
    first, last, both = (packed(position_layout(sizes), is_first=k & 1, is_last=k >> 1) for k in (1, 2, 3))
    begin = [{"instruction": tile, "finish": 1, "position": last}]

    def after(instruction, position):
        row = {"finish": 0, "instruction": instruction, "position": position}
        rows = [*begin, row, *({} for _ in range(8))]
        return [may for (may,) in play(IssueUnit(sizes), rows, ["may_issue"])][1:]

    assert after(reader, first) == [0] * 5 + [1] * 4
    assert after(tile, last) == [0] * 2 + [1] * 7
    assert after(reader, last) == [1] * 9
    assert after(other, both) == [1] * 9


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
