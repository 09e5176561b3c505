"""The schedule against the products of the graph, over topologies, orders, forms, errors and lanes."""

from collections import Counter
from itertools import product as combinations

import pytest

from fregen.design.document import Design
from fregen.plan import Drain, Feed, Op, Plane, Program, Schedule, Start, Store
from fregen.spec.network import NetworkSpec, Operand

pytestmark = pytest.mark.unit

LAYERS = {"1 hidden": (5, 7, 3), "2 hidden": (9, 6, 5, 3), "3 hidden": (4, 5, 9, 6, 2), "wide output": (3, 4, 9)}
KINDS = list(combinations(["sweep", "synchronous"], ["offset", "states"], ["held", "recomputed"]))


def schedule_of(layers, lanes, kind=("sweep", "offset", "held"), samples=1, drain=1):
    learning = dict(zip(("order", "nudged", "error"), kind, strict=True))
    hardware = {"lanes": lanes, "samples": samples, "drain": drain}
    table = {"name": "t", "network": {"layers": layers}, "hardware": hardware, "learning": learning}
    return Schedule.of(NetworkSpec(Design.parse(table)))


ALL = pytest.mark.parametrize(
    "schedule",
    [
        pytest.param(
            schedule_of(layers, lanes, kind, samples, drain),
            id=f"{name}, P={lanes}, G={samples}, D={drain}, {', '.join(kind)}",
        )
        for name, layers in LAYERS.items()
        for lanes, samples, drain in (
            *((1, 1, 1), (2, 1, 1), (4, 1, 1), (8, 1, 1), (64, 1, 1), (1, 2, 1), (4, 4, 1)),
            *((2, 1, 2), (8, 2, 2), (4, 1, 4), (8, 4, 4)),
        )
        for kind in KINDS
    ],
)


def tiles_of(lines):
    """Instructions in groups, each ending with the drain of its tile."""
    group = []
    for line in lines:
        if line.op is not Op.PRODUCT:
            continue
        group.append(line)
        if line.drain is not Drain.NONE:
            yield group
            group = []
    assert not group, "products without a drain"


def place_of(schedule, tile):
    """(layer, tile) that a group of products computes, from where it drains to."""
    memory, last = schedule.memory, tile[-1]
    for layer in schedule.spec.graph.layers[1:]:
        number = last.target - memory.vector_bases[layer.index]
        is_output = layer.index == schedule.spec.graph.output
        if 0 <= number < memory.groups(layer.size) and (last.drain is Drain.SOFTMAX) == is_output:
            return layer.index, number
    raise AssertionError(f"{last} drains nowhere")


def as_instruction(schedule, p, tile):
    """What identifies a product of a tile: feed, memory, operand, weights, extent, alignment."""
    memory, layers = schedule.memory, schedule.spec.graph.layers
    m = schedule.spec.graph.matrices[p.matrix]
    base, stride, P = memory.weight_bases[m.index], memory.row_stride(m), memory.lanes
    store = Store.OFFSETS if p.operand in (Operand.OFFSET, Operand.ERROR) else Store.STATES
    vector = 0 if p.operand is Operand.INPUT else memory.vector_bases[p.source]
    source, target = layers[p.source].size, layers[p.target].size
    if schedule.spec.stored(m)[0] == p.target:
        feed = Feed.INPUT if p.operand is Operand.INPUT else Feed.BROADCAST
        return feed, store, vector, base + tile * stride, source, min(P, target - tile * P), p.shift
    return Feed.RING, store, vector, base + tile * P, source, min(P, target - tile * P), p.shift


def identity(schedule, line):
    if line.feed is Feed.RING:
        extent = (line.groups - 1) * schedule.memory.lanes + line.last_rows, line.last_columns
    else:
        extent = line.count, line.last_rows
    return line.feed, line.store, line.vector, line.weight, *extent, line.shift


