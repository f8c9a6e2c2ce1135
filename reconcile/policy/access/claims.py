"""What a file may assert of access, in the policy's own words.

Whether it holds is found out by `assertions`; these are only the words.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from reconcile.errors import Position
from reconcile.policy.language.releases import SCTP, TCP, UDP

_PROTOCOLS = {"tcp": TCP, "udp": UDP, "sctp": SCTP}
_NAMES = {number: name for name, number in _PROTOCOLS.items()}
SSH = "ssh"


class Port(NamedTuple):
    """One port of one protocol, as `Access` takes the two.

    `number` is SSH for logging in, the name of a capability for that, and None for
    every port.
    """

    number: int | str | None
    protocol: int = TCP

    def __str__(self) -> str:
        if self.number == SSH:
            return SSH
        return f"{_NAMES[self.protocol]} {self.number}"


def port(text: str) -> Port:
    """Return the port that a text means: `443`, `53/udp` or `ssh`.

    Raises ValueError when it is none.
    """
    if text == SSH:
        return Port(SSH)
    number, slash, protocol = text.partition("/")
    valid = number.isascii() and number.isdigit() and 0 < int(number) <= 65535
    if not valid or (slash and protocol not in _PROTOCOLS):
        raise ValueError(text)
    return Port(int(number), _PROTOCOLS[protocol or "tcp"])


@dataclass(frozen=True, slots=True)
class Paths:
    """`no` path from a source to a target, or `allow` all of them.

    Both are selectors, addresses or `node:NAME`. Without a port, which only `no` can
    be, all services are meant.
    """

    allow: bool
    source: str
    target: str
    port: Port | None = None

    def __str__(self) -> str:
        what = "every path" if self.allow else "no path"
        on = f" on {self.port}" if self.port else ""
        return f"{what} {self.source} -> {self.target}{on}"


@dataclass(frozen=True, slots=True)
class Routers:
    """`at_least` so many nodes whose approved routes cover a whole network."""

    count: int
    network: str

    def __str__(self) -> str:
        noun = "router" if self.count == 1 else "routers"
        return f"at least {self.count} {noun} for {self.network}"


Claim = Paths | Routers


@dataclass(frozen=True, slots=True)
class Assert:
    """One entry of `assert`: what must hold, and why somebody wants it so."""

    index: int
    claim: Claim
    because: str = ""
    position: Position | None = field(default=None, compare=False)
