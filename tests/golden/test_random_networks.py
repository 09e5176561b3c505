"""The golden network against the plain reference over the whole design-file space: designs drawn at random."""

import itertools
import secrets

import pytest
from against_reference import compare

from fregen.verification.draw import draw_design

pytestmark = pytest.mark.golden

COUNT = 40
MOST = 20_000
"""Multiplications of a sample, all steps together: the reference is plain Python."""


def test_random_designs_learn_as_the_plain_reference() -> None:
    """A fresh seed each time, which is printed; alignment, exponents and update shifts are derived a second time."""
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    number = compared = 0
    while compared < COUNT:
        draw = draw_design(seed, number)
        number += 1
        design, sizes = draw.design, draw.design.network.sizes
        steps = design.free_steps + design.nudged_steps
        work = steps * sum(a * b for a, b in itertools.pairwise(sizes)) * (1 + len(sizes) // 3)
        if work > MOST:
            continue
        count = min(design.learning.batch, max(1, MOST // work), 4)
        try:
            compare(design, count, rate=design.learning.rate, scale=4 if number % 2 else 1)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, number {number - 1}: {draw.table}") from error
        compared += 1
