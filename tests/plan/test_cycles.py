"""The cycle model against numbers worked by hand for a tiny net."""

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.plan import (
    PORTABLE,
    CycleModel,
    Feed,
    Instruction,
    Op,
    Passage,
    PhaseCycles,
    Pipeline,
    Program,
    Schedule,
)
from fregen.plan.beats import learning_work
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.unit


def model_of(layers=(4, 3, 2), lanes=2, samples=1, drain=1, **learning):
    table = {
        "name": "t",
        "network": {"layers": layers},
        "hardware": {"lanes": lanes, "samples": samples, "drain": drain},
        "learning": {"batch": 2, **learning},
    }
    return CycleModel(Schedule.of(NetworkSpec(Design.parse(table))))


def test_a_free_step_as_worked_by_hand():
    """Sizes 4, 3, 2 on 2 lanes; three inputs are not zero.

    Cycle 0 jumps.  Tile 0 (2 neurons): taken in 1, begins with the end of 2, beats 3 to 5.  Tile 1 (1 neuron): taken
    with the first of these, begins with the end of the last; beats 6 to 8.  Its results are written 13 cycles and one a
    neuron after the last beat, 14 after cycle 8, and compared: in cycle 8 + 14 + 1 = 23 the sequencer decides, so 24
    cycles.  (Tile 0: 5 + 14 + 2 = 21 is sooner.)  Multiplications: 3 inputs times 3 neurons.
    """
    assert model_of().work(Program.FREE_FIRST, 3) == (6, 9, 24)


def test_a_sample_without_nonzero_inputs_takes_one_beat_a_tile():
    """Beats 3 and 5: the second instruction is taken in 3, with the first one's beat; its own is two cycles later.

    Decided in 5 + 14 + 1 = 20, 21 cycles; no multiplication is useful.
    """
    assert model_of().work(Program.FREE_FIRST, 0) == (2, 0, 21)


def test_two_beats_hide_that_the_next_instruction_is_fetched():
    """Beats 3, 4 and 5, 6: decided in 21, one cycle later than with a beat each, for two beats more."""
    assert model_of().work(Program.FREE_FIRST, 2) == (4, 6, 22)


def test_a_later_step_of_one_hidden_layer_only_loads_its_drive():
    """One null beat a tile, as with no inputs; the number of inputs does not matter."""
    model = model_of()
    assert model.work(Program.FREE_STEP, 4) == model.work(Program.FREE_STEP) == (2, 0, 21)


def test_a_readout_as_worked_by_hand():
    """W1 is kept as 3 x 2: one ring tile of 2 row groups of 2 beats, cycles 3 to 6; 3 x 2 useful multiplications.

    The first logit leaves 7 cycles after the last beat, the second in 6 + 8 = 14: in that cycle it is decided, and in
    the next the prediction is there; 15 cycles.  The first error comes 2 + 9 cycles after the last logit, in 25, the
    second in 26; phase and program change two cycles after the decision, which is in 25: 26 cycles.
    """
    assert model_of().work(Program.PREDICT) == (4, 6, 15)
    assert model_of().work(Program.READOUT) == (4, 6, 26)


def test_a_drain_holds_the_next_tile_back():
    """Sizes 1, 6, 1 on 4 lanes, one input: each tile has one beat.

    Tile 0 beats in 3 and drains 4 neurons: the next may drain 4 cycles later, in 7 (not in 5).  Decided 2 neurons
    later: 7 + 15 + 1 = 23; 24 cycles.
    """
    assert model_of((1, 6, 1), 4).work(Program.FREE_FIRST, 1) == (2, 6, 24)


@pytest.mark.parametrize("drain", [2, 4])
def test_a_drain_of_several_neurons_a_cycle_holds_no_longer(drain):
    """The same, but tile 0 leaves in 2 cycles or 1: the next one drains in 5, when its instruction begins.

    Its 2 neurons leave in one cycle.  Decided 14 cycles later: 5 + 14 + 1 = 20; 21 cycles.
    """
    assert model_of((1, 6, 1), 4, drain=drain).work(Program.FREE_FIRST, 1) == (2, 6, 21)


@pytest.mark.parametrize(("drain", "cycles"), [(1, 42), (2, 38), (4, 36)])
def test_a_sync_waits_for_as_many_cycles_as_neurons_leave_in(drain, cycles):
    """Sizes 1, 4, 4, 1 on 4 lanes, one input: a tile of one beat, then one of four that reads it.

    Beat 3; a single word would be read by a beat in 17, so the last of 4 words, which leave in 4, 2 or 1 cycles, by one
    in 20, 18 or 17.  The last of four beats is 3 later; its words are compared 14 cycles after it, and again 3, 1 or 0
    later.  Decided in the next cycle: 23 + 17 + 1 = 41, 21 + 15 + 1 = 37, 20 + 14 + 1 = 35.
    """
    assert model_of((1, 4, 4, 1), 4, drain=drain).work(Program.FREE_FIRST, 1) == (5, 4 + 16, cycles)


