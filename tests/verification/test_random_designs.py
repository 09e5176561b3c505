"""Designs drawn at random over the whole design-file space: legal, verified in gangs, made small where they fail."""

import secrets
from pathlib import Path

import click
import pytest

from fregen.design.document import Design
from fregen.errors import ToolError
from fregen.verification import gang, random_designs
from fregen.verification.draw import draw_design
from fregen.verification.gang import Outcome, verify_apart
from fregen.verification.minimise import design_file, minimise
from fregen.verification.random_designs import smallest, verify_numbers
from fregen.verification.sitting import VerdictTable, verdict_cells


def keys_of(table: dict, above: str = "") -> set[str]:
    found = set()
    for key, value in table.items():
        found |= keys_of(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}"}
    return found


@pytest.mark.unit
def test_the_draw_reaches_every_key_and_the_limits() -> None:
    draws = [draw_design(0, number) for number in range(400)]
    designs = [draw.design for draw in draws]
    keys = set().union(*(keys_of(draw.table) for draw in draws))
    float_only = {"biases", "optimizer", "layer_rates", "weight_noise", "state_noise"}
    sections = {"network": designs[0].network, "numerics": designs[0].numerics, "learning": designs[0].learning}
    wanted = {f"{name}.{key}" for name, part in sections.items() for key in type(part).model_fields} | {"seed", "name"}
    wanted = {key for key in wanted if key.split(".")[-1] not in float_only} - {"numerics.activation"}
    wanted |= {f"numerics.activation.{key}" for key in ("function", "segments", "range")} | {"hardware.lanes"}
    assert not wanted - keys
    assert {design.hardware.lanes for design in designs} == {1, 2, 4, 8, 16, 32, 64}
    assert {design.learning.batch for design in designs} == {1, 2, 4, 8, 16, 32, 64}
    for name in ("state", "weight", "offset", "error"):
        widths = {getattr(design.numerics, name).width for design in designs}
        assert min(widths) == 4, name
        assert max(widths) >= (24 if name != "error" else 12), name
    sizes = [size for design in designs for size in design.network.sizes]
    assert min(sizes) == 1
    assert max(sizes) > 1000
    assert max(len(design.network.sizes) for design in designs) == 34
    assert sum(draw.refused.total() for draw in draws) < len(draws)


@pytest.mark.unit
def test_the_same_numbers_draw_the_same_design() -> None:
    assert draw_design(3, 14).table == draw_design(3, 14).table
    assert draw_design(3, 14).table != draw_design(3, 15).table


@pytest.mark.unit
def test_a_design_file_reads_back(tmp_path: Path) -> None:
    for number in range(40):
        draw = draw_design(1, number)
        path = tmp_path / "design.toml"
        path.write_text(design_file(draw.table, "two\nlines"), encoding="utf-8")
        assert Design.load(path) == draw.design


@pytest.mark.unit
def test_a_failing_design_becomes_a_few_lines() -> None:
    """As if synchronous order were wrong beside a residual connection, wherever there are at least five neurons."""

    def failing(tables: list[dict]) -> list[bool]:
        designs = [Design.parse(table) for table in tables]
        return [
            design.learning.order == "synchronous"
            and design.network.topology == "residual"
            and max(design.network.sizes) >= 5
            for design in designs
        ]

    tables = [draw_design(2, number).table for number in range(800)]
    found = next(table for table in tables if len(table["network"]["layers"]) > 8 and failing([table])[0])
    small = minimise(found, failing)
    assert failing([small]) == [True]
    assert small["learning"] == {"order": "synchronous"}
    assert sum(small["network"]["layers"]) == 5 + len(small["network"]["layers"]) - 1
    assert len(small["network"]["layers"]) <= 6
    assert len(design_file(small).splitlines()) <= 9


