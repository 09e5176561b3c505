"""Measures against nets worked by hand, dense brute force, and theory; Equilibrium Propagation against gradients."""

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.design.graph import Connection, Graph, Kind, Layer, Matrix
from fregen.errors import DataError
from fregen.float_model import BackpropNetwork, FloatNetwork
from fregen.float_model.measures import (
    NEVER,
    alignment,
    convergence_time,
    ftmle,
    hidden_matrix,
    saturation,
    spectral_radius,
)

pytestmark = pytest.mark.unit


def network(*layers, beta=0.125, alpha=1.0, function="tanh", dtype=np.float64, seed=0, **learning):
    return FloatNetwork(
        Design.parse(
            {
                "name": "net",
                "seed": seed,
                "network": {"layers": layers, "beta": beta, "alpha": alpha},
                "numerics": {"activation": {"function": function}},
                "learning": learning,
            }
        ),
        dtype=dtype,
    )


def two_neurons(forward, alpha, beta, function="tanh"):
    """1-1-1-2: the hidden matrix is [[0, beta f], [alpha f, 0]], of spectral radius |f| sqrt(alpha beta)."""
    net = network(1, 1, 1, 2, alpha=alpha, beta=beta, function=function)
    net.load([np.array([[1.0]]), np.array([[forward]]), np.ones((2, 1))])
    return net


def turning(beta):
    """1-1-1-2 with feedback of the opposite sign: the hidden matrix is [[0, -beta], [1, 0]] (±i sqrt(beta))."""
    graph = Graph(
        tuple(Layer(i, size) for i, size in enumerate((1, 1, 1, 2))),
        (Matrix(0, "W0", 1, 0), Matrix(1, "W1", 2, 1), Matrix(2, "W2", 3, 2), Matrix(3, "B1", 1, 2)),
        (
            *(Connection(i, i + 1, i, False, 1.0, Kind.FORWARD) for i in range(3)),
            Connection(2, 1, 3, False, beta, Kind.FEEDBACK),
        ),
    )
    return graph, [np.array([[1.0]]), np.array([[1.0]]), np.ones((2, 1)), np.array([[-1.0]])]


def skipping():
    """5-4-3-2-3 with a learned connection 1 -> 3 and a fixed one 3 -> 1 beside the chain."""
    layers = tuple(Layer(i, size) for i, size in enumerate((5, 4, 3, 2, 3)))
    chain = [Matrix(i, f"W{i}", i + 1, i) for i in range(4)]
    graph = Graph(
        layers,
        (*chain, Matrix(4, "S", 3, 1), Matrix(5, "F", 1, 3)),
        (
            *(Connection(i, i + 1, i, False, 1.0 if i in (0, 3) else 0.5, Kind.FORWARD) for i in range(4)),
            Connection(2, 1, 1, True, 0.25, Kind.FEEDBACK),
            Connection(3, 2, 2, True, 0.25, Kind.FEEDBACK),
            Connection(1, 3, 4, False, 0.75, Kind.FORWARD),
            Connection(3, 1, 5, False, 0.125, Kind.FEEDBACK),
        ),
    )
    generator = np.random.default_rng(5)
    return graph, [generator.normal(size=graph.shape(matrix)) for matrix in graph.matrices]


def inputs(count, size, scale=1.0):
    return scale * np.random.default_rng(2).random((count, size))


# Spectral radius ----------------------------------------------------------------------------------------------------


def test_hidden_matrix_has_every_scaled_connection_in_its_block():
    graph, (_, w1, w2, _, skip, fixed) = skipping()
    expected = np.block(
        [
            [np.zeros((4, 4)), 0.25 * w1.T, 0.125 * fixed],
            [0.5 * w1, np.zeros((3, 3)), 0.25 * w2.T],
            [0.75 * skip, 0.5 * w2, np.zeros((2, 2))],
        ]
    )
    weights = skipping()[1]
    np.testing.assert_array_equal(hidden_matrix(graph, weights), expected)
    assert spectral_radius(graph, weights) == pytest.approx(max(abs(np.linalg.eigvals(expected))), rel=1e-12)


