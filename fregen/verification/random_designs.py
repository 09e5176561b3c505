"""Verify designs drawn at random over the whole design-file space, in gangs; a failure becomes a design file.

``python -m fregen.verification.random_designs -o FOLDER --designs N --seed S`` runs in any number of sittings and
writes ``designs.csv`` (:mod:`fregen.verification.sitting`); of every design that fails it writes the smallest
design file that still does.
"""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from ..design.document import Design
from ..files import make_folder, write
from ..plan import Schedule
from ..runs.scenario import Scenario
from ..runs.varied import varied
from ..spec.network import NetworkSpec
from .draw import draw_design, kind_of
from .gang import Member, Outcome, verify_apart
from .minimise import design_file, minimise
from .sitting import VerdictTable, verdict_cells, work_off

__all__ = ["failing_alike", "plan_run", "smallest", "verify_numbers"]

KEYS = ("number", "refused", "too_large", "table")
"""Columns that say which design a line is about: its number, what was drawn and refused before, and the design."""

CYCLES, LONG = 6_000, 200_000
"""About how long a run takes, and where a vector memory has more addresses than 12 bits count."""


def plan_run(design: Design, seed: int) -> Scenario:
    """Draw what a design does: long enough to reach high addresses where it has them."""
    spec = NetworkSpec(design)
    memory = Schedule.of(spec).memory
    return varied(spec, seed, LONG if memory.planes * memory.plane_size > 1 << 12 else CYCLES)


def verify_numbers(seed: int, numbers: Sequence[int]) -> list[dict[str, object]]:
    """Draw designs, verify them as a gang, and return a line of the table for each."""
    draws = [draw_design(seed, number) for number in numbers]
    outcomes = verify_apart([draw.design for draw in draws], partial(plan_run, seed=seed))
    lines: list[dict[str, object]] = []
    for number, draw, outcome in zip(numbers, draws, outcomes, strict=True):
        about = (number, json.dumps(draw.refused), draw.too_large, json.dumps(draw.table))
        lines.append({**dict(zip(KEYS, about, strict=True)), **verdict_cells(outcome)})
    return lines


def failing_alike(tables: Sequence[dict[str, Any]], seed: int, like: Outcome) -> list[bool]:
    """Say which designs fail as one that is known: with wrong words, or without a verdict for the same reason."""
    designs = [Design.parse({**table, "name": f"m{number}"}) for number, table in enumerate(tables)]
    found: list[bool] = []
    for at in range(0, len(designs), 8):
        for outcome in verify_apart(designs[at : at + 8], partial(plan_run, seed=seed)):
            same = not like.is_error or kind_of(outcome.text) == kind_of(like.text)
            found.append(not outcome.passed and outcome.is_error == like.is_error and same)
    return found


def smallest(seed: int, table: dict[str, Any]) -> tuple[dict[str, Any], Outcome]:
    """Minimise a design that has failed; return it and how it fails."""
    plan = partial(plan_run, seed=seed)
    like = verify_apart([Design.parse(table)], plan)[0]
    if like.passed:
        return table, like
    small = minimise(table, partial(failing_alike, seed=seed, like=like))
    return small, verify_apart([Design.parse(small)], plan)[0]


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of designs.csv.")
@click.option("--designs", default=2000, show_default=True, help="How many.")
@click.option("--seed", default=0, show_default=True, help="Which sequence of designs and runs.")
@click.option("--gang", default=16, show_default=True, help="Designs in one simulation model.")
@click.option("--processes", default=2, show_default=True, help="Models at once.")
@click.option(
    "--recheck", default=8, show_default=True, help="Lines of an old table to make anew before it is gone on with."
)
@click.option("--minimise/--as-drawn", "smaller", default=True, help="Make failing designs small.")
def main(output: Path, designs: int, seed: int, gang: int, processes: int, recheck: int, smaller: bool) -> None:
    """Verify designs drawn at random; resume where it was stopped."""
    table = VerdictTable(make_folder(output) / "designs.csv", KEYS)

    def digest(row: dict[str, str]) -> str:
        design = draw_design(seed, int(row["number"])).design
        with TemporaryDirectory() as folder:
            return Member.prepare(design, Path(folder), {}, partial(plan_run, seed=seed)).digest

    done = {int(row["number"]) for row in table.resume(digest, recheck)}
    todo = [number for number in range(designs) if number not in done]
    gangs = [todo[at : at + gang] for at in range(0, len(todo), gang)]
    work_off("random designs", gangs, partial(verify_numbers, seed), table, processes, len(done) + len(todo))
    code = table.report(designs)
    rows = table.rows()
    refused: Counter[str] = Counter()
    for row in rows:
        refused.update(json.loads(row["refused"]))
    click.echo(f"{sum(refused.values())} designs were refused, {sum(int(row['too_large']) for row in rows)} too large")
    for message, count in refused.most_common():
        click.echo(f"{count:6} {message}")
    for row in rows:
        goal = output / f"failed-{row['number']}.toml"
        if (row["error"] or row["mismatches"] != "0") and not goal.exists():
            click.echo(f"design {row['number']}: looking for the smallest design file that fails", err=True)
            small = json.loads(row["table"])
            remark = row["first"] or row["error"]
            if smaller:
                small, outcome = smallest(seed, small)
                remark = outcome.text or "passed when it was tried again"
            write(goal, design_file(small, f"{remark}\nRun: fregen.verification.random_designs, seed {seed}"))
            click.echo(f"{goal}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
