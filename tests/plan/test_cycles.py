"""The cycle model against numbers worked by hand for a tiny net."""

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.plan import CycleModel, Passage, PhaseCycles, Program, Schedule
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

    Cycle 0 jumps.  Tile 0 (2 neurons): taken in 1, beats 2 to 4.  Tile 1 (1 neuron): taken with the last of these,
    beats 5 to 7.  Its results are written 13 cycles and one a neuron after the last beat, 14 after cycle 7, and
    compared: in cycle 7 + 14 + 1 = 22 the sequencer decides, so 23 cycles.  (Tile 0: 4 + 14 + 1 = 19 is sooner.)
    Multiplications: 3 inputs times 3 neurons.
    """
    assert model_of().work(Program.FREE_FIRST, 3) == (6, 9, 23)


def test_a_sample_without_nonzero_inputs_takes_one_beat_a_tile():
    """Beats 2 and 4: the second instruction is there two cycles after the first is taken, too late to follow at once.

    Decided in 4 + 14 + 1 = 19, 20 cycles; no multiplication is useful.
    """
    assert model_of().work(Program.FREE_FIRST, 0) == (2, 0, 20)


def test_two_beats_hide_that_the_next_instruction_is_fetched():
    """Beats 2, 3 and 4, 5: decided in 20, one cycle later than with a beat each, for two beats more."""
    assert model_of().work(Program.FREE_FIRST, 2) == (4, 6, 21)


def test_a_later_step_of_one_hidden_layer_only_loads_its_drive():
    """One null beat a tile, as with no inputs; the number of inputs does not matter."""
    model = model_of()
    assert model.work(Program.FREE_STEP, 4) == model.work(Program.FREE_STEP) == (2, 0, 20)


def test_a_readout_as_worked_by_hand():
    """W1 is kept as 3 x 2: one ring tile of 2 row groups of 2 beats, cycles 2 to 5; 3 x 2 useful multiplications.

    The first logit leaves 7 cycles after the last beat, the second in 5 + 8 = 13: in that cycle it is decided, and in
    the next the prediction is there; 14 cycles.  The first error comes 2 + 9 cycles after the last logit, in 24, the
    second in 25; phase and program change two cycles after the decision, which is in 24: 25 cycles.
    """
    assert model_of().work(Program.PREDICT) == (4, 6, 14)
    assert model_of().work(Program.READOUT) == (4, 6, 25)


def test_a_drain_holds_the_next_tile_back():
    """Sizes 1, 6, 1 on 4 lanes, one input: each tile has one beat.

    Tile 0 beats in 2 and drains 4 neurons: the next may drain 4 cycles later, in 6 (not in 4).  Decided 2 neurons
    later: 6 + 15 + 1 = 22; 23 cycles.
    """
    assert model_of((1, 6, 1), 4).work(Program.FREE_FIRST, 1) == (2, 6, 23)


@pytest.mark.parametrize("drain", [2, 4])
def test_a_drain_of_several_neurons_a_cycle_holds_no_longer(drain):
    """The same, but tile 0 leaves in 2 cycles or 1: the next one drains in 4, when its instruction is there.

    Its 2 neurons leave in one cycle.  Decided 14 cycles later: 4 + 14 + 1 = 19; 20 cycles.
    """
    assert model_of((1, 6, 1), 4, drain=drain).work(Program.FREE_FIRST, 1) == (2, 6, 20)


@pytest.mark.parametrize(("drain", "cycles"), [(1, 41), (2, 37), (4, 35)])
def test_a_sync_waits_for_as_many_cycles_as_neurons_leave_in(drain, cycles):
    """Sizes 1, 4, 4, 1 on 4 lanes, one input: a tile of one beat, then one of four that reads it.

    Beat 2; a single word would be read by a beat in 16, so the last of 4 words, which leave in 4, 2 or 1 cycles, by one
    in 19, 17 or 16.  The last of four beats is 3 later; its words are compared 14 cycles after it, and again 3, 1 or 0
    later.  Decided in the next cycle: 22 + 17 + 1 = 40, 20 + 15 + 1 = 36, 19 + 14 + 1 = 34.
    """
    assert model_of((1, 4, 4, 1), 4, drain=drain).work(Program.FREE_FIRST, 1) == (5, 4 + 16, cycles)


def test_logits_leave_one_a_cycle_whatever_leaves_of_other_tiles():
    """A readout takes as long as it did; 3 neurons on 2 lanes are decided by the last one, which leaves alone."""
    wide = model_of(drain=2)
    assert wide.work(Program.PREDICT) == (4, 6, 14)
    assert wide.work(Program.READOUT) == (4, 6, 25)
    assert wide.work(Program.FREE_FIRST, 3) == (6, 9, 23)


def test_a_sync_waits_for_what_was_written():
    """Sizes 1, 1, 1, 1 on one lane: the second layer reads the first one's state.

    Beat 2, written in 2 + 7 + 7 = 16, read by a beat in 16 at the soonest (its address comes a cycle later): taken in
    15, which is 2 + its wait of 13.  Written and compared 14 cycles after its beat in 16; decided in 31, 32 cycles.
    """
    assert model_of((1, 1, 1, 1), 1).work(Program.FREE_FIRST, 1) == (2, 2, 32)


def test_a_program_that_there_is_not_takes_no_cycle():
    """The ``offset`` form has no contrast.

    That of ``states`` has 2 rows of 2 lanes, 2 beats each; beside them it jumps, takes the instruction and decides.
    """
    assert model_of().work(Program.CONTRAST) == (0, 0, 0)
    assert model_of(nudged="states").work(Program.CONTRAST) == (4, 0, 7)


def test_an_update_as_worked_by_hand():
    """Sizes 4, 3, 2 on 2 lanes: W0 has 2 row groups of 4 columns, W1 (kept 3 x 2) 2 row groups of 2 columns.

    Occupancy 0, 2, 0, 1.  Cycle 0 jumps, 1 loads; scanning begins in 2.  Column 0 costs a cycle, column 1 is found in 3
    and takes 4 beats (4 to 7), column 3 is found meanwhile and takes 2 (8, 9).  W1 is taken in 9; its first column is
    found in 10, 2 x 2 x 2 beats: 11 to 18.  The last weight is written 9 cycles later, and the end decided: in 27, 28
    cycles.  Multiplications: 3 samples x 3 rows + 4 x 3 rows.
    """
    assert model_of().update(np.array([0, 2, 0, 1]), 2) == (14, 21, 28)


def test_an_update_without_any_input_still_scans():
    """4 columns, one cycle each and one to see the end: 2 to 6; 7 finds, beats 8 to 15; decided in 24, 25 cycles."""
    assert model_of().update(np.zeros(4, dtype=int), 2) == (8, 12, 25)


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
    assert total.total_cycles == sum(work.cycles for work in works) + 28
    assert total.waiting == total.total_cycles - sum(total.cycles.values()) > 0
    inferred = model.predict(passages_of([2, 1], [2, 3], [None, None], [None, None]))
    assert inferred.cycles == {"free": total.cycles["free"], "readout": 2 * 4, "nudged": 0, "update": 0}
    assert inferred.total_cycles == 21 + 20 + 3 * 20 + 2 * 14


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
