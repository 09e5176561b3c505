"""What all commands share: how an error ends one, and the options that more than one of them has.

==========  =========================================================================
exit code   meaning
==========  =========================================================================
0           done, and everything compared was equal
1           another error that a user can mend (a file that cannot be written, ...)
2           hardware and golden model differ
3           the design (or a number format in it) is wrong
4           data or a checkpoint is absent, damaged or of another design
5           a tool is missing or failed
64          the command line itself is wrong
70          a defect of fregen
130         interrupted
==========  =========================================================================
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..errors import FregenError

__all__ = [
    "DESIGN",
    "MISMATCH",
    "SEED",
    "TOLERANCE",
    "CommandGroup",
    "json_option",
    "percent",
    "precision_option",
    "print_json",
]

USAGE, DEFECT, INTERRUPTED, MISMATCH = 64, 70, 130, 2
ISSUES = "the project's issue tracker"


class CommandGroup(click.Group):
    """Turns every error into one message and an exit code."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run; in stand-alone mode this ends the process."""
        standalone = options.pop("standalone_mode", True)
        options["standalone_mode"] = False
        try:
            code: Any = super().main(*args, **options)
        except Exception as error:
            code = self._fail(error)
        except KeyboardInterrupt:
            click.echo("error: interrupted", err=True)
            code = INTERRUPTED
        code = code if isinstance(code, int) else 0
        if standalone:
            sys.exit(code)
        return code

    @staticmethod
    def _fail(error: Exception) -> int:
        if isinstance(error, click.Abort):
            message, code = "interrupted", INTERRUPTED
        elif isinstance(error, click.UsageError):
            command = error.ctx.command_path if error.ctx else "fregen"
            message, code = f"{error.format_message().rstrip('.')} (see {command} --help)", USAGE
        elif isinstance(error, click.ClickException):
            message, code = error.format_message(), error.exit_code
        elif isinstance(error, FregenError):
            message, code = str(error), error.exit_code
        elif isinstance(error, OSError) and error.filename is not None:
            message, code = f"{error.filename}: {error.strerror}", 1
        else:
            if os.environ.get("FREGEN_TRACEBACK") == "1":
                raise error
            message = (
                f"fregen has a defect ({type(error).__name__}: {error}); please tell {ISSUES} with what "
                "FREGEN_TRACEBACK=1 prints when it is set before the same command"
            )
            message, code = " ".join(message.split()), DEFECT
        click.echo(f"error: {message}", err=True)
        return code


SEED = click.IntRange(0, 2**31 - 1)
DESIGN = click.argument("design", type=click.Path(path_type=Path))


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print a summary as JSON, and nothing else, on stdout."
    )(command)


def precision_option(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--precision``."""
    return click.option(
        "--precision",
        type=click.Choice(["double", "single"]),
        default=default,
        show_default=True,
        help="Bits of real numbers: 64 or 32.",
    )


TOLERANCE = click.option(
    "--tolerance",
    type=click.FloatRange(0, min_open=True),
    help="End a sample's phase once its states move by less than this part of the nudge (model float).",
)


def print_json(summary: Any) -> None:
    """Print a summary on stdout, for programs."""
    click.echo(json.dumps(summary, indent=1, default=str))


def percent(part: float) -> str:
    """Write a part, 0 to 1, as people read it."""
    return f"{100 * part:.2f} %"
