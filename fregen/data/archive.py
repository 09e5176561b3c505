"""Read ``.npz`` archives without trust: no pickle, and every fault one :class:`~fregen.errors.DataError`."""

import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

__all__ = ["read_arrays"]


def read_arrays(path: Path, required: Collection[str], what: str) -> dict[str, NDArray[Any]]:
    """Read all arrays of a ``.npz`` file into memory.

    Parameters
    ----------
    path : Path
        File to read.
    required : collection of str
        Arrays that must be there; more may be.
    what : str
        What the file should be, for messages: ``"a checkpoint"``.

    Raises
    ------
    DataError
        If the file is absent, truncated or corrupt, is no ``.npz`` file, lacks an array or holds pickled objects.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if start[:2] != b"PK":
            raise DataError(f"{path}: expected {what} (a .npz archive), but the file starts with {start!r}")
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in required if name not in archive.files]
            if missing:
                raise DataError(
                    f"{path}: expected {what} with the arrays {', '.join(required)}; it lacks {', '.join(missing)} "
                    f"(it holds {', '.join(archive.files) or 'nothing'})"
                )
            arrays = {name: archive[name] for name in archive.files}
        strange = [name for name, content in arrays.items() if not isinstance(content, np.ndarray)]
        if strange:
            raise DataError(f"{path}: expected {what} that holds arrays only; {', '.join(strange)} is none")
        return arrays
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected {what}") from None
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise DataError(
                f"{path}: holds pickled Python objects, which are never loaded; save plain arrays"
            ) from None
        raise DataError(f"{path}: damaged, cannot be read as {what}: {error}") from None
    except (OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: truncated or damaged, cannot be read as {what}: {error}") from None
    except DataError:
        raise
    except Exception as error:  # what numpy's reader of headers raises on damage is not listed anywhere
        raise DataError(f"{path}: cannot be read as {what}: {type(error).__name__}: {error}") from None
