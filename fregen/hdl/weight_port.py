"""Weight load and read-back, in the order of the memory image."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .beat import Sizes
from .delay import delayed
from .links import weight_signature

__all__ = ["WeightPort"]


class WeightPort(wiring.Component):
    """Walk all weights: addresses rising, all lanes of one address first.

    The order is that of :func:`fregen.plan.pack_weights`, padding included.

    Parameters
    ----------
    sizes : Sizes
        Widths.

    Members
    -------
    i : ``In(stream.Signature(signed))``
        Words to load.  The position begins at the first word after reset, and again after the last.
    o : ``Out(stream.Signature(signed))``
        Words read back, after ``dump``.
    dump : ``In(1)``
        Send all words; heeded while ``may_start`` is high and no load is half done.
    may_start : ``In(1)``
        The sequencer is idle, and begins no sample while ``busy``.
    busy : ``Out(1)``
        A word is waiting, a load is half done, or weights are being sent: the sequencer must not begin.
    lanes : ``Out(weight_signature)``
        To the lanes.

    Timing
    ------
    Loading: one word a cycle.  Reading: P + 1 + ``pipeline.lead + pipeline.read`` cycles for P words.  Stalls
    losslessly.  After reset: at the first word, neither loading nor sending.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        word = signed(sizes.spec.weight.width)
        super().__init__(
            {
                "i": In(stream.Signature(word)),
                "o": Out(stream.Signature(word)),
                "dump": In(1),
                "may_start": In(1),
                "busy": Out(1),
                "lanes": Out(weight_signature(sizes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, depth = self.sizes.lanes, self.sizes.memory.weight_depth
        lane = Signal(max(self.sizes.lane_bits, 1))
        address = Signal(self.sizes.weight_address)
        engaged = Signal()  # a load is half done, or weights are being sent
        last_lane, last_address = lane == lanes - 1, address == depth - 1
        row = Signal.like(self.lanes.weights)
        pipeline = self.sizes.pipeline
        answered = delayed(m, self.lanes.read, pipeline.lead + pipeline.read, "read")
        m.d.comb += [
            self.lanes.address.eq(address),
            self.lanes.lane.eq(lane),
            self.lanes.word.eq(self.i.payload),
            self.o.payload.eq(row[lane]),
            self.busy.eq(self.i.valid | (self.dump & self.may_start) | engaged),
        ]

        def step() -> None:
            """Move on to the next word."""
            m.d.sync += lane.eq(lane + 1)
            with m.If(last_lane):
                m.d.sync += [lane.eq(0), address.eq(address + 1)]
                with m.If(last_address):
                    m.d.sync += address.eq(0)

        with m.FSM(name="port"):
            with m.State("LOAD"):
                m.d.comb += [
                    self.i.ready.eq(self.may_start),
                    self.lanes.load.eq(self.i.valid & self.may_start),
                ]
                with m.If(self.lanes.load):
                    m.d.sync += engaged.eq(~(last_lane & last_address))
                    step()
                with m.Elif(self.dump & self.may_start & ~engaged):
                    m.d.sync += engaged.eq(1)
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += self.lanes.read.eq(1)
                m.next = "KEEP"
            with m.State("KEEP"), m.If(answered):
                m.d.sync += row.eq(self.lanes.weights)
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    step()
                    with m.If(last_lane):
                        m.next = "READ"
                    with m.If(last_lane & last_address):
                        m.d.sync += engaged.eq(0)
                        m.next = "LOAD"
        return m
