"""Names that a design cannot have: keywords of languages that its Verilog may meet, and names of the toolkit's own."""

import tomllib
from importlib import resources

__all__ = ["KEYWORDS", "UNITS", "reason"]

KEYWORDS = {
    language: frozenset(words.split())
    for language, words in tomllib.loads((resources.files(__package__) / "reserved.toml").read_text("utf-8")).items()
}
"""Reserved words by language: ``reserved.toml``."""

UNITS = frozenset(
    ("array", "counter", "dither", "lane", "neuron", "sample", "sequencer", "softmax", "update", "vector", "weightport")
)
"""What modules of a design are called after its name: ``NAME_array``."""


def reason(name: str) -> str | None:
    """Say why a design cannot have a name; None if it can.

    Parameters
    ----------
    name : str
        Lower case: a letter, then letters, digits and underscores.
    """
    for language, words in KEYWORDS.items():
        if name in words:
            return f"{name!r} is a reserved word of {language}"
    if name == "bench":
        return f"{name!r} is what fregen calls the bench of every design"
    if name.startswith("bench_"):
        return f"{name!r} is what fregen calls the bench of a design {name.removeprefix('bench_')!r}"
    stem, _, unit = name.rpartition("_")
    if stem and (unit in UNITS or unit == "example"):
        return f"{name!r} is what fregen calls a module of a design {stem!r}"
    if "__" in name or name.endswith("_"):
        return f"{name!r} is no name in VHDL, which takes single underscores between letters or digits"
    return None
