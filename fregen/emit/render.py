"""From a manifest to the text around the hardware: the only module that knows Jinja.

Templates print; they compute nothing and hold no logic that changes a bit on a wire.
"""

import shutil
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2

from .. import __version__
from ..errors import ToolError
from ..hdl.ports import core_ports
from ..hdl.samples import sample_layout
from ..plan.cycles import PHASES
from ..plan.records import HEAD_WORDS, WORD, records
from .emitted import Emitted

__all__ = [
    "BENCH",
    "copy_bench",
    "folder",
    "primitive_models",
    "render",
    "render_bench",
    "render_example",
    "render_gang",
]

BENCH = ("bench.py", "check.py", "records.py", "verdict.py")
"""Files of ``sim`` that a run needs."""


def folder(name: str) -> Path:
    """Where ``templates`` or ``sim`` lie: beside the package in a checkout, inside it when installed.

    Raises
    ------
    ToolError
        If they are in neither place.
    """
    package = Path(__file__).parents[1]
    for place in (package / f"_{name}", package.parent / name):
        if place.is_dir():
            return place
    raise ToolError(f"fregen's {name} folder is missing beside {package}; install fregen anew")


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder("templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
    )


def render(template: str, **values: Any) -> str:
    """Fill in a template; a value that the template wants and does not get is an error."""
    return _environment().get_template(template).render(version=__version__, **values)


def _bench_values(emitted: Emitted) -> dict[str, Any]:
    """Sizes and lists that the bench prints."""
    sizes, payload = emitted.sizes, sample_layout(emitted.sizes)
    ports = core_ports(sizes)
    msb = {port.name: port.msb for port in ports}
    width = sizes.state_width
    return {
        "ports": ports,
        "ready": [port.name for port in ports if port.direction == "in" and port.name.endswith("_ready")],
        "records": {
            name: {"name": name, "size": record.size, "fields": record.fields, "parts": record.parts()}
            for name, record in records(ports).items()
        },
        "weight_words": sizes.memory.weight_depth * sizes.lanes,
        "weight_msb": msb["weight_in_payload"],
        "rate_msb": msb["rate"],
        "words": [(k * width + width - 1, k * width) for k in range(sizes.memory.words)],
        "word_msb": width - 1,
        "header_msb": msb["sample_payload"] - payload["words"].width,
        "beats": sizes.memory.sample_beats,
        "head_bytes": HEAD_WORDS * WORD // 8,
        "free_phase": PHASES.index("free"),
        "update_phase": PHASES.index("update"),
    }


def render_bench(emitted: Emitted, faults: bool = False, module: str = "bench", prefix: str = "") -> str:
    """Verilog bench of a core.

    Parameters
    ----------
    emitted : Emitted
        The core.
    faults : bool
        Of its instrumented form, whose input ``fault`` selects a planted fault.
    module : str
        Name of the bench.
    prefix : str
        Put before the names of all files that it reads and writes.
    """
    values = _bench_values(emitted)
    # A gang has the models in its top, once for all benches.
    models = primitive_models([emitted.family] if module == "bench" else [])
    return render("bench.v.j2", name=emitted.name, faults=faults, module=module, prefix=prefix, models=models, **values)


def render_gang(names: Sequence[str], families: Iterable[str] = ()) -> str:
    """Top of several benches that run at once, each in a folder of its own name; it finishes when all have.

    Parameters
    ----------
    names : sequence of str
        The designs.
    families : iterable of str
        Theirs.
    """
    return render("gang.v.j2", names=list(names), models=primitive_models(families))


def primitive_models(families: Iterable[str]) -> str:
    """Verilog models of what the cores of some families are made of; those of the portable one need none."""
    models = (folder("sim") / f"{family}.v" for family in sorted(set(families) - {"portable"}))
    return "".join(model.read_text(encoding="utf-8") for model in models)


def render_example(emitted: Emitted) -> str:
    """Instantiate a core, every port connected and explained."""
    return render("example.v.j2", name=emitted.name, ports=core_ports(emitted.sizes))


def copy_bench(target: Path, names: Iterable[str] = BENCH) -> None:
    """Put the cocotb bench and its check into a folder."""
    for name in names:
        shutil.copyfile(folder("sim") / name, target / name)
