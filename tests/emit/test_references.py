"""The committed Verilog is what fregen generates: byte for byte.  Written anew by ``python rtl/refresh.py``."""

import runpy
from pathlib import Path

import pytest

RTL = Path(__file__).parents[2] / "rtl"

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", ["tiny", "digits"])
def test_reference_is_what_is_generated(name):
    refresh = runpy.run_path(str(RTL / "refresh.py"))
    assert name in refresh["REFERENCES"]
    for file, text in refresh["reference"](name).items():
        path = RTL / name / file
        assert path.read_text(encoding="utf-8") == text, f"{path} is out of date: python rtl/refresh.py"
