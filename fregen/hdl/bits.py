"""Numbers of bits."""

from amaranth.hdl import Value

__all__ = ["bits", "popcount"]


def bits(count: int) -> int:
    """Bits of a number below ``count``; at least 1."""
    return max((count - 1).bit_length(), 1)


def popcount(word: Value) -> Value:
    """Count the bits that are 1.  Latency 0 (combinational): a tree of adders."""
    terms: list[Value] = [word[k] for k in range(len(word))]
    while len(terms) > 1:
        pairs = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + (terms[-1:] if len(terms) % 2 else [])
    return terms[0]
