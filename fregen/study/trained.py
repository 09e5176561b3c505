"""What one training gave, and what it is known by."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design.document import Design
from ..reproduce.sources import code_identity

__all__ = ["Epoch", "Trained", "digest", "words_hash"]


@dataclass(frozen=True)
class Epoch:
    """One epoch.

    Parameters
    ----------
    test, train : float
        Part of the test samples predicted right after the epoch, and of the training samples just before they were
        learned, 0 to 1.
    free_steps, nudged_steps : float
        Mean number of executed steps a sample.
    weight_saturations, offset_saturations : int
        Words that were saturated.
    """

    test: float
    train: float
    free_steps: float
    nudged_steps: float
    weight_saturations: int
    offset_saturations: int


@dataclass(frozen=True)
class Trained:
    """One training.

    Parameters
    ----------
    engine : {"golden", "arrays", "blocks"}
        Which of the equal ways computed it.
    epochs : tuple of Epoch
        From the first on.
    words : str
        Hash of the weight words after the last epoch (:func:`words_hash`): equal wherever it is computed.
    seconds : float
        Time, tests included; of networks side by side an equal share each.
    """

    engine: str
    epochs: tuple[Epoch, ...]
    words: str
    seconds: float


def digest(design: Design) -> str:
    """Return what a training is known by: 16 hex digits of all that its epochs depend on, code included.

    How many epochs there are, where data lie, name and hardware do not count.
    """
    table = design.table()
    for section, key in (("data", "path"), ("learning", "epochs")):
        del table[section][key]
    for key in ("name", "hardware"):
        del table[key]
    text = json.dumps([table, code_identity("fixed")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def words_hash(weights: Sequence[NDArray[Any]]) -> str:
    """Hash weight words, (target, source) arrays by matrix index: 16 hex digits of them as little-endian int64."""
    content = hashlib.sha256()
    for words in weights:
        content.update(np.ascontiguousarray(words).astype("<i8").tobytes())
    return content.hexdigest()[:16]
