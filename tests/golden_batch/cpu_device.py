"""The kernel on a processor: compiled by g++, threads of a block as threads that wait at a barrier."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np

from fregen.golden_batch.block_model import SOURCE

HERE = Path(__file__).parent


def compiled(folder, threads=4, *options):
    """Compile the kernel for a processor; return the library's path."""
    library = folder / f"kernel_{threads}.so"
    include = [f"-I{SOURCE.parent}", f"-I{HERE}"]
    command = ["g++", "-std=c++17", "-O1", f"-DTHREADS={threads}", "-shared", "-fPIC", "-pthread", *options, *include]
    subprocess.run([*command, HERE / "on_a_cpu.cpp", "-o", library], check=True)
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
