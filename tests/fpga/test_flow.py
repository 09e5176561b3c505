"""From a design to placements: what is done once, what is done again, what is refused."""

import json
from pathlib import Path

import pytest

from fregen.design.document import Design
from fregen.errors import DesignError, LoweringError, ToolError
from fregen.fpga import DEVICES, find_device, flow, place_and_route
from fregen.fpga.report import Units

ROOT = Path(__file__).parents[2]
TINY = ROOT / "rtl" / "tiny" / "design.toml"
ONE = {
    "name": "one",
    "network": {"layers": [1, 1, 1]},
    "numerics": dict.fromkeys(("state", "weight", "offset", "error"), "q2.2"),
    "hardware": {"lanes": 1},
}
"""The smallest core."""

pytestmark = pytest.mark.unit


def place(out, design=None, device="lfe5u-25f", **options):
    return place_and_route(design or Design.parse(ONE), find_device(device), out, **options)


def test_each_seed_is_placed_and_reported_in_order(tmp_path, nextpnr, synthesized):
    for seed, mhz in ((3, 90.0), (4, 120.0), (5, 100.0)):
        nextpnr.answer(seed, mhz)
    placed, units, stages = place(tmp_path / "out", seeds=(3, 4, 5), mhz=150, grade=7, at_once=2)
    assert [(one.seed, one.mhz) for one in placed] == [(3, 90.0), (4, 120.0), (5, 100.0)]
    assert units["array.lane"] == {"DP16KD": 1, "TRELLIS_FF": 2}
    assert list(stages) == ["synthesis", "placement 3", "placement 4", "placement 5"]
    assert len(synthesized) == 1
    for call in nextpnr.calls:
        assert call.startswith("--25k --package CABGA381 --speed 7 --freq 150 --seed ")
        assert "--json netlist.json" in call


def test_what_has_been_done_is_not_done_again(tmp_path, nextpnr, synthesized):
    out = tmp_path / "out"
    first = place(out, seeds=(1,))
    assert place(out, seeds=(1,)) == first
    assert (len(synthesized), len(nextpnr.calls)) == (1, 1)
    place(out, seeds=(1, 2))
    assert (len(synthesized), len(nextpnr.calls)) == (1, 2)
    assert place(out, seeds=(2,))[0][0].seed == 2
    assert (len(synthesized), len(nextpnr.calls)) == (1, 2)


@pytest.mark.parametrize("change", ["design", "device", "mhz", "grade", "version", "report", "netlist", "stages"])
def test_what_was_made_of_something_else_is_made_anew(tmp_path, nextpnr, synthesized, change):
    out = tmp_path / "out"
    place(out)
    options, again = {}, (1, 2)
    if change == "design":
        options, again = {"design": Design.parse(ONE).replace(hardware={"samples": 2})}, (2, 2)
    elif change == "device":
        options = {"device": "lfe5u-45f"}
    elif change in ("mhz", "grade"):
        options = {change: 8}
    elif change == "version":
        nextpnr.install("0.9")
    elif change == "report":
        (out / "placement-1.json").write_text("{}")
    elif change == "netlist":
        (out / "netlist.json").unlink()
        again = (2, 1)
    else:
        (out / "stages.json").write_text("{]")
        again = (2, 2)
    place(out, **options)
    assert (len(synthesized), len(nextpnr.calls)) == again


def test_a_stage_that_fails_leaves_those_before_it(tmp_path, nextpnr, synthesized):
    out = tmp_path / "out"
    nextpnr.answer(2, None, "Info: Routing..\nERROR: nothing left to route with", 1)
    with pytest.raises(ToolError, match=r"nextpnr ended with code 1: Routing\.\. nothing left .*placement-2\.log"):
        place(out, seeds=(1, 2))
    assert sorted(path.name for path in out.iterdir()) == [
        "netlist.json",
        "placement-1.json",
        "placement-1.log",
        "placement-2.log",
        "stages.json",
    ]
    nextpnr.answer(2)
    place(out, seeds=(1, 2))
    assert len(synthesized) == 1
    assert [call.split("--seed ")[1][0] for call in nextpnr.calls] == ["1", "2", "2"]