def test_logits_leave_one_a_cycle_whatever_leaves_of_other_tiles():
    """A readout takes as long as it did; 3 neurons on 2 lanes are decided by the last one, which leaves alone."""
    wide = model_of(drain=2)
    assert wide.work(Program.PREDICT) == (4, 6, 15)
    assert wide.work(Program.READOUT) == (4, 6, 26)
    assert wide.work(Program.FREE_FIRST, 3) == (6, 9, 24)


def test_a_sync_waits_for_what_was_written():
    """Sizes 1, 1, 1, 1 on one lane: the second layer reads the first one's state.

    Beat 3, written in 3 + 7 + 7 = 17, read by a beat in 17 at the soonest (its address comes a cycle later): taken in
    15, which is 3 + its wait of 12.  Written and compared 14 cycles after its beat in 17; decided in 32, 33 cycles.
    """
    assert model_of((1, 1, 1, 1), 1).work(Program.FREE_FIRST, 1) == (2, 2, 33)


def test_a_program_that_there_is_not_takes_no_cycle():
    """The ``offset`` form has no contrast.

    That of ``states`` has 2 rows of 2 lanes, 2 beats each; beside them it jumps, takes the instruction, begins it, and
    decides.
    """
    assert model_of().work(Program.CONTRAST) == (0, 0, 0)
    assert model_of(nudged="states").work(Program.CONTRAST) == (4, 0, 8)


def test_an_update_as_worked_by_hand():
    """Sizes 4, 3, 2 on 2 lanes: W0 has 2 row groups of 4 columns, W1 (kept 3 x 2) 2 row groups of 2 columns.

    Occupancy 0, 2, 0, 1.  Cycle 0 jumps, in 1 the instruction is taken, with the end of 2 it begins; column 0 is asked
    for in 3, column 1 in 4; its mask is there in 5; it is in the queue in 6 and has 4 beats, 7 to 10.  Column 3, asked
    for in 6, has waited since 8 and has 2 (11, 12).  W1 begins with the end of 12; its first column is asked for in 13,
    in the queue in 15; 2 x 2 x 2 beats: 16 to 23.  The last weight is written 9 cycles later, and the end decided: in
    32, 33 cycles.  Multiplications: 3 samples x 3 rows + 4 x 3 rows.
    """
    assert model_of().update(np.array([0, 2, 0, 1]), 2) == (14, 21, 33)


def test_an_update_without_any_input_still_scans():
    """4 columns, asked for in 3 to 6; that nobody feeds the last one is told in 7, and in 8 that this is the end.

    With it W1 begins: beats 12 to 19; decided in 28, 29 cycles.
    """
    assert model_of().update(np.zeros(4, dtype=int), 2) == (8, 12, 29)


def walked(loads, groups=1, pipeline=PORTABLE):
    """Cycles of an update with so many samples a column."""
    line = Instruction(Op.UPDATE, feed=Feed.INPUT, count=len(loads), groups=groups, last_rows=1)
    return learning_work(line, 1, np.array(loads), 16, pipeline).cycles


def test_columns_are_looked_for_while_others_are_worked_on():
    """Column 0 is asked for in cycle 1; its mask is there in 2, in 3 it waits, in 4 is its beat.

    It is taken from the queue in 3, which is told in 4; so it is known from 5 on that nothing waits.  That costs a
    cycle at the end, if the last column has a single beat.  A column that nobody feeds costs a cycle, if none before it
    has beats that hide it; and at the end less, for it enters no queue: asked for in 4, told in 5, the end in 6.
    """
    assert walked([1]) == 4 + 1
    assert walked([1] * 50) == 53 + 1
    assert walked([0, 0, 0, 1]) == 7 + 1
    assert walked([5, 0, 0, 1]) == 9 + 1
    assert walked([2, 0, 0, 0, 0, 1]) == 9 + 1
    assert walked([2, 0, 0, 0, 0, 2]) == 10
    assert walked([0, 0, 0, 0]) == 6
    assert walked([2, 2], groups=3) == 3 + 12


def test_no_more_columns_wait_than_the_queue_holds():
    """Column 0 has 40 beats, in 4 to 43; columns 1 to 8, of a beat each, wait, the last one asked for in 9.

    Column 0 is taken from the queue in 3, so that there is room for column 8.  In 43 column 1 is taken, which is told
    in 44, so that in 45 there is room, and column 9 is asked for.  Nobody feeds it nor the 11 after it.  In 44 column 2
    is taken, and so on: from 45 on there is room for one more in every cycle, and one a cycle is asked for; column 21
    in 57, and its beat is in 60.
    """
    assert walked([40, *[1] * 8]) == 43 + 8 + 1
    assert walked([40, *[1] * 8, *[0] * 12, 1]) == 60 + 1


