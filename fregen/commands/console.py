"""What the terminal shows: progress bars on stderr, tables on stdout."""

import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

__all__ = ["Bars", "table"]


class Bars:
    """What a command is doing, one line a step; a context manager.

    On a terminal: a bar a step, with what is done, the time so far and the time left.  A step whose length is not known
    shows a moving bar until it ends.  Where stderr is no terminal: a line after two seconds, and then one every
    quarter of a minute, also while nothing is reported.

    Parameters
    ----------
    first, every : float
        Seconds until the first line, and between lines, where stderr is no terminal.
    """

    def __init__(self, first: float = 2.0, every: float = 15.0) -> None:
        console = Console(file=sys.stderr)
        self._progress = Progress(
            TextColumn("{task.fields[step]:<14}"),
            BarColumn(bar_width=28),
            _Column(_done),
            TimeElapsedColumn(),
            _Column(_left),
            TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._last: TaskID | None = None
        self._waits, self._ended = (first, every), threading.Event()
        self._lines = None if console.is_terminal else threading.Thread(target=self._print_lines, daemon=True)

    def __enter__(self) -> "Bars":
        self._progress.start()
        if self._lines is not None:
            self._lines.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._lines is not None:
            self._lines.join()
        self._progress.stop()

    def step(self, step: str, done: int, total: int, text: str) -> None:
        """Show a step: ``total`` 0 if it is not known."""
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(text, total=total or None, step=step, begin=done)
        self._last = task = self._tasks[step]
        self._progress.update(task, completed=done, total=total or None, description=text)
        if total and done >= total:
            self._progress.stop_task(task)

    def _print_lines(self) -> None:
        """Print the step that was reported last, until the end."""
        wait, every = self._waits
        while not self._ended.wait(wait):
            wait = every
            task = next((task for task in self._progress.tasks if task.id == self._last), None)
            parts = ["starting"] if task is None else [task.fields["step"], _done(task), _left(task), task.description]
            print("fregen:", ", ".join(part for part in parts if part), file=sys.stderr, flush=True)

    def by_text(self, done: int, total: int, text: str) -> None:
        """Show a step whose name is its text; what was shown before it and has no length has ended."""
        step = text.split(":")[0]
        for name, task in self._tasks.items():
            if name != step and self._progress.tasks[task].total is None:
                self._progress.update(task, completed=1, total=1)
                self._progress.stop_task(task)
        self.step(step, done, total, "")

    def only(self, step: str) -> "_Only":
        """Return a callback ``(done, total, text)`` of one step."""
        return _Only(self, step)


class _Column(ProgressColumn):
    """Writes of a task what a function returns."""

    def __init__(self, write: Callable[[Task], str]) -> None:
        super().__init__()
        self._write = write

    def render(self, task: Task) -> Text:
        return Text(self._write(task))


def _done(task: Task) -> str:
    """Return what is done of how much; nothing before anything is known."""
    if task.total is None:
        return f"{task.completed:,.0f}" if task.completed else ""
    return f"{task.completed:,.0f}/{task.total:,.0f}"


def _left(task: Task) -> str:
    """Return the time left by the mean speed since the step began; nothing while it is not known, or at the end."""
    done = task.completed - task.fields["begin"]
    if not task.total or not task.elapsed or done <= 0 or task.completed >= task.total:
        return ""
    seconds = round(task.elapsed * (task.total - task.completed) / done)
    return f"{timedelta(seconds=seconds)} left"


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
