"""Designs drawn at random over the whole design-file space that fixed point accepts.

Every key is drawn, each to its limit now and then; only the work of a run is bounded, and with it the sum of all
sizes.  What the validator refuses is drawn again, and counted (:class:`Draw`).
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..design.document import Design
from ..design.graph import Graph
from ..errors import FregenError
from ..fixed import MAX_WIDTH, MIN_WIDTH, Q
from ..golden.carrier import Carrier
from ..plan import Schedule
from ..spec.network import NetworkSpec
from ..spec.tables import FINEST_ERROR

__all__ = ["Draw", "draw_design", "draw_table", "kind_of"]

MOST_WEIGHT_WORDS = 40_000
"""Weight words of a design, padding included: loading takes a cycle each."""
MOST_BEATS = 20_000
"""Multiplier cycles of one sample at most, all steps of both phases together."""
MOST_ADDRESSES = 1 << 14
"""Addresses of a vector memory."""

_LANES = (0.22, 0.27, 0.24, 0.16, 0.08, 0.02, 0.01)
"""Chances of 1, 2, 4, … lanes: time to build a model grows with them."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"


@dataclass
class Draw:
    """A design that was drawn, and what had to be drawn again.

    Parameters
    ----------
    table : dict
        The design as a design file has it, without what is at its default.
    design : Design
        The same, validated.
    refused : Counter
        Messages of the validator, numbers left out, for what it refused before.
    too_large : int
        Legal designs that were drawn before, whose run would take too long.
    """

    table: dict[str, Any]
    design: Design
    refused: Counter[str] = field(default_factory=Counter)
    too_large: int = 0


def draw_design(seed: int, number: int) -> Draw:
    """Draw a design; the same two numbers give the same one.

    Parameters
    ----------
    seed, number : int
        Which sequence of designs, and which of them.
    """
    rng = np.random.default_rng([seed, number, 29])
    refused: Counter[str] = Counter()
    too_large = 0
    while True:
        table = draw_table(rng, f"r{number}")
        try:
            design = Design.parse(table)
            spec = NetworkSpec(design)
            carrier = Carrier(spec)
            for matrix in spec.graph.learned:
                carrier.updates_in_float(matrix, design.learning.rate)
        except FregenError as error:
            refused[kind_of(str(error))] += 1
            continue
        if _is_too_large(spec):
            too_large += 1
            continue
        return Draw(table, design, refused, too_large)


def kind_of(message: str) -> str:
    """Return a message without what has digits in it: what it is about, whatever the design."""
    words = ("#" if any(sign.isdigit() for sign in word) else word for word in message.split())
    return " ".join(words)[:160]


def _is_too_large(spec: NetworkSpec) -> bool:
    schedule = Schedule.of(spec)
    memory, design = schedule.memory, spec.design
    free = sum(spec.graph.multiplications(spec.graph.matrices[c.matrix]) for c in spec.graph.connections)
    steps = design.free_steps + design.nudged_steps
    return (
        memory.weight_depth * memory.lanes > MOST_WEIGHT_WORDS
        or steps * free / memory.lanes > MOST_BEATS
        or memory.planes * memory.plane_size > MOST_ADDRESSES
    )


# Tables ----------------------------------------------------------------------------------------------------------


