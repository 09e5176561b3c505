"""What ``import fregen`` offers, and what it must not load."""

import subprocess
import sys
from pathlib import Path

import pytest

import fregen

pytestmark = pytest.mark.unit


def test_names_are_sorted_and_complete():
    assert fregen.__all__ == sorted(fregen.__all__)
    assert set(fregen.__all__) == {
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
    }
    assert set(fregen.__all__) <= set(dir(fregen))


@pytest.mark.parametrize("name", fregen.__all__)
def test_every_name_can_be_called(name):
    assert callable(getattr(fregen, name))


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="module 'fregen' has no attribute 'nothing'"):
        fregen.nothing  # noqa: B018


def run(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize(
    "program", ["import fregen", "import fregen.golden", "from fregen import train, NetworkModel, load_data"]
)
def test_golden_side_loads_no_hardware_library(program):
    loaded = run(f"{program}\nimport sys\nprint(*sys.modules)")
    assert not {"amaranth", "cocotb", "jinja2", "matplotlib"} & set(loaded)


def test_no_module_has_a_public_name():
    home = Path(fregen.__file__).parent
    assert not {name for name in fregen.__all__ if (home / name).is_dir() or (home / f"{name}.py").exists()}


def test_verbs_work_after_their_modules_were_imported():
    program = (
        "import fregen, fregen.training.loop, fregen.verification.verify, fregen.commands.generate\n"
        "print(*(callable(getattr(fregen, name)) for name in fregen.__all__))"
    )
    assert set(run(program)) == {"True"}
