"""What real clients are told in a state, and the paths that it means.

A path needs that the sender's client has a peer for the destination, that this peer
has the sender for the source, and that the peer's filter lets it in. Of several routes
the longest one counts, as clients do it. All else a client cannot tell: ways between a
router and the networks behind it are taken from the compiled filter.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from reconcile.live.snapshot import loads
from tests.contract.sees.comparison import expected
from tests.contract.tailnets.comparison import Difference
from tests.contract.tailnets.probes import TCP, Probes
from tests.contract.tailnets.sending import Maps
from tests.contract.tailnets.server import Side
from tests.contract.tailnets.state import Device
from tests.contract.tailnets.truth import Truth, bits, openings

Told = Mapping[str, Any]
_SHOWN = 3


@dataclass(frozen=True)
class Tried:
    """A TCP connection that a node tried, with an exit node where one is named.

    `opened` is None before it is tried.
    """

    source: str
    address: str
    port: int
    exit_: str
    opened: bool | None = None


@dataclass(frozen=True)
class ToldSide(Side):
    """A state that real clients are in: what each is told, and what was tried."""

    told: Mapping[str, Told] = field(default_factory=dict)
    tried: tuple[Tried, ...] = ()

    def maps(self, probes: Probes) -> Maps:
        """Return through which peer each client sends to some points."""
        peers = {name: told["peers"] for name, told in self.told.items()}
        return Maps(probes, self.state, peers)

    def truth(self, probes: Probes, release: str) -> "ByClients":
        return ByClients(probes, self, release)

    def differences(self, release: str) -> list[Difference]:
        """Return what clients are shown or opened against `access sees` and the maps.

        A client that is to see nobody keeps peers of before, and is sent those that
        change: nothing is open to it.
        """
        seen = expected(loads(self.saved, "live.json"), self.state.policy or {})
        wrong = [
            f"{d.name}: ours {seen[d.name]}, client {self.told[d.name]['peers']}"
            for d in self.state.devices
            if seen[d.name] and seen[d.name] != self.told[d.name]["peers"]
        ]
        return [
            *_difference("access sees", wrong),
            *_difference("connections against the maps", self._wrong_tries(release)),
        ]

    def _wrong_tries(self, release: str) -> list[str]:
        paths = Paths(self, release, self.tried)
        return [str(each) for each in self.tried if each.opened is not paths.open(each)]


class Paths:
    """Whether single connections are open by the maps of the clients."""

    def __init__(self, side: ToldSide, release: str, tried: Iterable[Tried]) -> None:
        tried = list(tried)
        addresses, ports = {t.address for t in tried}, {t.port for t in tried}
        self._probes = Probes([side.state], addresses, ports)
        self._truth = ByClients(self._probes, side, release)

    def open(self, tried: Tried) -> bool:
        """Tell whether a connection should be opened."""
        probes = self._probes
        device = self._truth.maps.devices[tried.source]
        here = device.v6 if ":" in tried.address else device.v4
        (source,) = bits(probes.within(here))
        paths = self._truth.paths(device, source, tried.exit_)
        wanted = probes.opening([TCP], [(tried.port, tried.port)])
        return bool(paths & wanted * probes.within(tried.address))


def _difference(kind: str, wrong: Sequence[str]) -> Iterator[Difference]:
    if wrong:
        yield Difference(kind, len(wrong), tuple(wrong[:_SHOWN]))


class ByClients(Truth):
    """The paths of one side by the maps of its clients."""

    def __init__(self, probes: Probes, side: ToldSide, release: str) -> None:
        super().__init__(probes, side, release)
        self.maps = side.maps(probes)
        self._told = side.told
        compiled, self.open = self.open, [0] * probes.size
        for device in side.state.devices:
            for place in bits(self.maps.sending(device)):
                own = probes.points[place].devices  # what is behind it chooses none
                for exit_ in self.maps.exits(device.name) if own else [""]:
                    self.open[place] |= self.paths(device, place, exit_)
                self.open[place] |= compiled[place] & self._near(device)
        self._drop_what_is_no_path()
        ssh = (side.state.policy or {}).get("ssh")
        self._log_in({n: t["ssh"] for n, t in side.told.items()} if ssh else {})

    def paths(self, device: Device, place: int, exit_: str) -> int:
        """Return the paths from a point that a node sends for, with an exit node."""
        found = 0
        for peer, targets in self.maps.ways(device.name, exit_).items():
            back = self.maps.ways(peer).get(device.name, 0) if peer in self._told else 0
            if back >> place & 1:
                found |= self._let_in[peer][place] & self.probes.any_service * targets
        return found

    def _near(self, device: Device) -> int:
        """Return the paths of a router and what is behind it to each other."""
        near = self.maps.sending(device)
        return near * (self.probes.any_service & ~self.probes.any_login)

    @cached_property
    def _let_in(self) -> dict[str, list[int]]:
        """The paths from each point that the filter of each node lets in."""
        found = {}
        for name in self.maps.devices:
            paths = found[name] = [0] * self.probes.size
            for rule in openings(self.probes, self._told[name]["filter"]):
                for place in bits(rule.sources):
                    paths[place] |= rule.services * rule.targets
        return found


def to_json(side: Side, folded: Callable[[Any], Any]) -> dict[str, Any]:
    """Return what clients were told and tried as JSON, nothing without clients."""
    if not isinstance(side, ToldSide):
        return {}
    told = {
        name: {**map_, "filter": [folded(rule) for rule in map_["filter"]]}
        for name, map_ in side.told.items()
    }
    return {"told": told, "tried": [list(vars(each).values()) for each in side.tried]}


def told_of(
    side: Side, value: Mapping[str, Any], unfolded: Callable[[Any], Any]
) -> Side:
    """Return a side with what `to_json` wrote, if clients were asked."""
    if "told" not in value:
        return side
    told = {
        name: {**map_, "filter": [unfolded(rule) for rule in map_["filter"]]}
        for name, map_ in value["told"].items()
    }
    return ToldSide(
        **vars(side), told=told, tried=tuple(Tried(*t) for t in value["tried"])
    )
