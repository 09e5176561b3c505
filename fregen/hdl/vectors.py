"""The two vector memories: states, and offsets with the output error."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .beat import Sizes
from .delay import delayed

__all__ = ["VectorUnit"]


class VectorUnit(wiring.Component):
    """Keep vectors P words a line; deliver whole lines; take single words, and move lines.

    Words of lanes beyond a vector's end are never written other than with 0 and so stay 0.

    Parameters
    ----------
    sizes : Sizes
        Widths.

    Members
    -------
    state_address, offset_address : ``In``
        Lines to read.
    states, offsets : ``Out``
        The lines, P words, ``pipeline.read`` cycles after their address.
    word_valid, word_offset, word_address, word_lane, word : ``In``
        Write one word into the state memory, or with ``word_offset`` into the offset memory.
    copy, keep, subtract, to_offsets, move_address : ``In``
        With a line just delivered: ``copy`` writes it to ``move_address`` of the same memory (``to_offsets`` names it);
        ``keep`` holds the states; ``subtract`` writes the kept states less these into the offset memory.
    line : ``Out``
        What is written in this cycle.

    Timing
    ------
    Reads: latency ``pipeline.read`` (portable: 1), interval 1.  A word is readable in the cycle after it is written.
    Reset clears no memory.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        address, lanes = sizes.vector_address, sizes.lanes
        super().__init__(
            {
                "state_address": In(address),
                "offset_address": In(address),
                "states": Out(data.ArrayLayout(signed(sizes.state_width), lanes)),
                "offsets": Out(data.ArrayLayout(signed(sizes.offset_width), lanes)),
                "word_valid": In(1),
                "word_offset": In(1),
                "word_address": In(address),
                "word_lane": In(max(sizes.lane_bits, 1)),
                "word": In(signed(sizes.word_width)),
                "copy": In(1),
                "keep": In(1),
                "subtract": In(1),
                "to_offsets": In(1),
                "move_address": In(address),
                "line": Out(data.ArrayLayout(signed(sizes.word_width), lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sizes, lanes = self.sizes, self.sizes.lanes
        depth = sizes.memory.planes * sizes.memory.plane_size

        kept = Signal(data.ArrayLayout(signed(sizes.state_width), lanes))
        with m.If(self.keep):
            m.d.sync += kept.eq(self.states)

        one_lane = Signal(lanes)
        m.d.comb += one_lane.eq(self.word_valid << self.word_lane)
        moves_states = self.copy & ~self.to_offsets
        moves_offsets = self.subtract | (self.copy & self.to_offsets)
        write_states, write_offsets, write_address = Signal(lanes), Signal(lanes), Signal.like(self.word_address)
        m.d.comb += [
            write_states.eq(Mux(moves_states, -1, Mux(self.word_offset, 0, one_lane))),
            write_offsets.eq(Mux(moves_offsets, -1, Mux(self.word_offset, one_lane, 0))),
            write_address.eq(Mux(self.copy | self.subtract, self.move_address, self.word_address)),
        ]
        for lane in range(lanes):
            line = self.line[lane]
            with m.If(self.subtract):
                m.d.comb += line.eq(kept[lane] - self.states[lane])
            with m.Elif(self.copy):
                m.d.comb += line.eq(Mux(self.to_offsets, self.offsets[lane], self.states[lane]))
            with m.Else():
                m.d.comb += line.eq(self.word)

        for name, width, address, output, enable in (
            ("state_memory", sizes.state_width, self.state_address, self.states, write_states),
            ("offset_memory", sizes.offset_width, self.offset_address, self.offsets, write_offsets),
        ):
            m.submodules[name] = memory = Memory(shape=lanes * width, depth=depth, init=[])
            read, write = memory.read_port(), memory.write_port(granularity=width)
            m.d.comb += [
                read.addr.eq(address),
                output.as_value().eq(delayed(m, read.data, sizes.pipeline.read - 1, name)),
                write.addr.eq(write_address),
                write.data.eq(Cat(self.line[lane][:width] for lane in range(lanes))),
                write.en.eq(enable),
            ]
        return m
