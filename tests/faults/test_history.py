"""Proofs from what the cycles before allow: exactly the faults that no words of the tables show are proved."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Module, Signal, Value
from amaranth.lib.memory import Memory

from fregen.faults.history import History
from fregen.faults.mutants import Mutants, plant
from fregen.faults.prove import Prover
from fregen.fixed import round_shift
from fregen.hdl import requant
from fregen.hdl.ports import Port

pytestmark = pytest.mark.rtl

LEFT, RIGHT = (111, 105, 100, 75, 35, 20, 11, 0), (48, 47, 45, 24)
"""Words of the tables; the first is also written into a memory."""

SHIFT = 7
"""Bits that are dropped from a product of the two."""

PORTS = [
    Port("valid", "out", 1, False, "whether the word counts"),
    Port("word", "out", 7, False, "the rounded product", strobe="valid"),
]


def circuit(wrong: Callable[[Value], Any] | None = None, begin: int = 0, depth: int = 4, early: bool = False) -> str:
    """A word of a table goes into a memory; what is read there, times a word of another table, is rounded.

    Parameters
    ----------
    wrong : callable, optional
        Changes what is written.
    begin : int
        What the memory begins with.
    depth : int
        Its words; there are addresses for four.
    early : bool
        Whether a word counts that was read before the first clock.
    """
    m = Module()
    m.domains.sync = clocks = ClockDomain("sync", reset_less=True)
    inputs = {"left": 3, "right": 2, "place": 2, "asked": 2, "write": 1, "ask": 1, "noise": 1}
    given = {name: Signal(width, name=name) for name, width in inputs.items()}
    valid, word = Signal(name="valid"), Signal(7, name="word")

    m.submodules.left = left = Memory(shape=7, depth=8, init=LEFT)
    m.submodules.right = right = Memory(shape=6, depth=4, init=RIGHT)
    m.submodules.kept = kept = Memory(shape=7, depth=depth, init=[begin])
    tables = left.read_port(), right.read_port()
    write, read = kept.write_port(), kept.read_port()
    writes, place = Signal(), Signal(2)
    m.d.sync += [writes.eq(given["write"]), place.eq(given["place"])]
    m.d.comb += [
        tables[0].addr.eq(given["left"]),
        tables[1].addr.eq(given["right"]),
        read.addr.eq(given["asked"]),
        write.en.eq(writes),
        write.addr.eq(place),
        write.data.eq(tables[0].data ^ (wrong(given["noise"]) if wrong else 0)),
    ]
    product, asked, late = Signal(13), Signal(init=early), Signal()
    m.d.sync += [
        *(asked.eq(given["ask"]), late.eq(asked), valid.eq(late)),
        product.eq(read.data * tables[1].data),
        word.eq(requant.round_shift(product, SHIFT)),
    ]
    return rtlil.convert(m, name="small", ports=[clocks.clk, *given.values(), valid, word])


def planted(where: Path, rtl: str) -> tuple[Mutants, Prover]:
    mutants = plant(rtl, "small", 400, 0, where)
    return mutants, Prover(mutants.netlist, PORTS)


def sticky_bits(mutants: Mutants) -> dict[int, int]:
    """Faults by the bit below the half that rounding does not see."""
    return {
        fault.bit: fault.number
        for fault in mutants.faults
        if (fault.operator, fault.port, fault.mode) in (("reduce_or", "A", "const0"), ("reduce_bool", "A", "const0"))
    }


def unproved(mutants: Mutants, prover: Prover, where: Path) -> set[int]:
    """Sticky bits without which the circuit may do something else, as far as the proofs see."""
    bits = sticky_bits(mutants)
    assert set(bits) == set(range(SHIFT - 1))
    history = History(prover.net, prover.inputs, prover.outputs, prover.observed)
    return {bit for bit, number in bits.items() if history.prove(number, where / "fault.aig", 20) != "proved"}


def needed(words: Iterable[int]) -> set[int]:
    """Bits below the half without which a product of such words with one of the other table is rounded elsewhere."""

    def unseen(product: int, bit: int) -> int:
        half, below = product >> (SHIFT - 1) & 1, product & ((1 << (SHIFT - 1)) - 1) & ~(1 << bit)
        return (product >> SHIFT) + (half & (bool(below) | (product >> SHIFT & 1)))

    products = {word * right for word in words for right in RIGHT}
    return {bit for bit in range(SHIFT - 1) for word in products if unseen(word, bit) != round_shift(word, SHIFT)}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mutants, Prover]:
    return planted(tmp_path_factory.mktemp("sound"), circuit())


def test_a_sticky_bit_is_proved_exactly_if_no_product_of_table_words_needs_it(
    sound: tuple[Mutants, Prover], tmp_path: Path
) -> None:
    assert needed(LEFT) == {3, 5}
    assert unproved(*sound, tmp_path) == {3, 5}


WRONG: dict[str, tuple[str, Iterable[int]]] = {
    "other words are written": (circuit(wrong=lambda noise: noise << 3), {*LEFT, *(word ^ 8 for word in LEFT)}),
    "the memory begins with another word": (circuit(begin=21), range(128)),
    "a word beyond the memory's end is read": (circuit(depth=3), range(128)),
}
"""Circuits in which words are multiplied that the table does not have, or of which nothing is known; and which."""


@pytest.mark.parametrize("what", WRONG)
def test_less_is_proved_of_a_memory_that_may_hold_other_words(what: str, tmp_path: Path) -> None:
    rtl, words = WRONG[what]
    assert needed(words) > needed(LEFT)
    assert unproved(*planted(tmp_path, rtl), tmp_path) == needed(words)


def test_nothing_is_proved_where_words_count_that_were_read_before_the_first_clock(tmp_path: Path) -> None:
    """Whatever comes after them: the first cycles are a question of their own."""
    assert unproved(*planted(tmp_path, circuit(early=True)), tmp_path) == set(range(SHIFT - 1))


def test_only_the_thorough_attempt_asks(sound: tuple[Mutants, Prover], tmp_path: Path) -> None:
    bits, prover = sticky_bits(sound[0]), sound[1]
    assert "history" not in prover.prove(bits[5], tmp_path, 1, thorough=False)[1]
    method, verdicts = prover.prove(bits[5], tmp_path, 1, thorough=True)
    assert (method, verdicts["history"]) == (None, "refuted")
    assert prover.prove(bits[4], tmp_path, 5, thorough=True)[0] == "history"
