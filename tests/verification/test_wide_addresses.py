"""Designs whose vector memories need more than 12 bits of address, which no bench could log: they verify."""

from pathlib import Path

import pytest

from fregen.design.document import Design
from fregen.golden import NetworkModel
from fregen.hdl.beat import Sizes
from fregen.plan import Schedule
from fregen.runs.prepare import random_samples
from fregen.runs.scenario import Scenario
from fregen.spec.network import NetworkSpec
from fregen.verification.gang import verify_gang
from fregen.verification.verify import verify

pytestmark = [pytest.mark.rtl, pytest.mark.tool]


def design(name, layers, lanes, batch, **learning):
    steps = {"free_steps": 2, "nudged_steps": 1}
    table = {"name": name, "network": {"layers": layers}, "hardware": {"lanes": lanes}}
    return Design.parse({**table, "learning": {"batch": batch, **steps, **learning}})


def few(chip):
    """Return a few samples to learn and to infer: the states of the nudged phase lie above those of all slots."""
    spec = NetworkSpec(chip)
    model = NetworkModel(spec)
    model.initial()
    words, labels = random_samples(spec, 6)
    scenario = Scenario(spec, model.weights)
    scenario.learn(words[:4], labels[:4], chip.learning.rate)
    scenario.infer(words[4:], labels[4:])
    return scenario


def address_bits(chip):
    return Sizes(Schedule.of(NetworkSpec(chip))).vector_address


def test_a_wide_batch_verifies(tmp_path: Path) -> None:
    chip = design("widebatch", (6, 60, 60, 3), 2, 64, nudged="states")
    assert address_bits(chip) > 12
    (_, result), *_ = verify_gang([chip], tmp_path, few)
    assert result.passed, result.first
    assert result.compared > 1000


@pytest.mark.long
@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
def test_a_wide_batch_verifies_from_its_first_sample_to_its_last(simulator, tmp_path: Path) -> None:
    verdict = verify(design("widebatch", (6, 60, 60, 3), 2, 64), tmp_path, simulator, 64, random=True)
    assert verdict.passed, verdict.result.first


@pytest.mark.long
@pytest.mark.parametrize(
    "chip",
    [
        design("paper", (784, 512, 512, 10), 16, 16),
        design("deep20", (64, *[64] * 20, 10), 16, 16),
        design("deep10", (64, *[64] * 10, 10), 4, 16),
    ],
    ids=lambda chip: chip.name,
)
def test_the_papers_nets_verify(chip: Design, tmp_path: Path) -> None:
    verdict = verify(chip, tmp_path, samples=40, random=True)
    assert verdict.passed, verdict.result.first
