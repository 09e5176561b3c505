"""A whole study: train what is missing, measure, write tables and figure."""

from pathlib import Path

from ..files import write_all
from ..progress import Progress
from ..views.figures import png, svg
from .choice import Choice
from .runs import execute
from .tables import summarise, write_sheet, write_table
from .target import Found, Scale, Target

__all__ = ["files", "reproduce"]


def reproduce(
    target: Target,
    scale: Scale,
    folder: Path,
    processes: int = 1,
    progress: Progress | None = None,
    choice: Choice | None = None,
) -> Found:
    """Run a target and write what :func:`files` names.

    Parameters
    ----------
    target : Target
        What to run.
    scale : {"quick", "full"}
        How much.
    folder : Path
        Where to write; records of trainings go to ``runs`` inside.
    processes : int
        Trainings at once.
    progress : callable, optional
        As :func:`~fregen.reproduce.execute` calls it.
    choice : Choice, optional
        A part of the study, or other epochs, seeds or bits; tables and figure are of that part alone.

    Raises
    ------
    DataError
        If data or a record are absent or damaged.
    DesignError
        If the study has not what is chosen.
    OutputError
        If the folder cannot be written.
    """
    experiments = (choice or Choice()).experiments(target, scale)
    outcomes = execute(experiments, folder / "runs", processes, progress)
    runs = list(zip(experiments, outcomes, strict=True))
    rows = summarise(outcomes, target.published)
    sheet = target.measure(scale, runs) if target.measure is not None else None
    found = Found(f"{target.title} ({scale})", rows, runs, sheet)
    stem = f"{target.name}_{scale}"
    if rows:
        write_table(rows, folder, stem, target.left_out)
    if sheet is not None:
        write_sheet(sheet, folder, f"{stem}_measured")
    figure = target.draw(found)
    write_all(folder, {f"{stem}.svg": svg(figure), f"{stem}.png": png(figure)})
    return found


def files(target: Target, scale: Scale) -> list[str]:
    """Name the files that a run writes: figure, tables of accuracy if it trains, table of what it measures."""
    stem = f"{target.name}_{scale}"
    names = [f"{stem}.svg", f"{stem}.png"]
    if next(target.build(scale), None) is not None:
        names += [f"{stem}.csv", f"{stem}.md"]
    if target.measure is not None:
        names.append(f"{stem}_measured.csv")
    return names
