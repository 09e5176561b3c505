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
    "taken_layout",
    "weight_signature",
    "word_signature",
    "work_signature",
    "write_signature",
]


def taken_layout(sizes: Sizes) -> data.StructLayout:
    """Lay out what is known of a sample: where it lies, what it is for, and how many of its words are not zero.

    ``slot`` has its words, ``bank`` the list of those that are not zero.
    """
    return data.StructLayout(
        {
            "slot": sizes.slot_bits,
            "bank": sizes.bank_bits,
            "label": sizes.label_bits,
            "learn": 1,
            "close": 1,
            "nonzero": bits(sizes.memory.input_size + 1),
        }
    )


def sample_signature(sizes: Sizes) -> wiring.Signature:
    """From the samples to the sequencer: ``loaded``, a whole ``sample`` waits, and ``take`` takes it.

    ``slot`` is the one that is filled; it changes only in the cycle after ``take``.
    """
    return wiring.Signature(
        {"loaded": Out(1), "sample": Out(taken_layout(sizes)), "take": In(1), "slot": In(sizes.slot_bits)}
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
    ``subtract`` writes the kept states less these into the offset memory.  ``context``: the sample in flight.
    """
    flags = dict.fromkeys(("copy", "keep", "subtract", "to_offsets"), Out(1))
    context = Out(max(sizes.context_bits, 1))
    return wiring.Signature({**flags, "context": context, "target": Out(sizes.vector_address)})


def word_signature(sizes: Sizes) -> wiring.Signature:
    """To the vector memories: write D words into the state memory, or with ``is_offset`` into the other.

    ``words`` go to lanes from ``lane`` on, a multiple of D; each is written while its bit of ``valid`` is high.
    """
    return wiring.Signature(
        {
            "valid": Out(sizes.drain),
            "is_offset": Out(1),
            "address": Out(sizes.vector_address),
            "lane": Out(max(sizes.lane_bits, 1)),
            "words": Out(data.ArrayLayout(signed(sizes.word_width), sizes.drain)),
        }
    )


def sum_signature(sizes: Sizes) -> wiring.Signature:
    """From the array: D neurons' ``sums`` with F fraction bits, where they go, and whose they are.

    Each counts while its bit of ``valid`` is high; logits come one a cycle.  ``context`` is the sample in flight.
    ``lane`` (of the first) and ``target`` are the place of their words in a vector memory, ``neuron`` where their
    activations keep theirs (class, for the softmax unit); ``first`` and ``wants_error`` are the instruction's.
    """
    return wiring.Signature(
        {
            "valid": Out(sizes.drain),
            "sums": Out(data.ArrayLayout(signed(sizes.sum_width), sizes.drain)),
            "lane": Out(max(sizes.lane_bits, 1)),
            "drain": Out(Drain),
            "context": Out(max(sizes.context_bits, 1)),
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


def event_signature(sizes: Sizes) -> wiring.Signature:
    """From the sequencer to the counters: what it does, and what has been completed.

    ``busy``: a program runs; ``beat``: the lanes get a beat, of ``phase``; ``free_steps``, ``nudged_steps``: one bit a
    sample in flight.
    """
    flags = dict.fromkeys(("busy", "beat", "sample", "update"), Out(1))
    steps = dict.fromkeys(("free_steps", "nudged_steps"), Out(sizes.contexts))
    return wiring.Signature({"phase": Out(bits(len(PHASES))), **flags, **steps})
