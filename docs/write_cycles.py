"""Write the tables of cycles and of what they cost: ``python docs/write_cycles.py``, some minutes.

Cycles come from the cycle model, which the hardware's own counters equal in every verification.  With steps of a given
number they depend on the data alone: the first 1,024 training samples of MNIST in the order of the first epoch
(``FREGEN_DATA`` names their folder), and of the digits.  Cells are yosys's, of the digits' core for an ECP5.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from write_tables import row, written

from fregen.data.datasets import load
from fregen.design.document import Design
from fregen.emit.emitted import emit_rtlil
from fregen.emit.yosys import run_yosys
from fregen.plan import CycleModel, Passage, Schedule
from fregen.plan.in_flight import Replay
from fregen.spec.network import NetworkSpec
from fregen.training.samples import as_words, epoch_order

ROOT = Path(__file__).parents[1]
SAMPLES = 1024

NETWORKS = {
    "MNIST 784-64-64-10": ((784, 64, 64, 10), {"set": "idx"}, 16),
    "digits 64-32-32-10": ((64, 32, 32, 10), {"set": "digits"}, 16),
}
HARDWARE = (  # lanes, samples, drain, words
    (16, 1, 1, 1),
    (16, 2, 1, 1),
    (16, 2, 2, 1),
    (16, 4, 4, 1),
    (64, 1, 1, 1),
    (64, 2, 1, 1),
    (64, 2, 4, 1),
    (64, 2, 4, 4),
    (64, 4, 4, 8),
)


def passages(words: np.ndarray, learns: bool, batch: int, steps: tuple[int, int]) -> Iterator[Passage]:
    """Yield what samples go through whose steps are given."""
    for at in range(0, len(words), batch):
        part = words[at : at + batch]
        for number, sample in enumerate(part):
            ends = learns and number == len(part) - 1
            occupancy = (np.count_nonzero(part, axis=0), len(part)) if ends else None
            yield Passage(int(np.count_nonzero(sample)), steps[0], steps[1] if learns else None, batch=occupancy)


def predicted(name: str, hardware: tuple[int, int, int, int], steps: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield cycles and useful multiplications of learning and of inferring ``SAMPLES`` samples."""
    layers, data, batch = NETWORKS[name]
    lanes, samples, drain, words = hardware
    learning = {"batch": batch, "free_steps": steps[0], "nudged_steps": steps[1], "stop": False}
    design = Design.parse({
        "name": "cycles", "network": {"layers": layers}, "data": data, "learning": learning,
        "hardware": {"lanes": lanes, "samples": samples, "drain": drain, "words": words},
    })  # fmt: skip
    spec = NetworkSpec(design)
    inputs = load(design).train_inputs
    chosen = as_words(inputs[epoch_order(0, 0, len(inputs))[:SAMPLES]], spec)
    schedule = Schedule.of(spec)
    for learns in (True, False):
        going = list(passages(chosen, learns, batch, steps))
        replay = Replay(schedule)
        for passage in going:
            replay.send(passage)
        replay.finish()
        yield replay.elapsed, sum(CycleModel(schedule).predict(going).macs.values())


def fixed_steps() -> str:
    """Table of what samples in flight, wide drains and wide beats of input are worth."""
    heads = ("network", "P", "G", "D", "W", "learnt", "useful", "inferred", "useful")
    lines = [row(*heads), row(*["---"] * len(heads))]
    for name in NETWORKS:
        for hardware in HARDWARE:
            cells: list[str] = []
            for cycles, macs in predicted(name, hardware, (2, 1)):
                cells += [f"{cycles / SAMPLES:,.0f}", f"{100 * macs / hardware[0] / cycles:.1f} %"]
            lines.append(row(name, *map(str, hardware), *cells))
    return "\n".join(lines)


CELLS = ("LUT4", "CCU2C", "TRELLIS_FF", "TRELLIS_DPR16X4", "DP16KD", "MULT18X18D")
"""Cells of an ECP5."""


def cells() -> str:
    """Table of what samples in flight and a wide drain cost."""
    lines = [row("P", "G", "D", "W", *CELLS), row(*["---"] * (4 + len(CELLS)))]
    design = Design.load(ROOT / "rtl" / "digits" / "design.toml")
    for lanes, samples, drain, words in ((16, 1, 1, 1), (16, 2, 1, 1), (16, 2, 2, 1)):
        hardware = {"lanes": lanes, "samples": samples, "drain": drain, "words": words}
        with TemporaryDirectory() as folder:
            core, found = Path(folder) / "core.il", Path(folder) / "cells.json"
            core.write_text(emit_rtlil(design.replace(hardware=hardware)), encoding="utf-8")
            run_yosys(
                [f"read_rtlil {core.name}", f"synth_ecp5 -top {design.name}", f"tee -q -o {found.name} stat -json"],
                Path(folder),
            )
            counted = json.loads(found.read_text(encoding="utf-8"))["design"]["num_cells_by_type"]
        lines.append(row(*map(str, hardware.values()), *(f"{counted.get(cell, 0):,}" for cell in CELLS)))
    return "\n".join(lines)


TABLES: dict[str, Callable[[], str]] = {"cycles": fixed_steps, "cells": cells}


def main() -> None:
    """Write every table between its marks in ``results.md``."""
    page = ROOT / "docs" / "results.md"
    text = page.read_text(encoding="utf-8")
    for name in TABLES:
        if (count := text.count(f"<!-- table: {name} -->")) != 1:
            raise SystemExit(f"{page} has {count} tables {name}, not 1")
    page.write_text(written(text, TABLES), encoding="utf-8")


if __name__ == "__main__":
    main()
