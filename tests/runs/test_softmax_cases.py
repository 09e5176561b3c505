"""The run that aims at the softmax: it meets every case that the tables have, and the golden model says so."""

from pathlib import Path

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.runs.softmax_cases import hard_pairs, softmax
from fregen.runs.stress import hard_sums
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.golden

TINY = Design.load(Path(__file__).parents[2] / "rtl/tiny/design.toml")


def products_and_distances(spec, run):
    """Bits that rounding drops from a product and its value modulo twice as much; distances between logits."""
    unit, logits = spec.softmax, np.concatenate(run.trace()[1].logits)
    distances = logits.max(axis=1, keepdims=True) - logits
    step, words = 1 << unit.index_shift, np.array(unit.exponential.words)
    exponentials = words[np.minimum((distances + step // 2) // step, len(words) - 1)]
    met = set()
    for row in exponentials.tolist():
        leading = sum(row).bit_length() - 1
        below = (sum(row) << unit.reciprocal.index_bits >> leading) - (1 << unit.reciprocal.index_bits)
        shift = unit.product_shift + leading - unit.exponential.frac_bits
        met |= {(shift, word * unit.reciprocal.words[below] % (2 << shift)) for word in row}
    return met, distances


def kinds_of_all_sums(unit):
    """Kinds of pairs by trying every word with every sum."""
    words, top, kinds = np.unique(unit.exponential.words), unit.exponential.words[0], set()
    for total in range(top, unit.classes * top + 1):
        leading = total.bit_length() - 1
        below = (total << unit.reciprocal.index_bits >> leading) - (1 << unit.reciprocal.index_bits)
        shift = unit.product_shift + leading - unit.exponential.frac_bits
        fits = words[(words + top <= total) & (words + (unit.classes - 1) * top >= total) | (words == top)]
        hard = {low for low, _ in hard_sums(shift)}
        kinds |= {(shift, low) for low in (fits * unit.reciprocal.words[below] % (2 << shift)).tolist() if low in hard}
    return kinds


@pytest.mark.parametrize("form", ["offset", "states"])
@pytest.mark.parametrize("error", ["q1.7", "q1.3"])
def test_every_kind_of_pair_is_met(error, form):
    """All that are hard to round and whose sum ten classes can make; in both forms of the nudged phase."""
    spec = NetworkSpec(TINY.replace(numerics={"error": error}, learning={"nudged": form}))
    pairs = hard_pairs(spec.softmax)
    met, _ = products_and_distances(spec, softmax(spec, 0))
    assert set(pairs) == kinds_of_all_sums(spec.softmax)
    assert len(pairs) > 20
    assert not set(pairs) - met


def test_the_pair_that_random_logits_have_missed():
    """A tie but for bit 1: the exponential 38, and sums from 1936 to 1951."""
    (pair,) = hard_pairs(NetworkSpec(TINY).softmax)[13, (1 << 12) + 2]
    assert (pair.word, pair.lowest, pair.highest) == (38, 1936, 1951)


def test_distances_lie_at_the_ends_of_a_step():
    """Of 1,440 distances, hundreds are the least that round up and hundreds the greatest that do not."""
    spec = NetworkSpec(TINY)
    _, distances = products_and_distances(spec, softmax(spec, 0))
    step, unit = 1 << spec.softmax.index_shift, 1 << min(p.shift for p in spec.free_products(spec.graph.output))
    inside = (distances + step // 2) % step
    assert (inside == 0).sum() > 300
    assert (inside == step - unit).sum() > 300


def test_a_single_class_has_no_pair_and_a_run_none_the_less():
    spec = NetworkSpec(TINY.replace(network={"layers": [64, 6, 5, 1]}, data={"set": "npz", "path": "none"}))
    assert hard_pairs(spec.softmax) == {}
    assert softmax(spec, 0).samples == 160
