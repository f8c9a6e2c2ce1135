"""Addresses as bits: the ground on which access is computed.

A set of sources or destinations is one Python integer. For n nodes, bits 0 to n-1 are
their IPv4 addresses and bits n to 2n-1 their IPv6 addresses: traffic stays in one
family. The following bits are cells, stretches of addresses that no rule and no route
tells apart: those behind subnet routers and, where there is an exit node, those of the
internet. Above them stand the blocks: the cells again, once for each kind of exit node,
for what a rule opens there and what only counts where that exit node is offered.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, pairwise

from reconcile.model import EXIT_ROUTES
from reconcile.policy.language.document import Policy
from reconcile.policy.language.selectors import SELF, Selector
from reconcile.policy.language.sets import V6, IntervalSet, prefix
from reconcile.policy.meaning.resolve import INTERNET, TAILNET, Resolver
from reconcile.policy.meaning.tailnet import Machine, Tailnet

_BLOCK = 64  # how many addresses share one stored set of the nodes below them


def bits(numbers: int) -> Iterator[int]:
    """Yield the positions of the set bits, lowest first."""
    text = bin(numbers)[:1:-1]
    found = text.find("1")
    while found >= 0:
        yield found
        found = text.find("1", found + 1)


@dataclass(slots=True, eq=False)
class World:
    """One policy in one tailnet, with the bits of each identity.

    A universe gives it its bits; worlds with one tailnet share them.
    """

    policy: Policy
    tailnet: Tailnet
    resolver: Resolver
    machines: dict[int, Machine] = field(default_factory=dict)  # by number of the node
    present: int = 0
    owners: dict[str, int] = field(default_factory=dict)  # by the user's id
    members: int = 0  # nodes of users that wear no tag
    tags: dict[str, int] = field(default_factory=dict)
    routed: int = 0  # cells that an approved subnet route leads to
    exits: tuple["Exit", ...] = ()
    choosing: int = 0  # nodes that may use exit nodes, since they offer to be none
    selected: dict[Selector, int] = field(default_factory=dict)

    @classmethod
    def of(cls, policy: Policy, tailnet: Tailnet) -> "World":
        """Make a world of a policy without errors and a tailnet."""
        return cls(policy, tailnet, Resolver(policy, tailnet))


@dataclass(frozen=True, slots=True)
class Exit:
    """An exit node: the number of its node, and the number of its block of cells."""

    number: int
    machine: Machine
    block: int


class Universe:
    """The addresses of nodes and the networks of several worlds, each with its bit."""

    def __init__(
        self, worlds: Sequence[World], literals: Iterable[IntervalSet]
    ) -> None:
        self.worlds = worlds
        self._tailnets = {id(world.tailnet): world.tailnet for world in worlds}
        keys = chain.from_iterable(each.keys for each in self._tailnets.values())
        self.position = {key: i for i, key in enumerate(dict.fromkeys(keys))}
        self.size = len(self.position)
        self.low = (1 << self.size) - 1
        self.first_cell = 2 * self.size
        self.cells = _cells(self._tailnets.values(), literals)
        self._cell_starts = [low for low, _ in self.cells]
        self.visible = (1 << (self.first_cell + len(self.cells))) - 1
        self.internet = self.network(INTERNET)
        self._blocks: dict[object, int] = {}
        self._led_to: list[int] = []  # what the exit nodes of each block lead to
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
        world.members = first.members
        world.routed, world.exits = first.routed, first.exits
        world.choosing = first.choosing

    def _settle(self, world: World) -> None:
        tailnet, tags = world.tailnet, defaultdict[str, int](int)
        numbers = [self.position[key] for key in tailnet.keys]
        world.machines = dict(zip(numbers, tailnet.machines, strict=True))
        for who, machines in tailnet.by_identity.items():
            places = [
                place
                for machine in machines
                for place in self._places(numbers[machine.index], machine)
            ]
            alike = union(places)
            world.present |= alike
            if who.owner is not None:
                world.owners[who.owner] = world.owners.get(who.owner, 0) | alike
                world.members |= 0 if who.tags else alike
            for tag in who.tags:
                tags[tag] |= alike
        world.tags = dict(tags)
        offering = (
            self.node(number)
            for number, machine in world.machines.items()
            if not machine.node.available.isdisjoint(EXIT_ROUTES)
        )
        world.choosing = world.present & ~merge(offering)
        for machine in tailnet.routers:
            world.routed |= self.behind(machine)
        world.exits = tuple(
            Exit(numbers[machine.index], machine, self._block(machine))
            for machine in tailnet.routers
            if is_exit(machine)
        )

    def _places(self, number: int, machine: Machine) -> Iterator[int]:
        """Yield the places of a node: one for each address family that it has.

        One whose addresses nobody told is taken for a node with both.
        """
        for address in machine.numbers or (0, V6):
            yield number + self.size * (address >= V6)

    def _block(self, machine: Machine) -> int:
        """Return the block of an exit node; exit nodes that rules treat alike share."""
        families = frozenset(address >= V6 for address in machine.numbers)
        routes = tuple(text for text, _ in machine.subnets)
        leading = (self.network(prefix(route)) for route in exits(machine))
        led_to = self.internet & merge(leading)
        kind = machine.tags, families, routes, led_to
        if kind not in self._blocks:
            self._blocks[kind] = len(self._blocks)
            self._led_to.append(led_to)
        return self._blocks[kind]

    # Cells and blocks.

    def network(self, addresses: IntervalSet) -> int:
        """Return the cells that lie in a set of addresses."""
        found = 0
        for low, high in addresses:
            first = bisect_left(self._cell_starts, low)
            last = bisect_left(self._cell_starts, high + 1)
            found |= (1 << last) - (1 << first)
        return found << self.first_cell

    def is_cut_at(self, addresses: IntervalSet) -> bool:
        """Tell whether each cell lies inside a set of addresses or outside of it."""
        starting = self.addresses(self.network(addresses))
        others = IntervalSet(self.cells) - starting
        return starting <= addresses and not others.overlaps(addresses)

    def behind(self, machine: Machine) -> int:
        """Return the networks that a node's approved subnet routes lead to."""
        return merge(self.network(route) for _, route in usable(machine))

    @property
    def all_blocks(self) -> int:
        """The blocks of every kind of exit node, as bits."""
        return (1 << len(self._blocks)) - 1

    def through(self, cells: int, block: int) -> int:
        """Return internet cells as what one kind of exit node leads to."""
        above = len(self.cells) * (block + 1)
        return (cells & self._led_to[block]) << above

    def arriving(self, targets: int, offered: int) -> int:
        """Return targets as seen by who is offered some blocks of exit nodes."""
        if targets <= self.visible:
            return targets
        found = targets & self.visible
        for block in bits(offered):
            found |= (targets >> len(self.cells) * (block + 1)) & self.internet
        return found

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

    def addresses(self, cells: int) -> IntervalSet:
        """Return the addresses of cells."""
        return IntervalSet(self.cells[place - self.first_cell] for place in bits(cells))

    # Nodes.

    def node(self, number: int) -> int:
        """Return the bits of both addresses of a node."""
        return 1 << number | 1 << (number + self.size)

    def nodes(self, members: int) -> int:
        """Return the numbers of the nodes that have an address in a set, as bits."""
        return (members | members >> self.size) & self.low

    def both(self, numbers: int) -> int:
        """Return the bits of both addresses of nodes, given by their numbers."""
        return numbers | numbers << self.size

    @cached_property
    def families(self) -> tuple[int, int]:
        """The bits of IPv4 and of IPv6 addresses."""
        sixth = self.network(IntervalSet([(V6, (V6 << 1) - 1)])) | self.low << self.size
        return self.visible & ~sixth, sixth

    def single(self, members: int) -> int:
        """Return a source that is the only one, else nothing: what reaches itself.

        It is a node with both addresses, or a network with all its parts.
        """
        nodes, cells = self.split(members)
        number = self.nodes(nodes)
        if not cells and number.bit_count() == 1:
            return self.both(number)
        if nodes:
            return 0
        return next((whole for whole in self._wholes if not cells & ~whole), 0)

    @cached_property
    def _wholes(self) -> list[int]:
        """The networks of all worlds: routes that lie in no other one."""
        return [whole for world in self.worlds for whole in self.networks(world)]

    def by_family(self, nodes: int) -> Iterator[int]:
        """Cut addresses of nodes by the families of each node: both, or only one."""
        fourth, sixth = nodes & self.low, nodes >> self.size
        both = fourth & sixth
        for found in (self.both(both), fourth & ~both, (sixth & ~both) << self.size):
            if found:
                yield found

    def partners(self, members: int) -> int:
        """Return all that is of an address family that some sources have."""
        return merge(family for family in self.families if members & family)

    def split(self, places: int) -> tuple[int, int]:
        """Return the addresses of nodes in a set, and the cells."""
        cells = places >> self.first_cell << self.first_cell
        return places ^ cells, cells

    def addressed(self, index: int, addresses: IntervalSet) -> int:
        """Return the addresses of nodes of a world that are in a set."""
        world = self.worlds[index]
        key = id(world.tailnet)
        if key not in self._lines:
            self._lines[key] = _Line(self, world)
        return self._lines[key].places(addresses)

    def leading(self, world: World, number: int) -> int:
        """Return all cells that a node of a world leads to, the internet too."""
        machine = world.machines.get(number)
        found = self.behind(machine) if machine else 0
        blocks = (each.block for each in world.exits if each.number == number)
        return found | merge(self._led_to[block] for block in blocks)

    def public(self, world: World) -> int:
        """Return the part of the internet that the exit nodes of a world lead to."""
        return merge(self._led_to[each.block] for each in world.exits)

    def served(self, world: World) -> int:
        """Return the cells to which anything leads in a world."""
        return world.routed | self.public(world)

    def meaning(self, selector: Selector, index: int) -> int:
        """Return the nodes, networks and parts of the internet that a word means.

        `*` is all of it, and `autogroup:self` nothing: it differs by the source.
        """
        world = self.worlds[index]
        served = self.served(world)
        if selector.kind == "any":
            return world.present | served
        if selector.autogroup == "internet":
            return self.internet & served if world.exits else 0
        if not selector.by_address:
            return 0 if selector.text == SELF else self.selected(world, selector)
        addresses = world.resolver.sources(selector)
        return self.addressed(index, addresses) | self.network(addresses) & served

    def unserved(self, addresses: IntervalSet, index: int) -> IntervalSet:
        """Return the part of a set to which nothing leads in a world.

        Addresses that the tailnet may give to nodes are no such part.
        """
        world = self.worlds[index]
        served = self.served(world)
        rest = addresses - self.addresses(self.split(served)[1])
        return rest - TAILNET - world.tailnet.addresses

    def selected(self, world: World, selector: Selector) -> int:
        """Return the addresses of nodes that a selector means by identity."""
        if selector.kind == "tag":
            return world.tags.get(selector.text, 0)
        if selector.autogroup == "tagged":
            return merge(world.tags.values())
        if selector.autogroup == "member":
            return world.members
        if selector not in world.selected:
            ids = world.resolver.owners(selector)
            world.selected[selector] = merge(
                world.owners[each] for each in ids if each in world.owners
            )
        return world.selected[selector]


