"""The input side against lists: slots, words, nonzero lists, masks, with gaps on either side."""

import numpy as np
import pytest
from unit_bench import make_sizes, plant, run

from fregen.hdl.samples import SampleUnit

pytestmark = pytest.mark.rtl


def samples_of(size, classes, rng, count):
    """(words, label, learn, close): none, one, all words nonzero, the extremes, then random ones."""
    for number in range(count):
        words = rng.integers(-128, 128, size) * (rng.random(size) < rng.random())
        if number == 0:
            words[:] = 0
        elif number == 1:
            words[:] = [127] + [0] * (size - 1)
        elif number == 2:
            words[:] = [0] * (size - 1) + [-128]
        elif number == 3:
            words[:] = 1
        yield words.tolist(), int(rng.integers(classes)), int(rng.integers(2)), int(rng.integers(2))


def differences(size, batch, seed, gaps=0.4, count=14):
    """A driver with gaps, a taker that keeps slots busy at random; what it finds different, and slots."""
    sizes = make_sizes((size, 3, 5), 2, numerics={"state": "q1.7"}, learning={"batch": batch})
    unit, rng, slots = SampleUnit(sizes), np.random.default_rng(seed), batch + 1
    samples = list(samples_of(size, 5, rng, count))
    wrong, taken = [], []
    gap = np.random.default_rng(seed + 1)
    busy = [0] * (2 * count)

    async def driver(ctx):
        for words, label, learn, close in samples:
            for place, word in enumerate(words):
                while gap.random() < gaps:
                    ctx.set(unit.i.valid, 0)
                    await ctx.tick()
                last = place == len(words) - 1  # label and flags count with the last word only
                ctx.set(unit.i.payload.label, label if last else (label + 1) % 5)
                ctx.set(unit.i.payload.learn, learn if last else 1 - learn)
                ctx.set(unit.i.payload.close, close if last else 1 - close)
                ctx.set(unit.i.payload.word, word)
                ctx.set(unit.i.valid, 1)
                await ctx.tick().until(unit.i.ready)
        ctx.set(unit.i.valid, 0)

    async def read(ctx, ports, output):
        for port, number in ports:
            ctx.set(port, number)
        await ctx.tick()
        return ctx.get(output)

    async def taker(ctx):
        active = {}
        for words, label, learn, close in samples:
            await ctx.tick().until(unit.sample.loaded)
            for _ in range(int(rng.integers(4))):
                await ctx.tick()
                if ctx.get(unit.i.ready):
                    wrong.append(("ready while a sample waits", len(taken)))
            ctx.set(unit.sample.take, 1)
            await ctx.tick()
            ctx.set(unit.sample.take, 0)
            slot = ctx.get(unit.sample.slot)
            free = [k for k in range(slots) if not busy[len(taken)] >> k & 1]
            told = [ctx.get(getattr(unit.sample, name)) for name in ("label", "learn", "close", "nonzero")]
            nonzero = [k for k, word in enumerate(words) if word]
            if (slot, told) != (free[0], [label, learn, close, len(nonzero)]):
                wrong.append(("header", slot, free, told))
            # The next sample may stream in from now on: it must leave this one alone, list and words.
            active = {**active, slot: words}
            keep = {k for k in active if k != slot and rng.random() < 0.6} if len(active) < slots else set()
            active = {k: v for k, v in active.items() if k in keep or k == slot}
            busy[len(taken) + 1] = sum(1 << k for k in active)
            ctx.set(unit.sample.busy, busy[len(taken) + 1])
            for _ in range(int(rng.choice([0, size, 4 * size]))):  # time for it to overwrite this one
                await ctx.tick()
            listed = [await read(ctx, [(unit.list_index, k)], unit.index) for k in range(len(nonzero))]
            if listed != nonzero:
                wrong.append(("list", listed, nonzero))
            for held, whole in active.items():
                for k in range(size):
                    word = await read(ctx, [(unit.word_slot, held), (unit.word_index, k)], unit.word)
                    if word != whole[k]:
                        wrong.append(("word", held, k, word, whole[k]))
            for k in range(size):
                mask = await read(ctx, [(unit.mask.index, k)], unit.mask.slots)
                wrong.extend(
                    ("mask", held, k) for held, whole in active.items() if (mask >> held & 1) != (whole[k] != 0)
                )
            taken.append(slot)

    run(unit, driver, taker)
    return wrong, taken


@pytest.mark.parametrize("gaps", [0.0, 0.4])
@pytest.mark.parametrize(("size", "batch"), [(1, 1), (5, 1), (8, 2), (7, 4)])
def test_samples_arrive_whole(size, batch, gaps):
    """Words, labels and flags of the last word, lowest free slot, list, masks; while the next one streams in."""
    wrong, taken = differences(size, batch, size, gaps)
    assert not wrong, wrong[:5]
    assert len(taken) == 14
    assert set(taken) == set(range(batch + 1))


def test_one_word_a_cycle_and_a_pause_while_a_sample_waits():
    sizes = make_sizes((6, 3, 2), 2)
    unit = SampleUnit(sizes)

    async def bench(ctx):
        ctx.set(unit.i.valid, 1)
        for _ in range(6):
            assert ctx.get(unit.i.ready)
            assert not ctx.get(unit.sample.loaded)
            await ctx.tick()
        assert ctx.get(unit.sample.loaded)
        for _ in range(5):
            assert not ctx.get(unit.i.ready)
            await ctx.tick()
        ctx.set(unit.sample.take, 1)
        await ctx.tick()
        ctx.set(unit.sample.take, 0)
        assert ctx.get(unit.i.ready)
        assert not ctx.get(unit.sample.loaded)
        assert ctx.get(unit.sample.nonzero) == 0

    run(unit, bench)


MUTANTS = {
    "a list in one bank": {"Cat(found[: sizes.input_bits], bank)": "found[: sizes.input_bits]"}
    | {"accept & is_nonzero, ~bank": "accept & is_nonzero, bank[1:]"},
    "a slot that is busy": {"with m.If(~self.sample.busy[k])": "with m.If(self.sample.busy[k])"},
    "learn and close exchanged": {
        "learn.eq(learn), self.sample.close.eq(close)": "learn.eq(close), self.sample.close.eq(learn)"
    },
    "nonzero words counted on": {"found.eq(0), ": ""},
    "a mask of all slots": {"1 << target, 0": "-1, 0"},
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_bench_sees(monkeypatch, mutant):
    plant(monkeypatch, SampleUnit, MUTANTS[mutant])
    assert differences(7, 4, seed=7)[0]