def test_a_core_that_does_not_fit_is_told_by_how_much(tmp_path, nextpnr, synthesized):
    says = "Info: \t          DP16KD:    57/   56   101%\nInfo: \t TRELLIS_COMB: 10/24288     0%"
    nextpnr.answer(1, None, f"{says}\nERROR: Unable to place cell", 255)
    with pytest.raises(LoweringError, match="does not fit this part: it takes 57 DP16KD of 56; choose a larger part"):
        place(tmp_path / "out")


def test_nextpnr_that_ends_well_without_a_report_has_failed(tmp_path, nextpnr, synthesized):
    nextpnr.answer(1, None, "", 0)
    with pytest.raises(ToolError, match="nextpnr ended with code 0: it said nothing"):
        place(tmp_path / "out")


def test_all_wrong_options_are_told_at_once(tmp_path, nextpnr, synthesized, monkeypatch):
    monkeypatch.setitem(DEVICES, "other", flow.Device("other", "gowin", "", ""))
    design = Design.load(TINY).replace(hardware={"family": "ecp5"})
    with pytest.raises(DesignError) as error:
        place(tmp_path / "out", design, "other", seeds=(1, 1), mhz=0.5, grade=5)
    text = str(error.value)
    for part in ("'ecp5'; other has the primitives of 'gowin'", "not 1, 1", "not 0.5", "6, 7, 8, not 5"):
        assert part in text
    assert not (tmp_path / "out").exists()


def test_an_unknown_part_is_refused():
    with pytest.raises(DesignError, match="device must be one of lfe5u-25f, lfe5u-45f, lfe5u-85f, not 'lfe5u-12f'"):
        find_device("lfe5u-12f")
    assert find_device("LFE5U-85F").size == "--85k"


def test_without_nextpnr_it_is_said_what_to_install(tmp_path, monkeypatch, synthesized):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("fregen.tools.sys.executable", str(tmp_path / "python"))
    with pytest.raises(ToolError, match=r"nextpnr-ecp5 is not on this machine: pip install 'fregen\[fpga\]'"):
        place(tmp_path / "out")
    assert not synthesized


def test_progress_tells_what_nextpnr_says_and_ends(tmp_path, nextpnr, synthesized):
    told = []
    place(tmp_path / "out", progress=lambda *report: told.append(report))
    assert told[0] == (0, 0, "synthesis")
    assert told[-1] == (2, 2, "done")


@pytest.mark.rtl
def test_yosys_makes_a_netlist_whose_units_are_ours(tmp_path):
    goal = tmp_path / "a folder" / "netlist.json"
    goal.parent.mkdir()
    design = Design.parse(ONE).replace(hardware={"family": "ecp5"})
    flow._synthesize(flow.emit_harness(design), find_device("lfe5u-25f"), goal)
    assert [path.name for path in goal.parent.iterdir()] == ["netlist.json"]
    cells = Units(goal).cells
    assert {"array.lane", "array.lane.updater", "sequencer.scan", "softmax", "harness"} <= set(cells)
    assert cells["array.lane"]["MULT18X18D"] == 1
    assert not [unit for unit in cells if any(sign.isdigit() for sign in unit)]


@pytest.mark.rtl
@pytest.mark.long
def test_the_smallest_core_is_placed_and_routed(tmp_path):
    """By nextpnr itself: two minutes."""
    design = Design.load(TINY).replace(hardware={"family": "ecp5"})
    (placed,), _, stages = place(tmp_path, design)
    assert placed.mhz > 50
    assert placed.used["MULT18X18D"] == 9
    # nextpnr's report has whole picoseconds of each step.
    assert sum(step.nanoseconds for step in placed.path) == pytest.approx(1000 / placed.mhz, abs=0.01)
    assert json.loads((tmp_path / "stages.json").read_text()).keys() == stages.keys()
