"""What a server's compiled filter opens, at the probes.

The filter is the server's own, for all nodes together. Three things are not in it and
are worked out here from what servers and clients were seen to do: `autogroup:self`
and `via` rules, and whether an exit node forwards a packet and is offered at all.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconcile.model import EXIT_ROUTES
from tests.contract.tailnets import exits, own
from tests.contract.tailnets.names import Names
from tests.contract.tailnets.probes import CHECK, DEFAULT, SSH, TCP, Probes
from tests.contract.tailnets.sending import Maps, shown
from tests.contract.tailnets.state import State

APART = ("0.27", "0.28")
Filter = Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Compiled:
    """A state and what the server compiled: its filter, and SSH rules by node."""

    state: State
    filter: list[Mapping[str, Any]]
    ssh: Mapping[str, Filter]

    def truth(self, probes: Probes, release: str) -> "Truth":
        """Return the paths of the state at some probes."""
        return Truth(probes, self, release)


@dataclass(frozen=True)
class Opening:
    """A destination of a rule: points in it, as text, and its services."""

    sources: int
    targets: int
    text: str
    services: int


class Truth:
    """The paths of one side: for each point as a source a number of paths.

    `filtered` are those of filters, ways of a node or a network to itself included.
    """

    def __init__(self, probes: Probes, compiled: Compiled, release: str) -> None:
        self.probes, self.state, self.release = probes, compiled.state, release
        self.names = Names(probes, compiled.state, release)
        self.open = [0] * probes.size
        state, rules = compiled.state, compiled.filter
        found = list(openings(probes, rules))
        for rule in found:
            self._allow(rule.sources, rule.targets & self.names.senders, rule.services)
        peers: set[tuple[int, int]] = set()
        for each in own.openings(self.names, probes, state, release):
            self._allow(each.sources, each.targets, each.services)
            if each.targets:
                sources = (probes.points[i].devices for i in bits(each.sources))
                peers |= {(s, t) for ids in sources for s in ids for t in each.nodes}
        offers = exits.Offers(state, rules, release, peers)
        self._through_exits(found, offers, release)
        if release in APART and any(self.open[p] for p in bits(self.names.routed)):
            self._by_routers()
        self.filtered = list(map(int.__and__, self.open, probes.families))
        self._drop_what_is_no_path()
        self._log_in(compiled.ssh)

    def _allow(self, sources: int, targets: int, services: int) -> None:
        opened = services * targets if targets else 0
        for place in bits(sources & self.names.senders):
            self.open[place] |= opened

    def _through_exits(
        self, rules: Iterable[Opening], offers: exits.Offers, release: str
    ) -> None:
        """Open the internet to nodes that are offered an exit node that lets them."""
        found = [device for device in self.state.devices if device.is_exit]
        far = self.probes.public & ~self.names.senders
        for each in rules if found else ():
            for exit_ in found:
                families = _families(self.probes, exit_.usable & EXIT_ROUTES)
                if each.targets & far and exits.keeps(exit_, each.text, release):
                    sources = each.sources & self.probes.of(offers.to(exit_))
                    self._allow(sources, each.targets & far & families, each.services)

    def _by_routers(self) -> None:
        """Leave to networks what their routers send to peers that answer.

        Seen on clients of 0.28.0: a rule whose source is a network makes its router
        nobody's peer. Whether answers find from one network to another is left open.
        """
        maps = Maps(self.probes, self.state, shown(self.state, self.release))
        kept: dict[int, int] = {}
        for device in self.state.devices:
            mine = maps.sending(device)
            for place in bits(mine & ~self.names.nodes):
                found = mine
                for peer, targets in maps.ways(device.name).items():
                    back = maps.ways(peer).get(device.name, 0)
                    found |= targets if back >> place & 1 else 0
                    found |= targets & ~self.names.nodes if back else 0
                kept[place] = kept.get(place, 0) | found
        for place, targets in kept.items():
            self.open[place] &= self.probes.any_service * targets

    def _drop_what_is_no_path(self) -> None:
        """Leave out other families, ways to itself and inside one network."""
        for place, kept in enumerate(self.probes.others):
            self.open[place] &= kept

    def _log_in(self, ssh: Mapping[str, Filter]) -> None:
        """Add the logins; each needs port 22 besides."""
        port = self.probes.opening([TCP], [(22, 22)])
        for device in self.state.devices:
            targets = self.probes.of([device.id])
            for place in bits(self.names.nodes):
                there = self.open[place] & port * targets
                address = self.probes.points[place].text
                services = self._logins(ssh.get(device.name, ()), address)
                for target in bits(targets) if there else ():
                    if there & port << target:
                        self.open[place] |= services << target

    def _logins(self, rules: Filter, address: str) -> int:
        """Return as whom a source may log in: the first rule for it and a login counts."""
        found: dict[str, str] = {}
        for rule in rules:
            if address not in rule["principals"]:
                continue
            users = rule["users"]
            for login in self.probes.logins:
                if users.get(login, users.get("*")):
                    found.setdefault(login, rule["action"])
        checked = [login for login, action in found.items() if action != "accept"]
        accepted = [login for login in found if login not in checked]
        return self.probes.logging_in(SSH, accepted) | self.probes.logging_in(
            CHECK, checked
        )


def openings(probes: Probes, rules: Filter) -> Iterator[Opening]:
    """Yield the destinations of a filter, each with its sources and services."""
    for rule in rules:
        sources = 0
        for text in rule["src"]:
            sources |= probes.within(text)
        for entry in rule.get("dst", ()):
            protocols = rule.get("proto") or DEFAULT
            low, high = entry["ports"]
            services = probes.opening(protocols, [(low, high)])
            text = entry["ip"]
            yield Opening(sources, probes.within(text), text, services)


def _families(probes: Probes, routes: Iterable[str]) -> int:
    """Return the points of the families that some exit routes are of."""
    found = 0
    for route in routes:
        found |= probes.within(route)
    return found


def bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
