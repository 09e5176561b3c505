"""How far the error words of every format lie from exact softmax: ``python examples/softmax_accuracy.py``.

The golden model computes probabilities of random logits (2 to 20 classes, standard deviations 1/2 to 6), and
numpy computes the same in real numbers.  ``docs/numerics.md`` quotes the table.
"""

import numpy as np

from fregen.fixed import Q
from fregen.golden import SoftmaxModel
from fregen.spec.network import SoftmaxSpec
from fregen.spec.tables import FINEST_ERROR

CLASSES, DEVIATIONS = (2, 3, 10, 20), (0.5, 2.0, 6.0)
FRAC_BITS, SUM_WIDTH = 20, 34


def greatest_distance(error: Q, rows: int = 120_000) -> float:
    """Return the greatest distance of a probability word to softmax, in units of the error's last place."""
    generator, greatest = np.random.default_rng(1), 0.0
    part = rows // (len(CLASSES) * len(DEVIATIONS))
    for classes in CLASSES:
        model = SoftmaxModel(SoftmaxSpec(classes, FRAC_BITS, SUM_WIDTH, error))
        for deviation in DEVIATIONS:
            logits = np.rint(generator.normal(0, deviation, (part, classes)) * 2**FRAC_BITS).astype(np.int64)
            real = np.exp((logits - logits.max(axis=1, keepdims=True)) / 2**FRAC_BITS)
            real /= real.sum(axis=1, keepdims=True)
            distance = np.abs(model.probabilities(logits) - real * 2**error.frac_bits).max()
            greatest = max(greatest, float(distance))
    return greatest


def main() -> None:
    """Print a line for every format."""
    print("error    exponentials  reciprocals  greatest distance (LSB)")
    for frac_bits in range(3, FINEST_ERROR + 1):
        error = Q(1, frac_bits)
        spec = SoftmaxSpec(2, FRAC_BITS, SUM_WIDTH, error)
        tables = len(spec.exponential.words), len(spec.reciprocal.words)
        print(f"{error!s:8} {tables[0]:12} {tables[1]:12} {greatest_distance(error):12.2f}", flush=True)


if __name__ == "__main__":
    main()
