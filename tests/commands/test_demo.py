"""The demonstration, small: everything from the design file to the report, and what happens when the chip is wrong."""

import html.parser
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from fregen.commands import cli
from fregen.commands import demo as module
from fregen.verification.simulate import Result

pytestmark = [pytest.mark.e2e, pytest.mark.tool]


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    result = CliRunner().invoke(cli.cli, ["demo", "--quick", "-o", str(out)])
    assert result.exit_code == 0, result.output
    return out, result.stdout


@pytest.fixture(scope="module")
def summary(shown):
    return json.loads((shown[0] / "summary.json").read_text())


def test_chip_equals_the_golden_model(summary):
    assert summary["passed"] is True
    assert summary["mismatches"] == 0
    # 200 samples, 25 updates of 3,424 weights, their read-back, and the states of 560 samples
    assert summary["words_compared"] > 200_000
    assert summary["samples_learnt"] == 200
    assert summary["right"]["rtl"] == summary["right"]["golden"]
    assert summary["accuracy"]["rtl"] == summary["accuracy"]["fixed"] == summary["curves"]["rtl"][-1]
    assert summary["accuracy"]["rtl"] > 0.5


def test_cycles_are_those_of_the_plan(summary):
    assert summary["cycles"]["equal_to_plan"] is True
    per_sample = summary["cycles_per_sample"]
    total = per_sample["learn"] * 200 + per_sample["infer"] * summary["test_samples"]
    waiting = summary["waiting_cycles"]
    working = sum(row["measured_cycles"] for row in summary["phases"])
    assert round(total) == summary["cycles"]["busy"] == working + waiting["measured"]
    assert 0 < waiting["measured"] == waiting["predicted"] == waiting["learn"] + waiting["infer"]
    assert summary["cycles"]["clock"] > summary["cycles"]["busy"]
    assert [row["phase"] for row in summary["phases"]] == ["free", "readout", "nudged", "update"]
    assert all(0 < row["mac_utilisation"] <= 1 for row in summary["phases"])
    assert 0.3 < summary["mac_utilisation"]["overall"] <= 1


def test_summary_tells_where_it_came_from(summary):
    assert summary["design"]["name"] == "digits"
    assert summary["seed"] == summary["design"]["seed"]
    assert {"fregen", "python", "verilator", "cocotb"} <= set(summary["versions"])
    assert {"total", "generate", "build", "simulate"} <= set(summary["seconds"])
    cells = {row["name"]: row for row in summary["resources"]}
    assert cells["multipliers"]["cells"] >= summary["design"]["hardware"]["lanes"]
    assert cells["memories"]["bits"] > 3_000 * 16


def test_terminal_ends_with_the_table(shown):
    text = shown[1]
    for line in (
        "accuracy, float",
        "accuracy, fixed point",
        "accuracy, RTL",
        "words compared",
        "mismatches",
        "cycles a sample learnt",
        "cycles a sample inferred",
        "MAC utilisation",
    ):
        assert line in text


class _Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.figures, self.headings, self.outside = [], 0, [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br", "use", "path", "defs"):
            self.open.append(tag)
        self.figures += tag == "svg"
        found = dict(attrs)
        for key in ("src", "href", "xlink:href"):
            value = found.get(key) or "#"
            if not value.startswith(("#", "data:")):
                self.outside.append(value)

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def test_report_is_one_whole_page(shown):
    text = (shown[0] / "report.html").read_text()
    page = _Page()
    page.feed(text)
    assert page.figures == 3
    assert page.outside == []
    assert page.headings == [
        "Learning curves",
        "State evolution of one sample",
        "Cycle budget",
        "Resources",
        "How it was run",
    ]
    assert page.open == []
    assert "before technology mapping, place and route" in text
    assert "{{" not in text


def test_a_wrong_chip_ends_with_2(shown, summary, monkeypatch, tmp_path):
    def wrong(built, asked, **_):
        for name in ("predictions.bin", "results.xml"):
            shutil.copy(shown[0] / "run" / name, asked.folder / name)
        first = ("sample 3, free phase, step 1, layer 1, neuron 0: expected +0.5, got +0.25",)
        return Result(
            summary["words_compared"], 1, 0, 0, first, 3, summary["counters"], 1.0, 0.5, asked.folder, asked.number
        )

    monkeypatch.setattr(module, "run", wrong)
    monkeypatch.setattr(module, "simulate", lambda *_: (None, Path("wave.vcd")))
    for name in ("generate", "build"):
        monkeypatch.setattr(module, name, lambda *_, **__: None)
    monkeypatch.setattr(module, "resources", lambda _: ())
    result = CliRunner().invoke(cli.cli, ["demo", "--quick", "-o", str(tmp_path / "out")])
    assert result.exit_code == 2, result.output
    assert "sample 3, free phase, step 1, layer 1, neuron 0" in result.stderr
    assert "waveform: wave.vcd" in result.stderr
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["passed"] is False
    assert "Do not use this design" in (tmp_path / "out" / "report.html").read_text()
