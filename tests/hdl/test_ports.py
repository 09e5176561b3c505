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


@pytest.fixture(scope="module", params=[(1, 1, 1), (2, 1, 1), (1, 2, 8), (2, 4, 2)])
def emitted(request):
    """So many samples in flight, neurons that leave in a cycle, and input words in a beat."""
    samples, drain, words = request.param
    hardware = {"lanes": 4, "samples": samples, "drain": drain, "words": words}
    table = {"name": "ports", "network": {"layers": (5, 4, 3)}, "hardware": hardware}
    return emit(Design.parse(table))


def test_the_manifest_lists_the_ports_that_the_verilog_has(emitted):
    core = emitted.core[: emitted.core.index("endmodule")]
    found = {name: (way.removesuffix("put"), int(high or 0) + 1) for way, high, name in DECLARED.findall(core)}
    listed = {port["name"]: (port["direction"], port["width"]) for port in emitted.manifest["ports"]}
    assert listed == found


def test_ports_of_several_words_are_as_wide():
    table = {"name": "ports", "network": {"layers": (5, 4, 3)}, "hardware": {"lanes": 4}}
    found = []
    for changes in ({}, {"drain": 2}, {"words": 4}):
        sizes = Sizes(Schedule.of(NetworkSpec(Design.parse(table).replace(hardware=changes))))
        ports = {port.name: port for port in core_ports(sizes)}
        names = ("probe_word_valid", "probe_words", "sample_payload")
        found.append([(ports[name].width, ports[name].words) for name in names])
    word, state, flags = sizes.word_width, sizes.state_width, sizes.label_bits + 2
    assert found[0] == [(1, 1), (word, 1), (state + flags, 1)]
    assert found[1] == [(2, 2), (2 * word, 2), (state + flags, 1)]
    assert found[2] == [(1, 1), (word, 1), (4 * state + flags, 1)]


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
