"""A bench for the sequencer: it feeds samples, writes down what every context does, and says what is wrong.

When a beat is issued says :class:`fregen.plan.in_flight.Replay`; which it is, :mod:`sequencer_script`.
"""

from itertools import pairwise

import numpy as np
from amaranth.sim import Simulator
from sequencer_script import expected_beats, masks_of, multiplications, passages_of, programs_of, script_of
from unit_bench import PERIOD, Watched, flat

from fregen.hdl.beat import beat_layout
from fregen.hdl.sequencer import SequencerUnit
from fregen.plan import CycleModel, Drain, Feed, Op, Program
from fregen.plan.cycles import PHASES
from fregen.plan.in_flight import Replay


class Bench:
    """Feed samples to a sequencer, as the sample unit would, and write down what it does.

    Attributes
    ----------
    beats : list, one a context, of lists, one a program that it has begun, of dict
        Fields of every beat, and the ``cycle``.
    spent : likewise, of int
        Cycles of every program, if there is one context.
    counts : dict of str to int
        What the counter unit would count.
    emitted : list of (context, programs that it has begun)
        Of every prediction.
    wrong : list
        What is wrong whatever the order in which contexts work.
    """

    EVENTS = ("free_steps", "nudged_steps", "update", "sample")

    def __init__(self, sizes, samples, masks, rate=0, falter=None):
        self.sizes, self.samples, self.masks, self.rate, self.falter = sizes, samples, masks, rate, falter
        self.unit, layout = SequencerUnit(sizes), beat_layout(sizes)
        self.fields = {name: (offset, (1 << width) - 1) for name, (offset, width) in flat(layout).items()}
        self.issued = sum(1 << self.fields[name][0] for name in ("valid", "copy", "keep", "subtract"))
        self.programs = programs_of(sizes, samples)
        self.beats = [[] for _ in range(sizes.contexts)]
        self.spent = [[] for _ in range(sizes.contexts)]
        self.in_order, self.emitted, self.wrong = [], [], []
        self.counts = dict.fromkeys((*self.EVENTS, *(f"{phase}_cycles" for phase in PHASES), "waiting_cycles"), 0)

    def play(self, cycles=60_000):
        ports = self._ports()
        watched = Watched(self.unit, [self.unit.beat.as_value(), *ports.values()])
        simulator = Simulator(watched.module)
        simulator.add_clock(PERIOD)

        async def surroundings(ctx):
            with ctx.critical():
                await self._surroundings(ctx, cycles, watched, list(ports))

        simulator.add_process(surroundings)
        simulator.run()
        return self

    def _ports(self):
        """What is read in every cycle, by name."""
        unit, contexts = self.unit, range(self.sizes.contexts)
        return {
            "take": unit.sample.take, "slot": unit.sample.slot, "clear": unit.clear, "busy": unit.events.busy,
            "idle": unit.idle, "mask_index": unit.mask.index, "list_index": unit.list_index, "issues": unit.events.beat,
            "list_bank": unit.list_bank, "rows": unit.work.rows, "columns": unit.work.columns, "works": unit.work.valid,
            "phase": unit.events.phase, "emit": unit.emit, "emit_context": unit.emit_context,
            **{name: getattr(unit.events, name) for name in self.EVENTS},
            **{f"phase_{k}": unit.phases[k] for k in contexts},
            **{f"label_{k}": unit.labels[k] for k in contexts},
        }  # fmt: skip

    async def _surroundings(self, ctx, cycles, watched, names):
        unit, sizes, queue = self.unit, self.sizes, list(self.samples)
        count, beats, falters = sizes.contexts, sizes.memory.sample_beats, self.falter is not None
        ctx.set(unit.rate, self.rate)
        ctx.set(unit.emit_ready, 1)
        changed, at, slots = 0, 0, []
        answers = [0] * (sizes.pipeline.steer - 1)  # of the masks, the next one first
        loads_at = 0  # in which cycle the next sample is there; None while the host waits for an idle core
        for cycle in range(cycles):
            if queue and loads_at == cycle:
                self._offer(ctx, queue[0], at)
            *_, bits = await ctx.tick().sample(watched.bits)
            beat, *values = watched.values(bits)
            now = dict(zip(names, values, strict=True))
            at = now["slot"]
            answers.append(self.masks[now["mask_index"]] if now["mask_index"] < len(self.masks) else 0)
            ctx.set(unit.mask.slots, answers.pop(0))
            for name in self.EVENTS:
                self.counts[name] += now[name].bit_count()
            if now["sample"]:
                self.emitted.append((now["emit_context"], len(self.beats[now["emit_context"]])))
            if now["sample"] and not now["emit"]:
                self.wrong.append((cycle, "a sample without a prediction"))
            if now["take"]:
                sample = queue.pop(0)
                slots = [*slots, sample.slot][-count:]
                if now["slot"] != sample.slot:
                    self.wrong.append(("slot", now["slot"], sample.slot))
                ctx.set(unit.sample.loaded, 0)
                ctx.set(unit.sample.sample.as_value(), -1)  # the next sample streams in
                loads_at = cycle + beats + 1 + (int(self.falter.integers(9)) ** 2 if falters else 0)
                if queue and queue[0].is_held:
                    loads_at = None
            elif loads_at is None and now["idle"]:
                loads_at = cycle + beats
            for context in range(count):
                if now["clear"] >> context & 1:
                    self.beats[context].append([])
                    self.spent[context].append(0)
                    number, mine = len(self.beats[context]), self.programs[context]
                    following = mine[number][0] if number < len(mine) else None
                    changed = changed & ~(1 << context) | (following in _STEPS) << context
                    ctx.set(unit.changed, changed)
            if now["busy"] and count == 1:
                self.spent[0][-1] += 1
            self._write_down(cycle, beat, now)
            if falters:
                ctx.set(unit.emit_ready, int(self.falter.random() < 0.3))
                ctx.set(unit.hold, int(self.falter.random() < 0.1))
            if now["idle"] and not queue and not now["take"] and len(self.emitted) >= len(self.samples):
                return
        raise AssertionError(f"not idle again after {cycles} cycles")

    def _offer(self, ctx, sample, slot):
        told = self.unit.sample.sample
        ctx.set(told.slot, slot)
        for name in ("bank", "label", "learn", "close", "nonzero"):
            ctx.set(getattr(told, name), int(getattr(sample, name)))
        ctx.set(self.unit.sample.loaded, 1)

    def _write_down(self, cycle, beat, now):
        """Write a beat down, and what counts in this cycle."""
        is_issued = bool(beat & self.issued)
        if now["issues"] != is_issued or (is_issued and not now["busy"]):
            self.wrong.append((cycle, "a beat that is not told of, or none"))
        self.counts["waiting_cycles"] += now["busy"] and not now["issues"]
        if not is_issued:
            return
        self.counts[f"{PHASES[now['phase']]}_cycles"] += 1
        found = {name: beat >> offset & mask for name, (offset, mask) in self.fields.items()}
        names = ("list_index", "list_bank", "rows", "columns", "works", "phase")
        context = found["context"]
        if now[f"phase_{context}"] != now["phase"]:
            self.wrong.append((cycle, "phase of a context"))
        if found["slot"] == now["slot"] and found["valid"]:
            self.wrong.append((cycle, "a beat for the slot that the next sample streams into"))
        found |= {name: now[name] for name in names} | {"label": now[f"label_{context}"], "cycle": cycle}
        self.beats[context][-1].append(found)
        self.in_order.append(found)


