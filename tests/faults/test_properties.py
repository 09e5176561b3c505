"""Proofs about small circuits: what holds is proved, what does not is refuted, by each way of asking."""

import pytest
from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Module, Signal

from fregen.errors import ToolError
from fregen.faults.properties import Circuit

pytestmark = pytest.mark.rtl


@pytest.fixture(scope="module")
def circuit() -> Circuit:
    """Return a counter of 0 to 9, a twin, and what is said of them."""
    m = Module()
    m.domains.sync = clocks = ClockDomain("sync", reset_less=True)
    step, outputs = Signal(name="step"), []
    counter, twin = Signal(4, name="counter"), Signal(4, name="twin")
    late = Signal(4, name="late_counter")
    for count in (counter, twin):
        with m.If(step):
            m.d.sync += count.eq(count + 1)
            with m.If(count == 9):
                m.d.sync += count.eq(0)
    m.d.sync += late.eq(counter)
    for name, wrong in {
        "ten": counter == 10,
        "nine": counter == 9,
        "twelve": counter >= 12,
        "other": counter != twin,
        "late": late != counter - step,
        "jump": (late != counter) & (late + 1 != counter) & (counter != 0),
    }.items():
        outputs.append(output := Signal(name=name))
        m.d.comb += output.eq(wrong)
    return Circuit(rtlil.convert(m, ports=[clocks.clk, step, *outputs]))


def test_what_cannot_be_reached_is_proved(circuit: Circuit) -> None:
    assert {name: circuit.never(name) for name in circuit.outputs} == {
        "ten": "proved", "nine": "refuted", "twelve": "proved", "other": "proved", "late": "refuted", "jump": "proved",
    }  # fmt: skip
    assert circuit.never() == "refuted"


def test_what_merging_makes_constant_is_proved_too(circuit: Circuit) -> None:
    """The model checker calls a constant undecided; twins are merged to one."""
    assert circuit.never("other", seconds=1) == "proved"


def test_induction_over_one_cycle_needs_what_is_kept(circuit: Circuit) -> None:
    """From 11, which cannot be reached, a step leads to 12; from no state in which twins are the same they part."""
    assert circuit.kept("other") == "proved"
    assert circuit.kept("twelve") == "refuted"
    assert circuit.kept("nine") == "refuted"


def test_after_some_cycles_from_any_state(circuit: Circuit) -> None:
    assert circuit.never_after(0, "jump") == "refuted"
    assert circuit.never_after(1, "jump") == "proved"
    assert circuit.never_after(5, "ten") == "refuted"
    assert circuit.never_after(3, "other") == "refuted"
    assert circuit.never_after(3, "other", same={"counter": "twin"}) == "proved"


def test_registers_that_are_not_the_same_are_refuted(circuit: Circuit) -> None:
    assert circuit.never_after(1, "jump", same={"counter": "late_counter"}) == "refuted"
    with pytest.raises(ToolError, match="expected registers counter and third"):
        circuit.never_after(1, same={"counter": "third"})
    with pytest.raises(ToolError, match="expected one of the outputs"):
        circuit.never("eleven")
