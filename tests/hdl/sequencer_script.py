"""What a sequencer is told of samples, and what each of its contexts must issue: program after program, beat by beat.

Samples enter the contexts in turn, so all this is known without a model of how they share the lanes.
"""

from dataclasses import dataclass, field

import numpy as np
from unit_bench import make_sizes

from fregen.plan import PORTABLE, Drain, Feed, Op, Passage, Plane, Program, Start, Store
from fregen.plan.cycles import PHASE_OF, PHASES

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
    "ones": ((1, 1, 1, 1, 2), 1, {"batch": 2, "free_steps": 3, "nudged_steps": 2}),
    "small": (
        (3, 2, 3, 2), 2, {
            "batch": 2, "free_steps": 3, "nudged_steps": 2,
            "order": "synchronous", "nudged": "states", "error": "recomputed",
        },
    ),
}  # fmt: skip


def sizes_of(name, samples, drain=1, words=1, pipeline=PORTABLE):
    layers, lanes, learning = DESIGNS[name]
    hardware = {"samples": samples, "drain": drain, "words": words}
    network = {"beta": 2**-3}
    return make_sizes(layers, lanes, learning=learning, network=network, hardware=hardware, pipeline=pipeline)


@dataclass
class Sample:
    """What the sequencer is told of one sample, how many steps change words, and where it must lie.

    ``active``: slots of the batch that it closes; empty if it closes none.
    """

    learn: bool
    close: bool
    nonzero: int
    free_steps: int
    nudged_steps: int
    label: int = 0
    is_held: bool = False
    context: int = 0
    bank: int = 0
    slot: int = 0
    active: list[int] = field(default_factory=list)

    def programs(self, has_contrast):
        """Programs that it must run."""
        names = [Program.FREE_FIRST, *[Program.FREE_STEP] * (self.free_steps - 1)]
        if not self.learn:
            return [*names, Program.PREDICT]
        names += [Program.READOUT, Program.NUDGED_FIRST, *[Program.NUDGED_STEP] * (self.nudged_steps - 1)]
        return [*names, *[Program.CONTRAST] * has_contrast]


def placed(sizes, samples):
    """Say of every sample where it must lie, by the rule of docs/instructions.md, and which batch it closes."""
    contexts, most, batch, slots = sizes.contexts, sizes.spec.design.learning.batch, [], []
    for number, sample in enumerate(samples):
        taken = {*batch, *slots[-contexts:]}
        if number and samples[number - 1].active:
            batch = []
        sample.context, sample.bank = number % contexts, number % (contexts + 1)
        sample.slot = min(k for k in range(sizes.memory.slots) if k not in taken)
        slots.append(sample.slot)
        if sample.learn:
            batch = [*batch, sample.slot]
            if sample.close or len(batch) == most:
                sample.active = sorted(batch)
    return samples


def script_of(sizes, rng):
    """Samples: with no, one and all inputs nonzero; full and closed batches; inferred ones between; some held."""
    learning, inputs, samples = sizes.spec.design.learning, sizes.memory.input_size, []
    kinds = [True] * learning.batch + [False] + [True, False, False, True] + [True] * learning.batch
    kinds += [False] * (sizes.contexts + 2)
    for number, learn in enumerate(kinds):
        most_free, most_nudged = sizes.spec.design.free_steps, sizes.spec.design.nudged_steps
        free = most_free if not learning.stop or number == 0 else int(rng.integers(1, min(most_free, 4) + 1))
        nudged = most_nudged if not learning.stop or number == 0 else int(rng.integers(1, min(most_nudged, 4) + 1))
        nonzero = [0, 1, inputs][number] if number < 3 else int(rng.integers(inputs + 1))
        close = number == learning.batch + 1 or (not learn and bool(rng.integers(2)))  # counts if it learns
        label = int(rng.integers(sizes.spec.softmax.classes))
        samples.append(Sample(learn, close, nonzero, free, nudged, label, number > 0 and rng.random() < 0.15))
    return placed(sizes, samples)


def masks_of(sizes, rng):
    """For every input the slots in which it is not zero: at random, and sometimes nowhere."""
    masks = rng.integers(0, 1 << sizes.memory.slots, sizes.memory.input_size) * (
        rng.random(sizes.memory.input_size) < 0.6
    )
    if rng.random() < 0.3:
        masks[:] = 0
    return [int(mask) for mask in masks]


def programs_of(sizes, samples):
    """(program, sample) that every context must run, in order; an update with the sample that closes the batch."""
    lists = [[] for _ in range(sizes.contexts)]
    for sample in samples:
        lists[sample.context] += [(name, sample) for name in sample.programs(not sizes.spec.has_offsets)]
        if sample.active:
            lists[0].append((Program.UPDATE, sample))
    return lists


def expected_beats(sizes, name, sample, active, masks, rate=0):
    """Spell out the beats of a program from its instructions; of an update also the sample that was the last one."""
    memory, schedule, P = sizes.memory, sizes.schedule, sizes.lanes
    context = sample.context if name is not Program.UPDATE else 0
    numbers = {Plane.SCRATCH: memory.scratch_plane + context, Plane.NEXT: memory.next_plane + context}
    drives = 1 << (sizes.drive_bits - sizes.context_bits)

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
                    "valid": 1, "update": 0, "shift": schedule.shifts.index(line.shift),
                    "drive": line.drive + context * drives,
                    "clear": int(first and line.start is Start.CLEAR), "load": int(first and line.start is Start.LOAD),
                    "save": int(last and line.save), "drain": int(line.drain if last else Drain.NONE), "copy": 0,
                    "null": int(line.feed is Feed.NOTHING or (line.feed is Feed.INPUT and sample.nonzero == 0)),
                    "ring": int(line.feed is Feed.RING), "from_list": int(line.feed is Feed.INPUT),
                    "first": int(line.first), "wants_error": int(line.wants_error), "slot": sample.slot,
                }  # fmt: skip
                if last and line.drain is not Drain.NONE:
                    beat |= {"drain_count": line.drain_count, "neuron": line.neuron, **target}
                if line.feed is Feed.INPUT:
                    beat |= {
                        "list_index": k, "list_bank": sample.bank, "weight": line.weight, "rows": line.last_rows,
                        "shared_is_input": 1,
                    }  # fmt: skip
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
    about = {"context": context, "phase": PHASES.index(PHASE_OF[name])}
    if name is not Program.UPDATE:
        about["label"] = sample.label
    return [beat | about for beat in result]


def multiplications(beat, lanes):
    """Lanes that a beat gives useful work."""
    if not beat["valid"] or beat["null"]:
        return 0
    return sum(
        lane < beat["rows"] and (not beat["ring"] or (lane + beat["rotate"]) % lanes < beat["columns"])
        for lane in range(lanes)
    )


def passages_of(sizes, samples, masks):
    """The same samples as the cycle model takes them."""
    contrast = not sizes.spec.has_offsets
    for sample in samples:
        occupancy = np.array([sum(mask >> slot & 1 for slot in sample.active) for mask in masks])
        batch = (occupancy, len(sample.active)) if sample.active else None
        nudged = sample.nudged_steps if sample.learn else None
        yield Passage(sample.nonzero, sample.free_steps, nudged, sample.learn and contrast, batch, sample.is_held)
