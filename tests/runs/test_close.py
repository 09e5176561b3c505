"""Full batches end by the core's own count or by ``close``, partial ones by ``close`` alone."""

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.golden import NetworkModel
from fregen.runs.scenario import Scenario
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.unit


def test_full_batches_are_sent_with_and_without_close():
    spec = NetworkSpec(Design.parse({"name": "net", "network": {"layers": (3, 4, 2)}, "learning": {"batch": 2}}))
    model = NetworkModel(spec)
    model.initial()
    scenario = Scenario(spec, model.weights)
    scenario.learn(np.ones((7, 3), dtype=np.int64), np.zeros(7, dtype=np.int64), 0.5)
    sends = scenario._sends()
    assert [send.closes for send in sends] == [False, True, False, True, False, True, True]
    assert [send.says_so for send in sends] == [False, False, False, True, False, False, True]
