"""Tables of a study: every point's accuracy over its seeds."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.special import stdtrit

from .study_file import Point
from .trained import Trained

__all__ = ["Cell", "Spread", "as_csv", "as_markdown", "rows", "summarise"]


@dataclass(frozen=True)
class Spread:
    """Numbers over seeds.

    Parameters
    ----------
    mean : float
        Their mean.
    deviation : float
        Standard deviation of the sample; 0 of one number.
    half : float
        Half of the 95 % interval of the mean by Student's t; 0 of one number, of which nothing is known.
    """

    mean: float
    deviation: float
    half: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Spread":
        """Summarise at least one number."""
        count = len(numbers)
        mean, deviation = round(fmean(numbers), 9), round(stdev(numbers), 9) if count > 1 else 0.0
        half = float(stdtrit(count - 1, 0.975)) * deviation / math.sqrt(count) if count > 1 else 0.0
        return cls(mean, deviation, round(half, 9))


@dataclass(frozen=True)
class Cell:
    """All seeds of one point.

    Parameters
    ----------
    point : Point
        That of the first seed.
    seeds, epochs : int
        Trainings, and passes of each.
    best, last : Spread
        Test accuracy after each seed's best epoch (chosen by the test set itself) and after its last one, %.
    best_epoch : float
        Mean epoch that was best, from 1.
    free_steps, nudged_steps : float
        Mean executed steps a sample in the last epoch.
    weight_saturations, offset_saturations : float
        Mean words saturated in the last epoch.
    """

    point: Point
    seeds: int
    epochs: int
    best: Spread
    last: Spread
    best_epoch: float
    free_steps: float
    nudged_steps: float
    weight_saturations: float
    offset_saturations: float

    @property
    def labels(self) -> Mapping[str, str]:
        """What every axis has here."""
        return self.point.labels


def summarise(axes: Sequence[str], results: Sequence[tuple[Point, Trained]]) -> list[Cell]:
    """Gather trainings that differ in their seed alone, in the order of the points."""
    gathered: dict[tuple[str, ...], list[tuple[Point, Trained]]] = {}
    for point, trained in results:
        gathered.setdefault(tuple(point.labels[axis] for axis in axes), []).append((point, trained))
    cells = []
    for some in gathered.values():
        epochs = [trained.epochs[: point.design.learning.epochs] for point, trained in some]
        tests = [[round(100 * epoch.test, 9) for epoch in one] for one in epochs]
        ends = [one[-1] for one in epochs]
        cells.append(
            Cell(
                some[0][0],
                len(some),
                len(epochs[0]),
                Spread.of([max(one) for one in tests]),
                Spread.of([one[-1] for one in tests]),
                fmean([1 + one.index(max(one)) for one in tests]),
                fmean([end.free_steps for end in ends]),
                fmean([end.nudged_steps for end in ends]),
                fmean([end.weight_saturations for end in ends]),
                fmean([end.offset_saturations for end in ends]),
            )
        )
    return cells


def as_csv(axes: Sequence[str], cells: Sequence[Cell]) -> str:
    """Write a row a point, numbers with all their digits."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    formats = ("state", "weight", "offset", "error")
    spreads = [f"{which}_{part}" for which in ("last", "best") for part in ("mean", "sd", "low95", "high95")]
    rest = ("best_epoch", "free_steps", "nudged_steps", "weight_saturations", "offset_saturations")
    writer.writerow([*axes, *formats, "seeds", "epochs", *spreads, *rest])
    for cell in cells:
        numerics = cell.point.design.numerics
        numbers: list[float] = []
        for spread in (cell.last, cell.best):
            numbers += [spread.mean, spread.deviation, spread.mean - spread.half, spread.mean + spread.half]
        words = [str(getattr(numerics, name)) for name in formats]
        numbers = [round(number, 6) for number in numbers + [getattr(cell, name) for name in rest]]
        writer.writerow([*(cell.labels[axis] for axis in axes), *words, cell.seeds, cell.epochs, *numbers])
    return text.getvalue()


def rows(axes: Sequence[str], cells: Sequence[Cell]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return names of columns and text for a table."""
    columns = (*axes, "seeds", "epochs", "last %", "95 % interval", "best %", "best epoch")
    lines = []
    for cell in cells:
        last, best = cell.last, cell.best
        interval = f"{last.mean - last.half:.2f} to {last.mean + last.half:.2f}" if cell.seeds > 1 else ""
        lines.append(
            (
                *(cell.labels[axis] for axis in axes),
                str(cell.seeds),
                str(cell.epochs),
                f"{last.mean:.2f} ± {last.deviation:.2f}",
                interval,
                f"{best.mean:.2f} ± {best.deviation:.2f}",
                f"{cell.best_epoch:.1f}",
            )
        )
    return columns, lines


def as_markdown(axes: Sequence[str], cells: Sequence[Cell], failures: Sequence[str] = ()) -> str:
    """Write a table for people: mean and standard deviation over seeds; then what failed."""
    columns, lines = rows(axes, cells)
    text = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    text += ["| " + " | ".join(line) + " |" for line in lines]
    if failures:
        text += ["", "Failed:", *(f"- {line}" for line in failures)]
    return "\n".join(text) + "\n"
