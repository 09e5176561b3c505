"""The core's counters: their names, in the order of its counter port."""

from .cycles import PHASES

__all__ = ["COUNTERS", "COUNTER_WIDTH"]

COUNTER_WIDTH = 48
"""Bits of every counter."""

COUNTERS = (
    *(f"{phase}_{what}" for phase in PHASES for what in ("cycles", "macs")),
    "samples",
    "free_steps",
    "nudged_steps",
    "updates",
    "weight_saturations",
    "offset_saturations",
)
"""Names, the lowest bits of the port first.

``<phase>_cycles`` and ``<phase>_macs``: cycles in which the sequencer is in a phase, and useful multiplications (a real
weight or row with a real word).  ``samples``, ``free_steps``, ``nudged_steps``, ``updates``: how many were finished.
``weight_saturations``, ``offset_saturations``: words that were limited.
"""