@pytest.mark.unit
@pytest.mark.parametrize("is_error", [False, True], ids=["wrong words", "no verdict"])
def test_a_design_is_made_small_as_long_as_it_fails_alike(is_error: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second fault, which smaller designs have, must not take the place of the first."""

    def verify(designs, *rest):
        found = []
        for design in designs:
            wide, tiny = design.learning.batch >= 4, sum(design.network.sizes) < 9
            text = f"ToolError: width {design.learning.batch}" if wide and not tiny else "ToolError: other"
            errors = is_error if wide and not tiny else not is_error
            failed = wide or tiny
            found.append(Outcome(design, 9, int(failed and not errors), "", text, failed and errors))
        return found

    monkeypatch.setattr(random_designs, "verify_apart", verify)
    table = next(table for n in range(99) if (table := draw_design(7, n).table)["learning"].get("batch", 8) >= 16)
    small, outcome = smallest(7, table)
    assert outcome.is_error == is_error
    assert not outcome.passed
    assert Design.parse(small).learning.batch >= 4
    assert sum(small["network"]["layers"]) == 9
    assert set(small) <= {"name", "network", "learning"}


@pytest.mark.rtl
def test_random_designs_equal_the_golden_model() -> None:
    """A fresh seed each time, which is printed: whole design-file space, any run, a gang in one model."""
    _verify(10)


@pytest.mark.rtl
@pytest.mark.long
def test_many_random_designs_equal_the_golden_model() -> None:
    _verify(60)


def _verify(count: int) -> None:
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}: python -m fregen.verification.random_designs -o FOLDER --designs {count} --seed {seed}")
    for first in range(0, count, 20):
        rows = verify_numbers(seed, range(first, min(first + 20, count)))
        failed = {row["number"]: row["first"] or row["error"] for row in rows if row["mismatches"] != 0}
        assert not failed, f"seed {seed}: {failed}"
        assert all(row["compared"] > 0 for row in rows)


# Tables of long runs --------------------------------------------------------------------------------------------------


@pytest.mark.unit
def test_a_gang_that_cannot_be_built_is_halved_until_the_culprit_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    designs = [draw_design(4, number).design for number in range(7)]
    tried = []

    def verify(members, *rest):
        tried.append(len(members))
        if designs[5] in members:
            raise ToolError("verilator could not build the bench")
        result = gang.Result(10, 0, 0, 0, (), None, {}, 0.0, 0.0, Path(), "")
        return [(gang.Member(design, None, None, "digest"), result) for design in members]

    monkeypatch.setattr(gang, "verify_gang", verify)
    outcomes = verify_apart(designs)
    assert [outcome.design for outcome in outcomes] == designs
    assert [outcome.is_error for outcome in outcomes] == [design is designs[5] for design in designs]
    assert [outcome.passed for outcome in outcomes] == [design is not designs[5] for design in designs]
    assert outcomes[5].text == "ToolError: verilator could not build the bench"
    assert max(tried[1:]) < 7


@pytest.mark.unit
def test_a_design_without_a_verdict_is_tried_again_in_the_next_sitting(tmp_path: Path) -> None:
    """The disk was full, say: such a line counted as done, with no word compared and -1 mismatches."""
    table = VerdictTable(tmp_path / "designs.csv", ("number",))
    design = draw_design(4, 0).design
    assert table.resume(lambda row: row["digest"], 8) == []
    table.append([{"number": 0, **verdict_cells(Outcome(design, 10, 0, "one", ""))}])
    table.append([{"number": 1, **verdict_cells(Outcome(design, 0, 0, "", "No space left", is_error=True))}])
    assert table.report(2) == 2
    assert [row["number"] for row in table.resume(lambda row: row["digest"], 8)] == ["0"]
    assert [row["number"] for row in table.rows()] == ["0"]
    table.append([{"number": 1, **verdict_cells(Outcome(design, 12, 0, "two", ""))}])
    assert table.report(2) == 0
    table.append([{"number": 2, **verdict_cells(Outcome(design, 12, 3, "three", "word 4"))}])
    assert table.report(3) == 2


@pytest.mark.unit
def test_a_table_about_other_hardware_is_not_gone_on_with(tmp_path: Path) -> None:
    table = VerdictTable(tmp_path / "designs.csv", ("number",))
    table.resume(lambda row: row["digest"], 8)
    table.append([{"number": 0, **verdict_cells(Outcome(draw_design(4, 0).design, 10, 0, "one", ""))}])
    with pytest.raises(click.ClickException, match="other hardware"):
        table.resume(lambda row: "other", 8)
    assert len(table.rows()) == 1
