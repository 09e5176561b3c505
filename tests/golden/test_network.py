"""The golden network against a second implementation in plain Python integers, word for word."""

import numpy as np
import pytest
from against_reference import compare, samples
from reference import Reference

from fregen.design.document import Design
from fregen.errors import DataError, DesignError, FormatError
from fregen.golden import NetworkModel, Trace, initial_weights
from fregen.spec.dither import first_key
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.golden

FORMATS = {  # state, weight, offset, error
    "4/12": ("q1.3", "q2.10", "q1.5", "q1.7"),
    "8/10": ("q1.7", "q2.8", "q1.7", "q1.5"),
    "12/12": ("q1.11", "q3.9", "q3.9", "q1.7"),
    "16/16": ("q1.15", "q3.13", "q3.13", "q1.7"),
    "18/18": ("q1.17", "q3.15", "q3.15", "q1.9"),
    "24/24": ("q1.23", "q3.21", "q3.21", "q1.11"),
    "4/4": ("q2.2", "q2.2", "q2.2", "q1.3"),
}


def make(
    formats="16/16",
    layers=(7, 6, 5, 3),
    seed=3,
    function="tanh",
    segments=8,
    rounding="nearest",
    beta=2**-3,
    network=None,
    **learning,
):
    state, weight, offset, error = FORMATS[formats]
    numerics = {
        "state": state, "weight": weight, "offset": offset, "error": error, "rounding": rounding,
        "activation": {"function": function, "segments": segments},
    }  # fmt: skip
    network = {"layers": layers, "beta": beta, **(network or {})}
    return Design.parse({"name": "t", "seed": seed, "network": network, "numerics": numerics, "learning": learning})


# Every value of every choice, and every pair of order, form and error with each of the others at least once.
GRID = [
    ("16/16", "sweep", "offset", "held", "nearest", True, True, (7, 6, 5, 3), "tanh", 8, 8),
    ("16/16", "synchronous", "states", "held", "nearest", True, True, (7, 6, 5, 3), "tanh", 8, 8),
    ("16/16", "sweep", "states", "recomputed", "stochastic", False, True, (7, 6, 5, 4, 3), "tanh", 8, 5),
    ("16/16", "synchronous", "offset", "recomputed", "stochastic", False, False, (7, 6, 5, 4, 3), "hard-tanh", 8, 3),
    ("12/12", "sweep", "offset", "recomputed", "stochastic", True, True, (7, 6, 5, 3), "tanh", 8, 8),
    ("12/12", "synchronous", "offset", "held", "nearest", False, True, (7, 6, 5, 4, 3), "hard-sigmoid", 1, 1),
    ("12/12", "sweep", "states", "held", "stochastic", False, False, (7, 6, 3), "hard-tanh", 8, 8),
    ("12/12", "synchronous", "states", "recomputed", "nearest", True, True, (7, 4, 5, 6, 3), "tanh", 4, 3),
    ("8/10", "sweep", "offset", "held", "stochastic", True, False, (7, 6, 5, 4, 3), "tanh", 8, 8),
    ("8/10", "synchronous", "states", "held", "nearest", False, True, (7, 6, 5, 3), "hard-sigmoid", 1, 1),
    ("4/12", "sweep", "offset", "held", "nearest", True, True, (7, 6, 5, 3), "tanh", 8, 8),
    ("4/12", "synchronous", "offset", "recomputed", "stochastic", True, True, (7, 6, 3), "hard-sigmoid", 8, 5),
    ("4/12", "sweep", "states", "recomputed", "nearest", False, True, (7, 3, 5, 8), "hard-tanh", 8, 8),
    ("18/18", "sweep", "offset", "recomputed", "nearest", False, True, (7, 6, 3), "tanh", 8, 1),
    ("18/18", "synchronous", "offset", "held", "stochastic", True, True, (7, 6, 5, 4, 3), "tanh", 4, 8),
    ("18/18", "synchronous", "states", "held", "stochastic", True, False, (7, 6, 5, 3), "tanh", 8, 5),
    ("18/18", "sweep", "states", "held", "nearest", True, True, (7, 3, 5, 8), "hard-sigmoid", 8, 8),
    ("24/24", "sweep", "offset", "held", "nearest", True, True, (7, 6, 5, 3), "tanh", 8, 8),
    ("24/24", "synchronous", "states", "recomputed", "stochastic", True, True, (7, 6, 5, 3), "hard-tanh", 8, 8),
    ("24/24", "synchronous", "offset", "recomputed", "stochastic", False, True, (7, 6, 5, 4, 3), "tanh", 8, 5),
    ("4/4", "sweep", "offset", "recomputed", "stochastic", True, True, (7, 6, 5, 3), "tanh", 4, 8),
    ("4/4", "synchronous", "states", "held", "nearest", True, True, (7, 6, 5, 3), "tanh", 2, 4),
]


