"""Studies: a design trained at every point of a grid or a list; how accuracy depends on its words."""

from .run import FILES, Card, Found, study
from .study_file import Study

__all__ = ["FILES", "Card", "Found", "Study", "study"]
