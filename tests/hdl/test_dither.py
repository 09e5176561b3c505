"""Dither of every weight against the golden model."""

from itertools import pairwise

import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from unit_bench import make_sizes, play, unpack

from fregen.golden import DitherModel
from fregen.hdl import dither as dither_module
from fregen.hdl.dither import DitherUnit, lane_dither
from fregen.spec.dither import ROW_BASIS, first_key, next_key

pytestmark = pytest.mark.rtl


class AllLanes(wiring.Component):
    """The unit, and what every lane makes of its word."""

    def __init__(self, sizes, seed):
        self.unit = DitherUnit(seed, sizes.lanes, sizes.column_bits, sizes.group_bits)
        self.lanes = sizes.lanes
        super().__init__({"step": In(1), "column": In(sizes.column_bits), "group": In(sizes.group_bits)})
        self.words = Signal(16 * sizes.lanes)

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit = unit = self.unit
        m.d.comb += [unit.step.eq(self.step), unit.column.eq(self.column), unit.group.eq(self.group)]
        m.d.comb += self.words.eq(Cat(lane_dither(unit.word, lane) for lane in range(self.lanes)))
        return m


def differences(lanes, layers, seed, updates=3):
    """Every weight of every matrix, over some updates; how many words differ, and how many were compared."""
    sizes = make_sizes(layers, lanes)
    spec, memory, model = sizes.spec, sizes.memory, DitherModel(sizes.spec)
    rows, places, key = [], [], first_key(seed)
    for _ in range(updates):
        for matrix in spec.graph.matrices:
            stored_rows, columns = memory.stored_shape(matrix)
            words = model.words(key, matrix)
            words = words.T if memory.is_transposed(matrix) else words
            assert words.shape == (stored_rows, columns)
            for column in range(columns):
                for group in range(memory.groups(stored_rows)):
                    begin = group * lanes
                    places.append((len(rows), words[begin : begin + lanes, column].tolist()))
                    rows.append({"column": spec.column_id(matrix) + column, "group": group, "step": 0})
        # A step may come in the cycle after the last beat that needs the key before.
        rows.append({"step": 1})
        key = next_key(key)
    found = play(dut := AllLanes(sizes, seed), rows, ["words"], after=DitherUnit.LATENCY)
    assert dut.unit.LATENCY == 7
    wrong = 0
    for t, words in places:
        wrong += unpack(found[t + 7][0], 16, lanes, is_signed=False)[: len(words)] != words
    return wrong, sum(len(words) for _, words in places)


@pytest.mark.parametrize("seed", [0, 2**31 - 1])
@pytest.mark.parametrize(
    ("lanes", "layers"),
    [(1, (6, 5, 4, 3)), (4, (9, 6, 7, 3)), (64, (5, 70, 130, 10)), (4, (3, 4, 9)), (8, (2, 300, 2))],
)
def test_dither_of_every_weight_equals_golden(lanes, layers, seed):
    wrong, compared = differences(lanes, layers, seed)
    assert wrong == 0
    assert compared == 3 * sum(a * b for a, b in pairwise(layers))


def test_latency_is_seven():
    unit = DitherUnit(5, 1, 6, 2)
    found = play(unit, [{"column": 1, "group": 1}, {"column": 0, "group": 0}], ["word"], after=10)
    settled = found[-1]
    assert [t for t, record in enumerate(found) if t > 7 and record != settled] == []
    assert found[7] != settled == found[8]


MUTANTS = {"MIX": ((1, 10), (-1, 6), (1, 3), (-1, 11), (1, 14)), "ROW_BASIS": ROW_BASIS[::-1]}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_bench_sees_a_mutant(monkeypatch, mutant):
    monkeypatch.setattr(dither_module, mutant, MUTANTS[mutant])
    assert differences(4, (9, 6, 7, 3), 0, updates=1)[0]
