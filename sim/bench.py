"""The cocotb bench: wait until the Verilog bench has fed all stimulus, then compare everything it has logged.

Clock, stimulus and logs are in ``bench.v``, so Python is out of the loop while the core runs.  The comparison
(``check.py``) demands every word the golden model computed; the verdict is written to ``verdict.json`` either way.
Several benches in one model (``gang.v``) have a folder each.
"""

import time
from pathlib import Path

import check
import cocotb
from cocotb.triggers import RisingEdge


@cocotb.test()
async def equals_the_golden_model(dut) -> None:
    """Every word that the core writes is the golden model's."""
    begin = time.monotonic()
    await RisingEdge(dut.finished)
    simulated = time.monotonic() - begin
    here = Path.cwd()
    folders = (
        [here] if (here / "expected.npz").exists() else sorted(path.parent for path in here.glob("*/expected.npz"))
    )
    assert folders, "there is nothing to compare with: expected.npz is missing"
    failures = []
    for folder in folders:
        begin = time.monotonic()
        verdict = check.check(folder)
        verdict.seconds = {"simulation": simulated, "comparison": time.monotonic() - begin}
        verdict.save(folder / "verdict.json")
        if not verdict.passed:
            failures += [f"{folder.name}: {verdict.mismatches} mismatches, {verdict.compared} words compared"]
            failures += verdict.first
    assert not failures, "\n".join(failures)