def wanted_products(schedule, program, layer):
    """Products that a program must compute itself for a layer: docs/numerics.md, less zeros and what a drive holds."""
    spec = schedule.spec
    if program in (Program.FREE_FIRST, Program.FREE_STEP):
        seen = [i for i in spec.free_order[: spec.free_order.index(layer)] if spec.is_sweep]
        for p in spec.free_products(layer):
            is_fed = p.operand is Operand.INPUT
            if (is_fed or p.source in seen) if program is Program.FREE_FIRST else not is_fed:
                yield p
    elif program in (Program.PREDICT, Program.READOUT):
        yield from spec.free_products(layer)
    elif layer == spec.graph.output:
        yield from spec.nudged_products(layer)
    else:
        seen = [i for i in spec.nudged_order[: spec.nudged_order.index(layer)] if spec.is_sweep]
        for p in spec.nudged_products(layer):
            first = program is Program.NUDGED_FIRST
            needed = {
                Operand.ERROR: first or spec.recomputes_error,
                Operand.OFFSET: not first or p.source in seen,
                Operand.STATE: True,
            }
            if needed.get(p.operand, False):
                yield p


@ALL
def test_every_product_occurs_once_in_every_tile(schedule):
    """And known-zero sources are left out of first steps, and what a drive holds out of later ones."""
    spec, memory = schedule.spec, schedule.memory
    for program, lines in schedule.programs.items():
        if program in (Program.CONTRAST, Program.UPDATE):
            continue
        order = {
            Program.FREE_FIRST: spec.free_order, Program.FREE_STEP: spec.free_order,
            Program.PREDICT: (spec.graph.output,), Program.READOUT: (spec.graph.output,),
            Program.NUDGED_FIRST: spec.nudged_order, Program.NUDGED_STEP: spec.nudged_order,
        }[program]  # fmt: skip
        if program is Program.NUDGED_STEP and spec.recomputes_error:
            order = (spec.graph.output, *order)
        groups = list(tiles_of(lines))
        expected = [(layer, k) for layer in order for k in range(memory.groups(spec.graph.layers[layer].size))]
        assert [place_of(schedule, group) for group in groups] == expected
        for (layer, tile), group in zip(expected, groups, strict=True):
            wanted = Counter(as_instruction(schedule, p, tile) for p in wanted_products(schedule, program, layer))
            found = Counter(identity(schedule, line) for line in group if line.feed is not Feed.NOTHING)
            assert found == wanted, (program, layer, tile)
            assert (Feed.NOTHING in {line.feed for line in group}) == (not wanted)
            assert [line.start is Start.KEEP for line in group] == [False] + [True] * (len(group) - 1)
            assert group[-1].drain_count == memory.tile(spec.graph.layers[layer].size, tile)