@pytest.mark.parametrize(("forward", "alpha", "beta", "radius"), [(3, 1, 0.25, 1.5), (-2, 0.5, 0.5, 1), (1, 1, 4, 2)])
def test_spectral_radius_of_two_neurons(forward, alpha, beta, radius):
    net = two_neurons(forward, alpha, beta)
    assert spectral_radius(net.graph, net.weights) == pytest.approx(radius, rel=1e-12)


def test_spectral_radius_counts_eigenvalues_that_turn():
    net = two_neurons(1.0, 1.0, 4.0)
    net.graph, net.weights = turning(4.0)
    assert spectral_radius(net.graph, net.weights) == pytest.approx(2, rel=1e-12)


@pytest.mark.parametrize("exact_up_to", [0, 1000])
def test_spectral_radius_of_a_symmetric_chain_is_a_singular_value(exact_up_to):
    """One pair of layers: the eigenvalues are ± sqrt(alpha beta) times the singular values of W1."""
    net = network(6, 40, 30, 3, alpha=0.5, beta=0.125)
    expected = np.linalg.norm(net.weights[1], 2) * 0.25
    assert spectral_radius(net.graph, net.weights, exact_up_to) == pytest.approx(expected, rel=1e-8)


def test_krylov_space_and_all_eigenvalues_agree_on_a_graph_without_symmetry():
    graph, weights = skipping()
    assert spectral_radius(graph, weights, 0) == pytest.approx(spectral_radius(graph, weights), rel=1e-8)


def test_iteration_that_does_not_converge_gives_way_to_all_eigenvalues(monkeypatch):
    from fregen.float_model import spectrum

    monkeypatch.setattr(spectrum, "_RESTARTS", 1)
    monkeypatch.setattr(spectrum, "_BASIS", 9)
    net = network(6, 20, 20, 20, 3)
    assert spectrum._greatest(net.graph, net.weights, None) is None
    expected = max(abs(np.linalg.eigvals(hidden_matrix(net.graph, net.weights))))
    assert spectral_radius(net.graph, net.weights, 0) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("sizes", [(6, 50, 50, 50, 3), (9, 30, 20, 40, 10, 25, 3), (5, 8, 8, 2)])
def test_iteration_finds_what_all_eigenvalues_give(sizes):
    net = network(*sizes, alpha=0.5, beta=0.125)
    expected = max(abs(np.linalg.eigvals(hidden_matrix(net.graph, net.weights))))
    counted = []
    assert spectral_radius(net.graph, net.weights, 0, counted.append) == pytest.approx(expected, rel=1e-8)
    assert counted == list(range(1, len(counted) + 1))
    assert len(counted) > 5


def test_a_net_whose_connections_lead_in_no_circle_has_radius_zero_without_a_product():
    graph, weights = skipping()
    forward = tuple(c for c in graph.connections if c.kind is Kind.FORWARD)
    graph = Graph(graph.layers, graph.matrices, forward)
    assert spectral_radius(graph, weights, 0, progress=pytest.fail) == 0


@pytest.mark.parametrize("exact_up_to", [0, 1000])
def test_radius_of_a_deep_chain_is_exact_though_feedback_is_weak(exact_up_to):
    """In units in which it is symmetric, the matrix has real eigenvalues that are as exact as its words."""
    net = network(6, *[12] * 32, 3, beta=2**-5)
    units = np.repeat(2.0 ** (-2.5 * np.arange(32)), 12)
    symmetric = hidden_matrix(net.graph, net.weights) * units[:, None] / units
    np.testing.assert_allclose(symmetric, symmetric.T, rtol=1e-13)
    expected = np.linalg.eigvalsh(symmetric)[-1]
    assert spectral_radius(net.graph, net.weights, exact_up_to) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("exact_up_to", [0, 1000])
