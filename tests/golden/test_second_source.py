"""What golden model and hardware share proves nothing by agreement: its constants against literals computed apart."""

import numpy as np
import pytest
from second_source import COLUMN_WORDS, DITHERS, FIRST_KEYS, ROW_WORDS, dither, drawn_pairs, first_key, uniforms

from fregen.design.document import Design, Network
from fregen.design.graph import Graph
from fregen.golden import DitherModel
from fregen.spec import dither as spec
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.golden


def test_the_dithers_constants_are_the_literals() -> None:
    assert spec.COLUMN_BASIS == COLUMN_WORDS
    assert spec.ROW_BASIS == ROW_WORDS
    assert spec.MIX == ((1, 10), (-1, 6), (1, 3), (-1, 11), (1, 15))


@pytest.mark.parametrize("seed", FIRST_KEYS)
def test_first_keys_are_the_literals(seed: int) -> None:
    assert spec.first_key(seed) == first_key(seed) == FIRST_KEYS[seed]


@pytest.mark.parametrize(("key", "column", "row", "word"), DITHERS)
def test_dither_words_are_the_literals(key: int, column: int, row: int, word: int) -> None:
    assert dither(key, column, row) == word
    h = key ^ spec.combine(spec.COLUMN_BASIS, column)
    for sign, bits in spec.MIX:
        h = (h + (h << bits)) & 0xFFFFFFFF if sign > 0 else h ^ (h >> bits)
    h ^= spec.combine(spec.ROW_BASIS, row)
    assert (h + (h >> 16)) & 0xFFFF == word


def test_the_golden_models_dither_is_the_literal_one() -> None:
    design = Design.parse({"name": "t", "network": {"layers": (5, 4, 3, 2)}, "numerics": {"rounding": "stochastic"}})
    network = NetworkSpec(design)
    model = DitherModel(network)
    for matrix in network.graph.matrices:
        first, turned = network.column_id(matrix), network.stored(matrix)[0] != matrix.target
        words = model.words(0xDEADBEEF, matrix)
        rows, columns = network.graph.shape(matrix)
        wanted = [
            [dither(0xDEADBEEF, first + (i if turned else j), j if turned else i) for j in range(columns)]
            for i in range(rows)
        ]
        assert words.tolist() == wanted


def test_the_generator_is_numpys() -> None:
    for seed in (0, 1, 99, 2**31 - 1):
        assert uniforms([seed, 5], 40) == np.random.default_rng([seed, 5]).random(40).tolist()


@pytest.mark.parametrize(("hidden", "probability", "seed"), [(3, 0.5, 0), (5, 0.2, 7), (12, 0.35, 2**31 - 1)])
def test_random_topologies_connect_what_the_literal_generator_draws(hidden: int, probability: float, seed: int) -> None:
    network = Network(layers=(2,) * (hidden + 2), topology="random", probability=probability, graph_seed=seed)
    graph = Graph.build(network)
    chain = {pair for low in range(1, hidden) for pair in ((low, low + 1), (low + 1, low))}
    found = {(c.source, c.target) for c in graph.connections if c.source and c.target != graph.output}
    assert found == chain | drawn_pairs(hidden, probability, seed)


def test_a_random_topology_is_the_one_that_it_was() -> None:
    assert drawn_pairs(4, 0.4, 3) == {(2, 3), (3, 1), (3, 4)}
