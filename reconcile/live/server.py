"""Talking to a control server: what every adapter offers, and how one is opened."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from reconcile.live.credential import Secret
from reconcile.live.headscale.adapter import Headscale
from reconcile.live.http import Http
from reconcile.model import Live, Operation

if TYPE_CHECKING:
    import httpx


class Server(Protocol):
    """A control server. Only one that was opened `writable` takes `write`."""

    def read(self, kinds: AbstractSet[str]) -> Live:
        """Return the live state of the kinds named, complete."""

    def write(self, operation: Operation) -> None:
        """Make one change, or raise the ServerError that says why not."""

    def check_policy(self, text: str) -> None:
        """Check a policy without storing it; raise Rejected when it is bad."""

    def close(self) -> None:
        """Close every connection."""


def now() -> datetime:
    """Return the present, in whole seconds of UTC."""
    return datetime.now(UTC).replace(microsecond=0)


def connect(
    url: str,
    key: Secret | None,
    *,
    writable: bool = False,
    timeout: float | None = None,
    connections: int = 32,
    size: int | None = None,
    transport: "httpx.BaseTransport | None" = None,
    clock: Callable[[], datetime] = now,
) -> Headscale:
    """Open a Headscale server and find out its release.

    Raises Unreachable, AuthError or NotAControlServer when that fails.
    """
    http = Http(
        url,
        key,
        writable=writable,
        timeout=timeout,
        connections=connections,
        size=size,
        transport=transport,
    )
    try:
        return Headscale(http, clock)
    except BaseException:
        http.close()
        raise
