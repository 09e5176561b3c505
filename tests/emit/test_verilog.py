"""How Verilog is written: as Amaranth's own back end writes it, but for what simulators and large memories need."""

import re

import pytest
from amaranth.back import rtlil, verilog
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fregen.emit import verilog as writer
from fregen.emit.verilog import with_waivers, without_zeros, write_verilog
from fregen.errors import OutputError, ToolError
from fregen.fixed import Q, Rounding
from fregen.hdl.update import UpdateUnit
from fregen.tools import LINT_WAIVERS

pytestmark = pytest.mark.rtl


def unit():
    return UpdateUnit(24, Q(3, 13), Rounding.NEAREST, (4, 19))


class Memories(wiring.Component):
    """A memory that begins with zeros, a table, and a table of one word that is not 0 among 5,000."""

    def __init__(self):
        super().__init__({"a": In(13), "zero": Out(6), "table": Out(6), "deep": Out(6)})

    def elaborate(self, platform):
        m = Module()
        for name, depth, init in (("zero", 5, []), ("table", 4, [3, 0, 63, 1]), ("deep", 5000, [])):
            m.submodules[f"{name}_words"] = memory = Memory(shape=6, depth=depth, init=init)
            read, write = memory.read_port(), memory.write_port()
            m.d.comb += [read.addr.eq(self.a), getattr(self, name).eq(read.data), write.data.eq(self.a)]
        return m


def test_text_is_amaranths_own_but_for_the_start_of_always_blocks():
    wanted = verilog.convert(unit(), name="update", emit_src=False, strip_internal_attrs=True)
    text = rtlil.convert(unit(), name="update", emit_src=False)
    wanted, count = re.subn(r"  reg (\\\$auto\$\S+ ) = 0;\n", r"  reg \1;\n  initial \1<= 0;\n", wanted)
    assert count == 1
    assert write_verilog(text) == wanted
    assert write_verilog(text) == wanted  # whatever was read before


def rtlil_of_memories():
    with without_zeros():
        return rtlil.convert(Memories(), name="memories", emit_src=False)


def test_memories_begin_with_zeros_by_a_loop_and_others_by_their_words():
    text = write_verilog(rtlil_of_memories())
    assert "for (row = 0; row < 5; row = row + 1)\n      zero_words[row] = 6'd0;" in text
    assert "for (page = 0; page < 5000; page = page + 4096)" in text
    assert "table_words[2] = 6'h3f;" in text
    assert text.count("initial begin") == 3
    assert "zero_words[3] = " in write_verilog(rtlil.convert(Memories(), name="memories", emit_src=False))


def test_words_in_files_are_read_by_readmemh():
    images = {}
    text = write_verilog(rtlil_of_memories(), images)
    assert images == {"memories_table_words.hex": "03\n00\n3f\n01\n"}
    assert '$readmemh("memories_table_words.hex", table_words, 0, 3);' in text
    assert "table_words[2] = " not in text
    assert "zero_words[row] = 6'd0;" in text


def test_a_file_switches_off_only_its_own_warnings():
    lines = with_waivers("module m; endmodule\n").splitlines()
    assert lines[0] == "// verilator lint_save"
    assert lines[-2:] == ["module m; endmodule", "// verilator lint_restore"]
    assert {line.split()[3] for line in lines[1:-2]} == set(LINT_WAIVERS)


def test_what_yosys_refuses_is_one_message():
    with pytest.raises(ToolError, match="yosys refuses the design: ERROR: Parser error in line 1"):
        write_verilog("nonsense")


def test_verilog_that_a_full_disk_has_cut_off_is_refused(monkeypatch):
    """The yosys within takes no notice of a write that fails; here it loses the second of two modules."""
    text = "module \\one\n  wire input 1 \\a\nend\nmodule \\two\n  wire input 1 \\a\nend\n"
    assert write_verilog(text).count("endmodule") == 2
    monkeypatch.setattr(writer, "_SCRIPT", writer._SCRIPT.replace("proc ", "delete two\nproc "))
    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        write_verilog(text)
