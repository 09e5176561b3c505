"""Data sets and checkpoints as they should not be: sound small ones, one file of which is spoilt.

What lies under a checksum (zip, gzip) is spoilt below it as well, so that damage goes beyond the checksum.
"""

import gzip
import io
import json
import pickle
import random
import tarfile
import zipfile
from pathlib import Path

import numpy as np

from fregen.design.document import Design
from fregen.training.checkpoint import Checkpoint, save

RNG = np.random.default_rng(5)
IMAGES = RNG.integers(0, 256, (5, 2, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 3, 0], dtype=np.uint8)
BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
SMALL = {"name": "a", "network": {"layers": [6, 3, 4]}}
NUMBERS = [
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 40,
    (1 << 63) - 1,
    (1 << 64) - 1,
]


def sound(kind, folder):
    """Write the files of a kind; return the design that they are data of (a checkpoint is ``c.npz``)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in FILES[kind](folder).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    layers, data = [6, 3, 4], {"set": kind.partition(" ")[0], "path": str(folder)}
    if kind.startswith("cifar10"):
        layers = [3072, 3, 10]
    if kind == "npz":
        data["path"] = str(folder / "set.npz")
    if kind.startswith(("checkpoint", "manifest")):
        data = {}
    return Design.parse({"name": "a", "network": {"layers": layers}, "data": data})


def spoil(draw: random.Random, folder) -> str:
    """Spoil one file of a folder; return its name."""
    path = draw.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    content = path.read_bytes()
    below = draw.random() < 0.6
    if below and path.suffix == ".gz":
        content = gzip.compress(spoilt(draw, gzip.decompress(content)), 1)
    elif below and path.suffix == ".npz":
        content = _zip_spoilt(draw, content)
    else:
        content = spoilt(draw, content)
    path.write_bytes(content)
    return path.name


def spoilt(draw: random.Random, content: bytes) -> bytes:
    """Spoil bytes once or a few times."""
    for _ in range(draw.choice((1, 1, 2, 5))):
        content = draw.choice((_flip, _flip, _number, _number, _cut, _repeat, _insert, _digits))(draw, content)
    return content


def _at(draw, content):
    """Draw a place; headers, at the begin and at the end, more often than what lies between."""
    if draw.random() < 0.5:
        return draw.randrange(len(content) + 1)
    return draw.choice((draw.randrange(200), max(len(content) - draw.randrange(200), 0))) % (len(content) + 1)


def _flip(draw, content):
    at = _at(draw, content)
    return content[:at] + bytes([draw.randrange(256)]) + content[at + 1 :]


def _number(draw, content):
    at, size = _at(draw, content), draw.choice((1, 2, 4, 8))
    number = (draw.choice(NUMBERS) % (1 << (8 * size))).to_bytes(size, draw.choice(("little", "big")))
    return content[:at] + number + content[at + size :]


def _cut(draw, content):
    begin = _at(draw, content)
    return content[:begin] + content[begin + draw.choice((1, 4, 100, len(content))) :]


def _repeat(draw, content):
    begin = _at(draw, content)
    return (
        content[:begin] + content[begin : begin + draw.randrange(1, 600)] * draw.choice((2, 3, 200)) + content[begin:]
    )


def _insert(draw, content):
    at = _at(draw, content)
    return content[:at] + draw.randbytes(draw.choice((1, 4, 300))) + content[at:]


def _digits(draw, content):
    """Another number in a text, where there is one."""
    digits = [at for at, byte in enumerate(content[:4000]) if 48 <= byte < 58]
    if not digits:
        return content
    at = draw.choice(digits)
    return content[:at] + str(draw.choice(NUMBERS)).encode() + content[at + 1 :]


def _zip_spoilt(draw, content):
    source = zipfile.ZipFile(io.BytesIO(content))
    members = {name: source.read(name) for name in source.namelist()}
    name = draw.choice(sorted(members))
    change = draw.random()
    if change < 0.1:
        del members[name]
    elif change < 0.2:
        members[draw.choice(("x", "x_train.npy", "header.npy", "memory.x.npy", "é" * 3000))] = members[name]
    else:
        members[name] = spoilt(draw, members[name])
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return target.getvalue()


# Sound files --------------------------------------------------------------------------------------------------------


def _idx(array):
    array = np.asarray(array, dtype=np.uint8)
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return (0x800 + array.ndim).to_bytes(4, "big") + sizes + array.tobytes()


def _idx_files(_, packed=False):
    arrays = {"images-idx3-ubyte": IMAGES, "labels-idx1-ubyte": LABELS}
    files = {f"{part}-{name}": _idx(array) for part in ("train", "t10k") for name, array in arrays.items()}
    return {f"{name}.gz": gzip.compress(content) for name, content in files.items()} if packed else files


def _npz(_):
    file = io.BytesIO()
    np.savez(file, x_train=IMAGES, y_train=LABELS, x_test=IMAGES.reshape(5, 2, 3) / 255, y_test=LABELS.astype(np.int64))
    return {"set.npz": file.getvalue()}


def _cifar(_, folder="cifar-10-batches-bin"):
    pixels = RNG.integers(0, 256, (1, 3072), dtype=np.uint8)
    if folder.endswith("bin"):
        return {f"{folder}/{name}.bin": bytes([3]) + pixels.tobytes() for name in BATCHES}
    batch = pickle.dumps({b"data": pixels, b"labels": [3], b"filenames": [b"x.png"]}, protocol=2)
    return {f"{folder}/{name}": batch for name in BATCHES}


def _cifar_packed(_, folder):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in _cifar(None, folder).items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return {"cifar-10-binary.tar.gz": file.getvalue()}


def _checkpoint(folder, model="fixed"):
    design, shapes = Design.parse(SMALL), ((3, 6), (4, 3))
    record = {"epoch": 0, "rate": 0.5, "train_accuracy": 0.5, "test_accuracy": 0.5, "seconds": 1.0}
    record |= {"free_steps": 3.0, "nudged_steps": 4.0}
    if model == "fixed":
        weights, how, memory = [RNG.integers(-99, 99, shape) for shape in shapes], {"model": "fixed"}, {}
    else:
        weights = [RNG.normal(size=shape) for shape in shapes]
        how = {"model": "float", "precision": "double", "tolerance": None}
        memory = {"optimizer.mean_0": weights[0], "noise.weight_stream": np.array("{}")}
    save(folder / "c.npz", Checkpoint(design, weights, 1, 77, [record], how, memory))
    return {}


def _manifest(_):
    """Write a generated folder, as far as it is read before a simulation."""
    manifest = json.loads((Path(__file__).parents[2] / "rtl" / "tiny" / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"] = {"tiny.v": "0" * 64, "bench.v": "0" * 64}
    return {"manifest.json": json.dumps(manifest).encode()}


FILES = {
    "manifest": _manifest,
    "idx": _idx_files,
    "idx packed": lambda folder: _idx_files(folder, packed=True),
    "npz": _npz,
    "cifar10": _cifar,
    "cifar10 pickled": lambda folder: _cifar(folder, "cifar-10-batches-py"),
    "cifar10 packed": lambda folder: _cifar_packed(folder, "cifar-10-batches-bin"),
    "cifar10 packed pickles": lambda folder: _cifar_packed(folder, "cifar-10-batches-py"),
    "checkpoint": _checkpoint,
    "checkpoint of values": lambda folder: _checkpoint(folder, "float"),
}
