"""Every topology, on Verilator: residual, asymmetric and arbitrary graphs are data, and no unit knows them."""

from pathlib import Path

import pytest

from fregen.design.document import Design
from fregen.verification.gang import verify_gang

pytestmark = pytest.mark.rtl

WEB = ((0, 0, 1, 0, 1), (1, 0, 0, 1, 0), (0, 1, 0, 0, 0), (1, 0, 1, 0, 1), (0, 1, 0, 1, 0))
NETWORKS = {
    "residual": {"topology": "residual", "block": 2},
    "asymmetric": {"feedback": "asymmetric"},
    "web": {"topology": "adjacency", "adjacency": WEB},
    "agt": {"topology": "random", "feedback": "asymmetric", "graph_seed": 3, "probability": 0.4},
    "scaled": {"topology": "residual", "start": 2, "scales": [{"source": 5, "target": 2, "scale": 0.125}]},
}
LEARNING = {
    "offset": {"nudged": "offset", "order": "sweep", "error": "held"},
    "states": {"nudged": "states", "order": "synchronous", "error": "recomputed"},
    "mixed": {"nudged": "offset", "order": "synchronous", "error": "recomputed", "stop": False},
}


def design_of(name: str, learning: str, lanes: int, rounding: str) -> Design:
    return Design.parse(
        {
            "name": f"{name}_{learning}",
            "network": {"layers": (13, 11, 9, 7, 10, 8, 5), **NETWORKS[name]},
            "numerics": {"rounding": rounding},
            "learning": {"batch": 4, "free_steps": 8, "nudged_steps": 5, **LEARNING[learning]},
            "hardware": {"lanes": lanes},
        }
    )


@pytest.mark.parametrize(
    ("learning", "lanes", "rounding"),
    [
        ("mixed", 16, "nearest"),
        pytest.param("offset", 4, "nearest", marks=pytest.mark.long),
        pytest.param("states", 8, "stochastic", marks=pytest.mark.long),
    ],
)
def test_hardware_equals_golden_model(learning: str, lanes: int, rounding: str, tmp_path: Path) -> None:
    designs = [design_of(name, learning, lanes, rounding) for name in NETWORKS]
    for member, result in verify_gang(designs, tmp_path):
        assert result.compared > 1000, member.design.name
        assert result.mismatches == 0, (member.design.name, result.first)
