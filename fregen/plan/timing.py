"""Latencies of the pipeline, cycles: the waits that the schedule keeps, and the cycle model counts.

A *beat* is one cycle in which the sequencer issues work.  Its stages: addresses, memories, operands, product,
alignment, sum.
"""

from ..spec.network import SoftmaxSpec

__all__ = ["COPY_WAIT", "DIFFERENCE_WAIT", "NEURON_WAIT", "UPDATE_WAIT", "softmax_wait"]

NEURON_WAIT = 13
"""From the last beat of a tile until its first neuron's word is written, less one; one more a further neuron."""
UPDATE_WAIT = 10
"""From the last beat of an update until its weight is written."""
COPY_WAIT = 4
"""From the last beat of a copy until the word is written."""
DIFFERENCE_WAIT = 5
"""From the last beat of a difference until the word is written."""

_PREDICTION = 6
"""From the last beat of the last logit's tile until the prediction stands, less that tile's neurons."""
_ERRORS = 8
"""What the two walks over the classes add to twice their number."""


def softmax_wait(spec: SoftmaxSpec, wants_error: bool) -> int:
    """Count from the last beat of the logits until prediction (and error) are there, less the last tile's neurons."""
    return _PREDICTION + (2 * spec.classes + _ERRORS if wants_error else 0)
