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


def differences(size, batch, seed, gaps=0.4, count=14, contexts=1, width=1):
    """A driver with gaps, a taker that keeps some samples; what it finds different, and slots.

    What a sample's last beat has beyond its words is any.  The taker says which slot the next sample streams into, as
    the sequencer does: in the cycle after it takes one.
    """
    hardware = {"samples": contexts, "words": width}
    sizes = make_sizes((size, 3, 5), 2, numerics={"state": "q1.7"}, learning={"batch": batch}, hardware=hardware)
    unit, rng, slots = SampleUnit(sizes), np.random.default_rng(seed), sizes.memory.slots
    samples = list(samples_of(size, 5, rng, count))
    wrong, taken = [], []
    gap = np.random.default_rng(seed + 1)

    async def driver(ctx):
        for words, label, learn, close in samples:
            for begin in range(0, size, width):
                while gap.random() < gaps:
                    ctx.set(unit.i.valid, 0)
                    await ctx.tick()
                last = begin + width >= size  # label and flags count with the last beat only
                row = [*words[begin : begin + width], *gap.integers(-128, 128, width).tolist()][:width]
                ctx.set(unit.i.payload.label, label if last else (label + 1) % 5)
                ctx.set(unit.i.payload.learn, learn if last else 1 - learn)
                ctx.set(unit.i.payload.close, close if last else 1 - close)
                ctx.set(unit.i.payload.words, row)
                ctx.set(unit.i.valid, 1)
                await ctx.tick().until(unit.i.ready)
        ctx.set(unit.i.valid, 0)

    async def read(ctx, ports, output):
        for port, number in ports:
            ctx.set(port, number)
        await ctx.tick()
        for port, number in ports:  # the answer is that to what was asked
            ctx.set(port, number ^ 1)
        return ctx.get(output)

    async def taker(ctx):
        slot, active, listed = 0, {}, {}
        for number, (words, label, learn, close) in enumerate(samples):
            await ctx.tick().until(unit.sample.loaded)
            for _ in range(int(rng.integers(4))):
                await ctx.tick()
                if ctx.get(unit.i.ready):
                    wrong.append(("ready while a sample waits", len(taken)))
            told = [ctx.get(getattr(unit.sample.sample, name)) for name in ("label", "learn", "close", "nonzero")]
            places = [ctx.get(unit.sample.sample.slot), ctx.get(unit.sample.sample.bank)]
            nonzero = [k for k, word in enumerate(words) if word]
            if (places, told) != ([slot, number % (contexts + 1)], [label, learn, close, len(nonzero)]):
                wrong.append(("header", number, places, told))
            ctx.set(unit.sample.take, 1)
            await ctx.tick()
            ctx.set(unit.sample.take, 0)
            # The next sample may stream in from now on: it must leave the others alone, lists and words.
            active = {**active, slot: words}
            listed = {number: nonzero, **{k: v for k, v in listed.items() if k > number - contexts}}
            keep = {k for k in active if k != slot and rng.random() < 0.6} if len(active) < slots else set()
            active = {k: v for k, v in active.items() if k in keep or k == slot}
            taken.append(slot)
            slot = int(rng.choice([k for k in range(slots) if k not in active]))
            ctx.set(unit.sample.slot, slot)
            for _ in range(int(rng.choice([0, size, 4 * size]))):  # time for it to overwrite this one
                await ctx.tick()
            for other, wanted in listed.items():
                ctx.set(unit.list_bank, other % (contexts + 1))
                found = [await read(ctx, [(unit.list_index, k)], unit.index) for k in range(len(wanted))]
                if found != wanted:
                    wrong.append(("list", number, other, found, wanted))
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

    run(unit, driver, taker)
    return wrong, taken


@pytest.mark.parametrize("gaps", [0.0, 0.4])
@pytest.mark.parametrize(("size", "batch", "contexts"), [(1, 1, 1), (5, 1, 1), (8, 2, 2), (7, 4, 4), (1, 2, 4)])
def test_samples_arrive_whole(size, batch, gaps, contexts):
    """Words, labels and flags of the last word, slots as told, lists, masks; while the next one streams in."""
    count = 14 + 4 * contexts
    wrong, taken = differences(size, batch, size, gaps, count, contexts)
    assert not wrong, wrong[:5]
    assert len(taken) == count
    assert set(taken) == set(range(batch + contexts))


WIDE = [(1, 2), (1, 8), (5, 2), (6, 2), (7, 4), (8, 4), (13, 4), (9, 8), (16, 8), (3, 8)]


