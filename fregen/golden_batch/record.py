"""Every word that a batch computed in every network, for comparisons."""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Record"]


@dataclass
class Record:
    """What one batch leaves behind when it is asked to; arrays of the library that computes.

    Hidden layers lie side by side in the last axis as in :class:`fregen.golden.trace.Trace`: from the input up in
    ``states`` and ``contrast``, from the output down in ``nudged``.  All steps are there: those that a sample no longer
    executed repeat its last words.

    Attributes
    ----------
    states, nudged : list of (networks, n, neurons) arrays
        Words after every free and every nudged step.
    logits : (networks, n, classes) array
        Sums of the output layer after the free phase.
    errors : (networks, n, classes) array
        Error words of the free phase.
    nudged_errors : list of (networks, n, classes) arrays
        Error words that every nudged step used; filled if the error is recomputed.
    contrast : (networks, n, neurons) array
        Offset words, or differences of nudged and free state words.
    """

    states: list[Any] = field(default_factory=list)
    nudged: list[Any] = field(default_factory=list)
    logits: Any = None
    errors: Any = None
    nudged_errors: list[Any] = field(default_factory=list)
    contrast: Any = None