@pytest.mark.parametrize("case", GRID, ids=lambda c: "-".join(str(v).replace(" ", "") for v in c))
def test_learns_as_the_plain_reference(case):
    formats, order, form, error, rounding, gain, stop, layers, function, segments, count = case
    batch = 1 if count == 1 else 8
    design = make(
        formats, layers, function=function, segments=segments, rounding=rounding, order=order, nudged=form, error=error,
        gain=gain, stop=stop, batch=batch, free_steps=7, nudged_steps=4,
    )  # fmt: skip
    compare(design, count)


WEB = ((0, 0, 1, 0, 1), (1, 0, 0, 1, 0), (0, 1, 0, 0, 0), (1, 0, 1, 0, 1), (0, 1, 0, 1, 0))
TOPOLOGIES = {
    "residual": {"topology": "residual", "block": 2, "beta": 2**-2},
    "residual from 2": {"topology": "residual", "block": 3, "start": 2, "alpha": 0.5},
    "asymmetric": {"feedback": "asymmetric"},
    "asymmetric residual": {"topology": "residual", "feedback": "asymmetric", "block": 3},
    "any graph": {"topology": "adjacency", "adjacency": WEB},
    "any graph, asymmetric": {"topology": "adjacency", "adjacency": WEB, "feedback": "asymmetric"},
    "scales": {"scales": [{"source": 3, "target": 2, "scale": 2**-5}, {"source": 1, "target": 2, "scale": 0.5}]},
}


@pytest.mark.parametrize(("rounding", "formats"), [("nearest", "16/16"), ("stochastic", "12/12")])
@pytest.mark.parametrize("form", ["offset", "states"])
@pytest.mark.parametrize("name", TOPOLOGIES)
def test_every_topology_learns_as_the_plain_reference(name, form, rounding, formats):
    odd = sum(map(ord, name + form + rounding)) % 2
    design = make(
        formats, (7, 6, 5, 4, 3, 5, 4), rounding=rounding, nudged=form, order=("sweep", "synchronous")[odd],
        error=("recomputed", "held")[odd], batch=4, free_steps=7, nudged_steps=5, network=TOPOLOGIES[name],
    )  # fmt: skip
    spec = NetworkSpec(design)
    assert [(m.target, m.source) for m in spec.graph.matrices] == [m[:2] for m in Reference(design).matrices]
    compare(design, 4)


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("formats", ["8/10", "16/16", "18/18", "24/24"])
def test_saturates_and_counts_as_the_plain_reference(formats, rounding):
    design = make(formats, rounding=rounding, batch=8, free_steps=4, nudged_steps=3, beta=1.0, nudge=1.0)
    trace = compare(design, 8, updates=3, rate=1.0, scale=24)
    weights, offsets = (sum(s[k] for s in trace.saturations) for k in (0, 1))
    assert weights > 0
    assert offsets > 0


def test_defaults_of_a_real_size_match_the_plain_reference():
    compare(make(layers=(64, 32, 32, 10), beta=2**-5, batch=8), 8, updates=1, rate=0.125)


def test_fast_setting_matches_the_plain_reference():
    compare(
        make(layers=(64, 16, 12, 10), beta=2**-5, batch=16, free_steps=2, nudged_steps=1), 11, updates=2, rate=0.125
    )


