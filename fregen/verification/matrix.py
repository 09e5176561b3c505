"""Every choice that the hardware is built from, in small designs that are verified a gang at a time.

``python -m fregen.verification.matrix -o FOLDER`` runs the full matrix in any number of sittings and writes
``matrix.csv``; see :mod:`fregen.verification.sitting`.
"""

import itertools
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from ..design.document import Design
from ..files import make_folder
from .gang import Member, verify_apart
from .sitting import VerdictTable, verdict_cells, work_off

__all__ = ["AXES", "FLOWS", "FORMATS", "Choice", "full_matrix", "pairwise"]

AXES: dict[str, tuple[int | str | bool, ...]] = {
    "lanes": (1, 4, 8, 16, 32),
    "order": ("sweep", "synchronous"),
    "nudged": ("offset", "states"),
    "error": ("held", "recomputed"),
    "rounding": ("nearest", "stochastic"),
    "batch": (1, 8),
    "stop": (True, False),
    "hidden": (1, 2, 3),
    "formats": ("4/12", "8/10", "12/12", "16/16", "18/18"),
    "flow": ("1/1/1", "2/1/4", "2/2/1", "4/4/8"),
}
"""What is varied, and how."""

FORMATS = {
    "4/12": {"state": "q1.3", "weight": "q3.9", "offset": "q2.4", "error": "q1.3"},
    "8/10": {"state": "q1.7", "weight": "q2.8", "offset": "q1.7", "error": "q1.7"},
    "12/12": {"state": "q1.11", "weight": "q3.9", "offset": "q3.9", "error": "q1.5"},
    "16/16": {"state": "q1.15", "weight": "q3.13", "offset": "q3.13", "error": "q1.7"},
    "18/18": {"state": "q1.17", "weight": "q3.15", "offset": "q3.15", "error": "q1.9"},
}
"""State/weight widths in bits, with the formats of offset and error that go with them."""

FLOWS = {
    "1/1/1": {"samples": 1, "drain": 1, "words": 1},
    "2/1/4": {"samples": 2, "drain": 1, "words": 4},
    "2/2/1": {"samples": 2, "drain": 2, "words": 1},
    "4/4/8": {"samples": 4, "drain": 4, "words": 8},
}
"""Samples in flight, neurons that leave the lanes in a cycle (at most as many as lanes), input words in a cycle."""

_INNER = ("order", "error", "batch", "stop")
"""Axes that mostly change the sequencer and its program."""

ALIKE = 16
"""Designs that differ only in :data:`_INNER`."""

_HIDDEN = {1: (5, 4, 3), 4: (13, 7, 6), 8: (21, 13, 11), 16: (37, 21, 11), 32: (37, 21, 11)}
"""Hidden layers by lanes: few neurons, and yet more than lanes where that is possible."""
_INPUTS, _OUTPUTS = 19, 5


@dataclass(frozen=True)
class Choice:
    """One point of the matrix; fields as in :data:`AXES`."""

    lanes: int
    order: str
    nudged: str
    error: str
    rounding: str
    batch: int
    stop: bool
    hidden: int
    formats: str
    flow: str = "1/1/1"

    @property
    def name(self) -> str:
        """Name of the design, from which the choice can be read."""
        parts = [
            f"p{self.lanes}",
            self.order[:2],
            self.nudged[:2],
            self.error[:2],
            self.rounding[:2],
            f"b{self.batch}",
            "st" if self.stop else "ru",
            f"h{self.hidden}",
            self.formats.replace("/", "w"),
            "abcd"[AXES["flow"].index(self.flow)],
        ]
        return "_".join(parts)

    def design(self) -> Design:
        """Make a small design: 19 inputs, hidden layers that get smaller, 5 classes; no size divides by P > 1."""
        flow = FLOWS[self.flow]
        return Design.parse(
            {
                "name": self.name,
                "network": {"layers": (_INPUTS, *_HIDDEN[self.lanes][: self.hidden], _OUTPUTS)},
                "numerics": {**FORMATS[self.formats], "rounding": self.rounding},
                "learning": {
                    "free_steps": 7,
                    "nudged_steps": 4,
                    "rate": 0.25,
                    "batch": self.batch,
                    "stop": self.stop,
                    "order": self.order,
                    "error": self.error,
                    "nudged": self.nudged,
                },
                "hardware": {**flow, "drain": min(flow["drain"], self.lanes), "lanes": self.lanes},
            }
        )


