import gzip
import hashlib
import io
import pickle
import zipfile
import zlib

import numpy as np
import pytest

from fregen.data.datasets import DATA_VARIABLE, load
from fregen.design.document import Design
from fregen.errors import DataError
from fregen.spec.network import NetworkSpec
from fregen.training.samples import as_words, epoch_order

pytestmark = pytest.mark.unit

NAMES = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def design(layers=(6, 3, 3, 4), **data):
    return Design.parse({"name": "little", "network": {"layers": list(layers)}, "data": data})


def idx(array):
    array = np.asarray(array, dtype=np.uint8)
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return (0x800 + array.ndim).to_bytes(4, "big") + sizes + array.tobytes()


@pytest.fixture
def folder(tmp_path):
    """A small set of 2 x 3 images in the four files: two plain, two compressed."""
    images = np.arange(5 * 6).reshape(5, 2, 3) * 8
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(images))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx([0, 1, 2, 3, 0])))
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(255 - images[:2])))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx([3, 1]))
    return tmp_path


# Digits -------------------------------------------------------------------------------------------------------------


def test_digits_have_the_fixed_split():
    data = load(design((64, 3, 10)))
    assert (data.name, data.classes, data.image_shape) == ("digits", 10, (8, 8))
    assert data.train_inputs.shape == (1437, 64)
    assert data.test_inputs.shape == (360, 64)
    assert (data.train_inputs.dtype, data.train_labels.dtype) == (np.float32, np.int64)
    assert (data.train_inputs.min(), data.train_inputs.max()) == (0, 1)
    assert np.bincount(data.test_labels).tolist() == [39, 37, 47, 28, 42, 32, 37, 27, 30, 41]
    digest = hashlib.md5(data.train_inputs.tobytes() + data.train_labels.tobytes())
    assert digest.hexdigest() == "112659dab0e3a50a3c45827e3b000e42"


def test_another_split_has_other_test_samples():
    first, other = load(design((64, 3, 10))), load(design((64, 3, 10), split=1))
    assert not np.array_equal(first.test_labels, other.test_labels)
    assert len(other.test_labels) == 360


def test_limits_take_the_first_samples():
    whole, part = load(design((64, 3, 10))), load(design((64, 3, 10), train=5, test=3))
    np.testing.assert_array_equal(part.train_inputs, whole.train_inputs[:5])
    np.testing.assert_array_equal(part.test_labels, whole.test_labels[:3])
    assert part.classes == 10


@pytest.mark.parametrize(
    ("layers", "data", "message"),
    [
        ((63, 3, 10), {}, "a sample has 64 values, but network.layers begins with 63; make it 64"),
        (
            ({"channels": 4, "height": 4, "width": 4}, {"channels": 2, "kernel": 3}, 10),
            {},
            "a sample has the shape (1, 8, 8), but network.layers begins with (4, 4, 4); make it "
            "{ channels = 1, height = 8, width = 8 }",
        ),
        ((64, 3, 9), {}, "there are 10 classes, but network.layers ends with 9; make it 10 or more"),
        ((64, 3, 10), {"train": 1438}, "data.train asks for 1438 samples, but there are 1437"),
        ((64, 3, 10), {"test": 361}, "data.test asks for 361 samples, but there are 360"),
        ((64, 3, 10), {"path": "x"}, "'digits' comes with scikit-learn; remove the path 'x'"),
    ],
)
def test_network_and_data_must_fit(layers, data, message):
    with pytest.raises(DataError) as caught:
        load(design(layers, **data))
    assert message in str(caught.value)


def test_more_outputs_than_classes_are_allowed():
    assert load(design((64, 3, 12), train=4)).classes == 10


# IDX ------------------------------------------------------------------------------------------------------------------


def test_idx_reads_plain_and_compressed_files(folder):
    data = load(design(set="idx", path=str(folder)))
    assert (data.classes, data.image_shape) == (4, (2, 3))
    np.testing.assert_array_equal(data.train_inputs[0], np.float32([0, 8, 16, 24, 32, 40]) / np.float32(255))
    np.testing.assert_array_equal(data.test_inputs[0], np.float32([255, 247, 239, 231, 223, 215]) / np.float32(255))
    assert data.train_labels.tolist() == [0, 1, 2, 3, 0]
    assert data.test_labels.tolist() == [3, 1]


