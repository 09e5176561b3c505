"""Weight images: a literal, the way back, and what is refused."""

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.errors import DataError, LoweringError
from fregen.plan import MemoryMap, pack_weights, unpack_weights
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.unit


def memory_of(layers, lanes):
    return MemoryMap(
        NetworkSpec(Design.parse({"name": "t", "network": {"layers": layers}, "hardware": {"lanes": lanes}}))
    )


def words_of(memory, seed=0):
    rng, q = np.random.default_rng(seed), memory.spec.weight
    return [rng.integers(q.min_word, q.max_word + 1, memory.spec.graph.shape(m)) for m in memory.spec.graph.matrices]


def test_an_image_as_worked_by_hand():
    """W0 (3 x 2) on 2 lanes: rows 0, 1 then row 2; W1 (1 x 3) is kept as its transpose, one column beside padding."""
    memory = memory_of((2, 3, 1), 2)
    image = pack_weights(memory, [np.array([[1, 2], [3, 4], [5, 6]]), np.array([[7, 8, 9]])])
    assert image.tolist() == [[1, 3], [2, 4], [5, 0], [6, 0], [7, 8], [0, 0], [9, 0], [0, 0]]


@pytest.mark.parametrize("lanes", [1, 2, 4, 16, 64])
@pytest.mark.parametrize("layers", [(1, 1, 1), (5, 4, 3), (17, 33, 6, 10), (3, 4, 9)])
def test_unpack_inverts_pack(layers, lanes):
    memory = memory_of(layers, lanes)
    words = words_of(memory)
    image = pack_weights(memory, words)
    assert image.shape == (memory.weight_depth, lanes)
    assert np.count_nonzero(image) == sum(np.count_nonzero(w) for w in words)
    for m, matrix in zip(memory.spec.graph.matrices, words, strict=True):
        rows = matrix.T if memory.is_transposed(m) else matrix
        base, stride = memory.weight_bases[m.index], memory.row_stride(m)
        for (i, j), word in np.ndenumerate(rows):
            assert image[base + i // lanes * stride + j, i % lanes] == word
    back = unpack_weights(memory, image)
    assert all((a == b).all() for a, b in zip(back, words, strict=True))


def test_every_padding_word_that_is_not_zero_is_refused():
    memory = memory_of((2, 3, 1), 2)
    full = pack_weights(memory, [np.full(memory.spec.graph.shape(m), 1) for m in memory.spec.graph.matrices])
    padding = np.argwhere(full == 0)
    assert len(padding) == full.size - 9
    for address, lane in padding:
        image = full.copy()
        image[address, lane] = -5
        with pytest.raises(LoweringError, match=rf"^padding word at address {address}, lane {lane} is -5, not 0$"):
            unpack_weights(memory, image)


def test_other_shapes_are_refused():
    memory = memory_of((2, 3, 1), 2)
    words = words_of(memory)
    with pytest.raises(DataError, match=r"^matrix W0: expected 3 x 2 words, not shape \(2, 3\)$"):
        pack_weights(memory, [words[0].T, words[1]])
    with pytest.raises(LoweringError, match=r"^a weight image is 8 x 2 words, not \(2, 8\)$"):
        unpack_weights(memory, np.zeros((2, 8), dtype=np.int32))


def test_the_image_given_is_left_as_it_is():
    memory = memory_of((5, 4, 3), 4)
    image = pack_weights(memory, words_of(memory))
    before = image.copy()
    unpack_weights(memory, image)
    assert (image == before).all()
