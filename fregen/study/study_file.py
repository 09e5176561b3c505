"""The study file: a design, and what varies from point to point.

::

    name = "widths"
    design = "../../rtl/digits/design.toml"   # relative to this file; or a table [design] with the keys themselves
    epochs = 5                                # instead of the design's
    seeds = 4                                 # 0 to 3; or a list

    [grid]                                    # every combination is a point
    numerics.weight = ["q3.13", "q3.9"]       # a key of the design file
    "state bits" = [                          # any other name: keys that change together
        { numerics.state = "q1.15", numerics.offset = "q3.13" },
        { label = "8", numerics.state = "q1.7", numerics.offset = "q2.6" },
    ]

    [[point]]                                 # a list, each crossed with the whole grid
    learning.nudge = 0.5

    [picture]                                 # names of axes, or "weight bits", "state bits"
    x = "weight bits"
    line = "state bits"
    panel = "learning.nudge"
"""

import copy
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..design.document import Design
from ..design.toml_file import read_toml
from ..errors import DesignError, key_text, listed, quoted

__all__ = ["MOST_POINTS", "Picture", "Point", "Study"]

MOST_POINTS = 100_000
"""Trainings of a study."""

_KNOWN = ("name", "design", "epochs", "seeds", "grid", "point", "picture")
_MOST_FAULTS = 12
_OWN_BITS = ("weight bits", "state bits")


@dataclass(frozen=True)
class Point:
    """One training.

    Parameters
    ----------
    labels : dict of str to str
        What every axis but the seed has here, by its name.
    design : Design
        The whole design.
    """

    labels: Mapping[str, str]
    design: Design

    def coordinate(self, name: str) -> str:
        """Return where the point lies on an axis of a picture."""
        if name in _OWN_BITS:
            numerics = self.design.numerics
            return str((numerics.weight if name == "weight bits" else numerics.state).width)
        return self.labels[name]


@dataclass(frozen=True)
class Picture:
    """What a picture draws where: names of axes, ``weight bits`` or ``state bits``; panels by every axis named."""

    x: str = "weight bits"
    line: str = "state bits"
    panel: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Choice:
    """One value of an axis: a label, and the keys of the design that it sets."""

    label: str
    keys: Mapping[tuple[str, ...], Any]


@dataclass(frozen=True)
class Study:
    """What a study file asks for.

    Parameters
    ----------
    name : str
        Of the study.
    axes : tuple of str
        Names of what varies, seeds apart.
    points : tuple of Point
        All trainings, in the order of the file; seeds vary fastest.
    picture : Picture
        How to draw it.
    """

    name: str
    axes: tuple[str, ...]
    points: tuple[Point, ...]
    picture: Picture = field(default_factory=Picture)

    @classmethod
    def load(cls, path: str | Path) -> "Study":
        """Read and validate a study file.

        Raises
        ------
        DesignError
            If the file or the design is absent or wrong, an axis has no values or sets no key of a design, points are
            more than 100,000, or a point is no design; all faults together, a line each.
        """
        return _Reader(Path(path)).read()


