"""Train a design: one loop for the golden model, the float model and the baselines.

Epoch e (counted from 0) learns the samples in :func:`fregen.training.samples.epoch_order` at
``design.learning.rate_at(e)`` and then measures the test accuracy.  Nothing else enters: a training that was stopped
and resumed gives the same weights as one that ran through.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..claims import claimed_file
from ..data.datasets import Dataset
from ..design.document import Design
from ..errors import DataError, key_text, quoted
from ..files import check_place
from ..float_model import (
    BackpropNetwork,
    FeedbackAlignmentNetwork,
    FloatModel,
    FloatNetwork,
    PrototypicalNetwork,
    RepresentationAlignmentNetwork,
)
from ..golden import NetworkModel
from ..processes import one_blas_thread
from ..progress import Progress
from ..spec.network import NetworkSpec
from . import checkpoint as checkpoints
from .samples import as_words, epoch_order

__all__ = ["EpochRecord", "Model", "Precision", "TrainResult", "train"]

Model = Literal["fixed", "float", "backprop", "fa", "lra", "pep"]
"""``fixed``: the golden model in integers; ``float``: the paper in real numbers; the others are baselines in real
numbers: backpropagation, feedback alignment, local representation alignment, prototypical equilibrium propagation."""

Precision = Literal["double", "single"]
"""Real numbers of 64 or of 32 bits."""

_TYPES = {"double": np.float64, "single": np.float32}

_REAL: dict[str, type[FloatModel]] = {
    "float": FloatNetwork,
    "backprop": BackpropNetwork,
    "fa": FeedbackAlignmentNetwork,
    "lra": RepresentationAlignmentNetwork,
    "pep": PrototypicalNetwork,
}


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of a training.

    Parameters
    ----------
    epoch : int
        Counted from 0.
    rate : float
        Learning rate.
    train_accuracy : float
        Part of the training samples predicted right just before they were learned, 0 to 1.
    test_accuracy : float
        Part of the test samples predicted right after the epoch, 0 to 1.
    free_steps, nudged_steps : float
        Mean number of executed steps a sample.
    seconds : float
        Time of learning, without the test.
    """

    epoch: int
    rate: float
    train_accuracy: float
    test_accuracy: float
    free_steps: float
    nudged_steps: float
    seconds: float


@dataclass(frozen=True)
class TrainResult:
    """What a training gave.

    Parameters
    ----------
    design : Design
        What was trained.
    model : str
        With which model.
    history : tuple of EpochRecord
        One entry an epoch, those before a resumption included.
    weights : list of arrays
        After the last epoch, by matrix index, shape (target, source): int64 words (``fixed``) or values.
    key : int or None
        Dither key of the next update (``fixed``).
    seconds : float
        Time of this call, tests included.
    samples : int
        Training samples of an epoch.
    """

    design: Design
    model: Model
    history: tuple[EpochRecord, ...]
    weights: list[NDArray[Any]]
    key: int | None
    seconds: float
    samples: int

    @property
    def last(self) -> float:
        """Test accuracy after the last epoch, 0 to 1."""
        return self.history[-1].test_accuracy

    @property
    def best(self) -> float:
        """Test accuracy after the best epoch, 0 to 1."""
        return max(record.test_accuracy for record in self.history)

    @property
    def samples_per_second(self) -> float:
        """Training samples learned a second, over all epochs of the history."""
        return self.samples * len(self.history) / max(sum(record.seconds for record in self.history), 1e-9)


