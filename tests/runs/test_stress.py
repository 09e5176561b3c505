"""The runs that faults are looked for with: they meet what they aim at, and the hardware passes them."""

import sys
from pathlib import Path

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.emit.emitted import emit
from fregen.emit.render import folder
from fregen.golden import NetworkModel
from fregen.golden.trace import Trace
from fregen.runs import stress
from fregen.runs.prepare import random_samples
from fregen.runs.scenario import Scenario
from fregen.spec.network import NetworkSpec
from fregen.verification.verify import simulate, write_sources

sys.path.insert(0, str(folder("sim")))
import check

ROOT = Path(__file__).parents[2]
TINY = Design.load(ROOT / "rtl/tiny/design.toml")


@pytest.mark.golden
@pytest.mark.parametrize("form", ["offset", "states"])
def test_most_sums_are_what_they_are_aimed_at(form):
    """Ties, and sums that miss one by a single bit, in the lane that was meant, at every rate that a sum can reach."""
    spec = NetworkSpec(TINY.replace(learning={"nudged": form}))
    lanes, size = spec.design.hardware.lanes, spec.graph.layers[0].size
    matrix = spec.graph.matrices[0]
    run = stress.rounding(spec, 0)
    met, ties = 0, set()
    for batch in run.batches:
        model, trace = NetworkModel(spec), Trace()
        model.load(batch.weights)
        model.learn(batch.inputs, batch.labels, batch.rate, trace=trace)
        contrast = stress._contrast(spec, matrix, batch.weights, batch.labels)
        shift = spec.update_shift(matrix, batch.rate)
        hard = {wanted for wanted, _ in stress.hard_sums(shift)}
        low = (contrast.T @ batch.inputs) % (1 << (shift + 1))
        met += sum(bool(hard & set(column.tolist())) for column in low.T)
        ties |= {(row % lanes, shift) for row, _ in np.argwhere(low == 1 << (shift - 1))}
    places = len(run.batches) * size
    assert met > places / 3
    assert {lane for lane, _ in ties} == set(range(lanes))


@pytest.mark.golden
def test_samples_that_join_are_not_sent_before_a_load():
    spec = NetworkSpec(TINY)
    model = NetworkModel(spec)
    model.initial()
    words, labels = random_samples(spec, 4)
    run = Scenario(spec, model.weights)
    run.infer(words[:2], labels[:2], joins=True)
    with pytest.raises(ValueError, match="cannot be sent before weights are loaded"):
        run.learn(words[2:], labels[2:], 0.25, model.weights)


@pytest.mark.rtl
def test_weights_loaded_between_batches_are_checked(tmp_path):
    """The hardware goes on with the new weights; an expectation without them, or with a wrong bit, is found."""
    spec = NetworkSpec(TINY)
    model = NetworkModel(spec)
    model.initial()
    weights = [np.array(words) for words in model.weights]
    words, labels = random_samples(spec, 40)
    run = Scenario(spec, weights)
    run.learn(words[:8], labels[:8], 0.25)
    run.learn(words[8:20], labels[8:20], 0.125, [-w for w in weights])
    run.infer(words[20:26], labels[20:26])
    run.learn(words[26:], labels[26:], 0.125, weights)
    result, _ = simulate(run, write_sources(emit(TINY), tmp_path), tmp_path)
    assert result.compared > 1000
    assert result.mismatches == 0, result.first
    with np.load(tmp_path / "expected.npz") as file:
        arrays = {name: file[name] for name in file.files}
    assert arrays["loads"].tolist() == [2, 5]  # batches of 4
    wrong = arrays["loaded"].copy()
    wrong[1] ^= 1  # a word that the update writes is not compared before
    for changed in ({"loaded": wrong}, {"loads": arrays["loads"][:0], "loaded": wrong[:0]}):
        np.savez(tmp_path / "expected.npz", **{**arrays, **changed})
        assert check.check(tmp_path).mismatches > 0
