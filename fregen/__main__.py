"""``python -m fregen``: the command line."""

from .cli import main

main()
