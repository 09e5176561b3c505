import numpy as np
import pytest

from fregen.design.document import Network
from fregen.design.graph import ONE, Connection, Graph, Kind, Layer, Matrix
from fregen.design.initial import glorot
from fregen.errors import DesignError, GraphError

pytestmark = pytest.mark.unit


def layered(*sizes, **keys):
    return Graph.build(Network(layers=sizes, **keys))


def test_layered_network_has_forward_and_transposed_feedback_connections():
    graph = layered(4, 3, 2, 5, alpha=0.5, beta=0.25)
    assert [(m.name, m.target, m.source, graph.shape(m)) for m in graph.matrices] == [
        ("W0", 1, 0, (3, 4)),
        ("W1", 2, 1, (2, 3)),
        ("W2", 3, 2, (5, 2)),
    ]
    assert set(graph.connections) == {
        Connection(0, 1, 0, False, 1.0, Kind.FORWARD),
        Connection(1, 2, 1, False, 0.5, Kind.FORWARD),
        Connection(2, 1, 1, True, 0.25, Kind.FEEDBACK),
        Connection(2, 3, 2, False, 1.0, Kind.FORWARD),
    }
    assert graph.error_connections == (Connection(3, 2, 2, True, 1.0, Kind.FEEDBACK),)
    assert [matrix.index for matrix in graph.learned] == [0, 1, 2]
    assert (graph.output, [layer.index for layer in graph.hidden]) == (3, [1, 2])


def test_single_hidden_layer_has_no_feedback_but_the_error():
    graph = layered(4, 3, 2)
    assert [c.kind for c in graph.connections] == [Kind.FORWARD, Kind.FORWARD]
    assert [(c.source, c.target) for c in graph.error_connections] == [(2, 1)]


def test_into_lists_sources_in_rising_order():
    graph = layered(4, 3, 2, 2, 5)
    assert [(c.source, c.kind) for c in graph.into(2)] == [(1, Kind.FORWARD), (3, Kind.FEEDBACK)]
    assert graph.into(0) == ()


def test_a_fixed_feedback_matrix_does_not_learn():
    layers = (Layer(0, 4), Layer(1, 3), Layer(2, 2), Layer(3, 5))
    matrices = (Matrix(0, "W0", 1, 0), Matrix(1, "W1", 2, 1), Matrix(2, "W2", 3, 2), Matrix(3, "B1", 1, 2))
    forward = [Connection(i, i + 1, i, False, 1.0, Kind.FORWARD) for i in range(3)]
    graph = Graph(layers, matrices, (*forward, Connection(2, 1, 3, False, 0.5, Kind.FEEDBACK)))
    assert [matrix.name for matrix in graph.learned] == ["W0", "W1", "W2"]
    assert [array.shape for array in glorot(graph, 0)] == [(3, 4), (2, 3), (5, 2), (3, 2)]


# Topologies -----------------------------------------------------------------------------------------------------------


def links(graph):
    """Hidden-to-hidden connections as (source, target)."""
    return {(c.source, c.target) for c in graph.connections if c.source and c.target != graph.output}


def chain(hidden):
    return {pair for i in range(1, hidden) for pair in ((i, i + 1), (i + 1, i))}


def test_residual_connections_span_blocks_both_ways():
    graph = layered(*[4] * 12, topology="residual")
    extra = {(1, 4), (4, 7), (7, 10)}
    assert links(graph) == chain(10) | extra | {(t, s) for s, t in extra}
    assert [m.name for m in graph.matrices] == [*(f"W{i}" for i in range(11)), "W1_4", "W4_7", "W7_10"]
    assert {m.name for m in graph.learned} == {m.name for m in graph.matrices}
    back = next(c for c in graph.connections if (c.source, c.target) == (4, 1))
    assert (graph.matrices[back.matrix].name, back.transposed) == ("W1_4", True)
    assert links(layered(*[4] * 12, topology="residual", block=4, start=3)) == chain(10) | {(3, 7), (7, 3)}


