"""The input side: samples stream in while the one before is worked on; zeros are found on the way."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .beat import Sizes, bits
from .delay import delayed

__all__ = ["SampleUnit", "sample_layout"]


def sample_layout(sizes: Sizes) -> data.StructLayout:
    """Payload of the sample stream: one input word a beat; the other fields count with the sample's last word."""
    return data.StructLayout(
        {
            "word": signed(sizes.state_width),
            "label": sizes.label_bits,
            "learn": 1,
            "close": 1,
        }
    )


class SampleUnit(wiring.Component):
    """Take samples into slots; list the nonzero words of each, and for each input the slots where it is not zero.

    Parameters
    ----------
    sizes : Sizes
        Widths.

    Members
    -------
    i : ``In(stream.Signature(...))``
        Input words in the state format, as many as the input layer has neurons, sample after sample.  ``label``
        (class), ``learn`` (else the sample is only inferred) and ``close`` (the batch ends with this sample) count
        with a sample's last word.
    busy : ``In``
        One bit a slot: slots that must not be filled.
    loaded : ``Out(1)``
        A whole sample waits to be taken; ``slot``, ``label``, ``learn``, ``close``, ``nonzero`` tell of the sample
        taken last.
    take : ``In(1)``
        Take it: from the next cycle on the outputs tell of it.
    list_index : ``In``
        Which nonzero word of the taken sample; ``index`` tells one cycle later which input that is.
    pixel_slot, pixel_index : ``In``
        A word to read; ``pixel`` has it ``pipeline.read`` cycles later.
    mask_index : ``In``
        An input; ``mask`` has its slots one cycle later, one bit each.

    Timing
    ------
    One word a cycle; ready is low while a whole sample waits to be taken.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        slots = sizes.memory.slots
        super().__init__(
            {
                "i": In(stream.Signature(sample_layout(sizes))),
                "busy": In(slots),
                "loaded": Out(1),
                "take": In(1),
                "slot": Out(sizes.slot_bits),
                "label": Out(sizes.label_bits),
                "learn": Out(1),
                "close": Out(1),
                "nonzero": Out(bits(sizes.memory.input_size + 1)),
                "list_index": In(sizes.input_bits),
                "index": Out(sizes.input_bits),
                "pixel_slot": In(sizes.slot_bits),
                "pixel_index": In(sizes.input_bits),
                "pixel": Out(signed(sizes.state_width)),
                "mask_index": In(sizes.input_bits),
                "mask": Out(slots),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sizes = self.sizes
        slots, size = sizes.memory.slots, sizes.memory.input_size
        rows = 1 << sizes.input_bits

        # The sample that is being loaded, in the lowest slot that is free when it begins.
        slot, position, found = Signal(sizes.slot_bits), Signal(sizes.input_bits), Signal.like(self.nonzero)
        free = Signal(sizes.slot_bits)
        for k in reversed(range(slots)):
            with m.If(~self.busy[k]):
                m.d.comb += free.eq(k)
        starting = Signal(init=1)
        target = Mux(starting, free, slot)
        label, learn, close = Signal.like(self.label), Signal(), Signal()
        accept = self.i.valid & self.i.ready
        is_nonzero = self.i.p.word != 0
        bank = Signal()
        m.d.comb += self.i.ready.eq(~self.loaded)
        with m.If(accept):
            m.d.sync += [slot.eq(target), starting.eq(0), position.eq(position + 1), found.eq(found + is_nonzero)]
            with m.If(position == size - 1):
                m.d.sync += [self.loaded.eq(1), position.eq(0)]
                m.d.sync += [label.eq(self.i.p.label), learn.eq(self.i.p.learn), close.eq(self.i.p.close)]
        with m.If(self.take):
            m.d.sync += [self.loaded.eq(0), starting.eq(1), found.eq(0), bank.eq(~bank)]
            m.d.sync += [self.slot.eq(slot), self.nonzero.eq(found)]
            m.d.sync += [self.label.eq(label), self.learn.eq(learn), self.close.eq(close)]

        m.submodules.lists = lists = Memory(shape=sizes.input_bits, depth=2 * rows, init=[])
        list_write, list_read = lists.write_port(), lists.read_port()
        m.d.comb += [
            list_write.addr.eq(Cat(found[: sizes.input_bits], bank)),
            list_write.data.eq(position),
            list_write.en.eq(accept & is_nonzero),
            list_read.addr.eq(Cat(self.list_index, ~bank)),
            self.index.eq(list_read.data),
        ]

        m.submodules.pixels = pixels = Memory(shape=signed(sizes.state_width), depth=slots * rows, init=[])
        pixel_write, pixel_read = pixels.write_port(), pixels.read_port()
        m.d.comb += [
            pixel_write.addr.eq(Cat(position, target)),
            pixel_write.data.eq(self.i.p.word),
            pixel_write.en.eq(accept),
            pixel_read.addr.eq(Cat(self.pixel_index, self.pixel_slot)),
            self.pixel.eq(delayed(m, pixel_read.data, sizes.pipeline.read - 1, "pixel")),
        ]

        m.submodules.masks = masks = Memory(shape=slots, depth=rows, init=[])
        mask_write, mask_read = masks.write_port(granularity=1), masks.read_port()
        m.d.comb += [
            mask_write.addr.eq(position),
            mask_write.data.eq(is_nonzero.replicate(slots)),
            mask_write.en.eq(Mux(accept, 1 << target, 0)),
            mask_read.addr.eq(self.mask_index),
            self.mask.eq(mask_read.data),
        ]
        return m
