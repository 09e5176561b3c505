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

    Sample 0 is taken in cycle 0.  It jumps in 1; its first instruction is taken in 2 and begins in 3, beat 4.  The word
    is written and compared 14 cycles later, decided in 19.  The readout jumps in 20, beat 23; the prediction is decided
    7 later, in 30, and handed over in 31.  The one input word of sample 1 comes in cycle 1, so that it is taken in 2,
    and all else is two cycles later than sample 0's: the last cycle of its program is 32.  From 1 to 32 a program runs.
    Alone: 19 and 11.
    """
    busy, replay = replay_of([infers(), infers()])
    assert replay._spans == [(1, 19), (3, 21), (20, 30), (22, 32)]
    assert busy == 32
    assert replay_of([infers(), infers()], samples=1)[0] == 2 * (19 + 11)


def test_a_third_sample_waits_for_the_context_of_the_first():
    """It is there in 4, but context 0 is idle in 32 only, the cycle after sample 0's prediction is handed over."""
    _, replay = replay_of([infers()] * 3)
    assert replay._spans[4:] == [(33, 51), (52, 62)]
    assert replay_of([infers()] * 3, samples=4)[1]._spans[-1] == (24, 34)


def test_the_oldest_sample_has_the_lanes_first():
    """Sizes 9, 1, 1 with all inputs, then none: the second sample's beat comes when the first one's nine are issued.

    Sample 0 beats in 4 to 12.  Sample 1 is taken in 10, as soon as its 9 words are there; jumps in 11; its instruction
    is taken in 12, beats 14 to 22.  Sample 2, without an input, is taken in 20; its beat is 24; that of sample 0's
    readout, decided in 27, is 31.
    """
    passages = [Passage(9, 1), Passage(9, 1), Passage(0, 1)]
    _, replay = replay_of(passages, layers=(9, 1, 1), samples=4)
    assert replay._spans[:3] == [(1, 12 + 15), (11, 22 + 15), (21, 24 + 15)]


def test_a_tile_keeps_the_lanes_and_others_follow():
    """Sizes 3, 8, 1: each tile has 3 beats.  Sample 0: 4 to 27, tile after tile.

    Sample 1 is taken in 4 and could beat in 8; all eight tiles of the older sample come first, and its own from 28 on.
    Between these the older one's readout has the lanes: decided in 42, it jumps in 43 and is there in 44.  The sixth
    tile's beats are 43 to 45, and with the first of them the seventh is taken: 46 to 48.  With its first beat, in 46,
    the readout is taken: 8 ring beats in 49 to 56; and the last tile's beats are 57 to 59.
    """
    _, replay = replay_of([Passage(3, 1), Passage(3, 1)], layers=(3, 8, 1))
    assert sorted(replay._spans)[:3] == [(1, 27 + 15), (5, 59 + 15), (43, 56 + 7)]


def test_a_tile_drains_before_the_next_sample_s_may():
    """Sizes 1, 4, 1 on 4 lanes: sample 0 beats in 4 and drains 4 neurons; sample 1, taken in 2, beats in 8, not 6."""
    _, replay = replay_of([infers(), infers()], layers=(1, 4, 1), lanes=4)
    assert replay._spans[:2] == [(1, 4 + 17 + 1), (3, 8 + 17 + 1)]


@pytest.mark.parametrize(("drain", "cycles"), [(2, 2), (4, 1)])
def test_a_tile_that_drains_several_neurons_a_cycle_holds_nobody(drain, cycles):
    """The same, but 4 neurons leave in 2 cycles or 1: sample 1 beats in 6."""
    _, replay = replay_of([infers(), infers()], layers=(1, 4, 1), lanes=4, drain=drain)
    assert replay._spans[:2] == [(1, 4 + 13 + cycles + 1), (3, 6 + 13 + cycles + 1)]


@pytest.mark.parametrize(
    ("inputs", "words", "beats"), [(4, 1, 4), (4, 2, 2), (3, 2, 2), (4, 4, 1), (4, 8, 1), (9, 8, 2)]
)
def test_a_sample_comes_as_many_words_a_cycle_as_the_stream_takes(inputs, words, beats):
    """Sample 0 is taken in 0, and the beats of sample 1 come in 1 and so on; in the cycle after the last it is taken.

    It jumps in the next one, and its step ends 18 cycles later.  One that is held has its beats from 32 on, when the
    core is idle.
    """
    settings = {"layers": (inputs, 1, 1), "words": words}
    _, replay = replay_of([infers(), infers()], **settings)
    assert replay._spans[:2] == [(1, 19), (beats + 2, beats + 20)]
    _, held = replay_of([infers(), infers(is_held=True)], **settings)
    assert held._spans[2] == (32 + beats + 1, 32 + beats + 19)


def test_a_sample_that_is_held_comes_when_the_core_is_idle():
    """Sample 0 is handed over in 31, so the core is idle in 32: the word comes in 32, and in 33 the sample is taken.

    The cycles in which the host waits are not counted.
    """
    busy, replay = replay_of([infers(), infers(is_held=True)])
    assert replay._spans == [(1, 19), (20, 30), (34, 52), (53, 63)]
    assert busy == 30 + 30
    assert replay.elapsed == 63


def test_a_batch_is_learnt_when_its_samples_are_done():
    """Two samples that learn, and one that comes meanwhile.

    Sample 0: free 1 to 19, readout from 20.  Its beat is 23, its only error is written 7 + 10 later in 40; decided in
    39, handed over in 40.  Nudged: jumps in 41, beat 44, decided in 44 + 15 = 59, so that it is idle in 60.

    Sample 1 is two cycles later until its readout, which could beat in 25: it is held back to 33, so that its logit
    comes in 40, in which that error is written.  Decided in 49, handed over in 50, nudged from 51 to 69; idle in 70.

    The update jumps in 71 and is taken in 72; it begins with the end of 73, its column is asked for in 74: beats 77 and
    78 (two samples).  The other matrix begins with the end of 78: beats 82 and 83.  Written 9 later, in 92, in which it
    ends.  The sample that has waited is taken in 93.
    """
    _, replay = replay_of([learns(), learns(2), infers()])
    spans = [(1, 19), (3, 21), (20, 39), (22, 49), (41, 59), (51, 69), (71, 92), (94, 112), (113, 123)]
    assert replay._spans == spans


def test_an_inferred_sample_between_learners_is_waited_for_and_leaves_in_its_turn():
    """Sample 1 is ready to be handed over in 33; sample 0's turn comes first, in 40; so it leaves in 41.

    It does not wait for the batch, but the batch for it: were sample 1 slow, the update would begin later.
    """
    _, replay = replay_of([learns(), infers(), learns(2)], samples=4)
    assert replay._last_emission > 41
    assert replay._emitted == 3
    _, quick = replay_of([learns(), infers(), learns(2)], samples=2)
    assert quick.contexts[1].idle == 42
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
