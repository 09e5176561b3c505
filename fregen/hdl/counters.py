"""Counters of cycles, multiplications, steps, updates and saturations."""

from collections.abc import Mapping

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..plan.counters import COUNTER_WIDTH, COUNTERS
from ..plan.cycles import PHASES
from .beat import Sizes
from .bits import popcount
from .delay import delayed
from .links import event_signature, work_signature

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
    events : ``In(event_signature)``
        What the sequencer does, and what has been completed.
    work : ``In(work_signature)``
        Multiplying beats; in the ring all useful multiplications of a turn are counted with its last beat.
    limited_weights : ``In``
        One bit a lane: a weight was limited.
    limited_offsets : ``In``
        One bit an activation: an offset was limited.
    o : ``Out``
        See :func:`counter_layout`.

    Timing
    ------
    An event is counted at most 4 cycles later.  Reset sets all counters to their start.

    Raises
    ------
    ValueError
        If ``start`` names a counter that there is not.
    """

    def __init__(self, sizes: Sizes, start: Mapping[str, int] | None = None) -> None:
        self.sizes = sizes
        layout = counter_layout()
        if unknown := set(start or {}) - {name for name, _ in layout}:
            raise ValueError(f"start names counters that there are not: {', '.join(sorted(unknown))}")
        super().__init__(
            {
                "events": In(event_signature(sizes)),
                "work": In(work_signature(sizes)),
                "limited_weights": In(sizes.lanes),
                "limited_offsets": In(sizes.drain),
                "o": Out(layout, init={name: (start or {}).get(name, 0) for name, _ in layout}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self.sizes.lanes

        # A turn of the ring brings every real column to every real row.
        most = lanes * lanes
        macs = Signal(range(most + 1))
        mac_phase_late = delayed(m, self.events.phase, 2, "mac_phase")
        rows = Signal.like(self.work.rows)
        columns = Signal.like(self.work.columns)
        with m.If(self.work.valid & (self.work.turned | ~self.work.ring)):
            m.d.sync += rows.eq(self.work.rows)
        with m.Else():
            m.d.sync += rows.eq(0)
        m.d.sync += columns.eq(Mux(self.work.ring, self.work.columns, 1))
        m.d.sync += [macs.eq(rows * columns)]
        saturations = Signal(range(lanes + 1))
        m.d.sync += saturations.eq(popcount(delayed(m, self.limited_weights, 1, "limited")))

        beat, phase_late = delayed(m, self.events.beat, 1, "beat"), delayed(m, self.events.phase, 1, "phase")
        for number, phase in enumerate(PHASES):
            cycles, made = self.o[f"{phase}_cycles"], self.o[f"{phase}_macs"]
            with m.If(beat & (phase_late == number)):
                m.d.sync += cycles.eq(cycles + 1)
            m.d.sync += made.eq(made + Mux(mac_phase_late == number, macs, 0))
        for name, event in (
            ("waiting_cycles", self.events.busy & ~self.events.beat),
            ("samples", self.events.sample),
            ("free_steps", popcount(self.events.free_steps)),
            ("nudged_steps", popcount(self.events.nudged_steps)),
            ("updates", self.events.update),
            ("weight_saturations", saturations),
            ("offset_saturations", popcount(self.limited_offsets)),
        ):
            late = int(name != "samples")  # a prediction that is given is counted at once: a proof stands on it
            m.d.sync += self.o[name].eq(self.o[name] + delayed(m, event, late, f"{name}_event"))
        return m