@one_blas_thread()
def train(
    design: Design,
    dataset: Dataset,
    model: Model = "fixed",
    epochs: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    resume: str | Path | None = None,
    on_epoch: Callable[[EpochRecord], object] | None = None,
    precision: Precision = "double",
    tolerance: float | None = None,
) -> TrainResult:
    """Train and test.

    Parameters
    ----------
    design : Design
        Network, numerics, learning and seed.
    dataset : Dataset
        Samples; see :func:`fregen.data.datasets.load`.
    model : {"fixed", "float", "backprop", "fa", "lra", "pep"}
        What learns; see :data:`Model`.
    epochs : int, optional
        Epochs in total, resumed ones included; default ``design.learning.epochs``.
    progress : callable, optional
        Called after every batch, and last with ``done == total``.
    checkpoint : path, optional
        File that is renewed after every epoch (:mod:`fregen.training.checkpoint`).
    resume : path, optional
        Checkpoint to go on from; may be the same file as ``checkpoint``.
    on_epoch : callable, optional
        Called after every epoch with its record.
    precision : {"double", "single"}
        Of real-valued models; ``single`` is faster, and what the paper's reference code computes in.
    tolerance : float, optional
        End the phases of a sample once it has settled (``float`` only); see
        :class:`~fregen.float_model.relax.FloatRelax`.  By default all steps are taken.

    Raises
    ------
    DataError
        If a checkpoint is absent, damaged or of another training, or holds more than ``epochs`` epochs; if a precision
        or tolerance is asked of a model that has none.
    OutputError
        If the checkpoint cannot be written, or another training renews it, before anything is learned.
    """
    total = design.learning.epochs if epochs is None else epochs
    if total < 1:
        raise DataError(f"epochs: expected at least 1, not {total}")
    if checkpoint is None:
        return _train(design, dataset, model, total, progress, None, resume, on_epoch, precision, tolerance)
    check_place(checkpoint)
    with claimed_file(Path(checkpoint)):
        return _train(design, dataset, model, total, progress, checkpoint, resume, on_epoch, precision, tolerance)


def _train(
    design: Design,
    dataset: Dataset,
    model: Model,
    total: int,
    progress: Progress | None,
    checkpoint: str | Path | None,
    resume: str | Path | None,
    on_epoch: Callable[[EpochRecord], object] | None,
    precision: Precision,
    tolerance: float | None,
) -> TrainResult:
    begin = time.perf_counter()
    network = _network(design, model, precision, tolerance)
    how: dict[str, Any] = {"model": model}
    if model != "fixed":
        how |= {"precision": precision, "tolerance": tolerance}
    history = [] if resume is None else _resume(network, design, how, resume, total)
    train_inputs: NDArray[Any] = dataset.train_inputs
    test_inputs: NDArray[Any] = dataset.test_inputs
    if isinstance(network, NetworkModel):
        train_inputs, test_inputs = as_words(train_inputs, network.spec), as_words(test_inputs, network.spec)
    samples = len(train_inputs)
    text = _text(history, total)
    for epoch in range(len(history), total):
        start, rate = time.perf_counter(), design.learning.rate_at(epoch)
        report = None if progress is None else _Reporter(progress, epoch * samples, total * samples, text)
        order = epoch_order(design.seed, epoch, samples)
        result = network.train_epoch(train_inputs, dataset.train_labels, order, rate, report)
        seconds = time.perf_counter() - start
        test = network.accuracy(test_inputs, dataset.test_labels)
        record = EpochRecord(epoch, rate, result.accuracy, test, result.free_steps, result.nudged_steps, seconds)
        history.append(record)
        text = _text(history, total)
        if checkpoint is not None:
            checkpoints.save(checkpoint, _state(network, design, how, history))
        if on_epoch is not None:
            on_epoch(record)
    if progress is not None:
        progress(total * samples, total * samples, text)
    key = network.key if isinstance(network, NetworkModel) else None
    weights = [np.array(array) for array in network.weights]
    return TrainResult(design, model, tuple(history), weights, key, time.perf_counter() - begin, samples)


@dataclass(frozen=True)
class _Reporter:
    """Turns samples of an epoch into samples of the whole training."""

    progress: Progress
    before: int
    total: int
    text: str

    def __call__(self, done: int) -> None:
        self.progress(self.before + done, self.total, self.text)


