"""No record is lost: code that gives the numbers of the stored records finds them, and no other code does."""

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from runpy import run_path

import pytest

from fregen.design.document import Design
from fregen.reproduce import Experiment, Settling, sources

pytestmark = pytest.mark.unit

SCRIPT = Path(__file__).with_name("equal_code.py")
DESIGN = Design.parse({"name": "a", "network": {"layers": [64, 5, 4, 10]}})
# Names of records of the code before fregen/ was moved into folders (commit d53bdc1).
RECORDS = {
    ("fixed", None): "238f104faa03c16f",
    ("float", None): "a7cf0781963fa039",
    ("pep", None): "84d1e8a653741980",
    ("float", Settling(10, 20, 30)): "75b2b2cfc1e4b650",
}


@pytest.fixture(scope="module")
def script():
    return run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def stored(script):
    return json.loads(script["STORED"].read_text())


def test_trainings_give_the_numbers_of_the_stored_records(script, stored):
    """The numbers are those of commit d53bdc1, whose code made the records."""
    assert script["differing"](script["numbers"](), stored) == []


def test_a_difference_in_any_number_is_named(script, stored):
    other = deepcopy(stored)
    other["fixed, offset"]["weights"][1] = "0" * 16
    other["float"]["test"][1] += 1 / 60
    other["lra"]["weights"][0][2] *= 1 + 1e-6
    other["settling"]["time"] += 0.1
    assert script["differing"](other, stored) == [
        "/fixed, offset/weights/1",
        "/float/test/1",
        "/lra/weights/0/2",
        "/settling/time",
    ]


@pytest.mark.parametrize("kind", sources.KINDS)
def test_code_of_today_is_entered(kind):
    digest = sources.code_hash(*sources.KINDS[kind])
    assert digest in json.loads(sources.EQUAL.read_text())[kind], (
        "code that records depend on was changed: run `python tests/reproduce/equal_code.py`, which enters it if the "
        "numbers are the same; if they are to be others, say so in CHANGELOG.md, begin equal_code.json anew with this "
        f"code and numbers.json with `--print` ({digest})"
    )


@pytest.mark.parametrize(("how", "name"), RECORDS.items(), ids=str)
def test_a_record_from_before_the_move_is_found(how, name):
    model, settling = how
    assert Experiment("any", DESIGN, model, 3, settling).digest == name


def test_other_code_finds_no_record(monkeypatch):
    one = Experiment("any", DESIGN, "fixed", 3)
    monkeypatch.setattr(sources, "code_hash", lambda *_: "0" * 64)
    assert replace(one).digest not in RECORDS.values()
