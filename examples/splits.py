"""How much the accuracy on the digits depends on which 360 of them are the test set.

Trains the fixed-point model of a design on several splits and seeds, and prints the table that docs/results.md quotes::

    python examples/splits.py rtl/digits/design.toml --splits 10 --seeds 3
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import numpy as np

from fregen.data.datasets import load
from fregen.design.document import Design
from fregen.training.loop import train


def last_accuracy(job: tuple[str, str, int, int]) -> float:
    """Test accuracy after the last epoch."""
    path, model, split, seed = job
    design = Design.load(path).replace(seed=seed, data={"split": split})
    return train(design, load(design), model).last


def main() -> None:
    """Print one line a split."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("design")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model", choices=("fixed", "float", "backprop"), default="fixed")
    options = parser.parse_args()
    jobs = [(options.design, options.model, *pair) for pair in product(range(options.splits), range(options.seeds))]
    with ProcessPoolExecutor(2) as pool:
        found = np.array(list(pool.map(last_accuracy, jobs))).reshape(options.splits, options.seeds)
    for split, row in enumerate(100 * found):
        print(f"split {split}: " + " ".join(f"{value:6.2f}" for value in row) + f"   mean {row.mean():6.2f} %")
    print(f"all: mean {100 * found.mean():.2f} %, from {100 * found.min():.2f} to {100 * found.max():.2f} %")


if __name__ == "__main__":
    main()
