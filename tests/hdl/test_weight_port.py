"""Load and read-back through the lanes' own memories, with stalls on either side."""

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from unit_bench import make_sizes, run

from fregen.hdl.array import ArrayUnit
from fregen.hdl.weight_port import WeightPort
from fregen.plan import pack_weights, unpack_weights

pytestmark = pytest.mark.rtl

CHECK = 11
"""Cycles after which a bench looks whether nothing has begun."""


class PortAndLanes(wiring.Component):
    """The port, and the lanes whose memories it walks."""

    def __init__(self, sizes):
        self.port, self.array = WeightPort(sizes), ArrayUnit(sizes)
        super().__init__({
            "i": In(self.port.i.signature.flip()), "o": Out(self.port.o.signature),
            "dump": In(1), "may_start": In(1), "busy": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.port, m.submodules.array = port, array = self.port, self.array
        wiring.connect(m, wiring.flipped(self.i), port.i)
        wiring.connect(m, port.o, wiring.flipped(self.o))
        m.d.comb += [port.dump.eq(self.dump), port.may_start.eq(self.may_start), self.busy.eq(port.busy)]
        wiring.connect(m, port.lanes, array.outside)
        return m


def image_of(sizes, rng):
    spec = sizes.spec
    q = spec.weight
    words = [rng.integers(q.min_word, q.max_word + 1, spec.graph.shape(m)) for m in spec.graph.matrices]
    return words, pack_weights(sizes.memory, words)


async def load(ctx, unit, words, rng, gaps=0.3):
    for word in words:
        while rng.random() < gaps:
            ctx.set(unit.i.valid, 0)
            await ctx.tick()
        ctx.set(unit.i.payload, int(word))
        ctx.set(unit.i.valid, 1)
        await ctx.tick().until(unit.i.ready)
    ctx.set(unit.i.valid, 0)


async def dump(ctx, unit, count, rng, stalls=0.4):
    ctx.set(unit.dump, 1)
    await ctx.tick()
    ctx.set(unit.dump, 0)
    words, waited = [], None
    while len(words) < count:
        ready = int(rng.random() >= stalls)
        ctx.set(unit.o.ready, ready)
        valid, word = ctx.get(unit.o.valid), ctx.get(unit.o.payload)
        assert ctx.get(unit.busy)
        assert not ctx.get(unit.i.ready)
        assert waited in (None, (valid, word)), "a word that waits must stay"
        waited = (valid, word) if valid and not ready else None
        if valid and ready:
            words.append(word)
        await ctx.tick()
    ctx.set(unit.o.ready, 1)
    return words


def differences(lanes, stalls, layers=(3, 5, 4, 2)):
    """Two images, one after the other, loaded with gaps and read back with stalls, the second twice."""
    sizes, rng = make_sizes(layers, lanes), np.random.default_rng(lanes)
    unit, wrong = PortAndLanes(sizes), []

    async def bench(ctx):
        ctx.set(unit.may_start, 1)
        for dumps in (1, 2):
            matrices, image = image_of(sizes, rng)
            await load(ctx, unit, image.reshape(-1), rng)
            for _ in range(dumps):
                words = await dump(ctx, unit, image.size, rng, stalls)
                if words != image.reshape(-1).tolist():
                    wrong.append("words")
                for _ in range(CHECK):
                    assert not ctx.get(unit.o.valid)
                    assert not ctx.get(unit.busy)
                    await ctx.tick()
            if not wrong:
                back = unpack_weights(sizes.memory, np.array(words).reshape(image.shape))
                assert all((a == b).all() for a, b in zip(back, matrices, strict=True))

    run(unit, bench)
    return wrong


@pytest.mark.parametrize("stalls", [0.0, 0.5])
@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_what_is_loaded_is_read_back(lanes, stalls):
    assert not differences(lanes, stalls)


@pytest.mark.parametrize("half", [False, True])
def test_a_dump_is_not_heeded_while_busy_or_half_loaded(half):
    """The sequencer works, or a load is half done: no word comes, and the load goes on where it was."""
    sizes, rng = make_sizes((3, 5, 2), 2), np.random.default_rng(1)
    unit = PortAndLanes(sizes)
    _, image = image_of(sizes, rng)
    words = image.reshape(-1)

    async def bench(ctx):
        ctx.set(unit.may_start, 1)
        ctx.set(unit.o.ready, 1)
        await load(ctx, unit, words[:5] if half else words, rng)
        ctx.set(unit.may_start, int(half))
        ctx.set(unit.dump, 1)
        for _ in range(CHECK):
            await ctx.tick()
            assert not ctx.get(unit.o.valid)
            assert ctx.get(unit.i.ready) == half
            assert ctx.get(unit.busy) == half  # samples go on meanwhile
        ctx.set(unit.dump, 0)
        ctx.set(unit.may_start, 1)
        if half:
            assert ctx.get(unit.busy)
            await load(ctx, unit, words[5:], rng)
        assert await dump(ctx, unit, words.size, rng) == words.tolist()

    run(unit, bench)


def test_no_word_is_taken_while_the_sequencer_works():
    sizes = make_sizes((3, 5, 2), 2)
    unit = PortAndLanes(sizes)

    async def bench(ctx):
        ctx.set(unit.i.valid, 1)
        for _ in range(CHECK):
            assert ctx.get(unit.busy)
            assert not ctx.get(unit.i.ready)
            assert not ctx.get(unit.port.lanes.load)
            await ctx.tick()

    run(unit, bench)


def test_reading_takes_lanes_and_two_cycles_an_address():
    """READ, KEEP, then P words: without stalls, to the cycle."""
    sizes = make_sizes((3, 5, 2), 4)
    unit = PortAndLanes(sizes)

    async def bench(ctx):
        ctx.set(unit.may_start, 1)
        ctx.set(unit.o.ready, 1)
        ctx.set(unit.dump, 1)
        await ctx.tick()
        ctx.set(unit.dump, 0)
        cycles = 0
        while ctx.get(unit.busy):
            cycles += 1
            await ctx.tick()
        assert cycles == sizes.memory.weight_depth * (4 + 2)

    run(unit, bench)


def test_the_bench_sees_lanes_exchanged(monkeypatch):
    original = WeightPort.elaborate

    def exchanged(self, platform):
        m = original(self, platform)
        line, answered = Signal.like(self.lanes.weights), Signal()
        m.d.sync += answered.eq(self.lanes.read)
        with m.If(answered):
            m.d.sync += line.eq(self.lanes.weights)
        m.d.comb += self.o.payload.eq(line[~self.lanes.lane])
        return m

    monkeypatch.setattr(WeightPort, "elaborate", exchanged)
    assert differences(2, 0.0)
