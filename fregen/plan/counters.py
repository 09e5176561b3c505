"""The core's counters: their names, in the order of its counter port."""

from .cycles import PHASES

__all__ = ["COUNTERS", "COUNTER_WIDTH"]

COUNTER_WIDTH = 48
"""Bits of every counter."""

COUNTERS = (
    *(f"{phase}_{what}" for phase in PHASES for what in ("cycles", "macs")),
    "waiting_cycles",
    "samples",
    "free_steps",
    "nudged_steps",
    "updates",
    "weight_saturations",
    "offset_saturations",
)
"""Names, the lowest bits of the port first.

``<phase>_cycles`` and ``<phase>_macs``: cycles in which the lanes get work of a phase, and useful multiplications (a
real weight or row with a real word).  ``waiting_cycles``: cycles in which programs run and none of them has work for
the lanes.  ``samples``, ``free_steps``, ``nudged_steps``, ``updates``: how many were finished.
``weight_saturations``, ``offset_saturations``: words that were limited.
"""
