"""Write everything that one needs to use and to check an accelerator into a folder.

Same design, same bytes.  Files appear whole or not at all, and files whose content is the same are not touched.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..design.document import Design
from ..design.weights import checked_words
from ..emit.emitted import Emitted, Memories, emit
from ..emit.manifest import read_manifest
from ..emit.render import copy_bench, render, render_bench, render_example
from ..errors import DataError, DesignError, OutputError
from ..files import writing
from ..golden import NetworkModel
from ..plan import Schedule, pack_weights
from ..progress import Progress
from ..runs.prepare import prepare, random_samples
from ..runs.scenario import Scenario
from ..spec.network import NetworkSpec
from ..training.checkpoint import load

__all__ = ["generate", "manifest_text", "weight_image"]

_STEPS = 3


def generate(
    design: Design | Path,
    out: Path,
    samples: int = 16,
    progress: Progress | None = None,
    weights: Path | Sequence[ArrayLike] | None = None,
    memories: str = "inline",
) -> dict[str, Any]:
    """Generate an accelerator's folder.

    ``<name>.v`` is the core, ``<name>_example.v`` an instantiation, ``weights.hex`` the weights as the lanes'
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
    weights : Path or sequence of arrays, optional
        What ``weights.hex`` holds and the bench loads: a checkpoint of a training in fixed point, or words by matrix
        index, shape (target, source).  The design's initial weights unless given.
    memories : {"inline", "readmemh", "case"}
        Where the contents of tables stand; see :class:`fregen.emit.emitted.Memories`.

    Returns
    -------
    dict
        ``name``, ``folder``, ``files`` (name to sha256), ``changed`` (names of files that were not there like this) and
        ``seconds``.

    Raises
    ------
    DesignError
        If the design is wrong.
    DataError
        If the weights are not this design's.
    OutputError
        If the folder cannot be written, or holds files that are not fregen's.
    """
    begin = time.monotonic()
    if samples < 1:
        raise DesignError(f"samples must be at least 1, not {samples}")
    if memories not in list(Memories):
        raise DesignError(f"memories must be one of {', '.join(Memories)}, not {memories!r}")

    def tell(done: int, what: str) -> None:
        if progress:
            progress(done, _STEPS, what)

    before = _claim(out)
    tell(0, "reading the design")
    chosen = design if isinstance(design, Design) else Design.load(design)
    spec = NetworkSpec(chosen)
    words = _weights(spec, weights)
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fregen-", dir=out.parent) as scratch:
            folder = Path(scratch)
            tell(1, "generating Verilog")
            emitted = emit(chosen, memories=Memories(memories))
            tell(2, "computing what it must do")
            _fill(folder, emitted, spec, words, samples)
            files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
            text = manifest_text(emitted, files, samples, "initial" if weights is None else "given")
            (folder / "manifest.json").write_text(text, encoding="utf-8")
            out.mkdir(exist_ok=True)
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


def _weights(spec: NetworkSpec, weights: Path | Sequence[ArrayLike] | None) -> list[NDArray[Any]]:
    """Words by matrix index: those of a checkpoint, those given, or the initial ones."""
    if weights is None:
        model = NetworkModel(spec)
        model.initial()
        return list(model.weights)
    if isinstance(weights, str | Path):
        checkpoint = load(weights, spec.design)
        if checkpoint.how["model"] != "fixed":
            raise DataError(
                f"{weights} holds real numbers (model = {checkpoint.how['model']}): the hardware needs the words of a "
                "training in fixed point (fregen train DESIGN --model fixed)"
            )
        weights = checkpoint.weights
    return [np.asarray(array, dtype=np.int64) for array in checked_words(spec.graph, weights, spec.weight)]


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


def manifest_text(
    emitted: Emitted, files: dict[str, str] | None = None, samples: int | None = None, weights: str = "initial"
) -> str:
    """Write the manifest as JSON, with what else lies in the folder if anything does."""
    manifest = dict(emitted.manifest)
    if files is not None:
        width, lanes = emitted.sizes.spec.weight.width, emitted.sizes.lanes
        manifest["images"] = {
            "weights.hex": {
                "holds": f"{weights} weights; see weights for the addresses",
                "format": "$readmemh of reg [width-1:0] image [0:lines-1], a line per address",
                "width": width * lanes,
                "lines": emitted.sizes.memory.weight_depth,
                "lanes": f"lane k in bits {width}*k to {width}*k+{width - 1}, two's complement; padding 0",
            },
            **{name: {"holds": "a table that the Verilog reads by $readmemh"} for name in sorted(emitted.images)},
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
        written = read_manifest(out)["files"]
    except DesignError:
        raise OutputError(
            f"{out} holds files that fregen generate did not write (no manifest.json of fregen's): "
            "name another folder, or empty this one"
        ) from None
    return {name for name in written if Path(name).name == name}


def _fill(folder: Path, emitted: Emitted, spec: NetworkSpec, weights: list[NDArray[Any]], samples: int) -> None:
    """Write all files but the manifest."""
    scenario = Scenario(spec, weights)
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
        "weights.hex": weight_image(spec, weights),
        **emitted.images,
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
