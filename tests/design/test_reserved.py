"""Names that a design file may give its design: none that a compiler, or the toolkit's own files, would trip over."""

import re

import pytest
from pygments.lexer import words
from pygments.lexers import get_lexer_by_name

from fregen.design.document import Design
from fregen.design.reserved import KEYWORDS
from fregen.errors import DesignError

pytestmark = pytest.mark.unit

VHDL_TYPES_AND_LIBRARIES = {
    *(
        "bit_vector",
        "boolean",
        "character",
        "delay_length",
        "file_open_kind",
        "file_open_status",
        "natural",
        "positive",
    ),
    *("severity_level", "std_logic", "std_logic_vector", "std_ulogic", "std_ulogic_vector", "ieee", "std", "work"),
}


def named(name):
    return Design.parse({"name": name, "network": {"layers": (4, 3, 2)}})


@pytest.mark.parametrize(
    "name", ["module", "reg", "wire", "logic", "bit", "begin", "signed", "priority", "class", "units"]
)
def test_a_keyword_is_no_name(name):
    with pytest.raises(DesignError, match=rf"name: '{name}' is a reserved word of \w+: choose another name"):
        named(name)


@pytest.mark.parametrize("language", KEYWORDS)
def test_every_keyword_is_refused(language):
    for word in KEYWORDS[language]:
        if re.fullmatch(r"[a-z][a-z0-9_]{0,31}", word):
            with pytest.raises(DesignError, match="is a reserved word of"):
                named(word)


@pytest.mark.parametrize(("alias", "others"), [("systemverilog", set()), ("vhdl", VHDL_TYPES_AND_LIBRARIES)])
def test_the_keywords_are_those_that_a_syntax_highlighter_knows(alias, others):
    """A list of its own, of Verilog too, which SystemVerilog holds: a word that is missing here is seen there."""
    rules = [rule for rules in get_lexer_by_name(alias).tokens.values() for rule in rules if isinstance(rule, tuple)]
    known = {
        word
        for rule in rules
        if isinstance(rule[0], words)
        for word in rule[0].words
        if re.fullmatch("[a-z0-9_]+", word)
    }
    assert len(known) > 90
    assert known - frozenset().union(*KEYWORDS.values()) == others


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("bench", "is what fregen calls the bench of every design"),
        ("bench_tiny", "is what fregen calls the bench of a design 'tiny'"),
        ("tiny_array", "is what fregen calls a module of a design 'tiny'"),
        ("tiny_example", "is what fregen calls a module of a design 'tiny'"),
        ("my__net", "is no name in VHDL"),
        ("net_", "is no name in VHDL"),
    ],
)
def test_what_the_toolkit_or_vhdl_cannot_take_is_no_name(name, why):
    with pytest.raises(DesignError, match=f"name: '{name}' {why}.*: choose another name"):
        named(name)


@pytest.mark.parametrize(
    "name", ["tiny", "array_1", "modules", "a", "net_16", "sampler", "rate", "clk", "finished", "dut"]
)
def test_other_names_are_taken(name):
    assert named(name).name == name
