"""Ctrl-C, and the signals that mean the same: held back where they would do harm.

A KeyboardInterrupt may come between any two steps of the main thread. Where it comes
while the HTTP library takes a lock, the lock stays taken, and the other threads that
use the same connections wait for ever. So a request is finished first; whoever does not
want to wait for its answer presses Ctrl-C again.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # a runner is stopped, a terminal is closed
_WAITING = (
    b"\nInterrupted: waits for the server's answer; a second Ctrl-C ends at once.\n"
)


class _State:
    """How many requests of the main thread run, and whether a signal came meanwhile."""

    running = 0
    came = False


def listen() -> None:
    """Let the signals raise KeyboardInterrupt, except those that are to be ignored."""
    for name in _SIGNALS:
        number = getattr(signal, name, None)  # not every system has all of them
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(_signal: int, _frame: object) -> None:
    if _State.running and not _State.came:
        _State.came = True
        os.write(2, _WAITING)
        return
    raise KeyboardInterrupt


@contextmanager
def held_back() -> Iterator[None]:
    """Let a signal raise its KeyboardInterrupt at the end of the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _State.running += 1
    try:
        yield
    finally:
        _State.running -= 1
        if _State.came and not _State.running:
            _State.came = False
            raise KeyboardInterrupt
