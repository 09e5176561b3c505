"""From the meaning of a network to what the hardware holds and does: memory map, schedule, cycles, memory images."""

from .cycles import CycleModel, PhaseCycles
from .images import pack_weights, unpack_weights
from .in_flight import Passage
from .instruction import Drain, Feed, Instruction, Op, Plane, Start, Store
from .memory_map import MemoryMap
from .pipeline import PIPELINES, PORTABLE, Pipeline
from .schedule import Program, Schedule

__all__ = [
    "PIPELINES",
    "PORTABLE",
    "CycleModel",
    "Drain",
    "Feed",
    "Instruction",
    "MemoryMap",
    "Op",
    "Passage",
    "PhaseCycles",
    "Pipeline",
    "Plane",
    "Program",
    "Schedule",
    "Start",
    "Store",
    "pack_weights",
    "unpack_weights",
]
