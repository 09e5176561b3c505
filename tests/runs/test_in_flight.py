"""Where a run expects its samples, and what it expects of samples in flight: slots, contexts, planes, counts."""

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.golden import NetworkModel
from fregen.plan import CycleModel, MemoryMap, Schedule
from fregen.plan.counters import COUNTERS
from fregen.runs.prepare import random_samples
from fregen.runs.scenario import Scenario
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.unit

SYNCHRONOUS = {"nudged": "states", "order": "synchronous", "error": "recomputed"}


def scenario_of(samples, batch=2, falter=0, patience=0.0, **learning):
    learning = {"batch": batch, "free_steps": 4, "nudged_steps": 3, **learning}
    table = {"name": "net", "network": {"layers": (3, 4, 2)}, "learning": learning, "hardware": {"samples": samples}}
    spec = NetworkSpec(Design.parse(table))
    model = NetworkModel(spec)
    model.initial()
    return Scenario(spec, [np.array(words) for words in model.weights], falter=falter, patience=patience)


def filled(run, learnt, inferred, joins=0):
    """The same run with samples: some that are inferred among those that learn first, the rest at the end."""
    words, labels = random_samples(run.spec, learnt + inferred)
    if joins:
        run.infer(words[:joins], labels[:joins], joins=True)
    run.learn(words[joins : joins + learnt], labels[joins : joins + learnt], 0.25)
    run.infer(words[joins + learnt :], labels[joins + learnt :])
    return run


@pytest.mark.parametrize(
    ("samples", "learnt", "inferred"),
    [
        (1, [0, 1, 2, 0, 1, 0], [0, 1, 0, 1, 0, 1]),  # batches lie in {0, 1}, {2, 0}, {1, 0}
        (2, [0, 1, 2, 0, 1, 2], [0, 1, 2, 0, 1, 2]),
        (4, [0, 1, 2, 3, 4, 0], [0, 1, 2, 3, 4, 0]),  # of 6 slots the last 4 are kept
    ],
)
def test_slots_as_worked_by_hand(samples, learnt, inferred):
    """Batches of two: the lowest slot without one of the batch, as the sample before begins, and of the last ones."""
    assert filled(scenario_of(samples), 6, 0)._slots().tolist() == learnt
    assert filled(scenario_of(samples), 0, 6)._slots().tolist() == inferred


def test_a_sample_that_learns_keeps_its_slot_while_others_come_and_go():
    """Inferred ones among the first batch of four: what comes later leaves the slots of those that learn alone."""
    run = filled(scenario_of(1, batch=4), 4, 4, joins=4)
    learns, slots = [send.learns for send in run._sends()], run._slots()
    assert sorted(slots[learns].tolist()) == sorted(set(slots[learns].tolist()))
    for number, slot in enumerate(slots.tolist()):
        kept = {int(slots[k]) for k in range(number) if learns[k]}
        assert slot not in kept


@pytest.mark.parametrize("samples", [1, 2, 4])
@pytest.mark.parametrize("batch", [1, 2, 8])
def test_slots_are_enough_and_samples_in_flight_have_their_own(samples, batch):
    run = filled(scenario_of(samples, batch), 3 * batch + 1, 9, joins=5)
    slots = run._slots().tolist()
    assert max(slots) < MemoryMap(run.spec).slots
    for number in range(len(slots)):
        near = slots[max(0, number - samples) : number + 1]
        assert len(set(near)) == len(near)


@pytest.mark.parametrize("samples", [1, 2, 4])
@pytest.mark.parametrize("learning", [{}, SYNCHRONOUS, {"order": "synchronous"}, {"error": "recomputed"}])
def test_words_are_expected_in_the_planes_of_their_context(samples, learning):
    """A plane of steps belongs to a context: of sample k to that of k mod G, whether it learns or not."""
    run = filled(scenario_of(samples, **learning), 5, 4, joins=3)
    memory, (_, trace) = MemoryMap(run.spec), run.trace()
    expected, learns = run.expected(trace), np.array([send.learns for send in run._sends()])
    contexts = np.arange(run.samples) % samples
    assert expected["free_contexts"].tolist() == contexts.tolist()
    assert expected["readout_contexts"].tolist() == contexts[learns].tolist()
    assert expected["readout_slots"].tolist() == expected["free_slots"][learns].tolist()
    for phase, numbers in (("free", contexts), ("readout", contexts[learns]), ("nudged", contexts[learns])):
        owner = np.repeat(numbers, expected[f"{phase}_counts"])
        planes = expected[f"{phase}_planes"]
        own = planes != -1
        scratch, following = (planes[own] - first for first in (memory.scratch_plane, memory.next_plane))
        assert ((scratch == owner[own]) | (following == owner[own])).all()
    used = set(expected["nudged_planes"].tolist()) | set(expected["free_planes"].tolist())
    first = {memory.next_plane} if "order" in learning else set()
    first |= {memory.scratch_plane} if "error" in learning else set()
    own = {plane + context for plane in first for context in range(samples)}
    assert used - {-1} == own


@pytest.mark.parametrize("samples", [1, 2])
def test_passages_are_what_is_sent(samples):
    """In the order of sending; the sample that ends a batch knows which inputs its samples have fed."""
    run = filled(scenario_of(samples, patience=0.5, **SYNCHRONOUS), 5, 4, joins=2)
    trace = run.trace()[1]
    passages, sends = run.passages(trace), run._sends()
    inputs = np.concatenate([batch.inputs for batch in run.batches])
    assert [p.nonzero for p in passages] == [int(np.count_nonzero(inputs[send.sample])) for send in sends]
    assert [p.nudged_steps is not None for p in passages] == [send.learns for send in sends]
    assert [p.contrast for p in passages] == [send.learns for send in sends]
    assert [p.is_held for p in passages] == [send.rate is not None for send in sends]
    assert [p.batch is not None for p in passages] == [send.closes for send in sends]
    members = []
    for passage, send in zip(passages, sends, strict=True):
        members += [send.sample] if send.learns else []
        if passage.batch is not None:
            occupancy, count = passage.batch
            assert count == len(members)
            assert occupancy.tolist() == np.count_nonzero(inputs[members], axis=0).tolist()
            members = []
    assert not members
    assert sum(p.free_steps for p in passages) == sum(int(part.sum()) for part in trace.free_steps)


@pytest.mark.parametrize(("samples", "falter", "demanded"), [(1, 0, True), (1, 7, True), (2, 0, True), (2, 7, False)])
def test_waiting_is_demanded_unless_it_depends_on_the_host(samples, falter, demanded):
    run = filled(scenario_of(samples, falter=falter), 4, 2)
    trace = run.trace()[1]
    counted = dict(zip(COUNTERS, run.expected(trace)["counters"].tolist(), strict=True))
    predicted = CycleModel(Schedule.of(run.spec)).predict(run.passages(trace))
    assert counted["waiting_cycles"] == (predicted.waiting if demanded else -1)
    assert counted["free_cycles"] == predicted.cycles["free"]
    assert counted["samples"] == 6
    assert run.cycle_limit({"counters": np.array(list(counted.values()))}) > 0