_STEPS = (Program.FREE_STEP, Program.NUDGED_STEP)


class Timeline(Replay):
    """A replay that writes down the last beat of every instruction but updates, in the order of the lanes."""

    def __init__(self, schedule):
        super().__init__(schedule)
        self.ends = []

    def _last_beat(self, instruction, cycle):
        end = super()._last_beat(instruction, cycle)
        if instruction.op is not Op.UPDATE:
            self.ends.append(end)
        return end


def program_differences(bench):
    """What differs from the schedule, context by context and beat by beat; alone also from the cycles of a program."""
    sizes, masks, model, wrong = bench.sizes, bench.masks, CycleModel(bench.sizes.schedule), []
    for context, programs in enumerate(bench.programs):
        if len(bench.beats[context]) != len(programs):
            wrong.append(("programs", context, len(bench.beats[context]), len(programs)))
        for (name, sample), issued, spent in zip(programs, bench.beats[context], bench.spent[context], strict=False):
            occupancy = np.array([sum(mask >> slot & 1 for slot in sample.active) for mask in masks])
            is_update = name is Program.UPDATE
            work = model.update(occupancy, len(sample.active)) if is_update else model.work(name, sample.nonzero)
            if sizes.contexts == 1 and spent != work.cycles:
                wrong.append((name, "cycles", spent, work.cycles))
            macs = sum(multiplications(beat, sizes.lanes) for beat in issued)
            if (len(issued), macs) != work[:2]:
                wrong.append((name, "beats, multiplications", (len(issued), macs), work[:2]))
            whole = expected_beats(sizes, name, sample, sample.active, masks, bench.rate)
            if len(whole) != len(issued):
                wrong.append((name, "length", len(issued), len(whole)))
            for number, (got, want) in enumerate(zip(issued, whole, strict=False)):
                wrong += [(name, number, key, got[key], word) for key, word in want.items() if got[key] != word]
            wrong += [(name, "works") for beat in issued if beat["works"] != (beat["valid"] and not beat["null"])]
    return wrong


