"""A whole study: train what is missing, wherever that is fastest; write table and picture.

On a processor every training is one golden model, several processes at once; on a GPU networks that can be computed
side by side are.  A training that fails is reported and the rest goes on.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ..claims import claimed_folder
from ..data.datasets import Dataset, load
from ..design.document import Design
from ..errors import FregenError, one_line
from ..files import write_all
from ..golden_batch import Arrays, CupyDevice, Device, load_arrays, shape_key
from ..processes import workers
from ..progress import Progress
from ..spec.network import NetworkSpec
from ..views.figures import png, svg
from .learn import Coded, by_arrays, by_blocks, by_golden, engine_of
from .picture import accuracy_figure
from .store import Store
from .study_file import Point, Study
from .summary import Cell, as_csv, as_markdown, rows, summarise
from .trained import Trained, digest

__all__ = ["FILES", "Card", "Failure", "Found", "failures_text", "study"]

FILES = ("summary.csv", "summary.md", "accuracy.svg", "accuracy.png")
"""What a run writes beside ``study.db``."""

_MOST_NETWORKS = 512
"""Networks side by side: what is lost at most when a run is cut off."""


@dataclass(frozen=True)
class Card:
    """Where networks are computed side by side.

    Parameters
    ----------
    device : Device
        For a block of threads each.
    arrays : Arrays
        For those too wide for it.
    """

    device: Device
    arrays: Arrays

    @classmethod
    def cuda(cls) -> "Card":
        """Return the GPU; raise ToolError if CuPy or a GPU is not there."""
        return cls(CupyDevice(), load_arrays("cupy"))


@dataclass(frozen=True)
class Failure:
    """A training that failed: its point, and why, and with which exit code."""

    point: Point
    message: str
    code: int


@dataclass(frozen=True)
class Found:
    """What a run found.

    Parameters
    ----------
    cells : list of Cell
        A row of the table each.
    failures : list of Failure
        Points that have no result.
    computed, kept : int
        Trainings of this run, and those that were there before.
    engines : dict of str to int
        How many trainings each way computed.
    """

    cells: list[Cell]
    failures: list[Failure]
    computed: int
    kept: int
    engines: dict[str, int]

    @property
    def reasons(self) -> list[str]:
        """A line for every reason of a failure: its first point, how many more, and why."""
        return failures_text(self.failures)

    def rows(self, axes: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Return names of columns and text for a table."""
        return rows(axes, self.cells)


def study(
    wanted: Study,
    folder: Path,
    processes: int | None = None,
    card: Card | None = None,
    progress: Progress | None = None,
) -> Found:
    """Run a study and write ``study.db`` and :data:`FILES`.

    Parameters
    ----------
    wanted : Study
        What to run.
    folder : Path
        Where to write; what an earlier run left there is not computed again.
    processes : int, optional
        Trainings at once, without a card; all cores by default.
    card : Card, optional
        A GPU that computes instead.
    progress : callable, optional
        Called with epochs done, epochs in all, and a line of text.

    Raises
    ------
    DataError
        If ``study.db`` is damaged.
    OutputError
        If the folder cannot be written, or another run has it.
    """
    with claimed_folder(folder):
        keys = [digest(point.design) for point in wanted.points]
        points = dict(zip(keys, wanted.points, strict=True))
        with Store(folder / "study.db").closing() as store:
            done = store.done()
            missing = {k: p for k, p in points.items() if done.get(k, 0) < p.design.learning.epochs}
            failures = _Run(store, points, missing, progress).execute(processes, card)
            failed = {id(failure.point) for failure in failures}
            trained = {key: store.get(key) for key, point in points.items() if id(point) not in failed}
        results = [(point, trained[key]) for point, key in zip(wanted.points, keys, strict=True) if key in trained]
        cells = summarise(wanted.axes, results)
        engines = dict(Counter(one.engine for one in trained.values()))
        found = Found(cells, failures, len(missing) - len(failures), len(points) - len(missing), engines)
        if cells:
            figure = accuracy_figure(wanted.name, wanted.picture, cells)
            contents = (as_csv(wanted.axes, cells), as_markdown(wanted.axes, cells, failures_text(failures)))
            write_all(folder, dict(zip(FILES, (*contents, svg(figure), png(figure)), strict=True)))
        return found


def failures_text(failures: Sequence[Failure]) -> list[str]:
    """Return a line for every reason: how many points failed for it, and the first of them."""
    reasons: dict[str, list[Failure]] = {}
    for failure in failures:
        reasons.setdefault(failure.message, []).append(failure)
    lines = []
    for message, some in reasons.items():
        point = some[0].point
        where = ", ".join([*(f"{name} {label}" for name, label in point.labels.items()), f"seed {point.design.seed}"])
        more = f" and {len(some) - 1:,} more points" if len(some) > 1 else ""
        lines.append(f"{where}{more}: {message}")
    return lines