def _network(design: Design, model: Model, precision: Precision, tolerance: float | None) -> NetworkModel | FloatModel:
    if model != "fixed" and model not in _REAL:
        raise DataError(f"model: expected one of fixed, {', '.join(_REAL)}, not {model!r}")
    if precision not in _TYPES:
        raise DataError(f"precision: expected one of {', '.join(_TYPES)}, not {precision!r}")
    if tolerance is not None and model != "float":
        raise DataError(f"tolerance: only the model 'float' ends its phases at one, not {model!r}")
    if tolerance is not None and not tolerance > 0:
        raise DataError(f"tolerance: expected more than 0, not {tolerance}")
    if model == "fixed":
        if precision != "double":
            raise DataError("precision: the model 'fixed' has words; their formats are in the design's [numerics]")
        return NetworkModel(NetworkSpec(design))
    if model == "float":
        return FloatNetwork(design, _TYPES[precision], tolerance=tolerance)
    return _REAL[model](design, _TYPES[precision])


def _text(history: list[EpochRecord], total: int) -> str:
    epoch = f"epoch {min(len(history) + 1, total)}/{total}"
    return f"{epoch}, test {100 * history[-1].test_accuracy:.2f} %" if history else epoch


def _state(
    network: NetworkModel | FloatModel, design: Design, how: Mapping[str, Any], history: list[EpochRecord]
) -> checkpoints.Checkpoint:
    """Gather all that the training goes on from."""
    key, memory = (network.key, {}) if isinstance(network, NetworkModel) else (0, network.memory())
    records = [asdict(record) for record in history]
    return checkpoints.Checkpoint(design, network.weights, len(history), key, records, how, memory)


def _resume(
    network: NetworkModel | FloatModel, design: Design, how: Mapping[str, Any], path: str | Path, total: int
) -> list[EpochRecord]:
    """Load weights, what else the network goes on from, and history of a checkpoint of the same training."""
    stored = checkpoints.load(path, design)
    if unlike := _unlike(stored.how, how):
        raise DataError(f"{path}: the checkpoint belongs to another training: {unlike}")
    differing = _differing(stored.design, design)
    if differing:
        raise DataError(
            f"{path}: the checkpoint belongs to another training: {', '.join(differing)} differ; "
            "only learning.epochs may change on the way"
        )
    if stored.epoch > total:
        raise DataError(f"{path}: {stored.epoch} epochs are done already, more than the {total} asked for")
    try:
        history = [_record(record) for record in stored.history]
    except (TypeError, KeyError, ValueError) as error:
        raise DataError(f"{path}: the history inside cannot be read: {error}") from None
    if [record.epoch for record in history] != list(range(stored.epoch)):
        raise DataError(f"{path}: expected a history of the epochs 0 to {stored.epoch - 1}")
    network.load(stored.weights)
    if isinstance(network, NetworkModel):
        network.key = stored.key
    else:
        network.recall(stored.memory)
    return history


def _unlike(stored: Mapping[str, Any], how: Mapping[str, Any]) -> str:
    """Name what learns in another way: ``model = float, not fixed; precision = single, not none``."""
    keys = [key for key in dict.fromkeys((*how, *stored)) if stored.get(key) != how.get(key)]
    differences = [f"{key_text(key)} = {_text_of(stored.get(key))}, not {_text_of(how.get(key))}" for key in keys[:8]]
    return "; ".join(differences)


def _text_of(value: Any) -> str:
    return "none" if value is None else key_text(value) if isinstance(value, str) else quoted(value)


def _record(stored: Mapping[str, Any]) -> EpochRecord:
    return EpochRecord(**stored)


def _differing(stored: Design, wanted: Design) -> list[str]:
    """Name the keys of seed, learning and data that differ; where the data lie and how many epochs may differ."""
    before, after = stored.table(), wanted.table()
    for table in (before, after):
        del table["learning"]["epochs"], table["data"]["path"]
    keys = [f"learning.{key}" for key in after["learning"] if before["learning"][key] != after["learning"][key]]
    keys += [f"data.{key}" for key in after["data"] if before["data"][key] != after["data"][key]]
    return (["seed"] if before["seed"] != after["seed"] else []) + keys