def test_a_blank_sample_stops_after_one_step_and_others_go_on():
    design = make(batch=4, free_steps=9)
    spec = NetworkSpec(design)
    inputs, labels = samples(spec, 4)
    inputs[1] = 0
    result = NetworkModel(spec).learn(inputs, labels, 0.5)
    assert result.free_steps[1] == 1
    assert result.free_steps[[0, 2, 3]].min() > 2


@pytest.mark.parametrize("order", ["sweep", "synchronous"])
@pytest.mark.parametrize("form", ["states", "offset"])
def test_stopping_changes_no_result(order, form):
    learned = []
    for stop in (True, False):
        design = make(stop=stop, order=order, nudged=form, free_steps=30, nudged_steps=20, batch=8, error="recomputed")
        spec = NetworkSpec(design)
        model = NetworkModel(spec)
        steps = [model.learn(*samples(spec, 8, seed), 0.5) for seed in range(3)]
        learned.append([w.tolist() for w in model.weights])
        if stop:
            assert max(r.free_steps.max() for r in steps) < 30
        else:
            assert {int(s) for r in steps for s in r.free_steps} == {30}
            assert {int(s) for r in steps for s in r.nudged_steps} == {20}
    assert learned[0] == learned[1]


@pytest.mark.parametrize("formats", ["16/16", "24/24"])
def test_states_do_not_depend_on_how_samples_are_grouped(formats):
    spec = NetworkSpec(make(formats))
    model = NetworkModel(spec)
    inputs, _ = samples(spec, 300)
    whole, single = Trace(), Trace()
    predictions = model.infer(inputs, whole)
    for n in (0, 7, 255, 256, 299):
        assert model.infer(inputs[n : n + 1], single)[0] == predictions[n]
    ends = np.concatenate(whole.free_steps)
    flat = whole.flat_states()
    neurons = 11
    starts = np.concatenate([[0], np.cumsum(ends)]) * neurons
    picked = np.concatenate([flat[starts[n] : starts[n + 1]] for n in (0, 7, 255, 256, 299)])
    assert picked.tolist() == single.flat_states().tolist()


def test_an_epoch_is_the_same_as_its_batches():
    spec = NetworkSpec(make(batch=4))
    one, many = NetworkModel(spec), NetworkModel(spec)
    inputs, labels = samples(spec, 10)
    order = np.array([3, 1, 4, 0, 5, 9, 2, 6, 8])
    seen = []
    result = one.train_epoch(inputs, labels, order, 0.25, seen.append)
    parts = [many.learn(inputs[c], labels[c], 0.25) for c in (order[:4], order[4:8], order[8:])]
    assert seen == [4, 8, 9]
    assert [w.tolist() for w in one.weights] == [w.tolist() for w in many.weights]
    assert one.key == many.key
    right = sum(int(p == labels[n]) for p, n in zip(np.concatenate([p.predictions for p in parts]), order, strict=True))
    assert result.accuracy == right / 9
    assert result.free_steps == np.concatenate([p.free_steps for p in parts]).mean()
    assert result.nudged_steps == np.concatenate([p.nudged_steps for p in parts]).mean()


def test_a_partial_batch_keeps_the_shift_of_a_full_one():
    """One sample learned in a batch of 8 places moves weights an eighth as far as in a batch of 1."""
    changes = []
    for batch in (1, 8):
        spec = NetworkSpec(make("24/24", batch=batch))
        model = NetworkModel(spec)
        before = model.weights
        model.learn(*samples(spec, 1), 1.0)
        changes.append(model.weights[0] - before[0])
    assert np.abs(changes[0]).max() > 1000
    assert np.abs(changes[0] - 8 * changes[1]).max() <= 4.5


def test_initial_weights_are_glorot_words_and_return():
    spec = NetworkSpec(make())
    model = NetworkModel(spec)
    first = initial_weights(spec)
    bound = np.sqrt(6 / 13) * 2**13
    assert first[0].shape == (6, 7)
    assert 0.8 * bound < np.abs(first[0]).max() <= bound
    model.learn(*samples(spec, 8), 1.0)
    assert any((a != b).any() for a, b in zip(model.weights, first, strict=True))
    model.initial()
    assert [w.tolist() for w in model.weights] == [w.tolist() for w in first]
    assert model.key == first_key(3)


