"""The core's ports: declared once, with what each means; everything else that lists ports takes them from here.

A port's name is its path in the component's signature, joined by one underscore: ``sample.payload`` is
``sample_payload`` (:func:`fregen.hdl.names.named_ports`).
"""

from dataclasses import dataclass

from amaranth.hdl import Shape, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..design.document import RATE_WIDTH
from ..plan.cycles import PHASES
from .beat import Sizes
from .bits import bits
from .counters import counter_layout
from .samples import sample_layout

__all__ = ["PROBE", "Port", "core_members", "core_ports", "probe_signature"]

PROBE = "probe"
"""Member of the core that holds all observation points."""

_CLOCKED = (
    ("clk", "clock; all is synchronous to its rising edge"),
    ("rst", "synchronous reset, active high; memories keep their words"),
)
_HANDSHAKE = {"valid": "{} is offered", "ready": "{} is taken at a clock edge where valid is high too"}

_Declared = dict[str, tuple[wiring.Member, str]]
"""Members by name, each with its meaning."""


@dataclass(frozen=True)
class Port:
    """A port of the generated module.

    Parameters
    ----------
    name : str
        Name in Verilog.
    direction : {"in", "out"}
        Seen from the core.
    width : int
        Bits.
    is_signed : bool
        Whether the bits are a two's complement number.
    meaning : str
        What it says.
    strobe : str or None
        Port that is high while this one counts; None for a port that always does.  Where the strobe has a bit a word,
        each word counts with its own bit; else all count while any bit is high.
    words : int
        Words that lie side by side in it, the first in the lowest bits.
    """

    name: str
    direction: str
    width: int
    is_signed: bool
    meaning: str
    strobe: str | None = None
    words: int = 1

    @property
    def msb(self) -> int:
        """Number of the highest bit."""
        return self.width - 1

    @property
    def is_probe(self) -> bool:
        """Whether it is an observation point."""
        return self.name.startswith(f"{PROBE}_")


def _streams(sizes: Sizes) -> dict[str, tuple[wiring.Member, str, str]]:
    """Streams of the core: member, what one word is, and what its payload means."""
    spec = sizes.spec
    weight = stream.Signature(signed(spec.weight.width))
    sample, prediction = stream.Signature(sample_layout(sizes)), stream.Signature(sizes.label_bits)
    count = sizes.memory.words
    given = f"input word ({spec.state})" if count == 1 else f"{count} input words ({spec.state}), the first lowest"
    return {
        "sample": (In(sample), "a beat of a sample", f"{given}, label, learn, close: see sample"),
        "prediction": (Out(prediction), "a prediction", "class of each sample, in order"),
        "weight_in": (In(weight), "a weight", f"weight ({spec.weight}): the whole image, or none; between samples"),
        "weight_out": (Out(weight), "a weight", f"weight ({spec.weight}), in the order of the image, after dump"),
    }


def _signals(sizes: Sizes) -> _Declared:
    """Single ports of the core."""
    return {
        "dump": (In(1), "while idle: send all weights; take low once idle is low"),
        "rate": (In(RATE_WIDTH), "k of the learning rate 2**-k; change only while idle"),
        "idle": (Out(1), "no sample and no weight is under way"),
        "counters": (Out(counter_layout()), "all counters, side by side: see counters"),
    }


def _probes(sizes: Sizes) -> _Declared:
    """Observation points: every word that the core writes."""
    address, context = sizes.vector_address, Out(max(sizes.context_bits, 1))
    weight = sizes.spec.weight.width
    return {
        "phase": (
            Out(bits(len(PHASES))),
            f"its sample's phase, of {', '.join(PHASES)}; else the first one's in flight",
        ),
        "word_valid": (
            Out(sizes.drain),
            "words are written into a vector memory by neuron or softmax unit: a bit a word",
        ),
        "word_offset": (Out(1), "into the offset memory; else into the state memory"),
        "word_error": (Out(1), "by the softmax unit"),
        "word_address": (Out(address), "address"),
        "word_lane": (Out(max(sizes.lane_bits, 1)), "lane of the first word"),
        "word_context": (context, "sample in flight: samples have these numbers in turn"),
        "words": (Out(sizes.drain * sizes.word_width), "the words, the first in the lowest bits"),
        "contrast_valid": (Out(1), "a row of contrasts (form states) is written into the offset memory"),
        "contrast_address": (Out(address), "address"),
        "contrast_context": (context, "sample in flight"),
        "contrast": (Out(sizes.lanes * sizes.word_width), "a word a lane, lane 0 in the lowest bits"),
        "weight_write": (Out(sizes.lanes), "an update writes weights: one enable a lane"),
        "weight_address": (Out(sizes.weight_address), "address"),
        "weight_words": (Out(sizes.lanes * weight), "a weight a lane, lane 0 in the lowest bits"),
        "update": (Out(1), "an update is complete"),
    }


_STROBES = {
    **dict.fromkeys(
        ("phase", "word_offset", "word_error", "word_address", "word_lane", "word_context", "words"), "word_valid"
    ),
    **dict.fromkeys(("contrast_address", "contrast_context", "contrast"), "contrast_valid"),
    **dict.fromkeys(("weight_address", "weight_words"), "weight_write"),
}
"""Observation points that count only while another one is high."""

_ROWS = ("contrast", "weight_write", "weight_words")
"""Observation points that hold a word a lane."""

_WORDS = ("word_valid", "words")
"""Observation points that hold D words, or a bit for each."""


def probe_signature(sizes: Sizes) -> wiring.Signature:
    """Observation points: wires that show every word the core writes; to be left open in a board's top."""
    return wiring.Signature({name: member for name, (member, _) in _probes(sizes).items()})


def core_members(sizes: Sizes) -> dict[str, wiring.Member]:
    """Members of the core's signature."""
    streams = {name: member for name, (member, _, _) in _streams(sizes).items()}
    signals = {name: member for name, (member, _) in _signals(sizes).items()}
    return {**streams, **signals, PROBE: Out(probe_signature(sizes))}


def core_ports(sizes: Sizes) -> tuple[Port, ...]:
    """List the ports of the generated core, clock and reset included."""
    meanings: dict[str, str] = {name: meaning for name, (_, meaning) in _signals(sizes).items()}
    strobes: dict[str, str] = {}
    for name, (_, word, meaning) in _streams(sizes).items():
        meanings[f"{name}_payload"] = meaning
        meanings |= {f"{name}_{wire}": text.format(word) for wire, text in _HANDSHAKE.items()}
        strobes[f"{name}_payload"] = f"{name}_valid"
    meanings |= {f"{PROBE}_{name}": meaning for name, (_, meaning) in _probes(sizes).items()}
    strobes |= {f"{PROBE}_{name}": f"{PROBE}_{strobe}" for name, strobe in _STROBES.items()}
    ports = [Port(name, "in", 1, False, meaning) for name, meaning in _CLOCKED]
    for path, member in wiring.Signature(core_members(sizes)).members.flatten():
        if member.is_signature:
            continue
        name, shape = "_".join(map(str, path)), Shape.cast(member.shape)
        way = "in" if member.flow is In else "out"
        point = name.removeprefix(f"{PROBE}_") if name.startswith(f"{PROBE}_") else ""
        words = sizes.lanes if point in _ROWS else sizes.drain if point in _WORDS else 1
        ports.append(Port(name, way, shape.width, shape.signed, meanings.pop(name), strobes.get(name), words))
    assert not meanings, f"no port has these names: {sorted(meanings)}"
    return tuple(ports)
