"""The ports that a user connects: named as every language allows, each explained, and all that the Verilog has."""

import re
from pathlib import Path

import pytest
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fregen.design.document import Design
from fregen.emit.emitted import emit
from fregen.hdl.beat import Sizes
from fregen.hdl.names import named_ports
from fregen.hdl.ports import core_ports
from fregen.plan import Schedule
from fregen.spec.network import NetworkSpec

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.rtl

DECLARED = re.compile(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);$", re.MULTILINE)


@pytest.fixture(scope="module")
def emitted():
    table = {"name": "ports", "network": {"layers": (5, 4, 3)}, "hardware": {"lanes": 4}}
    return emit(Design.parse(table))


def test_the_manifest_lists_the_ports_that_the_verilog_has(emitted):
    core = emitted.core[: emitted.core.index("endmodule")]
    found = {name: (way.removesuffix("put"), int(high or 0) + 1) for way, high, name in DECLARED.findall(core)}
    listed = {port["name"]: (port["direction"], port["width"]) for port in emitted.manifest["ports"]}
    assert listed == found


def test_no_name_in_the_verilog_has_two_underscores_which_vhdl_does_not_allow(emitted):
    for _, _, name in DECLARED.findall(emitted.verilog):
        assert "__" not in name
        assert not name.startswith("_")
        assert not name.endswith("_")


def test_every_port_is_explained(emitted):
    meanings = [port["meaning"] for port in emitted.manifest["ports"]]
    assert all(len(meaning) > 3 for meaning in meanings)
    assert "observation" not in "".join(meanings)


def test_the_page_lists_them():
    page = (ROOT / "docs" / "verilog.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \| (in|out) \| (.*) \|$", page, re.MULTILINE)
    spec = NetworkSpec(Design.load(ROOT / "rtl" / "tiny" / "design.toml"))
    assert listed == [(port.name, port.direction, port.meaning) for port in core_ports(Sizes(Schedule.of(spec)))]


def test_two_ports_of_one_name_are_refused():
    class Twice(wiring.Component):
        a: Out(wiring.Signature({"b": In(1)}))
        a_b: In(1)

        def elaborate(self, platform): ...

    with pytest.raises(ValueError, match="two ports of Twice are called a_b"):
        named_ports(Twice())
