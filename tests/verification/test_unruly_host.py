"""A host that resets in mid-run, falters, or moves inputs while they do not count: words stay the golden model's."""

import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.hdl.core import Core
from fregen.hdl.weight_port import WeightPort
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
SHY = {
    "a_prediction_waits_for_its_taker": (Core, "_predict", "~o.valid | o.ready", "o.ready"),
    "a_load_is_forgotten": (WeightPort, "elaborate", "engaged.eq(~(last_lane & last_address))", "engaged.eq(0)"),
    "a_sample_begins_in_a_load": (WeightPort, "elaborate", "self.may_start) | engaged", "self.may_start)"),
    "weights_are_sent_in_a_load": (WeightPort, "elaborate", "& self.may_start & ~engaged", "& self.may_start"),
}
"""Planted in the core: seen by a host that waits until a word is offered, and halts in a load."""


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
    if design.name == "waits" or design.name in SHY:
        scenario.falter = 2027
        weights = [np.full_like(words, scenario.spec.weight.max_word // 3) for words in scenario.weights]
        scenario.learn(np.ones((2, 3), dtype=np.int64), np.zeros(2, dtype=np.int64), 0.5, weights)
    return scenario


def plant_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant a fault in the core of the design that is called after it, and in no other."""
    for kind, method in {(kind, method) for kind, method, *_ in SHY.values()}:
        right = getattr(kind, method)
        text = textwrap.dedent(inspect.getsource(right))
        variants: dict[str, Callable[..., Any]] = {}
        for name, (_, _, old, new) in ((n, f) for n, f in SHY.items() if f[:2] == (kind, method)):
            assert text.count(old) == 1, name
            scope: dict[str, Any] = {}
            exec(compile(text.replace(old, new), name, "exec"), right.__globals__, scope)
            variants[name] = scope[method]

        def chosen(self, *args, right=right, variants=variants):
            return variants.get(self.sizes.spec.design.name, right)(self, *args)

        monkeypatch.setattr(kind, method, chosen)


def test_a_reset_at_any_moment_begins_anew_and_what_does_not_count_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bench is seen to do what it says: without the reset, or with a rate that moves in updates, words differ.

    Where it falters, so they do if it does not wait while the core or itself is not ready; where it waits itself, if
    the core does not offer a word before, or takes no notice of a load that is half done.
    """
    right = gang.render_bench

    def planted(emitted, **values):
        text = right(emitted, **values)
        old, new = (FAULTS | FALTERING).get(emitted.name, ("", ""))
        assert old in text
        return text.replace(old, new) if old else text

    monkeypatch.setattr(gang, "render_bench", planted)
    plant_by_name(monkeypatch)
    sound = (*RESTARTS, "falters", "waits")
    designs = [design_of(name) for name in (*sound, *FAULTS, *FALTERING, *SHY)]
    found = {member.design.name: result for member, result in gang.verify_gang(designs, tmp_path, run_of)}
    for name in sound:
        assert found[name].compared > 200, name
        assert found[name].mismatches == 0, (name, found[name].first)
    for name in (*FAULTS, *FALTERING, *SHY):
        assert found[name].mismatches > 0, name