def draw_table(rng: np.random.Generator, name: str) -> dict[str, Any]:
    """Draw a design file as nested dictionaries; it need not be legal."""
    lanes = int(rng.choice([1, 2, 4, 8, 16, 32, 64], p=_LANES))
    shape = str(rng.choice(["small", "deep", "wide", "high", "narrow"], p=[0.58, 0.14, 0.08, 0.1, 0.1]))
    suffix = "".join(rng.choice(list(_LETTERS), int(rng.integers(0, 32 - len(name)))))
    layers = _LAYERS[shape](rng, lanes)
    table: dict[str, Any] = {
        "name": f"{name}_{suffix}".rstrip("_") if rng.random() < 0.3 else name,
        "network": _network(rng, layers),
        "numerics": _numerics(rng),
        "learning": _learning(rng, shape),
        "hardware": {
            "lanes": min(lanes, 4) if shape == "high" else lanes,
            "samples": int(rng.choice([1, 2, 4], p=[0.3, 0.4, 0.3])),
            "words": int(rng.choice([1, 2, 4, 8], p=[0.4, 0.2, 0.2, 0.2])),
            "drain": int(rng.choice([width for width in (1, 2, 4) if width <= lanes])),
        },
    }
    if rng.random() < 0.8:
        table["seed"] = _integer(rng, 0, 2**31 - 1)
    if rng.random() < 0.1:
        table["data"] = {"set": "digits", "split": _integer(rng, 0, 2**31 - 1), "train": _integer(rng, 1, 1400)}
    table["hardware"]["family"] = str(rng.choice(["portable", "ecp5"]))
    return table


def _integer(rng: np.random.Generator, low: int, high: int) -> int:
    """Draw from low to high; often near one of the two."""
    near = int(rng.integers(0, 4))
    if near == 0:
        return low
    return high if near == 1 else int(rng.integers(low, high + 1))


def _size(rng: np.random.Generator, lanes: int, most: int) -> int:
    """Draw a number of neurons: near a multiple of the lanes, one, or any."""
    kinds = [1, 2, lanes - 1, lanes, lanes + 1, 2 * lanes, 2 * lanes + 1, int(rng.integers(1, most + 1))]
    return int(np.clip(rng.choice(kinds) if rng.random() < 0.5 else rng.integers(1, most + 1), 1, most))


def _small(rng: np.random.Generator, lanes: int) -> list[int]:
    return [_size(rng, lanes, 40) for _ in range(int(rng.integers(3, 7)))]


def _deep(rng: np.random.Generator, lanes: int) -> list[int]:
    count = 34 if rng.random() < 0.1 else int(rng.integers(7, 35))
    return [_size(rng, lanes, 8) for _ in range(count)]


def _wide(rng: np.random.Generator, lanes: int) -> list[int]:
    layers = [int(rng.integers(1, 7)) for _ in range(int(rng.integers(3, 5)))]
    layers[int(rng.integers(len(layers)))] = 4096 if rng.random() < 0.1 else int(2 ** rng.uniform(6, 12))
    return layers


def _high(rng: np.random.Generator, lanes: int) -> list[int]:
    """Many neurons at few lanes: with a wide batch the vector memories become large."""
    count = int(rng.integers(4, 20))
    return [int(rng.integers(1, 6)), *(int(size) for size in rng.integers(4, 20, count)), int(rng.integers(1, 6))]


def _narrow(rng: np.random.Generator, lanes: int) -> list[int]:
    return [int(rng.integers(1, 4)) for _ in range(int(rng.integers(3, 8)))]


_LAYERS: dict[str, Callable[[np.random.Generator, int], list[int]]] = {
    "small": _small, "deep": _deep, "wide": _wide, "high": _high, "narrow": _narrow,
}  # fmt: skip


def _power(rng: np.random.Generator, usual: int) -> float:
    """Draw a scale ``2**-k``: k up to what is usual, seldom up to 15."""
    return 2.0 ** -int(rng.integers(0, 16 if rng.random() < 0.1 else usual + 1))


