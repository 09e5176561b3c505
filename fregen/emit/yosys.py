"""Passes of yosys, in a process of their own: it keeps global state, and ends its process when it refuses its input."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import ToolError
from ..processes import captured
from ..tools import find_yosys

__all__ = ["run_yosys"]

_PROGRAM = """
import json, sys
from pyosys import libyosys as yosys
design = yosys.Design()
for command in json.load(sys.stdin):
    yosys.run_pass(command, design)
"""


def run_yosys(commands: Sequence[str], folder: Path) -> None:
    """Run passes over a design that is empty at first; they read and write files of a folder, by name.

    Parameters
    ----------
    commands : sequence of str
        Passes with their arguments.
    folder : Path
        Where they run: its own path, which may have spaces, is in no pass.

    Raises
    ------
    ToolError
        If yosys is missing or refuses; the end of its log is quoted.
    """
    find_yosys()
    done = captured([sys.executable, "-P", "-c", _PROGRAM], json.dumps(list(commands)), cwd=folder)
    if done.returncode:
        raise ToolError(f"yosys failed: {(done.stdout + done.stderr).strip()[-800:]}")
