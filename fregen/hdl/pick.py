"""One of several things that samples in flight have each: without a choice where there is only one."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Value
from amaranth.lib import data

__all__ = ["pick"]


def pick(items: data.View | Sequence[Value], which: Value | int) -> Any:
    """Return item ``which`` of a view of an array, or of a sequence of single bits; of one item this one.

    Latency 0 (combinational).
    """
    if len(items) == 1:
        return items[0]
    return items[which] if isinstance(items, data.View) else Cat(*items).bit_select(which, 1)
