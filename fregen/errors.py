"""Every error that a user of fregen can cause, the exit code of each kind, and how a message quotes what was given.

::

    FregenError
      ├── FormatError      a number format, or a bound that no exact carrier holds
      ├── DesignError      the design file: a key, a type, a range, a combination
      ├── GraphError       layers and connections that make no network
      ├── DataError        a data set or a checkpoint: absent, truncated, of another design
      ├── LoweringError    a design that is sound but that the hardware cannot carry
      ├── OutputError      a file or folder that cannot be written
      ├── ToolError        an outside program: absent, too old, failed
      └── MismatchError    hardware and golden model differ

A message says what was expected, what came, where, and what to do.  The command line prints it without a
traceback and ends with the class's ``exit_code``, one for each kind of fault:

=========  ============================================================================================
exit code  meaning
=========  ============================================================================================
0          done, and everything compared was equal
2          hardware and golden model differ (MismatchError)
3          the design, or a number format in it, is wrong (DesignError, GraphError, FormatError,
           LoweringError)
4          data or a checkpoint is absent, damaged or of another design (DataError)
5          a tool is missing or failed (ToolError)
6          an output file or folder cannot be written: a path, permissions, a full disk (OutputError)
7          the machine has too little memory for what was asked
64         the command line itself is wrong
70         a defect of fregen
130        interrupted
=========  ============================================================================================
"""

import reprlib
from collections.abc import Iterable

__all__ = [
    "EXIT_DEFECT",
    "EXIT_INTERRUPTED",
    "EXIT_MEMORY",
    "EXIT_USAGE",
    "DataError",
    "DesignError",
    "FormatError",
    "FregenError",
    "GraphError",
    "LoweringError",
    "MismatchError",
    "OutputError",
    "ToolError",
    "key_text",
    "listed",
    "one_line",
    "quoted",
]

EXIT_MEMORY, EXIT_USAGE, EXIT_DEFECT, EXIT_INTERRUPTED = 7, 64, 70, 130
"""Exit codes of what no class below stands for."""


class FregenError(Exception):
    """Base of every error that a user can cause; only its subclasses are raised."""

    exit_code = 1


class FormatError(FregenError):
    """A number format is malformed, or a worst-case bound fits no exact carrier."""

    exit_code = 3


class DesignError(FregenError):
    """The design file is wrong: a key, a type, a range or a combination."""

    exit_code = 3


class GraphError(DesignError):
    """Layers and connections do not make a network."""


class DataError(FregenError):
    """A data set or a checkpoint is absent, truncated or belongs to another design."""

    exit_code = 4


class LoweringError(FregenError):
    """The design is sound, but the hardware as generated cannot carry it."""

    exit_code = 3


class OutputError(FregenError):
    """A file or folder cannot be written: its path, its permissions, a full disk, somebody else's files in it."""

    exit_code = 6


class ToolError(FregenError):
    """An outside program is absent, too old or failed."""

    exit_code = 5


class MismatchError(FregenError):
    """Hardware and golden model differ in at least one word."""

    exit_code = 2


# Quoting ------------------------------------------------------------------------------------------------------------

_MOST = 120
"""Characters of a value in a message."""


class _Short(reprlib.Repr):
    """A ``repr`` that stays short and cheap, whatever it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 3, 60, 60
        self.maxlist = self.maxtuple = self.maxdict = 6

    def repr_int(self, x: int, level: int) -> str:
        """Name the size of an integer that is too long to be read (and that Python may refuse to print)."""
        return repr(x) if x.bit_length() <= 128 else f"<an integer of {x.bit_length():,} bits>"


def quoted(value: object) -> str:
    """Return a value as a message shows it: its ``repr``, cut where it is long."""
    text = _Short().repr(value)
    return text if len(text) <= _MOST else f"{text[: _MOST - 4]} ..."


def one_line(error: BaseException) -> str:
    """Return what a library's error says, on one line and cut where it is long; its class if it says nothing."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 and text.isprintable() else f"{ascii(text[:160])[1:-1]} ..."


def key_text(key: object) -> str:
    """Return a name that came from a file: as it is if it is short and printable, else quoted."""
    text = str(key) if isinstance(key, (str, int)) else repr(key)
    return text if len(text) <= 60 and text.isprintable() else quoted(text)


def listed(names: Iterable[object], most: int = 8) -> str:
    """Join names that came from a file: ``a, b, c``, and ``and 15,990 more`` after the first few."""
    names = list(names)
    text = ", ".join(key_text(name) for name in names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most:,} more"