def test_idx_folder_comes_from_the_environment(folder, monkeypatch, tmp_path_factory):
    monkeypatch.setenv(DATA_VARIABLE, str(folder))
    assert len(load(design(set="idx")).train_labels) == 5
    parent = tmp_path_factory.mktemp("parent")
    (parent / "mnist").symlink_to(folder)
    monkeypatch.setenv(DATA_VARIABLE, str(parent))
    assert load(design(set="idx")).name == "mnist"


def test_path_goes_before_the_environment(folder, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, "/nowhere")
    assert len(load(design(set="idx", path=str(folder))).train_labels) == 5


def test_without_path_and_environment_the_message_names_both(monkeypatch):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(DataError, match=r"give data\.path, or set FREGEN_DATA"):
        load(design(set="idx"))


def test_absent_folder_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    with pytest.raises(DataError, match=r"mnist \(FREGEN_DATA\): expected the file train-images-idx3-ubyte"):
        load(design(set="idx"))


def _truncate_gzip(folder):
    path = folder / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])


def _corrupt_gzip(folder):
    path = folder / "t10k-images-idx3-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # in the checksum
    path.write_bytes(content)


FAULTS = {
    "truncated gzip": (_truncate_gzip, r"t10k-images-idx3-ubyte\.gz: truncated or damaged"),
    "corrupt gzip": (_corrupt_gzip, r"t10k-images-idx3-ubyte\.gz: truncated or damaged"),
    "no gzip": (
        lambda f: (f / "train-labels-idx1-ubyte.gz").write_bytes(b"labels"),
        r"train-labels-idx1-ubyte\.gz: truncated or damaged",
    ),
    "short data": (
        lambda f: (f / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((5, 2, 3)))[:-1]),
        r"train-images-idx3-ubyte: expected 30 bytes of data \(5 x 2 x 3\), but there are 29",
    ),
    "trailing data": (
        lambda f: (f / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((5, 2, 3))) + b"x"),
        r"expected 30 bytes of data \(5 x 2 x 3\), but there are more",
    ),
    "short header": (
        lambda f: (f / "t10k-labels-idx1-ubyte").write_bytes(b"\0\0\x08"),
        r"t10k-labels-idx1-ubyte: expected an IDX header of 8 bytes, but there are 3",
    ),
    "swapped files": (
        lambda f: (f / "train-images-idx3-ubyte").write_bytes(idx(np.zeros(40))),
        r"expected the IDX magic number 0x00000803 .* not 0x00000801; images and labels may be swapped",
    ),
    "other count": (
        lambda f: (f / "t10k-labels-idx1-ubyte").write_bytes(idx([1, 2, 3])),
        r"t10k-labels-idx1-ubyte: expected 2 labels, .* not 3",
    ),
    "other size": (
        lambda f: (f / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros((2, 3, 3))))),
        r"t10k-images-idx3-ubyte\.gz: expected samples of shape \(2, 3\) as in .*, not \(3, 3\)",
    ),
    "empty": (
        lambda f: (f / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((0, 2, 3)))),
        r"the header announces an empty set, 0 x 2 x 3",
    ),
    "label too high": (
        lambda f: (f / "t10k-labels-idx1-ubyte").write_bytes(idx([3, 4])),
        r"there are 5 classes, but network\.layers ends with 4",
    ),
    "missing file": (
        lambda f: (f / "train-labels-idx1-ubyte.gz").unlink(),
        r"train-labels-idx1-ubyte: no such file \(nor with \.gz\)",
    ),
}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_idx_faults_are_one_data_error(folder, fault):
    spoil, message = FAULTS[fault]
    spoil(folder)
    with pytest.raises(DataError, match=message):
        load(design(set="idx", path=str(folder)))


def test_mnist_is_the_published_set(mnist):
    folder = mnist
    for name, published in NAMES.items():
        path = folder / f"{name}.gz"
        content = gzip.decompress(path.read_bytes()) if path.exists() else (folder / name).read_bytes()
        assert hashlib.md5(content).hexdigest() == published, name
    data = load(design((784, 4, 10), set="idx", path=str(folder), train=100))
    assert (data.classes, data.image_shape, data.test_inputs.shape) == (10, (28, 28), (10000, 784))
    assert data.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert data.train_inputs.shape == (100, 784)


# npz ------------------------------------------------------------------------------------------------------------------


