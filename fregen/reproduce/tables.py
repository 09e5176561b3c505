"""Ours against the published numbers."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from ..files import write
from .runs import Outcome

__all__ = ["COLUMNS", "Row", "Sheet", "summarise", "write_sheet", "write_table"]


@dataclass(frozen=True)
class Row:
    """All trainings of one label.

    Parameters
    ----------
    label, model : str
        What was trained, with which model.
    seeds, epochs : int
        Trainings; passes of each.
    best, best_spread, last, last_spread : float
        Test accuracy after the best and the last epoch, mean and standard deviation (of the sample) over seeds, %.
    published : float or None
        The paper's number (best epoch), %.
    minutes : float
        Mean time of a training.
    """

    label: str
    model: str
    seeds: int
    epochs: int
    best: float
    best_spread: float
    last: float
    last_spread: float
    published: float | None
    minutes: float

    @property
    def difference(self) -> float | None:
        """Ours less the published number, in points."""
        return None if self.published is None else round(self.best - self.published, 9)

    def cells(self) -> tuple[str, ...]:
        """Text for a table."""
        published = "" if self.published is None else f"{self.published:.2f}"
        difference = "" if self.difference is None else f"{self.difference:+.2f}"
        return (
            self.label,
            self.model,
            str(self.seeds),
            str(self.epochs),
            f"{self.best:.2f} ± {self.best_spread:.2f}",
            f"{self.last:.2f} ± {self.last_spread:.2f}",
            published,
            difference,
            f"{self.minutes:.1f}",
        )


COLUMNS = ("net", "model", "seeds", "epochs", "best %", "last %", "published %", "difference", "minutes")


def summarise(outcomes: Sequence[Outcome], published: dict[str, float]) -> list[Row]:
    """Gather trainings by label, in the order in which labels first appear."""
    rows = []
    for label in dict.fromkeys(outcome.label for outcome in outcomes):
        part = [outcome for outcome in outcomes if outcome.label == label]
        # rounded where per cent are made: 0.8865 of all samples are 88.65 %, not 88.64999999999999
        best, last = [round(100 * o.best, 9) for o in part], [round(100 * o.last, 9) for o in part]
        rows.append(
            Row(
                label,
                part[0].model,
                len(part),
                part[0].epochs,
                round(fmean(best), 9),
                round(_spread(best), 9),
                round(fmean(last), 9),
                round(_spread(last), 9),
                published.get(label),
                fmean([outcome.seconds / 60 for outcome in part]),
            )
        )
    return rows


@dataclass(frozen=True)
class Sheet:
    """A table of measurements.

    Parameters
    ----------
    columns : tuple of str
        Names, with their units.
    rows : list of tuple
        Numbers and names; an empty text where there is no number.
    """

    columns: tuple[str, ...]
    rows: list[tuple[float | str, ...]]

    def cells(self) -> list[tuple[str, ...]]:
        """Text for a table: numbers with four digits."""
        return [tuple(c if isinstance(c, str) else f"{c:.4g}" for c in row) for row in self.rows]


def write_table(rows: Sequence[Row], folder: Path, name: str, left_out: str = "") -> None:
    """Write ``name.csv`` and ``name.md``; the latter says what is left out."""
    cells = [row.cells() for row in rows]
    _write_csv(folder / f"{name}.csv", COLUMNS, cells)
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(row) + " |" for row in cells]
    if left_out:
        lines += ["", f"Left out: {left_out}."]
    write(folder / f"{name}.md", "\n".join(lines) + "\n")


def write_sheet(sheet: Sheet, folder: Path, name: str) -> None:
    """Write ``name.csv``, numbers with all their digits."""
    _write_csv(folder / f"{name}.csv", sheet.columns, sheet.rows)


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[float | str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    write(path, text.getvalue())


def _spread(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0
