"""`fregen study`: read the study file, choose where to compute, run, and print what came out."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .command import json_option, print_json
from .console import Bars, table

if TYPE_CHECKING:
    from ..study import Found, Study

__all__ = ["study"]

_MOST_ROWS = 120


@click.command()
@click.argument("study_file", metavar="STUDY", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder to write.  [default: build/study/STUDY]")
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="One training a core, or hundreds side by side on a GPU.",
)
@click.option("--processes", type=click.IntRange(1, 256), default=os.cpu_count() or 1, help="Trainings at once (cpu).")
@json_option
def study(study_file: Path, out: Path | None, device: str, processes: int, as_json: bool) -> int:
    """Train a design at every point that STUDY names: how accuracy depends on its words, in any number of sittings.

    docs/study.md says what a study file holds; examples/studies/ has some.
    """
    from ..study import Card, Study
    from ..study import study as run

    wanted = Study.load(study_file)
    folder = out or Path("build") / "study" / study_file.stem
    card = Card.cuda() if device == "cuda" else None
    with Bars() as bars:
        found = run(wanted, folder, processes, card, bars.only("study"))
    if as_json:
        print_json(_summary(wanted, found, folder))
    else:
        columns, lines = found.rows(wanted.axes)
        if 0 < len(lines) <= _MOST_ROWS:
            table(lines, columns, title=wanted.name)
        click.echo(f"trained now: {found.computed:,}; there before: {found.kept:,}; written: {folder}")
    for line in found.reasons:
        click.echo(line, err=True)
    if not found.failures:
        return 0
    click.echo(f"error: {len(found.failures):,} points failed; the others are kept", err=True)
    return found.failures[0].code


def _summary(wanted: "Study", found: "Found", folder: Path) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    from ..study import FILES

    points = [
        {
            "labels": dict(cell.labels),
            "seeds": cell.seeds,
            "epochs": cell.epochs,
            "last": vars(cell.last),
            "best": vars(cell.best),
            "best_epoch": cell.best_epoch,
        }
        for cell in found.cells
    ]
    return {
        "name": wanted.name,
        "points": points,
        "trained": found.computed,
        "kept": found.kept,
        "engines": found.engines,
        "failed": found.reasons,
        "folder": folder,
        "files": ["study.db", *FILES] if found.cells else ["study.db"],
    }
