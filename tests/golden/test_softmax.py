"""Prediction and error words against a hand-worked case and against softmax in real numbers."""

from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.errors import DesignError
from fregen.fixed import Q
from fregen.golden import SoftmaxModel
from fregen.spec.network import NetworkSpec, SoftmaxSpec

pytestmark = pytest.mark.golden

greatest_distance = run_path(str(Path(__file__).parents[2] / "examples" / "softmax_accuracy.py"))["greatest_distance"]


def test_error_words_of_a_case_worked_by_hand():
    """Three logits 2, 1, 1 with 8 fraction bits, error q1.7.

    Steps below the maximum: 0, 32, 32.  E = 1024, 377, 377 (10 fraction bits), S = 1778 = 0b11011110010, z = 10,
    r = 0b101111 = 47, R[47] = 64/111.5·1024 = 588.  p = 1024·588 / 2**13 = 73.5 -> 74 (even),
    377·588 / 2**13 = 27.06 -> 27.
    """
    model = SoftmaxModel(SoftmaxSpec(3, 8, 20, Q(1, 7)))
    logits = np.array([[512, 256, 256]])
    assert model.probabilities(logits).tolist() == [[74, 27, 27]]
    assert model.errors(logits, np.array([1])).tolist() == [[-74, 101, -27]]
    assert model.errors(logits, np.array([0])).tolist() == [[54, -27, -27]]


def test_index_rounds_half_up_and_ends_at_255():
    """One fraction bit below a table step: 0.5 step -> 1; 254.5 and far more -> 255, where the exponential is 0."""
    model = SoftmaxModel(SoftmaxSpec(2, 6, 20, Q(2, 9)))
    alone = model.probabilities(np.array([[0, -510]]))[0].tolist()
    assert alone[1] == 0
    assert model.probabilities(np.array([[0, -509]]))[0].tolist() == alone
    assert model.probabilities(np.array([[0, -(10**9)]]))[0].tolist() == alone
    assert model.probabilities(np.array([[0, -1]])).tolist() == model.probabilities(np.array([[0, -2]])).tolist()
    assert model.probabilities(np.array([[0, -2]])).tolist() != model.probabilities(np.array([[0, 0]])).tolist()


def test_coarse_sums_shift_left():
    fine, coarse = (SoftmaxModel(SoftmaxSpec(3, frac, 20, Q(1, 7))) for frac in (9, 3))
    logits = np.array([[3, 5, -2], [0, 0, 0]])
    assert coarse.probabilities(logits).tolist() == fine.probabilities(logits << 6).tolist()


def test_predicts_the_lowest_of_equals():
    model = SoftmaxModel(SoftmaxSpec(4, 8, 20, Q(1, 7)))
    assert model.predict(np.array([[1, 7, 7, 2], [-3, -3, -3, -3], [0, 1, 2, 3]])).tolist() == [1, 0, 3]


def test_certainty_saturates_the_error_at_its_ends():
    """q1.7 holds no +1: a target word of 128 less nothing becomes 127, and -128 stays."""
    model = SoftmaxModel(SoftmaxSpec(2, 8, 20, Q(1, 7)))
    errors = model.errors(np.array([[8 << 8, 0]]), np.array([1]))[0].tolist()
    assert errors[1] == 127
    assert errors[0] in (-127, -128)


@pytest.mark.parametrize("classes", [2, 3, 10, 100])
@pytest.mark.parametrize("width", range(4, 13))
def test_errors_stay_near_real_softmax(width, classes):
    """Relative errors: half a table step 1/64, reciprocal 1/128 (each a little more, rounded), and half a bit or so.

    At most 3 % of the probability plus 1 LSB, for every error width; the saturated +1 costs one more.
    """
    q = Q(1, width - 1)
    model = SoftmaxModel(SoftmaxSpec(classes, 12, 30, q))
    rng = np.random.default_rng(width)
    logits = np.rint(rng.normal(0, 3, (400, classes)) * 2**12).astype(np.int64)
    labels = rng.integers(0, classes, 400)
    real = np.exp((logits - logits.max(axis=1, keepdims=True)) / 2**12)
    real /= real.sum(axis=1, keepdims=True)
    scale = 2.0**q.frac_bits
    off = np.abs(model.probabilities(logits) - real * scale)
    # Exponentials are words themselves: half a bit of a guarded word for every class.
    allowed = 1 + 0.03 * real * scale + real * scale * classes * 0.5 / (8 * scale)
    assert np.all(off <= allowed)
    target = (np.eye(classes)[labels] - real) * scale
    assert np.all(np.abs(model.errors(logits, labels) - target) <= allowed + 1)


@pytest.mark.parametrize(
    ("error", "distance"), [("q1.3", 1.0), ("q1.7", 1.5), ("q1.10", 2.1), ("q1.11", 2.1), ("q1.12", 2.1)]
)
def test_a_finer_error_is_a_more_exact_one(error, distance):
    """The last bits of q1.12 mean something; with tables for 7 bits it was 35 of them away (``docs/numerics.md``)."""
    assert distance / 2 < greatest_distance(Q.parse(error), rows=24_000) <= distance


def test_an_error_finer_than_softmax_is_refused():
    with pytest.raises(
        DesignError, match=r"numerics.error: q1.13 has more than 12 fraction bits, and .* q1.12 has all"
    ):
        NetworkSpec(Design.parse({"name": "t", "network": {"layers": (4, 3, 2)}, "numerics": {"error": "q1.13"}}))
    assert NetworkSpec(Design.parse({"name": "t", "network": {"layers": (4, 3, 2)}, "numerics": {"error": "q4.12"}}))
