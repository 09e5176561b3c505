"""Let the golden network and the plain reference learn the same, and compare every word."""

import numpy as np
from reference import Reference
from second_source import first_key, next_key

from fregen.golden import NetworkModel, Trace
from fregen.spec.network import NetworkSpec


def samples(spec, count, seed=0):
    rng = np.random.default_rng(seed)
    inputs = spec.state.to_word(rng.random((count, spec.graph.layers[0].size)))
    inputs[rng.random(inputs.shape) < 0.4] = 0
    return inputs, rng.integers(0, spec.graph.layers[-1].size, count)


def compare(design, count, updates=2, rate=0.5, scale=1):
    """Learn a few batches in both and compare every word; return the trace."""
    spec = NetworkSpec(design)
    model, reference, trace = NetworkModel(spec), Reference(design), Trace()
    if scale != 1:
        model.load([spec.weight.saturate(w * scale) for w in model.weights])
    weights, key = [w.tolist() for w in model.weights], first_key(design.seed)
    assert spec.sum_frac_bits == reference.F
    for batch in range(updates):
        inputs, labels = samples(spec, count, batch)
        result = model.learn(inputs, labels, rate, trace)
        records, weights, saturated = reference.learn(weights, inputs.tolist(), labels.tolist(), rate, key)
        key = next_key(key)
        assert model.key == key
        for n, record in enumerate(records):
            ends = record["free_steps"], record["nudged_steps"]
            assert (result.free_steps[n], result.nudged_steps[n]) == ends
            assert trace.states[-1][n, : ends[0]].tolist() == record["states"]
            assert trace.logits[-1][n].tolist() == record["logits"]
            assert result.predictions[n] == record["prediction"]
            assert trace.errors[-1][n].tolist() == record["errors"]
            assert trace.nudged[-1][n, : ends[1]].tolist() == record["nudged"]
            assert trace.contrast[-1][n].tolist() == [w for i in reference.hidden for w in record["contrast"][i]]
            if reference.again:
                assert trace.nudged_errors[-1][n, : ends[1]].tolist() == record["nudged_errors"]
        assert result.offset_saturations == sum(r["saturated"] for r in records)
        assert [w.tolist() for w in model.weights] == weights
        assert [w.tolist() for w in trace.weights[-1]] == weights
        assert result.weight_saturations == saturated
        assert trace.saturations[-1] == (saturated, result.offset_saturations)
    return trace
