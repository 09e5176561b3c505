"""Read the pickles of CIFAR-10 without executing anything: plain values and arrays of bytes, nothing else.

Python's unpickler allocates what an operation asks for before it looks whether the bytes are there, and calls what a
pickle names.  So the operations are read first (:mod:`pickletools` executes none), and every name that an array of
bytes needs stands for a class of this module.
"""

import io
import math
import pickle
import pickletools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, key_text, quoted

__all__ = ["ByteArray", "loads"]

_PLACES = ("PUT", "BINPUT", "LONG_BINPUT")
"""Operations that number what was read: the unpickler keeps a table as long as the highest number."""


def loads(content: bytes) -> Any:
    """Return what a pickle holds: plain values, and each array as a :class:`ByteArray`.

    Raises
    ------
    DataError
        If it asks for anything else.
    Exception
        Any, if the bytes are damaged.
    """
    most = count = 0
    for operation, argument, _ in pickletools.genops(content):
        count += 1
        if operation.name in _PLACES:
            most = max(most, int(argument or 0))
    if most > count:
        raise ValueError(f"it numbers {most:,} values in {count:,} operations")
    return _Plain(io.BytesIO(content), encoding="bytes").load()


class ByteArray:
    """An array of bytes, as a pickle holds it.

    Parameters
    ----------
    values : uint8 array
        Its content, of any shape; None until the pickle has set its state.
    """

    def __init__(self) -> None:
        self.values: NDArray[np.uint8] | None = None

    def __setstate__(self, state: Any) -> None:
        """Take version, shape, type, order and content, as numpy pickles them.

        Raises
        ------
        DataError
            If they make no array of bytes.
        """
        _, shape, kind, is_fortran, content = state
        code = kind.code if isinstance(kind, _Type) else None
        if code not in ("u1", b"u1") or not isinstance(content, bytes):
            raise DataError(f"expected arrays of uint8 values, not of type {quoted(code)}")
        if not all(type(size) is int and size >= 0 for size in shape) or math.prod(shape) != len(content):
            raise DataError(f"expected an array of shape {quoted(shape)}, but there are {len(content):,} values")
        self.values = np.frombuffer(content, np.uint8).reshape(shape, order="F" if is_fortran else "C")


class _Type:
    """A numpy type that a pickle names: its code, which no state changes."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code = code

    def __setstate__(self, state: Any) -> None:
        """Take no notice: byte order and fields, which a byte has not."""


class _Plain(pickle.Unpickler):
    """Understands arrays of bytes and plain values, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for one of the four names that a pickled array needs."""
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return lambda *_: ByteArray()
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return _Type
        if (module, name) == ("_codecs", "encode"):
            return lambda text, _: text.encode("latin-1")  # what newer pickles of protocol 2 spell as text
        asked = key_text(f"{module}.{name}")
        raise DataError(f"the pickle asks for {asked}, which no batch of CIFAR-10 has; it was not executed")
