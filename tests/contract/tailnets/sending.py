"""Through which peer each client sends: by the longest route, as clients do it."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from reconcile.model import EXIT_ROUTES, Node, User
from reconcile.policy.access.offers import Offers
from reconcile.policy.language.releases import release as row_of
from reconcile.policy.meaning.resolve import Resolver
from reconcile.policy.meaning.tailnet import Tailnet
from reconcile.policy.reading import read
from tests.contract.seeds import CREATED
from tests.contract.tailnets import ranges
from tests.contract.tailnets.probes import Probes
from tests.contract.tailnets.state import Device, State

Peers = Mapping[str, Mapping[str, list[str]]]


class Maps:
    """The maps of all clients: through which peer each sends to a point.

    `peers` are the peers of each node, each with the routes that it shows.
    """

    def __init__(self, probes: Probes, state: State, peers: Peers) -> None:
        self.probes, self._peers = probes, peers
        self.devices = {device.name: device for device in state.devices}
        self._ways: dict[tuple[str, str], dict[str, int]] = {}

    def exits(self, name: str) -> list[str]:
        """Return the exit nodes that a client may choose; "" stands for none."""
        offered = [
            peer
            for peer, routes in self._peers[name].items()
            if EXIT_ROUTES & {*routes}
        ]
        return ["", *offered] if not self.devices[name].offers_exit else [""]

    def ways(self, name: str, exit_: str = "") -> Mapping[str, int]:
        """Return the points that a client sends to through each peer."""
        key = name, exit_
        if key not in self._ways:
            self._ways[key] = dict(self._sorted(name, exit_))
        return self._ways[key]

    def _sorted(self, name: str, exit_: str) -> Iterator[tuple[str, int]]:
        found: dict[str, int] = {}
        for point in self.probes.points:
            peer = self.peer(name, exit_, point.text)
            found[peer] = found.get(peer, 0) | 1 << point.place
        found.pop("", None)
        yield from found.items()

    def peer(self, name: str, exit_: str, address: str) -> str:
        """Return the peer with the longest route to an address, "" without one.

        Clients take private addresses out of the routes of an exit node.
        """
        best, found = -1, ""
        wanted = ranges.number(address)
        for peer, routes in self._peers[name].items():
            for route in (*routes, *self._own(peer)):
                if route in EXIT_ROUTES and (
                    peer != exit_ or not ranges.public(wanted)
                ):
                    continue
                length = int(route.partition("/")[2])
                if length > best and ranges.inside(wanted, route):
                    best, found = length, peer
        return found

    def _own(self, peer: str) -> list[str]:
        device = self.devices.get(peer)
        return list(map(ranges.alone, device.addresses)) if device else []

    def sending(self, device: Device) -> int:
        """Return a node's addresses, and what is behind it."""
        found = own = self.probes.of([device.id])
        for route in device.subnets:
            found |= self.probes.within(route)
        return found & ~self._nodes | own

    @cached_property
    def _nodes(self) -> int:
        return self.probes.of(device.id for device in self.devices.values())


def shown(state: State, release: str) -> Peers:
    """Return what `access sees` shows to each node, which clients are held to."""
    users = [
        User(str(p.id), p.name, email=p.email, provider_id=p.provider_id)
        for p in state.people
    ]
    nodes = [_node(device, state.worn(device, release)) for device in state.devices]
    tailnet = Tailnet(users, nodes, advertised=row_of(release).advertised_routes)
    policy = read(state.policy or {}, release)
    offers = Offers(policy, tailnet, Resolver(policy, tailnet))
    return {
        viewer.name: {
            peer.machine.name: [*(r.text for r in peer.routes), *peer.exits]
            for peer in offers.peers(viewer)
        }
        for viewer in tailnet.machines
    }


def _node(device: Device, worn: frozenset[str]) -> Node:
    return Node(
        str(device.id),
        device.name,
        user_id=None if device.tags else str(device.user),
        tags=frozenset(device.tags),
        asked_tags=worn.difference(device.tags),
        approved=frozenset(device.approved),
        available=frozenset(device.routes),
        addresses=device.addresses,
        created=CREATED,
    )