def test_radius_of_a_circle_of_three_layers(exact_up_to):
    """1 -> 2 -> 3 -> 1: the eigenvalues are the cube roots of those of the product of the three matrices."""
    layers = tuple(Layer(i, size) for i, size in enumerate((5, 6, 6, 6, 3)))
    matrices = (*(Matrix(i, f"W{i}", i + 1, i) for i in range(4)), Matrix(4, "B1_3", 1, 3))
    chain = [Connection(i, i + 1, i, False, 1.0, Kind.FORWARD) for i in range(4)]
    graph = Graph(layers, matrices, (*chain, Connection(3, 1, 4, False, 0.5, Kind.FEEDBACK)))
    weights = [np.random.default_rng(3).normal(size=graph.shape(matrix)) for matrix in matrices]
    product = 0.5 * weights[4] @ weights[2] @ weights[1]
    expected = abs(np.linalg.eigvals(product)).max() ** (1 / 3)
    assert spectral_radius(graph, weights, exact_up_to) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("exact_up_to", [0, 1000])
def test_one_hidden_layer_does_not_act_on_itself(exact_up_to):
    net = network(4, 3, 2)
    assert spectral_radius(net.graph, net.weights, exact_up_to) == 0
    assert ftmle(net, inputs(2, 4)) == -np.inf


# FTMLE --------------------------------------------------------------------------------------------------------------


def test_linear_regime_tends_to_the_logarithm_of_the_spectral_radius():
    """Zero input holds all states at 0, where tanh has slope 1."""
    net = network(5, 8, 7, 6, 3, beta=0.5)
    expected = np.log(spectral_radius(net.graph, net.weights))
    measured = [ftmle(net, np.zeros((4, 5)), steps) for steps in (20, 200, 2000)]
    errors = [abs(value - expected) for value in measured]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 2e-3
    assert abs(expected) > 0.05, "a logarithm of 0 would prove little"


@pytest.mark.parametrize("function", ["tanh", "hard-sigmoid"])
def test_ftmle_is_the_growth_through_the_product_of_jacobians(function):
    """Brute force: dense Jacobians of every step, multiplied out; no renormalisation."""
    net = network(5, 8, 7, 6, 3, beta=0.5, function=function)
    x, steps, a = inputs(3, 5), 6, hidden_matrix(net.graph, net.weights)
    start = np.random.default_rng(9).standard_normal((3, 21))
    drive = np.zeros((3, 21))
    drive[:, :8] = x @ net.weights[0].T
    exponents = []
    for sample in range(3):
        state, jacobian = np.zeros(21), np.eye(21)
        for _ in range(steps):
            h = a @ state + drive[sample]
            inside = (h >= 0) & (h < 1)
            slope = 1 / np.cosh(h) ** 2 if function == "tanh" else inside.astype(float)
            state = np.tanh(h) if function == "tanh" else np.clip(h, 0, 1)
            jacobian = slope[:, None] * (a @ jacobian)
        unit = start[sample] / np.linalg.norm(start[sample])
        exponents.append(np.log(np.linalg.norm(jacobian @ unit)) / steps)
    assert ftmle(net, x, steps, seed=9) == pytest.approx(np.mean(exponents), rel=1e-10)
    assert ftmle(net, x, steps, seed=8) != pytest.approx(np.mean(exponents), rel=1e-3)


def test_ftmle_takes_the_designs_steps_and_its_sign_follows_beta():
    x = inputs(4, 12)
    calm, wild = (network(12, 10, 10, 10, 3, beta=beta, free_steps=9) for beta in (2**-8, 4.0))
    assert ftmle(calm, x) == ftmle(calm, x, 9) != ftmle(calm, x, 10)
    assert ftmle(calm, x) < -1
    assert ftmle(calm, x) < ftmle(wild, x)


def test_a_flat_activation_ends_every_disturbance():
    net = two_neurons(1.0, 1.0, 0.5, "hard-tanh")
    assert ftmle(net, np.array([[3.0]]), 4) == -np.inf
    assert np.isfinite(ftmle(net, np.array([[0.1]]), 4))


# Convergence time ---------------------------------------------------------------------------------------------------


