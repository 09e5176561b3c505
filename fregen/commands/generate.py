"""Write everything that one needs to use and to check an accelerator into a folder.

Same design, same bytes.  Files appear whole or not at all, and files whose content is the same are not touched.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design.document import Design
from ..emit.emitted import Emitted, emit
from ..emit.render import copy_bench, render, render_bench, render_example
from ..errors import DesignError, OutputError
from ..files import writing
from ..golden import NetworkModel
from ..plan import Schedule, pack_weights
from ..runs.prepare import prepare, random_samples
from ..runs.scenario import Scenario
from ..spec.network import NetworkSpec

__all__ = ["generate", "manifest_text", "weight_image"]

Progress = Callable[[int, int, str], None]

_STEPS = 3


def generate(design: Design | Path, out: Path, samples: int = 16, progress: Progress | None = None) -> dict[str, Any]:
    """Generate an accelerator's folder.

    ``<name>.v`` is the core, ``<name>_example.v`` an instantiation, ``weights.hex`` the initial weights as the lanes'
    memories hold them, ``manifest.json`` tells the rest.  ``run.py`` simulates the core with the bench (``bench.v``,
    ``bench.py``, ``check.py``) on random samples (``stimulus.bin``) and compares every word with ``expected.npz``.

    Parameters
    ----------
    design : Design or Path
        Design, or its file.
    out : Path
        Folder to write: absent, empty, or written by ``fregen generate`` before.
    samples : int
        Random samples that the bench learns; a quarter as many more are inferred.
    progress : callable, optional
        Called with (done, total, what).

    Returns
    -------
    dict
        ``name``, ``folder``, ``files`` (name to sha256), ``changed`` (names of files that were not there like this) and
        ``seconds``.

    Raises
    ------
    DesignError
        If the design is wrong.
    OutputError
        If the folder cannot be written, or holds files that are not fregen's.
    """
    begin = time.monotonic()
    if samples < 1:
        raise DesignError(f"samples must be at least 1, not {samples}")

    def tell(done: int, what: str) -> None:
        if progress:
            progress(done, _STEPS, what)

    before = _claim(out)
    tell(0, "reading the design")
    chosen = design if isinstance(design, Design) else Design.load(design)
    spec = NetworkSpec(chosen)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fregen-", dir=out.parent) as scratch:
            folder = Path(scratch)
            tell(1, "generating Verilog")
            emitted = emit(chosen)
            tell(2, "computing what it must do")
            _fill(folder, emitted, spec, samples)
            files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
            text = manifest_text(emitted, files=files, samples=samples)
            (folder / "manifest.json").write_text(text, encoding="utf-8")
            changed = _move(folder, out)
            for stale in before - set(files):
                (out / stale).unlink(missing_ok=True)
    tell(_STEPS, "done")
    return {
        "name": emitted.name,
        "folder": str(out),
        "files": files,
        "changed": changed,
        "seconds": round(time.monotonic() - begin, 3),
    }


def weight_image(spec: NetworkSpec, weights: list[NDArray[Any]]) -> str:
    """Lay weights out for ``$readmemh``: a line per address, in it all lanes, lane 0 in the lowest bits."""
    image = pack_weights(Schedule.of(spec).memory, weights)
    width = spec.weight.width
    digits = -(-image.shape[1] * width // 4)
    lines = []
    for row in (image.astype(np.int64) & ((1 << width) - 1)).tolist():
        word = sum(part << (width * lane) for lane, part in enumerate(row))
        lines.append(f"{word:0{digits}x}\n")
    return "".join(lines)


def manifest_text(emitted: Emitted, files: dict[str, str] | None = None, samples: int | None = None) -> str:
    """Write the manifest as JSON, with what else lies in the folder if anything does."""
    manifest = dict(emitted.manifest)
    if files is not None:
        width, lanes = emitted.sizes.spec.weight.width, emitted.sizes.lanes
        manifest["images"] = {
            "weights.hex": {
                "holds": "initial weights; see weights for the addresses",
                "format": "$readmemh of reg [width-1:0] image [0:lines-1], a line per address",
                "width": width * lanes,
                "lines": emitted.sizes.memory.weight_depth,
                "lanes": f"lane k in bits {width}*k to {width}*k+{width - 1}, two's complement; padding 0",
            }
        }
        manifest["bench"] = {
            "command": "python run.py [--simulator verilator|icarus]",
            "learnt": samples,
            "inferred": _inferred(samples or 0),
            "stimulus.bin": "big-endian 32-bit words: all weights in load order, then commands as bench.v tells",
            "expected.npz": "every word that the golden model expects, see check.py",
        }
        manifest["files"] = files
    return json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"


def _inferred(samples: int) -> int:
    return max(samples // 4, 1)


def _claim(out: Path) -> set[str]:
    """Make sure that a folder may be written; return the files that an earlier run has left there."""
    if not out.exists():
        return set()
    if not out.is_dir():
        raise OutputError(f"{out} is a file; name a folder to write into")
    if not any(out.iterdir()):
        return set()
    try:
        manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        written = set(manifest["files"]) if manifest["fregen"] else set()
    except (OSError, ValueError, KeyError, TypeError):
        raise OutputError(
            f"{out} holds files that fregen generate did not write (no manifest.json of fregen's): "
            "name another folder, or empty this one"
        ) from None
    return {name for name in written if isinstance(name, str) and Path(name).name == name}


def _fill(folder: Path, emitted: Emitted, spec: NetworkSpec, samples: int) -> None:
    """Write all files but the manifest."""
    model = NetworkModel(spec)
    model.initial()
    scenario = Scenario(spec, model.weights)
    words, labels = random_samples(spec, samples + _inferred(samples))
    scenario.learn(words[:samples], labels[:samples], spec.design.learning.rate)
    scenario.infer(words[samples:], labels[samples:])
    asked, _ = prepare(scenario, folder)
    copy_bench(folder)
    name = emitted.name
    texts = {
        f"{name}.v": emitted.verilog,
        f"{name}_example.v": render_example(emitted),
        "bench.v": render_bench(emitted),
        "run.py": render("run.py.j2", name=name, run=asked, samples=scenario.samples),
        "weights.hex": weight_image(spec, list(model.weights)),
    }
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8")


def _move(source: Path, target: Path) -> list[str]:
    """Move files that differ; the manifest goes last, so that it never promises what is not there."""
    changed = []
    for path in sorted(source.iterdir(), key=lambda path: (path.name == "manifest.json", path.name)):
        goal = target / path.name
        if goal.is_file() and goal.read_bytes() == path.read_bytes():
            continue
        if goal.is_dir():
            shutil.rmtree(goal)
        os.replace(path, goal)
        changed.append(path.name)
    return changed
