"""How whoever does something long reports how far it is; a terminal shows it as a bar (``fregen.commands.console``)."""

from collections.abc import Callable

__all__ = ["Progress", "StepProgress"]

Progress = Callable[[int, int, str], object]
"""Called with what is done, all there is to do (0: unknown) and a line of text."""

StepProgress = Callable[[str, int, int, str], object]
"""Called with a step's name, done, total (0: unknown) and a line of text; ``done == total > 0`` ends the step."""