def test_weights_are_copies_of_integers():
    model = NetworkModel(NetworkSpec(make()))
    model.weights[0][:] = 0
    assert model.weights[0].dtype == np.int64
    assert np.any(model.weights[0])


def test_saturated_words_loaded_from_outside_are_noticed():
    """The shortcut that skips looking for saturation must forget what it knew."""
    spec = NetworkSpec(make(batch=8))
    model = NetworkModel(spec)
    model.load([np.zeros_like(w) for w in model.weights])
    model.learn(*samples(spec, 8), 2**-15)
    model.load([np.full_like(w, 32767) for w in model.weights])
    total = sum(model.learn(*samples(spec, 8, n), 1.0).weight_saturations for n in range(4))
    assert total > 0
    assert max(w.max() for w in model.weights) == 32767


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda m, x, y: m.learn(x, y, 0.5), "a batch holds 1 to 4 samples .learning.batch., not 5"),
        (lambda m, x, y: m.learn(x[:0], y[:0], 0.5), "1 to 4 samples .* not 0"),
        (lambda m, x, y: m.learn(x[:4, :6], y[:4], 0.5), "expected samples x 7 words, not shape .4, 6."),
        (lambda m, x, y: m.learn(x[:4] / 1.0, y[:4], 0.5), "expected integer state words .q1.15., not float64"),
        (lambda m, x, y: m.learn(x[:4] + 40000, y[:4], 0.5), "lie outside q1.15 .-32768 to 32767."),
        (lambda m, x, y: m.learn(x[:4], y[:3], 0.5), "labels: expected 4 integers, not shape .3,."),
        (lambda m, x, y: m.learn(x[:4], y[:4] * 0 + 3, 0.5), "labels: expected 0 to 2, not 3 to 3"),
        (lambda m, x, y: m.train_epoch(x, y, np.array([5]), 0.5), "order: expected indices of the 5 samples"),
        (lambda m, x, y: m.train_epoch(x, y, np.array([], dtype=int), 0.5), "order: .* at least one"),
        (lambda m, x, y: m.accuracy(x[:0], y[:0]), "at least one sample"),
        (lambda m, x, y: m.load(m.weights[:2]), "3 weight matrices, not 2"),
        (lambda m, x, y: m.load([w.T for w in m.weights]), "matrix W0: expected 6 x 7 words, not shape .7, 6."),
        (lambda m, x, y: m.load([w / 1.0 for w in m.weights]), "matrix W0: expected integer words, not float64"),
        (lambda m, x, y: m.load([w + 32768 for w in m.weights]), "matrix W0: words .* lie outside q3.13"),
    ],
)
def test_refuses_what_does_not_fit(call, text):
    spec = NetworkSpec(make(batch=4))
    with pytest.raises(DataError, match=text):
        call(NetworkModel(spec), *samples(spec, 5))


def test_refuses_a_rate_that_is_no_power_of_two():
    spec = NetworkSpec(make())
    with pytest.raises(DesignError, match="power of two"):
        NetworkModel(spec).learn(*samples(spec, 2), 0.3)


def test_infers_no_samples():
    spec = NetworkSpec(make())
    assert NetworkModel(spec).infer(np.zeros((0, 7), dtype=np.int64)).shape == (0,)


def test_refuses_an_update_that_no_carrier_holds():
    numerics = {"state": "q20.4", "offset": "q20.4", "weight": "q1.23"}
    design = make(function="hard-tanh").replace(numerics=numerics, learning={"batch": 64})
    spec = NetworkSpec(design)
    with pytest.raises(
        FormatError, match=r"matrix W0: an update at rate 2..-0 can need .* bits, exact arithmetic holds 63"
    ):
        NetworkModel(spec).learn(*samples(spec, 2), 1.0)
