"""Families of FPGAs: the memories, tables and multipliers that a core is made of.

A family is the platform that units are elaborated for: one file of primitives here, and one
:class:`~fregen.plan.Pipeline`, which says how many cycles they take (:data:`fregen.plan.PIPELINES`).
"""

from .ecp5 import Ecp5
from .portable import Portable, Ram

__all__ = ["FAMILIES", "Ecp5", "Portable", "Ram", "family_of"]

FAMILIES: dict[str, type[Portable]] = {"portable": Portable, "ecp5": Ecp5}
"""By the name that ``hardware.family`` has."""


def family_of(platform: object) -> Portable:
    """Return the family that a unit is elaborated for: the portable one where there is no platform.

    Raises
    ------
    TypeError
        If the platform is no family.
    """
    if platform is None:
        return Portable()
    if not isinstance(platform, Portable):
        raise TypeError(f"units are elaborated for a family of fregen.hdl.families, not for {type(platform).__name__}")
    return platform
