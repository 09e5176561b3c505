"""Parts that a core is placed on."""

from dataclasses import dataclass

from ..errors import DesignError, quoted

__all__ = ["DEVICES", "GRADES", "Device", "find_device"]

GRADES = (6, 7, 8)
"""Speed grades of ECP5, the slowest first."""


@dataclass(frozen=True)
class Device:
    """A part.

    Parameters
    ----------
    name : str
        As people order it, without package and grade.
    family : str
        What ``hardware.family`` is called whose primitives it has.
    size : str
        nextpnr's option for the die.
    package : str
        A package that the die comes in; pins do not matter (:class:`fregen.hdl.harness.Harness`).
    synthesis : str
        yosys's command for its family.
    """

    name: str
    family: str
    size: str
    package: str
    synthesis: str = "synth_ecp5"


DEVICES = {
    device.name: device
    for device in (
        Device("lfe5u-25f", "ecp5", "--25k", "CABGA381"),
        Device("lfe5u-45f", "ecp5", "--45k", "CABGA554"),
        Device("lfe5u-85f", "ecp5", "--85k", "CABGA756"),
    )
}
"""Parts by name, the smallest first."""


def find_device(name: str) -> Device:
    """Return a part.

    Raises
    ------
    DesignError
        If there is none of that name.
    """
    if name.lower() not in DEVICES:
        raise DesignError(f"device must be one of {', '.join(DEVICES)}, not {quoted(name)}")
    return DEVICES[name.lower()]
