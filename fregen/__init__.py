"""Generate FPGA accelerators that learn on chip, verified word for word against a golden model.

The public names are imported when they are first used, so that the golden model never waits for the hardware's
libraries.  A verb and the module it lives in share a name (``fregen.train``); therefore such a module can be called:
``fregen.train(...)`` is ``fregen.train.train(...)``.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .datasets import load as load_data
    from .demo import demo
    from .design import Design
    from .float_model import FloatNetwork
    from .generate import generate
    from .golden import NetworkModel
    from .show import show
    from .train import train
    from .verify.session import verify

__version__ = "0.1.0"

__all__ = ["Design", "FloatNetwork", "NetworkModel", "demo", "generate", "load_data", "show", "train", "verify"]

_HOMES = {
    "Design": ("design", "Design"),
    "FloatNetwork": ("float_model", "FloatNetwork"),
    "NetworkModel": ("golden", "NetworkModel"),
    "demo": ("demo", "demo"),
    "generate": ("generate", "generate"),
    "load_data": ("datasets", "load"),
    "show": ("show", "show"),
    "train": ("train", "train"),
    "verify": ("verify.session", "verify"),
}
"""Public name: module and name in it."""


def _public(name: str) -> Any:
    module, inside = _HOMES[name]
    return getattr(import_module(f"{__name__}.{module}"), inside)


class _Verb(ModuleType):
    """A module that can be called like the function of its name."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        return _public(self.__name__.rpartition(".")[2])(*args, **options)


class _Package(ModuleType):
    """Makes a module with the name of a verb callable as soon as Python's import puts it here."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _HOMES and isinstance(value, ModuleType):
            value.__class__ = _Verb
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = _public(name)  # a verb's module now stands under its name, if it has one
    return globals().get(name, value)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
