"""A record is one of the code that made it: what changes numbers changes the hash, what cannot does not."""

import ast
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from fregen.reproduce import sources
from fregen.reproduce.sources import code_hash, module_hash, modules

pytestmark = pytest.mark.unit

PACKAGE = Path(sources.__file__).parents[1]

SOURCE = '''"""Module."""

import numpy as np

LIMIT = 0
"""Told below its name."""


class Model:
    """Class."""

    def step(self, x, rate=None):
        """Function."""
        # comment
        return x + rate * np.float64(1)
'''


def test_a_comment_a_docstring_and_the_layout_change_nothing():
    plain = "import numpy as np\nLIMIT = 0\nclass Model:\n  def step(self, x,\n   rate=None):\n    return (x + rate\n"
    assert module_hash(plain + "     * np.float64(1))\n") == module_hash(SOURCE)
    assert module_hash(SOURCE.replace("# comment", "# another\n\n")) == module_hash(SOURCE)
    assert module_hash(SOURCE.replace("Function", "Procedure")) == module_hash(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x + rate", "x - rate"),
        ("x + rate *", "(x + rate) *"),
        ("float64(1)", "float64(2)"),
        ("float64(1)", "float64(1.0)"),
        ("float64(1)", "float64(True)"),
        ("float64(1)", "float64()"),
        ("float64(1)", "float64('1')"),
        ("LIMIT = 0", "LIMIT = None"),
        ("LIMIT = 0", "LIMIT = []"),
        ("rate=None", "rate"),
        ("rate=None", "rate=0"),
        ("rate=None", "*, rate=None"),
        ("import numpy as np", "import cupy as np"),
        ("return x", "x"),
        ("class Model", "@frozen\nclass Model"),
    ],
)
def test_a_change_of_what_is_computed_changes_the_hash(old, new):
    assert SOURCE.count(old) == 1
    assert module_hash(SOURCE.replace(old, new)) != module_hash(SOURCE)


@pytest.mark.parametrize("empty", [[], None])
def test_a_field_that_only_a_newer_python_has_changes_nothing(empty):
    before, parse = module_hash(SOURCE), ast.parse

    def newer(text):
        tree = parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                node._fields = tuple(dict.fromkeys((*node._fields, "type_params")))
                node.type_params = empty
        return tree

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ast, "parse", newer)
        after = module_hash(SOURCE)
    assert after == before


def test_where_a_module_lies_changes_nothing():
    moved = SOURCE.replace("import numpy as np", "import numpy as np\nfrom ..fixed import Q")
    assert module_hash(moved.replace("..fixed", ".words.fixed")) == module_hash(moved)
    assert module_hash(moved.replace("import Q", "import R")) != module_hash(moved)
    assert module_hash(moved.replace("..fixed", "fixed")) != module_hash(moved), "a package of others"


# The package --------------------------------------------------------------------------------------------------------

HASH = "import sys; sys.path.insert(0, sys.argv[1]); from fregen.reproduce import sources as s; import fregen; "
HASH += "assert fregen.__file__.startswith(sys.argv[1]); "
HASH += "print(s.code_hash('fixed'), s.code_hash('float'), s.code_hash('pep'), s.code_hash('fixed', True), end='')"


def hashes(root):
    command = [sys.executable, "-I", "-c", HASH, str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def here():
    return [code_hash("fixed"), code_hash("float"), code_hash("pep"), code_hash("fixed", True)]


def test_an_installed_package_has_the_same_hash_as_the_checkout(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "fregen", ignore=shutil.ignore_patterns("__pycache__"))
    assert hashes(tmp_path) == here()


def test_a_module_of_another_name_is_the_same_code(copied):
    (sources._PACKAGE / "golden" / "update.py").rename(sources._PACKAGE / "golden" / "learning.py")
    assert copied("golden/learning.py", lambda text: text) == [False] * 4


def test_models_have_hashes_of_their_own():
    fixed, real, other, measured = here()
    assert len({fixed, real, measured}) == 3
    assert real == other
    assert code_hash("float", True) != real
    assert all(len(text) == 64 for text in here())


QUICK = cache(module_hash)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Return a function that edits a copy of the package and tells which of the four hashes are now others."""
    copy = tmp_path / "fregen"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "hdl", "verification"))
    monkeypatch.setattr(sources, "_PACKAGE", copy)
    monkeypatch.setattr(sources, "module_hash", QUICK)
    sources._hashes.cache_clear()
    before = here()

    def edit(name, change):
        path = copy / name
        path.write_text(change(path.read_text(encoding="utf-8") if path.exists() else ""), encoding="utf-8")
        assert here() == before, "read once a process: what runs is what was read"
        sources._hashes.cache_clear()
        return [one != other for one, other in zip(here(), before, strict=True)]

    yield edit
    sources._hashes.cache_clear()


FIXED, REAL, ALL, MEASURED = (
    [True, False, False, True],
    [False, True, True, True],
    [True] * 4,
    [False, False, False, True],
)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("training/loop.py", ALL),
        ("data/cifar.py", ALL),
        ("data/datasets.py", ALL),
        ("design/document.py", ALL),
        ("design/graph.py", ALL),
        ("design/initial.py", ALL),
        ("golden/update.py", FIXED),
        ("golden/another.py", FIXED),
        ("spec/network.py", FIXED),
        ("spec/tables.py", FIXED),
        ("fixed.py", FIXED),
        ("spec/dither.py", FIXED),
        ("float_model/relax.py", REAL),
        ("float_model/deeper.py", REAL),
        ("reproduce/settling.py", MEASURED),
        ("reproduce/tables.py", [False] * 4),
        ("commands/cli.py", [False] * 4),
    ],
)
def test_an_edited_module_changes_the_hash_of_what_it_decides(copied, name, changed):
    assert copied(name, lambda text: f"{text}\nNEW = 1\n") == changed


def test_a_comment_in_any_module_changes_no_hash(copied):
    for name in ("training/loop.py", "golden/update.py", "float_model/relax.py", "reproduce/settling.py"):
        assert copied(name, lambda text: f"# A comment.\n{text}") == [False] * 4


def test_an_operator_in_the_update_of_weights_counts(copied):
    assert copied("float_model/optimizers.py", lambda text: text.replace(", rate * self", ", rate / self")) == REAL


def imported(path):
    """Modules of the package that a module imports, as paths inside it."""
    inside, found = path.relative_to(PACKAGE), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = PACKAGE.joinpath(*inside.parts[: -node.level])
            names = [node.module.replace(".", "/")] if node.module else [alias.name for alias in node.names]
            for name in names:
                found |= {p for p in (folder / f"{name}.py", folder / name / "__init__.py") if p.exists()}
    return found


def test_no_module_that_a_training_imports_is_forgotten():
    """All that is reached from train and settling, but what only reads files, saves, waits, reports or names errors."""
    reached, todo = set(), {PACKAGE / "training" / "loop.py", PACKAGE / "reproduce" / "settling.py"}
    while todo:
        path = todo.pop()
        reached.add(path)
        todo |= imported(path) - reached
    units = {path.relative_to(PACKAGE) for path in reached}
    units = {p.parts[0] if p.parts[0] in ("design", "float_model", "golden", "spec") else p.as_posix() for p in units}
    assert units == {
        *modules("fixed", measured=True),
        "errors.py",
        "claims.py",
        "files.py",
        "processes.py",
        "progress.py",
        "data/archive.py",
        "training/checkpoint.py",
    }
