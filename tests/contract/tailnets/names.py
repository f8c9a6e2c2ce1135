"""Printed words, read as a person reads them, on the side that the line speaks of.

Written from the tailnet's own data and apart from the project's naming: what cannot be
read here is a finding.
"""

import re
from collections.abc import Iterable

from tests.contract.tailnets.probes import Probes
from tests.contract.tailnets.ranges import spans
from tests.contract.tailnets.state import Device, State

_BUT = " but "
_HOST = re.compile(r"(.+) \(([0-9a-fA-F.:]+(?:/\d+)?)\)")
_INTERNET = ("the internet", "internet")  # what only exit nodes lead to
_FAMILY = re.compile(r"(.+?) \((?:over )?(IPv[46])(?: only)?\)")


class Unreadable(Exception):
    """Nobody can say what a printed word stands for."""


class Names:
    """The words of one side of a pair, as sets of points.

    `logins` maps what stands for several logins to them.
    """

    def __init__(self, probes: Probes, state: State, release: str) -> None:
        self._probes = probes
        nonroot = [name for name in probes.logins if name != "root"]
        self.logins = {} if release == "0.26" else {"autogroup:nonroot": nonroot}
        self.state = state
        self.worn = {d.id: state.worn(d, release) for d in state.devices}
        self.nodes = probes.of(d.id for d in state.devices)
        routes = {r for d in state.devices for r in d.subnets}
        self.networks = [probes.within(route) for route in routes]
        self.routed = self._union(routes)
        self.senders = self.nodes | self.routed
        exits = any(device.is_exit for device in state.devices)
        self.internet = probes.public * exits & ~self.senders
        self.present = self.nodes | self.routed | self.internet

    def _union(self, texts: Iterable[str]) -> int:
        found = 0
        for text in texts:
            found |= self._probes.within(text)
        return found

    def read(self, name: str) -> int:
        """Return the points that a word stands for. Raises Unreadable."""
        whole, but, rest = name.partition(_BUT)
        if but:
            found = self.read(whole)
            for exception in rest.split(", "):
                found &= ~self.read(exception)
            return found
        family = _FAMILY.fullmatch(name)
        if family:
            v6 = self._probes.v6
            return self.read(family[1]) & (v6 if family[2] == "IPv6" else ~v6)
        return self._word(name) & self.present

    def _word(self, name: str) -> int:
        if name in ("everything", "*", "autogroup:danger-all"):
            return self.present
        if name in ("every node", "autogroup:member", "autogroup:tagged"):
            known = self.state.devices
            return self._probes.of(d.id for d in known if self._is(name, d))
        if name in _INTERNET:
            return self.internet
        if name == "autogroup:internet":  # routes to public addresses as well
            return self._probes.public & ~self.nodes
        host = _HOST.fullmatch(name)
        addresses = host[2] if host else name
        if _is_address(addresses):
            return self._probes.within(addresses)
        return self._probes.of(self.devices(name))

    def _is(self, name: str, device: Device) -> bool:
        tagged = bool(self.worn[device.id])
        return name == "every node" or tagged is (name == "autogroup:tagged")

    def devices(self, name: str) -> set[int]:
        """Return the ids of the nodes that a word stands for. Raises Unreadable."""
        kind, colon, rest = name.partition(":")
        known = self.state.devices
        if kind == "tag":
            return {d.id for d in known if name in self.worn[d.id]}
        if kind == "group":
            return self._members(name)
        if kind == "node" and colon:
            named = {d.id for d in known if d.name == rest}
            if not named:
                raise Unreadable(f"there is no {name} on this side")
            return named
        return self._owned(rest if kind == "user" and colon else name)

    def _members(self, group: str) -> set[int]:
        """Return the nodes of a group; a token that fits two users means neither."""
        groups = (self.state.policy or {}).get("groups") or {}
        if group not in groups:
            raise Unreadable(f"there is no {group} on this side")
        fitting = map(self.state.fitting, groups[group])
        people = {users[0] for users in fitting if len(users) == 1}
        return {d.id for d in self.state.devices if d.owner in people}

    def _owned(self, name: str) -> set[int]:
        people = self._people(name)
        if not people:
            raise Unreadable(f"{name!r} is nobody and nothing on this side")
        if len(people) > 1:
            raise Unreadable(f"{name!r} may be any of {len(people)} users")
        return {d.id for d in self.state.devices if d.owner == people[0]}

    def _people(self, name: str) -> list[int]:
        """Return the ids of the users whom a name or a token may mean."""
        known = self.state.people
        by_id = re.fullmatch(r".*\(?#(\d+)\)?", name)
        if label := re.fullmatch(r"(.*) \((local|oidc)(?:, (.*))?\)", name):
            known = [p for p in known if bool(p.provider_id) is (label[2] == "oidc")]
            if label[3]:
                known = [p for p in known if label[3] in (p.email, p.provider_id)]
            name = label[1]
        for fits in (
            lambda p: by_id is not None and p.id == int(by_id[1]),
            lambda p: p.provider_id and p.provider_id == name,
            lambda p: p.email and p.email == name,
            lambda p: p.name and name in (p.name, f"{p.name}@"),
        ):
            found = [p.id for p in known if fits(p)]
            if found:
                return found
        return []


def _is_address(text: str) -> bool:
    try:
        spans(text)
    except ValueError:
        return False
    return True


def addresses_in(word: str) -> list[str]:
    """Return the addresses that a printed word holds, in whatever sentence."""
    found = re.findall(r"[0-9a-fA-F.:]+(?:[/-][0-9a-fA-F.:]+)?", word)
    return [
        text for text in found if ("." in text or ":" in text) and _is_address(text)
    ]


def kind_of(word: str) -> str:
    """Return what kind of word a printed one is."""
    if _BUT in word:
        return "but"
    if word in ("everything", "every node", "autogroup:internet", *_INTERNET):
        return word
    if _is_address(word) or _HOST.fullmatch(word):
        return "address"
    return word.partition(":")[0] if ":" in word else "user"
