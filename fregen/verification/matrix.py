"""Verify many small designs, a gang of them in one simulation model: every choice that the hardware is built from.

``python -m fregen.verification.matrix -o FOLDER`` runs the full matrix in any number of sittings and writes
``matrix.csv``.  Each row has a digest of the hardware and of all expected words: while a design's digest stays, so
does its verdict. A table is gone on with only if the digests of some of its rows, drawn anew each time, are those of
today.
"""

import csv
import hashlib
import itertools
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np

from ..design.document import Design
from ..emit.emitted import Emitted, emit
from ..emit.render import render_bench, render_gang
from ..golden import NetworkModel
from ..runs.prepare import prepare, random_samples
from ..runs.scenario import Scenario
from ..spec.network import NetworkSpec
from .simulate import Result, build, run_gang

__all__ = ["AXES", "FORMATS", "Choice", "Member", "full_matrix", "pairwise", "verify_gang"]

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

_INNER = ("order", "error", "batch", "stop")
"""Axes that mostly change the sequencer and its program."""

ALIKE = 16
"""Designs that differ only in :data:`_INNER`."""

_HIDDEN = (37, 21, 11)
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

    @property
    def name(self) -> str:
        """Name of the design: tells the choice."""
        parts = [
            f"p{self.lanes}",
            self.order[:2],
            self.nudged[:2],
            self.error[:2],
            self.rounding[:2],
            f"b{self.batch}",
            "stop" if self.stop else "run",
            f"h{self.hidden}",
            self.formats.replace("/", "w"),
        ]
        return "_".join(parts)

    def design(self) -> Design:
        """Make a small design: 19 inputs, hidden layers of 37, 21, 11, 5 classes; no size divides by P > 1."""
        return Design.parse(
            {
                "name": self.name,
                "network": {"layers": (_INPUTS, *_HIDDEN[: self.hidden], _OUTPUTS)},
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
                "hardware": {"lanes": self.lanes},
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


@dataclass(frozen=True)
class Member:
    """A design of a gang, ready to run: its folder holds stimulus and expected words.

    Parameters
    ----------
    design : Design
        The design.
    emitted : Emitted
        The hardware.
    limit : int
        Cycles after which a simulation has surely hung.
    digest : str
        Of the hardware, the stimulus and the expected words.
    """

    design: Design
    emitted: Emitted
    limit: int
    digest: str

    @classmethod
    def prepare(cls, design: Design, where: Path, units: dict[str, str]) -> "Member":
        """Write the folder: two batches and a partial one to learn, three samples to infer."""
        spec = NetworkSpec(design)
        model = NetworkModel(spec)
        model.initial()
        batch = design.learning.batch
        count = 2 * batch + max(batch // 2, 1)
        words, labels = random_samples(spec, count + 3)
        scenario = Scenario(spec, model.weights)
        scenario.learn(words[:count], labels[:count], design.learning.rate)
        scenario.infer(words[count:], labels[count:])
        folder = where / design.name
        limit = prepare(scenario, folder)[0]
        emitted = emit(design, units)
        digest = hashlib.sha256(emitted.verilog.encode())
        digest.update((folder / "stimulus.bin").read_bytes())
        with np.load(folder / "expected.npz") as file:
            for name in sorted(file.files):
                digest.update(file[name].tobytes())
        return cls(design, emitted, limit, digest.hexdigest()[:16])


def verify_gang(designs: Sequence[Design], where: Path) -> list[tuple[Member, Result]]:
    """Verify designs side by side in one Verilator model; units that they share are compiled once.

    Parameters
    ----------
    designs : sequence of Design
        No two of one name.
    where : Path
        Folder of all files.

    Raises
    ------
    ToolError
        If Verilator is missing or fails.
    """
    sources = [where / "units.v"]
    units: dict[str, str] = {}
    names = [design.name for design in designs]
    members = [Member.prepare(design, where, units) for design in designs]
    for name, member in zip(names, members, strict=True):
        bench = render_bench(member.emitted, module=f"bench_{name}", prefix=f"{name}/")
        for file, text in ((f"{name}.v", member.emitted.core), (f"bench_{name}.v", bench)):
            (where / file).write_text(text, encoding="utf-8")
            sources.append(where / file)
    (where / "units.v").write_text("".join(units.values()), encoding="utf-8")
    top = where / "bench.v"
    top.write_text(render_gang(names), encoding="utf-8")
    built = build([*sources, top], optimise="-O1", shared=True)
    results = run_gang(built, where, max(member.limit for member in members), names)
    built.discard()
    return list(zip(members, results, strict=True))


def _work(choices: Sequence[Choice]) -> list[list[object]]:
    """Verify one gang in a folder of its own; rows for the table."""
    with TemporaryDirectory() as folder:
        try:
            found = verify_gang([choice.design() for choice in choices], Path(folder))
        except Exception as error:
            return [[*_row(choice), 0, -1, "", str(error).replace("\n", " ")[:200]] for choice in choices]
        return [
            [*_row(choice), result.compared, result.mismatches, member.digest, *result.first[:1]]
            for choice, (member, result) in zip(choices, found, strict=True)
        ]


def _row(choice: Choice) -> list[object]:
    return [getattr(choice, field.name) for field in fields(Choice)]


def _key(choice: Choice) -> tuple[str, ...]:
    """Return a choice as the table has it."""
    return tuple(map(str, _row(choice)))


def _stale(rows: Sequence[dict[str, str]], count: int) -> str | None:
    """Make some rows' designs anew; name one whose digest is another one today."""
    known = {_key(choice): choice for choice in full_matrix()}
    for row in random.SystemRandom().sample(rows, min(count, len(rows))):
        design = known[tuple(row[name] for name in AXES)].design()
        with TemporaryDirectory() as folder:
            if Member.prepare(design, Path(folder), {}).digest != row["digest"]:
                return design.name
    return None


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
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    output.mkdir(parents=True, exist_ok=True)
    table = output / "matrix.csv"
    done: set[tuple[str, ...]] = set()
    if table.exists():
        with table.open(newline="") as file:
            old = list(csv.DictReader(file))
        if stale := _stale(old, recheck):
            raise click.ClickException(
                f"{table} is about other hardware or other expected words (for one, {stale}): move it away"
            )
        done = {tuple(row[name] for name in AXES) for row in old}
    else:
        with table.open("w", newline="") as file:
            csv.writer(file).writerow([*AXES, "compared", "mismatches", "digest", "first"])
    choices = list(pairwise() if only_pairs else full_matrix())
    todo = [choice for choice in choices if _key(choice) not in done]
    columns = (TextColumn("matrix"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Forked, a process would wait for threads of the WebAssembly yosys that it does not have.
    context = get_context("spawn")
    with Progress(*columns) as progress, ProcessPoolExecutor(processes, mp_context=context) as pool:
        task = progress.add_task("matrix", total=len(choices), completed=len(choices) - len(todo))
        for job in as_completed([pool.submit(_work, members) for members in _gangs(todo, gang)]):
            rows = job.result()
            with table.open("a", newline="") as file:
                csv.writer(file).writerows(rows)
            progress.advance(task, len(rows))
    with table.open(newline="") as file:
        found = list(csv.DictReader(file))
    failed = [row for row in found if row["mismatches"] != "0" or int(row["compared"]) == 0]
    words = sum(int(row["compared"]) for row in found)
    click.echo(f"{len(found)} designs, {words} words compared, {len(failed)} designs with mismatches")
    for row in failed[:20]:
        click.echo(str(row))
    sys.exit(2 if failed or len(found) < len(choices) else 0)


if __name__ == "__main__":
    main()
