"""Which carrier holds a design exactly, and what is said when none does."""

from fractions import Fraction

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.errors import DesignError, FormatError
from fregen.golden import Carrier, NetworkModel, Trace
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.golden


def make(
    layers=(784, 64, 64, 10),
    beta=2**-5,
    state="q1.15",
    weight="q3.13",
    offset="q3.13",
    segments=8,
    function="tanh",
    **learning,
):
    numerics = {
        "state": state,
        "weight": weight,
        "offset": offset,
        "activation": {"function": function, "segments": segments},
    }
    table = {"name": "t", "network": {"layers": layers, "beta": beta}, "numerics": numerics, "learning": learning}
    return NetworkSpec(Design.parse(table))


def test_sixteen_bit_sums_ride_in_float():
    """784 products of 2**30, aligned by 5 bits: 784·2**35; and two feedback products of 64·2**30."""
    carrier = Carrier(make())
    assert carrier.sum_bound("free", 1) == (784 << 35) + (64 << 30)
    assert carrier.sums_in_float
    assert carrier.interpolates_in_float
    assert not carrier.offsets_in_float
    assert carrier.dtype is np.float64


def test_eighteen_bit_sums_ride_in_float_and_their_activation_in_integers():
    carrier = Carrier(make(state="q1.17", weight="q3.15", offset="q3.15"))
    assert carrier.sums_in_float
    assert not carrier.interpolates_in_float


def test_twenty_four_bits_ride_in_integers():
    carrier = Carrier(make(state="q1.23", weight="q3.21", offset="q3.21"))
    assert not carrier.sums_in_float
    assert carrier.dtype is np.int64


def test_the_bounds_are_reached_by_extreme_words():
    """Worst case by construction: all words at their ends give exactly the bound of the sum."""
    spec = make((8, 4, 3))
    rows = np.full((4, 8), spec.weight.min_word, dtype=object)
    words = np.full(8, spec.state.min_word, dtype=object)
    (product,) = spec.free_products(1)
    assert int((rows @ words)[0]) << product.shift == Carrier(spec).sum_bound("free", 1)


@pytest.mark.parametrize("formats", [("q1.15", "q3.13"), ("q1.17", "q3.15"), ("q1.23", "q3.21")])
def test_extreme_words_cancel_exactly(formats):
    """Half of the weights at the greatest word, half at its negative, inputs at the greatest: partial sums reach half
    the bound, the sum is what 100 more in one weight leave. Hard-tanh passes it on."""
    spec = make(
        (784, 4, 3, 2), state=formats[0], weight=formats[1], offset=formats[1], function="hard-tanh", free_steps=1
    )
    model, trace = NetworkModel(spec), Trace()
    weights = model.weights
    weights[0][:, :392], weights[0][:, 392:] = spec.weight.max_word, -spec.weight.max_word
    weights[0][:, 783] += 100
    model.load(weights)
    model.infer(np.full((1, 784), spec.state.max_word), trace)
    exact = Fraction(100 * spec.state.max_word, 1 << spec.weight.frac_bits)
    assert trace.states[0][0, 0, :4].tolist() == [round(exact)] * 4


def test_refuses_sums_beyond_every_carrier():
    text = (
        r"layer 1: a free sum can need 71 bits, exact arithmetic holds 61; use fewer fraction bits in numerics.weight"
    )
    with pytest.raises(FormatError, match=text):
        NetworkModel(make(state="q1.23", weight="q3.21", beta=2**-15))


def test_a_rate_must_be_a_power_of_two():
    spec = make()
    with pytest.raises(DesignError, match="power of two"):
        Carrier(spec).updates_in_float(spec.graph.matrices[0], 0.3)
