"""The sequencer's parts, each alone: fetch, walk, scan, issue, choice."""

from itertools import pairwise, product

import numpy as np
import pytest
from amaranth.sim import Simulator
from unit_bench import flat, make_sizes, packed, plant, play

from fregen.hdl.choice import ChoiceUnit
from fregen.hdl.fetch import FetchUnit
from fregen.hdl.issue import IssueUnit
from fregen.hdl.program import instruction_layout, instruction_words
from fregen.hdl.scan import ScanUnit
from fregen.hdl.walk import WalkUnit
from fregen.plan import PORTABLE, Drain, Feed, Op, Pipeline, Program
from fregen.plan.cycles import PHASE_OF, PHASES

pytestmark = pytest.mark.rtl


def word_of(sizes, number):
    """An instruction of the schedule as the number of its bits."""
    return packed(instruction_layout(sizes.schedule), **instruction_words(sizes.schedule)[number])


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


def after(sizes, first, second, cycles):
    """Whether the last beat of ``second`` may be issued, 1 and more cycles after that of ``first`` was."""
    layout = instruction_layout(sizes.schedule)
    begin = {"instruction": packed(layout, **first), "is_last": 1, "finish": 1}
    rows = [begin, {"instruction": packed(layout, **second), "finish": 0}, *({} for _ in range(cycles - 1))]
    found = [may for (may,) in play(IssueUnit(sizes), rows, ["may_issue"])]
    assert found[0] == 1
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
        {"instruction": packed(layout, **four), "is_last": 1, "finish": 1},
        *({"is_last": 0, "finish": 0} for _ in range(9)),
    ]
    assert [may for (may,) in play(IssueUnit(sizes), rows, ["may_issue"])] == [1] * 10


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
        first = end + pipeline.drained + count - 1 + pipeline.errors(classes)
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
    return wrong, held


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

    async def bench(ctx):
        at = 0
        while at < cycles:
            kind = list(KINDS)[rng.integers(len(KINDS))]
            drain, wants_error = KINDS[kind]
            count = classes if kind.startswith("logits") else int(rng.integers(1, sizes.lanes + 1))
            ctx.set(unit.instruction.as_value(), packed(layout, **tile(sizes, drain, count, wants_error)))
            for is_last in [0] * int(rng.integers(4)) + [1]:
                ctx.set(unit.is_last, is_last)
                while not ctx.get(unit.may_issue):
                    at += 1
                    await ctx.tick()
                ctx.set(unit.finish, is_last)
                if is_last:
                    ends.append((kind, at, count))
                at += 1
                await ctx.tick()
                ctx.set(unit.finish, 0)

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


WAIT_OF_LOGITS = "begin - pipeline.softmax_wait(last_logits, classes)"
ISSUE_FAULTS = {
    "errors that are counted a cycle too long": {"left.eq(begin)": "left.eq(begin + 1)"},
    "errors that are counted a cycle too short": {"left.eq(begin)": "left.eq(begin - 1)"},
    "errors of predictions": {"self.finish & to_softmax & instruction.wants_error": "self.finish & to_softmax"},
    "a word together with the last error": {"left > pipeline.neuron)": "left > pipeline.neuron + 1)"},
    "a word together with the first error": {"left < after": "left < after - 1"},
    "predictions that wait for errors": {f"instruction.wants_error & (left > {WAIT_OF_LOGITS})": "left != 0"},
    "logits a cycle too soon": {WAIT_OF_LOGITS: f"{WAIT_OF_LOGITS} + 1"},
    "logits a cycle too late": {WAIT_OF_LOGITS: f"{WAIT_OF_LOGITS} - 1"},
}


@pytest.mark.parametrize("fault", ISSUE_FAULTS)
def test_an_issue_unit_that_waits_otherwise_is_seen(monkeypatch, fault):
    plant(monkeypatch, IssueUnit, ISSUE_FAULTS[fault], "_meets_errors")
    assert meetings(meeting_sizes("as usual"))[0] or random_meetings(meeting_sizes("as usual"), seed=1)[0]


def test_a_drain_that_is_a_neuron_too_short_is_seen(monkeypatch):
    plant(monkeypatch, IssueUnit, {"instruction.drain_cycles - 1": "instruction.drain_cycles - 2"})
    assert meetings(meeting_sizes("as usual"))[0]


def test_a_drain_that_is_waited_for_a_cycle_a_neuron_is_seen(monkeypatch):
    plant(monkeypatch, IssueUnit, {"instruction.drain_cycles - 1": "instruction.drain_count - 1"})
    assert not random_meetings(meeting_sizes("two of many"), seed=1)[0]
    with pytest.raises(AssertionError):
        test_a_drain_lasts_as_many_cycles_as_neurons_leave_in(2, [0, 0, 1, 1])


def test_a_meeting_that_is_reckoned_by_neurons_instead_of_cycles_is_seen(monkeypatch):
    plant(
        monkeypatch,
        IssueUnit,
        {"classes + instruction.drain_cycles": "classes + instruction.drain_count"},
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