def arrays():
    return {
        "x_train": np.linspace(0, 1, 24).reshape(4, 2, 3),
        "y_train": np.array([0, 1, 2, 3]),
        "x_test": np.zeros((2, 2, 3)),
        "y_test": np.array([1, 0]),
    }


def test_npz_reads_values_and_pixels(tmp_path):
    np.savez(tmp_path / "set.npz", **arrays())
    data = load(design(set="npz", path=str(tmp_path / "set.npz")))
    assert (data.name, data.classes, data.image_shape) == ("set", 4, (2, 3))
    np.testing.assert_array_equal(data.train_inputs, np.float32(arrays()["x_train"].reshape(4, 6)))
    np.savez(tmp_path / "set.npz", **{**arrays(), "x_test": np.full((2, 2, 3), 51, np.uint8)})
    np.testing.assert_array_equal(load(design(set="npz", path=str(tmp_path / "set.npz"))).test_inputs, np.float32(0.2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_train": np.full((4, 2, 3), 1.5)}, r"x_train, y_train: expected values from 0 to 1, not 1.5 to 1.5"),
        (
            {"x_test": np.where(np.arange(12).reshape(2, 2, 3) == 7, np.nan, 0)},
            r"x_test, y_test: expected values from 0 to 1, but sample 1 holds one that is not finite$",
        ),
        (
            {"x_train": np.full((4, 2, 3), -1e-9)},
            r"expected values from 0 to 1, not -1e-09 to .*: rounded; clip them$",
        ),
        ({"x_train": np.full((4, 2, 3), 255.0)}, r"expected values from 0 to 1, not 255 to 255; scale them$"),
        (
            {"y_train": np.array([1, 2, 3, 4]), "y_test": np.array([1, 2])},
            r"labels go from 1 to 4, but are counted from 0, and network\.layers ends with 4; subtract 1 from them$",
        ),
        ({"x_train": np.zeros((4, 0, 3))}, r"x_train: a sample of shape \(0, 3\) holds no values$"),
        ({"y_train": np.zeros(4, "timedelta64[s]")}, r"expected integer labels, not timedelta64"),
        ({"y_train": np.zeros(4, "datetime64[s]")}, r"expected integer labels, not datetime64"),
        ({"y_train": np.zeros(4, [("a", "<i4")])}, r"expected integer labels, not \[\('a'"),
        ({"y_train": np.zeros(4, "V0")}, r"expected integer labels, not \|V0"),
        ({"x_train": np.zeros((4, 2, 3), np.int32)}, r"expected uint8 or floating-point samples, not int32"),
        ({"x_train": np.zeros(4)}, r"x_train: expected samples x values"),
        ({"y_train": np.zeros(4)}, r"expected integer labels, not float64"),
        ({"y_train": np.zeros(3, int)}, r"expected one label for each of 4 samples, not shape \(3,\)"),
        ({"y_test": np.array([-1, 0])}, r"expected labels from 0 up, not -1"),
        ({"y_test": np.array([{}, {}])}, r"holds pickled Python objects"),
        ({"x_test": np.zeros((0, 2, 3)), "y_test": np.zeros(0, int)}, r"holds no samples"),
    ],
)
def test_npz_faults_are_one_data_error(tmp_path, change, message):
    np.savez(tmp_path / "set.npz", **{**arrays(), **change})
    with pytest.raises(DataError, match=message):
        load(design(set="npz", path=str(tmp_path / "set.npz")))


def test_npz_must_be_there_whole_and_of_its_kind(tmp_path):
    path = tmp_path / "set.npz"
    asked = design(set="npz", path=str(path))
    with pytest.raises(DataError, match="no such file; expected a data set"):
        load(asked)
    path.write_bytes(pickle.dumps({"x_train": 0}))
    with pytest.raises(DataError, match=r"expected a data set .* but the file starts with"):
        load(asked)
    np.savez(path, x_train=0, y_train=0)
    with pytest.raises(DataError, match="it lacks x_test, y_test"):
        load(asked)
    np.savez(path, **arrays())
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="truncated or damaged"):
        load(asked)
    with pytest.raises(DataError, match=r"data\.path: the set 'npz' needs the path"):
        load(design(set="npz"))


def test_a_random_file_that_begins_with_pk_is_damaged_not_pickled(tmp_path):
    (tmp_path / "set.npz").write_bytes(b"PK" + bytes(range(256)) * 4)
    with pytest.raises(DataError, match=r"truncated or damaged, cannot be read as a data set: File is not a zip"):
        load(design(set="npz", path=str(tmp_path / "set.npz")))


