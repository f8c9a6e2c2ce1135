"""Whether the server shows a node the way to what rules let it reach."""

from collections.abc import Iterator
from dataclasses import dataclass

from reconcile.policy.access.access import Access
from reconcile.policy.access.offers import Offers, Peer
from reconcile.policy.language.sets import prefix
from reconcile.policy.language.words import NODE


@dataclass(frozen=True, slots=True)
class Ways:
    """The nodes that are, or lead to, some destinations: those shown and those not."""

    shown: tuple[str, ...]
    hidden: tuple[str, ...]


def ways(access: Access, sources: int, targets: int) -> Ways | None:
    """Return the ways of one node to some destinations, None for several sources.

    Nor is it known what Tailscale's own server shows.
    """
    universe, world = access.matrix.universe, access.world
    nodes, cells = universe.split(sources)
    viewers = [m for n, m in world.machines.items() if universe.nodes(nodes) >> n & 1]
    if cells or len(viewers) != 1 or world.policy.release.hosted:
        return None
    offers = Offers(world.policy, world.tailnet, world.resolver)
    peers = {peer.machine.index: peer for peer in offers.peers(viewers[0])}
    shown: list[str] = []
    hidden: list[str] = []
    for number, machine in world.machines.items():
        if machine is not viewers[0] and _is_way(access, number, targets):
            peer = peers.get(machine.index)
            leads = peer is not None and any(
                reached & targets for reached in _reached(access, number, peer)
            )
            (shown if leads else hidden).append(f"{NODE}{machine.name}")
    return Ways(tuple(shown), tuple(hidden))


def _is_way(access: Access, number: int, targets: int) -> bool:
    universe = access.matrix.universe
    leading = universe.node(number) | universe.leading(access.world, number)
    return bool(leading & targets)


def _reached(access: Access, number: int, peer: Peer) -> Iterator[int]:
    """Yield what a peer is shown as: itself, its networks, and the internet."""
    universe = access.matrix.universe
    yield universe.node(number)
    for route in peer.routes:
        yield universe.network(prefix(route.text))
    for text in peer.exits:
        yield universe.network(prefix(text)) & universe.internet