def test_asymmetric_feedback_has_fixed_matrices_of_its_own():
    graph = layered(6, 5, 4, 3, 2, feedback="asymmetric", beta=0.25)
    assert [(m.name, m.target, m.source) for m in graph.matrices[4:]] == [("B1", 1, 2), ("B2", 2, 3), ("B3", 3, 4)]
    assert [m.name for m in graph.learned] == ["W0", "W1", "W2", "W3"]
    assert all(not c.transposed for c in graph.connections)
    assert graph.error_connections == (Connection(4, 3, 6, False, 1.0, Kind.FEEDBACK),)
    assert {c.scale for c in graph.connections if c.kind is Kind.FEEDBACK} == {0.25}


def test_random_graph_has_the_chain_and_a_part_of_all_other_pairs():
    graphs = [layered(*[2] * 22, topology="random", probability=0.2, graph_seed=seed) for seed in (0, 0, 1)]
    found = [links(graph) for graph in graphs]
    assert found[0] == found[1] != found[2]
    assert chain(20) <= found[0]
    part = len(found[0] - chain(20)) / (20 * 19 - len(chain(20)))
    assert 0.14 < part < 0.26
    assert links(layered(*[2] * 22, topology="random", probability=0)) == chain(20)


def test_adjacency_is_taken_as_it_is():
    rows = ((0, 1, 1), (1, 0, 0), (0, 1, 0))
    graph = layered(4, 3, 3, 3, 2, topology="adjacency", adjacency=rows)
    assert links(graph) == {(2, 1), (3, 1), (1, 2), (2, 3)}
    lone = next(c for c in graph.connections if (c.source, c.target) == (3, 1))
    assert (graph.matrices[lone.matrix].name, lone.transposed) == ("B1_3", False)
    assert next(c for c in graph.connections if (c.source, c.target) == (2, 1)).transposed


def test_a_connection_may_have_its_own_scale():
    graph = layered(4, 3, 3, 2, alpha=0.5, beta=0.25, scales=[{"source": 2, "target": 1, "scale": 0.125}])
    assert {(c.source, c.target): c.scale for c in graph.connections if c.source} == {
        (1, 2): 0.5,
        (2, 1): 0.125,
        (2, 3): 1.0,
    }
    with pytest.raises(GraphError, match="no connection from hidden layer 1 to 3"):
        layered(4, 3, 3, 3, 2, scales=[{"source": 1, "target": 3, "scale": 0.5}])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (((0, 1, 0), (0, 0, 0), (0, 1, 0)), "hidden layer 2 has no path from the input"),
        (((0, 1, 0), (1, 0, 0), (1, 0, 0)), "hidden layer 2 has no path to the output"),
    ],
)
def test_a_layer_off_every_path_is_refused(rows, message):
    with pytest.raises(GraphError, match=message):
        layered(4, 3, 3, 3, 2, topology="adjacency", adjacency=rows)


def test_shrinkage_counts_feedback_along_the_best_path():
    graph = layered(*[3] * 12, topology="residual", beta=2**-5)
    # From layer 10, which the nudge reaches: 10 -> 7 -> 4 -> 1, and forward from there for nothing.
    assert graph.shrinkage(0.5) == (16, 16, 16, 16, 11, 11, 11, 6, 6, 6, 1, 0)
    assert layered(4, 3, 3, 2, beta=2**-5).shrinkage(0.25) == (7, 7, 2, 0)
    assert layered(4, 3, 3, 2, beta=4.0).shrinkage(0.5) == (1, 1, 1, 0)


# Feature maps and biases ----------------------------------------------------------------------------------------------

IMAGE = {"channels": 2, "height": 6, "width": 8}


def test_a_convolution_has_a_kernel_for_every_pair_of_maps():
    graph = layered(IMAGE, {"channels": 3, "kernel": 3, "pool": 2}, {"channels": 5, "kernel": 2, "padding": 1}, 7, 4)
    assert [(layer.size, layer.maps, layer.outputs) for layer in graph.layers] == [
        (96, (2, 6, 8), 96),
        (72, (3, 4, 6), 18),
        (60, (5, 3, 4), 60),
        (7, None, 7),
        (4, None, 4),
    ]
    assert [(m.name, m.kernel, m.padding, graph.shape(m), graph.fans(m)) for m in graph.matrices] == [
        ("W0", 3, 0, (3, 2 * 9), (18, 3 * 9)),
        ("W1", 2, 1, (5, 3 * 4), (12, 5 * 4)),
        ("W2", 0, 0, (7, 60), (60, 7)),
        ("W3", 0, 0, (4, 7), (7, 4)),
    ]


