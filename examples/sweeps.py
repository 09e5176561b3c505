"""What settling costs and gives: nets of 64 a layer in 16/16 words on MNIST, with few sweeps and settled.

Trains the fixed-point nets of ``fregen reproduce depth`` without shortcuts for a few epochs, and prints the table that
docs/results.md quotes.  *settled*: up to 2 L + 6 free and L + 8 nudged sweeps, ended as soon as no word changes::

    FREGEN_DATA=FOLDER python examples/sweeps.py --epochs 3
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from itertools import product

from fregen.data.datasets import load
from fregen.reproduce.depth_target import few_sweeps
from fregen.training.loop import TrainResult, train

SWEEPS = ("1 + 1", "2 + 1", "3 + 1", "settled")


def trained(job: tuple[int, str, int, int]) -> TrainResult:
    """Train one net with so many free and nudged sweeps."""
    layers, sweeps, epochs, seed = job
    free, _, nudged = sweeps.partition(" + ")
    phases = (int(free), int(nudged)) if nudged else (2 * layers + 6, layers + 8)
    design = few_sweeps(layers, "full", seed, {}, {})
    design = design.replace(learning={"free_steps": phases[0], "nudged_steps": phases[1]})
    return train(design, load(design), epochs=epochs)


def main() -> None:
    """Print one line a net and number of sweeps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, nargs="+", default=[5, 10, 20])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    jobs = [(*job, options.epochs, options.seed) for job in product(options.layers, SWEEPS)]
    print("| hidden layers | sweeps | executed, free + nudged, mean of the last epoch | test, best of the epochs, % |")
    print("|---|---|---|---|")
    with ProcessPoolExecutor(options.processes) as pool:
        for (layers, sweeps, *_), result in zip(jobs, pool.map(trained, jobs), strict=True):
            last = result.history[-1]
            steps = f"{last.free_steps:.2f} + {last.nudged_steps:.2f}"
            print(f"| {layers} | {sweeps} | {steps} | {100 * result.best:.2f} |", flush=True)


if __name__ == "__main__":
    main()
