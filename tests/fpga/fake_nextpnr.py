"""A nextpnr that answers at once: it notes how it was called, and reports what it is told to."""

import functools
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from fregen.fpga import flow

SCOPES = ("core", "core.array", "core.array.lane_0", "core.array.lane_1", "core.softmax")
CELLS = {
    "core.array.lane_0.held_TRELLIS_FF_Q": "TRELLIS_FF",
    "core.array.lane_1.held_TRELLIS_FF_Q": "TRELLIS_FF",
    "core.array.lane_1.weights.0.0": "DP16KD",
    "core.array.beat.add_LUT4_Z": "LUT4",
    "core.softmax.exponentials.0": "LUT4",
    "core.phase_LUT4_Z": "LUT4",
    "harness_rate_TRELLIS_FF_Q": "TRELLIS_FF",
}


def netlist(cells=CELLS, scopes=SCOPES):
    """A netlist of yosys's, as far as it is read."""
    found = {name: {"type": kind} for name, kind in cells.items()} | {s: {"type": "$scopeinfo"} for s in scopes}
    top = {"attributes": {"top": "00000000000000000000000000000001"}, "cells": found}
    return {"modules": {"top": top, "LUT4": {"attributes": {}, "cells": {}}}}


def report(mhz=100.0):
    """A report of nextpnr's, as far as it is read."""
    cells = ("core.array.beat.add_LUT4_Z", "core.array.lane_1.held_TRELLIS_FF_Q", "core.softmax.exponentials.0")
    kinds = ("clk-to-q", "routing", "logic")
    path = [
        {"delay": 0.5 + k, "type": kind, "to": {"cell": cell}}
        for k, (kind, cell) in enumerate(zip(kinds, cells, strict=True))
    ]
    return {
        "fmax": {"clk": {"achieved": mhz, "constraint": 200.0}},
        "critical_paths": [
            {"from": "<async>", "to": "posedge clk", "path": []},
            {"from": "posedge clk", "to": "posedge clk", "path": path},
        ],
        "utilization": {
            "TRELLIS_COMB": {"used": 30, "available": 83640},
            "TRELLIS_FF": {"used": 20, "available": 83640},
            "DP16KD": {"used": 1, "available": 208},
        },
    }


PROGRAM = """#!{python}
import json, os, sys
from pathlib import Path
if "--version" in sys.argv:
    print("nextpnr-ecp5 -- Next Generation Place and Route (Version {version})")
    sys.exit()
home = Path({home!r})
with (home / "calls").open("a") as file:
    file.write(" ".join(sys.argv[1:]) + chr(10))
given = lambda name: sys.argv[sys.argv.index(name) + 1]
json.loads(Path(given("--json")).read_text())
seed = given("--seed")
answers = json.loads((home / "answers.json").read_text())
answer = answers.get(seed, answers["any"])
print(answer["says"])
if answer["mhz"] is not None:
    report = json.loads((home / "report.json").read_text())
    report["fmax"]["clk"]["achieved"] = answer["mhz"]
    Path(given("--report")).write_text(json.dumps(report))
sys.exit(answer["code"])
"""


class FakeNextpnr:
    """What the program is to answer, by seed, and how it was called."""

    def __init__(self, home: Path) -> None:
        self.home, self.answers = home, {}
        self.answer("any")
        (home / "report.json").write_text(json.dumps(report()))
        self.install()

    def install(self, version="0.8.1"):
        program = self.home / "nextpnr-ecp5"
        program.write_text(PROGRAM.format(python=sys.executable, version=version, home=str(self.home)))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def answer(self, seed, mhz=100.0, says="Info: Program finished normally.", code=0):
        self.answers[str(seed)] = {"mhz": mhz, "says": says, "code": code}
        (self.home / "answers.json").write_text(json.dumps(self.answers))

    @property
    def calls(self):
        path = self.home / "calls"
        return path.read_text().splitlines() if path.exists() else []


harness = functools.cache(flow.emit_harness)
"""A design's text is made once for all tests."""


@pytest.fixture
def nextpnr(tmp_path, monkeypatch):
    home = tmp_path / "bin"
    home.mkdir()
    monkeypatch.setenv("PATH", f"{home}{os.pathsep}{os.environ['PATH']}")
    return FakeNextpnr(home)


@pytest.fixture
def synthesized(monkeypatch):
    """Sources that were synthesized; yosys takes a quarter of a minute for the smallest core, Amaranth a second."""
    sources = []

    def synthesize(text, device, goal):
        sources.append(text)
        goal.write_text(json.dumps(netlist()))

    monkeypatch.setattr(flow, "_synthesize", synthesize)
    monkeypatch.setattr(flow, "emit_harness", harness)
    return sources
