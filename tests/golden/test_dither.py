"""Bulk dither against the definition, one word at a time, and its statistics."""

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.golden import DitherModel
from fregen.spec.dither import first_key, next_key
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.golden

MASK = 0xFFFFFFFF


def make(lanes=16, layers=(20, 12, 9, 5)):
    return NetworkSpec(Design.parse({"name": "t", "network": {"layers": layers}, "hardware": {"lanes": lanes}}))


def select(basis, number):
    word = 0
    for bit in range(number.bit_length()):
        if number >> bit & 1:
            word ^= basis[bit]
    return word


def one(key, column, row):
    """The definition of fregen.spec.dither, its mix written out."""
    from fregen.spec.dither import COLUMN_BASIS, ROW_BASIS

    h = key ^ select(COLUMN_BASIS, column)
    h = (h + (h << 10)) & MASK
    h ^= h >> 6
    h = (h + (h << 3)) & MASK
    h ^= h >> 11
    h = (h + (h << 15)) & MASK
    y = h ^ select(ROW_BASIS, row)
    return (y + (y >> 16)) & 0xFFFF


def test_every_word_follows_the_definition_in_logical_orientation():
    """The last matrix is kept transposed: its rows are the source's neurons, its columns the classes."""
    spec = make()
    model, key = DitherModel(spec), first_key(5)
    first = [0, 20, 32]
    for matrix in spec.graph.matrices:
        words = model.words(key, matrix)
        assert words.shape == spec.graph.shape(matrix)
        for i in range(words.shape[0]):
            for j in range(words.shape[1]):
                column, row = (i, j) if matrix.index == 2 else (j, i)
                assert words[i, j] == one(key, first[matrix.index] + column, row)


def test_an_output_that_is_not_narrower_is_kept_straight():
    spec = make(layers=(6, 4, 4))
    words = DitherModel(spec).words(99, spec.graph.matrices[1])
    assert words[3, 1] == one(99, 6 + 1, 3)


def test_chosen_sources_get_the_same_words():
    spec = make()
    model = DitherModel(spec)
    chosen = np.array([0, 3, 19])
    assert (
        model.words(7, spec.graph.matrices[0], chosen).tolist()
        == model.words(7, spec.graph.matrices[0])[:, chosen].tolist()
    )


def test_does_not_depend_on_the_lanes():
    words = [DitherModel(make(lanes)).words(1234, make().graph.matrices[1]).tolist() for lanes in (1, 4, 64)]
    assert words[0] == words[1] == words[2]


def test_is_uniform_over_weights_and_over_updates():
    """Chi-square of 256 bins (255 degrees of freedom: 5 sigma is 368), and of every single weight over its keys."""
    spec = make(layers=(64, 32, 32, 10))
    model, key, seen = DitherModel(spec), first_key(0), []
    for _ in range(1000):
        seen.append(model.words(key, spec.graph.matrices[0])[:8, :16].copy())
        key = next_key(key)
    words = np.stack(seen)
    counts = np.bincount(words.reshape(-1) >> 8, minlength=256)
    expected = words.size / 256
    assert ((counts - expected) ** 2 / expected).sum() < 368
    assert np.bincount(words.reshape(-1) & 255, minlength=256).min() > 0.8 * expected
    means = words.mean(axis=0)
    assert np.abs(means - 32767.5).max() < 5.5 * 65536 / np.sqrt(12 * 1000)


def test_columns_and_successive_updates_are_uncorrelated():
    spec = make(layers=(64, 32, 32, 10))
    model, key, seen = DitherModel(spec), first_key(3), []
    for _ in range(200):
        seen.append(model.words(key, spec.graph.matrices[0]).astype(float) - 32767.5)
        key = next_key(key)
    w = np.stack(seen) / (65536 / np.sqrt(12))
    assert abs((w[1:] * w[:-1]).mean()) < 0.01
    assert abs((w[:, :, 1:] * w[:, :, :-1]).mean()) < 0.01


def test_rows_of_a_column_are_related_but_never_the_same():
    """A row enters by XOR alone: cheap; two rows of one column may correlate (up to 0.82 among 64), not coincide."""
    spec = make(layers=(400, 64, 10))
    words = [DitherModel(spec).words(key, spec.graph.matrices[0]) for key in range(1, 20)]
    related = np.corrcoef(np.concatenate(words, axis=1).astype(float)) - np.eye(64)
    assert np.abs(related).max() < 0.9
    assert abs(related.mean()) < 0.05
