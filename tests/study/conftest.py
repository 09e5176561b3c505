"""The kernel compiled for a processor, as tests/golden_batch has it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "golden_batch"))


@pytest.fixture(scope="session")
def device(tmp_path_factory):
    """Where blocks of threads run without a GPU."""
    from cpu_device import CpuDevice, compiled

    return CpuDevice(compiled(tmp_path_factory.mktemp("kernel")))
