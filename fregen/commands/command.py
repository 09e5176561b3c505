"""What all commands share: how an error ends one (the exit codes: :mod:`fregen.errors`), and common options."""

import io
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..cache import user_cache
from ..errors import EXIT_DEFECT, EXIT_INTERRUPTED, EXIT_MEMORY, EXIT_USAGE, FregenError, MismatchError, OutputError
from . import interruption

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

MISMATCH = MismatchError.exit_code
ISSUES = "the project's issue tracker"

_MOST_LINES, _MOST_CHARACTERS = 24, 4000
"""Of a message; what is longer is cut in the middle."""


class CommandGroup(click.Group):
    """Turns every error into one message and an exit code."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run; in stand-alone mode this ends the process."""
        standalone = options.pop("standalone_mode", True)
        options["standalone_mode"] = False
        # an error between a unit's construction and its use leaves Amaranth's remark on it behind
        warnings.filterwarnings("ignore", message=".* created but never used")
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # a terminal of another encoding shows "?", and no traceback
                stream.reconfigure(errors="replace")
        try:
            code: Any = super().main(*args, **options)
            sys.stdout.flush()
        except (interruption.InterruptionError, KeyboardInterrupt):
            interruption.report()
            code = interruption.code()
        except Exception as error:
            code = self._fail(error)
        code = code if isinstance(code, int) else 0
        if standalone:
            sys.exit(code)
        return code

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was chosen."""
        try:
            _find_cache()
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise interruption.InterruptionError from None

    @staticmethod
    def _fail(error: Exception) -> int:
        if isinstance(error, click.Abort):
            message, code = "interrupted", EXIT_INTERRUPTED
        elif isinstance(error, click.UsageError):
            command = error.ctx.command_path if error.ctx else "fregen"
            message, code = f"{error.format_message().rstrip('.')} (see {command} --help)", EXIT_USAGE
        elif isinstance(error, click.ClickException):
            message, code = error.format_message(), error.exit_code
        elif isinstance(error, FregenError):
            message, code = str(error), error.exit_code
        elif isinstance(error, OSError) and error.errno is not None:
            if error.filename is None:  # stdout: a full disk, a closed pipe
                sys.stdout = io.StringIO()
            message, code = f"{error.filename or 'the output'}: {error.strerror}", OutputError.exit_code
        elif isinstance(error, MemoryError):
            message, code = f"this machine has too little memory for it: {error or 'none is left'}", EXIT_MEMORY
        else:
            if os.environ.get("FREGEN_TRACEBACK") == "1":
                raise error
            message = (
                f"fregen has a defect ({type(error).__name__}: {error}); please report it to {ISSUES} with what "
                "FREGEN_TRACEBACK=1 prints when it is set before the same command"
            )
            message, code = " ".join(message.split()), EXIT_DEFECT
        click.echo(f"error: {_cut(message)}", err=True)
        return code


def _find_cache() -> None:
    """Where the user's cache cannot be written, as in many containers, have all that keeps one use another place."""
    try:
        user_cache().mkdir(parents=True, exist_ok=True)
        usable = os.access(user_cache(), os.W_OK | os.X_OK)
    except (OSError, RuntimeError):  # no HOME, and no user that has one
        usable = False
    if usable:
        return
    place = Path(tempfile.gettempdir()) / f"fregen-{os.getuid()}"
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        if place.is_symlink() or place.stat().st_uid != os.getuid():
            place = Path(tempfile.mkdtemp(prefix="fregen-"))
    except OSError as error:
        raise OutputError(f"neither the user's cache nor {place} can be written: {error.strerror}") from None
    os.environ["XDG_CACHE_HOME"] = str(place)
    os.environ.setdefault("MPLCONFIGDIR", str(place))
    click.echo(f"note: the user's cache cannot be written; {place} serves instead (or set XDG_CACHE_HOME)", err=True)


def _cut(message: str) -> str:
    """Return a message that fits a terminal: what an outside program said may be long."""
    lines = message.splitlines()
    if len(lines) > _MOST_LINES:
        left = len(lines) - _MOST_LINES + 1
        half = _MOST_LINES // 2
        message = "\n".join([*lines[:half], f"... {left:,} more lines ...", *lines[len(lines) - half + 1 :]])
    if len(message) > _MOST_CHARACTERS:
        half = _MOST_CHARACTERS // 2
        message = f"{message[:half]} ... {len(message) - 2 * half:,} more characters ... {message[-half:]}"
    return message


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
