"""Counters against sums in Python: random events in all phases."""

import numpy as np
import pytest
from amaranth.hdl import Value
from unit_bench import make_sizes, play

from fregen.hdl import counters as counters_module
from fregen.hdl.counters import CounterUnit, counter_layout
from fregen.plan.counters import COUNTER_WIDTH
from fregen.plan.cycles import PHASES

pytestmark = pytest.mark.rtl


def differences(lanes, cycles=400, seed=0):
    sizes, rng = make_sizes((3, 5, 2), lanes), np.random.default_rng(seed)
    unit, layout = CounterUnit(sizes), counter_layout()
    wanted = {name: 0 for name, _ in layout}
    rows = []
    for _ in range(cycles):
        phase, busy = int(rng.integers(len(PHASES))), int(rng.integers(2))
        valid, ring, turned = int(rng.integers(2)), int(rng.integers(2)), int(rng.integers(2))
        rows_, columns = int(rng.integers(lanes + 1)), int(rng.integers(1, lanes + 1))
        weights = [0, (1 << lanes) - 1, int(rng.integers(1 << min(lanes, 60)))][rng.integers(3)]
        events = {name: int(rng.integers(2)) for name in ("sample", "free_step", "nudged_step", "update", "offset")}
        rows.append({
            "events.phase": phase, "events.busy": busy, "work.valid": valid, "work.ring": ring, "work.turned": turned,
            "work.rows": rows_, "work.columns": columns, "limited_weights": weights,
            "limited_offset": events.pop("offset"),
            **{f"events.{name}": happened for name, happened in events.items()},
        })  # fmt: skip
        wanted[f"{PHASES[phase]}_cycles"] += busy
        if valid and (turned or not ring):
            wanted[f"{PHASES[phase]}_macs"] += rows_ * (columns if ring else 1)
        wanted["weight_saturations"] += weights.bit_count()
        wanted["offset_saturations"] += rows[-1]["limited_offset"]
        for name in ("sample", "free_step", "nudged_step", "update"):
            wanted[f"{name}s"] += events[name]
    rows.append(dict.fromkeys(rows[0], 0))
    found = play(unit, rows, [Value.cast(unit.o)], after=4)[-1][0]
    got = {name: found >> layout[name].offset & ((1 << COUNTER_WIDTH) - 1) for name, _ in layout}
    return {name: (got[name], wanted[name]) for name in wanted if got[name] != wanted[name]}


@pytest.mark.parametrize("lanes", [1, 2, 16, 64])
def test_counters_equal_sums(lanes):
    assert not differences(lanes)


def test_all_counters_begin_at_zero_and_rest():
    unit = CounterUnit(make_sizes())
    assert {record for (record,) in play(unit, [{}] * 5, [Value.cast(unit.o)])} == {0}


def test_the_bench_sees_ones_miscounted(monkeypatch):
    monkeypatch.setattr(counters_module, "popcount", lambda word: word.any())
    assert differences(4)
