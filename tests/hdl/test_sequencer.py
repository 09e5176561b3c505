"""The sequencer against the cycle model, cycle by cycle, and against its schedule, beat by beat."""

import numpy as np
import pytest
from amaranth.sim import Simulator
from sequencer_bench import Bench, differences
from sequencer_script import DESIGNS, Sample, expected_beats, placed, sizes_of
from unit_bench import PERIOD, make_sizes

from fregen.hdl.sequencer import SequencerUnit
from fregen.plan import PIPELINES, CycleModel, Pipeline, Program

pytestmark = pytest.mark.rtl


@pytest.mark.parametrize("samples", [1, 2, 4])
@pytest.mark.parametrize("name", DESIGNS)
def test_cycles_and_beats_of_every_program(name, samples):
    """Samples with no, one and all inputs nonzero, full and closed batches, random input masks; some are held back."""
    sizes = sizes_of(name, samples)
    wrong, ran = differences(sizes, seed=len(name), rate=len(sizes.spec.graph.layers))
    assert not wrong, wrong[:6]
    wanted = {p for p, lines in sizes.schedule.programs.items() if lines}
    wanted -= {Program.FREE_STEP} if sizes.spec.design.free_steps == 1 else set()
    wanted -= {Program.NUDGED_STEP} if sizes.spec.design.nudged_steps == 1 else set()
    assert ran == wanted


WIDE = [  # samples, drain, words
    *((1, 2, 1), (2, 2, 4), (4, 2, 2), (2, 1, 2)),
    *((1, 4, 8), (2, 4, 2), (4, 4, 8)),
]


@pytest.mark.parametrize(("samples", "drain", "words"), WIDE)
@pytest.mark.parametrize("name", ["defaults", "recomputed offsets", "synchronous offsets", "states, wide output"])
def test_cycles_where_neurons_leave_and_words_come_several_at_a_time(name, samples, drain, words):
    """Tiles leave in fewer cycles, samples are there sooner: no beat is another, and the model says when each comes."""
    sizes = sizes_of(name, samples, drain, words)
    wrong, _ = differences(sizes, seed=len(name) + 1)
    assert not wrong, wrong[:6]


DEEPER = {
    "a family": PIPELINES["ecp5"],
    "one more of each": Pipeline(2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 1),
    "a long scan": Pipeline(address=3, steer=3, scan=4, element=2),
}


@pytest.mark.parametrize("samples", [1, 2, 4])
@pytest.mark.parametrize("depth", DEEPER)
@pytest.mark.parametrize("name", ["defaults", "recomputed offsets", "small", "ones"])
def test_cycles_where_the_pipeline_is_deeper(name, depth, samples):
    """As of a family that has more registers: the same beats, and the model says when each comes."""
    wrong, _ = differences(sizes_of(name, samples, pipeline=DEEPER[depth]), seed=len(name) + samples)
    assert not wrong, wrong[:6]


