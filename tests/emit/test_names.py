"""Names in the generated Verilog: no module of one design is called like another design, no instance like a wire."""

import re
import subprocess
from pathlib import Path

import pytest

from fregen import runtime, tools
from fregen.design.document import Design
from fregen.design.reserved import UNITS
from fregen.emit.emitted import emit
from fregen.emit.render import render_bench, render_gang

pytestmark = pytest.mark.rtl

ROOT = Path(__file__).parents[2]

LEARNING = {"free_steps": 2, "nudged_steps": 1, "batch": 1}


def design(name):
    numerics = {"rounding": "stochastic"}
    return Design.parse(
        {
            "name": name,
            "network": {"layers": (3, 2, 2)},
            "numerics": numerics,
            "learning": LEARNING,
            "hardware": {"lanes": 1},
        }
    )


def test_every_unit_has_its_name_kept_free():
    found = re.findall(r"^module names_(\w+)", emit(design("names")).verilog, re.MULTILINE)
    assert set(found) == UNITS


CALLED = re.compile(r"^\s*(?:module|input|output|reg|wire) (?:signed )?(?:\[[^]]*\] )?(\\\S+|\w+)", re.MULTILINE)
CLOCKED = re.compile(r"^\s+(\\\S+|\w+)(?: ?\[[^]]*\])* <=", re.MULTILINE)
INSTANCE = re.compile(r"^  (?:\\\S+|\w+) (\\\S+ |\w+) \($", re.MULTILINE)


@pytest.mark.parametrize("name", ["tiny", "residual"])
def test_names_stay(name):
    """Constraints and waveforms live on them: no number of the writer's is in one, but in those between gates."""
    verilog = emit(Design.load(ROOT / "rtl" / name / "design.toml")).verilog
    dummy = re.compile(r"\\\$auto\$verilog_backend")
    blocks = re.findall(r"always @\(posedge.*?(?=\n  (?:always|assign|initial)|\nendmodule)", verilog, re.DOTALL)
    registers = {found for block in blocks for found in CLOCKED.findall(block)}
    between = re.compile(r"\\\$\d+")
    others = {found for found in CALLED.findall(verilog) if not between.fullmatch(found) and not dummy.match(found)}
    instances = set(INSTANCE.findall(verilog))
    assert len(registers) > 100
    assert len(instances) > 10
    for found in (registers, others, instances):
        assert not [each for each in found if "$" in each or "__" in each]


@pytest.mark.tool
def test_designs_that_are_called_like_a_wire_of_the_bench_compile(tmp_path):
    names, files = ("finished", "clk", "rate", "dut"), []
    for name in names:
        emitted = emit(design(name))
        files += [tmp_path / f"{name}.v", tmp_path / f"bench_{name}.v"]
        files[-2].write_text(emitted.verilog)
        files[-1].write_text(render_bench(emitted, module=f"bench_{name}", prefix=f"{name}/"))
    (tmp_path / "bench.v").write_text(render_gang(names))
    command = [str(tools.find_verilator().program), "--lint-only", "--timing", "-Wno-fatal", "--top-module", "bench"]
    done = subprocess.run(
        [*command, *map(str, files), str(tmp_path / "bench.v")],
        capture_output=True,
        text=True,
        env=runtime.environment("verilator"),
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("family", ["portable", "ecp5"])
def test_no_block_waits_for_an_event_that_may_never_come(family):
    """yosys writes a signal that is assigned in part by choices, in part without, in blocks that wait for a change.

    Icarus would give X until there is one: what is chosen is a signal of its own.
    """
    text = emit(
        design("residual").replace(hardware={"family": family, "lanes": 4, "drain": 2, "words": 2, "samples": 2})
    ).verilog
    assert "always @* begin\n" in text
    assert not re.findall(r"always @\*\n.*", text)
