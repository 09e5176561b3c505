"""Lay a run out in a folder: what the bench sends, and every word that must come."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import make_folder, replacing, write
from ..golden import NetworkModel
from ..plan.records import RUN_WORDS
from ..progress import Progress
from ..spec.network import NetworkSpec
from .scenario import Scenario

__all__ = ["EXPECTED", "STIMULUS", "Prepared", "lay_out", "prepare", "random_samples"]

EXPECTED, STIMULUS = "expected.npz", "stimulus.bin"
"""Files of a run: every word that must come, and what the bench sends."""


@dataclass(frozen=True)
class Prepared:
    """A run whose files are written.

    Parameters
    ----------
    folder : Path
        Where they lie, and where the logs will.
    number : str
        Which run it is: 16 hexadecimal digits, drawn from the content of its files.  The bench logs the number that
        the stimulus begins with, the check compares it with the one that the expected words carry, and writes it into
        the verdict: so a verdict is about these words or refused.
    limit : int
        Cycles after which a simulation has surely hung.
    """

    folder: Path
    number: str
    limit: int

    @property
    def cycles(self) -> int:
        """About how many cycles it takes."""
        return self.limit // 2


def prepare(scenario: Scenario, where: Path, progress: Progress | None = None) -> tuple[Prepared, NetworkModel]:
    """Write stimulus and expectations of a scenario; return the run and the golden model as it ends.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    model, trace = scenario.trace(progress)
    return lay_out(scenario, scenario.expected(trace), where), model


def lay_out(scenario: Scenario, expected: Mapping[str, NDArray[Any]], where: Path) -> Prepared:
    """Write the files of a run whose expected words are known.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    make_folder(where)
    stimulus = scenario.stimulus()
    digest = hashlib.sha256(stimulus.astype(">u4").tobytes())
    digest.update(f"{scenario.restart} {scenario.unruly} {scenario.falter}".encode())
    for name in sorted(expected):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(expected[name]).tobytes())
    number = digest.hexdigest()[:16]
    about = {**json.loads(str(expected["about"])), "run": number}
    with replacing(where / EXPECTED) as file:
        np.savez(file, allow_pickle=False, **{**expected, "about": np.array(json.dumps(about))})
    head = [int(number, 16) >> (32 * k) & 0xFFFFFFFF for k in range(RUN_WORDS)]
    head += [scenario.restart, int(scenario.unruly), scenario.falter]
    write(where / STIMULUS, np.concatenate([np.array(head, dtype=np.uint32), stimulus]).astype(">u4").tobytes())
    return Prepared(where, number, scenario.cycle_limit(expected))


def random_samples(spec: NetworkSpec, samples: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw samples that reach the corners: zeros in half of the words, a sample of zeros, one of the greatest word."""
    rng = np.random.default_rng([seed, 7])
    size, classes = spec.graph.layers[0].size, spec.graph.layers[-1].size
    words = rng.integers(0, spec.state.max_word + 1, (samples, size)) * (rng.random((samples, size)) < 0.5)
    if samples > 2:
        words[1] = 0
        words[2] = spec.state.max_word
    return words.astype(np.int64), rng.integers(0, classes, samples)