@pytest.mark.parametrize("contexts", [1, 2])
@pytest.mark.parametrize(("size", "width"), WIDE)
def test_several_words_a_beat(size, width, contexts):
    """Samples that fill their beats, and such that leave some or most of the last one over; without gaps and with."""
    for gaps in (0.0, 0.4):
        wrong, taken = differences(size, 2, size, gaps, 14, contexts, width)
        assert not wrong, wrong[:5]
        assert len(taken) == 14


@pytest.mark.parametrize(("width", "beats"), [(1, 6), (2, 3), (4, 2), (8, 1)])
def test_one_beat_a_cycle_and_a_pause_while_a_sample_waits(width, beats):
    unit = SampleUnit(make_sizes((6, 3, 2), 2, hardware={"words": width}))

    async def bench(ctx):
        ctx.set(unit.i.valid, 1)
        for _ in range(beats):
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
        assert ctx.get(unit.sample.sample.nonzero) == 0

    run(unit, bench)


MUTANTS = {  # method, and what is planted
    "a list in one bank": ("_list", {"Cat(self.list_index[low:], self.list_bank)": "self.list_index[low:]"}),
    "all lists in one bank": (
        "_list",
        {"Cat(first[: sizes.input_bits - low], bank)": "first[: sizes.input_bits - low]"},
    ),
    "a bank too few": ("elaborate", {"bank == sizes.contexts": "bank == sizes.contexts - 1"}),
    "a bank too many": ("elaborate", {"bank == sizes.contexts": "bank == sizes.contexts + 1"}),
    "a slot that is busy": ("elaborate", {"Cat(row, slot)": "row"}),
    "learn and close exchanged": (
        "elaborate",
        {"sample.learn.eq(learn)": "sample.learn.eq(close)", "sample.close.eq(close)": "sample.close.eq(learn)"},
    ),
    "nonzero words counted on": ("elaborate", {", found.eq(0)": ""}),
    "a mask of all slots": ("elaborate", {"1 << slot, 0": "(1 << memory.slots) - 1, 0"}),
    "a label one sample late": ("elaborate", {"sample.label.eq(label)": "sample.label.eq(0)"}),
}


WIDE_MUTANTS = {
    "words of the surplus counted": ("elaborate", {"~is_last if place >= width - surplus else 1": "1"}),
    "the last word taken for surplus": ("elaborate", {"place >= width - surplus": "place >= width - surplus - 1"}),
    "a surplus in every beat": ("elaborate", {"~is_last if place >= width - surplus": "0 if place >= width - surplus"}),
    "one nonzero word a beat": ("elaborate", {"found + popcount(nonzero)": "found + nonzero.any()"}),
    "a list that does not wrap": ("_list", {" + has_passed": ""}),
    "lists that are always a word ahead": ("_list", {" + has_passed": " + 1"}),
    "a list that takes its word twice": ("_list", {"found[:low] > turn if": "found[:low] >= turn if"}),
    "lists by place instead of in turn": ("_list", {"entry[:low] == turn": "place == turn"}),
    "an entry without its place": ("_list", {"Cat(Const(place, low), row)": "Cat(Const(0, low), row)"}),
    "the list that is asked next": (
        "_list",
        {'delayed(m, self.list_index[:low], sizes.pipeline.steer, "turn")': "self.list_index[:low]"},
    ),
    "the word that is asked next": (
        "_words",
        {'delayed(m, self.word_index[:low], sizes.pipeline.read, "word_place")': "self.word_index[:low]"},
    ),
    "the first word of a row": ("_words", {"pick(words.read_word, place)": "words.read_word[0]"}),
    "a mask of the first word of a row": (
        "_masks",
        {"nonzero[place].replicate(count)": "nonzero[0].replicate(count)"},
    ),
    "the mask that is asked next": (
        "_masks",
        {'delayed(m, self.mask.index[:low], sizes.pipeline.steer, "mask_place")': "self.mask.index[:low]"},
    ),
    "masks of the first words alone": ("_masks", {"slots for _ in": "slots & -(_ == 0) for _ in"}),
}


@pytest.mark.parametrize("mutant", WIDE_MUTANTS)
def test_the_bench_of_several_words_sees(monkeypatch, mutant):
    method, changes = WIDE_MUTANTS[mutant]
    plant(monkeypatch, SampleUnit, changes, method)
    assert differences(7, 4, seed=7, width=4)[0] or differences(11, 4, seed=7, contexts=2, width=4)[0]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_bench_sees(monkeypatch, mutant):
    method, changes = MUTANTS[mutant]
    plant(monkeypatch, SampleUnit, changes, method)
    assert differences(7, 4, seed=7)[0] or differences(7, 4, seed=7, contexts=2)[0]