class _Line:
    """The nodes of one world along the number line of addresses."""

    def __init__(self, universe: Universe, world: World) -> None:
        numbers = {machine.index: number for number, machine in world.machines.items()}
        self._addresses, machines = world.tailnet.by_address
        self._places = [
            numbers[machine.index] + universe.size * (address >= V6)
            for address, machine in zip(self._addresses, machines, strict=True)
        ]
        self._blocks = [
            union(self._places[start : start + _BLOCK])
            for start in range(0, len(self._places), _BLOCK)
        ]

    def places(self, addresses: IntervalSet) -> int:
        """Return the addresses inside a set; whole blocks are taken at once."""
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


def usable(machine: Machine) -> Iterator[tuple[str, IntervalSet]]:
    """Yield the approved subnet routes of a node, those that others can really use."""
    for text, route in machine.subnets:
        if text in machine.node.approved and text not in EXIT_ROUTES:
            yield text, route


def exits(machine: Machine) -> list[str]:
    """Return the exit routes of a node that are approved and advertised."""
    return sorted(route for route in machine.exits if route in machine.node.approved)


def is_exit(machine: Machine) -> bool:
    """Tell whether a node is an approved exit node."""
    return bool(exits(machine))


def _cells(
    tailnets: Iterable[Tailnet], literals: Iterable[IntervalSet]
) -> list[tuple[int, int]]:
    routers = [router for tailnet in tailnets for router in tailnet.routers]
    routes = [route for machine in routers for _, route in usable(machine)]
    if any(map(is_exit, routers)):
        routes.append(INTERNET)
    if not routes:
        return []
    led_to = IntervalSet.union(routes)
    borders = {V6}
    for each in (*routes, *literals):
        for low, high in each:
            borders.add(low)
            borders.add(high + 1)
    ordered = sorted(borders)
    return [(low, high - 1) for low, high in pairwise(ordered) if low in led_to]
