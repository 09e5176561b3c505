import gzip
import io
import os
import pickle
import tarfile

import numpy as np
import pytest

from fregen.data.datasets import DATA_VARIABLE, load
from fregen.design.document import Design
from fregen.errors import DataError

pytestmark = pytest.mark.unit

BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
BINARY, PYTHON = "cifar-10-batches-bin", "cifar-10-batches-py"
RNG = np.random.default_rng(3)
PIXELS = {name: RNG.integers(0, 256, (4, 3072), dtype=np.uint8) for name in BATCHES}
LABELS = {name: [int(label) for label in RNG.integers(0, 10, 3)] + [9] for name in BATCHES}


def design(path=None, **data):
    place = {} if path is None else {"path": str(path)}
    return Design.parse(
        {"name": "c", "network": {"layers": [3072, 4, 10]}, "data": {"set": "cifar10", **place, **data}}
    )


def contents(kind):
    """Files of a small archive, as published: by name."""
    if kind == BINARY:
        return {
            f"{name}.bin": np.column_stack([np.array(LABELS[name], dtype=np.uint8), PIXELS[name]]).tobytes()
            for name in BATCHES
        }
    keys = {b"batch_label": b"a", b"labels": LABELS, b"data": PIXELS, b"filenames": [b"x.png"] * 4}
    return {
        name: pickle.dumps({k: v[name] if isinstance(v, dict) else v for k, v in keys.items()}, protocol=2)
        for name in BATCHES
    }


def unpacked(parent, kind, **changed):
    folder = parent / kind
    folder.mkdir(parents=True)
    for name, content in {**contents(kind), **changed}.items():
        (folder / name).write_bytes(content)
    return parent


def packed(parent, kind, leave=None):
    path = parent / {BINARY: "cifar-10-binary.tar.gz", PYTHON: "cifar-10-python.tar.gz"}[kind]
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents(kind).items():
            if name != leave:
                info = tarfile.TarInfo(f"{kind}/{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


def check(data):
    wanted = np.concatenate([PIXELS[name] for name in BATCHES[:5]])
    assert np.array_equal(data.train_inputs, wanted.astype(np.float32) / np.float32(255))
    assert np.array_equal(data.train_labels, np.concatenate([LABELS[name] for name in BATCHES[:5]]))
    assert np.array_equal(data.test_inputs, PIXELS["test_batch"].astype(np.float32) / np.float32(255))
    assert np.array_equal(data.test_labels, LABELS["test_batch"])
    assert (data.name, data.classes, data.image_shape) == ("cifar10", 10, (3, 32, 32))


@pytest.mark.parametrize("kind", [BINARY, PYTHON])
def test_every_way_to_name_an_archive(tmp_path, kind, monkeypatch):
    folder = unpacked(tmp_path / "open" / "cifar10", kind)
    check(load(design(folder)))
    check(load(design(folder / kind)))
    archive = packed(tmp_path, kind)
    check(load(design(archive)))
    check(load(design(tmp_path)))
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "open"))
    check(load(design()))


def short_string(text):
    return b"U" + bytes([len(text)]) + text


def by_python_2(name):
    """Pickle a batch with the operations of Python 2, byte strings throughout, as the published files are."""
    pixels, labels = PIXELS[name].tobytes(), LABELS[name]
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + short_string(b"b") + b"\x87R(K\x01"
        b"K\x04M\x00\x0c\x86cnumpy\ndtype\n"
        + short_string(b"u1")
        + b"K\x00K\x01\x87R(K\x03"
        + short_string(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + len(pixels).to_bytes(4, "little")
        + pixels
        + b"tb"
    )
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + short_string(b"data") + array + short_string(b"labels") + numbers + b"u."


def test_the_operations_of_python_2(tmp_path):
    check(load(design(unpacked(tmp_path, PYTHON, **{name: by_python_2(name) for name in BATCHES}))))


def test_a_folder_named_as_an_archive_is_none(tmp_path):
    (tmp_path / "cifar-10-binary.tar.gz").mkdir()
    with pytest.raises(DataError, match=r"expected cifar-10-binary.tar.gz"):
        load(design(tmp_path))


def test_only_the_first_samples(tmp_path):
    data = load(design(unpacked(tmp_path, BINARY), train=7, test=2))
    assert data.train_inputs.shape == (7, 3072)
    assert data.test_labels.tolist() == LABELS["test_batch"][:2]


def test_no_place_named(monkeypatch):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(DataError, match=r"needs the published archive.*FREGEN_DATA"):
        load(design())


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match=r"data.path.*expected cifar-10-binary.tar.gz"):
        load(design(tmp_path))


def label_ten():
    return bytes([10]) + bytes(3072)


