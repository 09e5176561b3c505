"""The array library that computes: NumPy, or PyTorch or CuPy on a GPU.

What is computed with arrays here uses operators, indexing by integers, and those functions that the three libraries
give the same name and meaning; the few that they do not share are the methods of :class:`Arrays`.  Words are int64
arrays, weights float64 arrays (a word of 24 bits is exact in both): products of matrices are made in float64, for which
every library has a fast routine, all else in int64.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ToolError, one_line, quoted

__all__ = ["LIBRARIES", "Arrays", "load_arrays"]

LIBRARIES = ("numpy", "torch", "cupy")
"""Names that :func:`load_arrays` knows."""


@dataclass(frozen=True)
class Arrays:
    """One library, and the device on which its arrays lie.

    Parameters
    ----------
    xp : module
        Its functions: ``abs``, ``amax``, ``concatenate``, ``matmul``, ``maximum``, ``minimum``, ``stack``,
        ``swapaxes``, ``where``.
    device : object, optional
        What PyTorch calls the device; the other libraries have one only.
    """

    xp: Any = np
    device: Any = None

    @property
    def name(self) -> str:
        """Name of the library."""
        return str(self.xp.__name__)

    def put(self, array: NDArray[Any]) -> Any:
        """Return a copy of a NumPy array on the device."""
        if self.name == "torch":
            return self.xp.tensor(np.ascontiguousarray(array), device=self.device)
        return self.xp.array(array)

    def fetch(self, array: Any) -> NDArray[Any]:
        """Return an array of the device as one of NumPy."""
        if self.name == "torch":
            return np.asarray(array.detach().cpu().numpy())
        return np.asarray(array.get() if self.name == "cupy" else array)

    def whole(self, array: Any) -> Any:
        """Return int64 of an array of integers in whatever type."""
        return array.to(self.xp.int64) if self.name == "torch" else array.astype(self.xp.int64)

    def real(self, array: Any) -> Any:
        """Return float64 of an array of integers below 2**53."""
        return array.to(self.xp.float64) if self.name == "torch" else array.astype(self.xp.float64)


def load_arrays(library: str = "numpy", device: str | None = None) -> Arrays:
    """Return a library by name.

    Parameters
    ----------
    library : str
        One of :data:`LIBRARIES`.
    device : str, optional
        For PyTorch: ``"cuda"``, ``"cpu"``; without it the GPU if there is one.

    Raises
    ------
    ToolError
        If the library is unknown or cannot be loaded, or the device is not there.
    """
    if library not in LIBRARIES:
        raise ToolError(f"array library: expected one of {', '.join(LIBRARIES)}, not {quoted(library)}")
    if library == "numpy":
        return Arrays()
    try:
        xp = import_module(library)
    except Exception as error:  # whatever a broken installation raises
        raise ToolError(
            f"{library} cannot be loaded ({one_line(error)}); install it: pip install 'fregen[gpu]'"
        ) from None
    if library == "cupy":
        return Arrays(xp)
    try:
        where = xp.device(device or ("cuda" if xp.cuda.is_available() else "cpu"))
        xp.zeros(1, device=where)
    except Exception as error:  # RuntimeError, AssertionError or another, by version and device
        raise ToolError(f"torch has no device {quoted(device)}: {one_line(error)}") from None
    return Arrays(xp, where)
