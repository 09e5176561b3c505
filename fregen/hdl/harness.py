"""A core between two pins: what is placed and routed to learn how fast and how large the core alone is."""

from amaranth.hdl import Cat, Elaboratable, Module, Signal, Value
from amaranth.lib.wiring import In

from .core import Core

__all__ = ["Harness"]


class Harness(Elaboratable):
    """A core whose inputs come from a shift register, and whose outputs are folded into one bit.

    The pins of any part suffice.  Every bit of every input and of every output but the probe's meets a register of the
    harness, so that no path of the core is cut and none begins or ends at a pin.  What the harness adds is a register a
    bit, and a parity of four bits a stage.

    Parameters
    ----------
    core : Core
        The core; its probe is left open, so that synthesis drops it.

    Attributes
    ----------
    i, o : Signal
        The bit that is shifted in; the bit that all outputs are folded into.
    """

    def __init__(self, core: Core) -> None:
        self.core, self.i, self.o = core, Signal(), Signal()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.core = self.core
        last: Value = self.i
        outputs: list[Signal] = []
        for path, member, port in self.core.signature.flatten(self.core):
            value, name = Value.cast(port), "_".join(map(str, path))
            register = Signal(len(value), name=f"harness_{name}")
            if member.flow is In:
                m.d.sync += register.eq(Cat(last, register))
                m.d.comb += value.eq(register)
                last = register[-1]
            elif path[0] != "probe":
                m.d.sync += register.eq(value)
                outputs.append(register)
        folded: Value = Cat(outputs)
        while len(folded) > 1:
            step = Signal(-(-len(folded) // 4), name=f"folded_{len(folded)}")
            m.d.sync += step.eq(Cat(folded[k : k + 4].xor() for k in range(0, len(folded), 4)))
            folded = step
        m.d.comb += self.o.eq(folded)
        return m
