"""The replay of samples in flight: by hand for a tiny net, and against sums where samples run alone."""

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.plan import CycleModel, Passage, Schedule
from fregen.plan.in_flight import Replay
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.unit


def schedule_of(layers=(1, 1, 1), lanes=1, samples=2, drain=1, words=1, **learning):
    table = {
        "name": "t",
        "network": {"layers": layers},
        "hardware": {"lanes": lanes, "samples": samples, "drain": drain, "words": words},
        "learning": {"batch": 4, **learning},
    }
    return Schedule.of(NetworkSpec(Design.parse(table)))


def replay_of(passages, **settings):
    """Cycles in which a sample was under way, and the replay."""
    replay = Replay(schedule_of(**settings))
    for passage in passages:
        replay.send(passage)
    return replay.finish(), replay


def infers(**settings):
    return Passage(1, 1, **settings)


def learns(samples=0, **settings):
    """A sample that learns; the last one of so many."""
    batch = (np.full(1, samples), samples) if samples else None
    return Passage(1, 1, 1, batch=batch, **settings)


def test_two_samples_as_worked_by_hand():
    """Sizes 1, 1, 1 on one lane, both inferred.

    Sample 0 is taken in cycle 0.  It jumps in 1; its first instruction is taken in 2, beat 3.  The word is written and
    compared 14 cycles later, decided in 18.  The readout jumps in 19, beat 21; the prediction is decided 7 later, in
    28, and handed over in 29.  The one input word of sample 1 comes in cycle 1, so that it is taken in 2, and all else
    is two cycles later than sample 0's: the last cycle of its program is 30.  From 1 to 30 a program runs.  Alone: 18
    and 10.
    """
    busy, replay = replay_of([infers(), infers()])
    assert replay._spans == [(1, 18), (3, 20), (19, 28), (21, 30)]
    assert busy == 30
    assert replay_of([infers(), infers()], samples=1)[0] == 2 * (18 + 10)


def test_a_third_sample_waits_for_the_context_of_the_first():
    """It is there in 4, but context 0 is idle in 30 only, the cycle after sample 0's prediction is handed over."""
    _, replay = replay_of([infers()] * 3)
    assert replay._spans[4:] == [(31, 48), (49, 58)]
    assert replay_of([infers()] * 3, samples=4)[1]._spans[-1] == (23, 32)


def test_the_oldest_sample_has_the_lanes_first():
    """Sizes 9, 1, 1 with all inputs, then none: the second sample's beat comes when the first one's nine are issued.

    Sample 0 beats in 3 to 11.  Sample 1 is taken in 10, as soon as its 9 words are there; jumps in 11; beats 13 to 21.
    Sample 2, without an input, is taken in 20; its beat is 23; that of sample 0's readout, decided in 26, is 29.
    """
    passages = [Passage(9, 1), Passage(9, 1), Passage(0, 1)]
    _, replay = replay_of(passages, layers=(9, 1, 1), samples=4)
    assert replay._spans[:3] == [(1, 11 + 15), (11, 21 + 15), (21, 23 + 15)]


def test_a_tile_keeps_the_lanes_and_others_follow():
    """Sizes 3, 8, 1: each tile has 3 beats.  Sample 0: 3 to 26, tile after tile.

    Sample 1 is taken in 4 and could beat in 7; all eight tiles of the older sample come first: 27 to 50.  Between its
    tiles the older one's readout has the lanes: it is decided in 41, jumps in 42, and could beat in 44; the tile that
    has begun in 42 lasts until 44, so that 8 ring beats follow in 45 to 52, and the last two tiles in 53 to 58.
    """
    _, replay = replay_of([Passage(3, 1), Passage(3, 1)], layers=(3, 8, 1))
    assert sorted(replay._spans)[:3] == [(1, 26 + 15), (5, 58 + 15), (42, 52 + 7)]


