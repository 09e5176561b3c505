"""The code that decides what a training gives, as a hash: a record made by other code is no record of it.

Hashed is the syntax tree of each module without docstrings, comments, line numbers and layout: what changes none of the
numbers by definition changes no hash, nor does it where a module lies or what it is called.  Any other change does, a
renamed variable included.

Code that was changed and gives the same numbers is entered in ``equal_code.json``, with the code whose hash the stored
records bear first; ``tests/reproduce/equal_code.py`` compares the numbers and enters it.
"""

import ast
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from ..training.loop import Model

__all__ = ["EQUAL", "KINDS", "code_hash", "code_identity", "module_hash", "modules"]

EQUAL = Path(__file__).with_name("equal_code.json")
"""Hashes of code that gives the same numbers, by kind of training; the first is the one in the digests of records."""

KINDS: dict[str, tuple[Model, bool]] = {
    "words": ("fixed", False),
    "words, settling measured": ("fixed", True),
    "real numbers": ("float", False),
    "real numbers, settling measured": ("float", True),
}
"""Kinds of trainings: a model that stands for all of its kind, and whether settling is measured."""

_PACKAGE = Path(__file__).parents[1]

_DATA = ("data/cifar.py", "data/datasets.py", "data/idx.py", "data/plain_pickle.py")
_ALL = (*_DATA, "design", "learner.py", "training/loop.py", "training/samples.py")
_FIXED = ("fixed.py", "golden", "spec")
_REAL = ("float_model",)
_MEASURED = (*_REAL, "reproduce/settling.py")


def modules(model: Model, measured: bool = False) -> tuple[str, ...]:
    """Name the modules that decide the numbers of a training; a folder stands for all its modules.

    Parameters
    ----------
    model : str
        What learns; fixed point and real numbers share no model.
    measured : bool
        Whether the settling is measured too.

    Returns
    -------
    tuple of str
        Paths inside the package, sorted.
    """
    return tuple(sorted({*_ALL, *(_FIXED if model == "fixed" else _REAL), *(_MEASURED if measured else ())}))


def code_hash(model: Model, measured: bool = False) -> str:
    """Hash :func:`modules`: 64 hex digits, the same in every process and from an installed wheel.

    The files are read at the first call of a process; what is edited later neither runs in it nor counts.
    """
    hashes = _hashes()
    text = "\n".join(sorted(line for name in modules(model, measured) for line in hashes[name]))
    return hashlib.sha256(text.encode()).hexdigest()


def code_identity(model: Model, measured: bool = False) -> str:
    """Return the :func:`code_hash` of the first code that gave the numbers of today's; today's own if none is known."""
    digest = code_hash(model, measured)
    kind = next(kind for kind, one in KINDS.items() if one == ("fixed" if model == "fixed" else "float", measured))
    equal: list[str] = json.loads(EQUAL.read_text(encoding="utf-8"))[kind]
    return equal[0] if digest in equal else digest


def module_hash(source: str) -> str:
    """Hash a module's source text without its docstrings, comments and layout."""
    return hashlib.sha256(repr(_plain(ast.parse(source))).encode()).hexdigest()


@cache
def _hashes() -> dict[str, list[str]]:
    """Hashes of the modules that each name of :func:`modules` stands for."""
    hashes = {}
    for name in {*_ALL, *_FIXED, *_MEASURED}:
        path = _PACKAGE / name
        files = path.glob("**/*.py") if path.is_dir() else [path]
        hashes[name] = [module_hash(file.read_text(encoding="utf-8")) for file in files]
    return hashes


def _plain(node: Any) -> Any:
    """Turn a syntax tree into nested lists.

    Fields that are empty are left out, and so are texts that stand alone (docstrings).  ``ast.dump`` would write the
    same tree in other words under another version of Python.  From where in the package something is imported is left
    out, too.
    """
    if isinstance(node, ast.AST):
        place = ("module", "level") if isinstance(node, ast.ImportFrom) and node.level else ()
        fields = [(name, _plain(value)) for name, value in ast.iter_fields(node) if name not in place]
        return [type(node).__name__, *((name, value) for name, value in fields if value not in (None, []))]
    if isinstance(node, list):
        return [_plain(item) for item in node if not _is_text(item)]
    return node


def _is_text(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
