"""The portable family: memories and multipliers as every synthesis tool infers them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Const, Module, Shape, ShapeCastable, Signal, Value
from amaranth.lib.memory import Memory

from ..delay import delayed
from ..names import call

__all__ = ["Portable", "Ram"]


@dataclass(frozen=True)
class Ram:
    """Ports of a memory.

    Parameters
    ----------
    read_address, write_address : Signal
        Which words.
    read_word : Value or View
        The word that is read, ``latency`` cycles after its address.
    write_word : Value or View
        The word to write.
    write : Signal
        Write in this cycle: one bit, or one for each part of the word.
    """

    read_address: Signal
    read_word: Any
    write_address: Signal
    write_word: Any
    write: Signal


class Portable:
    """Memories, tables and multipliers of which nothing is asked but what they compute.

    Parameters
    ----------
    tables_as_logic : bool
        Make tables of logic: for synthesis tools that ignore what a memory begins with.
    """

    def __init__(self, tables_as_logic: bool = False) -> None:
        self.tables_as_logic = tables_as_logic

    def ram(self, m: Module, name: str, shape: Any, depth: int, latency: int = 1, parts: int | None = None) -> Ram:
        """Add a memory with one port that reads and one that writes.

        It begins with zeros, and reset does not clear it.  A word that is read while it is written may be anything:
        this family gives the old one.  In the Verilog the ports are called ``NAME_read_address``, and so on.

        Parameters
        ----------
        m : Module
            The module.
        name : str
            Name of the memory.
        shape : shape-like
            Shape of a word.
        depth : int
            Words.
        latency : int, optional
            Cycles from an address to its word.
        parts : int, optional
            Elements of a word (of an array layout), or bits, that one bit of ``write`` stands for.
        """
        m.submodules[name] = memory = Memory(shape=shape, depth=depth, init=[])
        read, write = memory.read_port(), memory.write_port(granularity=parts)
        ports = {"read_address": read.addr, "read_word": read.data, "write_address": write.addr}
        ports |= {"write_word": write.data, "write": write.en}
        for port, value in ports.items():
            call(value, f"{name}_{port}")
        return Ram(read.addr, delayed(m, read.data, latency - 1, f"{name}_late"), write.addr, write.data, write.en)

    def rom(self, m: Module, name: str, shape: Any, words: Sequence[Any], address: Value, latency: int = 1) -> Any:
        """Add a table: words that never change.

        It is a memory without a write port; with ``tables_as_logic`` a register and a switch over the address.

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
        latency : int, optional
            Cycles from the address to the word.

        Returns
        -------
        Value or View
            The word.
        """
        depth = 1 << (len(words) - 1).bit_length()
        if self._is_logic(depth):
            return delayed(m, self._switch(m, name, shape, words, address, depth), latency - 1, f"{name}_late")
        m.submodules[name] = memory = Memory(shape=shape, depth=depth, init=words)
        port = memory.read_port()
        call(port.addr, f"{name}_address")
        call(port.data, f"{name}_word")
        m.d.comb += port.addr.eq(address)
        return delayed(m, port.data, latency - 1, f"{name}_late")

    def local(self, m: Module, name: str, value: Value) -> Value:
        """Add a register near what reads it, which stays apart from others that hold the same."""
        return delayed(m, value, 1, name)

    def product(self, m: Module, name: str, a: Value, b: Value, cycles: int) -> Value:
        """Add a multiplier, exact and pipelined.

        Parameters
        ----------
        m : Module
            The module.
        name : str
            Registers are called after it.
        a, b : Value
            Operands.
        cycles : int
            From the operands to the product, at least 1.
        """
        return delayed(m, a * b, cycles, name)

    def _is_logic(self, depth: int) -> bool:
        """Whether a table of so many words is made of logic."""
        return self.tables_as_logic

    def _switch(self, m: Module, name: str, shape: Any, words: Sequence[Any], address: Value, depth: int) -> Any:
        """Add a register that takes the word of an address; return it."""
        found = Signal(shape, name=name)
        with m.Switch(address[: depth.bit_length() - 1]):
            for place, word in enumerate(words):
                with m.Case(place):
                    value = shape.const(word) if isinstance(shape, ShapeCastable) else Const(word, Shape.cast(shape))
                    m.d.sync += found.eq(value)
            with m.Default():
                m.d.sync += Value.cast(found).eq(0)
        return found
