"""Measure what the project promises: golden model on MNIST, Verilator on the demonstration, generation.

The golden model is measured as a user has it, by ``fregen train``, over whole epochs: order, batches, learning.  The
float model is measured in a process of its own, in several ways of computing
(:mod:`fregen.commands.float_benchmark`); of it nothing is promised, and only ratios within one run can be compared.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from .. import __version__
from ..data.datasets import DATA_VARIABLE
from ..design.document import Design
from ..emit.render import folder
from ..errors import DataError, FregenError
from ..files import check_place, write
from ..processes import captured
from ..progress import Progress, StepProgress
from . import float_benchmark
from .demo import DESIGN, demo

__all__ = ["WANTED", "benchmark", "mnist_design", "rows"]

WANTED = {
    "golden_samples_per_s": 15_000.0,
    "golden_states_samples_per_s": 5_000.0,
    "mnist_accuracy_10_epochs": 0.97,
    "rtl_cycles_per_s": 400_000.0,
    "generate_seconds": 10.0,
    "demo_seconds": 180.0,
}
"""What each figure should reach: at least, or of seconds at most."""

_STATES_EPOCHS, _STATES_SAMPLES = 1, 20_000


def benchmark(out: str | Path, progress: StepProgress | None = None) -> dict[str, Any]:
    """Measure everything and write it as JSON.

    A figure that cannot be measured is null, and ``reasons`` says why.

    Parameters
    ----------
    out : path
        File to write.
    progress : callable, optional
        Called with (step, done, total, text).

    Returns
    -------
    dict
        As written.
    """
    notify: StepProgress = progress or (lambda *_: None)
    out = Path(out)
    check_place(out)
    figures: dict[str, Any] = dict.fromkeys((*WANTED, "float_model"))
    reasons: dict[str, str] = {}
    details: dict[str, Any] = {}
    load_before = os.getloadavg()

    def measure(names: tuple[str, ...], action: Callable[[], dict[str, Any]]) -> None:
        try:
            found = action()
        except FregenError as error:
            reasons.update(dict.fromkeys(names, str(error)))
            return
        figures.update({name: found.pop(name) for name in names})
        details.update(found)

    measure(("generate_seconds",), lambda: _generation(notify))
    measure(("golden_samples_per_s", "mnist_accuracy_10_epochs"), lambda: _golden(notify))
    measure(("golden_states_samples_per_s",), lambda: _states(notify))
    measure(("float_model",), lambda: _float_model(notify))
    with tempfile.TemporaryDirectory(prefix="fregen-benchmark-") as scratch:
        measure(("rtl_cycles_per_s", "demo_seconds"), lambda: _hardware(Path(scratch), notify))
    result = {
        **figures,
        "ratios": {name: _ratio(name, figures[name]) for name in WANTED if figures[name] is not None},
        "wanted": WANTED,
        "reasons": reasons,
        **details,
        "machine": {**_machine(), "load_before": load_before, "load_after": os.getloadavg()},
    }
    write(out, json.dumps(result, indent=1) + "\n")
    return result


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Lines of the table: figure, measured, wanted."""
    lines = []
    for name, wanted in WANTED.items():
        value = figures[name]
        measured = f"not measured: {figures['reasons'].get(name)}" if value is None else _shown(name, value)
        lines.append((name, measured, ("at most " if name.endswith("seconds") else "at least ") + _shown(name, wanted)))
    if figures["float_model"] is None:
        return [*lines, ("float_model", f"not measured: {figures['reasons'].get('float_model')}", "")]
    return [*lines, *float_benchmark.rows(figures["float_model"])]


def _shown(name: str, value: float) -> str:
    if "accuracy" in name:
        return f"{100 * value:.2f} %"
    return f"{value:,.1f} s" if name.endswith("seconds") else f"{value:,.0f}"


def _ratio(name: str, value: float) -> float:
    """How many times as good as wanted."""
    return round(WANTED[name] / value if name.endswith("seconds") else value / WANTED[name], 3)


# Generation ---------------------------------------------------------------------------------------------------------


def _generation(notify: StepProgress) -> dict[str, Any]:
    """Wall time of the second ``fregen generate`` of the demonstration's design, interpreter and all."""
    design = folder("rtl") / DESIGN
    seconds = []
    for number in range(2):
        notify("generate", number, 2, "fregen generate")
        with tempfile.TemporaryDirectory(prefix="fregen-benchmark-") as scratch:
            command = [sys.executable, "-m", "fregen", "generate", str(design), "-o", f"{scratch}/out"]
            begin = time.perf_counter()
            done = captured(command)
            seconds.append(time.perf_counter() - begin)
        if done.returncode:
            raise FregenError(f"fregen generate failed: {done.stderr.strip()[-300:]}")
    notify("generate", 2, 2, "fregen generate")
    return {"generate_seconds": seconds[1], "generate_seconds_first": seconds[0]}


# Golden model -------------------------------------------------------------------------------------------------------


