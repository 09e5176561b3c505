"""Run a compiled bench through cocotb, and read what it found."""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..emit.render import folder
from ..errors import ToolError
from ..files import check_room
from ..plan.records import LOGS
from ..runs.prepare import Prepared
from .models import Build, runner

__all__ = ["Result", "run", "run_gang"]

_VERDICT = "verdict.json"
"""File that the bench writes when it has compared."""


@dataclass(frozen=True)
class Result:
    """What a run has shown.

    Parameters
    ----------
    compared : int
        Words compared.
    different : int
        Of these, words that differ or stand at another place.
    missing, extra : int
        Words that were expected and did not come, that came and were not expected.
    first : tuple of str
        The first faults in words.
    sample : int or None
        Sample of the first fault that belongs to one.
    counters : dict
        Counters of the core.
    seconds : float
        Wall time of the run: start of the simulator, simulation and comparison.
    simulation_seconds : float
        Wall time of the simulation alone.
    folder : Path
        Logs.
    run : str
        The run that the verdict names; the one that was asked for.
    """

    compared: int
    different: int
    missing: int
    extra: int
    first: tuple[str, ...]
    sample: int | None
    counters: dict[str, int]
    seconds: float
    simulation_seconds: float
    folder: Path
    run: str

    @property
    def mismatches(self) -> int:
        """Faults in all: words that differ, are missing, or are too many."""
        return self.different + self.missing + self.extra

    @property
    def passed(self) -> bool:
        """Whether words were compared and all were equal."""
        return self.compared > 0 and self.mismatches == 0

    @property
    def findings(self) -> str:
        """What was found, in words."""
        if self.passed:
            return f"{self.compared:,} words compared, 0 mismatches"
        parts = [f"{self.different:,} of {self.compared:,} compared words differ"]
        parts += [f"{count:,} {what}" for count, what in ((self.missing, "missing"), (self.extra, "too many")) if count]
        return ", ".join(parts)

    @property
    def cycles(self) -> int:
        """Cycles in which the core was busy."""
        return sum(value for name, value in self.counters.items() if name.endswith("_cycles"))


def run(
    built: Build,
    asked: Prepared,
    plusargs: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> Result:
    """Run a compiled bench in the folder of a prepared run; see :func:`run_gang`."""
    return run_gang(built, asked.folder, [asked], plusargs, progress)[0]


def run_gang(
    built: Build,
    where: Path,
    asked: Sequence[Prepared],
    plusargs: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> list[Result]:
    """Run a compiled model of one bench, or of several with a folder each.

    Parameters
    ----------
    built : Build
        The bench.
    where : Path
        Folder in which the simulator runs: that of the only bench, or the one that holds the benches' folders.
    asked : sequence of Prepared
        A run a bench; all end after the greatest of their limits.
    plusargs : sequence of str
        Further ``+name=value``.
    progress : callable, optional
        Called with the number of predictions so far, a few times a second.

    Raises
    ------
    ToolError
        If the simulator fails, ends without a verdict, or with one about another run.
    """
    for member in asked:
        for name in (_VERDICT, *(f"{log}.bin" for log in LOGS)):
            (member.folder / name).unlink(missing_ok=True)
    (where / "results.xml").unlink(missing_ok=True)
    limit = max(member.limit for member in asked)
    predictions = where / "predictions.bin"

    def tick() -> None:
        if progress:
            progress(predictions.stat().st_size // 4 if predictions.exists() else 0)

    begin = time.monotonic()
    bench = where if (where / "bench.py").exists() else folder("sim")
    failure = ""
    try:
        runner(built.simulator, dict(os.environ), [str(bench)], tick).test(
            hdl_toplevel="bench",
            hdl_toplevel_lang="verilog",
            test_module="bench",
            build_dir=str(built.path),
            test_dir=str(where),
            plusargs=[f"+limit={limit}", *plusargs],
            results_xml=str(where / "results.xml"),
            log_file=str(where / "run.log"),
            waves=built.waves and built.simulator == "icarus",
        )
    except (Exception, SystemExit) as error:
        failure = str(error)
    seconds = time.monotonic() - begin
    return [_verdict(member, where / "run.log", failure, seconds) for member in asked]


def _verdict(asked: Prepared, log: Path, failure: str, seconds: float) -> Result:
    """Read the verdict that the bench has written, and make sure that it is about this run."""
    verdict = asked.folder / _VERDICT
    try:
        found: dict[str, Any] = json.loads(verdict.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {}
    if not found or found["missing"]:
        check_room(asked.folder)  # simulators take no notice of a full disk: logs end early, words seem to be missing
    if not found:
        text = log.read_text(errors="replace")[-1500:] if log.exists() else failure
        raise ToolError(f"the simulation ended without a verdict; its log is {log}:\n{text}")
    if found["run"] != asked.number:
        raise ToolError(
            f"{verdict} is about run {found['run']}, not {asked.number}: another run writes into {asked.folder}; "
            "run again, in a folder of its own"
        )
    return Result(
        found["compared"],
        found["different"],
        found["missing"],
        found["extra"],
        tuple(found["first"]),
        found["sample"],
        found["counters"],
        seconds,
        found["seconds"]["simulation"],
        asked.folder,
        found["run"],
    )
