"""Nodes and networks as bits: the ground on which access is computed.

A set of destinations is one Python integer. Bits 0 to n-1 are nodes, the following
ones are cells (stretches of addresses behind subnet routers that no rule and no route
tells apart), and the last is the internet behind exit nodes.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise

from reconcile.policy.document import Policy
from reconcile.policy.resolve import Resolver
from reconcile.policy.selectors import Selector
from reconcile.policy.sets import FAMILIES, V6, IntervalSet
from reconcile.policy.tailnet import Machine, Tailnet

_BLOCK = 64  # how many addresses share one stored set of the nodes below them


def bits(numbers: int) -> Iterator[int]:
    """Yield the positions of the set bits, lowest first."""
    text = bin(numbers)[:1:-1]
    found = text.find("1")
    while found >= 0:
        yield found
        found = text.find("1", found + 1)


@dataclass(slots=True)
class World:
    """One policy in one tailnet, with the bits of each identity.

    A universe gives it its bits; worlds with one tailnet share them.
    """

    policy: Policy
    tailnet: Tailnet
    resolver: Resolver
    machines: dict[int, Machine] = field(default_factory=dict)  # by bit position
    present: int = 0
    owners: dict[str, int] = field(default_factory=dict)  # by the user's id
    tags: dict[str, int] = field(default_factory=dict)
    routed: int = 0  # cells that an approved route leads to
    exits: int = 0  # nodes that are exit nodes
    families: dict[int, int] = field(default_factory=dict)  # what has an IPv4, an IPv6
    selected: dict[Selector, int] = field(default_factory=dict)

    @classmethod
    def of(cls, policy: Policy, tailnet: Tailnet) -> "World":
        """Make a world of a policy without errors and a tailnet."""
        return cls(policy, tailnet, Resolver(policy, tailnet))


class Universe:
    """The nodes and networks of several worlds, each with its bit."""

    def __init__(
        self, worlds: Sequence[World], literals: Iterable[IntervalSet]
    ) -> None:
        self.worlds = worlds
        self._tailnets = {id(world.tailnet): world.tailnet for world in worlds}
        keys = chain.from_iterable(each.keys for each in self._tailnets.values())
        self.position = {key: i for i, key in enumerate(dict.fromkeys(keys))}
        self.cells = _cells(self._tailnets.values(), literals)
        self._cell_starts = [low for low, _ in self.cells]
        self.size = len(self.position)
        self.internet = 1 << (self.size + len(self.cells))
        self._lines: dict[int, _Line] = {}
        entered: dict[int, World] = {}
        for world in worlds:
            self._enter(world, entered.setdefault(id(world.tailnet), world))

    def _enter(self, world: World, first: World) -> None:
        """Give a world the bits of its tailnet, those of the first that has it."""
        if world is first:
            self._settle(world)
        world.machines, world.present = first.machines, first.present
        world.owners, world.tags = first.owners, first.tags
        world.routed, world.exits = first.routed, first.exits
        world.families = first.families

    def _settle(self, world: World) -> None:
        tailnet, tags = world.tailnet, defaultdict[str, int](int)
        places = [self.position[key] for key in tailnet.keys]
        world.machines = dict(zip(places, tailnet.machines, strict=True))
        world.present = union(places)
        for who, machines in tailnet.by_identity.items():
            alike = union([places[machine.index] for machine in machines])
            if isinstance(who, str):
                world.owners[who] = alike
            for tag in who if isinstance(who, frozenset) else ():
                tags[tag] |= alike
        world.tags = dict(tags)
        for machine in tailnet.routers:
            world.routed |= self.behind(machine) & ~self.internet
            if machine.exits:
                world.exits |= 1 << places[machine.index]
        world.families = {
            version: self.internet
            | self.network(addresses)
            | union([p for p, m in world.machines.items() if has(m, version)])
            for version, addresses in FAMILIES.items()
        }

    def network(self, addresses: IntervalSet) -> int:
        """Return the cells that lie in a set of addresses."""
        found = 0
        for low, high in addresses:
            first = bisect_left(self._cell_starts, low)
            last = bisect_left(self._cell_starts, high + 1)
            found |= (1 << last) - (1 << first)
        return found << self.size

    def behind(self, machine: Machine) -> int:
        """Return the networks, the internet too, that a node leads to."""
        found = merge(self.network(route) for _, route in usable(machine))
        return found | self.internet if machine.exits else found

    def networks(self, world: World) -> list[int]:
        """Return the networks of a world by their cells: routes in no other route."""
        routes = sorted(
            (low, -high)
            for machine in world.tailnet.routers
            for _, route in usable(machine)
            for low, high in route
        )
        found, end = [], -1
        for low, high in routes:
            if low > end:
                end = -high
                found.append(self.network(IntervalSet([(low, end)])))
        return found

    def addressed(self, index: int, addresses: IntervalSet) -> int:
        """Return the nodes of a world that own an address of a set."""
        world = self.worlds[index]
        key = id(world.tailnet)
        if key not in self._lines:
            self._lines[key] = _Line(world)
        return self._lines[key].nodes(addresses)

    def selected(self, world: World, selector: Selector) -> int:
        """Return the nodes that a selector means by identity."""
        if selector.kind == "tag":
            return world.tags.get(selector.text, 0)
        if selector.autogroup == "tagged":
            return merge(world.tags.values())
        if selector not in world.selected:
            ids = world.resolver.owners(selector)
            world.selected[selector] = merge(
                world.owners[each] for each in ids if each in world.owners
            )
        return world.selected[selector]


class _Line:
    """The nodes of one world along the number line of addresses."""

    def __init__(self, world: World) -> None:
        places = {machine.index: place for place, machine in world.machines.items()}
        self._addresses, machines = world.tailnet.by_address
        self._places = [places[machine.index] for machine in machines]
        self._blocks = [
            union(self._places[start : start + _BLOCK])
            for start in range(0, len(self._places), _BLOCK)
        ]

    def nodes(self, addresses: IntervalSet) -> int:
        """Return the nodes inside a set; whole blocks are taken at once."""
        found = 0
        for low, high in addresses:
            first = bisect_left(self._addresses, low)
            last = bisect_left(self._addresses, high + 1)
            start, stop = -(-first // _BLOCK), last // _BLOCK
            if start >= stop:
                found |= union(self._places[first:last])
                continue
            found |= merge(self._blocks[start:stop])
            found |= union(self._places[first : start * _BLOCK])
            found |= union(self._places[stop * _BLOCK : last])
        return found


def union(places: Sequence[int]) -> int:
    """Return the set of some bit positions."""
    if len(places) < 32:
        found = 0
        for place in places:
            found |= 1 << place
        return found
    buffer = bytearray(max(places) // 8 + 1)
    for place in places:
        buffer[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(buffer, "little")


def merge(sets: Iterable[int]) -> int:
    """Return the union of sets."""
    found = 0
    for each in sets:
        found |= each
    return found


def has(machine: Machine, version: int) -> bool:
    """Tell whether a node has an address of a family.

    One whose addresses nobody told is taken for a node with both.
    """
    numbers = machine.numbers
    return not numbers or any((number >= V6) is (version == 6) for number in numbers)


def usable(machine: Machine) -> Iterator[tuple[str, IntervalSet]]:
    """Yield the approved routes of a node, those that others can really use."""
    for text, route in machine.subnets:
        if text in machine.node.approved:
            yield text, route


def _cells(
    tailnets: Iterable[Tailnet], literals: Iterable[IntervalSet]
) -> list[tuple[int, int]]:
    routers = chain.from_iterable(tailnet.routers for tailnet in tailnets)
    routes = [route for machine in routers for _, route in usable(machine)]
    if not routes:
        return []
    routed = IntervalSet.union(routes)
    borders = {V6}
    for each in (*routes, *literals):
        for low, high in each:
            borders.add(low)
            borders.add(high + 1)
    ordered = sorted(borders)
    return [(low, high - 1) for low, high in pairwise(ordered) if low in routed]
