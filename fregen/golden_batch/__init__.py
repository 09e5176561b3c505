"""Many networks of one shape side by side, in the golden model's arithmetic: every word the same, on a CPU or a GPU.

:class:`BatchModel` computes any group with NumPy, PyTorch or CuPy; :class:`BlockModel` the usual ones on a GPU, with a
block of threads a network, and many times as fast.
"""

from .arrays import Arrays, load_arrays
from .batch import BatchModel, BatchResult, BatchState
from .block_model import BlockModel, BlockResult, CupyDevice, Device, Levels
from .bounds import Bounds
from .group import Group, shape_key
from .record import Record

__all__ = [
    "Arrays",
    "BatchModel",
    "BatchResult",
    "BatchState",
    "BlockModel",
    "BlockResult",
    "Bounds",
    "CupyDevice",
    "Device",
    "Group",
    "Levels",
    "Record",
    "load_arrays",
    "shape_key",
]
