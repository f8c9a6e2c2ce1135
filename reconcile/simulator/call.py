"""One call to the API as its handlers see it, and the table of routes they fill."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from reconcile.simulator.bodies import Schema
from reconcile.simulator.release import Release
from reconcile.simulator.wire import INVALID, Refusal, Request
from reconcile.simulator.world import World


@dataclass
class Call:
    """A routed request: the world it acts on, and its path, query and body fields."""

    world: World
    request: Request
    path: dict[str, str]
    query: dict[str, str]
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def release(self) -> Release:
        """How the emulated version behaves."""
        return self.world.release


Handler = Callable[[Call], Any]


def always(_release: Release) -> bool:
    """Say that every version has a route."""
    return True


@dataclass(frozen=True)
class Route:
    """A method and path, what handles it, the body it reads, and who has it."""

    method: str
    path: str
    handler: Handler
    body: Schema | None = None
    body_optional: bool = False
    available: Callable[[Release], bool] = always

    def match(self, parts: list[str]) -> dict[str, str] | None:
        """Return the path's parameters when the path is this route's."""
        wanted = self.path.split("/")
        if len(wanted) != len(parts):
            return None
        found = {}
        for name, part in zip(wanted, parts, strict=True):
            if name.startswith("{"):
                found[name[1:-1]] = part
            elif name != part:
                return None
        return found


def unsigned(text: str, message: str, detail: str | None = None) -> int:
    """Return a number given as text; otherwise refuse with the version's own words.

    `message` is what the gateway writes before the reason, `detail` what main does;
    without a detail main writes the gateway's message.
    """
    if text.isascii() and text.isdecimal():
        return int(text)
    reason = f'strconv.ParseUint: parsing "{text}": invalid syntax'
    if detail is None:
        raise Refusal(INVALID, message + reason, 400, message + reason)
    raise Refusal(INVALID, message + reason, 400, detail, reason)