class _Reader:
    """Reads one file and collects what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._faults: dict[str, None] = {}

    def read(self) -> Study:
        table = read_toml(self._path)
        for key in table:
            if key not in _KNOWN:
                self._fault(f"{key_text(key)}: unknown key; known here: {', '.join(_KNOWN)}")
        name = table.get("name", self._path.stem)
        if not isinstance(name, str) or not name or len(name) > 60 or not name.isprintable():
            self._fault(f"name: expected 1 to 60 characters, not {quoted(name)}")
        base = self._base(table)
        grid = dict(self._grid(table))
        listed_points = self._list(table)
        seeds = self._seeds(table)
        count = math.prod([len(seeds), len(listed_points), *(len(choices) for choices in grid.values())])
        if count > MOST_POINTS:
            self._fault(f"the study has {count:,} points, more than {MOST_POINTS:,}")
        axes = (*(("point",) if len(listed_points) > 1 else ()), *grid)
        picture = self._picture(table, axes, grid)
        points: list[Point] = []
        if base is not None and count <= MOST_POINTS:
            points = list(self._points(base, axes, listed_points, grid, seeds))
        if self._faults:
            lines = list(self._faults)
            more = [f"and {len(lines) - _MOST_FAULTS:,} more faults"] if len(lines) > _MOST_FAULTS else []
            raise DesignError("\n".join([*(f"{self._path}: {line}" for line in lines[:_MOST_FAULTS]), *more]))
        return Study(name, axes, tuple(points), picture)

    def _fault(self, line: str) -> None:
        self._faults[line] = None

    # Parts ----------------------------------------------------------------------------------------------------------

    def _base(self, table: dict[str, Any]) -> dict[str, Any] | None:
        """Return the design that all points begin with, as a table."""
        given = table.get("design")
        try:
            if isinstance(given, str):
                design = Design.load(self._path.parent / given)
            elif isinstance(given, dict):
                data = given.get("data")
                if isinstance(data, dict) and isinstance(data.get("path"), str) and "\0" not in data["path"]:
                    data["path"] = str((self._path.parent / data["path"]).absolute())
                design = Design.parse(given)
            else:
                self._fault(f"design: expected the path of a design file, or its table, not {quoted(given)}")
                return None
            if (epochs := table.get("epochs")) is not None:
                design = design.replace(learning={"epochs": epochs})
        except DesignError as error:
            for line in str(error).splitlines():
                self._fault(line)
            return None
        return design.table()

    def _seeds(self, table: dict[str, Any]) -> list[Any]:
        given = table.get("seeds")
        if given is None:
            return [None]
        if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= MOST_POINTS:
            return list(range(given))
        if isinstance(given, list) and given:
            if len({repr(seed) for seed in given}) < len(given):
                self._fault("seeds: one is there twice")
            return given
        self._fault(f"seeds: expected how many, 1 to {MOST_POINTS:,}, or a list of them, not {quoted(given)}")
        return [None]

    def _grid(self, table: dict[str, Any]) -> Iterator[tuple[str, list[_Choice]]]:
        given = table.get("grid", {})
        if not isinstance(given, dict):
            self._fault(f"grid: expected axes, each with a list of values, not {quoted(given)}")
            return
        if "grid" in table and not given:
            self._fault("grid: has no axis; give keys of the design file, each with a list of values")
        for parts, values in _leaves(given):
            name = ".".join(parts)
            shown = f"grid.{key_text(name)}"
            if not isinstance(values, list) or not values:
                self._fault(f"{shown}: expected a list of at least one value, not {quoted(values)}")
                continue
            if name == "seed":
                self._fault("grid.seed: give seeds beside the grid: seeds = 5, or seeds = [0, 1]")
                continue
            if _is_key(parts):
                choices = [_Choice(_text(value), {parts: value}) for value in values]
            elif all(isinstance(value, dict) for value in values):
                choices = [self._keys(f"{shown}[{number}]", value) for number, value in enumerate(values)]
            else:
                self._fault(
                    f"{shown}: no key of a design file ({_known(parts)}); an axis with a name of its own needs tables "
                    "of such keys"
                )
                continue
            if len({choice.label for choice in choices}) < len(choices):
                self._fault(f"{shown}: two values have the same label")
            yield name, choices

    def _list(self, table: dict[str, Any]) -> list[_Choice]:
        given = table.get("point", [{}])
        if not isinstance(given, list) or not given or not all(isinstance(point, dict) for point in given):
            self._fault(f"point: expected at least one table of keys, [[point]], not {quoted(given)}")
            return [_Choice("", {})]
        points = [self._keys(f"point[{number}]", point) for number, point in enumerate(given)]
        if len({point.label for point in points}) < len(points):
            self._fault("point: two of them have the same label")
        return points

    def _keys(self, where: str, table: dict[str, Any]) -> _Choice:
        """Read a table of keys that are set together."""
        label = table.get("label")
        keys = {parts: value for parts, value in _leaves({k: v for k, v in table.items() if k != "label"})}
        for parts in keys:
            if not _is_key(parts):
                self._fault(f"{where}: {key_text('.'.join(parts))}: no key of a design file ({_known(parts)})")
        if label is not None and (not isinstance(label, str) or not 0 < len(label) <= 60 or not label.isprintable()):
            self._fault(f"{where}: label: expected 1 to 60 characters, not {quoted(label)}")
        return _Choice(str(label or ", ".join(_text(value) for value in keys.values())), keys)

    def _picture(self, table: dict[str, Any], axes: tuple[str, ...], grid: dict[str, list[_Choice]]) -> Picture:
        given, known = table.get("picture", {}), (*axes, *_OWN_BITS)
        if not isinstance(given, dict):
            self._fault(f"picture: expected a table with x, line, panel, not {quoted(given)}")
            return Picture()
        x, line = given.get("x", Picture.x), given.get("line", Picture.line)
        own = {"weight bits": "numerics.weight", "state bits": "numerics.state"}
        drawn = {own.get(str(name), str(name)) for name in (x, line)}
        rest = [name for name, choices in grid.items() if not _sets_only(choices, drawn) and name not in drawn]
        rest = [name for name in ("point",) if name in axes and name not in (x, line)] + rest
        panel = given.get("panel", rest)
        panels = (panel,) if isinstance(panel, str) else tuple(panel) if isinstance(panel, list) else (panel,)
        for key, name in [("x", x), ("line", line), *(("panel", name) for name in panels)]:
            if name not in known:
                self._fault(f"picture.{key}: expected one of {listed(known)}, not {quoted(name)}")
        for key in given:
            if key not in ("x", "line", "panel"):
                self._fault(f"picture.{key_text(key)}: unknown key; known here: x, line, panel")
        return Picture(x, line, panels)

    def _points(
        self,
        base: dict[str, Any],
        axes: tuple[str, ...],
        listed_points: list[_Choice],
        grid: dict[str, list[_Choice]],
        seeds: list[Any],
    ) -> Iterator[Point]:
        for first, *others in itertools.product(listed_points, *grid.values()):
            chosen = ([first] if "point" in axes else []) + others
            labels = dict(zip(axes, (choice.label for choice in chosen), strict=True))
            table = copy.deepcopy(base)
            for choice in (first, *others):
                for parts, value in choice.keys.items():
                    _set(table, parts, value)
            for seed in seeds:
                try:
                    yield Point(labels, Design.parse(table if seed is None else {**table, "seed": seed}))
                except DesignError as error:
                    for line in str(error).splitlines():
                        self._fault(line.removeprefix("design: "))


# Keys -----------------------------------------------------------------------------------------------------------------


def _leaves(table: Mapping[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Give every value of nested tables with the parts of its key."""
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*before, key))
        else:
            yield (*before, key), value


