"""The lists of a plan's JSON as paths, by the words that are printed."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.contract.tailnets.names import Names, Unreadable
from tests.contract.tailnets.probes import CHECK, DEFAULT, PORTED, SSH, Probes

_NUMBERS = {
    "icmp": 1,
    "igmp": 2,
    "ipv4": 4,
    "ip-in-ip": 4,
    "tcp": 6,
    "egp": 8,
    "igp": 9,
    "udp": 17,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ipv6-icmp": 58,
    "icmpv6": 58,
    "sctp": 132,
    "fc": 133,
}
_OTHER = ("ssh as ", "can use ")
SELF = "autogroup:self"
_OWN = r"ssh as localpart:\*@(\S+)( \(check\))?"
_BUT_OWN = r"ssh as .+ but .*localpart:\*@([^\s,]+).*?( \(check\))?"


@dataclass(frozen=True)
class Line:
    """One entry of a list: its words and what they stand for."""

    text: str
    sources: int
    services: int
    targets: int


class Printed:
    """What one list says: for each point as a source a number of paths."""

    def __init__(
        self,
        probes: Probes,
        names: Names,
        entries: Iterable[Mapping[str, Any]],
        had: list[int],
    ) -> None:
        """Read the entries; `had` is what a node that goes, or comes, has in all."""
        self.open = [0] * probes.size
        self.unreadable: list[str] = []
        self._probes, self._names, self._had = probes, names, had
        for entry in entries:
            try:
                self._add(entry)
            except Unreadable as reason:
                self.unreadable.append(f"{line_text(entry)}: {reason}")

    def _add(self, entry: Mapping[str, Any]) -> None:
        sources, targets = (self._side(entry[key]) for key in ("sources", "targets"))
        services = services_of(self._probes, entry["services"], self._names.logins)
        idle = bool(services)
        for place, kept in enumerate(self._probes.others):
            if (sources & self._names.senders) >> place & 1:
                said = kept & self._said(place, entry, targets, services)
                self.open[place] |= said
                idle = idle and not said
        if idle:
            raise Unreadable("nobody needs a rule for that")

    def _said(
        self, place: int, entry: Mapping[str, Any], targets: int, services: int
    ) -> int:
        """Return the paths that an entry gives to one of its sources."""
        if not entry["services"]:
            return self._had[place]
        mine = services | self._own_logins(place, entry["services"], _OWN)
        mine &= ~self._own_logins(place, entry["services"], _BUT_OWN)
        there = self._own(place) if entry["targets"] == [SELF] else targets
        there &= self._family(entry.get("family", ""))
        return mine * there if there else 0

    def _family(self, name: str) -> int:
        """Return the points of an address family, or all where none is told."""
        v6 = self._probes.v6
        return {"IPv4": ~v6, "IPv6": v6}.get(name, -1)

    def _own(self, place: int) -> int:
        """Return the nodes of the user who owns the node at a point."""
        owners = self._owners(place)
        devices = self._names.state.devices
        return self._probes.of(d.id for d in devices if d.owner in owners)

    def _owners(self, place: int) -> set[int]:
        ids = self._probes.points[place].devices
        devices = self._names.state.devices
        return {d.owner for d in devices if d.id in ids and d.owner is not None}

    def _own_logins(self, place: int, words: Sequence[str], pattern: str) -> int:
        """Return the logins that are the source's own: the name before its domain."""
        found = 0
        for word in words:
            local = re.fullmatch(pattern, word)
            for owner in self._owners(place) if local else ():
                person = self._names.state.person(owner)
                name, _, domain = (person.email if person else "").rpartition("@")
                if local and domain.lower() == local[1].lower():
                    kind = CHECK if local[2] else SSH
                    found |= self._probes.logging_in(kind, [name])
        return found

    def _side(self, words: Sequence[str]) -> int:
        found = 0
        for word in words:
            found |= self._names.read(word) if word != SELF else self._names.nodes
        if not found:
            raise Unreadable(f"{', '.join(words)} is empty on this side")
        return found


def services_of(
    probes: Probes, words: Iterable[str], several: Mapping[str, list[str]]
) -> int:
    """Return the services that printed words stand for; those of `app` are none.

    `several` are words that stand for some logins.
    """
    found = 0
    for word in words:
        login = re.fullmatch(r"ssh as (.*?)( \(check\))?", word)
        if login:
            kind = CHECK if login[2] else SSH
            whole, _, rest = login[1].partition(" but ")
            names = set(several.get(whole, [whole])) - set(rest.split(", "))
            found |= probes.logging_in(kind, names)
        elif not word.startswith(_OTHER):
            found |= probes.opening(*_service(word))
    return found


def edges(entries: Iterable[Mapping[str, Any]]) -> Iterator[int]:
    """Yield the edges of the ports that entries speak of."""
    for entry in entries:
        for word in entry["services"]:
            if not word.startswith(_OTHER):
                for span in _service(word)[1]:
                    yield from span


def _service(word: str) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Read `tcp/udp 22,80-90`, `icmp`, `tcp *` or `*`. Raises Unreadable."""
    if word == "*":
        return DEFAULT, ((0, 65535),)
    protocols, _, ports = word.partition(" ")
    numbers = []
    for name in protocols.split("/"):
        if name not in _NUMBERS and not name.isdecimal():
            raise Unreadable(f"{word!r} is no service")
        numbers.append(_NUMBERS.get(name) or int(name))
    if not ports and set(numbers) & set(PORTED):
        raise Unreadable(f"{word!r} does not say which ports")
    return tuple(numbers), tuple(_spans(ports or "*"))


def _spans(ports: str) -> Iterator[tuple[int, int]]:
    for part in ports.split(","):
        if part == "*":
            yield 0, 65535
            continue
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if not found:
            raise Unreadable(f"{ports!r} are no ports")
        yield int(found[1]), int(found[2] or found[1])


def line_text(entry: Mapping[str, Any]) -> str:
    """Return an entry as people see it."""
    sides = (", ".join(entry[key]) for key in ("sources", "targets", "services"))
    source, target, services = sides
    return f"{source} -> {target} {services or '(all)'}"
