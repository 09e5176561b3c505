"""Tables of the pages are what the code says."""

from pathlib import Path
from runpy import run_path

import pytest

pytestmark = pytest.mark.unit

DOCS = Path(__file__).parents[2] / "docs"
SCRIPT = run_path(str(DOCS / "write_tables.py"))


@pytest.fixture(scope="module")
def known():
    return SCRIPT["tables"]()


@pytest.mark.parametrize("page", SCRIPT["PAGES"])
def test_tables_of_a_page_are_those_of_the_code(page, known):
    """After a change of ports, instruction fields or their docstrings: ``python docs/write_tables.py``."""
    text = (DOCS / page).read_text()
    assert "<!-- table: " in text
    assert SCRIPT["written"](text, known) == text


def test_every_unit_of_the_core_has_its_table(known):
    text = (DOCS / "units.md").read_text() + (DOCS / "instructions.md").read_text()
    assert [name for name in known if f"<!-- table: {name} -->" not in text] == []


def test_a_table_of_nothing_is_refused(known):
    with pytest.raises(ValueError, match="there is no table Nothing; there are: ArrayUnit"):
        SCRIPT["written"]("<!-- table: Nothing -->\n<!-- end -->", known)


def test_a_changed_table_is_seen(known):
    text = (DOCS / "instructions.md").read_text()
    assert SCRIPT["written"](text.replace("First weight address", "Last weight address"), known) == text
