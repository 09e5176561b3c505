"""What a target is, and the designs on MNIST that all of them are made of."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from matplotlib.figure import Figure

from ..design.document import Design
from .runs import Experiment, Outcome
from .tables import Row, Sheet

__all__ = ["QUICK", "Found", "Run", "Scale", "Target", "convolutional", "mnist", "no_training", "paper"]

Scale = Literal["quick", "full"]
Run = tuple[Experiment, Outcome]

QUICK = {"train": 6000, "test": 2000}
"""Samples of the quick scale."""


@dataclass(frozen=True)
class Found:
    """What a target gave, for its figure.

    Parameters
    ----------
    title : str
        Name of the study and its scale.
    rows : list of Row
        One a label.
    runs : sequence of (Experiment, Outcome)
        All trainings.
    sheet : Sheet or None
        What was measured beside the accuracy.
    """

    title: str
    rows: list[Row]
    runs: Sequence[Run]
    sheet: Sheet | None


@dataclass(frozen=True)
class Target:
    """A study.

    Parameters
    ----------
    name, title : str
        What it is called.
    build : callable
        Yields the trainings of a scale, seeds innermost; none if the study only measures.
    draw : callable
        Draws the figure.
    published : dict of str to float
        The paper's test accuracy (best epoch) by label, %.
    measure : callable, optional
        Makes a table of what was measured beside the accuracy, from the scale and all trainings.
    left_out : str
        What the paper has and this study has not.
    """

    name: str
    title: str
    build: Callable[[Scale], Iterator[Experiment]]
    draw: Callable[[Found], Figure]
    published: dict[str, float] = field(default_factory=dict)
    measure: Callable[[Scale, Sequence[Run]], Sheet] | None = None
    left_out: str = ""


def no_training(scale: Scale) -> Iterator[Experiment]:
    """Yield no training: for studies that only measure."""
    yield from ()


def mnist(hidden: tuple[int, ...], scale: Scale, seed: int, **sections: dict[str, Any]) -> Design:
    """Make a design on MNIST; ``sections`` add to its keys."""
    network = {"layers": (784, *hidden, 10), **sections.pop("network", {})}
    data = {"set": "idx", **(QUICK if scale == "quick" else {}), **sections.pop("data", {})}
    return Design.parse({"name": "mnist", "seed": seed, "network": network, "data": data, **sections})


def paper(
    hidden: tuple[int, ...],
    scale: Scale,
    seed: int,
    network: dict[str, Any] | None = None,
    learning: dict[str, Any] | None = None,
) -> Design:
    """Make a design that learns as the paper does (docs/method.md, "Dynamics", "Learning"): for the float model only.

    Synchronous steps, T = 10 L and K = 5 L, states of both phases subtracted as they are (no gain), error held at its
    free value as in the reference code, β = β_f = 0.1, Adam with rate 1e-3 and batches of 500; at the quick scale
    batches of 100, so that the few samples make more updates.

    Parameters
    ----------
    hidden : tuple of int
        Neurons of the hidden layers.
    scale : {"quick", "full"}
        How many samples.
    seed : int
        Of weights and order.
    network, learning : dict, optional
        Keys that differ.
    """
    settings = {
        "free_steps": 10 * len(hidden),
        "nudged_steps": 5 * len(hidden),
        "nudge": 0.1,
        "order": "synchronous",
        "nudged": "states",
        "error": "held",
        "gain": False,
        "optimizer": "adam",
        "rate": 1e-3,
        "batch": 100 if scale == "quick" else 500,
    }
    return mnist(
        hidden, scale, seed, network={"beta": 0.1, **(network or {})}, learning={**settings, **(learning or {})}
    )


_CONVOLUTIONS = {
    "idx": ({"channels": 1, "height": 28, "width": 28}, {"kernel": 5, "pool": 2}, (32, 64)),
    "cifar10": ({"channels": 3, "height": 32, "width": 32}, {"kernel": 3, "padding": 1, "pool": 2}, (32, 64, 128)),
}
"""Image, keys of every convolution, and its maps, by ``data.set``; the paper has the maps, its code the rest."""


def convolutional(data_set: Literal["idx", "cifar10"], scale: Scale, seed: int, learning: dict[str, Any]) -> Design:
    """Make the paper's convolutional net for MNIST (32c-64c-10) or CIFAR-10 (32c-64c-128c-10).

    Hard-sigmoid, biases, β = 0.01, β_f = 0.25, Adam at 1e-3 (CIFAR-10: 2e-4) with batches of 128 (quick: of 20), else
    as :func:`paper`; the pixels of CIFAR-10 stay in [0, 1].
    """
    image, keys, channels = _CONVOLUTIONS[data_set]
    cifar = data_set == "cifar10"
    settings = {
        "free_steps": 40 if cifar else 20,
        "nudged_steps": 10,
        "nudge": 0.25,
        "order": "synchronous",
        "nudged": "states",
        "error": "held",
        "gain": False,
        "optimizer": "adam",
        "rate": 2e-4 if cifar else 1e-3,
        "batch": 20 if scale == "quick" else 128,
    }
    return Design.parse(
        {
            "name": "convolutional",
            "seed": seed,
            "network": {
                "layers": (image, *({"channels": count, **keys} for count in channels), 10),
                "beta": 0.01,
                "biases": True,
            },
            "numerics": {"activation": {"function": "hard-sigmoid", "segments": 1}},
            "learning": {**settings, **learning},
            "data": {"set": data_set, **({"train": 500, "test": 500} if scale == "quick" else {})},
        }
    )
