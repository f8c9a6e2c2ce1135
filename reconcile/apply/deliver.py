"""A policy on its way to a server that reads it from a file: the admin's own channel.

Only an apply comes here. No shell is involved, and the text of the policy is never an
argument or a variable. What a command prints is hostile, and may hold secrets.
"""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic, sleep
from typing import IO

from reconcile.desired.state import Delivery
from reconcile.errors import AuthError, NotApplied, ReconcileError, ServerError
from reconcile.source import disk
from reconcile.source.variables import as_written

# How long a server may take to show what was delivered, and how often it is asked.
_PATIENCE = 15.0
_PAUSES = (0.2, 0.3, 0.5, 1.0)

# What is told of a command's error output: its end.
_TAIL, _LINES, _WIDTH = 65536, 3, 200
_KEY = re.compile(r"\b(hskey|tskey)-[A-Za-z0-9_-]+")
_BY_HAND = (
    "run it by hand to see why; Headscale shows a new file even before it has read it, "
    "so make sure that it does"
)


def deliver(
    way: Delivery,
    text: str,
    shown: Callable[[], str | None],
    environ: Mapping[str, str],
    *,
    timeout: float,
) -> None:
    """Deliver a policy, and return when the server shows it, byte for byte.

    `shown` asks the server for its policy; `environ` are the variables of the program
    that is run, and `timeout` the seconds that it may take.
    Raises ReconcileError when the file cannot be written or the program fails (a file
    that was written is then as it was), and NotApplied when both went well and the
    server still shows another policy.
    """
    data = text.encode()
    try:
        if way.command:
            _run(way.command, data, environ, timeout)
        else:
            _to_file(way, data, environ, timeout)
    except ValueError as error:  # such as a NUL in a path or an argument
        raise ReconcileError(f"cannot deliver the policy: {error}") from None
    _await(text, shown)


def _to_file(
    way: Delivery, data: bytes, environ: Mapping[str, str], timeout: float
) -> None:
    """Write the file and run what follows; when that fails, put the old file back.

    Headscale shows its file before it has read it, so that a later plan could not
    tell that something is left to do.
    """
    path = Path(way.file).resolve()
    before = _content(path)
    disk.overwrite(path, data)
    try:
        if way.then:
            _run(way.then, b"", environ, timeout)
    except (ReconcileError, ValueError):
        if before is None:
            path.unlink(missing_ok=True)
        else:
            disk.overwrite(path, before)
        raise


def _content(path: Path) -> bytes | None:
    """Return what a file holds, None when there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ReconcileError(f"cannot read {path}: {error.strerror}") from None


def _run(
    program: Sequence[str], data: bytes, environ: Mapping[str, str], timeout: float
) -> None:
    """Run a program to its end; files instead of pipes, so that nothing can block."""
    name = as_written(program[0])
    with TemporaryFile() as stdin, TemporaryFile() as stderr:
        stdin.write(data)
        stdin.seek(0)
        try:
            # In a session of its own it outlives a Ctrl-C, as every running write does.
            process = subprocess.Popen(
                program,
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env=environ,
                start_new_session=True,
            )
        except OSError as error:
            raise ReconcileError(f"{name} did not run: {error.strerror}") from None
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise ReconcileError(
                f"{name} did not end within {timeout:g} s and was stopped"
                f"{_said(stderr)}",
                "give it longer with --timeout, or let it end by itself",
            ) from None
        if status:
            end = f"status {status}" if status > 0 else f"signal {-status}"
            raise ReconcileError(f"{name} ended with {end}{_said(stderr)}", _BY_HAND)


def _said(stderr: IO[bytes]) -> str:
    """Return the end of a program's error output for a message, keys left out."""
    start = max(0, stderr.seek(0, os.SEEK_END) - _TAIL)
    stderr.seek(start)
    if start:
        stderr.readline()  # a line without its beginning could hold half a key
    text = _KEY.sub(r"\1-…", stderr.read().decode(errors="replace"))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    cut = [f"{line[:_WIDTH]}…" if len(line) > _WIDTH else line for line in lines]
    return f": {' | '.join(cut[-_LINES:])}" if cut else ""


def _await(text: str, shown: Callable[[], str | None]) -> None:
    """Ask the server until it shows a text; it may be starting again meanwhile."""
    deadline, pauses = monotonic() + _PATIENCE, iter(_PAUSES)
    while True:
        why = "it shows another policy"
        try:
            if shown() == text:
                return
        except AuthError:
            raise
        except ServerError as error:
            why = str(error)
        if monotonic() > deadline:
            raise NotApplied(
                f"it was delivered, and after {_PATIENCE:g} s the server does not "
                f"show it: {why}",
                "is it the file that policy.path of the server's configuration names, "
                "and was the server told to read it again?",
            )
        sleep(next(pauses, 2.0))
