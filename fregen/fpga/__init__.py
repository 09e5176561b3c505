"""Synthesis, place and route of a core, by open tools: how fast it is, and what it takes of a part."""

from .device import DEVICES, Device, find_device
from .flow import Stage, place_and_route
from .report import Placed, Step

__all__ = ["DEVICES", "Device", "Placed", "Stage", "Step", "find_device", "place_and_route"]
