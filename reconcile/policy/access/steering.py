"""What sources are offered where that takes looking node by node (`offers`).

That is beside grants with `via`, and where a network alone is named as a source. Nodes
that no rule tells apart are shown the same: one of each kind is asked.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from reconcile.policy.access.offers import Offers, Peer
from reconcile.policy.access.rows import Side
from reconcile.policy.access.targets import NOTHING, Offered
from reconcile.policy.access.universe import Universe, bits, exits, merge, usable
from reconcile.policy.language.document import Policy
from reconcile.policy.language.sets import prefix
from reconcile.policy.meaning.tailnet import Machine


class _Shown:
    """What the nodes of one world are shown, kind by kind."""

    def __init__(self, universe: Universe, index: int, policy: Policy) -> None:
        self._universe, self._index = universe, index
        self._world, self._policy = universe.worlds[index], policy
        self._numbers = {m.index: n for n, m in self._world.machines.items()}
        vias = (rule.via for rule in policy.rules or ())
        self._tags = sorted({tag for via in vias for tag in via})

    @cached_property
    def _offers(self) -> Offers:
        return Offers(self._policy, self._world.tailnet, self._world.resolver)

    @cached_property
    def _kinds(self) -> list[int]:
        """Return sets of nodes, by number: those of each are shown the same."""
        found = [self._universe.nodes(self._world.present)]
        for border in self._borders():
            found = [p for each in found for p in (each & border, each & ~border) if p]
        return found

    def _borders(self) -> Iterator[int]:
        """Yield sets of nodes that something tells apart from the others."""
        universe, world = self._universe, self._world
        yield universe.nodes(world.choosing)
        for tag in self._tags:
            yield universe.nodes(world.tags.get(tag, 0))
        for addresses in self._offers.meant():
            yield universe.nodes(universe.addressed(self._index, addresses))
        if world.resolver.names_self:
            yield from map(universe.nodes, world.owners.values())
        alike: dict[object, int] = defaultdict(int)
        for number, machine in world.machines.items():
            if machine.subnets or machine.exits:
                routes = [text for text, _ in usable(machine)]
                alike[tuple(routes), tuple(exits(machine))] |= 1 << number
        yield from alike.values()

    def _leads(self, machine: Machine) -> int:
        """Return the networks to which the server leads through a node."""
        universe = self._universe
        first = self._offers.first
        routes = (r for text, r in usable(machine) if first.get(text) is machine)
        return merge(map(universe.network, routes))


class Steering(_Shown):
    """Finds what the sources of one world send through which node.

    The policy is that of the world, or one with fewer rules.
    """

    def __init__(self, universe: Universe, index: int, policy: Policy) -> None:
        super().__init__(universe, index, policy)
        tagged = merge(self._world.tags.get(tag, 0) for tag in self._tags)
        self._steering = universe.nodes(tagged)

    def offered(self) -> Iterator[tuple[int, Offered]]:
        """Yield what sources are offered, each by its bit, if it is anything."""
        universe, world = self._universe, self._world
        behind: dict[int, dict[int, int]] = defaultdict(dict)
        for numbers in self._kinds:
            first = next(bits(numbers))
            near, offered = self._of(world.machines[first])
            for place in bits(universe.both(numbers) & world.present):
                if offered != NOTHING:
                    yield place, offered
            for number in bits(numbers):
                for place in bits(self._leads(world.machines[number])):
                    behind[place] |= near
        for place, ways in behind.items():
            if ways:
                yield place, Offered(0, tuple(sorted(ways.items())))

    def _of(self, viewer: Machine) -> tuple[dict[int, int], Offered]:
        """Return what a node sends to networks by router, and what it is offered."""
        universe, world = self._universe, self._world
        peers = self._offers.peers(viewer, self._world.tailnet.routers)
        near, taken = self._networks(peers)
        found, blocks = dict(near), 0
        for each in world.exits if self._chooses(viewer) else ():
            shown = [p for p in peers if p.machine is each.machine and p.exits]
            if shown:
                blocks |= 1 << each.block
                cells = merge(universe.network(prefix(r)) for r in shown[0].exits)
                sent = cells & universe.internet & ~taken
                found[each.number] = found.get(each.number, 0) | sent
        kept = {n: sent for n, sent in found.items() if self._steering >> n & 1}
        near = {n: sent for n, sent in near.items() if n in kept}
        return near, Offered(blocks, tuple(sorted(kept.items())))

    def _chooses(self, viewer: Machine) -> bool:
        own = self._universe.node(self._numbers[viewer.index])
        return bool(own & self._world.choosing)

    def _networks(self, peers: Iterable[Peer]) -> tuple[dict[int, int], int]:
        """Return what is sent to each peer and its networks, and all these networks.

        Of routes to one address the longest one counts.
        """
        universe, found, taken = self._universe, dict[int, int](), 0
        routes = []
        for peer in peers:
            number = self._numbers[peer.machine.index]
            found[number] = universe.node(number)
            routes += [
                (_length(route.text), number, route.text) for route in peer.routes
            ]
        for _, number, text in sorted(routes, reverse=True):
            cells = universe.network(prefix(text)) & ~taken
            found[number] |= cells
            taken |= cells
        return found, taken


class Networks(_Shown):
    """Finds where networks get by their routers, up to 0.28.

    There a rule whose source is a network makes its router nobody's peer, and packets
    go between peers alone, as answers do (seen on clients of 0.28.0).
    """

    def __init__(self, universe: Universe, index: int, sides: Sequence[Side]) -> None:
        super().__init__(universe, index, universe.worlds[index].policy)
        self._sides = sides

    def offered(self) -> Iterator[tuple[int, Offered]]:
        """Yield what networks are offered, each by its bit, where it is not all."""
        behind = self._universe.behind
        routers = self._world.tailnet.routers
        if all(self._rests_on_it(m, behind(m)) for m in routers):
            return
        limits: dict[int, int] = defaultdict(int)
        for machine in routers:
            near = behind(machine) | self._own(machine)
            # Hosts reach their own router without the tailnet, one in reserve too.
            for place in bits(behind(machine)):
                limits[place] |= near
            for back, there in self._met(machine):
                for place in bits(self._leads(machine) & back):
                    limits[place] |= there
        for place, limit in limits.items():
            yield place, Offered(limit=limit)

    def _rests_on_it(self, router: Machine, cells: int) -> bool:
        """Tell whether all rules of the networks behind a router are its own too."""
        known = merge(self._sides[place].rules for place in bits(self._own(router)))
        return not any(self._sides[place].rules & ~known for place in bits(cells))

    def _own(self, machine: Machine) -> int:
        number = self._numbers[machine.index]
        return self._universe.node(number) & self._world.present

    def _met(self, router: Machine) -> Iterator[tuple[int, int]]:
        """Yield networks that a router shows to some peers, and what it sends them."""
        machines, mine = self._world.machines, 1 << self._numbers[router.index]
        for numbers in filter(None, (kind & ~mine for kind in self._kinds)):
            peer = machines[next(bits(numbers))]
            nodes = self._universe.both(numbers) & self._world.present
            for here in self._offers.peers(router, [peer]):
                for there in self._offers.peers(peer, [router]):
                    yield self._routes(there), nodes
                    yield -1, self._routes(here)  # whether it answers is not asked

    def _routes(self, peer: Peer) -> int:
        routes = (prefix(route.text) for route in peer.routes)
        return merge(map(self._universe.network, routes))


def _length(route: str) -> int:
    return int(route.partition("/")[2])
