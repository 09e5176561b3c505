"""What units hand each other: signatures, each seen from the unit that acts (gives a sum, asks for a word)."""

from amaranth.hdl import signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..plan import Drain
from ..plan.cycles import PHASES
from .beat import Sizes
from .bits import bits

__all__ = [
    "event_signature",
    "mask_signature",
    "move_signature",
    "read_signature",
    "sample_signature",
    "sum_signature",
    "weight_signature",
    "word_signature",
    "work_signature",
    "write_signature",
]


def sample_signature(sizes: Sizes) -> wiring.Signature:
    """From the samples to the sequencer: ``loaded``, a whole sample waits; the rest is of the sample taken last.

    ``take`` takes the waiting one: from the next cycle on ``slot``, ``label``, ``learn``, ``close`` and ``nonzero``
    (how many of its words are not zero) are its own.  ``busy`` has one bit a slot: slots that must not be filled.
    """
    return wiring.Signature(
        {
            "loaded": Out(1),
            "take": In(1),
            "busy": In(sizes.memory.slots),
            "slot": Out(sizes.slot_bits),
            "label": Out(sizes.label_bits),
            "learn": Out(1),
            "close": Out(1),
            "nonzero": Out(bits(sizes.memory.input_size + 1)),
        }
    )


def mask_signature(sizes: Sizes) -> wiring.Signature:
    """From the sequencer to the samples: an input's ``index``; one cycle later, the ``slots`` where it is not zero."""
    return wiring.Signature({"index": Out(sizes.input_bits), "slots": In(sizes.memory.slots)})


def read_signature(sizes: Sizes) -> wiring.Signature:
    """From the array to the vector memories: an address of each; ``pipeline.read`` cycles later the rows, P words."""
    return wiring.Signature(
        {
            "state": Out(sizes.vector_address),
            "offset": Out(sizes.vector_address),
            "states": In(data.ArrayLayout(signed(sizes.state_width), sizes.lanes)),
            "offsets": In(data.ArrayLayout(signed(sizes.offset_width), sizes.lanes)),
        }
    )


def move_signature(sizes: Sizes) -> wiring.Signature:
    """From the array to the vector memories: what to do with the rows that were just read.

    ``copy`` writes one to ``target`` of the same memory (``to_offsets`` says which); ``keep`` holds the states;
    ``subtract`` writes the kept states less these into the offset memory.
    """
    flags = dict.fromkeys(("copy", "keep", "subtract", "to_offsets"), Out(1))
    return wiring.Signature({**flags, "target": Out(sizes.vector_address)})


def word_signature(sizes: Sizes) -> wiring.Signature:
    """To the vector memories: while ``valid``, write a word into the state memory, or with ``is_offset`` the other."""
    return wiring.Signature(
        {
            "valid": Out(1),
            "is_offset": Out(1),
            "address": Out(sizes.vector_address),
            "lane": Out(max(sizes.lane_bits, 1)),
            "word": Out(signed(sizes.word_width)),
        }
    )


def sum_signature(sizes: Sizes) -> wiring.Signature:
    """From the array: while ``valid``, a neuron's ``sum`` with F fraction bits, where it goes, and whose it is.

    ``lane`` and ``target`` are the place of its word in a vector memory, ``neuron`` its number (class, for the softmax
    unit); ``first`` and ``wants_error`` are the instruction's.
    """
    return wiring.Signature(
        {
            "valid": Out(1),
            "sum": Out(signed(sizes.sum_width)),
            "lane": Out(max(sizes.lane_bits, 1)),
            "drain": Out(Drain),
            "neuron": Out(sizes.neuron_bits),
            "target": Out(sizes.vector_address),
            "first": Out(1),
            "wants_error": Out(1),
        }
    )


def weight_signature(sizes: Sizes) -> wiring.Signature:
    """From the weight port to the lanes: ``load`` writes ``word`` in ``lane``; ``read`` reads all lanes at ``address``.

    ``weights`` has their words ``pipeline.read`` cycles later.
    """
    word = signed(sizes.spec.weight.width)
    return wiring.Signature(
        {
            "load": Out(1),
            "lane": Out(max(sizes.lane_bits, 1)),
            "word": Out(word),
            "read": Out(1),
            "address": Out(sizes.weight_address),
            "weights": In(data.ArrayLayout(word, sizes.lanes)),
        }
    )


def write_signature(sizes: Sizes) -> wiring.Signature:
    """From the array: weights that are written, with ``lanes`` one enable a lane.

    ``is_update``: by an update, not from outside; ``limited``, one bit a lane: the word was.
    """
    return wiring.Signature(
        {
            "is_update": Out(1),
            "lanes": Out(sizes.lanes),
            "limited": Out(sizes.lanes),
            "address": Out(sizes.weight_address),
            "words": Out(data.ArrayLayout(signed(sizes.spec.weight.width), sizes.lanes)),
        }
    )


def work_signature(sizes: Sizes) -> wiring.Signature:
    """From the sequencer to the counters: while ``valid``, a beat that multiplies.

    ``rows`` lanes hold a real row and, in the ``ring``, ``columns`` columns of the tile are real; ``turned``: with this
    beat every lane has had every column of the tile.
    """
    count = bits(sizes.lanes + 1)
    flags = dict.fromkeys(("valid", "ring", "turned"), Out(1))
    return wiring.Signature({**flags, "rows": Out(count), "columns": Out(count)})


def event_signature() -> wiring.Signature:
    """From the sequencer to the counters: its phase and whether it is ``busy`` in it; what has been completed."""
    events = dict.fromkeys(("busy", "sample", "free_step", "nudged_step", "update"), Out(1))
    return wiring.Signature({"phase": Out(bits(len(PHASES))), **events})
