"""The code that decides what a training gives, as a hash: a record made by other code is no record of it.

Hashed is the syntax tree of each module without docstrings, comments, line numbers and layout: what changes none of the
numbers by definition changes no hash.  Any other change does, a renamed variable included.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from ..training.loop import Model

__all__ = ["code_hash", "module_hash", "modules"]

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
    text = "".join(f"{name} {hashes[name]}\n" for name in modules(model, measured))
    return hashlib.sha256(text.encode()).hexdigest()


def module_hash(source: str) -> str:
    """Hash a module's source text without its docstrings, comments and layout."""
    return hashlib.sha256(repr(_plain(ast.parse(source))).encode()).hexdigest()


@cache
def _hashes() -> dict[str, str]:
    hashes = {}
    for name in {*_ALL, *_FIXED, *_MEASURED}:
        path = _PACKAGE / name
        files = sorted(path.glob("**/*.py")) if path.is_dir() else [path]
        parts = [f"{file.relative_to(path)} {module_hash(file.read_text(encoding='utf-8'))}" for file in files]
        hashes[name] = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return hashes


def _plain(node: Any) -> Any:
    """Turn a syntax tree into nested lists.

    Fields that are empty are left out, and so are texts that stand alone (docstrings).  ``ast.dump`` would write the
    same tree in other words under another version of Python.
    """
    if isinstance(node, ast.AST):
        fields = [(name, _plain(value)) for name, value in ast.iter_fields(node)]
        return [type(node).__name__, *((name, value) for name, value in fields if value not in (None, []))]
    if isinstance(node, list):
        return [_plain(item) for item in node if not _is_text(item)]
    return node


def _is_text(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
