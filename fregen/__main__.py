"""The ``fregen`` command, and ``python -m fregen``: signals are handled before anything large is imported."""

from . import processes
from .commands import interruption

__all__ = ["main"]


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        interruption.watch()
        processes.choose_threads()
        from .commands.cli import cli

        cli()
    except KeyboardInterrupt:
        interruption.report()
    finally:
        interruption.leave()


if __name__ == "__main__":
    main()