def _network(rng: np.random.Generator, layers: list[int]) -> dict[str, Any]:
    hidden = len(layers) - 2
    network: dict[str, Any] = {"layers": layers, "topology": str(rng.choice(_TOPOLOGIES, p=_CHANCES))}
    if rng.random() < 0.4:
        network["feedback"] = "asymmetric"
    if rng.random() < 0.4:
        network["alpha"] = _power(rng, 2)
    if rng.random() < 0.8:
        network["beta"] = _power(rng, 6)
    if network["topology"] == "residual":
        if hidden < 3:
            network["topology"] = "layered"
        else:
            network["block"] = int(rng.integers(2, hidden))
            network["start"] = int(rng.integers(1, hidden - network["block"] + 1))
    if network["topology"] == "random":
        network |= {"probability": round(float(rng.random()), 3), "graph_seed": _integer(rng, 0, 2**31 - 1)}
    if network["topology"] == "adjacency":
        drawn = rng.random((hidden, hidden)) < rng.random()
        drawn |= np.eye(hidden, k=-1, dtype=bool) & (rng.random((hidden, hidden)) < 0.9)
        network["adjacency"] = (drawn & ~np.eye(hidden, dtype=bool)).astype(int).tolist()
    if rng.random() < 0.3:
        network["scales"] = _scales(rng, network)
    return network


_TOPOLOGIES = ("layered", "residual", "random", "adjacency")
_CHANCES = (0.3, 0.25, 0.25, 0.2)


def _scales(rng: np.random.Generator, network: dict[str, Any]) -> list[dict[str, Any]]:
    """Draw scales for some of the connections between hidden layers."""
    try:
        graph = Graph.build(Design.parse({"name": "scales", "network": network}).network)
    except FregenError:
        return []
    pairs = [(c.source, c.target) for c in graph.connections if c.source and c.target != graph.output]
    chosen = [pair for pair in pairs if rng.random() < 0.3]
    return [{"source": source, "target": target, "scale": _power(rng, 4)} for source, target in chosen]


def _format(rng: np.random.Generator, most_fraction: int = MAX_WIDTH) -> str:
    """Draw a format of 4 to 24 bits: few integer bits, seldom any number."""
    width = _integer(rng, MIN_WIDTH, MAX_WIDTH)
    integer = int(rng.integers(1, width + 1)) if rng.random() < 0.15 else min(int(rng.integers(1, 5)), width)
    integer = max(integer, width - most_fraction)
    return str(Q(integer, width - integer))


def _numerics(rng: np.random.Generator) -> dict[str, Any]:
    numerics: dict[str, Any] = {name: _format(rng) for name in ("state", "weight", "offset")}
    numerics["error"] = _format(rng, FINEST_ERROR)
    numerics["rounding"] = str(rng.choice(["nearest", "stochastic"]))
    if rng.random() < 0.7:
        numerics["activation"] = {
            "function": str(rng.choice(["tanh", "hard-tanh", "hard-sigmoid"], p=[0.6, 0.2, 0.2])),
            "segments": 2 ** int(rng.integers(0, 13 if rng.random() < 0.2 else 6)),
            "range": int(rng.choice([1, 2, 4, 8])),
        }
    return numerics


def _learning(rng: np.random.Generator, shape: str) -> dict[str, Any]:
    most = 3 if shape == "high" else 255 if rng.random() < 0.03 else 8
    learning: dict[str, Any] = {
        "nudge": _power(rng, 3),
        "rate": _power(rng, 6),
        "gain": bool(rng.random() < 0.6),
        "batch": int(2 ** rng.integers(5, 7)) if shape == "high" else int(2 ** rng.integers(0, 7)),
        "stop": bool(rng.random() < 0.6),
        "order": str(rng.choice(["sweep", "synchronous"])),
        "error": str(rng.choice(["held", "recomputed"])),
        "nudged": str(rng.choice(["offset", "states"])),
    }
    for key in ("free_steps", "nudged_steps"):
        if shape == "high" or rng.random() < 0.85:
            learning[key] = _integer(rng, 1, most)
    if rng.random() < 0.3:
        epochs = sorted({int(epoch) for epoch in rng.integers(1, 10_000, int(rng.integers(1, 5)))})
        learning["rate_steps"] = [{"epoch": epoch, "rate": _power(rng, 15)} for epoch in epochs]
    if rng.random() < 0.2:
        learning |= {"epochs": _integer(rng, 1, 10_000), "momentum": round(float(rng.random()) * 0.99, 3)}
    return learning
