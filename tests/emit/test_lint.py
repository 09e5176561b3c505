"""The generated Verilog under Verilator's lint, Icarus's warnings and yosys's checks.  Waivers: docs/verilog.md."""

import subprocess
from pathlib import Path

import pytest

from fregen import runtime, tools
from fregen.design.document import Design
from fregen.emit.emitted import emit
from fregen.emit.render import primitive_models, render_bench, render_example
from fregen.emit.yosys import run_yosys
from fregen.errors import ToolError
from fregen.plan import PIPELINES

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.rtl, pytest.mark.tool]

BENCH_WAIVERS = (*tools.LINT_WAIVERS, "BLKSEQ", "STMTDLY", "UNUSEDPARAM")
EXAMPLE_WAIVERS = (
    *tools.LINT_WAIVERS,
    "PINCONNECTEMPTY",
)


def small(lanes, layers, **learning):
    rounding = learning.pop("rounding", "nearest")
    return {
        "name": "lint",
        "network": {"layers": layers},
        "numerics": {"rounding": rounding},
        "learning": {"free_steps": 3, "nudged_steps": 2, "batch": 4, **learning},
        "hardware": {"lanes": lanes},
    }


DESIGNS = {
    "p1-states": small(
        1, (5, 3, 2), order="synchronous", nudged="states", error="recomputed", rounding="stochastic", batch=1
    ),
    "p4-offset": small(4, (19, 13, 7, 6, 5), order="sweep", nudged="offset"),
    "p8-states": small(8, (19, 13, 9, 5), order="sweep", nudged="states", rounding="stochastic", stop=False),
    "digits": None,
}


@pytest.fixture(scope="module", params=DESIGNS)
def sources(request, tmp_path_factory):
    table = DESIGNS[request.param]
    design = Design.parse(table) if table else Design.load(ROOT / "rtl" / "digits" / "design.toml")
    emitted = emit(design)
    where = tmp_path_factory.mktemp("lint")
    files = {}
    for role, name, text in (
        ("core", f"{emitted.name}.v", emitted.verilog),
        ("bench", "bench.v", render_bench(emitted)),
        ("example", f"{emitted.name}_example.v", render_example(emitted)),
    ):
        files[role] = where / name
        files[role].write_text(text, encoding="utf-8")
    files["top"] = emitted.name
    return files


def verilator(files, top, waivers=(), *options):
    command = [str(tools.find_verilator().program), "--lint-only", "-Wall", "--timescale", "1ns/1ps"]
    command += ["--top-module", top, *options]
    command += [f"-Wno-{name}" for name in waivers]
    done = subprocess.run(
        [*command, *map(str, files)], capture_output=True, text=True, env=runtime.environment("verilator")
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("- ")]  # its own report
    return done.returncode, "\n".join(said)


def test_verilator_lints_the_core(sources):
    """As a user does: no waiver is given, the file has its own."""
    assert verilator([sources["core"]], sources["top"]) == (0, "")


def test_verilator_lints_bench_and_example(sources):
    assert verilator([sources["core"], sources["bench"]], "bench", BENCH_WAIVERS, "--timing") == (0, "")
    top = f"{sources['top']}_example"
    assert verilator([sources["core"], sources["example"]], top, EXAMPLE_WAIVERS) == (0, "")


@pytest.mark.parametrize("family", PIPELINES)
def test_counts_that_fill_their_bits(family, tmp_path):
    """Of the cycles until errors are there: one that begins with all bits set is not compared with what it never is."""
    pipeline, lanes = PIPELINES[family], 16
    classes = next(n for n in range(1, 40) if pipeline.errors_left((n - 1) % lanes + 1, n) in (31, 63, 127))
    table = small(lanes, (3, 2, classes))
    table["hardware"] |= {"samples": 2, "drain": 2, "family": family}
    core, primitives = tmp_path / "lint.v", tmp_path / "primitives.v"
    core.write_text(emit(Design.parse(table)).verilog)
    primitives.write_text(primitive_models({family}))
    code, said = verilator([core, primitives], "lint")
    assert (code, said) == (0, ""), said


def test_verilator_lint_sees_a_fault(sources, tmp_path):
    text = sources["core"].read_text()
    head, _, tail = text.partition("input clk;\n")
    assert tail
    broken = tmp_path / "broken.v"
    broken.write_text(f"{head}input clk;\n  reg latch; always @* if (clk) latch = 1'b1;\n{tail}")
    code, said = verilator([broken], sources["top"])
    assert code != 0
    assert "LATCH" in said


@pytest.mark.parametrize("standard", ["2001", "2012"])
@pytest.mark.parametrize("others", [(), ("bench",), ("example",)], ids=["core", "bench", "example"])
def test_icarus_warns_of_nothing(icarus, sources, others, standard):
    files = [str(sources[role]) for role in ("core", *others)]
    done = subprocess.run(
        [str(icarus.program), f"-g{standard}", "-Wall", "-Wno-timescale", "-o", "/dev/null", *files],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


CHECKS = (
    "proc",
    "check -assert",
    "opt",
    "check -assert",
    "select -assert-none t:$dlatch t:$adlatch t:$dlatchsr t:$sr t:$_DLATCH*",
    "flatten",
    "opt",
    "check -assert",
)


def test_yosys_finds_no_latch_no_loop_and_nothing_undriven(sources):
    core = sources["core"]
    run_yosys([f"read_verilog {core.name}", f"hierarchy -check -top {sources['top']}", *CHECKS], core.parent)


@pytest.mark.parametrize(
    "body", ["reg q; always @* if (a) q = b; assign y = q;", "wire l; assign l = a ^ (b & l); assign y = l;"]
)
def test_yosys_checks_can_fail(tmp_path, body):
    path = tmp_path / "bad.v"
    path.write_text(f"module bad(input a, input b, output y); {body} endmodule")
    with pytest.raises(ToolError, match="yosys failed"):
        run_yosys([f"read_verilog {path.name}", "hierarchy -check -top bad", *CHECKS], tmp_path)
