"""Flattening of a trace, and the names of its words."""

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.errors import DataError
from fregen.golden import NetworkModel, Trace
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.golden


def make(layers=(4, 3, 2, 2)):
    return NetworkSpec(Design.parse({"name": "t", "network": {"layers": layers}}))


def filled():
    """Two batches; every word tells where it is: 1000·sample + 100·step + place."""
    trace = Trace()
    trace.bind(make())
    sample = 0
    for ends in ([2, 3], [1]):
        words = np.zeros((len(ends), max(ends), 5), dtype=np.int32)
        for n in range(len(ends)):
            words[n] = 1000 * sample + 100 * np.arange(max(ends))[:, None] + np.arange(5)
            sample += 1
        trace.states.append(words)
        trace.nudged.append(words + 1)
        trace.free_steps.append(np.array(ends))
        trace.nudged_steps.append(np.array(ends))
    return trace


def test_flattens_executed_steps_in_order():
    words = [1000 * n + 100 * t + i for n, end in enumerate((2, 3, 1)) for t in range(end) for i in range(5)]
    assert filled().flat_states().tolist() == words
    assert filled().flat_nudged().tolist() == [w + 1 for w in words]


@pytest.mark.parametrize(("kind", "layers"), [("states", [(1, 3), (2, 2)]), ("nudged", [(2, 2), (1, 3)])])
def test_locates_every_word(kind, layers):
    trace = filled()
    names = [
        (n, t, layer, i)
        for n, end in enumerate((2, 3, 1))
        for t in range(end)
        for layer, size in layers
        for i in range(size)
    ]
    assert [trace.locate(kind, k) for k in range(30)] == names
    for outside in (-1, 30):
        with pytest.raises(DataError, match=f"the trace holds 30 {kind} words; there is no word {outside}"):
            trace.locate(kind, outside)


@pytest.mark.parametrize(
    ("kind", "wanted"), [("states", {1: [0, 1, 2], 2: [3, 4]}), ("nudged", {2: [0, 1], 1: [2, 3, 4]})]
)
def test_parts_words_by_layer_in_the_order_of_their_phase(kind, wanted):
    row = np.arange(5)
    for words in (row, np.stack([row, row + 10])):
        parts = filled().by_layer(kind, words)
        assert list(parts) == list(wanted)
        assert {layer: part.tolist() for layer, part in parts.items()} == {
            layer: words[..., places].tolist() for layer, places in wanted.items()
        }


def test_an_empty_trace_has_no_words():
    assert Trace().flat_states().size == 0
    with pytest.raises(DataError, match="holds 0 states words"):
        Trace().locate("states", 0)


def test_refuses_unknown_kinds_and_a_second_network():
    with pytest.raises(DataError, match="not 'weights'"):
        filled().locate("weights", 0)
    with pytest.raises(DataError, match="a trace holds one network"):
        filled().bind(make((4, 3, 3, 2)))


def test_records_what_a_batch_did():
    spec = make()
    model, trace = NetworkModel(spec), Trace()
    inputs = np.array([[0, 20000, 0, 7], [0, 0, 0, 0], [1, 2, 3, -4]])
    result = model.learn(inputs, np.array([0, 1, 1]), 0.5, trace)
    assert trace.nonzero[0].tolist() == [2, 0, 4]
    assert trace.free_steps[0].tolist() == result.free_steps.tolist()
    assert trace.states[0].shape == (3, result.free_steps.max(), 5)
    assert trace.nudged[0].shape == (3, result.nudged_steps.max(), 5)
    assert trace.flat_states().size == 5 * result.free_steps.sum()
    assert trace.states[0].dtype == trace.nudged[0].dtype == np.int32
    assert [w.tolist() for w in trace.weights[0]] == [w.tolist() for w in model.weights]
    # Nudged words lie from the output down, contrasts from the input up.
    last = trace.nudged[0][np.arange(3), result.nudged_steps - 1]
    assert trace.contrast[0].tolist() == np.concatenate([last[:, 2:], last[:, :2]], axis=1).tolist()
    assert np.any(trace.contrast[0])
    model.infer(inputs[:2], trace)
    assert [len(p) for p in trace.predictions] == [3, 2]
    assert len(trace.weights) == 1
