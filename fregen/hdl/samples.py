"""The input side: samples stream in while the one before is worked on; zeros are found on the way."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .beat import Sizes
from .bits import popcount
from .delay import delayed
from .families import Portable, family_of
from .links import mask_signature, sample_signature
from .pick import pick

__all__ = ["SampleUnit", "sample_layout"]


def sample_layout(sizes: Sizes) -> data.StructLayout:
    """Payload of the sample stream: W input words a beat; the other fields count with the sample's last beat."""
    return data.StructLayout(
        {
            "words": data.ArrayLayout(signed(sizes.state_width), sizes.memory.words),
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
        Input words in the state format, W a beat, as many as the input layer has neurons, sample after sample; what the
        last beat has beyond them is ignored.  ``label`` (class), ``learn`` (else the sample is only inferred) and
        ``close`` (the batch ends with this sample) count with a sample's last beat.
    sample : ``Out(sample_signature)``
        The sample that waits.
    mask : ``In(mask_signature)``
        Slots where an input is not zero.
    list_index, list_bank : ``In``
        Which nonzero word of which list; ``index`` tells ``pipeline.steer`` cycles later which input that is.
    word_slot, word_index : ``In``
        A word to read; ``word`` has it ``pipeline.read`` cycles later.

    Timing
    ------
    One beat a cycle; ready is low while a whole sample waits to be taken.  Lists are filled in turn.  After reset: no
    sample waits; memories keep their words.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        super().__init__(
            {
                "i": In(stream.Signature(sample_layout(sizes))),
                "sample": Out(sample_signature(sizes)),
                "mask": In(mask_signature(sizes)),
                "list_index": In(sizes.input_bits),
                "list_bank": In(sizes.bank_bits),
                "index": Out(sizes.input_bits),
                "word_slot": In(sizes.slot_bits),
                "word_index": In(sizes.input_bits),
                "word": Out(signed(sizes.state_width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sizes, memory = self.sizes, self.sizes.memory
        sample, slot, width = self.sample.sample, self.sample.slot, memory.words
        beat = Signal(range(max(memory.sample_beats, 2)))
        label = Signal.like(sample.label, name="label")
        learn = Signal()
        close = Signal()
        found = Signal.like(sample.nonzero, name="found")
        bank = Signal.like(sample.bank, name="bank")
        accept, is_last = self.i.valid & self.i.ready, beat == memory.sample_beats - 1
        nonzero = Signal(width)
        surplus = memory.sample_beats * width - memory.input_size
        for place in range(width):
            is_word = ~is_last if place >= width - surplus else 1
            m.d.comb += nonzero[place].eq((self.i.p.words[place] != 0) & is_word)
        m.d.comb += [
            self.i.ready.eq(~self.sample.loaded),
            sample.slot.eq(slot),
            sample.bank.eq(bank),
            sample.nonzero.eq(found),
            sample.label.eq(label),
            sample.learn.eq(learn),
            sample.close.eq(close),
        ]
        with m.If(accept):
            m.d.sync += [beat.eq(beat + 1), found.eq(found + popcount(nonzero))]
            with m.If(is_last):
                m.d.sync += [self.sample.loaded.eq(1), beat.eq(0)]
                m.d.sync += [label.eq(self.i.p.label), learn.eq(self.i.p.learn), close.eq(self.i.p.close)]
        with m.If(self.sample.take):
            m.d.sync += [self.sample.loaded.eq(0), found.eq(0)]
            m.d.sync += bank.eq(Mux(bank == sizes.contexts, 0, bank + 1))

        row = Cat(beat, Const(0, sizes.input_bits))[: sizes.input_bits - sizes.place_bits]
        family = family_of(platform)
        self._list(m, family, row, Mux(accept, nonzero, 0), found, bank)
        self._words(m, family, Cat(row, slot), accept)
        self._masks(m, family, row, nonzero, Mux(accept, 1 << slot, 0))
        return m

    def _list(self, m: Module, family: Portable, row: Value, nonzero: Value, found: Value, bank: Value) -> None:
        """Keep where the nonzero words are: of the sample that streams in, and of those in flight.

        The W lists of a bank take entries in turn, so that all that a beat brings are written at once.
        """
        sizes, width, low = self.sizes, self.sizes.memory.words, self.sizes.place_bits
        depth = (sizes.contexts + 1) << (sizes.input_bits - low)
        entries = [(found + popcount(nonzero[:place]) if place else found) for place in range(width)]
        listed = Signal(data.ArrayLayout(sizes.input_bits, width))
        late = sizes.pipeline.steer - 1  # a sample's list is read later than that
        for turn in range(width):
            lists = family.ram(
                m, f"list_{turn}" if width > 1 else "lists", sizes.input_bits, depth, sizes.pipeline.steer
            )
            own = [nonzero[place] & (entry[:low] == turn if low else 1) for place, entry in enumerate(entries)]
            has_passed = found[:low] > turn if turn + 1 < 1 << len(found[:low]) else 0
            first = found[low : sizes.input_bits] + has_passed
            given = Signal(sizes.input_bits, name=f"listed_{turn}")
            m.d.comb += [
                lists.write_address.eq(
                    delayed(m, Cat(first[: sizes.input_bits - low], bank), late, f"list_address_{turn}")
                ),
                lists.write.eq(delayed(m, Cat(own).any(), late, f"lists_{turn}")),
                lists.write_word.eq(delayed(m, given, late, f"list_word_{turn}")),
                lists.read_address.eq(Cat(self.list_index[low:], self.list_bank)),
                listed[turn].eq(lists.read_word),
            ]
            for place, is_own in enumerate(own):
                with m.If(is_own):
                    m.d.comb += given.eq(Cat(Const(place, low), row))
        m.d.comb += self.index.eq(
            pick(listed, delayed(m, self.list_index[:low], sizes.pipeline.steer, "turn") if low else 0)
        )

    def _words(self, m: Module, family: Portable, address: Value, enable: Value) -> None:
        """Keep the words of all slots."""
        sizes, low = self.sizes, self.sizes.place_bits
        depth = sizes.memory.slots << (sizes.input_bits - low)
        words = family.ram(m, "words", self.i.p.words.shape(), depth, sizes.pipeline.read)
        place = delayed(m, self.word_index[:low], sizes.pipeline.read, "word_place") if low else 0
        m.d.comb += [
            words.write_address.eq(address),
            words.write_word.eq(self.i.p.words),
            words.write.eq(enable),
            words.read_address.eq(Cat(self.word_index[low:], self.word_slot)),
            self.word.eq(pick(words.read_word, place)),
        ]

    def _masks(self, m: Module, family: Portable, row: Value, nonzero: Value, slots: Value) -> None:
        """Keep for every input the slots in which it is not zero."""
        sizes, width, low = self.sizes, self.sizes.memory.words, self.sizes.place_bits
        count = sizes.memory.slots
        masks = family.ram(
            m, "masks", data.ArrayLayout(1, count * width), 1 << (sizes.input_bits - low), sizes.pipeline.steer, parts=1
        )
        rows = Signal(data.ArrayLayout(count, width))
        late = sizes.pipeline.steer - 1  # masks are read in updates only
        nonzero, slots = delayed(m, nonzero, late, "mask_nonzero"), delayed(m, slots[:count], late, "mask_write_slots")
        m.d.comb += [
            masks.write_address.eq(delayed(m, row, late, "mask_row")),
            masks.write_word.eq(Cat(nonzero[place].replicate(count) for place in range(width))),
            masks.write.eq(Cat(slots for _ in range(width))),
            masks.read_address.eq(self.mask.index[low:]),
            rows.eq(masks.read_word),
            self.mask.slots.eq(
                pick(rows, delayed(m, self.mask.index[:low], sizes.pipeline.steer, "mask_place") if low else 0)
            ),
        ]