def order_differences(bench):
    """What is wrong with how contexts take turns: a tile is interrupted, or a prediction leaves out of turn."""
    wrong = [("tile", b["cycle"]) for a, b in pairwise(bench.in_order) if is_open(a) and a["context"] != b["context"]]
    wanted = []
    for sample in bench.samples:
        mine = [(name, other) for name, other in bench.programs[sample.context]]
        readout = Program.READOUT if sample.learn else Program.PREDICT
        number = next(k for k, (name, other) in enumerate(mine) if other is sample and name is readout)
        wanted.append((sample.context, number + 1))
    return wrong if bench.emitted == wanted else [*wrong, ("emitted", bench.emitted, wanted)]


def is_open(beat):
    """Whether a tile goes on after this beat."""
    return beat["valid"] and not beat["update"] and beat["drain"] == Drain.NONE


def cycle_differences(bench):
    """What differs from the cycle model: counts, and the cycle of the last beat of every product and move."""
    schedule, wrong = bench.sizes.schedule, []
    passages = list(passages_of(bench.sizes, bench.samples, bench.masks))
    predicted, timeline = CycleModel(schedule).predict(passages), Timeline(schedule)
    for passage in passages:
        timeline.send(passage)
    busy = timeline.finish()
    found = {phase: bench.counts[f"{phase}_cycles"] for phase in PHASES}
    if (found, bench.counts["waiting_cycles"]) != (predicted.cycles, predicted.waiting):
        wrong.append(("counts", found, bench.counts["waiting_cycles"], predicted))
    if busy != predicted.total_cycles:
        wrong.append(("replay", busy, predicted.total_cycles))
    ends = [beat["cycle"] for beat in bench.in_order if not beat["update"] and is_end(bench, beat)]
    if ends != timeline.ends:
        at = next((k for k, (a, b) in enumerate(zip(ends, timeline.ends, strict=False)) if a != b), None)
        wrong.append(("last beats", at, len(ends), len(timeline.ends)))
    return wrong


def is_end(bench, beat):
    """Whether a beat is the last one of its instruction: told by its place among the beats of its program."""
    return id(beat) in bench.ends


def mark_ends(bench):
    """Find the last beat of every product and move among those that were issued."""
    bench.ends = set()
    for programs, begun in zip(bench.programs, bench.beats, strict=True):
        for (name, sample), issued in zip(programs, begun, strict=False):
            if name is Program.UPDATE:
                continue
            at = -1
            for line in bench.sizes.schedule.programs[name]:
                at += beats_of(line, bench.sizes.lanes, sample.nonzero)
                if at < len(issued):
                    bench.ends.add(id(issued[at]))


def beats_of(line, lanes, nonzero):
    """Beats of a product or a move."""
    if line.op is not Op.PRODUCT:
        return line.count * (1 + (line.op is Op.DIFFERENCE))
    return {
        Feed.NOTHING: 1, Feed.INPUT: max(nonzero, 1), Feed.RING: line.groups * lanes, Feed.BROADCAST: line.count,
    }[line.feed]  # fmt: skip


def differences(sizes, seed, rate=0, falter=None, cycles=60_000):
    """What differs from cycle model and schedule; and which programs ran."""
    rng = np.random.default_rng(seed)
    samples, masks = script_of(sizes, rng), masks_of(sizes, rng)
    bench = Bench(sizes, samples, masks, rate, falter).play(cycles)
    mark_ends(bench)
    wrong = [*bench.wrong, *program_differences(bench), *order_differences(bench)]
    if falter is None:
        wrong += cycle_differences(bench)
    learnt = [s for s in samples if s.learn]
    told = {
        "free_steps": sum(s.free_steps for s in samples), "nudged_steps": sum(s.nudged_steps for s in learnt),
        "update": sum(bool(s.active) for s in samples), "sample": len(samples),
    }  # fmt: skip
    events = {name: bench.counts[name] for name in Bench.EVENTS}
    if events != told:
        wrong.append(("events", events, told))
    return wrong, {name for programs in bench.programs for name, _ in programs}