def test_tiny_beta_settles_in_as_many_steps_as_there_are_layers():
    """The input needs L steps to reach the last of L hidden layers; feedback of 2**-30 moves nothing by 1e-6."""
    net = network(12, 10, 10, 10, 10, 3, beta=2**-30)
    assert convergence_time(net, inputs(5, 12), 50).tolist() == [4] * 5
    assert convergence_time(net, inputs(5, 12), 7).tolist() == [4] * 5
    assert convergence_time(net, inputs(5, 12), 6).tolist() == [NEVER] * 5


@pytest.mark.parametrize(("beta", "settles"), [(4.0, False), (0.25, True)])
def test_large_beta_never_settles(beta, settles):
    net = two_neurons(1.0, 1.0, beta)
    net.graph, net.weights = turning(beta)
    times = convergence_time(net, np.array([[0.1], [0.5]]), 2000)
    assert (times > 3).all() if settles else (times == NEVER).all(), times


def test_three_still_steps_must_follow_each_other():
    """The first step moves only hidden layer 1, by 1e-8; the second moves layer 2, by much; then all is still."""
    net = network(1, 1, 1, 2, beta=1e-30)
    net.load([np.array([[1e-8]]), np.array([[1e8]]), np.ones((2, 1))])
    assert convergence_time(net, np.array([[1.0]]), 20).tolist() == [2]


def test_a_symmetric_net_at_beta_4_is_slow():
    """It does settle, for symmetric feedback has an energy; not within a budget that is ample for beta = 0.01."""
    x = inputs(6, 12)
    slow, fast = (network(12, 16, 16, 16, 3, beta=beta) for beta in (4.0, 0.01))
    assert (convergence_time(slow, x, 20) == NEVER).all()
    assert (convergence_time(slow, x, 300) > 20).all()
    assert (convergence_time(fast, x, 20) != NEVER).all()


def test_time_is_that_of_a_trajectory_watched_from_outside():
    """Differences of the network's own free phase, each sample alone; zero input is settled from the start."""
    x = np.vstack([np.zeros((1, 12)), inputs(4, 12), inputs(1, 12, 0.01)])
    net = network(12, 10, 10, 10, 3, beta=0.125, free_steps=100, order="synchronous", stop=False)
    seen = [np.zeros((6, 30))]
    net.relax.free(net.weights, x, lambda step, states: seen.append(np.hstack(states[1:4])))
    moved = np.linalg.norm(np.diff(seen, axis=0), axis=2)
    expected = [next(t for t in range(97) if (moved[t : t + 3, sample] < 1e-6).all()) for sample in range(6)]
    assert convergence_time(net, x, 100).tolist() == expected
    assert expected[0] == 0
    assert len(set(expected)) > 2


# Saturation ---------------------------------------------------------------------------------------------------------


def test_saturation_counts_by_hidden_layer():
    states = [np.ones((2, 5)), np.array([[0.5, -0.9], [0.89, 0.9]]), np.array([[-1.0], [0.0]]), np.zeros((2, 0))]
    assert saturation(states, 0.9) == (0.5, 0.5)
    assert saturation(states, 0.5) == (1.0, 0.5)
    assert saturation(states, 2.0) == (0.0, 0.0)


# Alignment ----------------------------------------------------------------------------------------------------------

DEEP = (12, 10, 9, 8, 7, 6, 4)
"""5 hidden layers."""


def settled(nudged, dtype=np.float64, beta=2**-10, nudge=2**-10):
    """Synchronous, many more steps than the net needs to settle to the last bit."""
    return network(
        *DEEP, beta=beta, dtype=dtype, nudge=nudge, nudged=nudged, order="synchronous", free_steps=60, nudged_steps=60
    )


LABELS = np.arange(32) % 4


