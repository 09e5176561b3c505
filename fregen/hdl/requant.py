"""Rounding and saturation: combinational expressions, and limits with registers before them.

Golden twin: :func:`fregen.fixed.round_shift` and :meth:`fregen.fixed.Q.saturate`.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Value, signed

from ..fixed import Q
from .delay import delayed

__all__ = ["fits", "limit", "limited", "round_parts", "round_shift", "saturate"]


def round_shift(word: Value, shift: int) -> Value:
    """Divide a signed word by ``2**shift``, to nearest, ties to even; a negative shift moves left.

    Latency 0 (combinational).
    """
    if shift <= 0:
        return word << -shift
    floor, carry = round_parts(word, shift)
    return floor + carry


def round_parts(word: Value, shift: int) -> tuple[Value, Value]:
    """Return what :func:`round_shift` adds: the word without its last bits, and 1 or 0.

    Latency 0 (combinational).
    """
    if shift <= 0:
        return word << -shift, Const(0, 1)
    wide = _extend(word, shift + 1)
    floor = wide[shift:].as_signed()
    half = wide[shift - 1]
    sticky = wide[: shift - 1].any() if shift > 1 else Const(0)
    return floor, half & (sticky | floor[0])


def fits(word: Value, width: int) -> Value:
    """Whether a signed word is unchanged when cut to so many bits."""
    wide = _extend(word, width)
    above = wide[width - 1 :]
    return ~above.any() | above.all()


def saturate(word: Value, target: Q) -> Value:
    """Limit a signed word to a format.  Latency 0 (combinational)."""
    return limit(word, target, fits(word, target.width))


def limit(word: Value, target: Q, is_fit: Value) -> Value:
    """As :func:`saturate`, of a word of which is known whether it :func:`fits`.  Latency 0 (combinational)."""
    wide = _extend(word, target.width)
    most = Mux(wide[-1], Const(target.min_word, signed(target.width)), Const(target.max_word, signed(target.width)))
    return Mux(is_fit, wide[: target.width].as_signed(), most)


def limited(m: Module, word: Value, target: Q, cycles: int, name: str) -> tuple[Value, Value]:
    """Delay a signed word and limit it; return it, and whether it fits.

    Whether it does is found out before the last register.  Latency ``cycles``.
    """
    early = max(cycles - 1, 0)
    word = delayed(m, word, early, name)
    is_fit = delayed(m, fits(word, target.width), cycles - early, f"{name}_fits")
    return limit(delayed(m, word, cycles - early, f"{name}_late"), target, is_fit), is_fit


def _extend(word: Value, width: int) -> Value:
    """Sign-extend to at least so many bits."""
    shape: Shape = word.shape()
    if not shape.signed:
        word, shape = Cat(word, Const(0, 1)).as_signed(), signed(shape.width + 1)
    if shape.width >= width:
        return word
    return Cat(word, word[-1].replicate(width - shape.width)).as_signed()
