"""Units beside statements of what they must do, as circuits to prove: what the proof tests share."""

from collections.abc import Callable, Mapping
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Module, Mux, Signal, Value

from fregen.faults.properties import Circuit

Build = Callable[[Module, dict[str, Signal]], Mapping[str, Value]]


def circuit(inputs: Mapping[str, Any], build: Build, has_reset: bool = False) -> Circuit:
    """Make a circuit of inputs that may be anything, perhaps a unit, and statements.

    Parameters
    ----------
    inputs : dict of str to shape
        Free in every cycle.
    build : callable
        Called with (module, signals by name) to add to the module; returns, by name, what must never be true.
    has_reset : bool
        Whether the clock domain can be reset, in any cycle.
    """
    m, signals = Module(), {name: Signal(shape, name=name) for name, shape in inputs.items()}
    m.domains.sync = clocks = ClockDomain("sync", reset_less=not has_reset)
    ports: list[Any] = [Value.cast(signal) for signal in signals.values()]
    ports += [signal for signal in (clocks.clk, clocks.rst) if signal is not None]
    for name, wrong in build(m, signals).items():
        ports.append(output := Signal(name=name))
        m.d.comb += output.eq(wrong)
    return Circuit(rtlil.convert(m, ports=ports, emit_src=False))


def late(m: Module, value: Value, cycles: int, name: str = "late") -> Value:
    """A value of so many cycles ago; 0 in the first ones."""
    for k in range(cycles):
        kept = Signal.like(value, name=f"{name}_{k + 1}", init=0)
        m.d.sync += kept.eq(value)
        value = kept
    return value


def constant(m: Module, free: Value, name: str) -> Value:
    """A value that may be any, but stays what it was in the first cycle: an input that is looked at once."""
    is_first, kept = Signal(init=1, name=f"{name}_is_free"), Signal.like(free, name=name, init=0)
    m.d.sync += is_first.eq(0)
    with m.If(is_first):
        m.d.sync += kept.eq(free)
    return Mux(is_first, free, kept)
