"""Every pair of choices, on Verilator: hardware and golden model agree in words, addresses and cycles."""

import itertools
from pathlib import Path

import pytest

from fregen.verification.gang import verify_gang
from fregen.verification.matrix import AXES, Choice, full_matrix, pairwise

pytestmark = pytest.mark.rtl

GANGS = [pairwise()[at : at + 15] for at in range(0, len(pairwise()), 15)]


def test_every_pair_of_values_occurs() -> None:
    wanted = {(a, x, b, y) for a, b in itertools.combinations(AXES, 2) for x in AXES[a] for y in AXES[b]}
    got = {
        (a, getattr(choice, a), b, getattr(choice, b))
        for choice in pairwise()
        for a, b in itertools.combinations(AXES, 2)
    }
    assert got == wanted


def test_the_full_matrix_has_every_combination() -> None:
    assert len(set(full_matrix())) == 19200


@pytest.mark.parametrize("gang", GANGS, ids=lambda gang: gang[0].name)
def test_hardware_equals_golden_model(gang: list[Choice], tmp_path: Path) -> None:
    for member, result in verify_gang([choice.design() for choice in gang], tmp_path):
        assert result.compared > 500, member.design.name
        assert result.mismatches == 0, (member.design.name, result.first)
