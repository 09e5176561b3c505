"""ECP5's memories and multipliers, as ``sim/ecp5.v`` models their primitives, against portable ones, bit for bit.

All of them are in one simulation: what the two families make of the same inputs is compared in every cycle, by
hardware beside them that counts differences.
"""

import subprocess
from itertools import product

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data

from fregen.design import document
from fregen.design.document import Design
from fregen.emit.render import primitive_models
from fregen.emit.verilog import without_zeros, write_verilog
from fregen.hdl.delay import delayed
from fregen.hdl.families import FAMILIES, Ecp5, Portable, family_of
from fregen.plan import PIPELINES
from fregen.verification.gang import verify_apart

pytestmark = pytest.mark.rtl

CYCLES = 700
COUNT = 16
"""Bits of a count."""


def parts(width, count):
    return data.ArrayLayout(unsigned(width), count)


MEMORIES = [  # words, shape of a word, elements or bits that are written at once, cycles to answer
    *((65, 1, None, 2), (65, 36, None, 2), (64, 18, None, 2), (33, 19, None, 3), (32, 9, None, 2)),
    *((1024, 18, None, 2), (1024, 19, None, 2), (1025, 9, None, 2), (1025, 18, None, 3), (1000, 36, None, 2)),
    *((2048, 9, None, 2), (2048, 19, None, 2), (2049, 1, None, 2), (4096, 4, None, 2), (4096, 9, None, 4)),
    *((4097, 2, None, 2), (8192, 9, None, 2), (8193, 1, None, 2), (16384, 1, None, 2), (16384, 3, None, 2)),
    *((16385, 2, None, 2), (2 * 16384 + 40, 1, None, 2), (3 * 16384, 1, None, 3)),  # of several banks
    *((100, parts(9, 4), 1, 2), (100, parts(19, 2), 1, 2), (1025, parts(1, 5), 1, 2), (70, parts(7, 4), 2, 3)),
    *((2048, 12, 4, 2), (16384 + 9, parts(1, 3), 1, 2), (100, signed(20), None, 2), (512, 6, None, 1)),
]
"""Every geometry of the part, to its last word and a word beyond it; up to 32 words, or answered in one cycle: none."""

TABLES = [  # words, bits of a word, cycles to answer
    *((65, 1, 2), (100, 18, 2), (128, 19, 2), (1000, 37, 2), (1024, 18, 3), (513, 24, 4)),
    *((64, 9, 2), (100, 9, 1), (1025, 9, 2)),
]
"""The last three are not made of blocks: too few words, too soon, too many words."""

WIDTHS = [(9, 5), (1, 1), (5, 18), (19, 10), (36, 18), (37, 12), (20, 19)]
SIGNS = list(product((unsigned, signed), repeat=2))
PRODUCTS = [  # shapes of both factors, cycles
    *((a(18), b(18), cycles) for (a, b), cycles in product(SIGNS, (1, 2, 3, 4))),
    *((a(wide), b(narrow), 1 + k % 5) for k, ((wide, narrow), (a, b)) in enumerate(product(WIDTHS, SIGNS))),
    *((signed(24), signed(17), cycles) for cycles in (1, 2, 3, 4, 5, 6)),
    *((signed(60), signed(8), cycles) for cycles in (2, 4, 6)),
]
"""The longest and the shortest factors with all of the part's registers, or some; and wide ones, of several parts."""


class Late(Ecp5):
    """Everything comes a cycle late."""

    def ram(self, m, name, shape, depth, latency=1, parts=None):
        return super().ram(m, name, shape, depth, latency + 1, parts)

    def product(self, m, name, a, b, cycles):
        return super().product(m, name, a, b, cycles + 1)

    def rom(self, m, name, shape, words, address, latency=1):
        return super().rom(m, name, shape, words, address, latency + 1)

    def local(self, m, name, value):
        return delayed(m, super().local(m, name, value), 1, f"{name}_late")


