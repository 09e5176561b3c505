"""What follows from the depth of the pipeline: today's figures, and refusals."""

from dataclasses import fields

import pytest

from fregen.errors import LoweringError
from fregen.plan import PORTABLE, Pipeline

pytestmark = pytest.mark.unit


def test_the_usual_stages_and_latencies():
    stages = {"answered": 2, "product": 4, "aligned": 5, "total": 6, "drained": 7, "word": 14, "learnt": 9}
    assert {name: getattr(PORTABLE, name) for name in stages} == stages
    assert (PORTABLE.neuron, PORTABLE.update, PORTABLE.errors(10)) == (7, 3, 19)


def test_the_usual_waits():
    """For a tile of 5 neurons, or of logits of 10 classes in all."""
    assert PORTABLE.word_wait(5) == 12 + 5
    assert PORTABLE.change_wait(5) == 13 + 5
    assert PORTABLE.step_wait(5) == 12 + 5
    assert PORTABLE.prediction_wait(5) == 5 + 5
    assert PORTABLE.error_wait(5, 10) == 13 + 2 * 10 + 5
    assert PORTABLE.readout_wait(5, 10) == 12 + 2 * 10 + 5
    assert (PORTABLE.update_wait, PORTABLE.copy_wait, PORTABLE.difference_wait) == (8, 0, 0)


@pytest.mark.parametrize("stage", [field.name for field in fields(Pipeline)])
def test_a_deeper_stage_never_shortens_a_wait(stage):
    deeper = Pipeline(**{stage: 9})
    for name in ("word_wait", "change_wait", "step_wait", "prediction_wait"):
        assert getattr(deeper, name)(3) >= getattr(PORTABLE, name)(3)
    for name in ("error_wait", "readout_wait"):
        assert getattr(deeper, name)(3, 10) >= getattr(PORTABLE, name)(3, 10)
    for name in ("update_wait", "copy_wait", "difference_wait"):
        assert getattr(deeper, name) >= getattr(PORTABLE, name)


def test_a_stage_without_a_cycle_is_refused():
    with pytest.raises(LoweringError, match="stage multiply takes 1 cycle or more, not 0"):
        Pipeline(multiply=0)
