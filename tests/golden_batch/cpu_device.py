"""The kernel on a processor: compiled by g++, threads of a block as threads that wait at a barrier."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np

from fregen.golden_batch.block_model import kernel_source

HERE = Path(__file__).parent


def compiled(folder, threads=4, *options, source=None):
    """Compile the kernel, or another source, for a processor; return the library's path."""
    (folder / "kernel.cu").write_text(source or kernel_source())
    library = folder / f"kernel_{threads}.so"
    command = ["g++", "-std=c++17", "-O1", f"-DTHREADS={threads}", "-shared", "-fPIC", "-pthread", *options]
    subprocess.run([*command, f"-I{folder}", f"-I{HERE}", HERE / "on_a_cpu.cpp", "-o", library], check=True)
    return library


class CpuDevice:
    """What :class:`fregen.golden_batch.block_model.CupyDevice` is, with arrays of NumPy."""

    def __init__(self, library):
        self._launch = ctypes.CDLL(str(library)).launch

    def put(self, array):
        return np.array(array)

    def fetch(self, array):
        return np.array(array)

    def launch(self, networks, arguments):
        def number(value):
            return value.ctypes.data if isinstance(value, np.ndarray) else value or 0

        assert all(value.flags.c_contiguous for value in arguments if isinstance(value, np.ndarray))
        given = (ctypes.c_longlong * len(arguments))(*map(number, arguments))
        self._launch(given, networks)