@pytest.mark.parametrize("samples", [1, 2, 4])
@pytest.mark.parametrize("name", ["one lane", "small", "recomputed offsets", "ones"])
def test_a_host_that_falters_changes_no_beat_and_no_order(name, samples):
    """Samples come late, predictions are not taken, and the sequencer is held, at random."""
    wrong, _ = differences(sizes_of(name, samples), seed=samples, falter=np.random.default_rng(samples))
    assert not wrong, wrong[:6]


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("pattern", ["none", "all", "first", "last", "middle", "sparse"])
def test_update_skips_what_no_sample_feeds(lanes, pattern):
    """The scan for the next fed input hides behind the work, except at gaps: to the cycle as the model says."""
    sizes = make_sizes((24, 5, 3), lanes, learning={"batch": 2, "free_steps": 1, "nudged_steps": 1})
    inputs, model = range(24), CycleModel(sizes.schedule)
    chosen = {
        "none": [], "all": inputs, "first": [0], "last": [23], "middle": [11, 12], "sparse": [0, 9, 10, 22],
    }[pattern]  # fmt: skip
    for mask in (0b011, 0b001, 0b111):
        samples = placed(sizes, [Sample(True, False, 1, 1, 1), Sample(True, False, 1, 1, 1)])
        masks = [mask if k in chosen else 0b100 for k in inputs]
        bench = Bench(sizes, samples, masks).play()
        occupancy = np.array([(mask & 3).bit_count() if k in chosen else 0 for k in inputs])
        assert bench.spent[0][-1] == model.update(occupancy, 2).cycles
        wanted = expected_beats(sizes, Program.UPDATE, samples[1], [0, 1], masks)
        assert [{key: got[key] for key in want} for got, want in zip(bench.beats[0][-1], wanted, strict=True)] == wanted


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("hold", [1, 0])
def test_hold_keeps_a_sample_waiting(hold, samples):
    unit = SequencerUnit(sizes_of("defaults", samples))
    simulator = Simulator(unit)
    simulator.add_clock(PERIOD)

    async def bench(ctx):
        ctx.set(unit.sample.loaded, 1)
        ctx.set(unit.hold, hold)
        taken = [value for _ in range(20) for value in (await ctx.tick().sample(unit.sample.take))[2:]]
        assert sum(taken) == samples * (1 - hold)
        assert ctx.get(unit.idle) == hold

    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("samples", [1, 2, 4])
def test_a_prediction_waits_until_it_is_taken(samples):
    """The sequencer stands still at ``emit`` until ``emit_ready``; nothing is counted meanwhile."""
    hardware = {"lanes": 2, "samples": samples}
    unit = SequencerUnit(make_sizes((3, 2, 2), 2, learning={"free_steps": 1}, hardware=hardware))
    simulator = Simulator(unit)
    simulator.add_clock(PERIOD)

    async def bench(ctx):
        ctx.set(unit.sample.loaded, 1)
        await ctx.tick().until(unit.emit)
        await ctx.tick().repeat(200)  # all contexts are full, and have come as far
        for _ in range(9):
            assert ctx.get(unit.emit)
            assert not ctx.get(unit.sample.take)
            assert not ctx.get(unit.events.sample)
            assert not ctx.get(unit.events.busy)
            await ctx.tick()
        ctx.set(unit.sample.loaded, 0)
        ctx.set(unit.emit_ready, 1)
        for context in range(samples):
            assert not ctx.get(unit.idle)
            assert ctx.get(unit.emit_context) == context
            assert ctx.get(unit.events.sample)
            await ctx.tick()
        assert ctx.get(unit.idle)
        assert not ctx.get(unit.emit)

    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("samples", [2, 4])
def test_no_sample_is_taken_while_a_batch_is_learnt(samples):
    """From the take of its last sample to the end of its update; in the cycle after that the next one is taken."""
    hardware = {"lanes": 2, "samples": samples}
    unit = SequencerUnit(make_sizes((3, 2, 2), 2, learning={"batch": 2}, hardware=hardware))
    simulator = Simulator(unit)
    simulator.add_clock(PERIOD)

    async def bench(ctx):
        told = {"taken": unit.sample.take, "updated": unit.events.update}
        ctx.set(unit.sample.loaded, 1)
        ctx.set(unit.sample.sample.learn, 1)
        ctx.set(unit.emit_ready, 1)
        records = [(await ctx.tick().sample(*told.values()))[2:] for _ in range(1500)]
        takes = [t for t, (taken, _) in enumerate(records) if taken]
        updates = [t for t, (_, updated) in enumerate(records) if updated]
        assert len(updates) > 2
        assert takes[2::2] == [t + 1 for t in updates][: len(takes[2::2])]
        assert takes[1::2] == [t + 1 for t in takes[::2]][: len(takes[1::2])]

    simulator.add_testbench(bench)
    simulator.run()
