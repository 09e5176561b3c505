"""Table 2's nets in fixed point, and beside it in real numbers; what the words mean is in ``docs/numerics.md``."""

from collections.abc import Iterator
from typing import Any

from ..design.document import Design
from ..training.loop import Model
from .plots import against_published
from .runs import Experiment
from .target import Scale, Target, mnist

__all__ = ["DEPTH", "FORMATS", "few_sweeps"]

TWELVE = {"state": "q1.11", "weight": "q2.10", "offset": "q3.9", "rounding": "stochastic"}
"""12/12 bits with stochastic rounding of the update; 16/16 to nearest even is the default of a design.

Rounding at random adds up to noise on the weights: with q3.9 the nets end 0.2 to 0.5 points below 16/16.  The few
weights that q2.10 holds at 2 do not miss the range."""

FORMATS: dict[str, dict[str, Any]] = {"16/16": {}, "12/12": TWELVE}
"""``numerics`` by bits of states and weights."""

_FALLING = {
    "rate": 2**-4,
    "batch": 16,
    "rate_steps": [{"epoch": 8, "rate": 2**-5}, {"epoch": 12, "rate": 2**-6}, {"epoch": 16, "rate": 2**-7}],
}
"""At one rate, 1/16, the weights of 5 layers wander: 97.0 and 96.9 % (seeds 0 and 1) where the falling one has 97.6."""

_LATE = {"rate": 2**-3, "batch": 32, "rate_steps": [{"epoch": 16, "rate": 2**-4}, {"epoch": 18, "rate": 2**-5}]}
"""Nets with fixed random feedback still gain when symmetric ones have long learnt the training samples by heart."""

_NETS: dict[str, tuple[int, dict[str, Any]]] = {
    "5 symm": (5, {}),
    "10 symm, residual": (10, {"topology": "residual"}),
    "10 symm, no residual": (10, {}),
    "10 asymm, AGT": (10, {"topology": "random", "feedback": "asymmetric"}),
    "20 symm, residual": (20, {"topology": "residual"}),
    "20 symm, no residual": (20, {}),
}

_PUBLISHED = {
    "5 symm": 97.64,
    "10 symm, residual": 97.49,
    "10 symm, no residual": 92.49,
    "10 asymm, AGT": 96.87,
    "20 symm, residual": 95.95,
}


def few_sweeps(count: int, scale: Scale, seed: int, network: dict[str, Any], numerics: dict[str, Any]) -> Design:
    """Make a design of 64 a layer that learns as the hardware does it fastest.

    Offset form with gain, three sweeps up and one down, β = 1/32, β_f = 1/2, plain descent at a falling rate.
    """
    rates = _LATE if network.get("feedback") == "asymmetric" else _FALLING
    keys = {**network, "graph_seed": seed} if network.get("topology") == "random" else network
    learning = {"free_steps": 3, "nudged_steps": 1, **rates}
    return mnist((64,) * count, scale, seed, network=keys, learning=learning, numerics=numerics)


def _depth(scale: Scale) -> Iterator[Experiment]:
    """Yield trainings of all nets in both formats, and of the same nets in real numbers."""
    seeds, epochs = (1, 2) if scale == "quick" else (3, 20)
    for way, numerics in {**FORMATS, "float": {}}.items():
        model: Model = "fixed" if way in FORMATS else "float"
        for name, (count, network) in _NETS.items():
            for seed in range(seeds):
                design = few_sweeps(count, scale, seed, network, numerics)
                yield Experiment(f"{name}, {way}", design, model, epochs)


DEPTH = Target(
    "depth",
    "Table 2's nets in fixed point: offset form, 3 + 1 sweeps, 64 a layer",
    _depth,
    against_published,
    {f"{name}, {way}": value for name, value in _PUBLISHED.items() for way in (*FORMATS, "float")},
)
