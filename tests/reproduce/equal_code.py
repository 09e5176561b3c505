"""What tiny trainings of every model give, as numbers: what a record of ``fregen reproduce`` depends on.

``python tests/reproduce/equal_code.py`` accepts today's code as giving the same numbers as the code that made the
stored records (``fregen/reproduce/equal_code.json``): after a change of code that changes no number.  Where
it changes one, the code is another and the script ends with 1.  ``--print`` prints the numbers of the code that is
imported, of an earlier commit too: ``PYTHONPATH=WORKTREE python tests/reproduce/equal_code.py --print``.
"""

import hashlib
import json
import math
import sys
from pathlib import Path

import numpy as np

from fregen import Design, FloatNetwork, load_data, train
from fregen.reproduce import Settling, settle

STORED = Path(__file__).with_name("numbers.json")

SMALL = {"name": "net", "seed": 3, "network": {"layers": [64, 7, 6, 10]}, "data": {"train": 96, "test": 60}}
LEARNING = {"free_steps": 4, "nudged_steps": 3, "batch": 8, "rate": 0.25}
OFFSET = {**LEARNING, "nudged": "offset", "order": "sweep"}
STATES = {**LEARNING, "nudged": "states", "order": "synchronous", "stop": False}
REAL = {**STATES, "nudge": 0.1, "rate": 0.01, "gain": False}
ADAM = {**REAL, "optimizer": "adam", "rate": 1e-3}
MAPS = [{"channels": 1, "height": 8, "width": 8}, {"channels": 3, "kernel": 3, "padding": 1, "pool": 2}, 10]
DEEP = {"layers": [64, 6, 5, 6, 5, 10], "topology": "residual", "feedback": "asymmetric"}
GRAPH = {"layers": [64, 6, 5, 6, 5, 10], "topology": "random", "feedback": "asymmetric", "graph_seed": 2}
NOISY = {"weight_noise": 0.01, "state_noise": 0.02, "layer_rates": [1, 0.5, 1], "optimizer": "momentum"}
FINE = {"weight": "q3.9", "state": "q1.9", "offset": "q3.9", "rounding": "stochastic"}

CASES = {
    "fixed, offset": ("fixed", "double", {"learning": OFFSET}),
    "fixed, states": ("fixed", "double", {"learning": STATES, "numerics": {"rounding": "stochastic"}}),
    "fixed, residual, other formats": ("fixed", "double", {"learning": OFFSET, "network": DEEP, "numerics": FINE}),
    "fixed, random graph": ("fixed", "double", {"learning": STATES, "network": GRAPH}),
    "float": ("float", "double", {"learning": REAL}),
    "float, single precision": ("float", "single", {"learning": ADAM}),
    "float, noise and momentum": ("float", "double", {"learning": {**REAL, **NOISY}}),
    "float, random graph": ("float", "double", {"learning": ADAM, "network": GRAPH}),
    "float, convolution": (
        "float",
        "double",
        {
            "learning": {**ADAM, "nudge": 0.25},
            "network": {"layers": MAPS, "beta": 0.01, "biases": True},
            "numerics": {"activation": {"function": "hard-sigmoid", "segments": 1}},
        },
    ),
    "backprop": ("backprop", "double", {"learning": ADAM}),
    "fa": ("fa", "double", {"learning": ADAM}),
    "lra": ("lra", "double", {"learning": ADAM}),
    "pep": ("pep", "double", {"learning": ADAM}),
}
"""Model, precision and keys of the design."""

HOW = Settling(20, 10, 60)


def numbers():
    """Return the numbers by case: words as a hash, real numbers as sums, accuracies as they are."""
    found = {}
    for name, (model, precision, keys) in CASES.items():
        design = Design.parse({**SMALL, **keys})
        result = train(design, load_data(design), model, 2, precision=precision)
        found[name] = {
            "test": [record.test_accuracy for record in result.history],
            "train": [record.train_accuracy for record in result.history],
            "weights": [summary(array) for array in result.weights],
        }
    design = Design.parse({**SMALL, "learning": {"order": "synchronous"}})
    found["settling"] = settle(FloatNetwork(design), load_data(design).test_inputs, HOW)
    return found


def summary(array):
    """Return what stands for a matrix: a hash of words; of real numbers the sums that no small difference changes."""
    if np.issubdtype(array.dtype, np.integer):
        return hashlib.sha256(array.astype("<i4").tobytes()).hexdigest()[:16]
    array = array.astype(float)
    ramp = np.arange(array.size).reshape(array.shape) % 7
    return [float(array.sum()), float((array * array).sum()), float((array * ramp).sum())]


def differing(found, stored, where=""):
    """Name what differs by more than another machine's order of additions can make it."""
    if isinstance(stored, dict):
        keys = sorted(set(stored) | set(found))
        return [d for key in keys for d in differing(found.get(key), stored.get(key), f"{where}/{key}")]
    if isinstance(stored, list) and isinstance(found, list) and len(found) == len(stored):
        pairs = enumerate(zip(found, stored, strict=True))
        return [d for index, (one, other) in pairs for d in differing(one, other, f"{where}/{index}")]
    if isinstance(stored, float) and isinstance(found, float):
        allowed = 1e-3 if "single" in where else 1e-8
        return [] if math.isclose(found, stored, rel_tol=allowed, abs_tol=allowed) else [where]
    return [] if found == stored else [where]


def main():
    found = numbers()
    if sys.argv[1:] == ["--print"]:
        print(json.dumps(found, indent=1))
        return 0
    if places := differing(found, json.loads(STORED.read_text())):
        print(f"other numbers than the stored records have: {', '.join(places)}")
        return 1
    from fregen.reproduce import sources

    equal = json.loads(sources.EQUAL.read_text())
    for kind, (model, measured) in sources.KINDS.items():
        digest = sources.code_hash(model, measured)
        if digest not in equal[kind]:
            equal[kind].append(digest)
            print(f"{kind}: {digest} is accepted")
    sources.EQUAL.write_text(json.dumps(equal, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
