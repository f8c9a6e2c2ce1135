"""The network between the program and the server, and all that it does to requests."""

import copy
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import httpx

from reconcile.simulator import Request
from reconcile.simulator import headscale as simulated
from reconcile.simulator.wire import Response
from reconcile.simulator.world import World
from tests.simulation.laws import Ledger
from tests.simulation.machine import Killed, Machine
from tests.simulation.writer import Writer

JSON = {"Content-Type": "application/json"}
PAGE = b"<!DOCTYPE html><html><body>Sign in</body></html>"
# After these an answer may be believed that is not true: an exit code of 0 as well.
LIES = frozenset({"stale", "lost", "late"})


class _Cut(httpx.SyncByteStream):
    """The beginning of a body, then the end of the connection."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Any:
        yield self._body
        raise httpx.RemoteProtocolError("peer closed connection (incomplete body)")


@dataclass
class Late:
    """A request that reaches the server after so many others."""

    request: Request
    after: int
    known: Any


class Wire(httpx.BaseTransport):
    """Carries requests to the simulator, as well or badly as the seed has it.

    `happened` counts what went wrong by name, `sent` what the running command sent, and
    `fresh` are the paths whose last answer still tells the truth.
    """

    def __init__(self, world: World, dice: random.Random, machine: Machine) -> None:
        self.world, self._dice = world, dice
        self._clock, self._workers = machine.clock, machine.workers
        self._workers.look = lambda: self.ledger.approved
        self.writer: Writer | None = None
        self.ledger: Ledger
        self.happened: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.fresh: set[str] = set()
        self.rate = 0.0
        self.kinds: list[str] = []
        self.kills = 0.0
        self.log: list[str] = []
        self._last = ""
        self._late: list[Late] = []
        self._kept: dict[str, list[Response]] = {}

    # -- what the seed sets ------------------------------------------------------

    def storm(self) -> None:
        """Choose what goes wrong from now on, and how often: often not all at once."""
        dice = self._dice
        self.kinds = [name for name in FAULTS if dice.random() < 0.5] or ["reset"]
        self.rate = dice.choice((0.0, 0.05, 0.1, 0.2, 0.3))
        self.kills = dice.choice((0.0, 0.0, 0.0, 0.03, 0.1))

    def calm(self) -> None:
        """Let nothing go wrong any more; what is still on its way arrives."""
        self.rate = self.kills = 0.0
        self.writer = None
        self.deliver(everything=True)

    # -- requests ----------------------------------------------------------------

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, or raise what httpx raises when no answer comes."""
        path, _, query = request.url.raw_path.decode("ascii").partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Request(request.method, path, query, headers, request.read())
        self._clock.sleep(self._delay())
        self._others()
        self._may_die()
        if writes(asked):
            if asked.path.endswith("/policy") and self._last != "GET /api/v1/policy":
                self.ledger.wrong.append("a policy is written without a look at it")
            self.sent[f"{named(asked)} {asked.body.decode()}".strip()] += 1
        self._last = named(asked)
        fault = self._fault(asked)
        self.log.append(f"{named(asked)} {fault}".strip())
        answer = FAULTS[fault](self, asked) if fault else self.good(asked)
        self._may_die()
        return answer if isinstance(answer, httpx.Response) else told(answer)

    def _delay(self) -> float:
        if self.rate and self._dice.random() < 0.04:
            return 40.0  # what was read before is old now
        return 0.2

    def _others(self) -> None:
        """Let others act: the second writer, and what was on its way."""
        self.deliver()
        if self.writer:
            before = view(self.world)
            did = self.writer.act(self.world)
            if did:
                self.happened["second writer"] += 1
                self.log.append(f"    somebody else: {did}")
                self.ledger.theirs(before, view(self.world))
                self.fresh.clear()

    def _may_die(self) -> None:
        if self.kills and self._dice.random() < self.kills:
            self.happened["killed"] += 1
            self.log.append("    killed")
            raise Killed

    def _fault(self, asked: Request) -> str:
        if not self.rate or self._dice.random() >= self.rate:
            return ""
        only = WRITES_ONLY if not writes(asked) else READS_ONLY
        fitting = [name for name in self.kinds if name not in only]
        if "stale" in fitting and not self._kept.get(named(asked)):
            fitting.remove("stale")
        if not fitting:
            return ""
        fault = self._dice.choice(fitting)
        self.happened[fault] += 1
        return fault

    def _known(self) -> Any:
        """Return what was seen when the running write was decided on."""
        known = self._workers.known
        return self.ledger.approved if known is None else known

    def good(self, asked: Request, known: Any = None) -> Response:
        """Let the server do what it is asked for, and note what that changed."""
        if not writes(asked):
            answer = simulated.handle(self.world, asked)
            if asked.method == "GET":
                self._kept.setdefault(named(asked), []).append(answer)
                self.fresh.add(named(asked))
                self.ledger.seen(named(asked), self.world)
            return answer
        before = view(self.world)
        answer = simulated.handle(self.world, asked)
        known = self._known() if known is None else known
        self.ledger.ours(named(asked), before, view(self.world), known)
        self.fresh.clear()
        return answer

    def deliver(self, *, everything: bool = False) -> None:
        """Let requests that were held up reach the server."""
        for late in [*self._late]:
            late.after -= 1
            if everything or late.after < 0:
                self._late.remove(late)
                self.log.append(f"    arrives late: {named(late.request)}")
                self.good(late.request, late.known)

    # -- what goes wrong ---------------------------------------------------------

    def _reset(self, asked: Request) -> Response:
        """Break the connection, before or after the server did its part."""
        if self._dice.random() < 0.5:
            self.good(asked)
        kinds = (httpx.ReadError, httpx.RemoteProtocolError, httpx.ConnectError)
        raise self._dice.choice(kinds)("[Errno 104] Connection reset by peer")

    def _silence(self, asked: Request) -> Response:
        """Answer too late for anybody to wait, whatever the server did."""
        if self._dice.random() < 0.5:
            self.good(asked)
        self._clock.sleep(30)
        raise httpx.ReadTimeout("The read operation timed out")

    def _late_write(self, asked: Request) -> Response:
        """Break the connection; the request arrives when others have."""
        self._late.append(Late(asked, self._dice.randint(0, 6), self._known()))
        raise httpx.ReadTimeout("The read operation timed out")

    def _busy(self, _asked: Request) -> Response:
        """Ask for patience: for seconds, until a moment, for too long, or not at all."""
        moment = self._clock.at + timedelta(seconds=self._dice.choice((2, 9, 90_000)))
        wait = ("0", "3", "9", "86400", "9" * 30, format_datetime(moment, usegmt=False))
        headers = {"Retry-After": self._dice.choice(wait)}
        status = self._dice.choice((429, 429, 503))
        return Response(status, headers if self._dice.random() < 0.8 else {}, b"")

    def _broken(self, asked: Request) -> Response:
        """Answer an error, of the server or a proxy, whatever the server did."""
        if self._dice.random() < 0.5:
            self.good(asked)
        status = self._dice.choice((500, 502, 503, 504))
        body, kind = self._dice.choice(
            (
                (b'{"code":13,"message":"database is locked"}', JSON),
                (PAGE, {"Content-Type": "text/html"}),
                (b"", {}),
            )
        )
        return Response(status, kind, body)

    def _truncated(self, asked: Request) -> httpx.Response:
        """End the connection in the middle of the answer."""
        answer = self.good(asked)
        half = answer.body[: len(answer.body) // 2]
        return httpx.Response(answer.status, headers=answer.headers, stream=_Cut(half))

    def _half(self, asked: Request) -> Response:
        """Answer half of the JSON as if it were all."""
        answer = self.good(asked)
        half = answer.body[: len(answer.body) // 2]
        return Response(answer.status, answer.headers, half)

    def _page(self, asked: Request) -> Response:
        """Answer a page of a proxy, with or without having asked the server."""
        if self._dice.random() < 0.3:
            self.good(asked)
        return Response(200, {"Content-Type": "text/html"}, PAGE)

    def _refused(self, _asked: Request) -> Response:
        """Refuse the key, once."""
        return Response(401, {"Content-Type": "text/plain"}, b"Unauthorized")

    def _lost(self, _asked: Request) -> Response:
        """Say that it is done, and do nothing."""
        return Response(200, JSON, b"{}")

    def _doubled(self, asked: Request) -> Response:
        """Let a request arrive twice; either answer comes back."""
        answers = [self.good(asked), self.good(asked)]
        return self._dice.choice(answers)

    def _stale(self, asked: Request) -> Response:
        """Answer what was true some time ago, as a cache or a replica would."""
        self.fresh.discard(named(asked))
        return self._dice.choice(self._kept[named(asked)])


Fault = Callable[[Wire, Request], Response | httpx.Response]
FAULTS: dict[str, Fault] = {
    "reset": Wire._reset,
    "silence": Wire._silence,
    "late": Wire._late_write,
    "busy": Wire._busy,
    "error": Wire._broken,
    "truncated": Wire._truncated,
    "half": Wire._half,
    "page": Wire._page,
    "refused": Wire._refused,
    "lost": Wire._lost,
    "doubled": Wire._doubled,
    "stale": Wire._stale,
}
WRITES_ONLY = frozenset({"late", "lost", "doubled"})
READS_ONLY = frozenset({"stale"})


def named(asked: Request) -> str:
    return f"{asked.method} {asked.path}"


def writes(asked: Request) -> bool:
    """Tell whether a request may change something."""
    return asked.method != "GET" and not asked.path.endswith("/policy/check")


def told(answer: Response) -> httpx.Response:
    return httpx.Response(answer.status, headers=answer.headers, content=answer.body)


def view(world: World) -> dict[tuple[str, int], dict[str, Any]]:
    """Return what an administrator can set of every object, by kind and id."""
    found: dict[tuple[str, int], dict[str, Any]] = {
        ("policy", 0): {"text": world.policy.text}
    }
    for user in world.users:
        found["user", user.id] = {"name": user.name}
    for node in world.nodes:
        found["node", node.id] = {
            "name": node.name,
            "user": node.user,
            "tags": sorted(node.tags),
            "approved": sorted(node.approved),
            "expiry": node.expiry,
        }
    return copy.copy(found)