def test_a_tile_drains_before_the_next_sample_s_may():
    """Sizes 1, 4, 1 on 4 lanes: sample 0 beats in 3 and drains 4 neurons; sample 1, taken in 2, beats in 7, not 5."""
    _, replay = replay_of([infers(), infers()], layers=(1, 4, 1), lanes=4)
    assert replay._spans[:2] == [(1, 3 + 17 + 1), (3, 7 + 17 + 1)]


@pytest.mark.parametrize(("drain", "cycles"), [(2, 2), (4, 1)])
def test_a_tile_that_drains_several_neurons_a_cycle_holds_nobody(drain, cycles):
    """The same, but 4 neurons leave in 2 cycles or 1: sample 1 beats in 5."""
    _, replay = replay_of([infers(), infers()], layers=(1, 4, 1), lanes=4, drain=drain)
    assert replay._spans[:2] == [(1, 3 + 13 + cycles + 1), (3, 5 + 13 + cycles + 1)]


@pytest.mark.parametrize(
    ("inputs", "words", "beats"), [(4, 1, 4), (4, 2, 2), (3, 2, 2), (4, 4, 1), (4, 8, 1), (9, 8, 2)]
)
def test_a_sample_comes_as_many_words_a_cycle_as_the_stream_takes(inputs, words, beats):
    """Sample 0 is taken in 0, and the beats of sample 1 come in 1 and so on; in the cycle after the last it is taken.

    It jumps in the next one, and its step ends 17 cycles later.  One that is held has its beats from 30 on, when the
    core is idle.
    """
    settings = {"layers": (inputs, 1, 1), "words": words}
    _, replay = replay_of([infers(), infers()], **settings)
    assert replay._spans[:2] == [(1, 18), (beats + 2, beats + 19)]
    _, held = replay_of([infers(), infers(is_held=True)], **settings)
    assert held._spans[2] == (30 + beats + 1, 30 + beats + 18)


def test_a_sample_that_is_held_comes_when_the_core_is_idle():
    """Sample 0 is handed over in 29, so the core is idle in 30: the word comes in 30, and in 31 the sample is taken.

    The cycles in which the host waits are not counted.
    """
    busy, replay = replay_of([infers(), infers(is_held=True)])
    assert replay._spans == [(1, 18), (19, 28), (32, 49), (50, 59)]
    assert busy == 28 + 28
    assert replay.elapsed == 59


def test_a_batch_is_learnt_when_its_samples_are_done():
    """Two samples that learn, and one that comes meanwhile.

    Sample 0: free 1 to 18, readout from 19.  Its beat is 21, its only error is written 7 + 10 later in 38; decided in
    37, handed over in 38.  Nudged: jumps in 39, beat 41, decided in 41 + 15 = 56, so that it is idle in 57.

    Sample 1 is two cycles later until its readout, which could beat in 23: it is held back to 31, so that its logit
    comes in 38, in which that error is written.  Decided in 47, handed over in 48, nudged from 49 to 66; idle in 67.

    The update jumps in 68 and is taken in 69; the column is found in 70, beats 71 and 72 (two samples).  The other
    matrix is taken in 72: found in 73, beats 74 and 75.  Written 9 later, in 84, in which it ends.  The sample that has
    waited is taken in 85.
    """
    _, replay = replay_of([learns(), learns(2), infers()])
    spans = [(1, 18), (3, 20), (19, 37), (21, 47), (39, 56), (49, 66), (68, 84), (86, 103), (104, 113)]
    assert replay._spans == spans


def test_an_inferred_sample_between_learners_is_waited_for_and_leaves_in_its_turn():
    """Sample 1 is ready to be handed over in 31; sample 0's turn comes first, in 38; so it leaves in 39.

    It does not wait for the batch, but the batch for it: were sample 1 slow, the update would begin later.
    """
    _, replay = replay_of([learns(), infers(), learns(2)], samples=4)
    assert replay._last_emission > 39
    assert replay._emitted == 3
    _, quick = replay_of([learns(), infers(), learns(2)], samples=2)
    assert quick.contexts[1].idle == 40
    slow = Passage(1, 16)
    _, late = replay_of([learns(), slow, learns(2)], samples=4, free_steps=16)
    begun = max(begin for begin, _ in late._spans)
    assert late.contexts[1].idle is not None
    assert begun > late.contexts[1].idle