class Positive(Ecp5):
    """No factor has a sign; nor is a word that is read while it is written anything but the old one."""

    def ram(self, m, name, shape, depth, latency=1, parts=None):
        return Portable().ram(m, name, shape, depth, latency, parts)

    def product(self, m, name, a, b, cycles):
        return super().product(m, name, a[: len(a)], b[: len(b)], cycles)


class Comparison(Elaboratable):
    """Both families side by side; ``counts`` has COUNT bits of each name of ``names``.

    ``random`` are random bits, other ones in every cycle.
    """

    def __init__(self):
        self.random = Signal(256)
        self.counts = Signal(COUNT * (3 * (len(MEMORIES) + 2) + 2 * (len(PRODUCTS) + 4) + 2 * (len(TABLES) + 1) + 2))
        self.names = []
        self._counts = []

    def elaborate(self, platform):
        m = Module()
        for number, (depth, shape, written, latency) in enumerate(MEMORIES):
            self._memory(m, Ecp5(), f"memory_{number}", depth, shape, written, latency)
        for number, (a, b, cycles) in enumerate(PRODUCTS):
            self._product(m, Ecp5(), f"product_{number}", a, b, cycles)
        for number, (depth, width, latency) in enumerate(TABLES):
            self._table(m, Ecp5(), f"table_{number}", depth, width, latency)
        self._table(m, Late(), "Late_table", *TABLES[0])
        self._local(m, Ecp5(), "local")
        for family in (Late(), Positive()):
            kind = type(family).__name__
            self._memory(m, family, f"{kind}_memory", 100, parts(9, 4), 1, 2)
            self._product(m, family, f"{kind}_product", signed(18), signed(12), 3)
            self._product(m, family, f"{kind}_wide", signed(30), signed(12), 3)
        self._local(m, Late(), "Late_local")
        m.d.comb += self.counts.eq(Cat(self._counts))
        return m

    def _count(self, m, name, event):
        count = Signal(COUNT, name=f"count_{name}")
        with m.If(event):
            m.d.sync += count.eq(count + 1)
        self.names.append(name)
        self._counts.append(count)

    def _address(self, at, depth):
        """Two bits are 1, so that each of a hundred words comes up often and no address bit can stand for another."""
        bits = (depth - 1).bit_length()
        low, high = (self.random.word_select(place, 4) for place in (at, at + 1))
        whole = ((Const(1, 16) << low) | (Const(1, 16) << high))[:bits]
        return Mux(whole >= depth, depth - 1, whole)

    def _memory(self, m, family, name, depth, shape, written, latency):
        inner = m.submodules[name] = Module()
        found = family.ram(inner, "made", shape, depth, latency, written)
        wanted = Portable().ram(inner, "portable", shape, depth, latency, written)
        read, write = Signal(range(depth), name="read"), Signal(range(depth), name="write")
        word = Signal(len(Value.cast(found.write_word)), name="word")
        enable = Signal(len(found.write), name="enable")
        before = delayed(inner, write, 1, "before")
        inner.d.comb += [
            write.eq(self._address(2, depth)),
            read.eq(Mux(self.random[16], self._address(0, depth), Mux(self.random[17], write, before))),
            word.eq(self.random[64:]),
            enable.eq(self.random[24:]),
        ]
        for ram in (found, wanted):
            inner.d.comb += [
                ram.read_address.eq(read),
                ram.write_address.eq(write),
                Value.cast(ram.write_word).eq(word),
                ram.write.eq(enable),
            ]
        # What is read while it is written is wrong, in all the bits that are; of lookup tables it is the old word.
        meets = Mux(read == write, Cat(bit.replicate(len(word) // len(enable)) for bit in enable), 0)
        wrong = delayed(inner, meets, latency, "meets") if is_block(depth, latency) else 0
        found_word, wanted_word = (Value.cast(ram.read_word).as_unsigned() for ram in (found, wanted))
        self._count(inner, f"{name}_differs", found_word != wanted_word ^ wrong)
        self._count(inner, f"{name}_meets", delayed(inner, meets != 0, latency, "met"))
        self._count(inner, f"{name}_words", wanted_word != 0)

    def _table(self, m, family, name, depth, width, latency):
        """Of words drawn at random; addresses of all bits, and the last word often."""
        inner = m.submodules[name] = Module()
        words = [
            int.from_bytes(np.random.default_rng((depth, place)).bytes(5)) & (1 << width) - 1 for place in range(depth)
        ]
        address = Signal(range(depth), name="address")
        inner.d.comb += address.eq(Mux(self.random[16:19] == 0, depth - 1, self._address(0, depth)))
        found = family.rom(inner, "made", width, words, address, latency)
        wanted = Portable().rom(inner, "portable", width, words, address, latency)
        self._count(inner, f"{name}_differs", found != wanted)
        self._count(inner, f"{name}_words", wanted != 0)

    def _factor(self, inner, at, shape):
        """Random words of all lengths, and often the least, the greatest, 0, 1 and -1 or all ones."""
        width, kind, shift = shape.width, self.random.word_select(at, 3), self.random.word_select(8 + at, 4)
        word = Signal(width, name=f"factor_{at}")
        random = (self.random[64 + 90 * at :][:width] >> shift)[:width]
        with inner.Switch(kind):
            for number, corner in enumerate((0, 1, (1 << width) - 1, 1 << (width - 1), (1 << (width - 1)) - 1)):
                with inner.Case(number):
                    inner.d.comb += word.eq(Const(corner, width))
            with inner.Default():
                inner.d.comb += word.eq(random)
        return word.as_signed() if shape.signed else word

    def _product(self, m, family, name, a, b, cycles):
        inner = m.submodules[name] = Module()
        factors = [self._factor(inner, at, shape) for at, shape in enumerate((a, b))]
        wanted = Signal((factors[0] * factors[1]).shape(), name="wanted")
        found = Signal.like(wanted, name="found")
        inner.d.comb += [
            found.eq(family.product(inner, "made", *factors, cycles)),
            wanted.eq(Portable().product(inner, "portable", *factors, cycles)),
        ]
        self._count(inner, f"{name}_differs", found != wanted)
        self._count(inner, f"{name}_words", wanted != 0)

    def _local(self, m, family, name):
        inner = m.submodules[name] = Module()
        value = self.random[:40]
        held = family.local(inner, "held", value)
        self._count(inner, f"{name}_differs", held != Portable().local(inner, "kept", value))


def is_block(depth, latency):
    return latency > 1 and depth > 32


BENCH = """
module stand;
  reg clk = 0;
  reg [255:0] random = 0, drawn;
  wire [TOP:0] counts;
  integer seed = 1, cycle, k;
  comparison dut(.clk(clk), .rst(1'b0), .random(random), .counts(counts));
  initial begin
    for (cycle = 0; cycle < CYCLES; cycle = cycle + 1) begin
      for (k = 0; k < 8; k = k + 1) drawn[32 * k +: 32] = $random(seed);
      random = drawn;
      #1 clk = 1;
      #1 clk = 0;
    end
    $display("%h", counts);
    $finish;
  end
endmodule
"""


@pytest.fixture(scope="module")
def counts(icarus, tmp_path_factory):
    """Counts by name."""
    where, dut = tmp_path_factory.mktemp("families"), Comparison()
    with without_zeros():
        text = write_verilog(str(rtlil.convert(dut, name="comparison", ports=[dut.random, dut.counts], emit_src=False)))
    assert len(dut.counts) == COUNT * len(dut.names)
    source = where / "stand.v"
    bench = BENCH.replace("TOP", str(len(dut.counts) - 1)).replace("CYCLES", str(CYCLES))
    source.write_text(text + primitive_models(["ecp5"]) + bench)
    model = where / "stand.vvp"
    command = [str(icarus.program), "-g2005", "-s", "stand", "-o", str(model), str(source)]
    compiled = subprocess.run(command, capture_output=True, text=True)
    assert (compiled.returncode, compiled.stderr) == (0, "")
    vvp = [str(icarus.program.parent / "vvp"), "-n", str(model)]
    found = subprocess.run(vvp, check=True, timeout=300, capture_output=True, text=True)
    number = int(found.stdout.split()[-1], 16)
    return {name: number >> COUNT * k & ((1 << COUNT) - 1) for k, name in enumerate(dut.names)}


def test_a_memory_of_blocks_is_the_portable_one(counts):
    """Word for word, read ``latency`` cycles after its address, with writes of whole words and of parts.

    But for a word that is read while it is written: no bit of it is right, so that no core can have relied on one.
    """
    for number, memory in enumerate(MEMORIES):
        assert counts[f"memory_{number}_differs"] == 0, memory
        assert counts[f"memory_{number}_words"] > CYCLES // 20, memory
        assert counts[f"memory_{number}_meets"] > 3, memory


def test_a_table_of_blocks_is_the_portable_one(counts):
    for number, table in enumerate(TABLES):
        assert counts[f"table_{number}_differs"] == 0, table
        assert counts[f"table_{number}_words"] > CYCLES // 4, table


def test_only_tables_of_a_block_with_two_cycles_to_answer_are_made_of_blocks():
    for number, (depth, width, latency) in enumerate(TABLES):
        m = Module()
        Ecp5().rom(m, "rom", width, [1] * depth, Signal(range(depth)), latency)
        assert rtlil.convert(m, ports=[]).count("cell \\DP16KD") == (-(-width // 18) if number < 6 else 0)


def test_a_product_of_multipliers_is_exact(counts):
    for number, factors in enumerate(PRODUCTS):
        assert counts[f"product_{number}_differs"] == 0, factors
        assert counts[f"product_{number}_words"] > CYCLES // 10, factors


def test_a_register_that_stays_apart_is_a_register(counts):
    assert counts["local_differs"] == 0


@pytest.mark.parametrize("family", ["Late", "Positive"])
def test_the_comparison_sees_what_comes_late_and_what_has_no_sign(counts, family):
    """``Positive`` keeps the old word where one is read while it is written, and so differs there alone."""
    for name in ("product", "wide"):
        assert counts[f"{family}_{name}_differs"] > CYCLES // 10
    if family == "Positive":
        assert counts["Positive_memory_differs"] == counts["Positive_memory_meets"] > 3
    else:
        assert counts["Late_memory_differs"] > CYCLES // 10
        assert counts["Late_local_differs"] > CYCLES // 2
        assert counts["Late_table_differs"] > CYCLES // 10


def test_only_large_memories_with_two_cycles_to_answer_are_made_of_blocks():
    for depth, shape, written, latency in MEMORIES:
        m = Module()
        Ecp5().ram(m, "ram", shape, depth, latency, written)
        text = rtlil.convert(m, ports=[])
        assert ("DP16KD" in text) == is_block(depth, latency)


def test_units_are_made_of_the_portable_family_unless_another_is_named():
    assert type(family_of(None)) is Portable
    assert type(family_of(Ecp5())) is Ecp5
    assert FAMILIES.keys() == PIPELINES.keys() == set(document.FAMILIES) == {"portable", "ecp5"}
    with pytest.raises(TypeError, match=r"units are elaborated for a family of fregen.hdl.families, not for str"):
        family_of("ecp5")


def design_of(name, layers, hardware, **learning):
    table = {"name": name, "network": {"layers": layers}, "hardware": {"family": "ecp5", **hardware}}
    return Design.parse({**table, "learning": {"free_steps": 4, "nudged_steps": 3, "batch": 4, **learning}})


CORES = [
    design_of("alone", (70, 9, 5, 3), {"lanes": 2}),
    design_of("flying", (37, 12, 5), {"lanes": 4, "samples": 2, "drain": 2, "words": 2}, nudged="states"),
]


def test_whole_cores_of_the_family_give_the_golden_words():
    """And their cycles are the model's, by the pipeline of the family: all counters are compared."""
    for outcome in verify_apart(CORES):
        assert outcome.passed, (outcome.design.name, outcome.text)
        assert outcome.compared > 400
