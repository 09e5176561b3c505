"""A whole study, small: files, tables, figure, and `fregen reproduce`."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import pytest
from click.testing import CliRunner

from fregen.commands import cli
from fregen.design.document import Design
from fregen.errors import DesignError
from fregen.reproduce import TARGETS, Choice, Experiment, Sheet, Target, files, reproduce
from fregen.reproduce.plots import against_published

pytestmark = pytest.mark.e2e

DESIGN = Design.parse(
    {
        "name": "little",
        "network": {"layers": [64, 5, 4, 10]},
        "data": {"train": 64, "test": 40},
        "learning": {"free_steps": 2, "nudged_steps": 1, "batch": 8},
    }
)


def build(scale):
    for label, model in (("fixed point", "fixed"), ("real", "float")):
        for seed in range(1 if scale == "quick" else 2):
            yield Experiment(label, DESIGN.replace(seed=seed), model, 2)


def measure(scale, runs):
    return Sheet(("scale", "seed", "best"), [(scale, e.design.seed, outcome.best) for e, outcome in runs])


SMALL = Target("small", "A small study", build, against_published, {"real": 50.0}, measure, "all that is large")


def only_measures(scale):
    return iter(())


def trained(scale):
    """What a study makes of its experiments where nothing is chosen: real numbers in single precision."""
    return [replace(e, precision="double" if e.model == "fixed" else "single") for e in build(scale)]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "small"
    return folder, reproduce(SMALL, "full", folder)


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


def run(*arguments, code=0):
    result = CliRunner().invoke(cli.cli, ["reproduce", *(str(argument) for argument in arguments)])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


def test_a_study_writes_exactly_its_files(done):
    folder, _ = done
    assert files(SMALL, "full") == [f"small_full{end}" for end in (".svg", ".png", ".csv", ".md", "_measured.csv")]
    assert entries(folder) == sorted([*files(SMALL, "full"), "runs"])
    assert entries(folder / "runs") == sorted(f"{e.digest}.json" for e in trained("full"))
    assert (folder / "small_full.svg").read_text().lstrip().startswith(("<?xml", "<svg"))
    assert min(matplotlib.image.imread(folder / "small_full.png").shape[:2]) > 200


def test_what_is_written_is_what_was_found(done):
    folder, found = done
    assert found.title == "A small study (full)"
    assert [experiment for experiment, _ in found.runs] == trained("full")
    assert [outcome.digest for _, outcome in found.runs] == [experiment.digest for experiment in trained("full")]
    assert [(row.label, row.seeds, row.published) for row in found.rows] == [
        ("fixed point", 2, None),
        ("real", 2, 50.0),
    ]
    with (folder / "small_full.csv").open(newline="", encoding="utf-8") as file:
        assert [tuple(row) for row in csv.reader(file)][1:] == [row.cells() for row in found.rows]
    assert (folder / "small_full.md").read_text(encoding="utf-8").endswith("\nLeft out: all that is large.\n")
    lines = (folder / "small_full_measured.csv").read_text().splitlines()
    assert lines == ["scale,seed,best", *(f"full,{e.design.seed},{outcome.best}" for e, outcome in found.runs)]


def test_a_second_run_trains_nothing_and_writes_the_same(done):
    folder, _ = done
    before, told = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}, []
    reproduce(SMALL, "full", folder, progress=lambda *call: told.append(call))
    assert told == [(8, 8, ""), (8, 8, "")]
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_study_that_trains_nothing_has_no_table(tmp_path):
    study = Target("look", "Only measured", only_measures, against_published, measure=measure)
    found = reproduce(study, "quick", tmp_path)
    assert found.rows == []
    assert entries(tmp_path) == sorted([*files(study, "quick"), "runs"])
    assert "look_quick.csv" not in files(study, "quick")


def test_a_study_that_only_trains_has_no_measurements(done, tmp_path):
    (tmp_path / "runs").symlink_to(done[0] / "runs")
    study = Target("small", "A small study", build, against_published)
    assert reproduce(study, "full", tmp_path).sheet is None
    assert entries(tmp_path) == sorted([*files(study, "full"), "runs"])
    assert "Left out" not in (tmp_path / "small_full.md").read_text(encoding="utf-8")


# Command line -------------------------------------------------------------------------------------------------------


def test_help_names_every_target():
    text = run("--help").stdout
    named = text.split("TARGET:")[1].split(";")[0].replace(" or ", ", ").replace("\n", " ")
    assert sorted(name.strip() for name in named.split(",")) == sorted(TARGETS)
    assert "--json" in text


def test_an_unknown_target_is_one_line_and_an_exit_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("nonsense", code=3)
    assert result.stderr == f"error: there is no target 'nonsense'; there are: {', '.join(sorted(TARGETS))}\n"
    assert result.stdout == ""
    assert entries(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'TARGET'"),
        (["table1", "--scale", "huge"], "--scale"),
        (["table1", "--processes", "0"], "--processes"),
    ],
)
def test_wrong_command_lines_exit_with_64(arguments, message):
    assert message in run(*arguments, code=64).stderr


def test_json_has_rows_and_files(done, monkeypatch):
    folder, found = done
    monkeypatch.setitem(TARGETS, "small", SMALL)
    told = json.loads(run("small", "--scale", "full", "-o", folder, "--json").stdout)
    assert list(told) == ["target", "scale", "rows", "files"]
    assert (told["target"], told["scale"]) == ("small", "full")
    assert told["files"] == sorted(str(folder / name) for name in files(SMALL, "full"))
    assert told["rows"] == [{**vars(row), "difference": row.difference} for row in found.rows]
    assert told["rows"][0]["difference"] is None
    assert told["rows"][1]["difference"] == pytest.approx(told["rows"][1]["best"] - 50)


def test_text_has_table_measurements_and_what_is_left_out(done, monkeypatch):
    folder, found = done
    monkeypatch.setitem(TARGETS, "small", SMALL)
    text = run("small", "--scale", "full", "-o", folder).stdout
    for part in ("fixed point", f"{found.rows[0].best:.2f} ±", "published %", f"{found.runs[0][1].best:.4g}"):
        assert part in text
    assert "left out: all that is large\n" in text
    assert f"written: {folder / 'small_full.csv'}, " in text


def test_quick_is_the_default_and_the_folder_has_one(done, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(TARGETS, "small", SMALL)
    (tmp_path / "build" / "reproduce" / "small").mkdir(parents=True)
    (tmp_path / "build" / "reproduce" / "small" / "runs").symlink_to(done[0] / "runs")
    told = json.loads(run("small", "--json").stdout)
    assert told["scale"] == "quick"
    assert "build/reproduce/small/small_quick.svg" in told["files"]
    assert all(Path(name).exists() for name in told["files"])


def test_absent_data_are_an_error_of_their_own(tmp_path, monkeypatch):
    monkeypatch.delenv("FREGEN_DATA", raising=False)
    assert "set FREGEN_DATA" in run("fig2", "-o", tmp_path, code=4).stderr


# MNIST --------------------------------------------------------------------------------------------------------------


def test_figure_2_of_an_image_is_what_the_document_says(mnist, tmp_path):
    """At β = 0.01 the states change by less than 1e-6 from step 9 on; at 0.25, 1 and 4 not within 50 steps."""
    told = json.loads(run("fig2", "-o", tmp_path, "--json").stdout)
    assert told["rows"] == []
    assert sorted(told["files"]) == sorted(str(tmp_path / name) for name in files(TARGETS["fig2"], "quick"))
    with (tmp_path / "fig2_quick_measured.csv").open(newline="") as file:
        rows = [(float(row["beta"]), int(row["step"]), float(row["change"])) for row in csv.DictReader(file)]
    still = {beta: [step for b, step, change in rows if b == beta and change < 1e-6] for beta in (0.01, 0.25, 1.0, 4.0)}
    assert still == {0.01: list(range(9, 51)), 0.25: [], 1.0: [], 4.0: []}


# A part of a study -------------------------------------------------------------------------------------------------


def test_a_choice_of_everything_is_the_study_in_single_precision():
    assert Choice().experiments(SMALL, "full") == trained("full")
    double = Choice(precision="double").experiments(SMALL, "full")
    assert double == list(build("full"))
    assert len({e.digest for e in double} | {e.digest for e in trained("full")}) == 6, "fixed point has no precision"


def test_a_choice_takes_nets_seeds_epochs_and_a_tolerance():
    chosen = Choice(only=("real",), seeds=1, epochs=7, tolerance=0.5).experiments(SMALL, "full")
    assert [(e.label, e.design.seed, e.epochs, e.precision, e.tolerance) for e in chosen] == [
        ("real", 0, 7, "single", 0.5)
    ]
    assert chosen[0].digest != replace(chosen[0], tolerance=None).digest
    fixed = Choice(only=("fixed point",), tolerance=0.5).experiments(SMALL, "full")
    assert fixed == [e for e in build("full") if e.model == "fixed"], "words have no tolerance"


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice(only=("real", "none")), "small has no net 'none'; it has: fixed point; real"),
        (Choice(seeds=3), "small: expected 1 to 2 seeds at the scale 'full', not 3"),
    ],
)
def test_a_choice_that_the_study_has_not_is_refused(choice, message):
    with pytest.raises(DesignError) as caught:
        choice.experiments(SMALL, "full")
    assert str(caught.value) == message


def test_a_part_is_trained_alone_and_told_of(tmp_path, monkeypatch):
    monkeypatch.setitem(TARGETS, "small", SMALL)
    part = ("--only", "real", "--seeds", 1, "--epochs", 1, "--tolerance", 0.1, "--precision", "double")
    found = json.loads(run("small", "-o", tmp_path, "--scale", "full", *part, "--processes", 1, "--json").stdout)
    assert [(row["label"], row["seeds"], row["epochs"]) for row in found["rows"]] == [("real", 1, 1)]
    assert len(entries(tmp_path / "runs")) == 1
    failed = run("small", "-o", tmp_path, "--only", "unreal", code=3)
    assert "small has no net 'unreal'; it has: fixed point; real" in failed.output
