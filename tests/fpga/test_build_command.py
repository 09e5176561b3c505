"""`fregen build` on the command line, with a nextpnr that answers at once."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from fregen.commands.cli import cli

TINY = Path(__file__).parents[2] / "rtl" / "tiny" / "design.toml"

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("synthesized")]


def run(out, *options):
    return CliRunner().invoke(cli, ["build", str(TINY), "-o", str(out), "--processes", "1", *options])


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.texts, self.tags = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        assert not [value for name, value in attributes if name in ("src", "href") and "#" not in value]

    def handle_data(self, data):
        self.texts.append(data.strip())


def test_the_best_placement_counts(tmp_path, nextpnr):
    nextpnr.answer(7, 88.0)
    nextpnr.answer(8, 99.5)
    result = run(tmp_path / "out", "--seed", "7", "--placements", "2", "--json", "--family", "ecp5")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (told["mhz"], told["family"], told["device"], told["grade"]) == (99.5, "ecp5", "lfe5u-85f", 6)
    assert [(one["seed"], one["mhz"]) for one in told["placements"]] == [(8, 99.5), (7, 88.0)]
    assert told["units"]["array.lane"] == {"DP16KD": 1, "TRELLIS_FF": 2}
    assert told["versions"]["nextpnr-ecp5"] == "0.8.1"


def test_people_get_a_table_and_a_page(tmp_path, nextpnr):
    result = run(tmp_path / "out")
    assert result.exit_code == 0, result.output
    for part in ("100.0 MHz (seed 1)", "30 of 83,640", "array → array.lane → softmax", "report.html"):
        assert part in result.stdout
    assert all((tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG") for name in ("path.png", "cells.png"))
    page = Page()
    page.feed((tmp_path / "out" / "report.html").read_text())
    assert page.tags.count("svg") == 2
    for part in ("tiny on lfe5u-85f", "array.lane", "208", "0.5 %", "4.50 ns"):
        assert any(part in text for text in page.texts), part


def test_an_unknown_part_ends_with_the_code_of_a_wrong_design(tmp_path, nextpnr):
    result = run(tmp_path / "out", "--device", "lfe5u-12f")
    assert result.exit_code == 3
    assert "device must be one of" in result.stderr
    assert not (tmp_path / "out").exists()
