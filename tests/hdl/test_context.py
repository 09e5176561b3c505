"""A context alone, beside lanes that take instructions when they like: order, waits and events, to the cycle."""

from itertools import chain

import numpy as np
import pytest
from amaranth.sim import Simulator
from unit_bench import PERIOD, make_sizes, plant

from fregen.hdl.context import ContextUnit
from fregen.hdl.program import instruction_words
from fregen.plan import PORTABLE, Op, Pipeline, Program
from fregen.plan.cycles import PHASE_OF, PHASES

pytestmark = pytest.mark.rtl

LEARNING = {"batch": 2, "free_steps": 3, "nudged_steps": 2}
FORMS = {
    "offsets": {},
    "states": {"order": "synchronous", "nudged": "states", "error": "recomputed"},
    "later jumps": {"error": "recomputed"},
}
PIPELINE = {"later jumps": Pipeline(jump=2)}
STEPS = (Program.FREE_STEP, Program.NUDGED_STEP)
TOLD = {"slot": 1, "bank": 1, "label": 1, "nonzero": 3}


def sizes_of(form):
    pipeline = PIPELINE.get(form, PORTABLE)
    return make_sizes((5, 4, 3, 2), 2, learning=LEARNING | FORMS[form], hardware={"samples": 2}, pipeline=pipeline)


def programs_of(sizes, kind):
    """Programs of a sample that takes all its steps, or of an update."""
    if kind == "update":
        return [Program.UPDATE]
    free = [Program.FREE_FIRST, Program.FREE_STEP, Program.FREE_STEP]
    if kind == "infer":
        return [*free, Program.PREDICT]
    contrast = [] if sizes.spec.has_offsets else [Program.CONTRAST]
    return [*free, Program.READOUT, Program.NUDGED_FIRST, Program.NUDGED_STEP, *contrast]


