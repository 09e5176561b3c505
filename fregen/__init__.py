"""Generate FPGA accelerators that learn on chip, verified word for word against a golden model.

The public names are imported when they are first used, so that the golden model never waits for the hardware's
libraries.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .commands.build import build
    from .commands.demo import demo
    from .commands.generate import generate
    from .commands.show import show
    from .data.datasets import load as load_data
    from .design.document import Design
    from .float_model import FloatNetwork
    from .golden import NetworkModel
    from .training.loop import train
    from .verification.verify import verify

__version__ = "0.1.0"

__all__ = [
    "Design",
    "FloatNetwork",
    "NetworkModel",
    "build",
    "demo",
    "generate",
    "load_data",
    "show",
    "train",
    "verify",
]

_HOMES = {
    "Design": ("design.document", "Design"),
    "FloatNetwork": ("float_model", "FloatNetwork"),
    "NetworkModel": ("golden", "NetworkModel"),
    "build": ("commands.build", "build"),
    "demo": ("commands.demo", "demo"),
    "generate": ("commands.generate", "generate"),
    "load_data": ("data.datasets", "load"),
    "show": ("commands.show", "show"),
    "train": ("training.loop", "train"),
    "verify": ("verification.verify", "verify"),
}
"""Public name: module and name in it.  No module or folder of the package has a public name."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, inside = _HOMES[name]
    value = getattr(import_module(f"{__name__}.{module}"), inside)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
