"""A unit that cannot be is refused where it is made, with what was given."""

import pytest
from unit_bench import make_sizes, make_spec

from fregen.hdl.counters import CounterUnit
from fregen.hdl.dither import DitherUnit
from fregen.hdl.library import UnitLibrary
from fregen.hdl.neuron import NeuronUnit

pytestmark = [pytest.mark.unit, pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")]
"""A unit that is not put into a module makes Amaranth warn."""

SPEC = make_spec()
WORD = max(SPEC.state.width, SPEC.offset.width)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NeuronUnit(SPEC, SPEC.sum_width, 0, WORD), "neurons must be at least 1, not 0"),
        (lambda: NeuronUnit(SPEC, SPEC.sum_width - 1, 4, WORD), f"sum_width must hold .*, not {SPEC.sum_width - 1}"),
        (lambda: NeuronUnit(SPEC, SPEC.sum_width, 4, WORD - 1), f"words of {WORD} bits .* not {WORD - 1} bits"),
        (lambda: DitherUnit(1, 3, 4, 2), "lanes must be a power of two, not 3"),
        (lambda: DitherUnit(1, 0, 4, 2), "lanes must be a power of two, not 0"),
        (lambda: DitherUnit(1, 4, 4, 0), "at least 1, not 4 and 0"),
        (lambda: CounterUnit(make_sizes(), {"sample": 1}), "start names counters that there are not: sample"),
        (lambda: UnitLibrary(str, "chip", {}), "called after 'chip' or after their content"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_same_with_what_is_right_is_made():
    NeuronUnit(SPEC, SPEC.sum_width, 1, WORD)
    DitherUnit(1, 4, 4, 1)
    CounterUnit(make_sizes(), {"samples": 1})
    UnitLibrary(str, "chip")
