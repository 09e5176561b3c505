"""Where words live: literals of a small net, and that no two words share a place."""

from itertools import pairwise

import pytest

from fregen.design.document import Design
from fregen.plan import MemoryMap
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.unit


def memory_of(layers, lanes, batch=8, samples=1, **hardware):
    hardware |= {"lanes": lanes, "samples": samples}
    table = {"name": "t", "network": {"layers": layers}, "hardware": hardware, "learning": {"batch": batch}}
    return MemoryMap(NetworkSpec(Design.parse(table)))


def test_addresses_as_worked_by_hand():
    """Sizes 6, 5, 3 on 4 lanes.

    W0 is 5 x 6: 2 row groups, stride 8, 16 addresses.  W1 is 3 x 5, kept as 5 x 3: 2 row groups, stride 4, 8 addresses.
    Vectors: the hidden layer takes 2 lines, the error 1, so a plane has 4; slots 0 to 2, scratch 3, next 4.
    """
    memory = memory_of((6, 5, 3), 4, batch=2)
    first, second = memory.spec.graph.matrices
    assert (memory.stored_shape(first), memory.stored_shape(second)) == ((5, 6), (5, 3))
    assert (memory.is_transposed(first), memory.is_transposed(second)) == (False, True)
    assert (memory.row_stride(first), memory.row_stride(second)) == (8, 4)
    assert memory.weight_bases == (0, 16, 24)
    assert memory.weight_depth == 24
    assert memory.vector_bases == (0, 0, 2)
    assert (memory.hidden_groups, memory.plane_size, memory.state_plane_size) == (2, 4, 2)
    assert (memory.slots, memory.scratch_plane, memory.next_plane, memory.planes) == (3, 3, 4, 5)
    assert (memory.kept_words, memory.input_size) == (8, 6)
    assert [memory.tile(5, k) for k in range(2)] == [4, 1]


def test_planes_of_two_samples_in_flight_as_worked_by_hand():
    """A batch of 4: slots 0 to 5, scratch 6 and 7, next 8 and 9."""
    memory, alone = memory_of((6, 5, 3), 4, batch=4, samples=2), memory_of((6, 5, 3), 4, batch=4)
    assert (memory.contexts, memory.slots) == (2, 6)
    assert (memory.scratch_plane, memory.next_plane, memory.planes) == (6, 8, 10)
    assert (memory.plane_size, memory.weight_depth) == (alone.plane_size, alone.weight_depth)


@pytest.mark.parametrize(("drain", "kept"), [(1, 8), (2, 4), (4, 2)])
def test_words_that_activations_keep_as_worked_by_hand(drain, kept):
    """2 rows of 4 lanes, of which D share an address, one in each activation: also where the last row has 1 neuron."""
    memory = memory_of((6, 5, 3), 4, drain=drain)
    assert (memory.drain, memory.kept_words) == (drain, kept)


@pytest.mark.parametrize(
    ("inputs", "words", "beats"),
    [
        *((6, 1, 6), (6, 2, 3), (6, 4, 2), (6, 8, 1)),
        *((1, 1, 1), (1, 8, 1), (8, 8, 1), (9, 8, 2), (784, 8, 98), (785, 4, 197)),
    ],
)
def test_beats_of_a_sample_as_worked_by_hand(inputs, words, beats):
    memory = memory_of((inputs, 5, 3), 4, words=words)
    assert (memory.input_size, memory.words, memory.sample_beats) == (inputs, words, beats)


@pytest.mark.parametrize("samples", [1, 2, 4])
@pytest.mark.parametrize("batch", [1, 2, 8])
def test_every_sample_in_flight_has_planes_of_its_own(batch, samples):
    memory = memory_of((6, 5, 3), 4, batch, samples)
    own = [memory.scratch_plane + k for k in range(samples)] + [memory.next_plane + k for k in range(samples)]
    assert sorted([*range(memory.slots), *own]) == list(range(memory.planes))
    assert memory.slots == batch + samples


def test_an_output_as_wide_as_its_source_is_not_transposed():
    memory = memory_of((3, 4, 4), 4)
    assert [memory.is_transposed(m) for m in memory.spec.graph.matrices] == [False, False]


@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("layers", [(1, 1, 1), (5, 4, 3), (64, 32, 17, 10), (7, 65, 3, 70, 2), (3, 4, 9)])
def test_no_two_words_share_a_place(layers, lanes):
    memory = memory_of(layers, lanes, batch=4)
    graph = memory.spec.graph
    places = []
    for m in graph.matrices:
        rows, columns = memory.stored_shape(m)
        base, stride = memory.weight_bases[m.index], memory.row_stride(m)
        assert base % lanes == 0, "a ring tile replaces the low bits of its address"
        assert stride % lanes == 0
        places += [(base + i // lanes * stride + j, i % lanes) for i in range(rows) for j in range(columns)]
    assert len(set(places)) == len(places) == sum(a * b for a, b in pairwise(layers))
    assert max(address for address, _ in places) < memory.weight_depth
    lines = [
        memory.vector_bases[layer.index] + k for layer in graph.layers[1:] for k in range(memory.groups(layer.size))
    ]
    assert lines == list(range(len(lines)))
    assert len(lines) <= memory.plane_size
    assert memory.plane_size & (memory.plane_size - 1) == 0
    for drain in (width for width in (1, 2, 4) if width <= lanes):
        assert memory_of(layers, lanes, drain=drain).kept_words * drain == memory.hidden_groups * lanes
    assert sum(memory.tile(layers[1], k) for k in range(memory.groups(layers[1]))) == layers[1]
    assert {memory.scratch_plane, memory.next_plane} == {memory.slots, memory.slots + 1}
    assert memory.planes == memory.slots + 2
