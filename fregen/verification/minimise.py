"""From a design file that fails to one of a few lines that still fails.

A design is simplified by small edits: a key left out, a layer taken away, a number made smaller.  Each edit makes the
table simpler, so there is an end; what is left fails, and no single edit leaves it failing.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..design.document import Design
from ..errors import FregenError
from ..golden.carrier import Carrier
from ..spec.network import NetworkSpec

__all__ = ["design_file", "minimise"]

Table = dict[str, Any]
Edit = Callable[[Table], None]
"""Changes a table in place; raises KeyError or IndexError where it finds nothing to change."""


def minimise(table: Table, failing: Callable[[Sequence[Table]], Sequence[bool]]) -> Table:
    """Return a simpler design that fails, none of whose single simplifications does.

    Parameters
    ----------
    table : dict
        A design that fails, as a design file has it.
    failing : callable
        Says of several legal designs, all of one name, which of them fail: they can be tried at once.

    Returns
    -------
    dict
        The simplest that was found.
    """
    while True:
        edits = [(edit, made) for edit in _edits(table) if (made := _applied(table, [edit])) is not None]
        verdicts = failing([made for _, made in edits])
        good = [edit for (edit, _), fails in zip(edits, verdicts, strict=True) if fails]
        if not good:
            return table
        # Edits that succeed alone mostly succeed together: all of them, or half, a quarter, or at least the first.
        sizes = [len(good) >> k for k in range(len(good).bit_length() - 1)]
        tries = [made for size in sizes if (made := _applied(table, good[:size])) is not None]
        found = [made for made, fails in zip(tries, failing(tries), strict=True) if fails] if tries else []
        first = _applied(table, good[:1])
        assert first is not None
        table = found[0] if found else first


def _applied(table: Table, edits: Sequence[Edit]) -> Table | None:
    """Return a changed copy, or None if it is no legal design, or nothing has changed."""
    made = copy.deepcopy(table)
    for edit in edits:
        try:
            edit(made)
        except (KeyError, IndexError):
            continue
    try:
        Carrier(NetworkSpec(Design.parse(made)))
    except FregenError:
        return None
    return made if made != table else None


def _edits(table: Table) -> Iterator[Edit]:
    """Yield every single simplification; bold ones first."""
    for section in table:
        if section not in ("name", "network"):
            yield _leave_out(section)
    for section, content in table.items():
        if isinstance(content, dict):
            yield from (_leave_out(section, key) for key in content if key != "layers")
    yield from (_leave_out("numerics", "activation", key) for key in table.get("numerics", {}).get("activation", {}))
    layers = table["network"]["layers"]
    for key in ("scales",):
        yield from (_leave_out("network", key, at) for at in range(len(table["network"].get(key, ()))))
    yield from (
        (_leave_out("learning", "rate_steps", at) for at in range(len(table["learning"].get("rate_steps", ()))))
        if "learning" in table
        else ()
    )
    for count in (len(layers) // 2, 1):
        yield from (_without_layers(at, at + count) for at in range(0, len(layers), count))
    for at, size in enumerate(layers):
        yield from (_set(value, "network", "layers", at) for value in (1, 2, size // 2, size - 1) if 0 < value < size)
    for path in (
        ("learning", "batch"),
        ("learning", "free_steps"),
        ("learning", "nudged_steps"),
        ("hardware", "lanes"),
        ("hardware", "samples"),
        ("hardware", "drain"),
        ("hardware", "words"),
    ):
        value = table.get(path[0], {}).get(path[1], 1)
        yield from (_set(simpler, *path) for simpler in (1, 2, value // 2, value - 1) if 0 < simpler < value)


def _leave_out(*path: str | int) -> Edit:
    def edit(table: Table) -> None:
        place: Any = table
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return edit


def _set(value: int, *path: str | int) -> Edit:
    def edit(table: Table) -> None:
        place: Any = table
        for key in path[:-1]:
            place = place[key]
        if place[path[-1]] > value:
            place[path[-1]] = value

    return edit


def _without_layers(begin: int, end: int) -> Edit:
    """Take layers away, with the rows, columns and scales that were about hidden ones."""

    def edit(table: Table) -> None:
        network = table["network"]
        keep = [at for at in range(len(network["layers"])) if not begin <= at < end]
        hidden = keep[1:-1]
        if not hidden or keep[0] == keep[-1]:
            raise IndexError
        number = {old: new for new, old in enumerate(keep)}
        inner = [at for at in hidden if 0 < at < len(network["layers"]) - 1]
        if len(inner) < len(hidden) and network.get("topology") == "adjacency":
            raise IndexError  # an end has become a hidden layer, or the reverse
        network["layers"] = [network["layers"][at] for at in keep]
        if "adjacency" in network:
            rows = network["adjacency"]
            network["adjacency"] = [[rows[t - 1][s - 1] for s in hidden] for t in hidden]
        if "scales" in network:
            network["scales"] = [
                {**scale, "source": number[scale["source"]], "target": number[scale["target"]]}
                for scale in network["scales"]
                if scale["source"] in number and scale["target"] in number
            ]

    return edit


def design_file(table: Table, remark: str = "") -> str:
    """Return the text of a design file: a table as TOML, below a remark.

    Parameters
    ----------
    table : dict
        Of plain values, lists and dictionaries.
    remark : str
        Lines that become comments.
    """
    lines = [f"# {line}" for line in remark.splitlines()]
    lines += [f"{key} = {_value(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for section, content in table.items():
        if isinstance(content, dict) and content:
            lines += ["", f"[{section}]", *(f"{key} = {_value(value)}" for key, value in content.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    return repr(value)
