"""Lattice ECP5: block RAM with its output register, multipliers with all of theirs.

What the primitives do is taken from Lattice's technical notes FPGA-TN-02204 (memory) and FPGA-TN-02205 (sysDSP);
``sim/ecp5.v`` has a model of them, which is no more than what is used here.
"""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Mux, Shape, Signal, Value
from amaranth.lib import data

from ..delay import delayed
from .portable import Portable, Ram

__all__ = ["Ecp5"]

_GEOMETRIES = ((18, 4, 1 << 10), (9, 3, 1 << 11), (4, 2, 1 << 12), (2, 1, 1 << 13), (1, 0, 1 << 14))
"""Bits of a port of a DP16KD, its first address bit, and words."""
_WORD = 18
_ROW, _SPACED = 16, 20
"""Words of a parameter that says what a block begins with, and the bits from one to the next."""
_BANK = 14
_MOST = 1 << _BANK
"""Words of the deepest geometry; deeper memories have several banks."""
_SMALL = 32
"""Words of a memory up to which it is made of lookup tables."""
_TABLE = 64
"""Words of a table up to which it is made of logic."""
_FLIP_FLOP = {
    "p_GSR": "DISABLED", "p_CEMUX": "1", "p_CLKMUX": "CLK", "p_LSRMUX": "LSR", "p_REGSET": "RESET", "i_LSR": Const(0),
}  # fmt: skip
"""A flip-flop without enable and reset; it begins as 0."""
_FACTOR = 18
"""Bits of a factor of a MULT18X18D."""