class Lanes:
    """Take what a context offers, after a while, and work on it for a while; compare with a model of its waits.

    The model: an instruction is there two cycles after the one before is taken, or ``jump`` cycles and one after a
    program begins; ``written`` is
    the cycle from which on nothing is under way, ``last beat + wait``, the greatest so far.  One instruction is worked
    on, and one more may have been taken; it begins when that is finished, two cycles after it was taken or later.
    What the lanes work on is for the sequencer to know: it takes no instruction that waits for it.
    """

    def __init__(self, sizes, seed, slow):
        self.sizes, self.rng, self.slow = sizes, np.random.default_rng(seed), slow
        self.unit, self.wrong, self.now = ContextUnit(sizes), [], 0
        self.words = instruction_words(sizes.schedule)
        self.written, self.early = 0, 0  # from which cycle nothing is under way; last instructions taken during others
        self.events = dict.fromkeys(("free_step", "nudged_step", "update_done"), 0)

    def play(self, kinds):
        simulator = Simulator(self.unit)
        simulator.add_clock(PERIOD)

        async def bench(ctx):
            for kind in kinds:
                await self._sample(ctx, kind)

        simulator.add_testbench(bench)
        simulator.run()
        return self

    def expect(self, ctx, **wanted):
        for name, value in wanted.items():
            found = ctx.get(getattr(self.unit, name))
            if found != value:
                self.wrong.append((self.now, name, found, value))

    async def tick(self, ctx):
        for name in self.events:
            self.events[name] += ctx.get(getattr(self.unit, name))
        self.now += 1
        await ctx.tick()

    async def _sample(self, ctx, kind):
        unit = self.unit
        for _ in range(int(self.rng.integers(3))):
            self.expect(ctx, idle=1, busy=0, ready=0, emit=0, clear=0)
            await self.tick(ctx)
        starts = "update" if kind == "update" else "begin"
        ctx.set(getattr(unit, starts), 1)
        told = {**TOLD, "learn": int(kind == "learn"), "close": int(self.rng.integers(2))}
        for name, value in told.items():
            ctx.set(getattr(unit.offered, name), value)
        self.expect(ctx, idle=1)
        await self.tick(ctx)
        ctx.set(getattr(unit, starts), 0)
        ctx.set(unit.offered.as_value(), ~0)  # the next sample waits
        programs = programs_of(self.sizes, kind)
        for number, program in enumerate(programs):
            following = programs[number + 1] if number + 1 < len(programs) else None
            if kind != "update":
                for name, value in told.items():
                    if ctx.get(getattr(unit.sample, name)) != value:
                        self.wrong.append((self.now, name))
            await self._program(ctx, program, following)

    async def _program(self, ctx, program, following):
        unit, lines = self.unit, self.sizes.schedule.programs[program]
        phase = PHASES.index(PHASE_OF[program])
        self.expect(ctx, busy=1, clear=1, ready=0, idle=0, emit=0)
        ctx.set(unit.changed, int(following in STEPS))
        await self.tick(ctx)
        there, under_way, taken = (
            self.now + self.sizes.pipeline.jump - 1,
            [],
            0,
        )  # cycle in which the next one is there; (begin, finish, instruction)
        while taken < len(lines) or under_way:
            line = lines[min(taken, len(lines) - 1)]
            finishing = bool(under_way) and under_way[0][1] == self.now
            ctx.set(unit.finish, int(finishing))
            ctx.set(unit.ends, int(finishing and under_way[0][2].end))
            if finishing:
                ctx.set(unit.wait, under_way[0][2].wait)
            may_move = self.now >= self.written
            ready = taken < len(lines) and self.now >= there and (may_move or not line.sync)
            self.expect(ctx, busy=1, clear=0, idle=0, emit=0, phase=phase, may_move=int(may_move), ready=int(ready))
            self.expect(ctx, free_step=0, nudged_step=0, update_done=0)
            has_begun = not under_way or under_way[-1][0] <= self.now
            makes = bool(under_way) and under_way[-1][2].wait != 0
            takes = ready and has_begun and not (line.sync and makes) and (not self.slow or self.rng.random() < 0.2)
            ctx.set(unit.taken, int(takes))
            if takes:
                number = self.sizes.schedule.starts[program] + taken
                if ctx.get(unit.instruction.as_value()) != self.words[number]:
                    self.wrong.append((self.now, program, "instruction", taken))
                work = int(self.rng.integers(1, 12)) if self.slow else 1
                begin = max(self.now + 2, under_way[-1][1] + 1 if under_way else 0)
                under_way.append((begin, begin - 1 + work, line))
                self.early += line.end and under_way[0][1] > self.now and len(under_way) > 1
                taken, there = taken + 1, self.now + 2
            if finishing:
                self.written = max(self.written, self.now + under_way.pop(0)[2].wait)
            await self.tick(ctx)
            ctx.set(unit.taken, 0)
            ctx.set(unit.finish, 0)
            ctx.set(unit.ends, 0)
        while self.now < self.written + 1:
            self.expect(ctx, busy=1, clear=0, ready=0, idle=0, emit=0, free_step=0, nudged_step=0, update_done=0)
            await self.tick(ctx)
        is_free, is_nudged = PHASE_OF[program] == "free", program in (Program.NUDGED_FIRST, Program.NUDGED_STEP)
        self.expect(ctx, free_step=int(is_free), nudged_step=int(is_nudged))
        self.expect(ctx, busy=1, phase=phase, update_done=int(program is Program.UPDATE))
        await self.tick(ctx)
        if program in (Program.PREDICT, Program.READOUT):
            await self._emission(ctx, program)

    async def _emission(self, ctx, program):
        for _ in range(int(self.rng.integers(4)) * self.slow):
            self.expect(ctx, emit=1, busy=0, ready=0, idle=0, clear=0, is_predicted=int(program is Program.PREDICT))
            await self.tick(ctx)
        self.expect(ctx, emit=1, busy=0)
        ctx.set(self.unit.emitted, 1)
        await self.tick(ctx)
        ctx.set(self.unit.emitted, 0)


KINDS = ["learn", "infer", "learn", "update", "infer", "learn", "update"]