def _section(parts: tuple[str, ...]) -> tuple[Any, bool]:
    """Follow a key through the sections of a design: the last one that is there, and whether the whole key is."""
    section: Any = Design
    for number, part in enumerate(parts):
        found = getattr(section, "model_fields", {}).get(part)
        if found is None:
            return section, False
        inner = found.annotation if hasattr(found.annotation, "model_fields") else None
        if inner is None:
            return section, number + 1 == len(parts)
        section = inner
    return section, False


def _is_key(parts: tuple[str, ...]) -> bool:
    return parts != ("name",) and _section(parts)[1]


def _known(parts: tuple[str, ...]) -> str:
    return "known here: " + ", ".join(_section(parts)[0].model_fields)


def _set(table: dict[str, Any], parts: tuple[str, ...], value: Any) -> None:
    for part in parts[:-1]:
        table = table[part]
    table[parts[-1]] = value


def _sets_only(choices: list[_Choice], drawn: set[str]) -> bool:
    """Whether an axis shows in what is drawn already: it sets word formats, and those of states or weights with it."""
    keys = {".".join(parts) for choice in choices for parts in choice.keys}
    formats = {f"numerics.{word}" for word in ("state", "weight", "offset", "error")}
    return keys <= formats and bool(keys & drawn)


def _text(value: Any) -> str:
    """Write a value as a label: powers of two below 1 as such."""
    if isinstance(value, float) and 0 < value < 1 and math.log2(value).is_integer():
        return f"1/{round(1 / value)}"
    return value if isinstance(value, str) else quoted(value)
