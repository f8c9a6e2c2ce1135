"""What a question about access may be about: ports, protocols, logins, capabilities."""

import re
from dataclasses import dataclass

from reconcile.policy.access.claims import SSH
from reconcile.policy.language.document import Service
from reconcile.policy.language.releases import ICMP, ICMPV6, SCTP, TCP, UDP
from reconcile.policy.language.sets import ALL_PORTS, IntervalSet
from reconcile.policy.reading.rules import PROTOCOLS

PING = "icmp"
FORMS = (
    "write 443, 8000-8100, 53/udp, * for every port, icmp, ssh for logging in, or the "
    "name of a capability"
)
_PORTED = {"tcp": TCP, "udp": UDP, "sctp": SCTP}
_EVERY = IntervalSet([(1, 65535)])
_CAPABILITY = re.compile(r"[\w-]+(\.[\w-]+)+/.+")
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?|\*")


@dataclass(frozen=True, slots=True)
class Traffic:
    """Services that a question is about; without any it is whatever filters let in.

    With `whole` all of them must be open for a "yes", else one of them will do. `word`
    is SSH for logging in, or the name of a capability, instead.
    """

    services: tuple[Service, ...] = ()
    whole: bool = False
    word: str = ""

    @property
    def is_ping(self) -> bool:
        """Tell whether it is ICMP, which clients treat in a way of their own."""
        return any(ICMP in service.protocols for service in self.services)


ANY_TRAFFIC = Traffic()
# What is open at every port is so over TCP and over UDP.
EVERY_PORT = Traffic(
    (Service(frozenset({TCP}), _EVERY), Service(frozenset({UDP}), _EVERY)), whole=True
)


def traffic(text: str) -> Traffic:
    """Return what a text asks about: `443`, `8000-8100/udp`, `*`, `icmp`, `ssh`.

    Raises ValueError when it is none of the FORMS.
    """
    if text == SSH or _CAPABILITY.fullmatch(text):
        return Traffic(word=text)
    ports, slash, protocol = text.partition("/")
    if text == "*":
        return EVERY_PORT
    if text in _PORTED:
        return Traffic((Service(frozenset({_PORTED[text]}), _EVERY),), whole=True)
    if text in PROTOCOLS:
        numbers = (ICMP, ICMPV6) if text == PING else (PROTOCOLS[text],)
        return Traffic(tuple(Service(frozenset({n}), ALL_PORTS) for n in numbers))
    if (slash and protocol not in _PORTED) or not _PORTS.fullmatch(ports):
        raise ValueError(text)
    number = _PORTED[protocol or "tcp"]
    return Traffic((Service(frozenset({number}), _numbers(ports)),), whole=True)


def _numbers(text: str) -> IntervalSet:
    if text == "*":
        return _EVERY
    low, dash, high = text.partition("-")
    first, last = int(low), int(high if dash else low)
    if not 0 < first <= last <= 65535:
        raise ValueError(text)
    return IntervalSet([(first, last)])