def differences(form, slow, seed=0):
    lanes = Lanes(sizes_of(form), seed, slow).play(KINDS)
    steps = [name for kind in KINDS for name in programs_of(lanes.sizes, kind)]
    wanted = {
        "free_step": sum(PHASE_OF[name] == "free" for name in steps),
        "nudged_step": sum(name in (Program.NUDGED_FIRST, Program.NUDGED_STEP) for name in steps),
        "update_done": KINDS.count("update"),
    }
    return [*lanes.wrong, *([] if lanes.events == wanted else [(lanes.events, wanted)])]


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_a_context_runs_its_programs_and_waits_as_promised(form, slow):
    """Lanes that take an instruction at once, and lanes that others have for a while."""
    wrong = differences(form, slow)
    assert not wrong, wrong[:5]


def test_the_last_instruction_is_often_taken_while_another_is_worked_on():
    """Of these runs: so the end of a program is told apart from the end of an instruction before."""
    assert all(Lanes(sizes_of(form), 0, True).play(KINDS).early > 3 for form in FORMS)


def test_the_schedules_have_what_the_bench_is_about():
    """Syncs, moves and waits of all lengths."""
    lines = [line for form in FORMS for line in sizes_of(form).schedule.instructions]
    assert {Op.COPY, Op.DIFFERENCE} < {line.op for line in lines}
    assert any(line.sync and line.op is Op.PRODUCT for line in lines)
    assert {0} < {line.wait for line in lines}


def test_a_step_that_changes_nothing_ends_its_phase():
    """The word ``changed`` counts in the cycle in which the step ends."""
    sizes = sizes_of("offsets")
    unit, found = ContextUnit(sizes), []

    async def bench(ctx):
        ctx.set(unit.begin, 1)
        ctx.set(unit.offered.learn, 1)
        await ctx.tick()
        ctx.set(unit.begin, 0)
        ctx.set(unit.emitted, 1)
        taken = False
        while not ctx.get(unit.idle):
            if ctx.get(unit.clear):
                found.append(PHASES[ctx.get(unit.phase)])
            ctx.set(unit.finish, taken)
            ctx.set(unit.ends, taken)  # of no program more than one instruction is taken before it ends
            taken = ctx.get(unit.ready)
            ctx.set(unit.taken, taken)
            await ctx.tick()

    simulator = Simulator(unit)
    simulator.add_clock(PERIOD)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == ["free", "readout", "nudged"]


FAULTS = {
    "a sync that is not kept": {"(~instruction.sync | self.may_move)": "1"},
    "a sync that is kept a cycle too long": {"| self.may_move)": "| is_settled)"},
    "a move a cycle too soon": {"may_move.eq(pending <= 2)": "may_move.eq(pending <= 3)"},
    "a move a cycle too late": {"may_move.eq(pending <= 2)": "may_move.eq(pending <= 1)"},
    "a move that is not kept from the first cycle on": {"may_move.eq(self.wait <= 1)": "may_move.eq(1)"},
    "a shorter wait that forgets a longer one": {"self.finish & (self.wait >= pending)": "self.finish"},
    "an end that waits for nothing": {"settles & is_settled": "settles"},
    "an end a cycle too soon": {"is_settled.eq(pending == 1)": "is_settled.eq(pending <= 2)"},
    "an end that does not wait from the first cycle on": {"is_settled.eq(self.wait == 0)": "is_settled.eq(1)"},
    "a program that is looked up too soon": {"choice.running if later else choice.program": "choice.program"},
    "an end before the last beat": {"lasts & self.ends": "lasts"},
    "an end at the end of any instruction": {"lasts & self.ends": "lasts & self.finish"},
    "a prediction that does not wait": {"emits & self.emitted": "emits"},
    "an inferred sample that is nudged": {"(handed & ~self.is_predicted)": "handed"},
    "busy while a prediction waits": {"~(is_idle | emits)": "~is_idle"},
    "the sample that is offered": {"with m.If(self.begin):": "with m.If(1):"},
    "words that are never forgotten": {"self.clear.eq(jumps)": "self.clear.eq(0)"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_context_with_a_fault_is_seen(monkeypatch, fault):
    plant(monkeypatch, ContextUnit, FAULTS[fault])
    assert any(chain.from_iterable(differences(form, slow) for form in FORMS for slow in (False, True)))
