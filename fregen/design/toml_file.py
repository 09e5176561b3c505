"""A design file's text as nested dictionaries: the only reader of TOML, which takes any bytes.

Python's TOML reader takes time that grows with the square of a key's parts and stops with other errors than its own
where arrays are nested deep or an integer is long; a design file has neither, so both are refused before it is read.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

from ..errors import DesignError, one_line
from ..files import read_at_most

__all__ = ["MOST_BYTES", "read_toml"]

MOST_BYTES = 1 << 17
"""Length that a design file may have; the longest sensible one (every connection with its own scale) has half."""

_DEEPEST, _MOST_PARTS = 32, 32
"""Brackets within brackets, and dots in a key; design files have 5 and 3."""

_TOKEN = re.compile(
    r"""(?s) \#[^\n]*+ | \"{3}(?:\\.|[^\\])*?(?:\"{3}|\Z) | '{3}.*?(?:'{3}|\Z) | "(?:\\.|[^"\\\n])*+"? | '[^'\n]*+'? """
    r"""| [\[{] | [\]}] | [=,\n] | \. | [^\#"'\[\]{}=,\n.]++""",
    re.VERBOSE,
)
"""Comments, strings (one that does not end is a token, too: no character is looked at twice), brackets, the rest."""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; a byte-order mark at its start is accepted.

    Raises
    ------
    DesignError
        If the file is absent, longer than 128 KiB, no UTF-8 text or no TOML, or holds keys, arrays or numbers beyond
        all that a design can need.
    """
    try:
        text = read_at_most(path, MOST_BYTES, DesignError, "a design file").decode("utf-8-sig")
    except FileNotFoundError:
        raise DesignError(f"{path}: no such design file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DesignError(f"{path}: cannot be read as text: {error}") from None
    except ValueError:
        raise DesignError(f"{str(path)!r}: a path holds no NUL") from None
    text = text.replace("\r\n", "\n")
    _check_depth(path, text)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DesignError(f"{path}: not a TOML file: {one_line(error)}") from None
    except (ValueError, RecursionError) as error:  # an integer of more digits than Python converts
        raise DesignError(
            f"{path}: holds a number that no key can take: {one_line(error).partition('; use')[0]}"
        ) from None


def _check_depth(path: Path, text: str) -> None:
    """Refuse brackets nested deep and keys of many parts, in one pass over the text."""
    depth = parts = 0
    line = 1
    for token in _TOKEN.findall(text):
        if token in ("[", "{"):
            depth, parts = depth + 1, 0
            if depth > _DEEPEST:
                raise DesignError(f"{path}: line {line}: brackets are nested more than {_DEEPEST} deep")
        elif token in ("]", "}"):
            depth, parts = max(depth - 1, 0), 0
        elif token == ".":
            parts += 1
            if parts > _MOST_PARTS:
                raise DesignError(f"{path}: line {line}: a key has more than {_MOST_PARTS} parts")
        elif token in ("=", ",", "\n"):
            parts = 0
        line += token.count("\n")
