"""Write the tables of the pages from the code: ``python docs/write_tables.py``.

Ports and widths come from the signatures of the units in the core of ``rtl/digits``, instruction fields from
:class:`fregen.plan.Instruction`; what they mean comes from the docstrings.  A page marks a table's place::

    <!-- table: NAME -->
    <!-- end -->

with the name of a unit's class, ``links``, ``instruction`` or ``enumerations``.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data, wiring

from fregen.design.document import Design
from fregen.hdl import links
from fregen.hdl.beat import Sizes
from fregen.hdl.core import Core
from fregen.hdl.ports import core_ports
from fregen.hdl.program import instruction_layout
from fregen.plan import Instruction, Schedule, instruction
from fregen.spec.network import NetworkSpec

FOLDER = Path(__file__).parent
PAGES = ("units.md", "instructions.md")


def spec_of(name: str) -> NetworkSpec:
    """Return the numbers of a reference design."""
    return NetworkSpec(Design.load(FOLDER.parent / "rtl" / name / "design.toml"))


def units(component: wiring.Component) -> Iterator[wiring.Component]:
    """Yield a component of ours and all of ours inside it."""
    if not type(component).__module__.startswith("fregen."):
        return
    yield component
    module = component.elaborate(None)
    anonymous = [inner for inner, *_ in module._anon_submodules]
    for inner in [*(inner for inner, *_ in module._named_submodules.values()), *anonymous]:
        inner = getattr(inner, "unit", inner)
        if isinstance(inner, wiring.Component):
            yield from units(inner)


def section(docstring: str, name: str) -> list[tuple[list[str], str, str]]:
    """Return the entries of a numpydoc section: names, type, text."""
    text = inspect.cleandoc(docstring) + "\n"
    found = re.search(rf"^{name}\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", text, re.M | re.S)
    entries = []
    for head, body in re.findall(r"^(\S.*)\n((?:(?: .*)?\n)*)", found.group(1) if found else "", re.M):
        names, _, kind = head.partition(" : ")
        entries.append((re.split(r", ", names), kind, " ".join(body.split()).replace("``", "`")))
    return entries


def row(*cells: str) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def plain(text: str) -> str:
    """Return a docstring's text without reStructuredText roles."""
    return re.sub(r":\w+:`[~]?([\w.]+)`", lambda role: f"`{role[1].removeprefix('fregen.')}`", text)


def width(member: Any) -> str:
    """Return the bits of a member; of a stream or another interface, of all its fields."""
    if member.is_port:
        bits = Shape.cast(member.shape).width
    else:
        bits = sum(Shape.cast(inner.shape).width for _, inner, _ in member.signature.flatten(member.signature.create()))
    return f"{bits}" if not member.dimensions else f"{'×'.join(map(str, member.dimensions))}×{bits}"


def ports(unit: wiring.Component) -> str:
    """Return the table of a unit's ports: as its docstring groups them, those that it does not list at the end."""
    members = dict(unit.signature.members)
    lines = [row("port", "bits", "meaning"), row("---", "---", "---")]
    listed = set()
    for names, _, text in section(type(unit).__doc__ or "", "Members"):
        known = [name for name in names if name in members]
        if names[0] in members and known != names:
            raise ValueError(
                f"{type(unit).__name__}: {sorted(set(names) - set(known))} are no members of the signature"
            )
        if known:
            listed |= set(known)
            lines.append(_ports(members, known, plain(text)))
    by_text: dict[str, list[str]] = {}
    for name in members:
        if name not in listed:
            mentions = (
                names[0] for names, _, text in section(type(unit).__doc__ or "", "Members") if f"`{name}`" in text
            )
            by_text.setdefault(next(mentions, ""), []).append(name)
    lines += [_ports(members, names, f"see `{entry}`" if entry else "") for entry, names in by_text.items()]
    return "\n".join(lines)


def _ports(members: dict[str, Any], names: list[str], text: str) -> str:
    flows = [f"`{name}` {'in' if members[name].flow is wiring.In else 'out'}" for name in names]
    return row(", ".join(flows), ", ".join(width(members[name]) for name in names), text)