class Ecp5(Portable):
    """Memories of DP16KD, products of MULT18X18D.  Small memories and tables stay lookup tables."""

    def ram(self, m: Module, name: str, shape: Any, depth: int, latency: int = 1, parts: int | None = None) -> Ram:
        """Add a memory; block RAM with its output register where it is large and has two cycles to answer."""
        if latency < 2 or depth <= _SMALL:
            return super().ram(m, name, shape, depth, latency, parts)
        address = range(depth)
        read, write = Signal(address, name=f"{name}_read_address"), Signal(address, name=f"{name}_write_address")
        answer, word = Signal(shape, name=f"{name}_read_word"), Signal(shape, name=f"{name}_write_word")
        count = 1 if parts is None else _elements(shape) // parts
        enable = Signal(count, name=f"{name}_write")
        banks = -(-depth // _MOST)
        outputs = Signal(data.ArrayLayout(len(Value.cast(word)), banks), name=f"{name}_banks")
        for bank in range(banks):
            words = min(_MOST, depth - bank * _MOST)
            chosen = Mux(write[_BANK:] == bank, enable, 0) if banks > 1 else enable
            self._bank(m, f"{name}_{bank}" if banks > 1 else name, words, read, outputs[bank], write, word, chosen)
        which = delayed(m, read[_BANK:], 2, f"{name}_bank") if banks > 1 else 0
        m.d.comb += Value.cast(answer).eq(outputs[which])
        return Ram(read, delayed(m, answer, latency - 2, f"{name}_late"), write, word, enable)

    def _bank(
        self, m: Module, name: str, depth: int, read: Value, found: Value, write: Value, word: Any, enable: Value
    ) -> None:
        """Add the blocks of a memory, or of a part of it with the most words that a block can have."""
        given = Value.cast(word)
        width, most = len(given) // len(enable), _geometry(depth)[0]
        for part in range(len(enable)):
            for low in range(0, width, most):
                bits = slice(part * width + low, part * width + min(low + most, width))
                block = f"{name}_{part}_{low}" if len(enable) > 1 else f"{name}_{low}"
                output = Signal(18, name=f"{block}_output")
                m.submodules[block] = _block(depth, read, output, write, given[bits], enable[part])
                m.d.comb += found[bits].eq(output)

    def rom(self, m: Module, name: str, shape: Any, words: Sequence[Any], address: Value, latency: int = 1) -> Any:
        """Add a table; block RAM with its output register where it is large and has two cycles to answer."""
        depth = 1 << (len(words) - 1).bit_length()
        _, _, most = _GEOMETRIES[0]
        if latency < 2 or depth > most or self._is_logic(depth):
            return super().rom(m, name, shape, words, address, latency)
        word = Signal(shape, name=f"{name}_word")
        numbers = [Const(number, Shape.cast(shape)).value for number in words]
        for low in range(0, len(word), _WORD):
            output = Signal(_WORD, name=f"{name}_{low}_output")
            part = [number >> low & (1 << _WORD) - 1 for number in numbers]
            nothing = Const(0, 1)
            block = _block(depth, address[: depth.bit_length() - 1], output, nothing, nothing, nothing, part)
            m.submodules[f"{name}_{low}"] = block
            m.d.comb += word[low : low + _WORD].eq(output)
        return delayed(m, word, latency - 2, f"{name}_late")

    def product(self, m: Module, name: str, a: Value, b: Value, cycles: int) -> Value:
        """Add a multiplier: a MULT18X18D, or of a wide factor one for every 18 bits and registered sums."""
        if len(b) > len(a):
            a, b = b, a
        if len(b) > _FACTOR:
            return super().product(m, name, a, b, cycles)
        if len(a) > _FACTOR:
            return self._wide(m, name, a, b, cycles)
        shape = (a * b).shape()
        product = Signal(2 * _FACTOR, name=f"{name}_product")
        m.submodules[name] = _multiplier(a, b, product, min(cycles, 3))
        word = product[: shape.width]
        return delayed(m, word.as_signed() if shape.signed else word, max(cycles - 3, 0), name)

    def local(self, m: Module, name: str, value: Value) -> Value:
        """Add flip-flops as primitives, which synthesis does not merge with others that hold the same."""
        held = Signal(len(value), name=f"{name}_local")
        for k in range(len(value)):
            m.submodules[f"{name}_{k}"] = Instance(
                "TRELLIS_FF", **_FLIP_FLOP, i_DI=value[k], o_Q=held[k], i_CLK=ClockSignal()
            )
        return held

    def _wide(self, m: Module, name: str, a: Value, b: Value, cycles: int) -> Value:
        """Multiply parts of a wide factor, and add the products in pairs."""
        parts: list[Value] = [a[low : low + _FACTOR] for low in range(0, len(a), _FACTOR)]
        if a.shape().signed:
            parts[-1] = parts[-1].as_signed()
        levels = (len(parts) - 1).bit_length()
        spare = max(cycles - levels, 1)
        left = cycles - spare
        terms = [self.product(m, f"{name}_{k}", part, b, spare) << k * _FACTOR for k, part in enumerate(parts)]
        for level in range(levels):
            pairs = [x + y for x, y in zip(terms[::2], terms[1::2], strict=False)]
            terms = pairs + (terms[-1:] if len(terms) % 2 else [])
            now = left * (level + 1) // levels - left * level // levels
            terms = [delayed(m, term, now, f"{name}_sum_{level}_{k}") for k, term in enumerate(terms)]
        return terms[0]

    def _is_logic(self, depth: int) -> bool:
        return self.tables_as_logic or depth <= _TABLE


def _elements(shape: Any) -> int:
    """How many elements an array layout has, or how many bits a word."""
    return shape.length if isinstance(shape, data.ArrayLayout) else Shape.cast(shape).width


def _geometry(depth: int) -> tuple[int, int, int]:
    return next(geometry for geometry in _GEOMETRIES if geometry[2] >= depth)


def _port(letter: str, name: str, value: Value, first: int, most: int) -> dict[str, Value]:
    """Connect a bus of a primitive, whose bits are ports of their own; those that are not used are 0."""
    bits = Cat(Const(0, first), value, Const(0, most))[:most]
    return {f"i_{name}{letter}{k}": bits[k] for k in range(most)}


def _block(
    depth: int, read: Value, answer: Value, write: Value, word: Value, enable: Value, begin: Sequence[int] = ()
) -> Instance:
    """Return a block that writes by port A and reads by port B, with an output register for the second cycle.

    It begins with words of 18 bits if any are given, else with zeros.
    """
    width, first, _ = _geometry(depth)
    wide = width == 18  # two bytes, each with a write enable among the address bits
    data_in = Cat(word, Const(0, 18))[:18]
    ports: dict[str, Value] = _port("A", "AD", write, first, 14) | _port("B", "AD", read, first, 14)
    if wide:
        ports |= {"i_ADA0": Const(1), "i_ADA1": Const(1)}
    ports |= {f"i_DIA{k}": data_in[k] for k in range(18)}
    ports |= {f"o_DOB{k}": answer[k] for k in range(18)}
    ports |= {f"i_CS{port}{k}": Const(0) for port in "AB" for k in range(3)}
    ports |= {"i_CLKA": ClockSignal(), "i_CEA": Const(1), "i_OCEA": Const(1), "i_WEA": enable, "i_RSTA": Const(0)}
    ports |= {"i_CLKB": ClockSignal(), "i_CEB": Const(1), "i_OCEB": Const(1), "i_WEB": Const(0), "i_RSTB": Const(0)}
    parameters = {
        **{f"p_DATA_WIDTH_{port}": width for port in "AB"},
        **{f"p_CSDECODE_{port}": "0b000" for port in "AB"},
        **{f"p_WRITEMODE_{port}": "NORMAL" for port in "AB"},
        **{"p_REGMODE_A": "NOREG", "p_REGMODE_B": "OUTREG", "p_GSR": "DISABLED"},
        **{"p_RESETMODE": "SYNC", "p_ASYNC_RESET_RELEASE": "SYNC", "p_CLKAMUX": "CLKA", "p_CLKBMUX": "CLKB"},
    }
    for row in range(0, len(begin), _ROW):
        bits = sum(number << k * _SPACED for k, number in enumerate(begin[row : row + _ROW]))
        parameters[f"p_INITVAL_{row // _ROW:02X}"] = Const(bits, _ROW * _SPACED)
    return Instance("DP16KD", **parameters, **ports)


def _multiplier(a: Value, b: Value, product: Value, cycles: int) -> Instance:
    """Return a multiplier with so many of its registers: after it, before it, inside it."""
    ports: dict[str, Value] = {"i_CLK0": ClockSignal(), "i_CE0": Const(1), "i_RST0": Const(0)}
    for letter, value in (("A", a), ("B", b)):
        signed = value.shape().signed
        wide = Cat(value, (value[-1] if signed else Const(0)).replicate(_FACTOR))[:_FACTOR]
        ports |= {f"i_{letter}{k}": wide[k] for k in range(_FACTOR)}
        ports |= {f"i_SIGNED{letter}": Const(signed, 1), f"i_SOURCE{letter}": Const(0)}
    ports |= {f"o_P{k}": product[k] for k in range(2 * _FACTOR)}
    used = {"INPUTA": cycles > 1, "INPUTB": cycles > 1, "INPUTC": False, "PIPELINE": cycles > 2, "OUTPUT": True}
    clocks = {f"p_REG_{name}_CLK": "CLK0" if is_used else "NONE" for name, is_used in used.items()}
    return Instance("MULT18X18D", **clocks, p_GSR="DISABLED", p_RESETMODE="SYNC", **ports)
