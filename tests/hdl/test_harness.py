"""The harness in which cores are placed: nothing of the core but its probe may be left out."""

from pathlib import Path

import pytest
from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from fregen.design.document import Design
from fregen.hdl import Core
from fregen.hdl.harness import Harness
from fregen.spec.network import NetworkSpec

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.rtl


def test_every_input_of_the_core_is_a_bit_of_one_chain():
    """After as many cycles as there are input bits, a single one that was shifted in has been at each of them once."""
    core = Core(NetworkSpec(Design.load(ROOT / "rtl" / "tiny" / "design.toml")))
    harness = Harness(core)
    inputs = [Value.cast(port) for _, member, port in core.signature.flatten(core) if member.flow is In]
    bits, seen = sum(len(port) for port in inputs), []

    async def bench(ctx):
        ctx.set(harness.i, 1)
        for _ in range(bits):
            await ctx.tick()
            ctx.set(harness.i, 0)
            seen.append([k for port in inputs for k in range(len(port)) if ctx.get(port) >> k & 1])

    simulator = Simulator(harness)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert [len(ones) for ones in seen] == [1] * bits


class Through(wiring.Component):
    """Shows on its outputs what its input has; the probe's would make the parity even."""

    i: In(8)
    low: Out(3)
    high: Out(5)
    probe: Out(wiring.Signature({"word": Out(8)}))

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [self.low.eq(self.i[:3]), self.high.eq(self.i[3:]), self.probe.word.eq(self.i)]
        return m


def test_every_output_but_the_probe_s_is_in_the_parity():
    """A single one at each input bit in turn is a one at the output in as many cycles, one after the other."""
    harness, seen = Harness(Through()), []

    async def bench(ctx):
        ctx.set(harness.i, 1)
        for _ in range(16):
            await ctx.tick()
            ctx.set(harness.i, 0)
            seen.append(ctx.get(harness.o))

    simulator = Simulator(harness)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert "".join(map(str, seen)).strip("0") == "1" * 8
