"""Other processes that this one starts: none of them outlives it, and none of them says anything when it is ended.

A command runs in a session of its own, so that Ctrl-C in a terminal reaches this process alone, which ends the others.
Where this process dies without a word (SIGKILL), Linux ends its commands, and its workers notice by a pipe.
"""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

from threadpoolctl import threadpool_limits

__all__ = ["ONE_THREAD", "captured", "choose_threads", "end_all", "one_blas_thread", "run", "workers"]

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Environment in which the libraries for matrices start one thread: what runs side by side needs no more."""


def choose_threads() -> None:
    """Have the libraries for matrices start one thread, unless the environment says how many; before numpy is imported.

    Threads for matrices wait for each other without sleeping: beside busy processes two of them learn more slowly than
    one, wide networks many times so, and alone they could at most be twice as fast.
    """
    if not _threads_are_chosen():
        os.environ.update(ONE_THREAD)


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Compute with one thread for matrices inside; with as many as the environment says, if it says any."""
    if _threads_are_chosen():
        yield
        return
    with threadpool_limits(1, user_api="blas"):
        yield


def _threads_are_chosen() -> bool:
    return any(os.environ.get(name) for name in ONE_THREAD)


# A function of Popen's (preexec_fn) could wait for ever for a lock that another thread of this process held.
_GUARD = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""

_LIVE: set["subprocess.Popen[Any]"] = set()


@contextlib.contextmanager
def _started(command: Sequence[str | Path], **options: Any) -> Iterator["subprocess.Popen[Any]"]:
    """Start a command that ends, with all that it has started, at the end of the block at the latest."""
    program, path = str(command[0]), (options.get("env") or os.environ).get("PATH", os.defpath)
    if shutil.which(program, path=path) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)
    guarded = [sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid()), *map(str, command)]
    process = subprocess.Popen(guarded, start_new_session=True, **options)
    _LIVE.add(process)
    try:
        yield process
    finally:
        _end(process)
        _LIVE.discard(process)


def _end(process: "subprocess.Popen[Any]") -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def end_all() -> None:
    """End every command that this process has started."""
    for process in list(_LIVE):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def run(
    command: Sequence[str | Path],
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    output: IO[Any] | None = None,
    tick: Callable[[], object] | None = None,
) -> int:
    """Run a command to its end.

    Parameters
    ----------
    command : sequence of str or Path
        Program and arguments; the program is sought in the ``PATH`` of ``env``.
    cwd : path, optional
        Folder that it runs in.
    env : mapping of str to str, optional
        Its whole environment; this process's own unless given.
    output : file, optional
        Where stdout and stderr go; this process's own unless given.
    tick : callable, optional
        Called four times a second while it runs.

    Returns
    -------
    int
        Exit code; negative: the signal that ended it.

    Raises
    ------
    FileNotFoundError
        If there is no such program.
    """
    streams = {} if output is None else {"stdout": output, "stderr": subprocess.STDOUT}
    with _started(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, **streams) as process:
        while tick is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.25)
                break
            tick()
        return process.wait()


def captured(
    command: Sequence[str | Path],
    text: str = "",
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end and return its exit code, stdout and stderr.

    Parameters
    ----------
    command : sequence of str or Path
        Program and arguments.
    text : str
        Its stdin.
    cwd, env : optional
        As for :func:`run`.
    timeout : float, optional
        Seconds after which it is ended.

    Raises
    ------
    FileNotFoundError
        If there is no such program.
    subprocess.TimeoutExpired
        If it had to be ended.
    """
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with _started(command, cwd=cwd, env=env, text=True, **pipes) as process:
        out, err = process.communicate(text, timeout)
        return subprocess.CompletedProcess(list(map(str, command)), process.returncode, out, err)


# Workers ------------------------------------------------------------------------------------------------------------


class _Pool(ProcessPoolExecutor):
    """Starts its processes deaf to Ctrl-C from their first instruction on: it is for this process to end them."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def workers(
    processes: int, initializer: Callable[..., object] | None = None, initargs: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes that do jobs, with one BLAS thread each; a context manager.

    When the block ends by an exception, and when this process is gone, they end at once, and so do their commands.

    Parameters
    ----------
    processes : int
        How many at most.
    initializer : callable, optional
        Called first in each, with ``initargs``.
    """
    # Forked, a process would wait for threads of the WebAssembly yosys that it does not have.
    context = get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    pool = _Pool(max(processes, 1), mp_context=context, initializer=_begin, initargs=(reader, initializer, initargs))
    with reader, writer, _environment(ONE_THREAD):
        try:
            yield pool
            pool.shutdown()
        except BaseException:
            writer.close()
            pool.shutdown(cancel_futures=True)
            raise


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for every process that is started inside: a pool has no other way."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _begin(reader: Connection, initializer: Callable[..., object] | None, initargs: tuple[Any, ...]) -> None:
    """Begin a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_outlived, args=(reader,), daemon=True).start()
    if initializer is not None:
        initializer(*initargs)


def _outlived(reader: Connection) -> None:
    """End this worker once the other end of the pipe is closed, which it is too when its process is gone."""
    with contextlib.suppress(EOFError, OSError):
        reader.recv_bytes()
    end_all()
    os._exit(1)
