"""What follows from the depth of the pipeline: today's figures, and refusals."""

from dataclasses import fields

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.errors import LoweringError
from fregen.plan import PIPELINES, PORTABLE, CycleModel, Pipeline, Program, Schedule
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.unit


def test_the_usual_stages_and_latencies():
    stages = {"answered": 2, "product": 4, "aligned": 5, "total": 6, "drained": 7, "word": 14, "learnt": 9}
    assert {name: getattr(PORTABLE, name) for name in stages} == stages
    assert (PORTABLE.neuron, PORTABLE.update, PORTABLE.errors(10)) == (7, 3, 19)


def test_the_usual_waits():
    """For a tile of 5 neurons, or of logits of 10 classes in all.

    An instruction that waits is taken two cycles before its first beat: so those that it waits for are two cycles more.
    """
    assert PORTABLE.word_wait(5) == 11 + 5
    assert PORTABLE.change_wait(5) == 13 + 5
    assert PORTABLE.step_wait(5) == 12 + 5
    assert PORTABLE.prediction_wait(5) == 5 + 5
    assert PORTABLE.error_wait(5, 10) == 12 + 2 * 10 + 5
    assert PORTABLE.readout_wait(5, 10) == 12 + 2 * 10 + 5
    assert PORTABLE.copy_wait(1, stops=True) == 0
    assert (PORTABLE.update_wait, PORTABLE.difference_wait) == (8, 0)


def test_from_a_program_s_end_to_the_first_beat_of_what_follows():
    """Jump, load, take, beat; before an update the batch is closed, and its first column is asked for and waits."""
    assert (PORTABLE.to_beat, PORTABLE.to_update) == (4, 4 + 1 + 3)
    assert Pipeline(scan=4, element=2, jump=2).to_update == 5 + 1 + 6 + 2


@pytest.mark.parametrize("family", PIPELINES)
def test_the_first_beat_of_a_step_and_of_an_update_come_as_late_as_is_said(family):
    """Of programs of one instruction: from the end of the one before, in cycle -1, to the first beat.

    Of an update from -2, the cycle before the batch is closed; of two matrices, two beats each.  The second one begins
    with the last beat of the first, without batch, jump and load.
    """
    pipeline = PIPELINES[family]
    table = {"name": "t", "network": {"layers": [1, 1, 1]}, "hardware": {"lanes": 1, "family": family}}
    table["learning"] = {"batch": 2}
    model = CycleModel(Schedule.of(NetworkSpec(Design.parse(table))))
    assert model.schedule.pipeline is pipeline
    assert model.work(Program.FREE_FIRST, 1).cycles == pipeline.to_beat + pipeline.change_wait(1) + 1
    last = pipeline.to_update - 2 + 1 + (pipeline.to_update - pipeline.to_beat) + 1
    assert model.update(np.full(1, 2), 2).cycles == last + pipeline.update_wait + 2


@pytest.mark.parametrize("stage", [field.name for field in fields(Pipeline)])
def test_a_deeper_stage_never_shortens_a_wait(stage):
    needs = {"steer": {"scan": 9, "address": 9}, "spread": {"operand": 10}}
    deeper = Pipeline(**{stage: 9}, **needs.get(stage, {}))
    for name in ("word_wait", "change_wait", "step_wait", "prediction_wait"):
        assert getattr(deeper, name)(3) >= getattr(PORTABLE, name)(3)
    for name in ("error_wait", "readout_wait"):
        assert getattr(deeper, name)(3, 10) >= getattr(PORTABLE, name)(3, 10)
    for name in ("update_wait", "difference_wait"):
        assert getattr(deeper, name) >= getattr(PORTABLE, name)
    assert deeper.copy_wait(1, stops=True) >= PORTABLE.copy_wait(1, stops=True)


@pytest.mark.parametrize("pipeline", [*PIPELINES.values(), Pipeline(address=9)], ids=[*PIPELINES, "address"])
@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_a_step_that_ends_with_a_copy_ends_after_its_words_are_written(pipeline, count):
    """The copy begins as soon as its first beat reads what was written, which may be before the last word is."""
    last_beat = pipeline.word_wait(1) + 2 + count - 1
    assert last_beat + pipeline.copy_wait(count, stops=True) >= pipeline.change_wait(1)
    assert last_beat + pipeline.copy_wait(count, stops=False) >= pipeline.step_wait(1)


def test_a_stage_without_a_cycle_is_refused():
    with pytest.raises(LoweringError, match="stage multiply takes 1 cycle or more, not 0"):
        Pipeline(multiply=0)


def test_stages_that_go_by_others_are_refused_where_they_are_shorter():
    """A list or a mask of nonzero words is asked before the weights are, and before a column is known."""
    assert Pipeline(address=2, steer=2, scan=2, element=0).steer == 2
    with pytest.raises(LoweringError, match="stage address takes 2 cycles or more, not 1"):
        Pipeline(steer=2, scan=2)
    with pytest.raises(LoweringError, match="stage scan takes 2 cycles or more, not 1"):
        Pipeline(steer=2, address=2)
    with pytest.raises(LoweringError, match="stage operand takes 2 cycles or more, not 1"):
        Pipeline(spread=1)
    with pytest.raises(LoweringError, match="stage result takes 3 cycles or more, not 2"):
        Pipeline(result=2)
    with pytest.raises(LoweringError, match="stage element takes 0 cycles or more, not -1"):
        Pipeline(element=-1)
