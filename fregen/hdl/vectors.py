"""The two vector memories: states, and offsets with the output error."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .beat import Sizes
from .families import Portable, family_of
from .links import move_signature, read_signature, word_signature

__all__ = ["VectorUnit"]


class VectorUnit(wiring.Component):
    """Keep vectors in rows of P words; deliver whole rows; take D words at a time, and move rows.

    Words of lanes beyond a vector's end are never written other than with 0 and so stay 0.  Only the second memory has
    rows of errors: a read of one gives some other row of states.

    Parameters
    ----------
    sizes : Sizes
        Widths.

    Members
    -------
    read : ``In(read_signature)``
        Rows to read.
    write : ``In(word_signature)``
        Words to write.
    move : ``In(move_signature)``
        What to do with the rows just delivered; wins over ``write``.
    written : ``Out``
        What is written in this cycle.

    Timing
    ------
    Reads: latency ``pipeline.read`` (portable: 1), interval 1.  A word is readable in the cycle after it is written.
    Reset clears no memory.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        super().__init__(
            {
                "read": In(read_signature(sizes)),
                "write": In(word_signature(sizes)),
                "move": In(move_signature(sizes)),
                "written": Out(data.ArrayLayout(signed(sizes.word_width), sizes.lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, read, write, move = self.sizes.lanes, self.read, self.write, self.move

        kept = Signal.like(read.states)
        with m.If(move.keep):
            m.d.sync += kept.eq(read.states)
        for lane in range(lanes):
            word = self.written[lane]
            with m.If(move.subtract):
                m.d.comb += word.eq(kept[lane] - read.states[lane])
            with m.Elif(move.copy):
                m.d.comb += word.eq(Mux(move.to_offsets, read.offsets[lane], read.states[lane]))
            with m.Else():
                m.d.comb += word.eq(write.words[lane % self.sizes.drain])

        some_lanes = Signal(lanes)
        target = Signal.like(write.address)
        m.d.comb += [
            some_lanes.eq(write.valid << write.lane),
            target.eq(Mux(move.copy | move.subtract, move.target, write.address)),
        ]
        to_states = Mux(move.copy & ~move.to_offsets, -1, Mux(write.is_offset, 0, some_lanes))
        to_offsets = Mux(move.subtract | (move.copy & move.to_offsets), -1, Mux(write.is_offset, some_lanes, 0))
        local, memory, family = self.sizes.local_bits, self.sizes.memory, family_of(platform)

        def state(address: Value) -> Value:
            """Address of a row of states: their planes end where the errors begin."""
            return Cat(address[: (memory.state_plane_size - 1).bit_length()], address[local:])

        row, depth = read.states.shape(), memory.planes * memory.state_plane_size
        states = self._memory(m, family, "state_memory", row, depth, state(read.state), state(target), to_states)
        row, depth = read.offsets.shape(), memory.planes * memory.plane_size
        offsets = self._memory(m, family, "offset_memory", row, depth, read.offset, target, to_offsets)
        m.d.comb += [read.states.eq(states), read.offsets.eq(offsets)]
        return m

    def _memory(
        self,
        m: Module,
        family: Portable,
        name: str,
        row: data.ArrayLayout,
        depth: int,
        address: Value,
        target: Value,
        lanes: Value,
    ) -> data.View:
        """Add a memory of rows, which writes the words of some lanes; return the row at an address."""
        memory = family.ram(m, name, row, depth, self.sizes.pipeline.read, parts=1)
        m.d.comb += [memory.read_address.eq(address), memory.write_address.eq(target), memory.write.eq(lanes)]
        m.d.comb += [memory.write_word[lane].eq(self.written[lane]) for lane in range(self.sizes.lanes)]
        return memory.read_word
