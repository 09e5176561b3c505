"""Ctrl-C and SIGTERM: the command ends within two seconds, with one line and no traceback, and all it started with it.

The first signal raises KeyboardInterrupt where the main thread is; later ones are ignored.  A main thread that is deep
in compiled code, or waits for a thread that is, hears nothing: then another thread ends the process.
"""

import contextlib
import os
import signal
import sys
import threading
import time
import warnings
from types import FrameType

from .. import processes

__all__ = ["GRACE", "InterruptionError", "code", "leave", "report", "watch"]

GRACE = 1.0
"""Seconds that the main thread has to end by itself."""

_TRACKER = "ignore:resource_tracker:UserWarning"
"""For multiprocessing's tracker, which inherits it: what a process that was ended leaves, it removes without a word."""

_SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_received: list[int] = []
_reported = threading.Event()


class InterruptionError(Exception):
    """A command was interrupted: click would write an empty line at a KeyboardInterrupt."""


def watch() -> None:
    """Handle both signals from now on; in the main thread."""
    if _TRACKER not in sys.warnoptions:
        sys.warnoptions.append(_TRACKER)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in _SIGNALS:
        signal.signal(number, _first)
    threading.Thread(target=_overdue, args=(reader,), daemon=True).start()


def code() -> int:
    """Exit code: 130 after Ctrl-C, 143 after SIGTERM, as shells have it."""
    return 128 + (_received[0] if _received else signal.SIGINT)


def report() -> None:
    """Write the one line; once a signal."""
    if _received and _reported.is_set():
        return
    _reported.set()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"error: {_SIGNALS[signal.Signals(code() - 128)]}\n")
        sys.stderr.flush()


def leave() -> None:
    """End the process if a signal asked for it; Python would wait for threads that are at work."""
    if _received:
        report()
        processes.end_all()
        os._exit(code())


def _first(number: int, frame: FrameType | None) -> None:
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    warnings.simplefilter("ignore")  # Amaranth warns of hardware that is made and not used
    _received.append(number)
    raise KeyboardInterrupt


def _overdue(reader: int) -> None:
    """Wait for a signal; end the process when the main thread does not."""
    number = os.read(reader, 1)[0]
    time.sleep(GRACE)
    processes.end_all()
    if not _received:
        _received.append(number)
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[?25h")  # a progress bar hides the cursor
    report()
    os._exit(128 + number)