class _Run:
    """Computes what is missing."""

    def __init__(
        self, store: Store, points: dict[str, Point], missing: dict[str, Point], progress: Progress | None
    ) -> None:
        self._store, self._missing, self._progress = store, missing, progress
        self._total = sum(point.design.learning.epochs for point in points.values())
        self._done = self._total - sum(point.design.learning.epochs for point in missing.values())
        self._failures: list[Failure] = []

    def execute(self, processes: int | None, card: Card | None) -> list[Failure]:
        """Train; return what failed."""
        self._tell(0, "")
        if self._missing and card is None:
            self._by_processes(processes or os.cpu_count() or 1)
        elif self._missing and card is not None:
            self._by_card(card)
        return self._failures

    def _tell(self, epochs: int, text: str) -> None:
        self._done += epochs
        if self._progress:
            self._progress(self._done, self._total, text)

    def _fail(self, keys: Sequence[str], error: BaseException) -> None:
        if isinstance(error, BrokenProcessPool):
            text, code = "a worker process was ended from outside; run the same command again", 5
        elif isinstance(error, FregenError):
            text, code = "; ".join(str(error).splitlines()[:4]), error.exit_code
        elif isinstance(error, MemoryError):
            text, code = "this machine has too little memory for it", 7
        else:
            text, code = f"{type(error).__name__}: {one_line(error)}", 70
        self._failures += [Failure(self._missing[key], text, code) for key in keys]

    # Processes ------------------------------------------------------------------------------------------------------

    def _by_processes(self, processes: int) -> None:
        reports = get_context("spawn").SimpleQueue()
        with workers(min(processes, len(self._missing)), _report_to, (reports,)) as pool:
            jobs: dict[Future[Trained], str] = {}
            for key, point in self._missing.items():
                try:
                    jobs[pool.submit(_train_here, point)] = key
                except BrokenProcessPool as error:
                    self._fail([key], error)
            waiting = set(jobs)
            while waiting:
                ended, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                while not reports.empty():
                    self._tell(1, reports.get())
                for job in ended:
                    key = jobs[job]
                    if (fault := job.exception()) is not None:
                        self._fail([key], fault)
                    else:
                        self._store.add(key, self._missing[key].design, job.result())
        while not reports.empty():
            self._tell(1, reports.get())

    # A card ---------------------------------------------------------------------------------------------------------

    def _by_card(self, card: Card) -> None:
        for keys, how, dataset, coded in self._groups():
            designs = [self._missing[key].design for key in keys]

            def report(test: float, networks: int = len(keys), way: str = how) -> None:
                self._tell(networks, f"{networks} at once ({way}): {100 * test:.2f} %")

            try:
                found = _side_by_side(how, designs, dataset, coded, card, report)
            except Exception as error:  # of whatever library: other groups go on
                self._fail(keys, error)
                continue
            for key, trained in zip(keys, found, strict=True):
                self._store.add(key, self._missing[key].design, trained)

    def _groups(self) -> Iterator[tuple[list[str], str, Dataset, Coded | None]]:
        """Give trainings that can be computed side by side, with the way and the data."""
        sets: dict[str, tuple[Dataset, Coded | None]] = {}
        groups: dict[tuple[str, ...], list[str]] = {}
        for key, point in self._missing.items():
            try:
                of_data = _data_key(point.design)
                if of_data not in sets:
                    dataset = load(point.design)
                    sets[of_data] = dataset, Coded.of(dataset)
                spec = NetworkSpec(point.design)
                how = engine_of(spec, sets[of_data][1] is not None)
                alone = key if how == "golden" else ""
                shape = shape_key(spec)
            except Exception as error:  # data or a design of one point: the others go on
                self._fail([key], error)
                continue
            groups.setdefault((of_data, how, alone, str(point.design.learning.epochs), shape), []).append(key)
        for (of_data, how, *_), keys in groups.items():
            for start in range(0, len(keys), _MOST_NETWORKS):
                yield keys[start : start + _MOST_NETWORKS], how, *sets[of_data]


def _side_by_side(
    how: str,
    designs: Sequence[Design],
    dataset: Dataset,
    coded: Coded | None,
    card: Card,
    report: Callable[[float], object],
) -> list[Trained]:
    if how == "golden":
        return [by_golden(design, dataset, report) for design in designs]
    if how == "arrays" or coded is None:
        return by_arrays(designs, dataset, card.arrays, report)
    return by_blocks(designs, dataset, coded, card.device, report)


# Workers --------------------------------------------------------------------------------------------------------------


_reports: list[Any] = []
"""Of a worker: the queue that its trainings report to."""


def _report_to(queue: Any) -> None:
    """Begin a worker."""
    _reports.append(queue)


def _train_here(point: Point) -> Trained:
    """Train in a worker."""
    where = ", ".join([*point.labels.values(), f"seed {point.design.seed}"])

    def report(test: float) -> None:
        _reports[0].put(f"{where}: {100 * test:.2f} %")

    _PENDING[_data_key(point.design)] = point.design
    return by_golden(point.design, _dataset(_data_key(point.design)), report)


def _data_key(design: Design) -> str:
    """Return a text that designs share if they read the same data, checked against the same sizes."""
    sizes = [design.network.sizes[0], design.network.sizes[-1]]
    return json.dumps([design.table()["data"], sizes])


_PENDING: dict[str, Design] = {}


@lru_cache(maxsize=2)
def _dataset(key: str) -> Dataset:
    return load(_PENDING[key])
