"""Counters of cycles, multiplications, steps, updates and saturations."""

from collections.abc import Mapping

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..plan.counters import COUNTER_WIDTH, COUNTERS
from ..plan.cycles import PHASES
from .beat import Sizes, bits

__all__ = ["CounterUnit", "counter_layout"]


def counter_layout() -> data.StructLayout:
    """Every counter of the core (:data:`fregen.plan.counters.COUNTERS`), all from 0 at reset."""
    return data.StructLayout(dict.fromkeys(COUNTERS, COUNTER_WIDTH))


class CounterUnit(wiring.Component):
    """Count.

    Parameters
    ----------
    sizes : Sizes
        Widths.
    start : mapping of str to int, optional
        What counters begin with at reset, by name: 0 but for tests, which start short of a carry through all bits.

    Members
    -------
    phase, busy : ``In``
        The sequencer's phase (number among ``plan.cycles.PHASES``), and whether it is in one.
    mac_valid, mac_ring, mac_turned, mac_rows, mac_columns : ``In``
        A multiplying beat, how many lanes hold real rows and, in the ring, how many columns are real; whether the ring
        has turned once with it: all useful multiplications of a turn are counted then.
    sample, free_step, nudged_step, update : ``In(1)``
        Events.
    weights : ``In``
        One bit a lane: a weight was limited.
    offset : ``In(1)``
        An offset was limited.
    o : ``Out``
        See :func:`counter_layout`.

    Timing
    ------
    An event is counted at most 4 cycles later.
    """

    def __init__(self, sizes: Sizes, start: Mapping[str, int] | None = None) -> None:
        self.sizes = sizes
        layout = counter_layout()
        count = bits(sizes.lanes + 1)
        super().__init__(
            {
                "phase": In(bits(len(PHASES))),
                "busy": In(1),
                "mac_valid": In(1),
                "mac_ring": In(1),
                "mac_turned": In(1),
                "mac_rows": In(count),
                "mac_columns": In(count),
                "sample": In(1),
                "free_step": In(1),
                "nudged_step": In(1),
                "update": In(1),
                "weights": In(sizes.lanes),
                "offset": In(1),
                "o": Out(layout, init={name: (start or {}).get(name, 0) for name, _ in layout}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self.sizes.lanes

        # A turn of the ring brings every real column to every real row.
        most = lanes * lanes
        macs, mac_phase, mac_phase_late = Signal(range(most + 1)), Signal.like(self.phase), Signal.like(self.phase)
        rows, columns = Signal.like(self.mac_rows), Signal.like(self.mac_columns)
        with m.If(self.mac_valid & (self.mac_turned | ~self.mac_ring)):
            m.d.sync += rows.eq(self.mac_rows)
        with m.Else():
            m.d.sync += rows.eq(0)
        m.d.sync += columns.eq(Mux(self.mac_ring, self.mac_columns, 1))
        m.d.sync += [macs.eq(rows * columns), mac_phase.eq(self.phase), mac_phase_late.eq(mac_phase)]
        saturations = Signal(range(lanes + 1))
        m.d.sync += saturations.eq(_ones(self.weights))

        for number, phase in enumerate(PHASES):
            cycles, made = self.o[f"{phase}_cycles"], self.o[f"{phase}_macs"]
            with m.If(self.busy & (self.phase == number)):
                m.d.sync += cycles.eq(cycles + 1)
            m.d.sync += made.eq(made + Mux(mac_phase_late == number, macs, 0))
        for name, event in (
            ("samples", self.sample),
            ("free_steps", self.free_step),
            ("nudged_steps", self.nudged_step),
            ("updates", self.update),
            ("weight_saturations", saturations),
            ("offset_saturations", self.offset),
        ):
            m.d.sync += self.o[name].eq(self.o[name] + event)
        return m


def _ones(word: Value) -> Value:
    """Count the bits that are 1."""
    terms: list[Value] = [word[k] for k in range(len(word))]
    while len(terms) > 1:
        pairs = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + (terms[-1:] if len(terms) % 2 else [])
    return terms[0]
