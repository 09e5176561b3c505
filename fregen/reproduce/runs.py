"""Trainings of a study: each once, in any number of sittings, several at a time.

A training is known by the digest of everything that it depends on.  Its record is a JSON file of that name, written
when the training ends; a training whose record is there is not run again.  Until then a checkpoint of that name stands
in its place: a training that was cut off goes on after its last whole epoch.
"""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import wait
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ..data.datasets import load
from ..design.document import Design
from ..errors import DataError, one_line
from ..files import make_folder, write
from ..float_model import FloatNetwork
from ..processes import workers
from ..progress import Progress
from ..training.checkpoint import load as load_checkpoint
from ..training.loop import Model, Precision, train
from .settling import Settling, settle
from .sources import code_identity

__all__ = ["Experiment", "Outcome", "execute"]


@dataclass(frozen=True)
class Experiment:
    """One training.

    Parameters
    ----------
    label : str
        Row of the table that it belongs to; trainings of one label differ in their seed.
    design : Design
        Network, learning, data and seed.
    model : str
        What learns; see :func:`fregen.training.loop.train`.
    epochs : int
        Passes over the training samples.
    settling : Settling, optional
        How to measure the network's settling before and after the training, in float64; by default it is not measured.
    precision : {"double", "single"}
        Of real-valued models.
    tolerance : float, optional
        Where the phases of the model ``float`` end early.
    """

    label: str
    design: Design
    model: Model
    epochs: int
    settling: Settling | None = None
    precision: Precision = "double"
    tolerance: float | None = None

    @property
    def digest(self) -> str:
        """What the training is known by: 16 hex digits of all it depends on, code included, but not where data lie."""
        table = self.design.table()
        for section, key in (("data", "path"), ("learning", "epochs")):
            del table[section][key]
        for key in ("name", "hardware"):
            del table[key]
        measured = None if self.settling is None else asdict(self.settling)
        how = [self.model, self.epochs, self.precision, self.tolerance, measured]
        text = json.dumps([table, how, code_identity(self.model, measured is not None)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Outcome:
    """What a training gave.

    Parameters
    ----------
    label, model : str
        As in its :class:`Experiment`.
    digest : str
        Of the experiment.
    seed, epochs : int
        Of the design; passes.
    best, last : float
        Test accuracy after the best and after the last epoch, 0 to 1.
    train : float
        Part of the training samples predicted right in the last epoch, just before they were learned.
    seconds : float
        Time of learning, without the tests.
    history : list of float
        Test accuracy after every epoch.
    settling : dict of str to dict of str to float
        What :func:`~fregen.reproduce.settling.settle` measured ``before`` and ``after``; empty if it was not asked for.
    """

    label: str
    model: str
    digest: str
    seed: int
    epochs: int
    best: float
    last: float
    train: float
    seconds: float
    history: list[float]
    settling: dict[str, dict[str, float]] = field(default_factory=dict)


def execute(
    experiments: Sequence[Experiment], where: Path, processes: int = 1, progress: Progress | None = None
) -> list[Outcome]:
    """Run what has not been run.

    Parameters
    ----------
    experiments : sequence of Experiment
        In the order in which they are to be run.
    where : Path
        Folder of the records.
    processes : int
        Trainings at once, each on one core.
    progress : callable, optional
        Called with epochs done, epochs in all, and a line of text.

    Returns
    -------
    list of Outcome
        In the order of the experiments.

    Raises
    ------
    DataError
        If data or a record are absent or damaged.
    """
    make_folder(where)
    total = sum(experiment.epochs for experiment in experiments)
    todo = [experiment for experiment in experiments if not _record(where, experiment).exists()]
    done = total - sum(experiment.epochs - _begun(where, experiment) for experiment in todo)
    if progress:
        progress(done, total, "")
    if todo:
        reports = get_context("spawn").SimpleQueue()
        with workers(min(processes, len(todo)), _report_to, (reports,)) as pool:
            jobs = [pool.submit(_run_here, experiment, where) for experiment in todo]
            waiting = set(jobs)
            while waiting:
                waiting = wait(waiting, timeout=0.5).not_done
                while not reports.empty():
                    done, text = done + 1, reports.get()
                    if progress:
                        progress(done, total, text)
            for job in jobs:
                job.result()
    if progress:
        progress(total, total, "")
    return [_read(where, experiment) for experiment in experiments]


_reports: list[Any] = []
"""Of a worker: the queue that its trainings report to."""


def _report_to(queue: Any) -> None:
    """Begin a worker."""
    _reports.append(queue)


def _run_here(experiment: Experiment, where: Path) -> None:
    """Run in a worker."""
    _run(experiment, where, _reports[0])


def _record(where: Path, experiment: Experiment) -> Path:
    return where / f"{experiment.digest}.json"


def _checkpoint(where: Path, experiment: Experiment) -> Path:
    return _record(where, experiment).with_suffix(".npz")


def _begun(where: Path, experiment: Experiment) -> int:
    """Count the epochs that a training which was cut off has behind it."""
    path = _checkpoint(where, experiment)
    return load_checkpoint(path).epoch if path.exists() else 0


def _run(experiment: Experiment, where: Path, reports: Any) -> None:
    """Train, in a process of its own, and write the record at once."""

    def report(record: Any) -> None:
        reports.put(f"{experiment.label}, seed {experiment.design.seed}: {100 * record.test_accuracy:.2f} %")

    path = _record(where, experiment)  # named before the training, by the code that this process runs
    checkpoint = _checkpoint(where, experiment)
    design, data = experiment.design, load(experiment.design)
    result = train(
        design,
        data,
        experiment.model,
        experiment.epochs,
        checkpoint=checkpoint,
        resume=checkpoint if checkpoint.exists() else None,
        on_epoch=report,
        precision=experiment.precision,
        tolerance=experiment.tolerance,
    )
    settling = {}
    if experiment.settling is not None:
        model = FloatNetwork(design)
        settling["before"] = settle(model, data.test_inputs, experiment.settling)
        model.load(result.weights)
        settling["after"] = settle(model, data.test_inputs, experiment.settling)
    outcome = Outcome(
        experiment.label,
        experiment.model,
        experiment.digest,
        design.seed,
        experiment.epochs,
        result.best,
        result.last,
        result.history[-1].train_accuracy,
        round(sum(record.seconds for record in result.history), 1),
        [record.test_accuracy for record in result.history],
        settling,
    )
    write(path, json.dumps(asdict(outcome), indent=1) + "\n")
    checkpoint.unlink(missing_ok=True)


def _read(where: Path, experiment: Experiment) -> Outcome:
    path = _record(where, experiment)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        outcome = Outcome(**{**stored, "label": experiment.label})
        if outcome.digest != experiment.digest:
            raise ValueError(f"it is of the training {outcome.digest}")
        if len(outcome.history) != experiment.epochs:
            raise ValueError(f"it has {len(outcome.history)} epochs, not {experiment.epochs}")
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: cannot be read as the record of a training ({one_line(error)}); remove it") from None
    return outcome