def test_an_array_that_nobody_asked_for_is_not_read(tmp_path):
    """4 GB of zeros, 4 MB long, cost 37 seconds and all memory; beside a sound set they are nothing."""
    np.savez(tmp_path / "set.npz", **arrays())
    with zipfile.ZipFile(tmp_path / "set.npz", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("huge.npy", header((1 << 40,), "|u1") + bytes(1000))
        archive.writestr("objects.npy", header((1,), "|O"))
    assert len(load(design(set="npz", path=str(tmp_path / "set.npz"))).train_labels) == 4


def header(shape, kind):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"shape": shape, "fortran_order": False, "descr": kind})
    return file.getvalue()


BOMBS = {
    "array that is not there": ({"x_train": header((1 << 40, 6), "<f8")}, "truncated or damaged"),
    "labels that are not there": ({"y_train": header((1 << 40,), "<f8")}, "truncated or damaged"),
    "samples without number": ({"x_train": header((1 << 62, 1 << 62, 6), "<f8")}, "truncated or damaged"),
    "negative shape": ({"x_train": header((-4, -6), "|u1") + bytes(24)}, "announces the shape"),
    "header of 4 GB": ({"x_train": b"\x93NUMPY\x02\x00\xff\xff\xff\xff{"}, "cannot be read as a data set"),
    "records": ({"x_train": b"\x93NUMPY\x03\x00\x01\x00\x00\x00{"}, "expected an array of plain values"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_sizes_are_checked_from_headers(tmp_path, bomb):
    changed, message = BOMBS[bomb]
    np.savez(tmp_path / "set.npz", **{name: value for name, value in arrays().items() if name not in changed})
    with zipfile.ZipFile(tmp_path / "set.npz", "a", zipfile.ZIP_DEFLATED) as archive:
        for name, content in changed.items():
            archive.writestr(f"{name}.npy", content)
    with pytest.raises(DataError, match=message):
        load(design(set="npz", path=str(tmp_path / "set.npz")))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((1 << 28, 2, 3), r"expected 1,610,612,736 bytes of data \(268435456 x 2 x 3\), but there are fewer"),
        ((5, 28, 28), r"a sample has 784 values, but network\.layers begins with 6; make it 784"),
    ],
)
def test_no_more_is_decompressed_than_a_sound_header_announces(folder, sizes, message):
    sizes = b"".join(size.to_bytes(4, "big") for size in sizes)
    content = gzip.compress((0x803).to_bytes(4, "big") + sizes + bytes(1 << 20))
    (folder / "train-images-idx3-ubyte").unlink()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(design(set="idx", path=str(folder)))


def test_a_gzip_bomb_is_not_unpacked(folder):
    """A header that announces 30 bytes, over 64 MB of zeros."""
    compressor = zlib.compressobj(9, wbits=31)
    zeros = bytes(1 << 20)
    content = compressor.compress(idx(np.zeros((5, 2, 3)))) + b"".join(compressor.compress(zeros) for _ in range(64))
    (folder / "train-images-idx3-ubyte").unlink()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(content + compressor.flush())
    with pytest.raises(DataError, match=r"expected 30 bytes of data \(5 x 2 x 3\), but there are more"):
        load(design(set="idx", path=str(folder)))


def test_a_place_that_cannot_be_a_file_is_a_data_error():
    with pytest.raises(DataError, match="File name too long"):
        load(design(set="idx", path="/tmp/" + "a" * 400))


# Words and order ----------------------------------------------------------------------------------------------------


def test_pixels_become_the_nearest_words():
    spec = NetworkSpec(Design.parse({"name": "w", "network": {"layers": [3, 2, 2]}, "numerics": {"state": "q1.3"}}))
    words = as_words(np.float32([[0, 1 / 16, 3 / 16], [0.5, 0.9, 1]]), spec)
    assert words.tolist() == [[0, 0, 2], [4, 7, 7]]
    assert words.dtype == np.int64


def test_order_is_a_permutation_that_depends_on_seed_and_epoch():
    order = epoch_order(0, 0, 6)
    assert order.tolist() == np.random.default_rng([0, 1, 0]).permutation(6).tolist()
    assert sorted(epoch_order(3, 2, 50).tolist()) == list(range(50))
    assert len({tuple(epoch_order(seed, epoch, 50)) for seed in range(3) for epoch in range(3)}) == 9
