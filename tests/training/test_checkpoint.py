import json
import os
import pickle
import zipfile

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.errors import DataError, OutputError
from fregen.training.checkpoint import Checkpoint, _content_hash, load, save

pytestmark = pytest.mark.unit

DESIGN = Design.parse({"name": "little", "network": {"layers": [4, 3, 2]}})
HISTORY = [{"epoch": 0, "test_accuracy": 0.5}, {"epoch": 1, "test_accuracy": 0.75}]


def words():
    generator = np.random.default_rng(5)
    return [generator.integers(-32768, 32768, shape) for shape in ((3, 4), (2, 3))]


def values(dtype=np.float32):
    return [
        np.linspace(-1, 1, rows * columns, dtype=dtype).reshape(rows, columns) for rows, columns in ((3, 4), (2, 3))
    ]


FLOAT = {"model": "float", "precision": "single", "tolerance": 0.01}
MEMORY = {"optimizer.count_0": np.array(7), "noise.stream": np.array('{"state": 1}'), "optimizer.first_0": np.ones(3)}


@pytest.fixture
def path(tmp_path):
    save(tmp_path / "c.npz", Checkpoint(DESIGN, words(), 2, 123456789, HISTORY))
    return tmp_path / "c.npz"


@pytest.fixture
def real(tmp_path):
    save(tmp_path / "c.npz", Checkpoint(DESIGN, values(), 2, 0, HISTORY, FLOAT, MEMORY))
    return tmp_path / "c.npz"


def rewrite(path, **changes):
    """Write the file anew with other arrays (None: left out) or, for ``header``, other keys."""
    with np.load(path) as archive:
        stored = {name: archive[name] for name in archive.files}
    for name, value in changes.items():
        if name == "header":
            value = np.array(json.dumps({**json.loads(str(stored["header"])), **value}))
        stored[name] = value
    np.savez(path, **{name: value for name, value in stored.items() if value is not None})


@pytest.mark.parametrize("family", ["generic", "ice40", "gowin"])
def test_a_checkpoint_from_before_hardware_lost_two_keys_is_read(path, family):
    with np.load(path) as archive:
        stored = {name: archive[name] for name in archive.files}
    header = json.loads(str(stored["header"]))
    header["design"]["hardware"] |= {"family": family, "clock_mhz": 100.0}
    arrays = {name: array.astype(np.int64) for name, array in stored.items() if name != "header"}
    header["content"] = _content_hash(header, arrays)
    np.savez(path, **{**stored, "header": np.array(json.dumps(header))})
    assert load(path, DESIGN).design == DESIGN


def test_a_family_comes_back(tmp_path):
    """Earlier designs had a key of that name that nothing read; today's is kept."""
    design = DESIGN.replace(hardware={"family": "ecp5"})
    save(tmp_path / "c.npz", Checkpoint(design, words(), 2, 123456789, HISTORY))
    assert load(tmp_path / "c.npz", DESIGN).design == design != DESIGN


def test_load_returns_what_was_saved(path):
    loaded = load(path, DESIGN)
    assert (loaded.design, loaded.epoch, loaded.key, loaded.history) == (DESIGN, 2, 123456789, HISTORY)
    assert [array.dtype for array in loaded.weights] == [np.int64, np.int64]
    for got, expected in zip(loaded.weights, words(), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_values_and_what_is_remembered_come_back(real):
    loaded = load(real, DESIGN)
    assert (loaded.how, loaded.key, loaded.history) == (FLOAT, 0, HISTORY)
    for got, expected in zip(loaded.weights, values(), strict=True):
        np.testing.assert_array_equal(got, expected, strict=True)
    assert sorted(loaded.memory) == sorted(MEMORY)
    for name, expected in MEMORY.items():
        np.testing.assert_array_equal(loaded.memory[name], expected, strict=True)


def test_any_learning_and_hardware_may_read_the_words(path):
    other = DESIGN.replace(learning={"rate": 0.5}, hardware={"lanes": 4}, seed=3)
    assert load(path, other).design == DESIGN


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"numerics": {"weight": "q3.9"}}, "belongs to another design (it has numerics.weight = q3.13, not q3.9)"),
        ({"network": {"layers": (4, 4, 2)}}, "network.layers = [4, 3, 2], not [4, 4, 2]"),
        ({"network": {"beta": 0.25}}, "network.beta = 0.03125, not 0.25"),
    ],
)
def test_another_design_is_refused(path, sections, message):
    with pytest.raises(DataError) as caught:
        load(path, DESIGN.replace(**sections))
    assert message in str(caught.value)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_file_is_refused(path, part):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(DataError, match=r"c\.npz: "):
        load(path)


def test_no_flipped_bit_goes_unnoticed(path):
    """Each flip is refused, or falls on a byte that carries nothing (names of archive fields, alignment)."""
    content, intact = path.read_bytes(), load(path)
    refused = 0
    flips = [(position, 1 << (position % 8)) for position in range(len(content))]
    for position, bit in flips:
        spoilt = bytearray(content)
        spoilt[position] ^= bit
        path.write_bytes(spoilt)
        try:
            loaded = load(path)
        except DataError:
            refused += 1
        else:
            assert (loaded.design, loaded.epoch, loaded.key) == (intact.design, intact.epoch, intact.key)
            assert all(np.array_equal(a, b) for a, b in zip(loaded.weights, intact.weights, strict=True))
    assert refused > len(flips) / 2


