"""Exit codes, one a kind of fault, and messages that stay short whatever they quote."""

import re

import pytest

from fregen import errors
from fregen.errors import FregenError, key_text, listed, quoted

pytestmark = pytest.mark.unit


def classes(base=FregenError):
    return [base, *(inner for kind in base.__subclasses__() for inner in classes(kind))]


def test_the_table_of_exit_codes_is_true():
    rows = dict(re.findall(r"^(\d+)  +(\S.*(?:\n {11}.*)*)", errors.__doc__, re.MULTILINE))
    for kind in classes()[1:]:
        holding = [int(code) for code, text in rows.items() if kind.__name__ in text]
        assert holding == [kind.exit_code], kind
    assert set(map(int, rows)) == {
        0,
        *(kind.exit_code for kind in classes()[1:]),
        errors.EXIT_MEMORY,
        errors.EXIT_USAGE,
        errors.EXIT_DEFECT,
        errors.EXIT_INTERRUPTED,
    }


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_every_class_is_drawn_in_the_tree(kind):
    assert kind.__name__ in errors.__doc__
    assert kind.__name__ in errors.__all__


HUGE = [
    "x" * 10**6,
    ["x" * 100] * 10**5,
    {f"key {k}": "v" * 100 for k in range(10**4)},
    10**5000,
    -(1 << 400_000),
    [[[[[[[[1]]]]]]]],
    b"\0" * 10**6,
]


@pytest.mark.parametrize("value", HUGE, ids=lambda value: type(value).__name__)
def test_a_huge_value_is_quoted_in_a_few_characters(value):
    assert len(quoted(value)) <= 120


@pytest.mark.parametrize("value", [3, -1e-9, "q3.13", [4, 3, 2], {"a": 1}, None, True])
def test_a_small_value_is_quoted_whole(value):
    assert quoted(value) == repr(value)


def test_many_names_are_counted():
    assert listed(["a", "b"]) == "a, b"
    assert listed(range(16_000)) == "0, 1, 2, 3, 4, 5, 6, 7 and 15,992 more"


def test_a_key_cannot_write_to_the_terminal():
    assert key_text("lanes") == "lanes"
    assert "\x1b" not in key_text("\x1b[31mred")
    assert "\n" not in key_text("two\nlines")
    assert len(key_text("k" * 10**6)) <= 120
