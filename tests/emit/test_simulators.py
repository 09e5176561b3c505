"""The generated Verilog gives the golden words whatever standard a simulator is set to, with a reset and without."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fregen.commands.generate import generate
from fregen.design.document import Design
from fregen.design.graph import Graph
from fregen.emit.render import folder as place
from fregen.training.checkpoint import Checkpoint, save

sys.path.insert(0, str(place("sim")))
import check

TINY = Path(__file__).parents[2] / "rtl" / "tiny" / "design.toml"
RUNS = [("2001", True), ("2005", True), ("2009", True), ("2012", True), ("2005", False), ("2012", False)]
"""Standards, with a reset or without: initial values are given at one time up to 2005, and at another from 2009 on."""

pytestmark = [pytest.mark.rtl, pytest.mark.tool]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("generated") / "tiny"
    generate(TINY, where, samples=2)
    return where


def simulate(icarus, folder, core, bench, standard):
    """Compile with Icarus as a user does, run the bench where its files are, compare what it logged."""
    model, stop = folder.parent / f"{standard}.vvp", folder.parent / "stop.v"
    stop.write_text("module stop; always @(posedge bench.finished) #1 $finish; endmodule\n")
    command = [str(icarus.program), f"-g{standard}", "-s", "bench", "-s", "stop", "-o", str(model)]
    compiled = subprocess.run([*command, str(core), str(bench), str(stop)], capture_output=True, text=True)
    assert (compiled.returncode, compiled.stderr) == (0, "")
    subprocess.run(
        [str(icarus.program.parent / "vvp"), "-n", str(model), "+limit=60000"], cwd=folder, check=True, timeout=300
    )
    return check.check(folder)


@pytest.mark.parametrize(("standard", "reset"), RUNS)
def test_icarus_gives_the_golden_words_under_every_standard(icarus, folder, standard, reset):
    bench = folder / "bench.v"
    if not reset:
        text = bench.read_text()
        assert text.count("reg rst = 1;") == 1
        bench = folder.parent / "bench_without_reset.v"
        bench.write_text(text.replace("reg rst = 1;", "reg rst = 0;"))
    verdict = simulate(icarus, folder, folder / "tiny.v", bench, standard)
    assert verdict.compared > 200
    assert verdict.mismatches == 0, verdict.first


@pytest.mark.parametrize("memories", ["readmemh", "case"])
def test_trained_weights_and_tables_elsewhere_give_the_golden_words(icarus, tmp_path, memories):
    """From a checkpoint; tables in files that the Verilog reads, or as logic."""
    design = Design.load(TINY)
    rng = np.random.default_rng(1)
    graph = Graph.build(design.network)
    weights = [rng.integers(-3000, 3000, graph.shape(matrix)) for matrix in graph.matrices]
    save(tmp_path / "trained.npz", Checkpoint(design, weights, 1, 1, []))
    where = tmp_path / "tiny"
    generate(TINY, where, samples=2, weights=tmp_path / "trained.npz", memories=memories)
    text = (where / "tiny.v").read_text()
    read = re.findall(r'\$readmemh\("(\S+)"', text)
    assert not re.search(r" (schedule|knots|slopes_of_segments|exponentials|reciprocals)\[\d+\] = ", text)
    tables = {"sequencer_context_0_fetch_schedule", "neuron_knots", "neuron_slopes_of_segments"}
    tables |= {"softmax_exponentials", "softmax_reciprocals"}
    assert set(read) == ({f"tiny_{name}.hex" for name in tables} if memories == "readmemh" else set())
    assert set(read) <= {path.name for path in where.iterdir()}
    verdict = simulate(icarus, where, where / "tiny.v", where / "bench.v", "2012")
    assert verdict.compared > 200
    assert verdict.mismatches == 0, verdict.first
    if read:
        path = where / "tiny_neuron_slopes_of_segments.hex"
        path.write_text("\n".join(reversed(path.read_text().split())))
        assert simulate(icarus, where, where / "tiny.v", where / "bench.v", "2012").mismatches > 0


def test_a_register_that_begins_by_declaration_is_seen(icarus, folder, tmp_path):
    """As yosys writes it: SystemVerilog's order of events leaves the outputs of always blocks unknown."""
    text = (folder / "tiny.v").read_text()
    lines = text.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if line.endswith("<= 0;\n")]
    assert len(starts) > 5
    for number in starts:
        lines[number - 1] = lines[number - 1].replace(";", "= 0;")
        lines[number] = "\n"
    core = tmp_path / "tiny.v"
    core.write_text("".join(lines))
    assert simulate(icarus, folder, core, folder / "bench.v", "2012").mismatches != 0
