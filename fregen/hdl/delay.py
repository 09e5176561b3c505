"""Delay lines."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data

__all__ = ["delayed", "taps"]


def taps(m: Module, value: Value | data.View, cycles: int, name: str) -> list:
    """Delay a value, and keep every delay.

    Parameters
    ----------
    m : Module
        Gets the registers; all are 0 after reset.
    value : Value or View
        What to delay; a view keeps its layout.
    cycles : int
        Longest delay.
    name : str
        Registers are called ``name_1``, ``name_2``, ...

    Returns
    -------
    list
        Item k is k cycles late; item 0 is the value.
    """
    line = [value]
    for k in range(1, cycles + 1):
        late = Signal(value.shape(), name=f"{name}_{k}")
        m.d.sync += late.eq(line[-1])
        line.append(late)
    return line


def delayed(m: Module, value: Value | data.View, cycles: int, name: str) -> Value | data.View:
    """Delay a value by so many cycles; arguments as for :func:`taps`."""
    return taps(m, value, cycles, name)[-1]
