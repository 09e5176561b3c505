"""What tests need that not every machine has; where ``FREGEN_NO_SKIPS`` is 1, a test that is skipped has failed."""

import os
from pathlib import Path

import pytest

STRICT, DATA = "FREGEN_NO_SKIPS", "FREGEN_DATA"
ABSENT = "FREGEN_ICARUS_ABSENT"
WITHOUT_ICARUS = "Icarus Verilog is not installed: apt-get install iverilog"
WITHOUT_DATA = f"MNIST is absent: set {DATA} to the folder of its four files"


@pytest.fixture(scope="session")
def icarus():
    """Icarus Verilog, as a Tool."""
    from fregen.tools import find_icarus  # no sooner: that costs every run of a single test a second

    tool = find_icarus()
    if tool is None:
        pytest.skip(WITHOUT_ICARUS)
    return tool


@pytest.fixture(scope="session")
def mnist():
    """Folder of the four MNIST files."""
    variable = os.environ.get(DATA, "")
    for folder in (Path(variable), Path(variable) / "mnist") if variable else ():
        if (folder / "train-images-idx3-ubyte.gz").exists() or (folder / "train-images-idx3-ubyte").exists():
            return folder
    pytest.skip(WITHOUT_DATA)


def is_forbidden(report):
    """Whether a skip counts as a failure.

    Not a failure that was expected, not one for data that nobody promised, nor one for a simulator that ``.ci/run``
    could not install and has said so.
    """
    if os.environ.get(STRICT) != "1" or report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return False
    reason = str(report.longrepr)
    if WITHOUT_ICARUS in reason:
        return os.environ.get(ABSENT) != "1"
    return WITHOUT_DATA not in reason or bool(os.environ.get(DATA))


def forbid(report):
    if is_forbidden(report):
        report.outcome = "failed"
        report.longrepr = f"{STRICT} is 1, and this was skipped: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return forbid((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return forbid((yield))
