"""The hardware, in Amaranth: every register and operator of the accelerator."""

from .core import Core

__all__ = ["Core"]