def test_a_deeper_scan_comes_later_and_is_as_quick():
    """A column's samples are known ``scan`` cycles after it is asked for, and ``element`` registers follow.

    Nobody feeds any: told ``scan`` cycles after the last is asked for.  At most 8 columns are under way: so a scan of
    20 cycles asks for column 8 when column 0 is no longer one of them, in 1 + 20 + 1.
    """
    deep = Pipeline(scan=4, element=2)
    assert walked([1] * 50, pipeline=deep) == 53 + 1 + 3 + 2
    assert walked([0] * 4, pipeline=deep) == 4 + 4 + 1 + 2
    assert walked([0] * 9, pipeline=Pipeline(scan=20)) == 22 + 20 + 1


def passages_of(nonzero, free, nudged, batches):
    """Passages of samples that learn, or (``nudged`` None) are inferred; a batch is (occupancy, samples) or None."""
    return [Passage(*each) for each in zip(nonzero, free, nudged, [False] * len(free), batches, strict=True)]


def test_predict_adds_programs_up():
    """Cycles of a phase are its beats; the rest of the programs' cycles is waiting."""
    model = model_of()
    batch = np.array([0, 2, 0, 1]), 2
    total = model.predict(passages_of([2, 1], [2, 3], [1, 4], [None, batch]))
    names = [Program.FREE_FIRST, Program.FREE_FIRST, *[Program.FREE_STEP] * 3, *[Program.READOUT] * 2]
    names += [*[Program.NUDGED_FIRST] * 2, *[Program.NUDGED_STEP] * 3]
    works = [model.work(name, nonzero) for name, nonzero in zip(names, [2, 1, *[0] * 10], strict=True)]
    nudged = works[7:]
    assert total.cycles == {
        "free": 4 + 2 + 3 * 2,
        "readout": 2 * 4,
        "nudged": sum(w.beats for w in nudged),
        "update": 14,
    }
    assert total.macs == {"free": 9, "readout": 2 * 6, "nudged": sum(w.macs for w in nudged), "update": 21}
    assert total.total_cycles == sum(work.cycles for work in works) + 33
    assert total.waiting == total.total_cycles - sum(total.cycles.values()) > 0
    inferred = model.predict(passages_of([2, 1], [2, 3], [None, None], [None, None]))
    assert inferred.cycles == {"free": total.cycles["free"], "readout": 2 * 4, "nudged": 0, "update": 0}
    assert inferred.total_cycles == 22 + 21 + 3 * 21 + 2 * 15


def test_samples_in_flight_change_no_work_and_less_waiting():
    """Beats and multiplications of every phase are those of one sample after the other; only waits are filled."""
    batch = np.array([0, 4, 0, 3]), 4
    passages = passages_of([2, 1, 1, 3], [2, 3, 1, 2], [1, 4, 2, 2], [None, None, None, batch])
    alone, two, four = (model_of(samples=samples, batch=4).predict(passages) for samples in (1, 2, 4))
    assert alone.cycles == two.cycles == four.cycles
    assert alone.macs == two.macs == four.macs
    assert 0 < four.waiting < two.waiting < alone.waiting


def counted(cycles=(0, 0, 0, 0), macs=(0, 0, 0, 0), waiting=0):
    phases = ("free", "readout", "nudged", "update")
    return PhaseCycles(dict(zip(phases, cycles, strict=True)), dict(zip(phases, macs, strict=True)), 4, waiting)


def test_utilisation_is_useful_work_by_lanes_and_cycles():
    """Waiting counts for the whole, and belongs to no phase."""
    found = counted((10, 0, 0, 10), (20, 0, 0, 5))
    assert found.utilisation("free") == 0.5
    assert found.utilisation() == 25 / 80
    assert found.utilisation("readout") == 0.0
    waits = counted((10, 0, 0, 10), (20, 0, 0, 5), waiting=5)
    assert waits.total_cycles == 25
    assert waits.utilisation("free") == 0.5
    assert waits.utilisation() == 25 / 100
    assert counted().utilisation() == 0.0


def test_counts_of_runs_are_added_and_taken_apart():
    first, second = counted((1, 2, 3, 4), (5, 6, 7, 8), 9), counted((10, 20, 30, 40), (50, 60, 70, 80), 90)
    assert first + second == counted((11, 22, 33, 44), (55, 66, 77, 88), 99)
    assert (first + second) - second == first
    assert (second - first).waiting == 81
