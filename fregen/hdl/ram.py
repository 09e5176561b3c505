"""Memories with one port that reads and one that writes."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.memory import Memory

from .delay import delayed
from .names import call

__all__ = ["Ram", "ram"]


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


def ram(m: Module, name: str, shape: Any, depth: int, latency: int = 1, parts: int | None = None) -> Ram:
    """Add a memory to a module.  It begins with zeros, and reset does not clear it.

    A word that is read while it is written is the old one.  In the Verilog its ports are called ``NAME_read_address``,
    and so on.

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
