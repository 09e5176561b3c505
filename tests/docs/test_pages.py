"""Links between pages, and what code cites of them."""

import ast
import functools
import re
from pathlib import Path
from typing import get_args

import pytest

from fregen.design.document import Design

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = [
    *(path for folder in ("fregen", "sim", "examples", "tests") for path in sorted((ROOT / folder).rglob("*.py"))),
    *(ROOT / "examples").glob("*.toml"),
    *sorted((ROOT / "rtl").glob("*/design.toml")),
]


def headings(page):
    return re.findall(r"^#+ (.*?)\s*$", page.read_text(), re.M)


def anchor(heading):
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        name, _, place = target.partition("#")
        found = page.parent / name if name else page
        assert found.exists(), f"{page.name}: {target}"
        if place:
            assert place in map(anchor, headings(found)), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page):
    named = set(re.findall(r"`([\w/]+/[\w.]*\w)`", page.read_text()))
    named = {name for name in named if re.search(r"\.(py|md|toml|j2|v|csv|svg|png)$", name)}
    named = {name for name in named if not re.match(r"(build|runs)/|.*[A-Z]{3}", name)}
    folders = (ROOT, ROOT / "fregen", ROOT / "fregen" / "reproduce")
    wrong = {name for name in named if not any((folder / name).exists() for folder in folders)}
    assert not wrong


@functools.cache
def attributes():
    """Names inside every class of the package, those of its bases included, by class name; from the source text."""
    found, bases = {}, {}
    for path in (ROOT / "fregen").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                names = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                        names.add(inner.id)
                    if isinstance(inner, ast.Attribute) and ast.unparse(inner.value) == "self":
                        names.add(inner.attr)
                found.setdefault(node.name, set()).update(names)
                bases.setdefault(node.name, set()).update(re.findall(r"\w+", " ".join(map(ast.unparse, node.bases))))
    return {name: names.union(*(found.get(base, set()) for base in bases[name])) for name, names in found.items()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_of_classes_on_a_page_are_those_of_the_code(page):
    known = attributes()
    text = page.read_text()
    wrong = {
        f"{owner}.{name}"
        for owner, name in re.findall(r"`(?:\w+\.)*([A-Z]\w+)\.(\w+)[`(·]", text)
        if owner in known and name not in known[owner]
    }
    assert not wrong


def cited(text):
    """(page, heading) that a source cites: ``docs/page.md``, "One heading" and "Another"."""
    text = re.sub(r"\n[ #]*", " ", text)
    for page, rest in re.findall(r'docs/(\w+)\.md`*,((?: (?:and )?"[^"]+",?)+)', text):
        yield from ((page, heading) for heading in re.findall(r'"([^"]+)"', rest))


def test_every_heading_that_code_cites_is_on_its_page():
    found = [(path, *citation) for path in SOURCES for citation in cited(path.read_text()) if path != Path(__file__)]
    assert len(found) > 20
    for path, page, heading in found:
        place = ROOT / "docs" / f"{page}.md"
        assert place.exists(), f"{path}: docs/{page}.md is not there"
        assert any(known.startswith(heading) for known in headings(place)), f"{path}: docs/{page}.md has no {heading!r}"


def test_every_page_that_code_names_is_there():
    for path in SOURCES:
        for page in re.findall(r"docs/(\w+\.md)", path.read_text()):
            assert (ROOT / "docs" / page).exists() or path == Path(__file__), f"{path}: docs/{page}"


def test_citations_are_read_over_line_ends():
    text = 'Follows ``docs/numerics.md``, "Sums" and\n    "Phases".  And (docs/method.md, "Learning").'
    assert list(cited(text)) == [("numerics", "Sums"), ("numerics", "Phases"), ("method", "Learning")]


def test_keys_of_the_glossary_are_keys_of_a_design_file():
    page = (ROOT / "docs" / "glossary.md").read_text()
    design = Design.load(ROOT / "rtl" / "digits" / "design.toml")
    keys = re.findall(r"`(network|numerics|learning|hardware)\.(\w+)(?: = \"(\w+)\")?(?:` or `\"(\w+)\")?", page)
    assert len(keys) > 15
    for section, key, *values in keys:
        part = getattr(design, section)
        assert key in type(part).model_fields, f"{section}.{key}"
        for value in filter(None, values):
            assert value in get_args(type(part).model_fields[key].annotation), f"{section}.{key} = {value}"