def mnist_design(states: bool = False) -> Design:
    """Return the MNIST design: as it is (2 + 1 sweeps, offset), or with states, T = 8, K = 4, synchronous.

    Raises
    ------
    DataError
        If no MNIST files are found; ``FREGEN_DATA`` names their folder.
    """
    design = Design.load(folder("rtl") / "mnist" / "design.toml")
    if not os.environ.get(DATA_VARIABLE):
        raise DataError(f"MNIST is not here: set {DATA_VARIABLE} to the folder of its four files")
    if states:
        learning = {"free_steps": 8, "nudged_steps": 4, "order": "synchronous", "nudged": "states", "rate_steps": ()}
        design = design.replace(learning=learning, data={"train": _STATES_SAMPLES})
    return design


def _golden(notify: StepProgress) -> dict[str, Any]:
    found = _training(mnist_design(), 10, partial(notify, "MNIST, offset"))
    return {
        "golden_samples_per_s": found["samples_per_s"],
        "mnist_accuracy_10_epochs": found["accuracy"],
        "golden": found,
    }


def _states(notify: StepProgress) -> dict[str, Any]:
    found = _training(mnist_design(states=True), _STATES_EPOCHS, partial(notify, "MNIST, states"))
    return {"golden_states_samples_per_s": found["samples_per_s"], "golden_states": found}


def _training(design: Design, epochs: int, progress: Progress) -> dict[str, Any]:
    """Measure ``fregen train`` as a user starts it."""
    with tempfile.TemporaryDirectory(prefix="fregen-benchmark-") as scratch:
        path = Path(scratch) / "design.toml"
        path.write_text(_toml(design.table()), encoding="utf-8")
        progress(0, 0, "fregen train")
        before = _child_seconds()
        done = captured([sys.executable, "-m", "fregen", "train", path, "--epochs", str(epochs), "--json"])
        busy = _child_seconds() - before
        progress(1, 1, "fregen train")
    if done.returncode:
        raise FregenError(f"fregen train failed: {done.stderr.strip()[-300:]}")
    found = json.loads(done.stdout)
    learning = sum(record["seconds"] for record in found["history"])
    samples = round(found["samples_per_s"] * learning / epochs)
    return {
        "samples_per_s": found["samples_per_s"],
        "samples_per_cpu_s": samples * epochs / busy,
        "accuracy": found["accuracy"],
        "curve": [record["test_accuracy"] for record in found["history"]],
        "epochs": epochs,
        "samples": samples,
        "learning_seconds": learning,
        "layers": design.network.sizes,
        "batch": design.learning.batch,
        "free_steps": design.free_steps,
        "nudged_steps": design.nudged_steps,
        "form": design.learning.nudged,
        "order": design.learning.order,
    }


def _child_seconds() -> float:
    """CPU time of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _toml(table: dict[str, Any], place: str = "") -> str:
    """Write a design's table as a design file."""
    plain = {key: value for key, value in table.items() if value is not None and not isinstance(value, dict)}
    lines = [f"{key} = {_toml_value(value)}" for key, value in plain.items()]
    parts = [f"[{place}]\n" * bool(place) + "\n".join(lines) + "\n"]
    parts += [_toml(value, f"{place}.{key}".strip(".")) for key, value in table.items() if isinstance(value, dict)]
    return "\n".join(parts)


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    return json.dumps(value)


def _alone(inner: Callable[[], None], asked: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Call ``inner`` in a fresh process, which computes as commands do; return what it measured."""
    command = [sys.executable, "-c", f"from {inner.__module__} import {inner.__name__} as inner; inner()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asked))
        process.stdin.close()
        found = None
        for line in process.stdout:
            message = json.loads(line)
            if "done" in message:
                progress(message["done"], message["total"], message["text"])
            else:
                found = message
    if process.returncode or not isinstance(found, dict):
        raise FregenError(f"{inner.__name__} ended with code {process.returncode}")
    if "error" in found:
        raise DataError(found["error"])
    return found


# Float model --------------------------------------------------------------------------------------------------------


def _float_model(notify: StepProgress) -> dict[str, Any]:
    try:
        path = mnist_design().data.path
    except DataError:
        path = None
    asked = float_benchmark.request(path)
    return {"float_model": _alone(float_benchmark.measure_cases, asked, partial(notify, "float model"))}


# Hardware -----------------------------------------------------------------------------------------------------------


def _hardware(scratch: Path, notify: StepProgress) -> dict[str, Any]:
    """Run the whole demonstration."""
    found = demo(scratch / "demo", progress=notify).summary
    kept = ("passed", "accuracy", "words_compared", "mismatches", "cycles", "cycles_per_sample", "mac_utilisation")
    return {
        "rtl_cycles_per_s": found["rtl_cycles_per_s"],
        "demo_seconds": found["seconds"]["total"],
        "demo": {
            **{name: found[name] for name in kept},
            "seconds": found["seconds"],
            "simulation_seconds": found["simulation_seconds"],
            "rtl_cycles_per_cpu_s": found["rtl_cycles_per_cpu_s"],
        },
    }


def _machine() -> dict[str, Any]:
    """Return what was measured on."""
    processor = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "fregen": __version__,
    }