def test_a_neuron_reads_only_what_leads_on_from_pooled_maps():
    graph = layered(IMAGE, {"channels": 3, "kernel": 3, "pool": 2}, 4)
    assert graph.shape(graph.matrices[1]) == (4, 3 * 2 * 3)
    assert graph.fans(graph.matrices[1]) == (18, 4)


def test_a_product_multiplies_every_weight_once_at_every_pixel_before_pooling():
    graph = layered(IMAGE, {"channels": 3, "kernel": 3, "pool": 2}, {"channels": 5, "kernel": 2, "padding": 1}, 7, 4)
    assert [graph.multiplications(m) for m in graph.matrices] == [54 * 4 * 6, 60 * 3 * 4, 7 * 60, 4 * 7]
    assert [layered(4, 3, 2).multiplications(m) for m in layered(4, 3, 2).matrices] == [12, 6]


def test_biases_are_a_column_for_neurons_or_maps_and_multiply_nothing():
    graph = layered(IMAGE, {"channels": 3, "kernel": 3, "pool": 2}, 7, 4, biases=True)
    assert [(m.name, m.source, graph.shape(m), graph.multiplications(m)) for m in graph.biases] == [
        ("b1", ONE, (3, 1), 0),
        ("b2", ONE, (7, 1), 0),
        ("b3", ONE, (4, 1), 0),
    ]
    assert [m.name for m in graph.learned] == ["W0", "W1", "W2"]


FORWARD = (Connection(0, 1, 0, False, 1.0, Kind.FORWARD), Connection(1, 2, 1, False, 1.0, Kind.FORWARD))


@pytest.mark.parametrize(
    ("connections", "message"),
    [
        ((Connection(0, 5, 0, False, 1.0, Kind.FORWARD),), "0 -> 5 names a layer or matrix that is not there"),
        ((Connection(0, 1, 7, False, 1.0, Kind.FORWARD),), "0 -> 1 names a layer or matrix that is not there"),
        ((Connection(1, 0, 0, True, 1.0, Kind.FEEDBACK),), "1 -> 0 names a layer or matrix that is not there"),
        ((Connection(2, 1, 1, True, 1.0, Kind.FORWARD),), "a forward connection cannot lead from layer 2 to layer 1"),
        (
            (Connection(0, 1, 0, False, 1.0, Kind.FEEDBACK),),
            "a feedback connection cannot lead from layer 0 to layer 1",
        ),
        ((Connection(1, 1, 0, False, 1.0, Kind.FEEDBACK),), "cannot lead from layer 1 to layer 1"),
        ((Connection(0, 1, 1, False, 1.0, Kind.FORWARD),), "0 -> 1 needs 3 x 4 weights, not 2 x 3 (W1)"),
        ((Connection(0, 1, 0, True, 1.0, Kind.FORWARD),), "0 -> 1 needs 3 x 4 weights, not 4 x 3 (W0)"),
        (FORWARD[1:], "hidden layer 1 has no path from the input"),
        (FORWARD[:1], "hidden layer 1 has no path to the output"),
    ],
)
def test_what_makes_no_network_is_refused(connections, message):
    layers = (Layer(0, 4), Layer(1, 3), Layer(2, 2))
    with pytest.raises(GraphError) as caught:
        Graph(layers, (Matrix(0, "W0", 1, 0), Matrix(1, "W1", 2, 1)), connections)
    assert message in str(caught.value)
    assert isinstance(caught.value, DesignError)


def test_initial_weights_are_glorot_uniform():
    graph = layered(40, 30, 20, 10)
    for matrix, array in zip(graph.matrices, glorot(graph, 3), strict=True):
        rows, columns = graph.shape(matrix)
        bound = (6 / (rows + columns)) ** 0.5
        assert array.shape == (rows, columns)
        assert 0.9 * bound < np.abs(array).max() <= bound
        assert abs(array.std() - bound / 3**0.5) < 0.1 * bound
    again, other = glorot(graph, 3), glorot(graph, 4)
    assert all(np.array_equal(a, b) for a, b in zip(again, glorot(graph, 3), strict=True))
    assert not np.array_equal(again[0], other[0])
