"""Run the paper's experiments again, and studies beside them; ``docs/reproduce.md`` describes both."""

from .choice import Choice
from .runs import Experiment, Outcome, execute
from .settling import Settling, settle
from .study import files, reproduce
from .tables import COLUMNS, Row, Sheet, summarise, write_sheet, write_table
from .target import Found, Scale, Target
from .targets import TARGETS, target

__all__ = [
    "COLUMNS",
    "TARGETS",
    "Choice",
    "Experiment",
    "Found",
    "Outcome",
    "Row",
    "Scale",
    "Settling",
    "Sheet",
    "Target",
    "execute",
    "files",
    "reproduce",
    "settle",
    "summarise",
    "target",
    "write_sheet",
    "write_table",
]
