"""What is tried: points of the address space, and services at their edges."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.contract.tailnets.ranges import V6, inside, number, public, spans
from tests.contract.tailnets.state import State

TCP, UDP, SCTP, ICMP, ICMPV6 = 6, 17, 132, 1, 58
PORTED = (TCP, UDP, SCTP)
PORTLESS = (ICMP, ICMPV6, 2, 4, 47, 50, 51)  # igmp, ip-in-ip, gre, esp, ah
DEFAULT = (TCP, UDP, ICMP, ICMPV6)  # what a rule without a protocol means to clients
INTERNET = (
    "8.8.8.8",
    "9.9.9.9",
    "1.1.1.1",
    "203.0.113.9",
    "2001:4860:4860::8888",
    "2606:4700::1111",
)
# A protocol and a port, 0 where it has none; or SSH or CHECK and a login.
Service = tuple[int, int] | tuple[str, str]
SSH, CHECK = "ssh", "ssh with check"
SOMEBODY = "somebody"  # a login that no rule names
_MOST_PORTS = 14


@dataclass(frozen=True)
class Point:
    """An address. `devices` are the ids of the nodes that have it on either side.

    `place` is its bit in sets of points, and `network` a route that leads to it on
    either side, "" without one.
    """

    place: int
    address: int
    text: str
    devices: frozenset[int]
    network: str


class Probes:
    """Points and services; sets of points are numbers, one bit a point.

    A path is one bit as well: the service's number times the number of points, plus
    the destination's. So what a source may open is one number.
    """

    def __init__(
        self,
        states: Iterable[State],
        texts: Iterable[str],
        ports: Iterable[int],
        logins: Iterable[str] = (),
    ) -> None:
        self.states = tuple(states)
        self.routes = sorted(
            {r for s in self.states for d in s.devices for r in d.subnets}
        )
        self.points = list(_points(self.states, self.routes, set(texts)))
        numbers = _edges(ports)
        self.services: list[Service] = [(p, n) for p in PORTED for n in numbers]
        self.services += [(protocol, 0) for protocol in PORTLESS]
        self.logins = sorted({"root", SOMEBODY, *logins})
        self.services += [(kind, name) for kind in (SSH, CHECK) for name in self.logins]
        self.size = len(self.points)
        self._inside: dict[str, int] = {}
        self._addresses: dict[frozenset[int], int] = {}
        self._served: dict[object, int] = {}

    @cached_property
    def all(self) -> int:
        return (1 << self.size) - 1

    @cached_property
    def v6(self) -> int:
        return self.where(lambda point: point.address >= V6)

    @cached_property
    def public(self) -> int:
        return self.where(lambda point: public(point.address))

    @cached_property
    def others(self) -> list[int]:
        """The paths that each point may have at all.

        Not to the other family, to itself, or to what is in one network with it.
        """
        return [self.any_service * self._others(point) for point in self.points]

    @cached_property
    def any_service(self) -> int:
        """All services, as the destination bits that each of them is shifted by."""
        return self._chosen(lambda _: True)

    @cached_property
    def any_login(self) -> int:
        """All logins over SSH in the same way."""
        return self._chosen(lambda service: service[0] in (SSH, CHECK))

    @cached_property
    def families(self) -> list[int]:
        """The paths of each point to its own address family."""
        sixth = self.any_service * self.v6
        fourth = self.any_service * (self.all & ~self.v6)
        return [sixth if p.address >= V6 else fourth for p in self.points]

    def _others(self, point: Point) -> int:
        bit = 1 << point.place
        kept = self.v6 if self.v6 & bit else self.all & ~self.v6
        if point.devices:
            return kept & ~self.of(point.devices)
        for network in map(self.within, self.routes):
            if network & bit:
                kept &= ~network
        return kept

    def where(self, fits: Any) -> int:
        """Return the points for which something holds."""
        return sum(1 << i for i, point in enumerate(self.points) if fits(point))

    def within(self, text: str) -> int:
        """Return the points in what a prefix or range says."""
        if text not in self._inside:
            self._inside[text] = self.where(lambda point: inside(point.address, text))
        return self._inside[text]

    def of(self, devices: Iterable[int]) -> int:
        """Return the addresses of nodes."""
        wanted = frozenset(devices)
        if wanted not in self._addresses:
            self._addresses[wanted] = self.where(lambda point: point.devices & wanted)
        return self._addresses[wanted]

    def opening(
        self, protocols: Iterable[int], ports: Iterable[tuple[int, int]]
    ) -> int:
        """Return services as the destination bits that each of them is shifted by."""
        key = tuple(protocols), tuple(ports)
        if key not in self._served:
            self._served[key] = self._chosen(lambda service: _fits(service, *key))
        return self._served[key]

    def logging_in(self, kind: str, names: Iterable[str]) -> int:
        """Return logins over SSH in the same way."""
        wanted = {(kind, name) for name in names}
        return self._chosen(lambda service: service in wanted)

    def _chosen(self, fits: Callable[[Service], bool]) -> int:
        return sum(
            1 << index * self.size
            for index, service in enumerate(self.services)
            if fits(service)
        )

    def paths(self, mask: int) -> Iterator[tuple[Service, Point]]:
        """Yield what a number of paths holds."""
        while mask:
            bit = mask & -mask
            index = bit.bit_length() - 1
            yield self.services[index // self.size], self.points[index % self.size]
            mask ^= bit


def _fits(
    service: Service, protocols: tuple[int, ...], ports: tuple[tuple[int, int], ...]
) -> bool:
    protocol, port = service
    if isinstance(protocol, str) or isinstance(port, str) or protocol not in protocols:
        return False
    return protocol in PORTLESS or any(low <= port <= high for low, high in ports)


def _points(
    states: Iterable[State], routes: list[str], texts: set[str]
) -> Iterator[Point]:
    owners: dict[int, set[int]] = {}
    wanted: dict[int, str] = {number(text): text for text in INTERNET}
    for state in states:
        for device in state.devices:
            for text in device.addresses:
                owners.setdefault(number(text), set()).add(device.id)
                wanted[number(text)] = text
    for text in sorted({*texts, *routes} - {"*", "0.0.0.0/0", "::/0"}):
        for address in _around(text):
            wanted.setdefault(address, _text(address))
    for place, (address, text) in enumerate(sorted(wanted.items())):
        network = next((r for r in routes if inside(address, r)), "")
        yield Point(place, address, text, frozenset(owners.get(address, ())), network)


def _around(text: str) -> Iterator[int]:
    """Yield the edges of a range, and an address in its middle."""
    for low, high in spans(text):
        yield low
        yield high
        yield (low + high) // 2


def _text(address: int) -> str:
    from ipaddress import IPv4Address, IPv6Address

    return str(IPv6Address(address - V6) if address >= V6 else IPv4Address(address))


def _edges(ports: Iterable[int]) -> list[int]:
    """Return ports and their neighbours, few enough to be tried."""
    found = sorted({22, 443, 65535, *ports})
    found = sorted({*found, *(p - 1 for p in found), *(p + 1 for p in found)})
    usable = [port for port in found if 0 < port < 65536]
    while len(usable) > _MOST_PORTS * 3:
        usable = usable[::2]
    return usable


def texts_of(filter_: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the addresses that a server's filter speaks of."""
    for rule in filter_:
        yield from rule["src"]
        for entry in rule.get("dst", ()):
            yield entry["ip"]


def ports_of(filter_: Iterable[Mapping[str, Any]]) -> Iterator[int]:
    """Yield the edges of the ports that a server's filter speaks of."""
    for rule in filter_:
        for entry in rule.get("dst", ()):
            yield from entry["ports"]


def logins_of(ssh: Mapping[str, Iterable[Mapping[str, Any]]]) -> Iterator[str]:
    """Yield the logins that a server's SSH rules speak of."""
    for rules in ssh.values():
        for rule in rules:
            yield from set(rule["users"]) - {"*"}
