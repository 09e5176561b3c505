"""Names in the generated Verilog, which constraints and waveforms live on.

A port is called after its path in its component's signature, joined by one underscore (Amaranth joins by two, which
VHDL does not allow in a name); a signal that belongs to a port of a submodule after submodule and port.
"""

from typing import TypeVar

from amaranth.hdl import Signal, Value
from amaranth.lib import data, wiring

__all__ = ["call", "named", "named_ports"]

Unit = TypeVar("Unit", bound=wiring.PureInterface)


def named_ports(component: wiring.PureInterface, prefix: str = "") -> dict[str, tuple[Value, None]]:
    """Name a component's ports for :func:`amaranth.back.rtlil.convert`, and its signals as the ports.

    Parameters
    ----------
    component : Component or interface
        What has the ports.
    prefix : str, optional
        What the signals' names begin with.

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
        call(value, f"{prefix}_{name}" if prefix else name)
        ports[name] = value, None  # Amaranth sees by itself which are driven
    return ports


def call(value: Value | data.View, name: str) -> None:
    """Give a signal a name; what is none, a constant or a part of a signal, has none."""
    signal = Value.cast(value)
    if isinstance(signal, Signal):
        signal.name = name


def named(name: str, unit: Unit) -> Unit:
    """Call the signals of a submodule's ports after both; return it."""
    named_ports(unit, name)
    return unit
