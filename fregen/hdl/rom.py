"""Tables: words that never change, some cycles after their address."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Const, Module, Shape, ShapeCastable, Signal, Value
from amaranth.lib.memory import Memory

from .delay import delayed
from .names import call

__all__ = ["TablesAsLogic", "rom"]


class TablesAsLogic:
    """A platform on which tables are logic."""

    roms_as_logic = True


def rom(
    m: Module, name: str, shape: Any, words: Sequence[Any], address: Value, platform: object, latency: int = 1
) -> Any:
    """Add a table to a module.

    It is a memory without a write port.  Where the platform has a true attribute ``roms_as_logic`` it is a register and
    a switch over the address instead: for synthesis tools that ignore what a memory begins with.

    Parameters
    ----------
    m : Module
        The module.
    name : str
        Name of the memory or the register.
    shape : shape-like
        Shape of a word.
    words : sequence
        Its words; 0 follows them up to a power of two, so that no address is out of bounds.
    address : Value
        Which word, unsigned; bits that the table does not need are cut off.
    platform : object
        What the module is elaborated for.
    latency : int, optional
        Cycles from the address to the word.

    Returns
    -------
    Value or View
        The word.
    """
    depth = 1 << (len(words) - 1).bit_length()
    if not getattr(platform, "roms_as_logic", False):
        m.submodules[name] = memory = Memory(shape=shape, depth=depth, init=words)
        port = memory.read_port()
        call(port.addr, f"{name}_address")
        call(port.data, f"{name}_word")
        m.d.comb += port.addr.eq(address)
        return delayed(m, port.data, latency - 1, f"{name}_late")
    found = Signal(shape, name=name)
    with m.Switch(address[: depth.bit_length() - 1]):
        for place, word in enumerate(words):
            with m.Case(place):
                m.d.sync += found.eq(
                    shape.const(word) if isinstance(shape, ShapeCastable) else Const(word, Shape.cast(shape))
                )
        with m.Default():
            m.d.sync += Value.cast(found).eq(0)
    return delayed(m, found, latency - 1, f"{name}_late")
