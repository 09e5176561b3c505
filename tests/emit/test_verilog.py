"""How Verilog is written: as Amaranth's own back end writes it, byte for byte."""

import pytest
from amaranth.back import rtlil, verilog

from fregen.emit.verilog import write_verilog
from fregen.errors import ToolError
from fregen.fixed import Q, Rounding
from fregen.hdl.update import UpdateUnit

pytestmark = pytest.mark.rtl


def unit():
    return UpdateUnit(24, Q(3, 13), Rounding.NEAREST, (4, 19))


def test_bytes_are_those_of_amaranth():
    wanted = verilog.convert(unit(), name="update", emit_src=False, strip_internal_attrs=True)
    text = rtlil.convert(unit(), name="update", emit_src=False)
    assert write_verilog(text) == wanted
    assert write_verilog(text) == wanted  # whatever was read before


def test_what_yosys_refuses_is_one_message():
    with pytest.raises(ToolError, match="yosys refuses the design: ERROR: Parser error in line 1"):
        write_verilog("nonsense")
