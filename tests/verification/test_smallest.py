"""The smallest nets that a design file can ask for: one neuron, one class, one lane, one sample, one segment."""

from pathlib import Path

import pytest

from fregen.design.document import Design
from fregen.verification.gang import verify_gang

pytestmark = pytest.mark.rtl

DESIGNS = {
    "one_output": {"network": {"layers": (5, 4, 1)}, "hardware": {"lanes": 4}},
    "one_output_recomputed": {
        "network": {"layers": (5, 4, 1)},
        "learning": {"nudged": "states", "error": "recomputed", "order": "synchronous"},
        "hardware": {"lanes": 2},
    },
    "one_of_all": {"network": {"layers": (1, 1, 1)}, "learning": {"batch": 1}, "hardware": {"lanes": 1}},
    "one_of_all_many_lanes": {"network": {"layers": (1, 1, 1)}, "learning": {"batch": 1}, "hardware": {"lanes": 8}},
    "one_input": {"network": {"layers": (1, 3, 2)}, "learning": {"batch": 1}, "hardware": {"lanes": 2}},
    "one_hidden": {"network": {"layers": (3, 1, 1, 2)}, "learning": {"batch": 2}, "hardware": {"lanes": 4}},
    "one_segment": {
        "network": {"layers": (4, 3, 2)},
        "numerics": {"activation": {"segments": 1}},
        "hardware": {"lanes": 4},
    },
    "one_step": {
        "network": {"layers": (4, 3, 2)},
        "learning": {"free_steps": 1, "nudged_steps": 1, "batch": 1, "stop": False},
        "hardware": {"lanes": 1},
    },
}


def design_of(name: str) -> Design:
    sections = DESIGNS[name]
    learning = {"free_steps": 3, "nudged_steps": 2, "batch": 4, **sections.get("learning", {})}
    return Design.parse({"name": name, **sections, "learning": learning})


def test_the_smallest_nets_verify(tmp_path: Path) -> None:
    for member, result in verify_gang([design_of(name) for name in DESIGNS], tmp_path):
        assert "[-1:0]" not in member.emitted.verilog, member.design.name
        assert result.compared > 40, member.design.name
        assert result.mismatches == 0, (member.design.name, result.first)
