"""What `fregen show` says of memories and multipliers is what yosys counts."""

import pytest

from fregen.design.document import Design
from fregen.emit.resources import resources
from fregen.hdl.beat import Sizes
from fregen.hdl.footprint import footprint
from fregen.plan import Schedule
from fregen.spec.network import NetworkSpec

pytestmark = [pytest.mark.rtl, pytest.mark.tool]

DESIGNS = {
    "offset": ([5, 3, 3, 3], 2, {"nudged": "offset"}, 8, {}),
    "states": ([19, 13, 9, 5], 4, {"nudged": "states", "error": "recomputed"}, 32, {}),
    "single": ([5, 3, 1], 1, {"nudged": "states", "batch": 1, "order": "synchronous"}, 1, {}),
    "two_in_flight": ([5, 3, 3, 3], 2, {"nudged": "offset"}, 8, {"samples": 2}),
    "four_in_flight": ([9, 7, 5], 4, {"nudged": "states", "order": "synchronous"}, 1, {"samples": 4}),
    "two_leave": ([19, 13, 9, 5], 4, {"nudged": "offset"}, 32, {"drain": 2}),
    "four_leave": ([9, 7, 5], 4, {"nudged": "states"}, 1, {"drain": 4, "samples": 2}),
    "two_words": ([19, 13, 5], 2, {"nudged": "offset"}, 8, {"words": 2}),
    "eight_words": ([5, 3, 3], 2, {"nudged": "states"}, 8, {"words": 8, "samples": 2, "drain": 2}),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_memory_bits_and_multipliers_are_those_that_yosys_counts(name):
    layers, lanes, learning, segments, hardware = DESIGNS[name]
    design = Design.parse(
        {
            "name": name,
            "network": {"layers": layers},
            "numerics": {"activation": {"segments": segments}},
            "learning": learning,
            "hardware": {"lanes": lanes, **hardware},
        }
    )
    needs = footprint(Sizes(Schedule.of(NetworkSpec(design))))
    counted = {row.name: row for row in resources(design)}
    assert needs.memory_bits == counted["memories"].bits
    assert needs.multipliers == counted["multipliers"].cells
