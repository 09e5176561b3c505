"""``python -m fregen``: the command line."""

from .commands.cli import main

main()
