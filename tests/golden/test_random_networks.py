"""The golden network against the plain reference over the whole design-file space: designs drawn at random."""

import itertools
import secrets
from collections.abc import Sequence
from typing import Any

import pytest
from against_reference import compare

from fregen.design.document import Design
from fregen.spec.network import NetworkSpec
from fregen.verification.draw import draw_design
from fregen.verification.minimise import design_file, minimise

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


def test_a_planted_fault_ends_in_a_design_file_of_a_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the golden model shifts updates by one bit too few where batches hold four samples and more."""
    right = NetworkSpec.update_shift
    monkeypatch.setattr(
        NetworkSpec, "update_shift", lambda spec, matrix, rate: right(spec, matrix, rate) - (spec.batch_log2 >= 2)
    )

    def failing(tables: Sequence[dict[str, Any]]) -> list[bool]:
        found = []
        for table in tables:
            try:
                compare(Design.parse(table), 1, updates=1, rate=1.0, scale=4)
                found.append(False)
            except AssertionError:
                found.append(True)
        return found

    draws = (draw_design(8, number) for number in itertools.count())
    table = next(
        draw.table
        for draw in draws
        if 3 < len(draw.design.network.sizes) < 8 and len(draw.table["learning"]) > 9 and failing([draw.table])[0]
    )
    small = minimise(table, failing)
    text = design_file(small)
    assert failing([small]) == [True]
    assert len(text.splitlines()) <= 12 < len(design_file(table).splitlines()), text
    assert Design.parse(small).learning.batch >= 4
    assert sum(small["network"]["layers"]) <= 6, text
    monkeypatch.undo()
    assert failing([small]) == [False]
