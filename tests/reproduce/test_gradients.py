"""The study of directions: what words add up is what they learn, and every form is held against backpropagation."""

import numpy as np
import pytest

from fregen.data.datasets import Dataset
from fregen.design.document import Design
from fregen.float_model import BackpropNetwork
from fregen.golden import NetworkModel
from fregen.reproduce import TARGETS, gradients_target
from fregen.reproduce.gradients_target import _of_words
from fregen.spec.network import NetworkSpec
from fregen.training.samples import as_words

pytestmark = pytest.mark.unit

DRAW = np.random.default_rng(3)
PIXELS, LABELS = DRAW.random((64, 20), dtype=np.float32), DRAW.integers(0, 4, 64)
NETS = {
    "layered": {"layers": [20, 7, 6, 5, 4]},
    "residual": {"layers": [20, 7, 6, 5, 4], "topology": "residual", "block": 2},
    "asymmetric": {"layers": [20, 7, 6, 4], "feedback": "asymmetric"},
}


def design(network, nudged, batch):
    learning = {"free_steps": 3, "nudged_steps": 1, "nudged": nudged, "batch": batch, "rate": 1.0}
    return Design.parse({"name": "little", "network": network, "learning": learning})


@pytest.mark.parametrize("nudged", ["offset", "states"])
@pytest.mark.parametrize("net", NETS)
def test_words_are_compared_as_they_are_learned(net, nudged):
    """A batch at rate 1 changes the weights by the same directions, but for their last bits."""
    whole = design(NETS[net], nudged, 64)
    spec = NetworkSpec(whole)
    model, reference = NetworkModel(spec), BackpropNetwork(whole)
    before = [np.array(words) for words in model.weights]
    words = as_words(PIXELS, spec)
    model.learn(words, LABELS, 1.0)
    reference.load([spec.weight.to_value(array) for array in before])
    theirs = reference.batch(spec.state.to_value(words), LABELS).directions
    found = _of_words(whole, PIXELS, LABELS)
    assert list(found) == [matrix.name for matrix in spec.graph.learned]
    for matrix in spec.graph.learned:
        change, wanted = model.weights[matrix.index] - before[matrix.index], theirs[matrix.index]
        cosine = (change * wanted).sum() / np.sqrt((change**2).sum() * (wanted**2).sum())
        # Not equal: the change was rounded to weight words, the sums are compared as they are.
        assert found[matrix.name] == pytest.approx(cosine, abs=2e-3), matrix.name
    parted = _of_words(design(NETS[net], nudged, 16), PIXELS, LABELS)
    assert parted == found, "batches that start from the same words are one"
    others = _of_words(whole, PIXELS, (LABELS + 1) % 4)
    assert all(abs(others[name] - value) > 1e-4 for name, value in found.items()), "labels matter"


def test_the_sheet_has_every_net_form_and_matrix(monkeypatch):
    draw = np.random.default_rng(0)
    pixels, labels = draw.random((300, 784), dtype=np.float32), draw.integers(0, 10, 300)
    images = Dataset("noise", pixels, labels, pixels, labels, 10, (28, 28))
    monkeypatch.setattr(gradients_target, "load", lambda design: images)
    sheet = TARGETS["gradients"].measure("quick", ())
    assert sheet.columns == ("hidden layers", "topology", "form", "matrix", "source", "target", "cosine")
    forms = ("paper, 32 bits", "paper, 64 bits", "offset, 64 bits", "offset, words 16/16", "offset, words 12/12")
    wanted = []
    for depth in (5, 10):
        chain = [(f"W{i}", i, i + 1) for i in range(depth + 1)]
        shortcuts = [(f"W{i}_{i + 3}", i, i + 3) for i in range(1, depth - 2, 3)]
        for topology, matrices in (("layered", chain), ("residual", chain + shortcuts)):
            wanted += [(depth, topology, form, *matrix) for form in forms for matrix in matrices]
    assert [row[:6] for row in sheet.rows] == wanted
    cosines = {row[:4]: row[6] for row in sheet.rows}
    assert all(-1 <= value <= 1 for value in cosines.values())
    for form in forms[2:]:
        assert min(cosines[5, "layered", form, f"W{i}"] for i in range(6)) > 0.99
    assert cosines[10, "layered", "paper, 64 bits", "W0"] > 0.8
    assert abs(cosines[10, "layered", "paper, 32 bits", "W0"]) < 0.3, "rounded away"
