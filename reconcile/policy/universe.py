"""Nodes and networks as bits: the ground on which access is computed.

A set of destinations is one Python integer. Bits 0 to n-1 are nodes, the following
ones are cells (stretches of addresses behind subnet routers that no rule and no route
tells apart), and the last is the internet behind exit nodes.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from reconcile.model import Node
from reconcile.policy.document import Policy
from reconcile.policy.resolve import Resolver
from reconcile.policy.selectors import Selector
from reconcile.policy.sets import V6, IntervalSet, prefix
from reconcile.policy.tailnet import Machine, Tailnet

_BLOCK = 64  # how many addresses share one stored set of the nodes below them


def bits(numbers: int) -> Iterator[int]:
    """Yield the positions of the set bits, lowest first."""
    text = bin(numbers)[:1:-1]
    found = text.find("1")
    while found >= 0:
        yield found
        found = text.find("1", found + 1)


def node_key(node: Node) -> str:
    """Return what makes two records the same node: its id, else its name."""
    return node.id or node.name


@dataclass(slots=True)
class World:
    """One policy in one tailnet, with the bits of each identity."""

    policy: Policy
    tailnet: Tailnet
    resolver: Resolver
    machines: dict[int, Machine] = field(default_factory=dict)  # by bit position
    present: int = 0
    owners: dict[str, int] = field(default_factory=dict)
    tags: dict[str, int] = field(default_factory=dict)
    selected: dict[Selector, int] = field(default_factory=dict)
    routed: int = 0  # cells that an approved route leads to
    exits: int = 0  # nodes that are exit nodes

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
        self.keys = list(
            dict.fromkeys(
                node_key(machine.node)
                for world in worlds
                for machine in world.tailnet.machines
            )
        )
        self.position = {key: index for index, key in enumerate(self.keys)}
        self.cells = _cells(worlds, literals)
        self._cell_starts = [low for low, _ in self.cells]
        self.size = len(self.keys)
        self.internet = 1 << (self.size + len(self.cells))
        self._lines: list[_Line] = []
        for world in worlds:
            self._lines.append(self._again(world) or self._enter(world))

    def _again(self, world: World) -> "_Line | None":
        """Settle a world whose tailnet another one has entered already."""
        for other, line in zip(self.worlds, self._lines, strict=False):
            if other.tailnet is world.tailnet:
                world.machines, world.present = other.machines, other.present
                world.owners, world.tags = other.owners, other.tags
                world.routed, world.exits = other.routed, other.exits
                return line
        return None

    def _enter(self, world: World) -> "_Line":
        """Fill the bits of a world; return its nodes in the order of addresses."""
        owners: dict[str, list[int]] = defaultdict(list)
        tags: dict[str, list[int]] = defaultdict(list)
        for machine in world.tailnet.machines:
            place = self.position[node_key(machine.node)]
            world.machines[place] = machine
            if machine.owner is not None:
                owners[machine.owner].append(place)
            for tag in machine.node.tags:
                tags[tag].append(place)
            for _, route in usable(machine):
                world.routed |= self.network(route)
        world.present = union(world.machines)
        world.owners = {name: union(places) for name, places in owners.items()}
        world.tags = {name: union(places) for name, places in tags.items()}
        world.exits = union(p for p, m in world.machines.items() if m.exits)
        return _Line(world.machines)

    def network(self, addresses: IntervalSet) -> int:
        """Return the cells that lie in a set of addresses."""
        found = 0
        for low, high in addresses:
            first = bisect_left(self._cell_starts, low)
            last = bisect_left(self._cell_starts, high + 1)
            found |= (1 << last) - (1 << first)
        return found << self.size

    def addressed(self, index: int, addresses: IntervalSet) -> int:
        """Return the nodes of a world that own an address of a set."""
        return self._lines[index].nodes(addresses)

    def selected(self, world: World, selector: Selector) -> int:
        """Return the nodes that a selector means by identity."""
        if selector.kind == "tag":
            return world.tags.get(selector.text, 0)
        if selector.autogroup == "tagged":
            return merge(world.tags.values())
        if selector not in world.selected:
            names = world.resolver.owners(selector)
            world.selected[selector] = merge(
                world.owners[name] for name in names if name in world.owners
            )
        return world.selected[selector]


class _Line:
    """The nodes of one world along the number line of addresses."""

    def __init__(self, machines: dict[int, Machine]) -> None:
        points = sorted(
            (low, place) for place, m in machines.items() for low, _ in m.addresses
        )
        self._addresses = [address for address, _ in points]
        self._places = [place for _, place in points]
        self._blocks = [
            union(self._places[start : start + _BLOCK])
            for start in range(0, len(points), _BLOCK)
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


def union(places: Iterable[int]) -> int:
    """Return the set of some bit positions."""
    listed = list(places)
    if not listed:
        return 0
    if len(listed) < 32:
        found = 0
        for place in listed:
            found |= 1 << place
        return found
    buffer = bytearray(max(listed) // 8 + 1)
    for place in listed:
        buffer[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(buffer, "little")


def merge(sets: Iterable[int]) -> int:
    """Return the union of sets."""
    found = 0
    for each in sets:
        found |= each
    return found


def usable(machine: Machine) -> Iterator[tuple[str, IntervalSet]]:
    """Yield the approved routes of a node, those that others can really use."""
    for text, route in machine.subnets:
        if text in machine.node.approved:
            yield text, route


def family(addresses: IntervalSet, version: int) -> IntervalSet:
    """Return the part of a set that is of one address family."""
    return addresses & _FAMILIES[version]


_FAMILIES = {4: prefix("0.0.0.0/0"), 6: prefix("::/0")}


def _cells(
    worlds: Iterable[World], literals: Iterable[IntervalSet]
) -> list[tuple[int, int]]:
    routes = [
        route for w in worlds for m in w.tailnet.machines for _, route in usable(m)
    ]
    routed = IntervalSet.union(routes)
    borders = {V6}
    for each in (*routes, *literals):
        for low, high in each:
            borders.add(low)
            borders.add(high + 1)
    ordered = sorted(borders)
    return [(low, high - 1) for low, high in pairwise(ordered) if low in routed]
