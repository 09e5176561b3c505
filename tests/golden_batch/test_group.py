"""Which networks make a group, and what is said where they do not."""

import itertools
import re

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.errors import DesignError, FormatError, FregenError, ToolError
from fregen.golden.carrier import Carrier
from fregen.golden_batch import BatchModel, Group, load_arrays
from fregen.spec.network import NetworkSpec
from fregen.verification.draw import draw_table

pytestmark = pytest.mark.golden


def make(name="t", layers=(6, 5, 4, 3), topology=None, numerics=None, **learning):
    network = {"layers": layers, **(topology or {})}
    return NetworkSpec(
        Design.parse({"name": name, "network": network, "numerics": numerics or {}, "learning": learning})
    )


def test_numbers_may_differ():
    others = [
        make(numerics={"state": "q1.7", "weight": "q2.8", "error": "q1.11", "rounding": "stochastic"}),
        make(numerics={"activation": {"function": "hard-sigmoid"}}, nudge=0.25, rate=2**-7, gain=False),
        make(topology={"beta": 0.25, "alpha": 0.5, "scales": [{"source": 2, "target": 1, "scale": 0.125}]}),
    ]
    assert len(Group([make(), *others])) == 4


def test_all_that_cannot_be_grouped_is_said_at_once():
    specs = [make("a"), make("b", order="synchronous", stop=False), make("c", layers=(6, 5, 3)), make("d", batch=4)]
    with pytest.raises(DesignError) as caught:
        BatchModel(specs)
    assert str(caught.value).splitlines() == [
        "network 1 (b): learning.order is synchronous, that of network 0 (a) sweep; a group shares it",
        "network 1 (b): learning.stop is False, that of network 0 (a) True; a group shares it",
        "network 2 (c): network.layers is [6, 5, 3], that of network 0 (a) [6, 5, 4, 3]; a group shares it",
        "network 2 (c): the number of free steps is 8, that of network 0 (a) 10; a group shares it",
        "network 3 (d): learning.batch is 4, that of network 0 (a) 8; a group shares it",
    ]


def test_other_connections_make_another_group():
    with pytest.raises(DesignError, match=r"network 1 \(t\): its connections are not those of network 0"):
        Group([make(), make(topology={"feedback": "asymmetric"})])


def test_a_long_list_of_differences_ends_in_their_number():
    with pytest.raises(DesignError, match=r"\nand 59 more differences$"):
        Group([make(), *[make(batch=1) for _ in range(99)]])


def test_no_network_is_no_group():
    with pytest.raises(DesignError, match="at least one network"):
        Group([])


def test_what_fits_no_carrier_is_refused_with_the_bits_that_are_too_many():
    wide = {"state": "q1.23", "weight": "q1.23", "offset": "q1.23"}
    chain = {"beta": 2**-15}
    specs = [make(), make("w", topology=chain, numerics=wide), make("v", topology=chain, numerics=wide)]
    with pytest.raises(FormatError) as caught:
        Group(specs)
    lines = str(caught.value).splitlines()
    assert {line.split(":")[0] for line in lines} == {"network 1 (w)", "network 2 (v)"}
    for line in lines:
        assert re.search(r"can need \d+ bits, \d+ more than exact arithmetic holds; use fewer fraction bits", line)


def test_an_update_that_does_not_fit_is_refused():
    fine = {"state": "q20.4", "weight": "q1.23", "offset": "q20.4"}
    specs = [make("f", numerics=fine, batch=64)]
    model = BatchModel(specs)
    spec = specs[0]
    matrix = spec.graph.learned[0]
    over = model.group.bounds.update_bound(spec, matrix).bit_length() + 16 - spec.update_shift(matrix, 1.0) - 63
    assert over > 0
    with pytest.raises(FormatError, match=rf"f: matrix W0: an update at rate 2\*\*-0 can need {over} bits more"):
        model.shifts([1.0])


def test_whatever_the_golden_model_carries_is_carried_side_by_side():
    """At every rate, over formats drawn at random: exact arithmetic is 63 bits wide here and there."""
    rng, carried, refused = np.random.default_rng(2026), 0, 0
    while carried < 250:
        try:
            spec = NetworkSpec(Design.parse(draw_table(rng, "c")))
            carrier = Carrier(spec)
        except FregenError:
            continue
        carried += 1
        bounds = Group([spec]).bounds
        for rate, matrix in itertools.product([2.0**-k for k in range(16)], spec.graph.learned):
            try:
                carrier.updates_in_float(matrix, rate)
            except FormatError:
                refused += 1
                continue
            bounds.update_shift(spec, matrix, rate)
    assert refused > 100


@pytest.mark.parametrize(("library", "text"), [("jax", "expected one of numpy, torch, cupy, not 'jax'")])
def test_an_unknown_library_is_refused(library, text):
    with pytest.raises(ToolError, match=text):
        load_arrays(library)


def test_a_library_that_is_not_there_is_named(monkeypatch):
    def absent(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("fregen.golden_batch.arrays.import_module", absent)
    with pytest.raises(ToolError, match=r"torch cannot be loaded .*: pip install 'fregen\[gpu\]'"):
        load_arrays("torch")
