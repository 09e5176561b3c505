"""The input side: samples stream in while the one before is worked on; zeros are found on the way."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .beat import Sizes
from .links import mask_signature, sample_signature
from .ram import ram

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
    sample : ``Out(sample_signature)``
        The sample that waits, and the one taken last.
    mask : ``In(mask_signature)``
        Slots where an input is not zero.
    list_index : ``In``
        Which nonzero word of the taken sample; ``index`` tells one cycle later which input that is.
    word_slot, word_index : ``In``
        A word to read; ``word`` has it ``pipeline.read`` cycles later.

    Timing
    ------
    One word a cycle; ready is low while a whole sample waits to be taken.  After reset: no sample waits, none is taken,
    slot 0 is filled first; memories keep their words.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        super().__init__(
            {
                "i": In(stream.Signature(sample_layout(sizes))),
                "sample": Out(sample_signature(sizes)),
                "mask": In(mask_signature(sizes)),
                "list_index": In(sizes.input_bits),
                "index": Out(sizes.input_bits),
                "word_slot": In(sizes.slot_bits),
                "word_index": In(sizes.input_bits),
                "word": Out(signed(sizes.state_width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sizes, size = self.sizes, self.sizes.memory.input_size

        # The sample that is being loaded, in the lowest slot that is free when it begins.
        slot = Signal(sizes.slot_bits)
        position = Signal(sizes.input_bits)
        found = Signal.like(self.sample.nonzero)
        free = Signal(sizes.slot_bits)
        starting = Signal(init=1)
        for k in reversed(range(sizes.memory.slots)):
            with m.If(~self.sample.busy[k]):
                m.d.comb += free.eq(k)
        target = Mux(starting, free, slot)
        label = Signal.like(self.sample.label)
        learn = Signal()
        close = Signal()
        accept = self.i.valid & self.i.ready
        is_nonzero = self.i.p.word != 0
        bank = Signal()
        m.d.comb += self.i.ready.eq(~self.sample.loaded)
        with m.If(accept):
            m.d.sync += [slot.eq(target), starting.eq(0), position.eq(position + 1), found.eq(found + is_nonzero)]
            with m.If(position == size - 1):
                m.d.sync += [self.sample.loaded.eq(1), position.eq(0)]
                m.d.sync += [label.eq(self.i.p.label), learn.eq(self.i.p.learn), close.eq(self.i.p.close)]
        with m.If(self.sample.take):
            m.d.sync += [self.sample.loaded.eq(0), starting.eq(1), found.eq(0), bank.eq(~bank)]
            m.d.sync += [self.sample.slot.eq(slot), self.sample.nonzero.eq(found)]
            m.d.sync += [self.sample.label.eq(label), self.sample.learn.eq(learn), self.sample.close.eq(close)]

        self._list(m, Cat(found[: sizes.input_bits], bank), position, accept & is_nonzero, ~bank)
        self._words(m, Cat(position, target), accept)
        self._masks(m, position, is_nonzero, Mux(accept, 1 << target, 0))
        return m

    def _list(self, m: Module, address: Value, position: Value, enable: Value, read_bank: Value) -> None:
        """Keep where the nonzero words are: of the sample that streams in, and of the one before."""
        lists = ram(m, "lists", self.sizes.input_bits, 2 << self.sizes.input_bits)
        m.d.comb += [
            lists.write_address.eq(address),
            lists.write_word.eq(position),
            lists.write.eq(enable),
            lists.read_address.eq(Cat(self.list_index, read_bank)),
            self.index.eq(lists.read_word),
        ]

    def _words(self, m: Module, address: Value, enable: Value) -> None:
        """Keep the words of all slots."""
        sizes = self.sizes
        depth = sizes.memory.slots << sizes.input_bits
        words = ram(m, "words", signed(sizes.state_width), depth, sizes.pipeline.read)
        m.d.comb += [
            words.write_address.eq(address),
            words.write_word.eq(self.i.p.word),
            words.write.eq(enable),
            words.read_address.eq(Cat(self.word_index, self.word_slot)),
            self.word.eq(words.read_word),
        ]

    def _masks(self, m: Module, position: Value, is_nonzero: Value, slots: Value) -> None:
        """Keep for every input the slots in which it is not zero."""
        slots_of_word = data.ArrayLayout(1, self.sizes.memory.slots)
        masks = ram(m, "masks", slots_of_word, 1 << self.sizes.input_bits, parts=1)
        m.d.comb += [
            masks.write_address.eq(position),
            masks.write_word.eq(is_nonzero.replicate(self.sizes.memory.slots)),
            masks.write.eq(slots),
            masks.read_address.eq(self.mask.index),
            self.mask.slots.eq(masks.read_word),
        ]
