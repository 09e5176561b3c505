"""Names of ports in the generated Verilog: a port's path in its component's signature, joined by one underscore.

Amaranth joins by two, which VHDL does not allow in a name.
"""

from typing import TypeVar

from amaranth.hdl import Signal, Value
from amaranth.lib import wiring

__all__ = ["named", "named_ports"]

Unit = TypeVar("Unit", bound=wiring.Component)


def named_ports(component: wiring.Component) -> dict[str, tuple[Value, None]]:
    """Name a component's ports for :func:`amaranth.back.rtlil.convert`, and its signals as the ports.

    Raises
    ------
    ValueError
        If two ports get one name.
    """
    ports: dict[str, tuple[Value, None]] = {}
    for path, _, leaf in component.signature.flatten(component):
        name, value = "_".join(map(str, path)), Value.cast(leaf)
        if name in ports:
            raise ValueError(f"two ports of {type(component).__name__} are called {name}: rename one of them")
        if isinstance(value, Signal):
            value.name = name
        ports[name] = value, None  # Amaranth sees by itself which are driven
    return ports


def named(unit: Unit) -> Unit:
    """Give the signals of a submodule's ports the names of the ports; return it."""
    named_ports(unit)
    return unit