def random_passages(schedule, rng, count):
    """Samples of all kinds in batches that close, or not before the end."""
    spec, design = schedule.spec, schedule.spec.design
    inputs, open_samples, passages = schedule.memory.input_size, 0, []
    for number in range(count):
        learning = bool(rng.random() < 0.7)
        open_samples += learning
        closes = learning and (open_samples == design.learning.batch or rng.random() < 0.2)
        nudged = int(rng.integers(1, design.nudged_steps + 1)) if learning else None
        batch = (rng.integers(0, open_samples + 1, inputs), open_samples) if closes else None
        open_samples = 0 if closes else open_samples
        free = int(rng.integers(1, design.free_steps + 1))
        is_held = bool(number and rng.random() < 0.2)
        passages.append(
            Passage(int(rng.integers(inputs + 1)), free, nudged, learning and not spec.has_offsets, batch, is_held)
        )
    return passages


NETWORKS = {
    "a layer": ((6, 5, 3), 4, {}),
    "one lane": ((4, 3, 2, 2), 1, {}),
    "synchronous states": ((7, 5, 3, 6, 2), 2, {"order": "synchronous", "nudged": "states", "error": "recomputed"}),
    "recomputed offsets": ((9, 6, 7, 3), 4, {"error": "recomputed"}),
    "wide output": ((3, 4, 9), 2, {"nudged": "states"}),
    "all steps": ((3, 17, 5), 16, {"stop": False}),
    "two leave": ((9, 6, 7, 3), 4, {"error": "recomputed", "drain": 2, "words": 4}),
    "four leave": ((3, 17, 5), 16, {"nudged": "states", "drain": 4, "words": 2}),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NETWORKS)
def test_a_sample_alone_takes_what_its_programs_take(name, seed):
    """With one sample in flight the replay comes to the sum of the programs, which the model has without it."""
    layers, lanes, learning = NETWORKS[name]
    schedule = schedule_of(layers, lanes, samples=1, free_steps=5, nudged_steps=4, **learning)
    passages, replay = random_passages(schedule, np.random.default_rng(seed), 25), Replay(schedule)
    for passage in passages:
        replay.send(passage)
    predicted = CycleModel(schedule).predict(passages)
    assert replay.finish() == predicted.total_cycles
    assert predicted.waiting > 0


@pytest.mark.parametrize("name", ["recomputed offsets", "all steps"])
def test_alone_a_sample_waits_less_where_more_neurons_leave(name):
    """And works as much."""
    layers, lanes, learning = NETWORKS[name]
    found = []
    for drain in (1, 2, 4):
        schedule = schedule_of(layers, lanes, samples=1, free_steps=5, nudged_steps=4, drain=drain, **learning)
        passages = random_passages(schedule, np.random.default_rng(1), 25)
        found.append(CycleModel(schedule).predict(passages))
    assert found[0].cycles == found[1].cycles == found[2].cycles
    assert found[0].waiting > found[1].waiting > found[2].waiting


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("samples", [2, 4])
@pytest.mark.parametrize("name", NETWORKS)
def test_no_waits_are_lost_and_none_comes_twice(name, samples, seed):
    """Work stays; the whole is never longer than sample after sample, nor shorter than all work of the lanes."""
    layers, lanes, learning = NETWORKS[name]
    settings = {"free_steps": 5, "nudged_steps": 4, **learning}
    several = schedule_of(layers, lanes, samples=samples, **settings)
    passages = random_passages(several, np.random.default_rng(seed), 25)
    alone = CycleModel(schedule_of(layers, lanes, samples=1, **settings)).predict(passages)
    found = CycleModel(several).predict(passages)
    assert (found.cycles, found.macs) == (alone.cycles, alone.macs)
    assert 0 <= found.waiting < alone.waiting
