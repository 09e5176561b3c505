"""Measure many networks side by side on a GPU: whether their words are the golden model's, and how fast they learn.

``FREGEN_DATA=FOLDER python examples/many_networks.py -o FOLDER`` needs MNIST, CuPy and, for the array operations,
PyTorch.  It prints what it finds and writes it as ``many_networks.json``.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fregen.data.datasets import load
from fregen.design.document import Design
from fregen.golden import NetworkModel
from fregen.golden_batch import BatchModel, BlockModel, CupyDevice, load_arrays
from fregen.spec.network import NetworkSpec
from fregen.training.samples import as_words, epoch_order
from fregen.verification.side_by_side import Compared, survey

FORMATS = {
    "4/12": {"state": "q1.3", "weight": "q3.9", "offset": "q2.4", "error": "q1.3"},
    "8/10": {"state": "q1.7", "weight": "q2.8", "offset": "q1.7", "error": "q1.7"},
    "12/12": {"state": "q1.11", "weight": "q3.9", "offset": "q3.9", "error": "q1.5"},
    "16/16": {"state": "q1.15", "weight": "q3.13", "offset": "q3.13", "error": "q1.7"},
    "18/18": {"state": "q1.17", "weight": "q3.15", "offset": "q3.15", "error": "q1.9"},
}
NETWORKS = (1, 16, 64, 256, 1024)
SAMPLES = 16
VALUES = np.arange(256, dtype=np.float32) / np.float32(255)


def design(seed: int, formats: str = "16/16", rounding: str = "nearest", **learning: Any) -> NetworkSpec:
    """784-64-64-10, offset form, 2 + 1 sweeps, batches of 16, as rtl/mnist/design.toml has it."""
    base = Design.load(Path(__file__).parents[1] / "rtl" / "mnist" / "design.toml")
    numerics = {**FORMATS[formats], "rounding": rounding}
    return NetworkSpec(base.replace(seed=seed, numerics=numerics, learning=learning))


class Mnist:
    """The data as levels of grey, and on a GPU."""

    def __init__(self) -> None:
        data = load(design(0).design)
        self.parts = {
            "train": (np.rint(data.train_inputs * 255).astype(np.uint8), data.train_labels),
            "test": (np.rint(data.test_inputs * 255).astype(np.uint8), data.test_labels),
        }
        assert (VALUES[self.parts["test"][0]] == data.test_inputs).all()

    def on(self, model: BlockModel, part: str = "train") -> Any:
        """Return a part as a model reads it."""
        levels, labels = self.parts[part]
        return model.levels(levels, VALUES, labels)


def same_on_mnist(data: Mnist, device: CupyDevice, batches: int) -> Compared:
    """Compare networks of all formats and roundings and of two rates with the golden model after many batches."""
    specs = [
        design(seed, formats, rounding, nudge=0.5 if seed else 0.25, gain=bool(seed))
        for seed, formats in enumerate(FORMATS)
        for rounding in ("nearest", "stochastic")
    ]
    rates = [2.0 ** -(3 + k % 3) for k in range(len(specs))]
    model, found = BlockModel(specs, device), Compared()
    levels, labels = data.parts["train"]
    order = np.random.default_rng(1).integers(0, len(labels), (batches, len(specs), SAMPLES)).astype(np.int32)
    result = model.train(data.on(model), device.put(order), rates)
    words, keys = model.words, model.keys
    for k, spec in enumerate(specs):
        golden = NetworkModel(spec)
        for number in range(batches):
            chosen = order[number, k]
            learnt = golden.learn(as_words(VALUES[levels[chosen]], spec), labels[chosen], rates[k])
            where = f"network {k}, batch {number}: "
            found.check(where + "predictions", result.predictions[number, k], learnt.predictions)
            found.check(where + "free_steps", result.free_steps[number, k], learnt.free_steps)
        for matrix, ours, theirs in zip(golden.graph.matrices, words[k], golden.weights, strict=True):
            found.check(f"network {k}: {matrix.name}", ours, theirs)
        found.check(f"network {k}: key", keys[k], golden.key)
    return found


# Speed ----------------------------------------------------------------------------------------------------------------


def seconds(run: Callable[[], None], wait: Callable[[], None], repeats: int = 5) -> float:
    """Median time of a run, after one that does not count."""
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        run()
        wait()
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:])


def by_blocks(data: Mnist, device: CupyDevice, networks: int, batches: int) -> tuple[float, float]:
    """Seconds a batch of all: a captured graph a batch, and many batches a launch."""
    cupy = device.cupy
    model = BlockModel([design(seed) for seed in range(networks)], device)
    rates, set_ = [0.125] * networks, data.on(model)
    count = len(data.parts["train"][1])
    order = device.put(np.random.default_rng(0).integers(0, count, (batches, networks, SAMPLES)).astype(np.int32))
    results = model.enqueue(set_, None, order, set_.classes, batches, SAMPLES, rates)

    def many() -> None:
        model.enqueue(set_, None, order, set_.classes, batches, SAMPLES, rates, results)

    once = seconds(many, cupy.cuda.Device().synchronize) / batches
    stream, now = cupy.cuda.Stream(non_blocking=True), order[:1].copy()
    with stream:
        one = model.enqueue(set_, None, now, set_.classes, 1, SAMPLES, rates)
        stream.synchronize()
        stream.begin_capture()
        model.enqueue(set_, None, now, set_.classes, 1, SAMPLES, rates, one)
        graph = stream.end_capture()

        def replay() -> None:
            for number in range(batches):
                cupy.copyto(now[0], order[number])
                graph.launch(stream)

        captured = seconds(replay, stream.synchronize) / batches
    return captured, once


def by_arrays(data: Mnist, networks: int, batches: int) -> float:
    """Seconds a batch of all in array operations of PyTorch, a captured graph a batch."""
    import torch

    specs = [design(seed) for seed in range(networks)]
    model = BatchModel(specs, load_arrays("torch", "cuda"))
    state, shifts = model.initial(), model.shifts([0.125] * networks)
    levels, labels = (torch.tensor(array, device="cuda") for array in data.parts["train"])
    words = torch.tensor(np.stack([spec.state.to_word(VALUES) for spec in specs]).reshape(-1), device="cuda")
    first = (torch.arange(networks, device="cuda") * 256)[:, None, None]
    order = torch.randint(0, len(labels), (batches, networks, SAMPLES), device="cuda")
    now = order[0].clone()

    def step() -> None:
        inputs = words[levels[now].to(torch.int64) + first]
        after, _ = model.step(state, inputs, labels[now].to(torch.int64), shifts)
        for array, new in zip((*state.weights, state.keys), (*after.weights, after.keys), strict=True):
            array.copy_(new)

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def replay() -> None:
        for number in range(batches):
            now.copy_(order[number])
            graph.replay()

    taken = seconds(replay, torch.cuda.synchronize, 3) / batches
    torch.cuda.empty_cache()
    return taken


# Trainings ------------------------------------------------------------------------------------------------------------


def trainings(data: Mnist, device: CupyDevice, networks: int, epochs: int, checked: int) -> dict[str, Any]:
    """Train networks that differ in their seed; compare the first and the last with the golden model after epochs."""
    specs = [design(seed) for seed in range(networks)]
    count = len(data.parts["train"][1]) // SAMPLES * SAMPLES
    begin = time.perf_counter()
    model = BlockModel(specs, device)
    train, test = data.on(model), data.on(model, "test")
    results, kept, wrong = None, {}, Compared()

    def order(epoch: int) -> Any:
        drawn = np.stack([epoch_order(spec.design.seed, epoch, len(data.parts["train"][1])) for spec in specs])
        batches = drawn[:, :count].astype(np.int32).reshape(networks, -1, SAMPLES)
        return np.ascontiguousarray(batches.swapaxes(0, 1))

    following = order(0)
    for epoch in range(epochs):
        rates = [spec.design.learning.rate_at(epoch) for spec in specs]
        now = device.put(following)
        results = model.enqueue(train, None, now, train.classes, len(following), SAMPLES, rates, results)
        if epoch + 1 < epochs:
            following = order(epoch + 1)
        if epoch + 1 == checked:
            kept = {k: model.words[k] for k in (0, networks - 1)}
    sought = np.arange(10_000, dtype=np.int32).reshape(-1, 1, 50)
    every = device.put(np.ascontiguousarray(np.broadcast_to(sought, (200, networks, 50))))
    right = model.results(model.enqueue(test, None, every, test.classes, 200, 50, None)).right
    taken = time.perf_counter() - begin
    levels, labels = data.parts["train"]
    for k, words in kept.items():
        golden = NetworkModel(specs[k])
        inputs = as_words(VALUES[levels], specs[k])
        for epoch in range(checked):
            drawn = epoch_order(specs[k].design.seed, epoch, len(labels))[:count]
            golden.train_epoch(inputs, labels, drawn, specs[k].design.learning.rate_at(epoch))
        for matrix, ours, theirs in zip(golden.graph.matrices, words, golden.weights, strict=True):
            wrong.check(f"network {k} after {checked} epochs: {matrix.name}", ours, theirs)
    accuracy = right / 100
    return {
        "networks": networks,
        "epochs": epochs,
        "seconds": taken,
        "accuracy_mean": float(accuracy.mean()),
        "accuracy_sd": float(accuracy.std(ddof=1)),
        "words_compared": wrong.words,
        "wrong": wrong.wrong,
    }


def main() -> None:
    """Compare, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=40.0, help="for each survey of designs drawn at random")
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}

    def tell(name: str, value: Any) -> None:
        figures[name] = value
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / "many_networks.json").write_text(json.dumps(figures, indent=1, default=str))
        print(f"{name}: {value}", flush=True)

    device = CupyDevice()
    tell("card", device.cupy.cuda.runtime.getDeviceProperties(0)["name"].decode())
    data = Mnist()
    same = same_on_mnist(data, device, 100)
    tell("same on MNIST", [same.words, same.wrong[:5]])
    for networks in NETWORKS:
        captured, once = by_blocks(data, device, networks, 100)
        samples = networks * SAMPLES
        row = {"graph_us": captured * 1e6, "launch_us": once * 1e6}
        row |= {"graph_samples_per_s": samples / captured, "launch_samples_per_s": samples / once}
        tell(f"blocks, {networks}", {name: round(value, 1) for name, value in row.items()})
    for networks in NETWORKS:
        taken = by_arrays(data, networks, 20)
        tell(
            f"arrays, {networks}",
            {"graph_us": round(taken * 1e6, 1), "samples_per_s": round(networks * SAMPLES / taken)},
        )
    tell("256 trainings", trainings(data, device, 256, arguments.epochs, 2))
    for name, where in (("blocks", device), ("torch", load_arrays("torch", "cuda")), ("cupy", load_arrays("cupy"))):
        found = survey(300, 5, where, seconds=arguments.seconds)
        tell(f"survey, {name}", str(found))


if __name__ == "__main__":
    main()