def batch(**changed):
    keys = {"data": PIXELS["data_batch_1"], "labels": LABELS["data_batch_1"], **changed}
    return pickle.dumps({key: value for key, value in keys.items() if value is not None}, protocol=2)


class Evil:
    """A pickle that would run a command."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


@pytest.mark.parametrize(
    ("kind", "name", "content", "message"),
    [
        (BINARY, "data_batch_3.bin", bytes(3072), r"data_batch_3.bin: expected records of 3073 bytes"),
        (BINARY, "test_batch.bin", b"", r"test_batch.bin: expected records"),
        (BINARY, "test_batch.bin", label_ten(), r"expected labels 0 to 9, not 10"),
        (PYTHON, "data_batch_1", b"", r"data_batch_1: truncated or damaged"),
        (PYTHON, "data_batch_1", contents(PYTHON)["data_batch_1"][:-40], r"data_batch_1: truncated or damaged"),
        (PYTHON, "data_batch_1", pickle.dumps([1], protocol=2), r"expected a dictionary"),
        (PYTHON, "data_batch_1", batch(labels=None), r"expected 'data' and 'labels'; there are: data"),
        (
            PYTHON,
            "data_batch_1",
            batch(data=np.zeros((4, 3072))),
            r"data_batch_1: expected arrays of uint8 values, not of type 'f8'",
        ),
        (PYTHON, "data_batch_1", batch(labels=[1.5] * 4), r"list of integers"),
        (PYTHON, "data_batch_1", batch(labels=[1] * 3), r"a label for each image.*4 and 3"),
        (PYTHON, "data_batch_1", batch(labels=[-1] * 4), r"not -1 to -1"),
    ],
)
def test_damaged_batches(tmp_path, kind, name, content, message):
    with pytest.raises(DataError, match=message):
        load(design(unpacked(tmp_path, kind, **{name: content})))


def test_a_pickle_executes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = unpacked(tmp_path / "data", PYTHON, data_batch_2=pickle.dumps(Evil(), protocol=2))
    with pytest.raises(DataError, match=r"data_batch_2: the pickle asks for .*mkdir.* not executed"):
        load(design(place))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x02}r\xff\xff\xff\x7f.", "numbers 2,147,483,647 values in"),
        (b"\x80\x02}p4294967295\n.", "numbers 4,294,967,295 values in"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\x00\x00\x00.", "truncated or damaged"),
        (b"\x80\x02cnumpy\nndarray\nM\xff\xff\x85R.", "expected a dictionary"),
        (batch(data=np.zeros((4, 3072), object)), "expected arrays of uint8 values, not of type"),
        (batch(labels=[10**400] * 4), "expected labels 0 to 9, not <an integer of"),
    ],
    ids=["table of 16 GB", "table in digits", "bytes of 1 TB", "an array as it is", "objects", "a huge label"],
)
def test_a_pickle_allocates_nothing_that_is_not_there(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        load(design(unpacked(tmp_path, PYTHON, data_batch_1=content)))


def test_a_long_archive_is_not_unpacked(tmp_path):
    """A member that claims 8 GB, and a header field of as much."""
    for kind in (tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
        info = tarfile.TarInfo(f"{BINARY}/junk")
        info.size, info.type = 8 << 30, kind
        path = tmp_path / "cifar-10-binary.tar.gz"
        path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)))
        with pytest.raises(DataError, match="expected CIFAR-10, at most 1 GiB unpacked; this is longer"):
            load(design(path))


def test_a_batch_is_absent(tmp_path):
    place = unpacked(tmp_path, BINARY)
    (place / BINARY / "data_batch_5.bin").unlink()
    with pytest.raises(DataError, match=r"data_batch_5.bin: expected a batch"):
        load(design(place))
    with pytest.raises(DataError, match=r"there is no cifar-10-batches-py/data_batch_4 inside"):
        load(design(packed(tmp_path, PYTHON, leave="data_batch_4")))


def test_damaged_archives(tmp_path):
    path = packed(tmp_path, BINARY)
    whole = path.read_bytes()
    for content in (whole[:200], whole[: len(whole) // 2], b"no archive"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"truncated or damaged"):
            load(design(path))
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("other/file"))
    with pytest.raises(DataError, match=r"expected an archive of cifar-10-batches-bin or"):
        load(design(path))


def test_the_network_must_fit(tmp_path):
    small = Design.parse(
        {"name": "c", "network": {"layers": [784, 4, 10]}, "data": {"set": "cifar10", "path": str(tmp_path)}}
    )
    unpacked(tmp_path, BINARY)
    with pytest.raises(DataError, match=r"a sample has 3072 values, but network.layers begins with 784"):
        load(small)
