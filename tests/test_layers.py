"""Who may import whom; what may stand in a Python file.  Read from the source text, nothing is imported."""

import ast
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fregen"
FILES = sorted(PACKAGE.rglob("*.py"))

# A module may import what stands in a row above its own, or in its own unit; modules of one row do not know each other.
ROOMS = ROOT / "docs" / "rooms.toml"
ROWS = tomllib.loads(ROOMS.read_text(encoding="utf-8"))["row"]
ORDER = [set(row) for row in ROWS]
RANK = {name: row for row, names in enumerate(ORDER) for name in names}
WITHOUT_HARDWARE = {name for row in ROWS for name, room in row.items() if room.get("hardware_free")}


def unit(path):
    """Top-level module or sub-package that a file belongs to."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imports(path):
    """Absolute names that a file imports anywhere, relative ones resolved; ``if TYPE_CHECKING`` left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    here = ["fregen", *path.relative_to(PACKAGE).parts[:-1]] if PACKAGE in path.parents else []
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            module = ".".join([*base, node.module] if node.module else base)
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def own(path):
    """Units of fregen that a file imports."""
    names = {name.split(".")[1] for name in imports(path) if name.startswith("fregen.")}
    return names - {"__version__"}


def outside(path):
    """Packages other than fregen that a file imports."""
    return {name.split(".")[0] for name in imports(path)} - {"fregen"}


def name(path):
    return str(path.relative_to(ROOT))


def test_every_unit_has_a_place():
    units = {unit(path) for path in FILES} - {"__init__"}
    assert units <= set(RANK), f"give these a place in docs/rooms.toml: {sorted(units - set(RANK))}"
    assert units == set(RANK), f"docs/rooms.toml names what is not there: {sorted(set(RANK) - units)}"


def test_architecture_page_describes_every_room():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    missing = [name for name in RANK if f"`fregen/{name}/`" not in page and f"`{name}`" not in page]
    assert not missing


@pytest.mark.parametrize("path", [p for p in FILES if unit(p) != "__init__"], ids=name)
def test_imports_go_one_way(path):
    here = unit(path)
    above = {other for other in own(path) if other != here and RANK.get(other, 99) >= RANK[here]}
    assert not above, f"{name(path)} imports {sorted(above)} from its own row or from above"


def test_package_imports_nothing_when_it_is_imported():
    assert own(PACKAGE / "__init__.py") == set()


def test_golden_and_hardware_do_not_know_each_other():
    for path in FILES:
        assert not (unit(path) == "golden" and "hdl" in own(path)), name(path)
        assert not (unit(path) == "hdl" and "golden" in own(path)), name(path)


def test_golden_side_needs_no_hardware_library():
    for path in FILES:
        if unit(path) in WITHOUT_HARDWARE:
            assert not outside(path) & {"amaranth", "jinja2", "cocotb", "cocotb_tools"}, name(path)


def test_only_render_knows_jinja():
    assert [name(path) for path in FILES if "jinja2" in outside(path)] == ["fregen/emit/render.py"]


def test_only_emit_and_hardware_know_amaranth():
    assert {unit(path) for path in FILES if "amaranth" in outside(path)} <= {"hdl", "emit"}


def test_benches_meet_the_core_at_its_pins():
    for path in sorted((ROOT / "sim").rglob("*.py")):
        assert not any(imported.split(".")[0] == "fregen" for imported in imports(path)), name(path)


@pytest.mark.parametrize("word", ["endmodule", "always @"])
def test_no_verilog_in_python(word):
    holding = [name(path) for path in FILES if word in path.read_text(encoding="utf-8")]
    # Comments may speak of Verilog; strings and code may not.
    holding = [path for path in holding if word in _without_comments(ROOT / path)]
    assert not holding


def _without_comments(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    texts = [
        n.value
        for n in ast.walk(tree)
        if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in docstrings
    ]
    return "\n".join(texts)