@ALL
def test_neurons_leave_several_in_a_cycle_and_logits_one(schedule):
    """Waits are those of so many cycles; and no two neurons of an activation keep their words at one address."""
    memory, pipeline, output = schedule.memory, schedule.pipeline, schedule.spec.graph.output
    kept = {}
    for program, lines in schedule.programs.items():
        for tile in tiles_of(lines):
            (layer, number), last = place_of(schedule, tile), tile[-1]
            if layer == output:
                assert (last.drain_cycles, last.neuron) == (last.drain_count, number * memory.lanes)
                continue
            assert last.drain_cycles * memory.drain - last.drain_count in range(memory.drain)
            waits = {pipeline.word_wait, pipeline.step_wait, pipeline.change_wait} if last.end else {pipeline.word_wait}
            assert last.wait in {wait(last.drain_cycles) for wait in waits}, program
            for cycle in range(last.drain_cycles):
                assert kept.setdefault(last.neuron + cycle, (layer, number, cycle)) == (layer, number, cycle)
    assert max(kept) < memory.kept_words
    hidden = [layer.size for layer in schedule.spec.graph.hidden]
    assert len(kept) == sum(
        -(-memory.tile(size, k) // memory.drain) for size in hidden for k in range(memory.groups(size))
    )


@ALL
def test_nothing_is_read_before_it_is_written(schedule):
    """No instruction reads a vector that one since the last sync has written."""
    memory, spec = schedule.memory, schedule.spec
    hidden = {memory.vector_bases[layer.index]: layer.index for layer in spec.graph.layers[1:]}
    for program, lines in schedule.programs.items():
        written = set()
        for number, line in enumerate(lines):
            reads = set()
            if line.op is Op.PRODUCT and line.feed in (Feed.BROADCAST, Feed.RING):
                reads = {(line.store, line.plane, hidden[line.vector])}
            elif line.op is Op.COPY:
                reads = {(line.store, line.plane, layer.index) for layer in spec.graph.hidden}
            if line.sync:
                written = set()
            assert not reads & written, (program, number)
            if line.op is Op.COPY:
                written |= {(line.store, line.target_plane, layer.index) for layer in spec.graph.hidden}
            if line.drain is not Drain.NONE:
                layer = max(base for base in hidden if base <= line.target)
                store = Store.STATES if line.drain is Drain.STATE else Store.OFFSETS
                written.add((store, line.target_plane, hidden[layer]))


@ALL
def test_planes_follow_the_order_of_updates(schedule):
    """Synchronous steps write the next plane and end with one copy; sweeps write where they read."""
    spec = schedule.spec
    home = Plane.SLOT if spec.has_offsets else Plane.SCRATCH
    for program, plane in ((Program.FREE_STEP, Plane.SLOT), (Program.NUDGED_STEP, home)):
        lines = schedule.programs[program]
        copies = [line for line in lines if line.op is Op.COPY]
        drains = {line.target_plane for line in lines if line.drain in (Drain.STATE, Drain.OFFSET)}
        assert drains == {plane if spec.is_sweep else Plane.NEXT}
        assert len(copies) == (0 if spec.is_sweep else 1)
        if copies:
            assert (copies[0].plane, copies[0].target_plane, copies[0].sync) == (Plane.NEXT, plane, True)
            assert copies[0] is lines[-1]
            assert copies[0].count == schedule.memory.hidden_groups
    assert bool(schedule.programs[Program.CONTRAST]) == (not spec.has_offsets)


@ALL
def test_every_drive_is_saved_before_it_is_loaded(schedule):
    """Free: the input's part.  Nudged `states` starts from it, adds a held error, and saves the sum anew."""
    spec, saved = schedule.spec, set()
    for program in (Program.FREE_FIRST, Program.FREE_STEP, Program.NUDGED_FIRST, Program.NUDGED_STEP):
        for line in schedule.programs[program]:
            if line.start is Start.LOAD:
                assert line.drive in saved, (program, line)
            if line.save:
                saved.add(line.drive)
    assert saved <= set(range(schedule.memory.hidden_groups))
    first = range(schedule.memory.groups(spec.graph.layers[1].size))
    assert saved >= set(first)


@ALL
def test_the_update_learns_every_matrix_once(schedule):
    memory, spec = schedule.memory, schedule.spec
    lines = schedule.programs[Program.UPDATE]
    assert len(lines) == len(spec.graph.matrices)
    for line, m in zip(lines, spec.graph.learned, strict=True):
        rows, columns = memory.stored_shape(m)
        assert line.weight == memory.weight_bases[m.index]
        assert line.count == columns
        assert (line.groups - 1) * memory.lanes + line.last_rows == rows
        assert line.sigma == spec.update_shift(m, 1.0)
        assert line.column == spec.column_id(m)
        assert (line.feed is Feed.INPUT) == (m.source == 0)
        contrast, state = (line.vector, line.rows) if memory.is_transposed(m) else (line.rows, line.vector)
        assert line.store is (Store.OFFSETS if memory.is_transposed(m) else Store.STATES)
        assert contrast == memory.vector_bases[m.target]
        assert state == memory.vector_bases[m.source]


@ALL
def test_programs_lie_one_after_the_other_and_end(schedule):
    at = 0
    for name, lines in schedule.programs.items():
        assert schedule.starts[name] == at
        assert [line.end for line in lines] == [False] * (len(lines) - 1) + [True] * bool(lines)
        at += len(lines)
    assert len(schedule.instructions) == at
    assert schedule.shifts[0] == 0
    assert {line.shift for line in schedule.instructions} | {0} == set(schedule.shifts)


@ALL
def test_only_the_last_tile_of_logits_wants_its_errors(schedule):
    """Of a readout that is learnt from, and of recomputed errors; a prediction wants none."""
    last = schedule.memory.groups(schedule.spec.graph.layers[-1].size) - 1
    learning = {Program.READOUT, *([Program.NUDGED_STEP] if schedule.spec.recomputes_error else [])}
    for program, lines in schedule.programs.items():
        for tile in tiles_of(lines):
            layer, number = place_of(schedule, tile)
            is_last = layer == schedule.spec.graph.output and number == last
            assert [line.wants_error for line in tile] == [is_last and program in learning] * len(tile)
        assert not any(line.wants_error for line in lines if line.op is not Op.PRODUCT)


@ALL
def test_with_samples_in_flight_a_tile_waits_before_its_first_beat(schedule):
    """A tile keeps the lanes: it must not stand still within.  Its first instruction waits if any of it has to.

    Alone a sample waits as late as it can: it has the products last that read what is new.
    """
    output = schedule.spec.graph.output
    bases = {base: layer for layer, base in enumerate(schedule.memory.vector_bases) if layer}
    waits_within = False
    for lines in schedule.programs.values():
        fresh = set()
        for tile in tiles_of(lines):
            reads = {(p.store, p.plane, bases[p.vector]) for p in tile if p.feed in (Feed.BROADCAST, Feed.RING)}
            assert any(line.sync for line in tile) == bool(reads & fresh)
            waits_within |= any(line.sync for line in tile[1:])
            fresh = set() if reads & fresh else fresh
            layer, number = place_of(schedule, tile)
            if layer == output and not tile[-1].wants_error:
                continue  # logits alone are not read
            if number == schedule.memory.groups(schedule.spec.graph.layers[layer].size) - 1:
                store = Store.STATES if tile[-1].drain is Drain.STATE else Store.OFFSETS
                fresh.add((store, tile[-1].target_plane, layer))
    if schedule.memory.contexts > 1:
        assert not waits_within


def test_alone_a_tile_may_wait_within():
    """A sweep of two hidden layers: a tile of layer 2 has what layer 1 has just written last."""
    found = {}
    for samples in (1, 2):
        lines = schedule_of((9, 6, 5, 6, 3), 8, samples=samples).programs[Program.FREE_STEP]
        found[samples] = [[line.sync for line in tile] for tile in tiles_of(lines)]
    assert found == {1: [[False], [False, True], [True]], 2: [[False], [True, False], [True]]}


def test_the_first_step_of_a_small_net_is_this():
    """Sizes 5, 7, 3 on 4 lanes: two tiles of W0 from the nonzero inputs, saved as drives, nothing fed back yet."""
    lines = schedule_of(LAYERS["1 hidden"], 4).programs[Program.FREE_FIRST]
    assert [(line.feed, line.weight, line.last_rows, line.save, line.drive, line.neuron) for line in lines] == [
        (Feed.INPUT, 0, 4, True, 0, 0),
        (Feed.INPUT, 8, 3, True, 1, 4),
    ]
    later = schedule_of(LAYERS["1 hidden"], 4).programs[Program.FREE_STEP]
    assert [(line.feed, line.start) for line in later] == [(Feed.NOTHING, Start.LOAD)] * 2
