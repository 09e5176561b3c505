"""The bench in which cores are placed: nothing of the core but its probe may be left out."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

from amaranth.hdl import Value  # noqa: E402
from amaranth.lib.wiring import In  # noqa: E402
from amaranth.sim import Simulator  # noqa: E402
from place import Harness, unit  # noqa: E402

from fregen.design.document import Design  # noqa: E402
from fregen.hdl import Core  # noqa: E402
from fregen.spec.network import NetworkSpec  # noqa: E402

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


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("core.array.lane_9.lane_9_held_TRELLIS_FF_Q_4", "array.lane"),
        ("core.sequencer.scan.asked_TRELLIS_FF_Q_DI_LUT4_Z", "sequencer.scan"),
        ("harness_rate_TRELLIS_FF_Q", "harness"),
    ],
)
def test_a_cell_lies_in_a_unit_of_ours(cell, name):
    assert unit(cell) == name
