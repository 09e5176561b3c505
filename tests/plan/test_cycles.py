"""The cycle model against numbers worked by hand for a tiny net."""

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.plan import CycleModel, PhaseCycles, Program, Schedule
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.unit


def model_of(layers=(4, 3, 2), lanes=2, **learning):
    table = {
        "name": "t",
        "network": {"layers": layers},
        "hardware": {"lanes": lanes},
        "learning": {"batch": 2, **learning},
    }
    return CycleModel(Schedule.of(NetworkSpec(Design.parse(table))))


def test_a_free_step_as_worked_by_hand():
    """Sizes 4, 3, 2 on 2 lanes; three inputs are not zero.

    Cycle 0 jumps.  Tile 0 (2 neurons): 1 loads, beats 2 to 4.  Tile 1 (1 neuron): 5 loads, beats 6 to 8.  Its results
    are written 13 cycles and one a neuron after the last beat, 14 after cycle 8, and compared: in cycle 8 + 14 + 1 = 23
    the sequencer decides, so 24 cycles.  (Tile 0: 4 + 14 + 1 = 19 is sooner.)  Multiplications: 3 inputs times 3
    neurons.
    """
    assert model_of().program(Program.FREE_FIRST, 3) == (24, 9)


def test_a_sample_without_nonzero_inputs_takes_one_beat_a_tile():
    """Beats 2 and 4: decided in 4 + 14 + 1 = 19, 20 cycles; no multiplication is useful."""
    assert model_of().program(Program.FREE_FIRST, 0) == (20, 0)


def test_a_later_step_of_one_hidden_layer_only_loads_its_drive():
    """One null beat a tile, as with no inputs; the number of inputs does not matter."""
    model = model_of()
    assert model.program(Program.FREE_STEP, 4) == model.program(Program.FREE_STEP) == (20, 0)


def test_a_readout_as_worked_by_hand():
    """W1 is kept as 3 x 2: one ring tile of 2 row groups of 2 beats, cycles 2 to 5; 3 x 2 useful multiplications.

    The first logit leaves 7 cycles after the last beat, the second in 5 + 8 = 13: in that cycle it is decided, and in
    the next the prediction is there; 14 cycles.  The first error comes 2 + 9 cycles after the last logit, in 24, the
    second in 25; phase and program change two cycles after the decision, which is in 24: 25 cycles.
    """
    assert model_of().program(Program.PREDICT) == (14, 6)
    assert model_of().program(Program.READOUT) == (25, 6)


def test_a_drain_holds_the_next_tile_back():
    """Sizes 1, 6, 1 on 4 lanes, one input: each tile has one beat.

    Tile 0 beats in 2 and drains 4 neurons: the next may drain 4 cycles later, in 6 (not in 4).  Decided 2 neurons
    later: 6 + 15 + 1 = 22; 23 cycles.
    """
    assert model_of((1, 6, 1), 4).program(Program.FREE_FIRST, 1) == (23, 6)


def test_an_update_as_worked_by_hand():
    """Sizes 4, 3, 2 on 2 lanes: W0 has 2 row groups of 4 columns, W1 (kept 3 x 2) 2 row groups of 2 columns.

    Occupancy 0, 2, 0, 1.  Cycle 0 jumps, 1 loads; scanning begins in 2.  Column 0 costs a cycle, column 1 is found in 3
    and takes 4 beats (4 to 7), column 3 is found meanwhile and takes 2 (8, 9).  10 loads W1; its 2 columns are found in
    11, 2 x 2 x 2 beats: 12 to 19.  The last weight is written 9 cycles later, and the end decided: in 28, 29 cycles.
    Multiplications: 3 samples x 3 rows + 4 x 3 rows.
    """
    assert model_of().update(np.array([0, 2, 0, 1]), 2) == (29, 21)


def test_an_update_without_any_input_still_scans():
    """4 columns, one cycle each and one to see the end: 2 to 6; 7 loads, 8 finds, 9 to 16; decided in 25, 26 cycles."""
    assert model_of().update(np.zeros(4, dtype=int), 2) == (26, 12)


def test_predict_adds_programs_up():
    model = model_of()
    steps, nudged = np.array([2, 3]), np.array([1, 4])
    batch = np.array([[0, 5, 0, 1], [0, -5, 0, 0]])
    total = model.predict([2, 1], steps, nudged, [batch])
    first = [model.program(Program.FREE_FIRST, n)[0] for n in (2, 1)]
    assert total.cycles["free"] == sum(first) + 3 * 20
    assert total.cycles["readout"] == 2 * 25
    assert (
        total.cycles["nudged"] == 2 * model.program(Program.NUDGED_FIRST)[0] + 3 * model.program(Program.NUDGED_STEP)[0]
    )
    assert (total.cycles["update"], total.macs["update"]) == (29, 21)
    assert total.macs["free"] == 9
    assert total.total_cycles == sum(total.cycles.values())
    inferred = model.predict([2, 1], steps)
    assert inferred.cycles == {"free": total.cycles["free"], "readout": 2 * 14, "nudged": 0, "update": 0}


def test_utilisation_is_useful_work_by_lanes_and_cycles():
    cycles, macs = dict.fromkeys(("free", "readout", "nudged", "update"), 0), dict.fromkeys(("readout", "nudged"), 0)
    counted = PhaseCycles({**cycles, "free": 10, "update": 10}, {**macs, "free": 20, "update": 5}, 4)
    assert counted.utilisation("free") == 0.5
    assert counted.utilisation() == 25 / 80
    assert counted.utilisation("readout") == 0.0
