"""What the tools say of a core, by units of ours."""

import json

import pytest
from fake_nextpnr import netlist, report

from fregen.errors import ToolError
from fregen.fpga.report import Units, read_report

pytestmark = pytest.mark.unit


@pytest.fixture
def units(tmp_path):
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps(netlist()))
    return Units(path)


def test_cells_are_counted_by_the_unit_that_they_lie_in(units):
    assert list(units.cells) == ["array", "core", "softmax", "array.lane", "harness"]  # most logic first
    assert units.cells == {
        "array": {"LUT4": 1},
        "array.lane": {"DP16KD": 1, "TRELLIS_FF": 2},
        "core": {"LUT4": 1},
        "harness": {"TRELLIS_FF": 1},
        "softmax": {"LUT4": 1},
    }


def test_a_record_s_field_is_no_unit(units):
    assert units.unit("core.array.lane_0.own_control.operands_LUT4_Z") == "array.lane"
    assert units.unit("core.array.beat.memory_TRELLIS_FF_Q_1") == "array"
    assert units.unit("folded_4_TRELLIS_FF_Q") == "harness"


def test_the_worst_path_lies_between_registers(tmp_path, units):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report(123.4)))
    placed = read_report(path, 7, units)
    assert (placed.seed, placed.mhz) == (7, 123.4)
    assert placed.used == {"TRELLIS_COMB": 30, "TRELLIS_FF": 20, "DP16KD": 1, "MULT18X18D": 0}
    assert placed.available["DP16KD"] == 208
    assert [(step.unit, step.kind, step.nanoseconds) for step in placed.path] == [
        ("array", "clk-to-q", 0.5),
        ("array.lane", "routing", 1.5),
        ("softmax", "logic", 2.5),
    ]
    assert placed.units == [("array", 0.5, 0.0), ("array.lane", 0.0, 1.5), ("softmax", 2.5, 0.0)]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"fmax": {}}', json.dumps(report() | {"critical_paths": []})])
def test_what_is_no_report_is_refused(tmp_path, units, text):
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(ToolError, match="nextpnr has not written a report of one clock"):
        read_report(path, 1, units)


@pytest.mark.parametrize("text", ["", "{}", '{"modules": {}}', '{"modules": {"a": {"attributes": {}, "cells": {}}}}'])
def test_what_is_no_netlist_is_refused(tmp_path, text):
    path = tmp_path / "netlist.json"
    path.write_text(text)
    with pytest.raises(ToolError, match="yosys has not written a netlist with one top module"):
        Units(path)
