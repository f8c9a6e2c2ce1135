"""The process as a seed has it: its clock, its order of things, its disk, its network.

The program takes these from a few modules; here each is put in their place. Nothing
sleeps, and no thread runs.
"""

import contextlib
import errno
import io
import os
import random
import time
import traceback
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest import mock

import httpx

from reconcile.apply import run as apply
from reconcile.cli import run
from reconcile.desired import reading
from reconcile.jobs import connection
from reconcile.live import exchange, http, server
from reconcile.live.headscale import adapter as headscale
from reconcile.simulator import world
from reconcile.source import disk, mask

START = datetime(2030, 6, 1, tzinfo=UTC)
KEY = "hskey-api-SECRETprefix-SECRETsecretSECRETsecretSECRET"


class Killed(BaseException):
    """The process ends here, as by SIGKILL: what follows is never done."""


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.at = START

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def now(self, _zone: object = UTC) -> datetime:
        return self.at

    def whole(self) -> datetime:
        return self.at.replace(microsecond=0)

    def monotonic(self) -> float:
        return (self.at - START).total_seconds()

    def time_ns(self) -> int:
        return int(self.at.timestamp()) * 10**9


class Workers:
    """A pool without threads: what is handed in waits until the dice say its turn.

    `look` returns what is known when something is handed in; `known` is that, while the
    thing runs: a thread may be slow.
    """

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._waiting: dict[Future[Any], tuple[partial[Any], Any]] = {}
        self.look: Callable[[], Any] = dict
        self.known: Any = None

    def submit(self, function: Any, *arguments: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        self._waiting[future] = partial(function, *arguments), self.look()
        return future

    def one(self, _running: Collection["Future[Any]"], *_: Any, **__: Any) -> Any:
        """Run one of those that wait, in the place of `concurrent.futures.wait`."""
        future = self._dice.choice([*self._waiting])
        job, self.known = self._waiting.pop(future)
        future.set_result(job())
        self.known = None
        return SimpleNamespace(done={future})

    def shutdown(self, **_: Any) -> None:
        self._waiting.clear()
        self.known = None


class AtOnce:
    """A pool that does what it gets at once."""

    def __init__(self, _size: int) -> None:
        pass

    def __enter__(self) -> "AtOnce":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, function: Any, *arguments: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


class Disk:
    """The system calls that write files; each fails as often as `share` says."""

    def __init__(self, dice: random.Random) -> None:
        self._dice, self.share, self.failed = dice, 0.0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def _may_fail(self) -> None:
        if self._dice.random() < self.share:
            self.failed += 1
            number = self._dice.choice((errno.ENOSPC, errno.EIO, errno.EROFS))
            raise OSError(number, os.strerror(number))

    def open(self, *arguments: Any) -> int:
        self._may_fail()
        return os.open(*arguments)

    def fsync(self, number: int) -> None:
        self._may_fail()
        os.fsync(number)


class Machine:
    """A process that can be run again and again against one network."""

    def __init__(self, dice: random.Random, clock: Clock) -> None:
        self.clock, self.disk = clock, Disk(dice)
        self._dice, self.workers = dice, Workers(dice)

    @contextlib.contextmanager
    def on(self, wire: httpx.BaseTransport) -> Iterator[None]:
        """Put the seed's clock, network, disk and order in their places."""
        clock, workers = self.clock, self.workers
        connect = partial(server.connect, clock=clock.whole)
        stamps = SimpleNamespace(
            time_ns=clock.time_ns, strftime=time.strftime, gmtime=time.gmtime
        )
        ticks = SimpleNamespace(sleep=clock.sleep, monotonic=clock.monotonic)
        dates = SimpleNamespace(now=clock.now)
        places = (
            (exchange, "time", ticks),
            (exchange, "random", self._dice),
            (exchange, "datetime", dates),
            (http, "network", lambda _url, _size: wire),
            (headscale, "ThreadPoolExecutor", AtOnce),
            (apply, "ThreadPoolExecutor", lambda _size: workers),
            (apply, "wait", workers.one),
            (apply, "monotonic", clock.monotonic),
            (apply, "sleep", clock.sleep),
            (connection, "connect", connect),
            (reading, "datetime", dates),
            (world, "time", stamps),
            (disk, "os", self.disk),
        )
        environ = {"HEADSCALE_URL": "http://hs.example", "HEADSCALE_API_KEY": KEY}
        with contextlib.ExitStack() as stack:
            for place, name, value in places:
                stack.enter_context(mock.patch.object(place, name, value))
            stack.enter_context(
                mock.patch("reconcile.live.own_node.local_address", return_value="")
            )
            stack.enter_context(mock.patch.dict(os.environ, environ))
            yield

    def run(self, words: list[str]) -> tuple[int, str]:
        """Run a command line; return its exit code, and what it printed.

        The exit code is -9 where it was killed.
        """
        mask.forget()
        printed = io.StringIO()
        out, err = contextlib.redirect_stdout, contextlib.redirect_stderr
        with out(printed), err(printed):
            try:
                code = int(run(words))
            except Killed:
                self.workers.shutdown()
                code = -9
            except Exception:
                traceback.print_exc(file=printed)
                code = -1
        return code, printed.getvalue()
