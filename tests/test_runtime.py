"""What simulators run in: the environment, and what of Verilator is compiled once a machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fregen import runtime
from fregen.errors import ToolError
from fregen.tools import VERILATOR_ARGS, find_verilator

COUNTER = """
module counter;
  reg clk = 0;
  reg [7:0] count = 0;
  always #5 clk = ~clk;
  always @(posedge clk) begin
    count <= count + 1;
    if (count == 200) begin
      $display("count %0d", count);
      $finish;
    end
  end
endmodule
"""


@pytest.fixture
def library(monkeypatch, tmp_path):
    """A run-time library that costs no compiler run."""
    archive = tmp_path / "libverilated.a"
    monkeypatch.setattr(runtime, "runtime_library", lambda folder=None: archive)
    return archive


@pytest.mark.unit
def test_unknown_simulator():
    with pytest.raises(ToolError, match="must be 'verilator' or 'icarus', not 'questa'"):
        runtime.environment("questa")


@pytest.mark.unit
def test_environment_finds_verilator_and_drops_what_an_outer_make_left(monkeypatch, library):
    monkeypatch.setenv("MAKEFLAGS", "n -j8 --jobserver-auth=3,4")
    monkeypatch.setenv("MAKELEVEL", "1")
    variables = runtime.environment("verilator")
    assert shutil.which("verilator", path=variables["PATH"]) == str(find_verilator().path)
    assert "jobserver" not in variables["MAKEFLAGS"]
    assert f"LIBS={library}" in variables["MAKEFLAGS"].split()
    assert "MAKELEVEL" not in variables


@pytest.mark.unit
def test_refuses_a_path_that_make_would_split(monkeypatch):
    monkeypatch.setattr(runtime, "runtime_library", lambda folder=None: Path("/my cache/libverilated.a"))
    with pytest.raises(ToolError, match=r"paths without blanks, not '/my cache/libverilated\.a'"):
        runtime.environment("verilator")


@pytest.mark.unit
def test_failing_compiler_is_quoted(monkeypatch, tmp_path):
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\necho 'no such flag' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(ToolError, match=r"(?s)verilated\w*\.cpp.* failed: no such flag"):
        runtime.runtime_library(tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.a"))


@pytest.mark.tool
def test_verilator_builds_and_runs_a_model(tmp_path):
    source = tmp_path / "counter.v"
    source.write_text(COUNTER)
    variables = runtime.environment("verilator")
    command = ["verilator", "--binary", *VERILATOR_ARGS, "--timescale", "1ns/1ps", "-Mdir", tmp_path / "model"]
    subprocess.run([*command, "--top", "counter", source], env=variables, check=True, capture_output=True)
    answer = subprocess.run([tmp_path / "model" / "Vcounter"], check=True, capture_output=True, text=True)
    assert "count 200" in answer.stdout
    assert not list((tmp_path / "model").glob("verilated*.o"))


@pytest.mark.tool
def test_second_call_compiles_nothing():
    archive = runtime.runtime_library()
    stamp = archive.stat().st_mtime_ns
    assert runtime.runtime_library() == archive
    assert archive.stat().st_mtime_ns == stamp


@pytest.mark.tool
def test_header_is_compiled_once_and_used(tmp_path):
    """The compiler says which header it reads (``-H``): a ``!`` stands before one that is precompiled."""
    header = runtime.runtime_header()
    stamp = Path(f"{header}.gch").stat().st_mtime_ns
    source = tmp_path / "counter.v"
    source.write_text(COUNTER)
    variables = runtime.environment("verilator", optimise=runtime.BRIEF)
    command = ["verilator", "--cc", "--build", *VERILATOR_ARGS, "--timescale", "1ns/1ps", "-CFLAGS", "-H"]
    command += ["-Mdir", str(tmp_path / "model"), "--top", "counter", str(source)]
    built = subprocess.run(command, env=variables, check=True, capture_output=True, text=True)
    assert f"! {header}.gch" in built.stderr.splitlines()
    assert Path(f"{header}.gch").stat().st_mtime_ns == stamp


@pytest.mark.tool
def test_icarus_runs_where_it_is_installed(icarus, tmp_path):
    source = tmp_path / "counter.v"
    source.write_text(COUNTER)
    program = tmp_path / "counter.vvp"
    variables = runtime.environment("icarus")
    subprocess.run(["iverilog", "-g2012", "-o", program, source], env=variables, check=True)
    answer = subprocess.run(["vvp", Path(program)], env=variables, check=True, capture_output=True, text=True)
    assert "count 200" in answer.stdout
