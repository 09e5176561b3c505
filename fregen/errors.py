"""Every error that a user of fregen can cause.

::

    FregenError
      ├── FormatError      a number format, or a bound that no exact carrier holds
      ├── DesignError      the design file: a key, a type, a range, a combination
      ├── GraphError       layers and connections that make no network
      ├── DataError        a data set or a checkpoint: absent, truncated, of another design
      ├── LoweringError    a design that is sound but that the hardware cannot carry
      ├── ToolError        an outside program: absent, too old, failed
      └── MismatchError    hardware and golden model differ

A message says what was expected, what came, where, and what to do.  The command line prints it without a
traceback and ends with the class's ``exit_code``.
"""

__all__ = [
    "DataError",
    "DesignError",
    "FormatError",
    "FregenError",
    "GraphError",
    "LoweringError",
    "MismatchError",
    "ToolError",
]


class FregenError(Exception):
    """Base of every error that a user can cause."""

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


class ToolError(FregenError):
    """An outside program is absent, too old or failed."""

    exit_code = 5


class MismatchError(FregenError):
    """Hardware and golden model differ in at least one word."""

    exit_code = 2