def full_matrix() -> Iterator[Choice]:
    """Every combination; designs that share most units lie side by side, :data:`ALIKE` at a time."""
    names = sorted(AXES, key=lambda name: name in _INNER)
    for values in itertools.product(*(AXES[name] for name in names)):
        yield Choice(**dict(zip(names, values, strict=True)))  # type: ignore[arg-type]


def pairwise() -> list[Choice]:
    """Make a small selection in which every pair of values of two axes occurs; greedy, always the same."""
    names = list(AXES)
    open_pairs = {((a, x), (b, y)) for a, b in itertools.combinations(names, 2) for x in AXES[a] for y in AXES[b]}
    chosen = []
    while open_pairs:
        point: dict[str, int | str | bool] = {}
        for (a, x), (b, y) in sorted(open_pairs, key=str)[:1]:
            point = {a: x, b: y}
        for name in names:
            if name not in point:
                point[name] = max(AXES[name], key=lambda value: _gain(open_pairs, names, {**point, name: value}))
        pairs = _pairs(names, point)
        open_pairs -= pairs
        chosen.append(Choice(**point))  # type: ignore[arg-type]
    return chosen


def _pairs(names: Sequence[str], point: dict[str, int | str | bool]) -> set[tuple[tuple[str, object], ...]]:
    known = [(name, point[name]) for name in names if name in point]
    return set(itertools.combinations(known, 2))


def _gain(open_pairs: set[Any], names: Sequence[str], point: dict[str, int | str | bool]) -> int:
    return len(_pairs(names, point) & open_pairs)


def _work(choices: Sequence[Choice]) -> list[dict[str, object]]:
    """Verify one gang; lines for the table."""
    outcomes = verify_apart([choice.design() for choice in choices])
    pairs = zip(choices, outcomes, strict=True)
    return [{**_cells(choice), **verdict_cells(outcome)} for choice, outcome in pairs]


def _cells(choice: Choice) -> dict[str, str]:
    """Return a choice as the table has it."""
    return {field.name: str(getattr(choice, field.name)) for field in fields(Choice)}


def _gangs(choices: Iterable[Choice], size: int) -> list[list[Choice]]:
    """Cut into gangs, and shuffle them: what is done at any time is a fair sample of the whole."""
    todo = list(choices)
    gangs = [todo[at : at + size] for at in range(0, len(todo), size)]
    random.Random(0).shuffle(gangs)
    return gangs


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of matrix.csv.")
@click.option("--gang", default=ALIKE, show_default=True, help="Designs in one simulation model.")
@click.option("--processes", default=2, show_default=True, help="Models at once.")
@click.option("--only-pairs", is_flag=True, help="The pairwise selection instead of the full matrix.")
@click.option(
    "--recheck", default=8, show_default=True, help="Rows of an old table to make anew before it is gone on with."
)
def main(output: Path, gang: int, processes: int, only_pairs: bool, recheck: int) -> None:
    """Run the full matrix; resume where it was stopped."""
    table = VerdictTable(make_folder(output) / "matrix.csv", tuple(AXES))
    known = {tuple(_cells(choice).values()): choice for choice in full_matrix()}

    def digest(row: dict[str, str]) -> str:
        with TemporaryDirectory() as folder:
            return Member.prepare(known[tuple(row[name] for name in AXES)].design(), Path(folder), {}).digest

    done = {tuple(row[name] for name in AXES) for row in table.resume(digest, recheck)}
    choices = list(pairwise() if only_pairs else full_matrix())
    todo = [choice for choice in choices if tuple(_cells(choice).values()) not in done]
    total = len(done) + len(todo)
    work_off("matrix", _gangs(todo, gang), _work, table, processes, total)
    sys.exit(table.report(total))


if __name__ == "__main__":
    main()
