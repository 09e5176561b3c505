"""The kernel compiled for a processor, once for all tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def device(tmp_path_factory):
    """Where blocks of threads run without a GPU."""
    from cpu_device import CpuDevice, compiled

    return CpuDevice(compiled(tmp_path_factory.mktemp("kernel")))
