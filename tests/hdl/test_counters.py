"""Counters against sums in Python: random events in all phases."""

import numpy as np
import pytest
from amaranth.hdl import Value
from unit_bench import make_sizes, plant, play

from fregen.hdl import counters as counters_module
from fregen.hdl.counters import CounterUnit, counter_layout
from fregen.plan.counters import COUNTER_WIDTH
from fregen.plan.cycles import PHASES

pytestmark = pytest.mark.rtl


def differences(lanes, samples=1, drain=1, cycles=400, seed=0):
    hardware, rng = {"samples": samples, "drain": drain}, np.random.default_rng(seed)
    sizes = make_sizes((3, 5, 2), lanes, hardware=hardware)
    unit, layout = CounterUnit(sizes), counter_layout()
    wanted = {name: 0 for name, _ in layout}
    rows = []
    for _ in range(cycles):
        phase, busy = int(rng.integers(len(PHASES))), int(rng.integers(2))
        beat = int(rng.integers(2)) if busy else 0
        valid, ring, turned = int(rng.integers(2)), int(rng.integers(2)), int(rng.integers(2))
        rows_, columns = int(rng.integers(lanes + 1)), int(rng.integers(1, lanes + 1))
        weights = [0, (1 << lanes) - 1, int(rng.integers(1 << min(lanes, 60)))][rng.integers(3)]
        events = {name: int(rng.integers(2)) for name in ("sample", "update")}
        events |= {name: int(rng.integers(1 << samples)) for name in ("free_steps", "nudged_steps")}
        rows.append({
            "events.phase": phase, "events.busy": busy, "events.beat": beat, "work.valid": valid, "work.ring": ring,
            "work.turned": turned, "work.rows": rows_, "work.columns": columns, "limited_weights": weights,
            "limited_offsets": int(rng.integers(1 << drain)),
            **{f"events.{name}": happened for name, happened in events.items()},
        })  # fmt: skip
        wanted[f"{PHASES[phase]}_cycles"] += beat
        wanted["waiting_cycles"] += busy and not beat
        if valid and (turned or not ring):
            wanted[f"{PHASES[phase]}_macs"] += rows_ * (columns if ring else 1)
        wanted["weight_saturations"] += weights.bit_count()
        wanted["offset_saturations"] += rows[-1]["limited_offsets"].bit_count()
        for name, counter in (("sample", "samples"), ("update", "updates")):
            wanted[counter] += events[name]
        for name in ("free_steps", "nudged_steps"):  # samples in flight may end their steps together
            wanted[name] += events[name].bit_count()
    rows.append(dict.fromkeys(rows[0], 0))
    found = play(unit, rows, [Value.cast(unit.o)], after=4)[-1][0]
    got = {name: found >> layout[name].offset & ((1 << COUNTER_WIDTH) - 1) for name, _ in layout}
    return {name: (got[name], wanted[name]) for name in wanted if got[name] != wanted[name]}


@pytest.mark.parametrize(
    ("lanes", "samples", "drain"), [(1, 1, 1), (2, 2, 2), (16, 1, 1), (16, 4, 2), (4, 1, 4), (64, 4, 4)]
)
def test_counters_equal_sums(lanes, samples, drain):
    assert not differences(lanes, samples, drain)


def test_all_counters_begin_at_zero_and_rest():
    unit = CounterUnit(make_sizes())
    assert {record for (record,) in play(unit, [{}] * 5, [Value.cast(unit.o)])} == {0}


FAULTS = {
    "waits of an idle core": {"self.events.busy & ~self.events.beat": "~self.events.beat"},
    "beats that wait": {"self.events.busy & ~self.events.beat": "self.events.busy"},
    "cycles without a beat": {"with m.If(beat & (phase_late == number))":
                              "with m.If(delayed(m, self.events.busy, 1, \"busy\") & (phase_late == number))"},
    "one step of two": {"popcount(self.events.free_steps)": "self.events.free_steps.any()"},
    "one limited offset of two": {"popcount(self.limited_offsets)": "self.limited_offsets.any()"},
    "limited offsets of the first activation": {"popcount(self.limited_offsets)": "self.limited_offsets[0]"},
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_sees(monkeypatch, fault):
    plant(monkeypatch, CounterUnit, FAULTS[fault])
    assert differences(4, 2, 2)


def test_the_bench_sees_ones_miscounted(monkeypatch):
    monkeypatch.setattr(counters_module, "popcount", lambda word: word.any())
    assert differences(4)
