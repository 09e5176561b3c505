"""Every word of networks side by side is the golden model's: the pairwise matrix, designs drawn at random, faults."""

import secrets
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.errors import FormatError
from fregen.golden.carrier import Carrier
from fregen.golden_batch import Group
from fregen.golden_batch.bounds import Bounds, cut
from fregen.spec.network import NetworkSpec
from fregen.verification.draw import draw_design
from fregen.verification.matrix import Choice, pairwise
from fregen.verification.side_by_side import alike, compare

pytestmark = pytest.mark.golden

COUNT, MOST = 16, 60_000
ROUNDINGS = ("nearest", "stochastic")


def shape(choice: Choice) -> str:
    """What a group shares; formats, rounding and lanes may differ."""
    return str((choice.order, choice.nudged, choice.error, choice.batch, choice.stop, choice.hidden))


def design_of(choice: Choice) -> Design:
    """Make it of the layers of a core of 32 lanes: a group has one shape, whatever the lanes."""
    return replace(choice, lanes=32).design().replace(hardware={"lanes": choice.lanes, "drain": 1})


GROUPS = [list(same) for _, same in groupby(sorted(pairwise(), key=shape), key=shape)]


def test_the_pairwise_matrix_has_groups_of_several_formats():
    assert max(len({choice.formats for choice in group}) for group in GROUPS) > 1


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: f"{len(group)}_{group[0].name}")
def test_pairwise_matrix(group):
    specs = [NetworkSpec(design_of(choice)) for choice in group]
    result = compare(specs, seed=len(specs), batches=2)
    assert result.words > 1000 * len(specs)
    assert not result.wrong


@pytest.mark.parametrize("nudged", ["offset", "states"])
def test_all_formats_and_roundings_in_one_group(nudged):
    formats = ("4/12", "8/10", "12/12", "16/16", "18/18")
    choices = [
        Choice(16, "sweep", nudged, "held", rounding, 8, True, 2, name)
        for name in formats
        for rounding in ("nearest", "stochastic")
    ]
    assert not compare([NetworkSpec(choice.design()) for choice in choices], seed=1).wrong


def test_random_designs():
    """A fresh seed each time, which is printed; every third with others of its shape and of other numbers."""
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    number = compared = 0
    while compared < COUNT:
        draw = draw_design(seed, number)
        number += 1
        design, sizes = draw.design, draw.design.network.sizes
        steps = design.free_steps + design.nudged_steps
        if steps * design.learning.batch * sum(sizes) > MOST:
            continue
        specs = alike(draw.table, 4 if number % 3 == 0 else 1, np.random.default_rng([seed, number]))
        result = compare(specs, number, batches=2)
        assert not result.wrong, f"seed {seed}, number {number - 1}: {draw.table}"
        compared += 1


def test_an_update_that_just_fits():
    """Sums of 62 bits, dither included; at twice the rate the golden model carries them no longer."""
    numerics = {"state": "q19.5", "weight": "q1.23", "offset": "q13.3", "error": "q1.3"}
    table = {"name": "fits", "network": {"layers": (30, 3, 5, 37)}, "learning": {"batch": 32, "rate": 2**-8}}
    specs = [NetworkSpec(Design.parse({**table, "numerics": {**numerics, "rounding": r}})) for r in ROUNDINGS]
    matrix = specs[0].graph.learned[0]
    Carrier(specs[0]).updates_in_float(matrix, 2**-8)
    with pytest.raises(FormatError):
        Carrier(specs[0]).updates_in_float(matrix, 2**-7)
    assert not compare(specs, 15, batches=2).wrong


def test_the_widest_formats(device):
    """Products beyond 2**53 are made in two parts; slope x sum beyond 2**63 has a sticky bit, by blocks too."""
    wide = {"state": "q1.23", "weight": "q2.22", "offset": "q2.22", "error": "q1.12"}
    table = {"name": "w", "network": {"layers": (300, 3, 2), "beta": 1.0}, "learning": {"batch": 4}}
    specs = [NetworkSpec(Design.parse({**table, "numerics": {**wide, "rounding": r}})) for r in ROUNDINGS]
    assert Group(specs).bounds.splits_words
    assert not compare(specs, seed=6).wrong
    narrower = {"state": "q1.17", "weight": "q3.15", "offset": "q3.15", "error": "q1.9"}
    table = {"name": "n", "network": {"layers": (784, 20, 12, 3)}, "learning": {"batch": 4, "free_steps": 3}}
    specs = [NetworkSpec(Design.parse({**table, "numerics": {**narrower, "rounding": r}})) for r in ROUNDINGS]
    bounds = Group(specs).bounds
    assert not bounds.splits_words
    assert all(cut(bounds.offset_bound(spec)) for spec in specs)
    assert not compare(specs, seed=7).wrong
    assert not compare(specs, seed=7, using=device).wrong


def members(**numerics):
    choices = [Choice(16, "sweep", "offset", "held", "nearest", 8, True, 2, f) for f in ("8/10", "16/16", "12/12")]
    return [NetworkSpec(choice.design().replace(numerics=numerics)) for choice in choices]


def test_words_in_two_parts_are_the_same_words(monkeypatch):
    """What only the widest formats need, in a group that would not need it."""
    monkeypatch.setattr("fregen.golden_batch.bounds.FLOAT_BITS", 20)
    specs = members(rounding="stochastic")
    assert Group(specs).bounds.splits_words
    assert not compare(specs, seed=3).wrong


@pytest.mark.parametrize(
    ("method", "name"),
    [("update_shift", "W1"), ("free_products", "states"), ("nudged_products", "nudged")],
)
def test_one_wrong_shift_in_one_network_is_found(monkeypatch, method, name):
    """Planted in what the second network of the group is built from; the golden model is built from the right one."""
    specs = members()
    if method == "update_shift":
        right = Bounds.update_shift

        def shifted(bounds, spec, matrix, rate):
            return right(bounds, spec, matrix, rate) + (spec is specs[1] and matrix.name == "W1")

        monkeypatch.setattr(Bounds, "update_shift", shifted)
    else:
        half = "free_terms" if method == "free_products" else "nudged_terms"
        right_terms = getattr(Group, half)

        def wrong_terms(group, layer):
            terms = list(right_terms(group, layer))
            if layer == 2:
                shifts = list(terms[0].shifts)
                shifts[1] += 1
                terms[0] = type(terms[0])(**{**vars(terms[0]), "shifts": tuple(shifts)})
            return tuple(terms)

        monkeypatch.setattr(Group, half, wrong_terms)
    wrong = compare(specs, seed=5).wrong
    assert wrong
    assert all(line.startswith("network 1 ") for line in wrong)
    assert any(f": {name}" in line for line in wrong)
