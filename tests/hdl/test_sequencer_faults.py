"""The bench of the sequencer sees faults: of the order of samples, of slots, planes and waits, one at a time."""

from dataclasses import replace

import pytest
from sequencer_bench import differences
from sequencer_script import sizes_of
from unit_bench import make_sizes, plant

from fregen.hdl.beat import Sizes
from fregen.hdl.beat_unit import BeatUnit
from fregen.hdl.context import ContextUnit
from fregen.hdl.issue import IssueUnit
from fregen.hdl.sequencer import SequencerUnit
from fregen.plan import Program, Schedule

pytestmark = pytest.mark.rtl


def test_the_bench_sees_planes_exchanged(monkeypatch):
    """Scratch for next, in the sequencer alone."""
    plant(monkeypatch, BeatUnit, {"which == Plane.SCRATCH": "which == Plane.NEXT"}, "_plane")
    assert differences(sizes_of("states, wide output", 1), 1)[0]
    assert differences(sizes_of("states, wide output", 2), 1)[0]


MUTANTS = {  # unit, method, and what is planted
    "planes of the first context": (BeatUnit, "_own", {"self.context + first": "Const(first)"}),
    "drives of the first context": (BeatUnit, "elaborate", {"self.context[: sizes.context_bits])": "Const(0, 1))"}),
    "the youngest sample first": (
        SequencerUnit,
        "_choose",
        {"for age in reversed(range(count))": "for age in range(count)"},
    ),
    "the context with the lowest number first": (
        SequencerUnit,
        "_choose",
        {"(turn + age)[: sizes.context_bits]": "age"},
    ),
    "a tile that does not keep its context": (
        SequencerUnit,
        "_choose",
        {"is_held.eq(keeps & (taken_owner != k))": "is_held.eq(0)"},
    ),
    "a tile that keeps it only while it works": (
        SequencerUnit,
        "_choose",
        {"~is_held & (": "~(is_held & makes) & ("},
    ),
    "a move that waits for nobody": (SequencerUnit, "_choose", {"(~moves | may_move)": "1"}),
    "a move that waits only for its own sample": (
        SequencerUnit,
        "_choose",
        {"(~moves | may_move)": "(~moves | context.may_move)"},
    ),
    "a move that is taken while results are in the making": (SequencerUnit, "_choose", {".all() & ~makes": ".all()"}),
    "all instructions wait for all": (SequencerUnit, "_choose", {"(~moves | may_move)": "may_move"}),
    "an instruction that is taken before what it reads is made": (
        SequencerUnit,
        "_choose",
        {"~(offer.sync & own_makes)": "1"},
    ),
    "an instruction that waits for what another sample makes": (
        SequencerUnit,
        "_choose",
        {"~(offer.sync & own_makes)": "~(offer.sync & makes)"},
    ),
    "results in the making that are forgotten": (SequencerUnit, "_work", {"makes.eq(taken.wait != 0)": "makes.eq(0)"}),
    "results in the making that are not done with": (
        SequencerUnit,
        "_work",
        {"updating.eq(0), walking.eq(0), makes.eq(0)]": "updating.eq(0), walking.eq(0)]"},
    ),
    "a taken instruction that another one replaces": (
        SequencerUnit,
        "_choose",
        {"with m.If(~has_taken)": "with m.If(1)"},
    ),
    "a taken instruction that begins twice": (SequencerUnit, "_choose", {"has_taken.eq(0)": "has_taken.eq(has_taken)"}),
    "an instruction that begins before the one before has ended": (
        SequencerUnit,
        "_work",
        {"has_taken & (~working | finish)": "has_taken"},
    ),
    "an instruction that begins a cycle after the one before has ended": (
        SequencerUnit,
        "_work",
        {"has_taken & (~working | finish)": "has_taken & ~working"},
    ),
    "nonzero words of the sample before": (
        SequencerUnit,
        "_work",
        {"pick(samples, taken_owner).nonzero": "pick(samples, owner).nonzero"},
    ),
    "the owner of the instruction before": (SequencerUnit, "_work", {"owner.eq(taken_owner)": "owner.eq(turn)"}),
    "errors that meet the instruction that ends": (IssueUnit, "_meets_errors", {"Mux(self.begins, ": "Mux(0, "}),
    "beats for the context that comes next": (
        SequencerUnit,
        "_work",
        {"beats.context.eq(owner)": "beats.context.eq(turn)"},
    ),
    "emission out of turn": (
        SequencerUnit,
        "_emit",
        {"pick([context.emit for context in contexts], turn)": "Cat(context.emit for context in contexts).any()"},
    ),
    "emission to every context": (SequencerUnit, "_emit", {"self.emit_ready & (turn == k)": "self.emit_ready"}),
    "a slot of the sample that was just taken": (
        SequencerUnit,
        "_take",
        {"batch) | (1 << sample.slot))": "batch))"},
    ),
    "a slot of one in flight": (SequencerUnit, "_take", {"for slot in recent:": "for slot in recent[:0]:"}),
    "a slot of the batch": (
        SequencerUnit,
        "_take",
        {"0, batch) | (1 << sample.slot)": "0, 0) | (1 << sample.slot)"},
    ),
    "the highest free slot": (SequencerUnit, "_take", {"for k in reversed(range(most))": "for k in range(most)"}),
    "a batch that is not emptied": (
        SequencerUnit,
        "_take",
        {"[batch.eq(0), learnt.eq(0), closing.eq(0)]": "[learnt.eq(0), closing.eq(0)]"},
    ),
    "a batch that is closed by an inferred sample": (
        SequencerUnit,
        "_take",
        {"sample.sample.learn & (sample.sample.close | is_full)": "sample.sample.close | is_full"},
    ),
    "a sample that enters while the batch waits": (SequencerUnit, "_take", {"~self.hold & ~closing": "~self.hold"}),
    "an update before all are done": (
        SequencerUnit,
        "_take",
        {"contexts[0].update.eq(all_idle & closing)": "contexts[0].update.eq(contexts[0].idle & closing)"},
    ),
    "no wait for errors": (IssueUnit, "elaborate", {"self._meets_errors(m, meets)": "self._meets_errors(m, Signal())"}),
    "a clear that is not told": (ContextUnit, "elaborate", {"self.clear.eq(jumps)": "self.clear.eq(0)"}),
    "the label of the sample that is offered": (ContextUnit, "elaborate", {"with m.If(self.begin):": "with m.If(1):"}),
    "a sync that is not kept": (ContextUnit, "elaborate", {"(~instruction.sync | self.may_move)": "1"}),
    "an end that does not wait": (ContextUnit, "elaborate", {"settles & is_settled": "settles"}),
    "an end with any of its instructions": (
        SequencerUnit,
        "_work",
        {"context.finish & instruction.end": "context.finish"},
    ),
    "a program that is looked for in the wrong place": (
        ContextUnit,
        "elaborate",
        {"fetch.load.eq(self.taken)": "fetch.load.eq(self.finish)"},
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_bench_sees(monkeypatch, mutant):
    """With two samples in flight or four; a run that does not end is seen, too."""
    kind, method, changes = MUTANTS[mutant]
    plant(monkeypatch, kind, changes, method)
    assert any(is_seen(*run) for run in SEEN_BY)


SEEN_BY = [
    ("small", 2, 0),
    ("ones", 4, 0),
    ("small", 4, 3),
    ("small", 2, 1),
    ("three layers, synchronous states", 4, 1),
]


def is_seen(name, samples, seed):
    """Whether anything is wrong; a run without a fault takes less than 5000 cycles."""
    try:
        return bool(differences(sizes_of(name, samples), seed, cycles=6000)[0])
    except (AssertionError, IndexError):
        return True


def test_without_a_fault_nothing_is_seen():
    assert not any(is_seen(*run) for run in SEEN_BY)


def with_one_wait_less(schedule, position):
    """The same schedule, one instruction of which waits a cycle less."""
    changed = Schedule(schedule.memory)
    number, programs = 0, {}
    for name, lines in schedule.programs.items():
        programs[name] = tuple(replace(line, wait=line.wait - (number + k == position)) for k, line in enumerate(lines))
        number += len(lines)
    changed.__dict__["programs"] = programs
    return changed


def with_a_short_wait(monkeypatch, sizes, program):
    """What the bench sees of a sequencer whose program ends after a wait that is a cycle short."""
    last = sizes.schedule.starts[program] + len(sizes.schedule.programs[program]) - 1
    assert sizes.schedule.instructions[last].wait > 1
    short, original = Sizes(with_one_wait_less(sizes.schedule, last)), SequencerUnit.__init__
    monkeypatch.setattr(SequencerUnit, "__init__", lambda self, _: original(self, short))
    return differences(sizes, 1)[0]


WITH_WAITS = [Program.FREE_STEP, Program.READOUT, Program.NUDGED_STEP, Program.UPDATE]


@pytest.mark.parametrize("program", WITH_WAITS)
def test_the_bench_sees_a_wait_too_few(monkeypatch, program):
    """Beside the cycle model of the right one; of one sample alone it is known which program it is."""
    wrong = with_a_short_wait(monkeypatch, make_sizes((6, 5, 3), 4, learning={"batch": 2}), program)
    of_programs = [entry for entry in wrong if isinstance(entry[0], Program)]
    assert {entry[:2] for entry in of_programs} == {(program, "cycles")}
    assert {wanted - found for _, _, found, wanted in of_programs} == {1}
    assert {entry[0] for entry in wrong if entry not in of_programs} == {"counts", "last beats"}


@pytest.mark.parametrize("program", WITH_WAITS)
def test_the_bench_sees_a_wait_too_few_of_samples_in_flight(monkeypatch, program):
    """No beat is another; the cycles are."""
    wrong = with_a_short_wait(monkeypatch, sizes_of("defaults", 2), program)
    assert wrong
    assert {entry[0] for entry in wrong} <= {"counts", "last beats"}
