"""Runs of hours in any number of sittings: a table of verdicts, a line a design, that is gone on with.

Each line has a digest of the hardware and of all expected words: while a design's digest stays, so does its verdict. A
table is gone on with only if the digests of some of its lines, drawn anew each time, are those of today.  A design
without a verdict (its model could not be built or run) is no line that is done: the next sitting tries it again.
"""

import csv
import io
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from .. import files
from ..processes import workers
from .gang import Outcome

__all__ = ["VERDICT", "VerdictTable", "verdict_cells", "work_off"]

VERDICT = ("compared", "mismatches", "digest", "first", "error")
"""Columns of a verdict."""

_LINE_EVERY = 15.0
"""Seconds between lines of progress where there is no terminal."""


def verdict_cells(outcome: Outcome) -> dict[str, object]:
    """Return the columns of :data:`VERDICT`; of a design without a verdict ``error`` alone."""
    if outcome.is_error:
        return {**dict.fromkeys(VERDICT, ""), "error": outcome.text or "no message"}
    cells = (outcome.compared, outcome.mismatches, outcome.digest, outcome.text, "")
    return dict(zip(VERDICT, cells, strict=True))


@dataclass(frozen=True)
class VerdictTable:
    """A CSV file of verdicts.

    Parameters
    ----------
    path : Path
        The file.
    keys : tuple of str
        Columns that say which design a line is about; those of :data:`VERDICT` follow.
    """

    path: Path
    keys: tuple[str, ...]

    def rows(self) -> list[dict[str, str]]:
        """Return all lines; none if there is no file yet."""
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def resume(self, digest: Callable[[dict[str, str]], str], recheck: int) -> list[dict[str, str]]:
        """Begin the table or go on with it; return its lines that have a verdict, and drop the others.

        Parameters
        ----------
        digest : callable
            Makes a line's design anew and returns its digest of today.
        recheck : int
            For so many lines, drawn at random.

        Raises
        ------
        click.ClickException
            If one of them is another today.
        """
        done = [row for row in self.rows() if not row["error"]]
        for row in random.SystemRandom().sample(done, min(recheck, len(done))):
            if digest(row) != row["digest"]:
                what = " ".join(row[key] for key in self.keys)
                raise click.ClickException(
                    f"{self.path} is about other hardware or other expected words (for one, {what}): move it away"
                )
        text = io.StringIO()
        writer = csv.DictWriter(text, [*self.keys, *VERDICT])
        writer.writeheader()
        writer.writerows(done)
        files.write(self.path, text.getvalue())
        return done

    def append(self, rows: Iterable[dict[str, object]]) -> None:
        """Add lines."""
        with files.writing(self.path), self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, [*self.keys, *VERDICT]).writerows(rows)

    def report(self, wanted: int) -> int:
        """Print how many designs there are and which failed; return the exit code, 0 only if all are there and pass."""
        rows = self.rows()
        errors = [row for row in rows if row["error"]]
        failed = [row for row in rows if not row["error"] and (row["mismatches"] != "0" or row["compared"] == "0")]
        words = sum(int(row["compared"] or 0) for row in rows)
        click.echo(
            f"{len(rows)} of {wanted} designs, {words} words compared, "
            f"{len(failed)} designs with mismatches, {len(errors)} without a verdict"
        )
        for row in (failed + errors)[:20]:
            click.echo(" ".join(row[key] for key in self.keys) + f": {row['first'] or row['error']}")
        return 2 if failed or errors or len(rows) < wanted else 0


def work_off(
    title: str,
    jobs: Sequence[Any],
    work: Callable[[Any], list[dict[str, object]]],
    table: VerdictTable,
    processes: int,
    total: int,
) -> None:
    """Work jobs off in processes, add their lines to the table as they come, and show how long it will take.

    Parameters
    ----------
    title : str
        What is shown before the bar.
    jobs : sequence
        What ``work`` is given, one at a time.
    work : callable
        Returns the lines of a job; runs in a process of its own.
    table : VerdictTable
        Where the lines go.
    processes : int
        Jobs at once.
    total : int
        Designs in all, those of earlier sittings included.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(file=sys.stderr)
    before = done = len(table.rows())
    begin = shown = time.monotonic()
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
        workers(processes) as pool,
    ):
        task = progress.add_task(title, total=total, completed=done)
        left: set[Future[list[dict[str, object]]]] = {pool.submit(work, job) for job in jobs}
        while left:
            ended, left = wait(left, timeout=_LINE_EVERY, return_when=FIRST_COMPLETED)
            for future in ended:
                rows = future.result()
                table.append(rows)
                done += len(rows)
                progress.advance(task, len(rows))
            now = time.monotonic()
            if not console.is_terminal and now - shown >= _LINE_EVERY:
                shown = now
                rest = (now - begin) / max(done - before, 1) * (total - done) / 60
                click.echo(f"{title}: {done} of {total} designs, " + _about(rest, done > before), err=True)


def _about(minutes: float, is_known: bool) -> str:
    return f"about {minutes:.0f} minutes left" if is_known else "the first ones take a minute or more"
