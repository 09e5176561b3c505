"""A queue in registers: words wait in the order in which they came."""

from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data

__all__ = ["queue"]


def queue(m: Module, name: str, word: Any, depth: int, push: Value, pop: Value) -> tuple[Any, Value]:
    """Add a queue to a module; amaranth's is a memory that answers in the same cycle, which no prover here knows.

    Parameters
    ----------
    m : Module
        The module.
    name : str
        Names begin with it.
    word : View
        What enters with ``push``, which must not come while the queue is full.
    depth : int
        Words that it holds: a power of two.
    push, pop : Value
        A word enters; the first one leaves, if there is one.

    Returns
    -------
    (View, Value)
        The first word, from the cycle after it has entered on; and whether there is one.

    Raises
    ------
    ValueError
        If the depth is no power of two.
    """
    if depth < 1 or depth & (depth - 1):
        raise ValueError(f"{name}: the depth of a queue is a power of two, not {depth}")
    kept = Signal(data.ArrayLayout(word.shape(), depth), name=f"{name}_words")
    first = Signal(range(depth), name=f"{name}_first")
    last = Signal(range(depth), name=f"{name}_last")
    level = Signal(range(depth + 1), name=f"{name}_level")
    has_one = Signal(name=f"{name}_has_one")
    leaves = pop & has_one
    m.d.sync += has_one.eq(push | (has_one & ~(pop & (level == 1))))
    m.d.sync += [last.eq(last + push), first.eq(first + leaves), level.eq(level + push - leaves)]
    for place in range(depth):
        with m.If(push & (last == place)):
            m.d.sync += kept[place].eq(word)
    return kept[first], has_one
