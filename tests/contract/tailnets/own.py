"""Rules that only single nodes have, worked out from the policy's text.

No debug page shows `autogroup:self` and `via`: the server compiles them node by node.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from reconcile.model import EXIT_ROUTES
from tests.contract.tailnets.names import Names, Unreadable
from tests.contract.tailnets.probes import DEFAULT, Probes
from tests.contract.tailnets.ranges import overlap
from tests.contract.tailnets.sending import Maps, shown
from tests.contract.tailnets.state import Device, Policy, State

SELF = "autogroup:self"
_DROPPING = "0.27"
_NUMBERS = {
    "icmp": 1,
    "igmp": 2,
    "ip-in-ip": 4,
    "tcp": 6,
    "udp": 17,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "sctp": 132,
}
_TAILNET = ("100.64.0.0/10", "fd7a:115c:a1e0::/48")  # `*` as a destination with `via`


@dataclass(frozen=True)
class Opening:
    """What a rule opens on some nodes, by id, which alone are given it."""

    sources: int
    targets: int
    services: int
    nodes: frozenset[int]


_OLD = {"0.27": (6, 17), "0.28": (6, 17)}  # what no protocol means, where it is less


def openings(
    names: Names, probes: Probes, state: State, release: str
) -> Iterator[Opening]:
    """Yield what the rules of single nodes open."""
    policy = state.policy or {}
    maps: Maps | None = None
    usual, lost = _OLD.get(release, DEFAULT), dropped(release, state)
    for rule in policy.get("acls") or ():
        for target in rule.get("dst") or ():
            name, _, ports = target.rpartition(":")
            if name == SELF:
                services = _services(
                    probes, rule.get("proto", ""), ports, usual, release
                )
                sources = [text for text in rule["src"] if text not in lost]
                yield from _to_self(names, probes, state, sources, services)
    for rule in policy.get("grants") or () if release in ("0.29", "main") else ():
        services = 0
        for item in rule.get("ip") or ():
            protocol, colon, ports = item.rpartition(":")
            services |= _services(
                probes, protocol if colon else "", ports, usual, release
            )
        if rule.get("via"):
            maps = maps or Maps(probes, state, shown(state, release))
            yield from _via(names, state, rule, services, maps)
        elif SELF in (rule.get("dst") or ()):
            yield from _to_self(names, probes, state, rule["src"], services)


def _services(
    probes: Probes, protocol: str, ports: str, usual: Iterable[int], release: str
) -> int:
    text = protocol.strip().lower()
    if not text:
        numbers = tuple(usual)
    else:
        numbers = (_NUMBERS.get(text) or int(text),)
        if text == "icmp" and release not in ("0.29", "main"):
            numbers = (1, 58)
    spans = []
    for part in ports.split(","):
        low, dash, high = part.partition("-")
        first, last = (0, 65535) if part == "*" else (int(low), int(high or low))
        spans.append((first, last if dash or part == "*" else first))
    return probes.opening(numbers, spans)


def _to_self(
    names: Names, probes: Probes, state: State, sources: Iterable[str], services: int
) -> Iterator[Opening]:
    """Each of the sources reaches the untagged nodes of its own user."""
    chosen = _devices(names, sources, state)
    for person in state.people:
        mine = {d.id for d in state.devices if d.owner == person.id}
        sources = probes.of(mine & chosen)
        yield Opening(sources, probes.of(mine), services, frozenset(mine))


def dropped(release: str, state: State) -> set[str]:
    """Return the groups that a release drops as a whole.

    Seen on clients of 0.27: beside any rule that names `autogroup:self`, one member
    who is no single user is enough.
    """
    policy = state.policy or {}
    if release != _DROPPING or SELF not in str((policy.get("acls"), policy.get("ssh"))):
        return set()
    return {
        group
        for group, tokens in policy.get("groups", {}).items()
        if any(len(state.fitting(token)) != 1 for token in tokens)
    }


def _devices(names: Names, sources: Iterable[str], state: State) -> set[int]:
    found: set[int] = set()
    for text in sources:
        if text == "*":
            return {d.id for d in state.devices if not d.tags}
        if text == "autogroup:member":
            found |= {d.id for d in state.devices if not names.worn[d.id]}
            continue
        try:
            found |= names.devices(text)
        except Unreadable:  # a token that fits nobody selects nothing
            continue
    return found


def _via(
    names: Names, state: State, rule: Policy, services: int, maps: Maps
) -> Iterator[Opening]:
    """Destinations that overlap a route of a node with one of the tags.

    They are open to whom the server shows the way through this node.
    """
    sources, probes = 0, maps.probes
    for text in rule["src"]:
        sources |= _source(names, probes, text, state)
    for router in state.devices:
        if not set(router.tags) & set(rule["via"]):
            continue
        kept = 0
        for text in rule["dst"]:
            kept |= _steered(names, probes, router, text)
        for sender in state.devices:
            for there, targets in _sent(maps, sender, router):
                mine = sources & there
                yield Opening(mine, targets & kept, services, frozenset({router.id}))


def _sent(maps: Maps, sender: Device, router: Device) -> Iterator[tuple[int, int]]:
    """Yield what a node, and what is behind it, send to through a router."""
    own = maps.probes.of([sender.id])
    behind = maps.sending(sender) & ~own
    yield behind, maps.ways(sender.name).get(router.name, 0)
    for exit_ in maps.exits(sender.name):
        yield own, maps.ways(sender.name, exit_).get(router.name, 0)


def _steered(names: Names, probes: Probes, device: Device, text: str) -> int:
    """Return what a destination means on a router: kept as it is written, or not.

    What is kept because it overlaps a route may hold the router's own address too.
    """
    far = 0
    for route in device.usable & EXIT_ROUTES:
        far |= probes.within(route) & probes.public
    if text == "autogroup:internet":
        return far
    address = _literal(names, text)
    found = 0
    for written in _TAILNET if text == "*" else filter(None, [address]):
        reach = probes.of([device.id]) | far
        for route in device.subnets:
            reach |= probes.within(route)
        if any(overlap(written, route) for route in device.subnets):
            found |= probes.within(written) & reach
    return found


def _literal(names: Names, text: str) -> str | None:
    """Return the address or prefix that a selector stands for, None for others."""
    hosts: dict[str, Any] = (names.state.policy or {}).get("hosts") or {}
    found = hosts.get(text, text)
    return found if re.fullmatch(r"[0-9a-fA-F.:]+(/\d+)?", found) else None


def _source(names: Names, probes: Probes, text: str, state: State) -> int:
    if text == "autogroup:danger-all":
        return names.nodes | names.routed
    if text == "*":
        return names.nodes | names.routed
    address = _literal(names, text)
    if address is not None:
        return probes.within(address)
    if text == "autogroup:tagged":
        return probes.of(d.id for d in state.devices if d.tags)
    return probes.of(_devices(names, [text], state))
