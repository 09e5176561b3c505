"""The way from a design to a placed core, in stages whose results are kept: netlist, then a placement a seed."""

import contextlib
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import processes
from ..claims import claimed_folder
from ..design.document import Design
from ..emit.emitted import emit_harness
from ..emit.yosys import run_yosys
from ..errors import DesignError, LoweringError, ToolError
from ..files import make_folder, write, writing
from ..progress import Progress
from ..tools import Tool, find_nextpnr, find_yosys
from .device import GRADES, Device
from .report import CELLS, Placed, Units, read_report

__all__ = ["Stage", "place_and_route"]

NETLIST, STAGES = "netlist.json", "stages.json"
"""Files of a build: yosys's netlist, and which results of which inputs lie there."""

_COUNTED = re.compile(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", re.MULTILINE)
_SAID = re.compile(r"^(?:Info|Warning|ERROR): (.*)$", re.MULTILINE)
_SHOWN = 48
"""Characters of nextpnr's last word that progress shows."""


@dataclass(frozen=True)
class Stage:
    """A stage of a build that is done.

    Parameters
    ----------
    inputs, outputs : str
        SHA-256 of what went in, tools' versions and options included, and of the file that came out.
    seconds : float
        How long it took when it was done.
    """

    inputs: str
    outputs: str
    seconds: float


def place_and_route(
    design: Design,
    device: Device,
    out: Path,
    seeds: Sequence[int] = (1,),
    mhz: float = 200.0,
    grade: int = 6,
    at_once: int = 1,
    progress: Progress | None = None,
) -> tuple[list[Placed], dict[str, dict[str, int]], dict[str, Stage]]:
    """Synthesize a core, and place and route it on a part; stages whose inputs are the same are not done again.

    Parameters
    ----------
    design : Design
        Its ``hardware.family`` is the part's, or ``portable``, whose memories and multipliers synthesis infers.
    device : Device
        The part.
    out : Path
        Folder for netlist, reports and logs.
    seeds : sequence of int
        Placements to make, each from a seed of its own.
    mhz : float
        Clock that placement aims at.
    grade : int
        Speed grade of the part.
    at_once : int
        Placements made at the same time; each needs a core, and a gigabyte.
    progress : callable, optional
        Called with stages done, stages in all, and what is being done.

    Returns
    -------
    list of Placed
        A placement a seed, in the order of the seeds.
    dict of str to dict
        Cells of the netlist by unit and kind.
    dict of str to Stage
        What each stage took.

    Raises
    ------
    DesignError
        If the design's family is not the part's, or a clock or grade is none.
    LoweringError
        If the core does not fit the part.
    ToolError
        If yosys or nextpnr is missing or fails.
    OutputError
        If the folder cannot be written, or another build is at work in it.
    """
    _check(design, device, seeds, mhz, grade)
    yosys, nextpnr = find_yosys(), find_nextpnr()
    total = 1 + len(seeds)

    def tell(done: int, what: str) -> None:
        if progress:  # stages differ by far: no time left can be told from their number
            progress(done, total if done == total else 0, what)

    with claimed_folder(make_folder(out)):
        kept = _Kept(out)
        tell(0, "synthesis")
        text = emit_harness(design)
        netlist = _digest(text, yosys.version, device.synthesis)
        with kept.stage("synthesis", netlist, NETLIST) as goal:
            if goal is not None:
                _synthesize(text, device, goal)
        options = [device.size, "--package", device.package, "--speed", str(grade), "--freq", f"{mhz:g}"]
        routed = _digest(netlist, nextpnr.version, *options)
        todo = [seed for seed in seeds if not kept.has(*_placement(seed, routed))]
        _route(
            out, kept, nextpnr, options, routed, todo, at_once, lambda done, text: tell(total - len(todo) + done, text)
        )
        units = Units(out / NETLIST)
        placed = [read_report(out / _placement(seed, routed)[2], seed, units) for seed in seeds]
        names = ["synthesis", *(_placement(seed, routed)[0] for seed in seeds)]
        tell(total, "done")
        return placed, units.cells, {name: kept.stages[name] for name in names}


def _check(design: Design, device: Device, seeds: Sequence[int], mhz: float, grade: int) -> None:
    family = design.hardware.family
    faults = []
    if family not in ("portable", device.family):
        faults.append(f"hardware.family is {family!r}; {device.name} has the primitives of {device.family!r}")
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        faults.append(f"seeds must be different numbers from 0 on, not {', '.join(map(str, seeds)) or 'none'}")
    if not 1 <= mhz <= 1000:
        faults.append(f"the clock to aim at must be 1 to 1000 MHz, not {mhz:g}")
    if grade not in GRADES:
        faults.append(f"the speed grade must be one of {', '.join(map(str, GRADES))}, not {grade}")
    if faults:
        raise DesignError("\n".join(faults))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _placement(seed: int, routed: str) -> tuple[str, str, str]:
    """Name, inputs and output of the stage that places from a seed."""
    return f"placement {seed}", _digest(routed, str(seed)), f"placement-{seed}.json"


class _Kept:
    """Which stages have been done in a folder; each file with what it was made of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stages: dict[str, Stage] = {}
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            known = json.loads((folder / STAGES).read_text(encoding="utf-8"))
            self.stages = {str(name): Stage(**stage) for name, stage in known.items()}

    def has(self, name: str, inputs: str, file: str) -> bool:
        """Whether the stage's file lies there as it was made of the same inputs."""
        stage, path = self.stages.get(name), self.folder / file
        return stage is not None and stage.inputs == inputs and path.is_file() and stage.outputs == _file_digest(path)

    def done(self, name: str, inputs: str, file: str, seconds: float) -> None:
        """Note that a stage has been done."""
        self.stages[name] = Stage(inputs, _file_digest(self.folder / file), round(seconds, 1))
        table = {name: asdict(stage) for name, stage in sorted(self.stages.items())}
        write(self.folder / STAGES, json.dumps(table, indent=1) + "\n")

    @contextlib.contextmanager
    def stage(self, name: str, inputs: str, file: str) -> Iterator[Path | None]:
        """Yield where to write a stage's file, or None where it lies there; a file that is whole takes its place."""
        if self.has(name, inputs, file):
            yield None
            return
        begin, goal = time.monotonic(), self.folder / file
        beside = goal.with_name(f".{file}.tmp")
        try:
            with writing(goal):
                yield beside
                os.replace(beside, goal)
        finally:
            beside.unlink(missing_ok=True)
        self.done(name, inputs, file, time.monotonic() - begin)


def _synthesize(text: str, device: Device, goal: Path) -> None:
    source = goal.with_name(".core.il.tmp")
    try:
        source.write_text(text, encoding="utf-8")
        run_yosys([f"read_rtlil {source.name}", f"{device.synthesis} -top top -json {goal.name}"], goal.parent)
    finally:
        source.unlink(missing_ok=True)


def _route(
    out: Path,
    kept: _Kept,
    nextpnr: Tool,
    options: Sequence[str],
    routed: str,
    seeds: Sequence[int],
    at_once: int,
    tell: Callable[[int, str], None],
) -> None:
    """Place and route from each seed, some at the same time; note each that is done."""
    if not seeds:
        return
    stop = threading.Event()
    with ThreadPoolExecutor(min(at_once, len(seeds))) as pool:
        left = {pool.submit(_route_once, out, nextpnr.program, options, seed, stop): seed for seed in seeds}
        try:
            while left:
                tell(len(seeds) - len(left), _last_words(out, left.values()))
                for future in wait(left, timeout=0.5, return_when=FIRST_COMPLETED).done:
                    name, inputs, file = _placement(left.pop(future), routed)
                    kept.done(name, inputs, file, future.result())
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


class _StoppedError(Exception):
    """Another placement has failed, or the user has had enough."""


def _last_words(out: Path, seeds: Iterable[int]) -> str:
    """Return what nextpnr has said last of the placements that are being made."""
    said = []
    for seed in seeds:
        with contextlib.suppress(OSError):
            words = _SAID.findall((out / f"placement-{seed}.log").read_text(errors="replace")[-2000:])
            said += [f"seed {seed}: {words[-1].strip()[:_SHOWN]}"] if words else []
    return "; ".join(said[:2]) or "place and route"


def _route_once(out: Path, program: Path, options: Sequence[str], seed: int, stop: threading.Event) -> float:
    """Place and route from a seed; return the seconds that it took."""
    begin = time.monotonic()
    log, beside = out / f"placement-{seed}.log", out / f".placement-{seed}.tmp"
    asked = ["--seed", str(seed), "--timing-allow-fail", "--lpf-allow-unconstrained"]
    command: list[str | Path] = [program, *options, *asked, "--json", NETLIST, "--report", beside.name]

    def tick() -> None:
        if stop.is_set():
            raise _StoppedError

    try:
        with writing(log), log.open("wb") as file:
            code = processes.run(command, cwd=out, output=file, tick=tick)
        text = log.read_text(errors="replace")
        if code or not beside.exists():
            raise _failure(text, code, log)
        os.replace(beside, out / f"placement-{seed}.json")
    finally:
        beside.unlink(missing_ok=True)
    return time.monotonic() - begin


def _failure(text: str, code: int, log: Path) -> LoweringError | ToolError:
    """Return why nextpnr has made no placement: the core does not fit, or something else."""
    counted = {kind: (int(used), int(there)) for kind, used, there in _COUNTED.findall(text) if kind in CELLS}
    over = [f"{used:,} {kind} of {there:,}" for kind, (used, there) in counted.items() if used > there]
    if over:
        return LoweringError(
            f"the core does not fit this part: it takes {', '.join(over)}; "
            "choose a larger part (--device), fewer lanes or narrower words"
        )
    last = " ".join(_SAID.findall(text)[-3:])[-600:]
    return ToolError(f"nextpnr ended with code {code}: {last or 'it said nothing'} (log: {log})")
