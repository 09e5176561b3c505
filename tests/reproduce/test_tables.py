"""Ours against published numbers: means, spreads and every character that is written."""

import math

import pytest

from fregen.reproduce import COLUMNS, Outcome, Row, Sheet, summarise, write_sheet, write_table

pytestmark = pytest.mark.unit


def outcome(label, seed, best, last, seconds, model="float", epochs=4):
    return Outcome(label, model, f"{seed:016x}", seed, epochs, best, last, 0.5, seconds, [best] * (epochs - 1) + [last])


OUTCOMES = [
    outcome("b, two", 0, 0.90, 0.80, 60.0),
    outcome("a", 0, 0.50, 0.25, 6.0, "fixed", 2),
    outcome("b, two", 1, 0.94, 0.82, 120.0),
    outcome("b, two", 2, 0.95, 0.84, 30.0),
]


def test_summary_in_figures_worked_by_hand():
    first, second = summarise(OUTCOMES, {"b, two": 93.5, "unknown": 1.0})
    assert (first.label, first.model, first.seeds, first.epochs) == ("b, two", "float", 3, 4)
    assert first.best == pytest.approx(93.0)
    assert first.best_spread == pytest.approx(math.sqrt(7)), "of the sample: (9 + 1 + 4) / 2"
    assert (first.last, first.last_spread) == (pytest.approx(82.0), pytest.approx(2.0))
    assert (first.published, first.difference) == (93.5, pytest.approx(-0.5))
    assert first.minutes == pytest.approx(70 / 60)
    assert second == Row("a", "fixed", 1, 2, 50.0, 0.0, 25.0, 0.0, None, 0.1)
    assert second.difference is None


def test_per_cent_have_no_digits_of_the_binary_point():
    (row,) = summarise([outcome("a", 0, 0.8865, 0.57, 6.0)], {"a": 88.6})
    assert (row.best, row.last, row.difference) == (88.65, 57.0, 0.05)


def test_summary_of_nothing():
    assert summarise([], {"a": 1.0}) == []


ROWS = [
    Row("b, two", "float", 3, 4, 93.0, 2.6457, 82.0, 2.0, 93.5, 1.1667),
    Row("c", "pep", 2, 4, 93.756, 0.005, 82.004, 0.0, 93.5, 0.04),
    Row("a", "fixed", 1, 2, 50.0, 0.0, 25.0, 0.0, None, 10.0),
]


def test_table_is_written_as_text_and_as_csv(tmp_path):
    write_table(ROWS, tmp_path, "found", "convolution")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found.csv", "found.md"]
    assert (tmp_path / "found.md").read_bytes().decode() == (
        "| net | model | seeds | epochs | best % | last % | published % | difference | minutes |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
        "| b, two | float | 3 | 4 | 93.00 ± 2.65 | 82.00 ± 2.00 | 93.50 | -0.50 | 1.2 |\n"
        "| c | pep | 2 | 4 | 93.76 ± 0.01 | 82.00 ± 0.00 | 93.50 | +0.26 | 0.0 |\n"
        "| a | fixed | 1 | 2 | 50.00 ± 0.00 | 25.00 ± 0.00 |  |  | 10.0 |\n"
        "\n"
        "Left out: convolution.\n"
    )
    assert (tmp_path / "found.csv").read_bytes().decode() == (
        "net,model,seeds,epochs,best %,last %,published %,difference,minutes\r\n"
        '"b, two",float,3,4,93.00 ± 2.65,82.00 ± 2.00,93.50,-0.50,1.2\r\n'
        "c,pep,2,4,93.76 ± 0.01,82.00 ± 0.00,93.50,+0.26,0.0\r\n"
        "a,fixed,1,2,50.00 ± 0.00,25.00 ± 0.00,,,10.0\r\n"
    )


def test_table_says_nothing_is_left_out_by_saying_nothing(tmp_path):
    write_table(ROWS[2:], tmp_path, "found")
    assert (tmp_path / "found.md").read_text(encoding="utf-8").endswith("|  |  | 10.0 |\n")
    assert len(COLUMNS) == len(ROWS[0].cells())


def test_sheet_is_written_with_all_digits_and_shown_with_four(tmp_path):
    sheet = Sheet(("net, kind", "beta", "steps"), [("a", 1 / 3, 12345.678), ("b", 1e-6, "")])
    write_sheet(sheet, tmp_path, "measured")
    assert [path.name for path in tmp_path.iterdir()] == ["measured.csv"]
    assert (tmp_path / "measured.csv").read_bytes().decode() == (
        '"net, kind",beta,steps\r\na,0.3333333333333333,12345.678\r\nb,1e-06,\r\n'
    )
    assert sheet.cells() == [("a", "0.3333", "1.235e+04"), ("b", "1e-06", "")]
