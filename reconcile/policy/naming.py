"""Naming sets of nodes and networks with the words that people use."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice

from reconcile.model import natural
from reconcile.policy.matrix import Matrix
from reconcile.policy.selectors import Selector
from reconcile.policy.sets import IntervalSet, texts
from reconcile.policy.universe import Universe, World, bits, merge
from reconcile.policy.words import BUT, EVERYTHING, NODE

EVERY_NODE = "every node"
INTERNET = "the internet"
_WORDS = ("group", "tag", "autogroup")
_FEW = 3  # exceptions at most: more are harder to read than names


class Naming:
    """Names sets of bits by exact match, else by a cover of named subsets.

    A name never claims more than the set holds: every name given is of a subset.
    Names are taken from all worlds of the matrix, or from those that are given.
    """

    def __init__(self, matrix: Matrix, worlds: Sequence[World] = ()) -> None:
        self._universe = matrix.universe
        self._worlds = worlds or matrix.worlds
        self._named = self._names()
        self._exact: dict[int, str] = {}
        for name, members in self._named:
            self._exact.setdefault(members, name)
        self._covers: dict[int, list[str]] = {}
        self._nodes: dict[int, str] = {}
        self._wholes = [each for w in reversed(self._worlds) for each in self._whole(w)]
        self._all = {members for name, members in self._wholes if name == EVERYTHING}
        self._owned = dict(self._worlds[-1].owners)
        self._everyone = merge(self._owned.values())
        machines = self._worlds[-1].machines.items()
        self._owner_of = {place: m.owner for place, m in machines if m.owner}
        users = {self._label(owner) for owner in self._owned}
        large = [
            (members.bit_count(), name, members)
            for name, members in self._named
            if name not in users
        ]
        self._large = sorted(large, key=lambda named: -named[0])

    def _names(self) -> list[tuple[str, int]]:
        """Return all named sets, the words that rules use first."""
        found: dict[str, int] = {}
        for world in reversed(self._worlds):
            for name, members in _of_world(self._universe, world):
                if members:
                    found.setdefault(name, members)
        return list(found.items())

    def _whole(self, world: World) -> Iterable[tuple[str, int]]:
        """Yield the large sets of a world, the smallest first."""
        yield "autogroup:member", merge(world.owners.values())
        yield "autogroup:tagged", merge(world.tags.values())
        yield EVERY_NODE, world.present
        internet = self._universe.internet * bool(world.exits)
        yield EVERYTHING, world.present | world.routed | internet

    def names(
        self, members: int, hints: Iterable[Selector] = (), itself: int = 0
    ) -> list[str]:
        """Return the names of a set, those of the hinted selectors preferred.

        `itself` is the source of which these are the destinations, if it is only one:
        a name may hold it besides, since a node that reaches itself is no path.
        """
        alike = members, members | itself
        for hint in hints:
            for world in reversed(self._worlds):
                found = self._universe.selected(world, hint)
                if hint.kind in _WORDS and found in alike:
                    return [hint.text]
        if not self._all.isdisjoint(alike):
            return [EVERYTHING]
        names = self._apart(members)
        most = min(_FEW, (len(names) - 1) // 2)
        return (self._all_but(members | itself, most) if most else []) or names

    def _apart(self, members: int, most: int | None = None) -> list[str]:
        """Name nodes and networks apart; with `most` [] when it takes more names."""
        nodes = members & ((1 << self._universe.size) - 1)
        covers = self._cover(nodes, most) if nodes else []
        names = covers + self.networks(members & ~nodes)
        return names if most is None or len(names) <= most else []

    def _all_but(self, members: int, most: int) -> list[str]:
        """Name a set as a large one but for `most` exceptions, [] when it is none."""
        for name, whole in self._wholes:
            left = whole & ~members
            if members & ~whole or 2 * left.bit_count() > whole.bit_count():
                continue
            names = self._apart(left, most)
            if names:
                return [f"{name}{BUT}{', '.join(names)}"]
        return []

    def count(self, members: int) -> int:
        """Count nodes and networks; how finely rules cut a network up says nothing."""
        nodes = members & ((1 << self._universe.size) - 1)
        return nodes.bit_count() + len(self.networks(members & ~nodes))

    def singly(self, members: int) -> list[str]:
        """Return the names of a set node by node, then its networks."""
        nodes = members & ((1 << self._universe.size) - 1)
        return self._in_order(nodes) + self.networks(members & ~nodes)

    def _cover(self, nodes: int, most: int | None) -> list[str]:
        if nodes in self._exact:
            return [self._exact[nodes]]
        if most is not None:
            return list(islice(self._greedy(nodes), most + 1))
        if nodes not in self._covers:
            self._covers[nodes] = list(self._greedy(nodes))
        return self._covers[nodes]

    def _greedy(self, nodes: int) -> Iterator[str]:
        """Take the largest named subsets; what is left goes by user or by node."""
        size, others, rest = nodes.bit_count(), ~nodes, nodes
        for count, name, members in self._large:
            if count > size or members & others:
                continue
            if (members & rest).bit_count() > 1:
                yield name
                rest &= ~members
        owned = bits(rest & self._everyone)
        for owner in dict.fromkeys(self._owner_of[place] for place in owned):
            members = self._owned[owner]
            if not members & others:
                yield self._label(owner)
                rest &= ~members
        yield from self._in_order(rest)

    def _in_order(self, nodes: int) -> list[str]:
        """Return the names of nodes in the order of people: web-2 before web-10."""
        return [
            self.node(place)
            for place in sorted(bits(nodes), key=self._ranks.__getitem__)
        ]

    @cached_property
    def _ranks(self) -> dict[int, int]:
        """The rank of each node among all names."""
        places = sorted(range(self._universe.size), key=lambda p: natural(self.node(p)))
        return {place: rank for rank, place in enumerate(places)}

    def _label(self, owner: str) -> str:
        return self._worlds[-1].tailnet.label(owner)

    def node(self, place: int) -> str:
        """Return the name of a node: `node:nas`."""
        if place not in self._nodes:
            known = (world.machines.get(place) for world in reversed(self._worlds))
            self._nodes[place] = f"{NODE}{next(filter(None, known)).name}"
        return self._nodes[place]

    def networks(self, members: int) -> list[str]:
        """Return the addresses of cells, and the internet, as text.

        What a host of the policy stands for goes by its name: `vault (10.1.0.10)`.
        """
        cells = [
            self._universe.cells[place - self._universe.size]
            for place in bits(members & ~self._universe.internet)
        ]
        addresses = IntervalSet(cells)
        found = texts(addresses)
        if len(found) == 1:
            names = [
                f"{name} ({found[0]})"
                for world in self._worlds
                for name, meant in world.policy.hosts.items()
                if meant == addresses
            ]
            found = names[-1:] or found
        return [*found, INTERNET] if members & self._universe.internet else found


def _of_world(universe: Universe, world: World) -> Iterable[tuple[str, int]]:
    everyone = merge(world.owners.values())
    yield EVERY_NODE, world.present
    for group in world.policy.groups:
        yield group, universe.selected(world, Selector("group", group))
    owners = {world.tailnet.label(each): who for each, who in world.owners.items()}
    for known in (world.tags, owners):
        yield from sorted(known.items(), key=lambda named: natural(named[0]))
    yield "autogroup:member", everyone
    yield "autogroup:tagged", merge(world.tags.values())
