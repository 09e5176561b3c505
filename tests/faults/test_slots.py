"""Proofs about which samples are under way: that all slots but one are busy at most, the prover finds by itself."""

from pathlib import Path

import pytest

from fregen.design.document import Design
from fregen.emit.emitted import emit_rtlil
from fregen.faults import mutants
from fregen.faults.prove import Prover, Verdicts
from fregen.hdl.beat import Sizes
from fregen.hdl.ports import core_ports
from fregen.plan import Schedule
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.rtl

DESIGN = Design.parse(
    {"name": "five", "network": {"layers": (2, 2, 2)}, "learning": {"batch": 4}, "hardware": {"lanes": 1}}
)


OTHERS: Verdicts = {("nothing", 0): "refuted", ("data", 0): "refuted", ("data", 1): "refuted"}
"""Attempts that are not tried."""


def test_only_the_last_slot_need_not_be_seen_to_be_busy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is looked at only while all others are busy, and then it is free; nothing is proved of another slot."""
    monkeypatch.setattr(mutants, "OPERATORS", ("not", "mux"))
    sizes, text = Sizes(Schedule.of(NetworkSpec(DESIGN))), emit_rtlil(DESIGN)
    wire, last = "sequencer.was_busy", sizes.memory.slots - 1
    # Faults are drawn until those of the first and of the last slot are among them: at once, on the core as it is.
    for seed in (7, *range(20)):
        planted = mutants.plant(text, "five", 700, seed, tmp_path)
        asked = {
            (int(fault.wire.removeprefix(wire).strip("[]")), fault.mode): fault.number
            for fault in planted.faults
            if fault.wire.startswith(wire) and (fault.operator, fault.port) in (("not", "A"), ("mux", "S"))
        }
        if {(0, "const0"), (last, "const0"), (last, "const1")} <= set(asked):
            break
    prover = Prover(planted.netlist, core_ports(sizes))
    found = {fault: prover.prove(n, tmp_path, 20, False, OTHERS)[1]["beats", 0] for fault, n in asked.items()}
    assert {(0, "const0"), (last, "const1")} <= set(found)
    assert {fault for fault, verdict in found.items() if verdict == "proved"} == {(last, "const0")}
    assert set(found.values()) == {"proved", "refuted"}
