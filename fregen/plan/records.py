"""The records that the bench logs: which fields they have, and where in a record each lies.

A log is a file of records of one kind; a record is a row of 32-bit words, lowest first.  Fields follow each other from
bit 0 up; one that would cross a word's end begins with the next word.  Words of a row (one a lane) take a 32-bit word
each.  What is missing in a word is 0, for signed fields too: the reader extends them.

The bench writes by this layout, the expected words carry it (``expected.npz``), and the check reads by it.
One more field is one more line in :data:`_FIELDS`, and an expectation of its name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .counters import COUNTER_WIDTH, COUNTERS

__all__ = ["HEAD_WORDS", "LOGS", "RUN_WORDS", "WORD", "Bus", "Field", "Part", "Record", "layout_table", "records"]

WORD = 32
"""Bits of a word of a log."""

RUN_WORDS = 2
"""Words of the number that says which run a log belongs to."""

HEAD_WORDS = RUN_WORDS + 3
"""Words before the weights in a stimulus: the run's number, the cycle of a reset in mid-run, whether inputs move while
they do not count, and the seed by which the host falters."""

_FIELDS: Mapping[str, Mapping[str, str]] = {
    "words": {
        "address": "probe_word_address",
        "lane": "probe_word_lane",
        "offset": "probe_word_offset",
        "error": "probe_word_error",
        "context": "probe_word_context",
        "phase": "probe_phase",
        "valid": "probe_word_valid",
        "words": "probe_words",
    },
    "contrasts": {"address": "probe_contrast_address", "context": "probe_contrast_context", "words": "probe_contrast"},
    "weights": {
        "update": "updates",
        "address": "probe_weight_address",
        "lanes": "probe_weight_write",
        "words": "probe_weight_words",
    },
    "predictions": {"label": "prediction_payload"},
    "readback": {"word": "weight_out_payload"},
    "counters": {"run": "run", **dict.fromkeys(COUNTERS, "counters")},
}
"""Logs; of each the fields, and the bus of the core or bench that each is read from."""

LOGS = tuple(_FIELDS)
"""Names of the logs; the file of each is ``name.bin``."""

_ROW = "words"
"""Field that is a row: a signed word a lane."""


class Bus(Protocol):
    """A wire that a field is read from, such as a port of the core."""

    @property
    def name(self) -> str:
        """Name in Verilog."""

    @property
    def width(self) -> int:
        """Bits."""

    @property
    def is_signed(self) -> bool:
        """Whether the bits are a two's complement number."""

    @property
    def words(self) -> int:
        """Words that lie side by side in it."""


@dataclass(frozen=True)
class _Own:
    """A register of the bench."""

    name: str
    width: int
    is_signed: bool = False
    words: int = 1


_OWN = (_Own("updates", 32), _Own("run", RUN_WORDS * WORD))


@dataclass(frozen=True)
class Field:
    """A field of a record.

    Parameters
    ----------
    name : str
        What it holds.
    bus : str
        Wire that it is read from.
    low : int
        First bit of the wire.
    width : int
        Bits; of each word of a row.
    is_signed : bool
        Whether it is a two's complement number.
    is_row : bool
        Whether it is a row of words, each in 32 bits of its own.
    count : int
        Words of a row; 1 for a plain field.
    word, bit : int
        Where it begins: 32-bit word of the record, and bit of that word.
    is_whole : bool
        Whether it is all of the wire.
    """

    name: str
    bus: str
    low: int
    width: int
    is_signed: bool
    is_row: bool
    count: int
    word: int
    bit: int
    is_whole: bool

    @property
    def size(self) -> int:
        """32-bit words that it touches."""
        return self.count if self.is_row else -(-(self.bit + self.width) // WORD)

    def table(self) -> dict[str, Any]:
        """Plain data: what a reader needs."""
        return {
            "name": self.name,
            "word": self.word,
            "bit": self.bit,
            "width": self.width,
            "signed": self.is_signed,
            "row": self.count if self.is_row else None,
        }


@dataclass(frozen=True)
class Part:
    """A piece of what the bench writes: bits of a wire, or padding.

    Parameters
    ----------
    bus : str or None
        Wire; None for padding.
    width : int
        Bits.
    low, high : int or None
        Bits of the wire; None for all of it.
    """

    bus: str | None
    width: int
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True)
class Record:
    """Layout of one log.

    Parameters
    ----------
    name : str
        The log; its file is ``name.bin``.
    fields : tuple of Field
        From the lowest bits up.
    """

    name: str
    fields: tuple[Field, ...]

    @property
    def size(self) -> int:
        """32-bit words of a record."""
        return max(field.word + field.size for field in self.fields)

    def table(self) -> dict[str, Any]:
        """Plain data: what a reader needs."""
        return {"size": self.size, "fields": [field.table() for field in self.fields]}

    def parts(self) -> tuple[Part, ...]:
        """List what a record is made of, from the highest bit down, as Verilog concatenates."""
        parts: list[Part] = []
        at = 0
        for field in self.fields:
            for k in range(field.count):
                begin = WORD * (field.word + k) + field.bit
                if begin > at:
                    parts.append(Part(None, begin - at))
                low = field.low + k * field.width
                piece = (None, None) if field.is_whole else (low, low + field.width - 1)
                parts.append(Part(field.bus, field.width, *piece))
                at = begin + field.width
        if WORD * self.size > at:
            parts.append(Part(None, WORD * self.size - at))
        return tuple(reversed(parts))


def records(buses: Iterable[Bus]) -> dict[str, Record]:
    """Lay out all logs of a core.

    Parameters
    ----------
    buses : iterable of Bus
        The core's ports: name, width, whether signed, and how many words lie side by side.
    """
    known = {bus.name: bus for bus in (*buses, *_OWN)}
    return {name: Record(name, _placed(fields, known)) for name, fields in _FIELDS.items()}


def _placed(fields: Mapping[str, str], known: Mapping[str, Bus]) -> tuple[Field, ...]:
    placed: list[Field] = []
    word = bit = 0
    for name, source in fields.items():
        bus, is_row = known[source], name == _ROW
        count = bus.words if is_row else 1
        low, width = 0, bus.width // count
        if name in COUNTERS:
            low, width = COUNTER_WIDTH * COUNTERS.index(name), COUNTER_WIDTH
        if bit and (is_row or bit + width > WORD):
            word, bit = word + 1, 0
        is_whole = width == bus.width
        field = Field(name, source, low, width, bus.is_signed or is_row, is_row, count, word, bit, is_whole)
        placed.append(field)
        if is_row or bit + width >= WORD:
            word, bit = word + field.size, 0
        else:
            bit += width
    return tuple(placed)


def layout_table(layout: Mapping[str, Record]) -> dict[str, Any]:
    """Plain data of all logs, as the check reads it."""
    return {name: record.table() for name, record in layout.items()}
