"""Plant single faults in the operators of a core: one instrumented Verilog for simulation, one netlist for proofs.

yosys flattens and optimises the design first, so that what is unused or constant is gone before a fault can be
planted there; resets and enables become part of the registers.  Its ``mutate`` then picks a bit of an operator's port
for every fault and a mode: inverted, stuck at 0 or 1, or inverted whenever another bit of the port is 0 or 1.  An input
``fault`` of the top selects one; 0 selects none.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from ..emit.yosys import run_yosys
from ..errors import ToolError

__all__ = ["OPERATORS", "Fault", "Mutants", "plant"]

OPERATORS = (
    *("add", "sub", "mul", "neg", "eq", "ne", "lt", "le", "gt", "ge", "shl", "shr", "sshl", "sshr", "shift", "shiftx"),
    *("and", "or", "xor", "xnor", "not", "logic_and", "logic_or", "logic_not"),
    *("reduce_and", "reduce_or", "reduce_xor", "reduce_xnor", "reduce_bool", "mux"),
)
"""Cells of yosys in which faults are planted."""


@dataclass(frozen=True)
class Fault:
    """A fault in an operator.

    Parameters
    ----------
    number : int
        What the input ``fault`` must be to select it.
    mode : str
        ``inv``, ``const0``, ``const1``, ``cnot0`` or ``cnot1``.
    cell, operator, port : str
        Where: the cell, its type without ``$``, and its port.
    bit : int
        Bit of the port.
    wire : str
        Signal that the port is connected with, if it has a name.
    """

    number: int
    mode: str
    cell: str
    operator: str
    port: str
    bit: int
    wire: str

    def __str__(self) -> str:
        """Return where and what."""
        wire = f" ({self.wire})" if self.wire else ""
        return f"{self.operator} {self.cell}, port {self.port} bit {self.bit}{wire}: {self.mode}"


@dataclass(frozen=True)
class Mutants:
    """What :func:`plant` has made.

    Parameters
    ----------
    faults : list of Fault
        The faults.
    verilog : Path
        Instrumented core.
    netlist : Path
        The same as an and-inverter graph (ASCII AIGER), memories cut at their ports.
    """

    faults: list[Fault]
    verilog: Path
    netlist: Path


def plant(rtlil: str, name: str, count: int, seed: int, where: Path) -> Mutants:
    """Plant faults.

    Parameters
    ----------
    rtlil : str
        The core.
    name : str
        Its top module.
    count : int
        Number of faults.
    seed : int
        Picks them.
    where : Path
        Folder for all files.

    Raises
    ------
    ToolError
        If yosys fails.
    """
    where.mkdir(parents=True, exist_ok=True)
    source, flat, list_, planted = (where / file for file in ("core.il", "flat.il", "mutate.ys", "planted.il"))
    mapped, cut, netlist, verilog = (where / file for file in ("mapped.il", "cut.il", "faults.aag", f"{name}_faults.v"))
    source.write_text(rtlil, encoding="utf-8")
    # A $pmux whose selects are not one-hot means one thing to the simulator and another to the netlist: only $mux stay.
    # Constant registers go before flattening; afterwards opt_dff would tie wires that have differing initial values.
    run_yosys([
        f"read_rtlil {source.name}", f"hierarchy -top {name}", "proc", "opt_clean", "opt_expr", "opt_dff", "opt_clean",
        "flatten", "opt -full -noff", "wreduce -memx", "pmuxtree", "opt -full -noff", "opt_clean -purge",
        "check -assert", f"write_rtlil {flat.name}",
        "select -set operators " + " ".join(f"t:${kind}" for kind in OPERATORS) + " %u" * (len(OPERATORS) - 1),
        f"mutate -list {count} -seed {seed + 1} -ctrl fault 16 1 -o {list_.name} @operators",
        f"tee -q -o /dev/null script {list_.name}", "opt_clean", "check -assert",
        f"write_rtlil {planted.name}", f"write_verilog -noattr {verilog.name}",
        "memory -nomap", "memory_map -rom-only", "opt_clean", f"write_rtlil {mapped.name}",
    ], where)  # fmt: skip
    # A fault that depends on another bit of its own port makes loops between signals, though none between bits.
    verilog.write_text(f"// verilator lint_off UNOPTFLAT\n{verilog.read_text(encoding='utf-8')}", encoding="utf-8")
    cut.write_text("".join(_without_memories(mapped.read_text(encoding="utf-8"))), encoding="utf-8")
    run_yosys([
        f"read_rtlil {cut.name}", "setundef -zero", "opt_expr", "opt_clean", "dffunmap", "techmap", "simplemap",
        "opt_clean", "aigmap", "opt_clean", f"write_aiger -ascii -symbols {netlist.name}",
    ], where)  # fmt: skip
    cells = re.findall(r"^  cell \$(\w+) (\S+)$", flat.read_text(encoding="utf-8"), re.MULTILINE)
    kinds = {cell.removeprefix("\\"): kind for kind, cell in cells}
    faults = list(_faults(list_.read_text(encoding="utf-8"), kinds))
    (where / "faults.json").write_text(
        json.dumps([asdict(fault) for fault in faults], indent=1) + "\n", encoding="utf-8"
    )
    return Mutants(faults, verilog, netlist)


def _faults(script: str, kinds: dict[str, str]) -> Iterator[Fault]:
    for line in script.splitlines():
        words = line.split()
        if words[:1] != ["mutate"]:
            continue
        options = dict(pairwise(words))
        number, cell = int(words[words.index("-ctrl") + 3]), options["-cell"]
        wire = f"{options['-wire']}[{options['-wirebit']}]" if "-wire" in options else ""
        kind = kinds.get(cell.removeprefix("\\"), "?")
        yield Fault(number, options["-mode"], cell, kind, options["-port"], int(options["-portbit"]), wire)


def _without_memories(text: str) -> Iterator[str]:
    """Replace every memory by ports: what it is asked and given are outputs, what it answers is an input.

    Another output is a constant: the number of its words, or 0 if it may answer other than zeros and what was written.
    """
    cells = text.split("\n  cell $mem_v2 ")
    yield cells[0]
    for number, cell in enumerate(cells[1:]):
        body, _, rest = cell.partition("\n  end\n")
        parameters = dict(re.findall(r"^    parameter \\(\w+) (\S+)$", body, re.MULTILINE))
        connected = dict(re.findall(r"^    connect \\(\w+) (.+)$", body, re.MULTILINE))
        width, address = int(parameters["WIDTH"]), int(parameters["ABITS"])
        if (parameters["RD_PORTS"], parameters["WR_PORTS"], parameters["RD_CLK_ENABLE"]) != ("1", "1", "1'1"):
            raise ToolError(f"memory {cell.split()[0]} has other ports than one to read and one to write")
        yield "\n"
        for port, bits in (("RD_ADDR", address), ("WR_ADDR", address), ("WR_DATA", width), ("WR_EN", width)):
            wire = f"\\mem{number}_{port}"
            yield f"  wire width {bits} output {1000 + 10 * number} {wire}\n"
            yield f"  connect {wire} {connected[port]}\n"
        size = int(parameters["SIZE"]) if _begins_with_zeros(parameters, connected) else 0
        yield f"  wire width {address + 1} output {1008 + 10 * number} \\mem{number}_SIZE\n"
        yield f"  connect \\mem{number}_SIZE {address + 1}'{size:0{address + 1}b}\n"
        yield f"  wire width {width} input {1009 + 10 * number} \\mem{number}_RD_DATA\n"
        yield f"  connect {connected['RD_DATA']} \\mem{number}_RD_DATA\n"
        yield rest


def _begins_with_zeros(parameters: dict[str, str], connected: dict[str, str]) -> bool:
    """Whether a memory holds zeros at first, and its port answers nothing of its own: no reset, no X on a collision."""
    resets = connected["RD_ARST"], connected["RD_SRST"], parameters["RD_COLLISION_X_MASK"]
    return set(resets) == {"1'0"} and re.fullmatch(r"(\d+')?0+", parameters["INIT"]) is not None