FAULTS = {
    "changed word": ({"matrix_1": np.zeros((2, 3), np.int32)}, "content does not match its hash"),
    "changed epoch": ({"header": {"epoch": 3}}, "content does not match its hash"),
    "changed key": ({"header": {"key": 3}}, "content does not match its hash"),
    "shape": ({"matrix_0": np.zeros((4, 3), np.int32)}, r"W0: expected 3 x 4 words, not shape \(4, 3\)"),
    "type": ({"matrix_0": np.zeros((3, 4))}, "W0: expected integer words, not float64"),
    "range": ({"matrix_1": np.full((2, 3), 40000)}, r"W1: words 40000 to 40000 lie outside q3.13 \(-32768 to 32767\)"),
    "lacking matrix": ({"matrix_1": None}, "expected the arrays matrix_0, matrix_1, not matrix_0$"),
    "further matrix": ({"matrix_2": np.zeros(3)}, "expected the arrays matrix_0, matrix_1, not matrix_0, matrix_1, "),
    "pickle": ({"matrix_0": np.array([{}, {}])}, "holds pickled Python objects"),
    "kind": ({"header": {"kind": "letter"}}, "expected a fregen checkpoint"),
    "version": ({"header": {"version": 1}}, "expected checkpoint version 2, not 1; train anew"),
    "history": ({"header": {"history": [{"epoch": 0, "rate": "x"}]}}, "expected a history of records of numbers, not "),
    "header type": ({"header": {"key": "x"}}, "header: expected key of type int, not 'x'"),
    "numerics hash": ({"header": {"numerics": "0" * 16}}, "has the numerics hash .*, not 0000000000000000 as recorded"),
    "invalid design": ({"header": {"design": {"name": "x"}}}, "the design inside .* network: this key is required"),
}


REAL_FAULTS = {
    "changed value": ({"matrix_1": np.zeros((2, 3), np.float32)}, "content does not match its hash"),
    "changed memory": ({"memory.optimizer.count_0": np.array(8)}, "content does not match its hash"),
    "lacking memory": ({"memory.optimizer.count_0": None}, "content does not match its hash"),
    "further memory": ({"memory.x": np.array(8)}, "content does not match its hash"),
    "precision": ({f"matrix_{i}": w for i, w in enumerate(values(np.float64))}, "content does not match its hash"),
    "two types": ({"matrix_1": np.zeros((2, 3))}, "expected values of one type, not float32 and float64"),
    "words": ({"matrix_1": np.zeros((2, 3), int)}, "expected values of type float32 or float64, not float32 and int64"),
    "infinite": ({"matrix_1": np.full((2, 3), np.inf, np.float32)}, "W1: expected finite values only"),
    "shape": ({"matrix_1": np.zeros((3, 2), np.float32)}, r"W1: expected 2 x 3 values, not shape \(3, 2\)"),
    "tolerance": ({"header": {"how": {**FLOAT, "tolerance": 0.1}}}, "content does not match its hash"),
    "fixed": ({"header": {"how": {"model": "fixed"}}}, "W0: expected integer words, not float32"),
}


@pytest.mark.parametrize(
    ("stored", "fault"), [("path", fault) for fault in FAULTS] + [("real", fault) for fault in REAL_FAULTS]
)
def test_faults_are_one_data_error(request, stored, fault):
    path, (changes, message) = request.getfixturevalue(stored), {"path": FAULTS, "real": REAL_FAULTS}[stored][fault]
    rewrite(path, **changes)
    with pytest.raises(DataError, match=message):
        load(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "c.npz"
    with pytest.raises(DataError, match="no such file; expected a checkpoint"):
        load(path)
    path.write_bytes(pickle.dumps([1]))
    with pytest.raises(DataError, match="expected a checkpoint"):
        load(path)
    np.savez(path, something=np.zeros(3))
    with pytest.raises(DataError, match="it lacks header"):
        load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.npy", b"no array")
    with pytest.raises(DataError, match="expected a checkpoint that holds arrays only; header is none"):
        load(path)
    with pytest.raises(DataError):
        load(tmp_path)


def test_wrong_words_are_not_saved(tmp_path):
    for spoilt, message in (
        ([words()[0]], "the design has 2 weight matrices, not 1"),
        ([words()[0], words()[1] + 70000], "W1: words .* lie outside"),
        ([words()[0], words()[1] * 0.5], "W1: expected integer words"),
    ):
        with pytest.raises(DataError, match=message):
            save(tmp_path / "c.npz", Checkpoint(DESIGN, spoilt, 0, 1, []))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    before = path.read_bytes()

    def fail(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match="cannot be written: disk full"):
        save(path, Checkpoint(DESIGN, words(), 3, 1, []))
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["c.npz"]


@pytest.mark.parametrize("header", ["{'descr': (", "{'descr': '<i4'\n  }\n }", "x" * 40, ""])
def test_a_malformed_array_header_is_one_message(path, header):
    """The archive is sound, the array within is not: what numpy raises then differs from case to case."""
    text = header.encode()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    with pytest.raises(DataError, match=r"c\.npz: .*a checkpoint"):
        load(path)
