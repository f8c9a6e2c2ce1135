"""What can happen at a request, each as something that a `BadServer` does there."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.bad_server import cut

Act = Callable[[Any, Callable[[], Any]], None]


@dataclass
class Victim:
    """The process that is running; 0 until it has started."""

    pid: int = 0

    def signal(self, number: signal.Signals) -> None:
        while not self.pid:
            time.sleep(0.001)
        os.kill(self.pid, number)


def _killed(number: signal.Signals, victim: Victim, *, done: bool) -> Act:
    """Let the process get a signal before or after the server did its part."""

    def act(handler: Any, good: Callable[[], Any]) -> None:
        answer = good() if done else None
        victim.signal(number)
        if number is signal.SIGKILL:
            handler.reset()
            return
        answer = answer or good()
        handler.reply(answer.status, answer.body, answer.headers)

    return act


def _lost(_victim: Victim, *, done: bool) -> Act:
    """Reset the connection before or after the server did its part."""

    def act(handler: Any, good: Callable[[], Any]) -> None:
        if done:
            good()
        handler.reset()

    return act


def _proxied(_victim: Victim, *, done: bool) -> Act:
    """Let a proxy answer 502, whether or not the server did its part."""

    def act(handler: Any, good: Callable[[], Any]) -> None:
        if done:
            good()
        handler.reply(502, b"<html>bad gateway</html>", {"Content-Type": "text/html"})

    return act


def _kinds() -> dict[str, Callable[[Victim], Act]]:
    found: dict[str, Callable[[Victim], Act]] = {}
    for done, when in ((False, "before"), (True, "after")):
        for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"):
            number = signal.Signals[name]
            found[f"{name} {when}"] = partial(_killed, number, done=done)
        found[f"reset {when}"] = partial(_lost, done=done)
        found[f"502 {when}"] = partial(_proxied, done=done)
    found["cut in the answer"] = lambda _victim: cut
    return found


KINDS = _kinds()


@dataclass
class At:
    """Do something at one request, and let the server answer all others."""

    number: int
    act: Act
    seen: int = 0

    def __call__(self, handler: Any, good: Callable[[], Any]) -> None:
        self.seen += 1
        if self.seen - 1 == self.number:
            self.act(handler, good)
            return
        answer = good()
        handler.reply(answer.status, answer.body, answer.headers)