@pytest.mark.parametrize(("nudged", "scale"), [("offset", 1.0), ("offset", 0.01), ("states", 0.01)])
def test_equilibrium_propagation_is_backpropagation_at_a_small_beta(nudged, scale):
    """β = β_f = 2**-10, float64.

    The form ``states`` is asked with faint inputs: it takes ds of the first layer, some 2**-50, from two states, whose
    last place must lie below that.  The next two tests show the same form at full inputs.
    """
    cosines = alignment(settled(nudged), inputs(32, 12, scale), LABELS)
    assert list(cosines) == ["W0", "W1", "W2", "W3", "W4", "W5"]
    assert min(cosines.values()) > 0.999, cosines


def test_states_form_at_full_inputs_loses_the_first_layer_to_rounding_in_float64():
    cosines = alignment(settled("states"), inputs(32, 12), LABELS)
    first = cosines.pop("W0")
    assert min(cosines.values()) > 0.999, cosines
    assert 0.5 < first < 0.999


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 2**-63, reason="long double is no wider than double here")
def test_states_form_at_full_inputs_is_the_gradient_in_wider_floats():
    cosines = alignment(settled("states", np.longdouble), inputs(32, 12), LABELS)
    assert min(cosines.values()) > 0.999, cosines


@pytest.mark.parametrize("nudged", ["offset", "states"])
def test_large_beta_leaves_the_gradient(nudged):
    cosines = alignment(settled(nudged, beta=1.0, nudge=0.5), inputs(32, 12), LABELS)
    assert cosines["W0"] < 0.99


def test_alignment_takes_the_networks_weights_and_is_a_cosine():
    net = network(6, 5, 4, 3, beta=0.5)
    net.load([w + 0.5 for w in net.weights])
    x, labels = inputs(8, 6), np.arange(8) % 3
    reference = BackpropNetwork(net.design)
    reference.load(net.weights)
    ours, theirs = net.batch(x, labels).directions, reference.batch(x, labels).directions
    flat = [(ours[i].ravel(), theirs[i].ravel()) for i in range(3)]
    expected = [np.dot(a / np.sqrt(np.dot(a, a)), b / np.sqrt(np.dot(b, b))) for a, b in flat]
    assert list(alignment(net, x, labels).values()) == pytest.approx(expected, rel=1e-12)
    assert list(alignment(reference, x, labels).values()) == pytest.approx([1, 1, 1])
    dead = network(6, 5, 4, 3)
    dead.load([0 * w for w in dead.weights])
    assert all(np.isnan(value) for value in alignment(dead, x, labels).values())


def test_alignment_walks_graphs_of_any_topology():
    """A learned connection 1 -> 3 carries most of the gradient; the fixed one back does not learn."""
    graph, weights = skipping()
    net = network(5, 4, 3, 2, 3, free_steps=100)
    net.relax = type(net.relax)(net.design, graph)
    net.graph, net.weights = graph, [w / 4 for w in weights]
    cosines = alignment(net, inputs(8, 5), np.arange(8) % 3)
    assert list(cosines) == ["W0", "W1", "W2", "W3", "S"]
    assert cosines["S"] > 0.99


# Faults -------------------------------------------------------------------------------------------------------------


def test_faults_are_named():
    net, x = network(6, 5, 4, 3), inputs(8, 6)
    for call, message in (
        (lambda: spectral_radius(net.graph, net.weights[:2]), "the design has 3 weight matrices, not 2"),
        (lambda: hidden_matrix(net.graph, [w.T for w in net.weights]), "W0: expected 5 x 6 values"),
        (lambda: ftmle(net, x[:, :4]), r"inputs: expected at least one sample of 6 values, not shape \(8, 4\)"),
        (lambda: ftmle(net, x, 0), "steps: expected at least 1, not 0"),
        (lambda: convergence_time(net, x[:0], 9), "at least one sample"),
        (lambda: convergence_time(net, x, 2), "limit: expected at least 3 steps, not 2"),
        (lambda: alignment(net, x, np.arange(3)), r"labels: expected 8 integers, not shape \(3,\)"),
        (lambda: saturation([x, x, x], 0), "threshold: expected a value above 0, not 0"),
        (lambda: saturation([x, x[:0], x], 0.5), "states: expected those of all layers, and at least one sample"),
    ):
        with pytest.raises(DataError, match=message):
            call()
