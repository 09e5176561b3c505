"""What a comparison found, and the expected words, of which none may be left unread."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

FIRST = 8
"""Faults that are described; the others are only counted."""


@dataclass
class Verdict:
    """What a comparison found.

    Attributes
    ----------
    run : str
        The run that it is about: 16 hexadecimal digits, as the expected words and the bench's logs say.
    compared : int
        Words compared.
    different : int
        Of these, words that differ or stand at another place.
    missing, extra : int
        Words that were expected and did not come, that came and were not expected.
    first : list of str
        The first faults in words.
    sample : int or None
        Sample of the first fault that belongs to one.
    counters : dict
        The core's counters.
    seconds : dict
        Wall time of the ``simulation`` and of the ``comparison``, as ``bench.py`` measures them.
    """

    run: str = ""
    compared: int = 0
    different: int = 0
    missing: int = 0
    extra: int = 0
    first: list[str] = field(default_factory=list)
    sample: int | None = None
    counters: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def mismatches(self) -> int:
        """Faults in all: words that differ, are missing, or are too many."""
        return self.different + self.missing + self.extra

    @property
    def passed(self) -> bool:
        """Whether words were compared and all were equal."""
        return self.compared > 0 and self.mismatches == 0

    def differ(self, count: int, text: str, sample: int | None = None) -> None:
        """Note words that differ."""
        self.different += count
        self._describe(text, sample)

    def count(self, name: str, wanted: int, came: int, sample: int | None = None) -> None:
        """Note how many words were expected and how many came."""
        if wanted != came:
            self.missing += max(wanted - came, 0)
            self.extra += max(came - wanted, 0)
            self._describe(f"{name}: {wanted} expected, {came} came", sample)

    def _describe(self, text: str, sample: int | None) -> None:
        if len(self.first) < FIRST:
            self.first.append(text)
        if sample is not None and (self.sample is None or sample < self.sample):
            self.sample = sample

    def save(self, path: Path) -> None:
        """Write the verdict as JSON."""
        table = {**asdict(self), "mismatches": self.mismatches, "passed": self.passed}
        path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


class Expected(Mapping):
    """Arrays of ``expected.npz``; knows which of them were read."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as file:
            self._arrays = {name: file[name] for name in file.files}
        self._read: set[str] = set()

    def __getitem__(self, name: str) -> np.ndarray:
        self._read.add(name)
        return self._arrays[name]

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def unread(self) -> list[str]:
        """Names of the arrays that nothing has read."""
        return sorted(set(self._arrays) - self._read)
