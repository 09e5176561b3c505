"""The architecture drawing shows the import law as it is."""

import tomllib
from pathlib import Path
from runpy import run_path

import pytest

pytestmark = pytest.mark.unit

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def draw():
    return run_path(str(DOCS / "draw_architecture.py"))["draw"]


@pytest.fixture
def rows():
    return tomllib.loads((DOCS / "rooms.toml").read_text())["row"]


def test_drawing_is_the_one_that_the_import_law_gives(draw, rows):
    """After a change of docs/rooms.toml: ``python docs/draw_architecture.py``."""
    assert draw(rows) == (DOCS / "architecture.svg").read_text()


def test_another_import_law_gives_another_drawing(draw, rows):
    rows[2], rows[3] = rows[3], rows[2]
    assert draw(rows) != (DOCS / "architecture.svg").read_text()
