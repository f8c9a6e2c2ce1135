"""Let two applies race on a real server.

usage: python -m tests.races RELEASE COUNT SEED [dear]

RELEASE is one of HEADSCALE_BINARIES. With "dear" the key is one that the server made,
which takes it 50 ms at each request; otherwise it is one that costs nothing. A third of the races each is about the same node,
about the same policy, and about different objects. In half of them both start at some
moment of their own; in the others the first one is held at one of its requests, before
or after the server does its part, until the second one has written. Prints what is
wrong; the exit code is 1 if there was anything.
"""

import contextlib
import json
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import httpx

from reconcile.live.credential import Secret
from reconcile.live.server import connect
from tests.bad_server import BadServer, Fault, running
from tests.contract.real import PROGRAMS, RealServer
from tests.interruptions.__main__ import Forward
from tests.interruptions.runs import run
from tests.races import stories
from tests.races.stories import KINDS, Story, Told
from tests.races.virtual import told

_HELD = 5.0  # seconds, at most
# A key whose check costs the server next to nothing: with one that it makes itself,
# nearly all of a race goes into the 50 ms that each check takes.
_KEY = "racing0.secret-of-races-"
_HASH = b"$2b$04$rrrrrrrrrrrrrrrrrrrrreS9XOxRPuDBnbAN8oKYd8rsFFCxFlHJe"


def _insert_key(server: RealServer) -> None:
    """Put the cheap key into the database of a stopped server."""
    database = sqlite3.connect(server.folder / "db.sqlite")
    with contextlib.closing(database) as connection:
        connection.execute(
            "insert into api_keys (prefix, hash, expiration, created_at) "
            "values (?, ?, '2099-01-01', '2030-01-01')",
            (_KEY.partition(".")[0], _HASH),
        )
        connection.commit()
    server.api_key = _KEY


class _Held:
    """Hold the first writer at a request until the second one has written."""

    def __init__(self, number: int, *, done: bool) -> None:
        self.number, self.done, self.seen = number, done, 0
        self.go = threading.Event()

    def __call__(self, handler: Any, good: Any) -> None:
        self.seen += 1
        mine = self.seen - 1 == self.number
        if mine and not self.done:
            self.go.wait(_HELD)
        answer = good()
        if mine and self.done:
            self.go.wait(_HELD)
        handler.reply(answer.status, answer.body, answer.headers)


class _Writes:
    """Tell when the second writer has written."""

    def __init__(self, go: threading.Event) -> None:
        self.go = go

    def __call__(self, handler: Any, good: Any) -> None:
        answer = good()
        if handler.command != "GET" and "check" not in handler.path:
            self.go.set()
        handler.reply(answer.status, answer.body, answer.headers)


class _Ground:
    """A server, and a way to it for each writer."""

    def __init__(self, server: RealServer, folder: Path, ways: list[BadServer]) -> None:
        self._server, self._folder, self._ways = server, folder, ways
        headers = {"Authorization": f"Bearer {server.api_key}"}
        self._http = httpx.Client(base_url=server.url, headers=headers, timeout=60)
        self._reader = connect(server.url, Secret(server.api_key))
        self._live = self._reader.read({"node", "policy"})

    def begin(self) -> None:
        """Make everything as it is before a race."""
        for wish in stories.start():
            method, path, body = wish.request()
            cannot = (wish.field, self._server.release) == ("expiry", "0.26")
            if not cannot and wish.there(self._live) != wish.value:
                self._http.request(
                    method, f"/api/v1/{path}", json=body
                ).raise_for_status()

    def race(self, made: Story, random: Random) -> list[str]:
        """Run one race; return what is wrong, with what both of them said."""
        self.begin()
        delays = [0.0, 0.0]
        for way in self._ways:
            way.faults = []
        if random.random() < 0.5:
            delays[random.randrange(2)] = random.uniform(0, 0.3)
        else:
            held = _Held(random.randrange(16), done=random.random() < 0.5)
            self._ways[0].faults = [Fault("", held)]
            self._ways[1].faults = [Fault("", _Writes(held.go))]
        ended: list[Told] = [Told(99), Told(99)]

        def apply(who: int) -> None:
            time.sleep(delays[who])
            ended[who] = self._apply(who, made.wishes[who])

        threads = [threading.Thread(target=apply, args=(who,)) for who in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.codes = tuple(one.code for one in ended)
        self._live = self._reader.read({"node", "policy"})
        return list(stories.wrong(made, (ended[0], ended[1]), self._live))

    def _apply(self, who: int, wishes: tuple[stories.Wish, ...]) -> Told:
        work = self._folder / str(who) / "work"
        work.mkdir(parents=True, exist_ok=True)
        for name, text in stories.files(wishes).items():
            (work / name).write_text(text)
        environ = {
            "HEADSCALE_URL": self._ways[who].url,
            "HEADSCALE_API_KEY": self._server.api_key,
        }
        words = ("apply", "--auto-approve", "--format", "json", "--progress", "none")
        ended = run(work, environ, *words, alone=False)
        start, end = ended.printed.find("{"), ended.printed.rfind("}") + 1
        try:
            found = told(ended.code, json.loads(ended.printed[start:end]))
        except (ValueError, KeyError):
            found = Told(ended.code)
        found.printed = ended.printed
        return found


def main(arguments: list[str]) -> int:
    """Run the races; return 0, 1 where something is wrong, 64 for wrong usage."""
    dear = arguments[3:] == ["dear"]
    if len(arguments) != 3 + dear or arguments[0] not in PROGRAMS:
        print(__doc__)
        return 64
    release, count, seed = arguments[0], int(arguments[1]), arguments[2]
    wrong, codes = 0, Counter[Any]()
    with tempfile.TemporaryDirectory() as name, running() as one, running() as two:
        server = RealServer(release, "tailnet", Path(name, "server"))
        server.prepare()
        if not dear:
            _insert_key(server)
        server.start()
        try:
            one.simulator = two.simulator = Forward(server.url)
            ground = _Ground(server, Path(name), [one, two])
            for number in range(count):
                random = Random(f"{release} {seed} {number}")
                made = stories.story(KINDS[number % len(KINDS)], random, release)
                found = ground.race(made, random)
                codes[made.kind, ground.codes] += 1
                if found:
                    wrong += 1
                    print(f"race {number}: {made}", *found, sep="\n", flush=True)
        finally:
            server.stop()
    for (kind, both), times in sorted(codes.items()):
        print(f"{kind}: exit codes {both[0]} and {both[1]}: {times}")
    print(f"{count} races, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
