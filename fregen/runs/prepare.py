"""Lay a run out in a folder: what the bench sends, and every word that must come."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import make_folder, replacing
from ..golden import NetworkModel
from ..spec.network import NetworkSpec
from .scenario import Scenario

__all__ = ["prepare", "random_samples"]

Progress = Callable[[int, int, str], None]


def prepare(scenario: Scenario, where: Path, progress: Progress | None = None) -> tuple[int, NetworkModel]:
    """Write stimulus and expectations of a scenario; return the cycle limit and the golden model as it ends."""
    make_folder(where)
    model, trace = scenario.trace(progress)
    expected = scenario.expected(trace)
    with replacing(where / "expected.npz") as file:
        np.savez(file, allow_pickle=False, **expected)
    scenario.write_stimulus(where / "stimulus.bin")
    return scenario.cycle_limit(expected), model


def random_samples(spec: NetworkSpec, samples: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw samples that reach the corners: zeros in half of the words, a sample of zeros, one of the greatest word."""
    rng = np.random.default_rng([seed, 7])
    size, classes = spec.graph.layers[0].size, spec.graph.layers[-1].size
    words = rng.integers(0, spec.state.max_word + 1, (samples, size)) * (rng.random((samples, size)) < 0.5)
    if samples > 2:
        words[1] = 0
        words[2] = spec.state.max_word
    return words.astype(np.int64), rng.integers(0, classes, samples)
