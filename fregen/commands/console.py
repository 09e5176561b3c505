"""What the terminal shows: progress bars on stderr, tables on stdout."""

import sys
from collections.abc import Iterable, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

__all__ = ["Bars", "table"]


class Bars:
    """Progress bars, one a step; a context manager.

    A step that nobody can measure shows a moving bar until it ends.  Nothing is drawn where stderr is no terminal.
    """

    def __init__(self) -> None:
        console = Console(file=sys.stderr)
        self._progress = Progress(
            TextColumn("{task.fields[step]:<14}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step(self, step: str, done: int, total: int, text: str) -> None:
        """Show a step: ``total`` 0 if it is not known."""
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(text, total=total or None, step=step)
        task = self._tasks[step]
        self._progress.update(task, completed=done, total=total or None, description=text)
        if total and done >= total:
            self._progress.stop_task(task)

    def by_text(self, done: int, total: int, text: str) -> None:
        """Show a step whose name is its text."""
        self.step(text.split(":")[0], done, total, "")

    def only(self, step: str) -> "_Only":
        """Return a callback ``(done, total, text)`` of one step."""
        return _Only(self, step)


class _Only:
    def __init__(self, bars: Bars, step: str) -> None:
        self._bars, self._step = bars, step

    def __call__(self, done: int, total: int, text: str) -> None:
        self._bars.step(self._step, done, total, text)


def table(rows: Iterable[Sequence[str]], columns: Sequence[str] = (), title: str | None = None) -> None:
    """Print a table to stdout; as wide as it needs where stdout is no terminal."""
    console = Console(file=sys.stdout)
    if not console.is_terminal:
        console = Console(file=sys.stdout, width=160)
    shown = Table(title=title, title_justify="left", show_header=bool(columns), header_style="bold")
    rows = [tuple(row) for row in rows]
    for name in columns or ("",) * max(len(row) for row in rows):
        shown.add_column(name)
    for row in rows:
        shown.add_row(*row)
    console.print(shown)
