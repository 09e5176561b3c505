"""Mutated design and data files: each is read, or refused by one short message, within two seconds and 1 GiB.

Run it as ``python tests/fuzz/fuzz.py --designs 20000 --data 5000``; what fails is kept in the folder given by ``-o``.
The short form is ``tests/fuzz/test_fuzz.py``.
"""

import faulthandler
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import click
import data_cases
import design_cases

from fregen.data import datasets
from fregen.design.document import Design
from fregen.design.graph import Graph
from fregen.errors import DataError, DesignError, FormatError, FregenError
from fregen.plan import Schedule
from fregen.spec.network import NetworkSpec
from fregen.training import checkpoint
from fregen.verification.verify import _generated

SECONDS, MEBIBYTES, CHARACTERS = 2.0, 1024, 4000
"""What a case may take and say."""


@dataclass
class Found:
    """What a number of cases came to."""

    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    mebibytes: float = 0.0
    faults: list[str] = field(default_factory=list)

    def text(self, what: str) -> str:
        """Say it on one line."""
        outcomes = ", ".join(f"{count:,} {name}" for name, count in self.outcomes.most_common())
        return (
            f"{self.cases:,} {what}: {outcomes}; longest {self.seconds:.2f} s, at most {self.mebibytes:.0f} MiB more; "
            f"{len(self.faults)} faults"
        )


def judge(found: Found, name: str, action, kinds, seconds: float = SECONDS, mebibytes: float = MEBIBYTES) -> bool:
    """Run a case; note what came, and return whether it is as it must be."""
    before, begin = _peak(), time.process_time()
    fault = outcome = ""
    faulthandler.dump_traceback_later(120, exit=True)  # a hang ends the process, and says where
    try:
        action()
        outcome = "read"
    except FregenError as error:
        outcome = type(error).__name__
        text = str(error)
        if not isinstance(error, kinds):
            fault = f"is a {outcome}"
        elif len(text) > CHARACTERS or not text.replace("\n", "").isprintable():
            fault = f"says {len(text):,} characters: {text[:200]!r}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        outcome, fault = "defect", f"ends in {type(error).__name__}: {str(error)[:300]}"
    faulthandler.cancel_dump_traceback_later()
    took, grown = time.process_time() - begin, (_peak() - before) / 1024
    if took > seconds:
        fault = fault or f"takes {took:.1f} s"
    if grown > mebibytes:
        fault = fault or f"takes {grown:.0f} MiB"
    found.cases += 1
    found.outcomes[outcome] += 1
    found.seconds, found.mebibytes = max(found.seconds, took), max(found.mebibytes, grown)
    if fault:
        found.faults.append(f"{name} {fault}")
    return not fault


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def read_design(path: Path) -> None:
    """Do with a design file what every command does first: read it, lay out graph, integers and schedule."""
    design = Design.load(path)
    Graph.build(design.network)
    spec = NetworkSpec(design)
    spec.softmax.exponential  # noqa: B018
    spec.softmax.reciprocal  # noqa: B018
    for matrix in spec.graph.learned:
        spec.update_shift(matrix, design.learning.rate)
    if sum(design.network.sizes) < 300:
        Schedule.of(spec)


def designs(count: int, seed: int, keep: Path | None, scratch: Path) -> Found:
    """Read mutated design files."""
    found, path = Found(), scratch / "design.toml"
    for index in range(count):
        path.write_bytes(design_cases.case(random.Random(f"{seed} {index}")))
        if not judge(found, f"design {index}", lambda: read_design(path), (DesignError, FormatError, FregenError)):
            _keep(keep, path, f"design_{seed}_{index}.toml")
    return found


def data(count: int, seed: int, keep: Path | None, scratch: Path) -> Found:
    """Read mutated data sets and checkpoints."""
    found, kinds = Found(), list(data_cases.FILES)
    for index in range(count):
        draw, kind = random.Random(f"{seed} {index}"), kinds[index % len(kinds)]
        folder = scratch / "data"
        shutil.rmtree(folder, ignore_errors=True)
        design = data_cases.sound(kind, folder)
        name = data_cases.spoil(draw, folder)
        if kind == "manifest":
            for source in ("tiny.v", "bench.v"):
                (folder / source).touch()
            good = judge(found, f"{kind} {index}", partial(_generated, folder), FregenError)
        elif kind.startswith("checkpoint"):
            good = judge(found, f"{kind} {index}", partial(checkpoint.load, folder / "c.npz", design), DataError)
        else:
            good = judge(found, f"{kind} {index}, {name},", partial(datasets.load, design), DataError)
        if not good:
            _keep(keep, folder, f"data_{seed}_{index}")
    return found


def _keep(keep: Path | None, path: Path, name: str) -> None:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, keep / name)


@click.command()
@click.option("--designs", "n_designs", default=20_000, show_default=True, help="Mutated design files.")
@click.option("--data", "n_data", default=5_000, show_default=True, help="Mutated data files and checkpoints.")
@click.option("--seed", type=int, help="Of all cases; a new one unless given.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder for the cases that fail.")
def main(n_designs: int, n_data: int, seed: int | None, out: Path | None) -> None:
    """Read mutated files; end with 1 if one of them is not read or refused as it must be."""
    seed = random.SystemRandom().randrange(1 << 31) if seed is None else seed
    click.echo(f"seed {seed}")
    limit = 8 << 30  # what asks for more than all memory fails here, and is reported, instead of ending the machine
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    faults = []
    with tempfile.TemporaryDirectory() as scratch:
        for what, run, count in (("design files", designs, n_designs), ("data files", data, n_data)):
            found = run(count, seed, out, Path(scratch))
            click.echo(found.text(what))
            faults += found.faults
    click.echo(f"most memory of the process, libraries included: {_peak() / 1024:.0f} MiB")
    for fault in faults[:50]:
        click.echo(fault, err=True)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
