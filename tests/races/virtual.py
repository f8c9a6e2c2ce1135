"""Two applies on the simulator, in a time that only their requests make go by.

Each has one request under way at a time. The one whose turn is next goes on when both
wait; so a seed gives the same race, however busy the machine is.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx

from reconcile import desired as desired_state
from reconcile.apply.run import Apply
from reconcile.live.credential import Secret
from reconcile.live.server import connect
from reconcile.plan.compare import kinds_needed
from reconcile.plan.plan import build
from reconcile.report.outcome import render_json, render_text
from reconcile.simulator import SimulatorTransport
from reconcile.simulator.worldfile import parse
from tests.contract import seeds
from tests.races import stories
from tests.races.stories import Story, Told


class Time:
    """The time of several threads, which stands still while one of them works."""

    def __init__(self, parties: int) -> None:
        self._changed = threading.Condition()
        self._until: dict[int, float] = {}
        self._parties, self.now = parties, 0.0

    def sleep(self, who: int, seconds: float) -> None:
        """Let time go by, and go on when everybody else waits for longer."""
        with self._changed:
            self._until[who] = self.now + seconds
            self._changed.notify_all()
            while len(self._until) < self._parties or self._next() != who:
                if not self._changed.wait(60):
                    raise TimeoutError("the other one does not go on")
            self.now = self._until.pop(who)

    def _next(self) -> int:
        return min(self._until, key=lambda who: (self._until[who], who))

    def leave(self) -> None:
        """Go: the others do not wait for this one any more."""
        with self._changed:
            self._parties -= 1
            self._changed.notify_all()


class _Slow(httpx.BaseTransport):
    """The way to the simulator, which takes time there and back."""

    def __init__(self, inner: SimulatorTransport, way: Callable[[], None]) -> None:
        self._inner, self._way = inner, way

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._way()
        answer = self._inner.handle_request(request)
        self._way()
        return answer


class _Server:
    """A server that is read one list after the other."""

    def __init__(self, desired: Any, key: str, transport: httpx.BaseTransport) -> None:
        self._desired = desired
        self._server = connect(
            "http://sim", Secret(key), writable=True, transport=transport
        )
        self.write = self._server.write

    def look(self, kinds: Any) -> Any:
        live = self._server.read(set())
        for kind in sorted(kinds):
            found = self._server.read({kind})
            live = replace(
                live,
                users=live.users if found.users is None else found.users,
                nodes=live.nodes if found.nodes is None else found.nodes,
                policy=live.policy if found.policy is None else found.policy,
            )
        return live

    def plan(self) -> Any:
        live = self.look(kinds_needed(self._desired))
        return build(self._desired, live, name="sim")


def _read(folder: Path, wishes: tuple[stories.Wish, ...]) -> Any:
    paths = []
    for name, text in stories.files(wishes).items():
        (folder / name).write_text(text)
        paths.append(str(folder / name))
    (found,) = desired_state.read(paths[:1], environ={})
    return found


def race(
    made: Story, random: Random, folder: Path, *, patient: bool = True
) -> list[str]:
    """Run one race; return what is wrong. Who is not `patient` reads back at once."""
    world = parse(json.dumps(seeds.world("0.29", "tailnet")))
    inner, key = SimulatorTransport(world), world.api_keys[0].key
    _begin(inner, key)
    wanted = [_read(folder, wishes) for wishes in made.wishes]
    time, told = Time(2), [Told(99), Told(99)]
    seeds_ = [random.random() for _ in told]

    def apply(who: int) -> None:
        mine = Random(seeds_[who])
        way = lambda: time.sleep(who, mine.uniform(0.1, 0.3))  # noqa: E731
        try:
            time.sleep(who, mine.uniform(0, 1))
            server = _Server(wanted[who], key, _Slow(inner, way))
            plan = server.plan()
            outcome = Apply(
                plan,
                server,
                server.plan,
                ticks=lambda: time.now,
                pause=partial(time.sleep, who) if patient else lambda _: None,
                parallelism=1,
            ).run()
            told[who] = _told(plan, outcome)
        finally:
            time.leave()

    threads = [threading.Thread(target=apply, args=(who,)) for who in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    live = _Server(wanted[0], key, inner).look({"user", "node", "policy"})
    return list(stories.wrong(made, (told[0], told[1]), live))


def _begin(inner: httpx.BaseTransport, key: str) -> None:
    for wish in stories.start():
        _send(inner, key, wish)


def _send(inner: httpx.BaseTransport, key: str, wish: stories.Wish) -> None:
    method, path, body = wish.request()
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url="http://sim", transport=inner, headers=headers) as http:
        http.request(method, f"/api/v1/{path}", json=body).raise_for_status()


def _told(plan: Any, outcome: Any) -> Told:
    document = json.loads(render_json([plan], [outcome], []))
    found = told(int(outcome.exit_code), document)
    found.printed = render_text([outcome])
    # What a document has, people must be told as well.
    found.named = {address for address in found.named if address in found.printed}
    return found


def told(code: int, document: dict[str, Any]) -> Told:
    """Read what an apply said, from its JSON."""
    named = {
        entry["address"]
        for entry in document["operations"]
        if entry["status"] not in ("done", "converged")
    }
    named |= {entry["address"] for entry in document["overwritten"]}
    changes = (change for one in document["servers"] for change in one["changes"])
    return Told(
        code,
        saw={change["address"]: change["before"] for change in changes},
        named=named | {*document["not_applied"], *document["moved"]},
    )


class _Meddled(httpx.BaseTransport):
    """The way to the simulator, on which somebody acts before or after one request."""

    def __init__(self, inner: SimulatorTransport, at: int, act: Callable[[], None]):
        self._inner, self._at, self._act = inner, at, act
        self.lines: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if len(self.lines) == self._at:
            self._act()
        self.lines.append(f"{request.method} {request.url.path}")
        return self._inner.handle_request(request)


def meddled(
    wishes: tuple[stories.Wish, ...], theirs: stories.Wish, at: int, folder: Path
) -> tuple[list[str], Told, Any]:
    """Apply, while somebody writes a field without looking before request `at`.

    Returns the requests, what the apply said, and what is there at the end.
    """
    world = parse(json.dumps(seeds.world("0.29", "tailnet")))
    inner, key = SimulatorTransport(world), world.api_keys[0].key
    _begin(inner, key)
    desired = _read(folder, wishes)

    way = _Meddled(inner, at, lambda: _send(inner, key, theirs))
    server = _Server(desired, key, way)
    plan = server.plan()
    outcome = Apply(plan, server, server.plan, pause=lambda _: None).run()
    live = _Server(desired, key, inner).look({"user", "node", "policy"})
    return way.lines, _told(plan, outcome), live
