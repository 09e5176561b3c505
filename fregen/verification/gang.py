"""Many small designs side by side in one simulation model: what they share is compiled once, and all run at once."""

import gc
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ..design.document import Design
from ..emit.emitted import Emitted, Memories, emit
from ..emit.render import render_bench, render_gang
from ..golden import NetworkModel
from ..runs.prepare import EXPECTED, STIMULUS, Prepared, prepare, random_samples
from ..runs.scenario import Scenario
from ..runtime import BRIEF
from ..spec.network import NetworkSpec
from .models import build
from .simulate import Result, run_gang

__all__ = ["Member", "Outcome", "plain_run", "verify_apart", "verify_gang"]

Planner = Callable[[Design], Scenario]
"""What a design is to do."""


def plain_run(design: Design) -> Scenario:
    """Return two batches and a partial one to learn from the initial weights, then three samples to infer."""
    spec = NetworkSpec(design)
    model = NetworkModel(spec)
    model.initial()
    batch = design.learning.batch
    count = 2 * batch + max(batch // 2, 1)
    words, labels = random_samples(spec, count + 3)
    scenario = Scenario(spec, model.weights)
    scenario.learn(words[:count], labels[:count], design.learning.rate)
    scenario.infer(words[count:], labels[count:])
    return scenario


@dataclass(frozen=True)
class Member:
    """A design of a gang, ready to run: its folder holds stimulus and expected words.

    Parameters
    ----------
    design : Design
        The design.
    emitted : Emitted
        The hardware.
    run : Prepared
        Its folder, number and limit.
    digest : str
        Of the hardware, the stimulus and the expected words.
    """

    design: Design
    emitted: Emitted
    run: Prepared
    digest: str

    @classmethod
    def prepare(cls, design: Design, where: Path, units: dict[str, str], plan: Planner = plain_run) -> "Member":
        """Write the folder of a design's run, and emit its hardware; units that are new join those that are known."""
        folder = where / design.name
        run, _ = prepare(plan(design), folder)
        # Tables in files: Verilator makes a C++ statement of every word that the Verilog holds, and compiles each.
        emitted = emit(design, units, Memories.READMEMH)
        digest = hashlib.sha256(emitted.verilog.encode())
        for name, words in sorted(emitted.images.items()):
            if name.startswith(f"{design.name}_"):  # a unit's name is made of its tables
                digest.update(words.encode())
        digest.update((folder / STIMULUS).read_bytes())
        with np.load(folder / EXPECTED) as file:
            for name in sorted(file.files):
                digest.update(file[name].tobytes())
        return cls(design, emitted, run, digest.hexdigest()[:16])


def verify_gang(designs: Sequence[Design], where: Path, plan: Planner = plain_run) -> list[tuple[Member, Result]]:
    """Verify designs side by side in one Verilator model; units that they share are compiled once.

    Parameters
    ----------
    designs : sequence of Design
        No two of one name.
    where : Path
        Folder of all files.
    plan : callable
        Returns what a design is to do; :func:`plain_run` unless given.

    Raises
    ------
    ToolError
        If Verilator is missing or fails.
    """
    sources = [where / "units.v"]
    units: dict[str, str] = {}
    names = [design.name for design in designs]
    collects = gc.isenabled()
    gc.disable()  # Amaranth's many small objects all stay: looking for garbage takes a quarter of the time
    try:
        members = [Member.prepare(design, where, units, plan) for design in designs]
    finally:
        if collects:
            gc.enable()
    for name, member in zip(names, members, strict=True):
        bench = render_bench(member.emitted, module=f"bench_{name}", prefix=f"{name}/")
        for file, text in ((f"{name}.v", member.emitted.core), (f"bench_{name}.v", bench)):
            (where / file).write_text(text, encoding="utf-8")
            sources.append(where / file)
        for file, words in member.emitted.images.items():
            (where / file).write_text(words, encoding="utf-8")
    (where / "units.v").write_text("".join(units.values()), encoding="utf-8")
    top = where / "bench.v"
    top.write_text(render_gang(names, {design.hardware.family for design in designs}), encoding="utf-8")
    built = build([*sources, top], optimise=BRIEF, shared=True)
    try:
        results = run_gang(built, where, [member.run for member in members])
    finally:
        built.discard()
    return list(zip(members, results, strict=True))


@dataclass(frozen=True)
class Outcome:
    """What came of a design in a gang.

    Parameters
    ----------
    design : Design
        The design.
    compared, mismatches : int
        Words.
    digest : str
        As of :class:`Member`; empty where there was an error.
    text : str
        The first mismatch, or the error; empty where all words are equal.
    is_error : bool
        Whether the design has no verdict: it could not be emitted, built or run, even alone.
    """

    design: Design
    compared: int
    mismatches: int
    digest: str
    text: str
    is_error: bool = False

    @property
    def passed(self) -> bool:
        """Whether words were compared and all were equal."""
        return not self.is_error and self.compared > 0 and self.mismatches == 0


def verify_apart(designs: Sequence[Design], plan: Planner = plain_run) -> list[Outcome]:
    """Verify a gang in a folder of its own; one that fails as a whole is halved until the culprit stands alone."""
    try:
        with TemporaryDirectory() as folder:
            found = verify_gang(designs, Path(folder), plan)
    except Exception as error:  # any fault of one design must not hide the others' verdicts
        if len(designs) == 1:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            return [Outcome(designs[0], 0, 0, "", text[:300], is_error=True)]
        half = len(designs) // 2
        return [*verify_apart(designs[:half], plan), *verify_apart(designs[half:], plan)]
    return [
        Outcome(member.design, result.compared, result.mismatches, member.digest, "".join(result.first[:1]))
        for member, result in found
    ]
