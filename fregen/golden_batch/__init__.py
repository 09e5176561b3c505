"""Many networks of one shape side by side, in the golden model's arithmetic: every word the same, on a CPU or a GPU."""

from .arrays import Arrays, load_arrays
from .batch import BatchModel, BatchResult, BatchState
from .group import Group
from .record import Record

__all__ = ["Arrays", "BatchModel", "BatchResult", "BatchState", "Group", "Record", "load_arrays"]
