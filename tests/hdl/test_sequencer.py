"""The sequencer against the cycle model, cycle by cycle, and against its schedule, beat by beat."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from amaranth.sim import Simulator
from unit_bench import PERIOD, flat, make_sizes, plant

from fregen.hdl.beat import Sizes, beat_layout
from fregen.hdl.beat_unit import BeatUnit
from fregen.hdl.sequencer import SequencerUnit
from fregen.plan import CycleModel, Drain, Feed, Op, Plane, Program, Schedule, Start, Store

pytestmark = pytest.mark.rtl

DESIGNS = {  # layers, lanes, learning
    "defaults": ((6, 5, 3), 4, {"batch": 2}),
    "one lane": ((4, 3, 2, 2), 1, {"batch": 1}),
    "three layers, synchronous states": (
        (7, 5, 3, 6, 2), 2, {
            "batch": 4, "free_steps": 5, "nudged_steps": 4,
            "order": "synchronous", "nudged": "states", "error": "recomputed",
        },
    ),
    "recomputed offsets": ((9, 6, 7, 3), 4, {"batch": 2, "error": "recomputed"}),
    "synchronous offsets": ((5, 9, 9, 4), 8, {"batch": 2, "order": "synchronous"}),
    "states, wide output": ((3, 4, 9), 4, {"batch": 2, "nudged": "states"}),
    "always all steps": ((3, 17, 5), 16, {"batch": 2, "stop": False, "free_steps": 2, "nudged_steps": 1}),
    "steps 1": ((3, 4, 2), 2, {"batch": 1, "free_steps": 1, "nudged_steps": 1}),
}  # fmt: skip


@dataclass
class Sample:
    """What the sequencer is told of one sample, and how many steps change words."""

    slot: int
    learn: bool
    close: bool
    nonzero: int
    free_steps: int
    nudged_steps: int


def script_of(sizes, rng):
    """Samples, the programs that they must run (with the sample, or the slots of a batch), and input masks."""
    spec, learning = sizes.spec, sizes.spec.design.learning
    slots, inputs = sizes.memory.slots, sizes.memory.input_size
    contrast = [] if spec.has_offsets else [Program.CONTRAST]
    samples, programs, active = [], [], set()
    kinds = [True] * learning.batch + [False] + [True, False, True] + [True] * learning.batch
    for number, learn in enumerate(kinds):
        most_free, most_nudged = spec.design.free_steps, spec.design.nudged_steps
        free = most_free if not learning.stop or number == 0 else int(rng.integers(1, min(most_free, 4) + 1))
        nudged = most_nudged if not learning.stop or number == 0 else int(rng.integers(1, min(most_nudged, 4) + 1))
        nonzero = [0, 1, inputs][number] if number < 3 else int(rng.integers(inputs + 1))
        slot = int(rng.choice([k for k in range(slots) if k not in active]))
        samples.append(
            sample := Sample(
                slot, learn, number == len(kinds) - 1 or number == learning.batch + 1, nonzero, free, nudged
            )
        )
        names = [Program.FREE_FIRST, *[Program.FREE_STEP] * (free - 1), Program.READOUT if learn else Program.PREDICT]
        if learn:
            names += [Program.NUDGED_FIRST, *[Program.NUDGED_STEP] * (nudged - 1), *contrast]
        programs += [(name, sample, None) for name in names]
        if learn:
            active.add(slot)
            if sample.close or len(active) == learning.batch:
                programs.append((Program.UPDATE, sample, sorted(active)))
                active = set()
    masks = rng.integers(0, 1 << slots, inputs) * (rng.random(inputs) < 0.6)
    if rng.random() < 0.3:
        masks[:] = 0
    return samples, programs, [int(mask) for mask in masks]


def play_script(sizes, samples, programs, masks, rate=0, cycles=60_000):
    """Busy cycles and issued beats of every program that runs, and how often each event was told."""
    unit, layout = SequencerUnit(sizes), beat_layout(sizes)
    simulator = Simulator(unit)
    simulator.add_clock(PERIOD)
    spent, beats, events = [], [], dict.fromkeys(("free_step", "nudged_step", "update", "sample"), 0)
    fields = {name: (offset, (1 << width) - 1) for name, (offset, width) in flat(layout).items()}
    issued = sum(1 << fields[name][0] for name in ("valid", "copy", "keep", "subtract"))

    async def surroundings(ctx):
        queue = list(samples)
        ctx.set(unit.sample.loaded, 1)
        ctx.set(unit.emit_ready, 1)
        ctx.set(unit.rate, rate)
        ports = {
            "take": unit.sample.take, "clear": unit.clear, "busy": unit.events.busy, "idle": unit.idle,
            "mask_index": unit.mask.index, "list_index": unit.list_index, "busy_slots": unit.sample.busy,
            "rows": unit.work.rows, "columns": unit.work.columns,
            **{name: getattr(unit.events, name) for name in events},
        }  # fmt: skip
        watched = [unit.beat.as_value(), *ports.values()]
        with ctx.critical():
            for _ in range(cycles):
                _, _, beat, *values = await ctx.tick().sample(*watched)
                now = dict(zip(ports, values, strict=True))
                for name in events:
                    events[name] += now[name]
                ctx.set(unit.mask.slots, masks[now["mask_index"]] if now["mask_index"] < len(masks) else 0)
                if now["take"]:
                    sample = queue.pop(0)
                    for name in ("slot", "learn", "close", "nonzero"):
                        ctx.set(getattr(unit.sample, name), int(getattr(sample, name)))
                    ctx.set(unit.sample.loaded, int(bool(queue)))
                if now["clear"]:
                    spent.append(0)
                    beats.append([])
                    following = programs[len(spent)][0] if len(spent) < len(programs) else None
                    ctx.set(unit.changed, int(following in (Program.FREE_STEP, Program.NUDGED_STEP)))
                if now["busy"]:
                    spent[-1] += 1
                if beat & issued:
                    assert now["busy"]
                    bits = {name: beat >> offset & mask for name, (offset, mask) in fields.items()}
                    beats[-1].append(
                        bits | {name: now[name] for name in ("list_index", "busy_slots", "rows", "columns")}
                    )
                if now["idle"] and not queue and not now["take"] and spent:
                    return
        raise AssertionError(f"not idle again after {cycles} cycles")

    simulator.add_process(surroundings)
    simulator.run()
    return spent, beats, events


def expected_beats(sizes, name, sample, active, masks, rate=0):
    """Spell out the beats of a program from its instructions."""
    memory, schedule, P = sizes.memory, sizes.schedule, sizes.lanes
    numbers = {Plane.SCRATCH: memory.scratch_plane, Plane.NEXT: memory.next_plane}

    def place(which, local, slot=sample.slot):
        return numbers.get(which, slot) * memory.plane_size + local

    result = []
    for line in schedule.programs[name]:
        target = {"target": place(line.target_plane, line.target)}
        if line.op is Op.COPY:
            port = "offset" if line.store is Store.OFFSETS else "state"
            for k in range(line.count):
                result.append({
                    "valid": 0, "copy": 1, port: place(line.plane, k), "target": place(line.target_plane, k),
                    "to_offsets": int(line.store), "drain": 0,
                })  # fmt: skip
        elif line.op is Op.DIFFERENCE:
            for k in range(line.count):
                result.append({"keep": 1, "subtract": 0, "valid": 0, "state": place(Plane.SCRATCH, k), "drain": 0})
                result.append({
                    "keep": 0, "subtract": 1, "valid": 0, "state": place(Plane.SLOT, k), "target": place(Plane.SLOT, k),
                })  # fmt: skip
        elif line.op is Op.UPDATE:
            own, shared = ("state", "offset") if line.store is Store.OFFSETS else ("offset", "state")
            for c in range(line.count):
                fed = [k for k in active if line.feed is not Feed.INPUT or masks[c] >> k & 1]
                for g in range(line.groups):
                    for slot in fed:
                        beat = {
                            "valid": 1, "update": 1, "weight": line.weight + g * line.stride + c, "slot": slot,
                            own: place(Plane.SLOT, line.rows + g, slot), "select": c % P, "group": g,
                            "clear": int(slot == fed[0]), "last": int(slot == fed[-1]), "column": line.column + c,
                            "sigma": line.sigma - schedule.sigmas[0] + rate, "load": 0, "save": 0, "drain": 0,
                            "shift": schedule.shifts.index(0), "shared_is_input": int(line.feed is Feed.INPUT),
                            "rows": line.last_rows if g == line.groups - 1 else P, "columns": P, "null": 0,
                            "own_is_offset": int(own == "offset"), "shared_is_offset": int(shared == "offset"),
                        }  # fmt: skip
                        if line.feed is Feed.INPUT:
                            beat["index"] = c
                        else:
                            beat[shared] = place(Plane.SLOT, line.vector + c // P, slot)
                        result.append(beat)
        else:
            port = "offset" if line.store is Store.OFFSETS else "state"
            many = {
                Feed.NOTHING: 1, Feed.INPUT: max(sample.nonzero, 1), Feed.RING: line.groups * P,
            }.get(line.feed, line.count)  # fmt: skip
            for k in range(many):
                first, last = k == 0, k == many - 1
                beat = {
                    "valid": 1, "update": 0, "shift": schedule.shifts.index(line.shift), "drive": line.drive,
                    "clear": int(first and line.start is Start.CLEAR), "load": int(first and line.start is Start.LOAD),
                    "save": int(last and line.save), "drain": int(line.drain if last else Drain.NONE), "copy": 0,
                    "null": int(line.feed is Feed.NOTHING or (line.feed is Feed.INPUT and sample.nonzero == 0)),
                    "ring": int(line.feed is Feed.RING), "from_list": int(line.feed is Feed.INPUT),
                    "first": int(line.first), "wants_error": int(line.wants_error), "slot": sample.slot,
                }  # fmt: skip
                if last and line.drain is not Drain.NONE:
                    beat |= {"drain_count": line.drain_count, "neuron": line.neuron, **target}
                if line.feed is Feed.INPUT:
                    beat |= {"list_index": k, "weight": line.weight, "rows": line.last_rows, "shared_is_input": 1}
                elif line.feed is Feed.BROADCAST:
                    beat |= {
                        "weight": line.weight + k, port: place(line.plane, line.vector + k // P), "select": k % P,
                        "shared_is_offset": int(line.store), "shared_is_input": 0, "rows": line.last_rows,
                    }  # fmt: skip
                elif line.feed is Feed.RING:
                    g = k // P
                    beat |= {
                        "weight": line.weight + g * line.stride, "rotate": k % P, "own_is_offset": int(line.store),
                        port: place(line.plane, line.vector + g), "columns": line.last_columns,
                        "rows": line.last_rows if g == line.groups - 1 else P,
                    }  # fmt: skip
                result.append(beat)
    return result


def multiplications(beat, lanes):
    """Lanes that a beat gives useful work."""
    if not beat["valid"] or beat["null"]:
        return 0
    return sum(
        lane < beat["rows"] and (not beat["ring"] or (lane + beat["rotate"]) % lanes < beat["columns"])
        for lane in range(lanes)
    )


def differences(sizes, seed, rate=0):
    """What differs from cycle model and schedule; and how many programs of each kind ran."""
    rng = np.random.default_rng(seed)
    samples, programs, masks = script_of(sizes, rng)
    spent, beats, events = play_script(sizes, samples, programs, masks, rate)
    model, wrong, ran = CycleModel(sizes.schedule), [], {}
    if len(spent) != len(programs):
        wrong.append(("programs", len(spent), len(programs)))
    for (name, sample, active), cycles, issued in zip(programs, spent, beats, strict=False):
        ran[name] = ran.get(name, 0) + 1
        if name is Program.UPDATE:
            occupancy = np.array([sum(mask >> slot & 1 for slot in active) for mask in masks])
            wanted, macs = model.update(occupancy, len(active))
        else:
            wanted, macs = model.program(name, sample.nonzero)
        found = sum(multiplications(beat, sizes.lanes) for beat in issued)
        if (cycles, found) != (wanted, macs):
            wrong.append((name, "cycles, multiplications", (cycles, found), (wanted, macs)))
        whole = expected_beats(sizes, name, sample, active, masks, rate)
        if len(whole) != len(issued):
            wrong.append((name, "beats", len(issued), len(whole)))
        for number, (got, want) in enumerate(zip(issued, whole, strict=False)):
            wrong += [(name, number, key, got[key], word) for key, word in want.items() if got[key] != word]
        wrong += [(name, "slot is free") for beat in issued if not beat["busy_slots"] >> sample.slot & 1]
    learnt = [s for s in samples if s.learn]
    told = {
        "free_step": sum(s.free_steps for s in samples), "nudged_step": sum(s.nudged_steps for s in learnt),
        "update": ran.get(Program.UPDATE, 0), "sample": len(samples),
    }  # fmt: skip
    if events != told:
        wrong.append(("events", events, told))
    return wrong, ran


@pytest.mark.parametrize("name", DESIGNS)
def test_cycles_and_beats_of_every_program(name):
    """Samples with no, one and all inputs nonzero, full and closed batches, random input masks."""
    layers, lanes, learning = DESIGNS[name]
    sizes = make_sizes(layers, lanes, learning=learning, network={"beta": 2**-3})
    wrong, ran = differences(sizes, seed=len(name), rate=len(layers))
    assert not wrong, wrong[:6]
    wanted = {p for p, lines in sizes.schedule.programs.items() if lines}
    wanted -= {Program.FREE_STEP} if sizes.spec.design.free_steps == 1 else set()
    wanted -= {Program.NUDGED_STEP} if sizes.spec.design.nudged_steps == 1 else set()
    assert set(ran) == wanted


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
        samples = [Sample(0, True, False, 1, 1, 1), Sample(1, True, False, 1, 1, 1)]
        programs = [(p, s, None) for s in samples for p in (Program.FREE_FIRST, Program.READOUT, Program.NUDGED_FIRST)]
        programs.append((Program.UPDATE, samples[1], [0, 1]))
        masks = [mask if k in chosen else 0b100 for k in inputs]
        spent, beats, _ = play_script(sizes, samples, programs, masks)
        occupancy = np.array([(mask & 3).bit_count() if k in chosen else 0 for k in inputs])
        assert spent[-1] == model.update(occupancy, 2)[0]
        wanted = expected_beats(sizes, *programs[-1], masks)
        assert [{key: got[key] for key in want} for got, want in zip(beats[-1], wanted, strict=True)] == wanted


@pytest.mark.parametrize("hold", [1, 0])
def test_hold_keeps_a_sample_waiting(hold):
    unit = SequencerUnit(make_sizes())
    simulator = Simulator(unit)
    simulator.add_clock(PERIOD)

    async def bench(ctx):
        ctx.set(unit.sample.loaded, 1)
        ctx.set(unit.hold, hold)
        taken = [value for _ in range(20) for value in (await ctx.tick().sample(unit.sample.take))[2:]]
        assert sum(taken) == 1 - hold
        assert ctx.get(unit.idle) == hold

    simulator.add_testbench(bench)
    simulator.run()


def test_a_prediction_waits_until_it_is_taken():
    """The sequencer stands still at ``emit`` until ``emit_ready``; nothing is counted meanwhile."""
    unit = SequencerUnit(make_sizes((3, 2, 2), 2, learning={"free_steps": 1}))
    simulator = Simulator(unit)
    simulator.add_clock(PERIOD)

    async def bench(ctx):
        ctx.set(unit.sample.loaded, 1)
        await ctx.tick().until(unit.emit)
        for _ in range(9):
            assert ctx.get(unit.emit)
            assert not ctx.get(unit.events.sample)
            assert not ctx.get(unit.events.busy)
            await ctx.tick()
        ctx.set(unit.sample.loaded, 0)
        ctx.set(unit.emit_ready, 1)
        assert ctx.get(unit.events.sample)
        await ctx.tick()
        assert ctx.get(unit.idle)
        assert not ctx.get(unit.emit)

    simulator.add_testbench(bench)
    simulator.run()


def test_the_bench_sees_planes_exchanged(monkeypatch):
    """Scratch for next, in the sequencer alone."""
    plant(monkeypatch, BeatUnit, {"which == Plane.SCRATCH": "which == Plane.NEXT"}, "_plane")
    layers, lanes, learning = DESIGNS["states, wide output"]
    assert differences(make_sizes(layers, lanes, learning=learning), 1)[0]


def with_one_wait_less(schedule, position):
    """The same schedule, one instruction of which waits a cycle less."""
    changed = Schedule(schedule.memory)
    number, programs = 0, {}
    for name, lines in schedule.programs.items():
        programs[name] = tuple(replace(line, wait=line.wait - (number + k == position)) for k, line in enumerate(lines))
        number += len(lines)
    changed.__dict__["programs"] = programs
    return changed


@pytest.mark.parametrize("program", [Program.FREE_STEP, Program.READOUT, Program.NUDGED_STEP, Program.UPDATE])
def test_the_bench_sees_a_wait_too_few(monkeypatch, program):
    """A sequencer whose program ends after a wait that is a cycle short, beside the cycle model of the right one."""
    sizes = make_sizes((6, 5, 3), 4, learning={"batch": 2})
    last = sizes.schedule.starts[program] + len(sizes.schedule.programs[program]) - 1
    assert sizes.schedule.instructions[last].wait > 1
    short, original = Sizes(with_one_wait_less(sizes.schedule, last)), SequencerUnit.__init__
    monkeypatch.setattr(SequencerUnit, "__init__", lambda self, _: original(self, short))
    wrong, _ = differences(sizes, 1)
    assert {entry[:2] for entry in wrong} == {(program, "cycles, multiplications")}
    assert {wanted[0] - found[0] for _, _, found, wanted in wrong} == {1}
