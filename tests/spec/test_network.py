"""What a design means in integers: which designs have no such meaning."""

import pytest

from fregen.design.document import Design
from fregen.errors import DesignError
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.unit


def test_all_keys_that_fixed_point_cannot_take_are_told_at_once():
    design = Design.parse(
        {
            "name": "a",
            "network": {"layers": [4, 3, 3, 2], "beta": 0.3, "biases": True},
            "learning": {"batch": 5, "optimizer": "adam", "state_noise": 0.5, "rate_steps": [{"epoch": 3, "rate": 3}]},
        }
    )
    with pytest.raises(DesignError) as caught:
        NetworkSpec(design)
    keys = [line.partition(": ")[0] for line in str(caught.value).splitlines()]
    assert keys == [
        "network.beta",
        "learning.rate_steps (epoch 3)",
        "learning.batch",
        "learning.optimizer",
        "network.biases",
        "learning.state_noise",
    ]