def core() -> str:
    """Return the table of the core's ports; those of the probe, which show every word written, are left out."""
    lines = [row("port", "bits", "meaning"), row("---", "---", "---")]
    for port in core_ports(Sizes(Schedule.of(spec_of("digits")))):
        if not port.is_probe:
            bits = f"{port.width}, signed" if port.is_signed else str(port.width)
            lines.append(row(f"`{port.name}` {port.direction}", bits, port.meaning))
    return "\n".join(lines)


def handed() -> str:
    """Return the table of the signatures that units share; directions are those of the unit that acts."""
    sizes, lines = (
        Sizes(Schedule.of(spec_of("digits"))),
        [row("link", "fields, bits", "meaning"), row("---", "---", "---")],
    )
    for name in links.__all__:
        make = getattr(links, name)
        made = make(sizes)
        if isinstance(made, data.StructLayout):
            parts = [f"`{field}` {Shape.cast(shape).width}" for field, shape in made.members.items()]
        else:
            parts = [
                f"`{field}` {'in' if member.flow is wiring.In else 'out'} {width(member)}"
                for field, member in made.members.items()
            ]
        text = plain(" ".join(inspect.cleandoc(make.__doc__ or "").split()).replace("``", "`"))
        lines.append(row(f"`{name.removesuffix('_signature').removesuffix('_layout')}`", ", ".join(parts), text))
    return "\n".join(lines)


def fields() -> str:
    """Return the table of an instruction's fields."""
    layouts = [instruction_layout(Schedule.of(spec_of(name))) for name in ("digits", "residual")]
    lines = [row("field", "bits", "meaning"), row("---", "---", "---")]
    entries = [(names, text) for names, _, text in section(Instruction.__doc__ or "", "Parameters")]
    documented = [name for names, _ in entries for name in names]
    if sorted(documented) != sorted(layouts[0].members):
        raise ValueError(
            f"Instruction: docstring and fields differ in {sorted(set(documented) ^ set(layouts[0].members))}"
        )
    for names, text in entries:
        bits = ", ".join("/".join(str(Shape.cast(layout[name].shape).width) for layout in layouts) for name in names)
        lines.append(row(", ".join(f"`{name}`" for name in names), bits, plain(text)))
    return "\n".join(lines)


def enumerations() -> str:
    """Return the table of the enumerations' values, with the docstrings that stand below them in the source."""
    lines = [row("enumeration", "value", "meaning"), row("---", "---", "---")]
    for node in ast.parse(inspect.getsource(instruction)).body:
        if not isinstance(node, ast.ClassDef) or not any("Enum" in ast.unparse(base) for base in node.bases):
            continue
        for statement, after in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(statement, ast.Assign):
                name = statement.targets[0].id  # type: ignore[attr-defined]
                text = after.value.value if isinstance(after, ast.Expr) else ""  # type: ignore[attr-defined]
                value = getattr(instruction, node.name)[name].value
                meaning = plain(" ".join(str(text).split()).replace("``", "`"))
                lines.append(row(f"`{node.name}`", f"{value} {name}", meaning))
    return "\n".join(lines)


def tables() -> dict[str, Callable[[], str]]:
    """Return what writes each table, by name."""
    found: dict[str, Callable[[], str]] = {
        "Core": core,
        "links": handed,
        "instruction": fields,
        "enumerations": enumerations,
    }
    for unit in units(Core(spec_of("digits"))):
        found.setdefault(type(unit).__name__, lambda unit=unit: ports(unit))  # type: ignore[misc]
    return found


def written(text: str, known: dict[str, Callable[[], str]]) -> str:
    """Return a page with its tables written anew."""

    def replaced(place: re.Match[str]) -> str:
        if place[1] not in known:
            raise ValueError(f"there is no table {place[1]}; there are: {', '.join(sorted(known))}")
        return f"<!-- table: {place[1]} -->\n{known[place[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table: (\w+) -->\n.*?<!-- end -->", replaced, text, flags=re.S)


def main() -> None:
    """Write the tables."""
    known = tables()
    for page in PAGES:
        path = FOLDER / page
        path.write_text(written(path.read_text(encoding="utf-8"), known), encoding="utf-8")


if __name__ == "__main__":
    main()
