"""A host that resets in mid-run, falters, or moves inputs while they do not count: words stay the golden model's."""

from pathlib import Path

import pytest

from fregen.design.document import Design
from fregen.runs.scenario import Scenario
from fregen.runs.varied import varied
from fregen.spec.network import NetworkSpec
from fregen.verification import gang

pytestmark = pytest.mark.rtl

RESTARTS = {"in_the_first_load": 60, "while_words_come": 700, "never": 0}
"""Cycle of the reset; the last load word is taken in cycle 69, a sample takes about 180 cycles."""
FAULTS = {
    "without_reset": ("rst <= 1; begun <= 0;", "begun <= 0;"),
    "rate_in_updates": ("probe_phase != 3", "probe_phase == 3"),
}
"""Planted in the bench: what it then does must be seen."""
FALTERING = {
    "samples_are_not_held_back": ("sample_valid = offer && !pause", "sample_valid = offer"),
    "weights_count_twice": ("if (weight_out_valid && weight_out_ready) $f", "if (weight_out_valid) $f"),
    "predictions_count_twice": ("if (prediction_valid && prediction_ready) $f", "if (prediction_valid) $f"),
}
"""Planted in a bench that falters: seen if it does, on each of the three streams."""


def design_of(name: str) -> Design:
    return Design.parse(
        {
            "name": name,
            "network": {"layers": (3, 4, 3)},
            "learning": {"batch": 2, "free_steps": 3, "nudged_steps": 2},
            "hardware": {"lanes": 2},
        }
    )


def run_of(design: Design) -> Scenario:
    scenario = varied(NetworkSpec(design), 3, 4000)
    scenario.unruly = True
    scenario.restart = RESTARTS.get(design.name, 700 if design.name == "without_reset" else 0)
    scenario.falter = 2026 if design.name == "falters" or design.name in FALTERING else 0
    return scenario


def test_a_reset_at_any_moment_begins_anew_and_what_does_not_count_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bench is seen to do what it says: without the reset, or with a rate that moves in updates, words differ.

    Where it falters, so they do if it does not wait while the core or itself is not ready.
    """
    right = gang.render_bench

    def planted(emitted, **values):
        text = right(emitted, **values)
        old, new = (FAULTS | FALTERING).get(emitted.name, ("", ""))
        assert old in text
        return text.replace(old, new) if old else text

    monkeypatch.setattr(gang, "render_bench", planted)
    designs = [design_of(name) for name in (*RESTARTS, "falters", *FAULTS, *FALTERING)]
    found = {member.design.name: result for member, result in gang.verify_gang(designs, tmp_path, run_of)}
    for name in (*RESTARTS, "falters"):
        assert found[name].compared > 200, name
        assert found[name].mismatches == 0, (name, found[name].first)
    for name in (*FAULTS, *FALTERING):
        assert found[name].mismatches > 0, name
