"""What can be reproduced, by name."""

from ..errors import DesignError
from .depth_target import DEPTH
from .figure_targets import FIG2, FIG4, FIG5, FIG6
from .gradients_target import GRADIENTS
from .table_targets import CIFAR, FREEZE, NOISE, TABLE1, TABLE2
from .target import Target

__all__ = ["TARGETS", "target"]

TARGETS = {
    study.name: study for study in (TABLE1, TABLE2, CIFAR, DEPTH, GRADIENTS, FIG2, FIG4, FIG5, FIG6, FREEZE, NOISE)
}
"""All targets by name."""


def target(name: str) -> Target:
    """Return a target.

    Raises
    ------
    DesignError
        If there is none of that name.
    """
    if name not in TARGETS:
        raise DesignError(f"there is no target {name!r}; there are: {', '.join(sorted(TARGETS))}")
    return TARGETS[name]
