"""Simulators take no notice of a full disk; what they leave then is no verdict on the hardware."""

import json
from types import SimpleNamespace

import pytest

from fregen.errors import OutputError, ToolError
from fregen.verification import simulate

pytestmark = pytest.mark.unit

MISSING = {
    "run": "1",
    "compared": 10,
    "different": 0,
    "missing": 90,
    "extra": 0,
    "first": [],
    "sample": 0,
    "counters": {},
}


def verdict(folder, text):
    (folder / "verdict.json").write_text(text)
    return simulate._verdict(SimpleNamespace(folder=folder, number="1"), folder / "run.log", "", 1.0)


def full(folder):
    raise OutputError(f"{folder}: cannot be written: No space left on device")


@pytest.mark.parametrize(
    "text", ["", '{"run": "1", "comp', json.dumps(MISSING)], ids=["empty", "cut off", "words missing"]
)
def test_a_full_disk_is_no_mismatch(tmp_path, monkeypatch, text):
    monkeypatch.setattr(simulate, "check_room", full)
    with pytest.raises(OutputError, match="No space left on device"):
        verdict(tmp_path, text)


def test_half_a_verdict_is_none(tmp_path):
    with pytest.raises(ToolError, match="ended without a verdict"):
        verdict(tmp_path, '{"run": "1", "comp')


def test_missing_words_on_a_sound_disk_are_a_verdict(tmp_path):
    found = verdict(tmp_path, json.dumps({**MISSING, "seconds": {"simulation": 1.0}}))
    assert found.missing == 90
