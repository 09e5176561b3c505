"""From a manifest to the text around the hardware: the only module that knows Jinja.

Templates print; they compute nothing and hold no logic that changes a bit on a wire.
"""

import re
import shutil
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2

from .. import __version__
from ..errors import ToolError
from ..hdl.ports import core_ports
from .emitted import Emitted

__all__ = ["folder", "render", "render_bench", "render_example", "render_gang"]


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


def _values(emitted: Emitted) -> dict[str, Any]:
    """Sizes that bench and example print, from the manifest's ports."""
    sizes, manifest = emitted.sizes, emitted.manifest
    if not re.fullmatch(r"[a-z][a-z0-9_]*", emitted.name):
        raise ToolError(f"a design's name must be a Verilog identifier in lower case, not {emitted.name!r}")
    width = {port["name"]: port["width"] for port in manifest["ports"]}
    counters = width["counters"]
    return {
        "name": emitted.name,
        "ports": core_ports(sizes),
        "payload_width": width["sample_payload"],
        "label_width": width["prediction_payload"],
        "weight_width": width["weight_in_payload"],
        "rate_width": width["rate"],
        "counters_width": counters,
        "counters_pad": -counters % 32 or 32,
        "phase_width": width["probe_phase"],
        "vector_address_width": width["probe_word_address"],
        "lane_width": width["probe_word_lane"],
        "word_width": width["probe_word"],
        "weight_address_width": width["probe_weight_address"],
        "lanes": sizes.lanes,
        "weight_words": manifest["weights"]["words"],
        "state_width": sizes.state_width,
        "input_size": manifest["sample"]["words"],
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
    return render("bench.v.j2", faults=faults, module=module, prefix=prefix, **_values(emitted))


def render_gang(names: Sequence[str]) -> str:
    """Top of several benches that run at once, each in a folder of its own name; it finishes when all have."""
    return render("gang.v.j2", names=list(names))


def render_example(emitted: Emitted) -> str:
    """Instantiate a core, every port connected and explained."""
    return render("example.v.j2", **_values(emitted))


def copy_bench(target: Path, names: Iterable[str] = ("bench.py", "check.py")) -> None:
    """Put the cocotb bench and its checker into a folder."""
    for name in names:
        shutil.copyfile(folder("sim") / name, target / name)
