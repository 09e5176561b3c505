"""Read the bench's logs by the layout that comes with the expected words; needs numpy alone."""

from pathlib import Path

import numpy as np


class Log:
    """The records of one log.

    Parameters
    ----------
    path : Path
        File of 32-bit little-endian words; a file that is not there holds no record.
    layout : dict
        ``size``, words of a record, and ``fields``: ``name``, ``word`` and ``bit`` where it begins, ``width`` in bits,
        ``signed``, and ``row``: how many words it has, each in 32 bits of its own, or None.

    Attributes
    ----------
    rest : int
        Words after the last whole record: 0 unless the log was cut off.
    """

    def __init__(self, path: Path, layout: dict) -> None:
        words = np.fromfile(path, dtype="<i4") if path.exists() else np.empty(0, dtype="<i4")
        size = layout["size"]
        self.rest = words.size % size
        self.words = words[: words.size - self.rest].reshape(-1, size)
        self.fields = {field["name"]: field for field in layout["fields"]}

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, name: str) -> np.ndarray:
        """Read a field: (records,) int32, or int64 if it needs more; a row: (records, words) int32."""
        field = self.fields[name]
        word, bit, width = field["word"], field["bit"], field["width"]
        if field["row"] is not None:
            return _extended(self.words[:, word : word + field["row"]], 0, width, field["signed"])
        if width <= 31 or (width == 32 and field["signed"]):
            return _extended(self.words[:, word], bit, width, field["signed"])
        if width > 64:
            raise ValueError(f"field {name} has {width} bits: read it by bits()")
        parts = self.words[:, word : word + -(-width // 32)].astype(np.int64) & 0xFFFFFFFF
        return sum(parts[:, k] << (32 * k) for k in range(parts.shape[1]))

    def bits(self, name: str) -> np.ndarray:
        """Read a field bit by bit: (records, width) bool, the lowest first."""
        field = self.fields[name]
        place = field["bit"] + np.arange(field["width"])
        return (self.words[:, field["word"] + place // 32] >> (place % 32)) & 1 != 0


def _extended(words: np.ndarray, bit: int, width: int, signed: bool) -> np.ndarray:
    """Cut bits out of words, and extend them by their sign, or by zeros."""
    if signed:
        return (words << (32 - bit - width)) >> (32 - width)
    return (words >> bit) & ((1 << width) - 1)
