"""Sources to rows: what no rule of any world tells apart shares one.

A node is selected by who it is (its tags or its user) and by where it is (its
addresses); a network behind a router only by where it is.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reconcile.policy.selectors import Selector
from reconcile.policy.sets import FAMILIES, V6, IntervalSet
from reconcile.policy.tailnet import Identity, Machine
from reconcile.policy.universe import Universe, World, bits, has, merge, union

# Rules by selector and address family (0 where it selects by identity), as bits.
BySelector = Mapping[tuple[Selector, int], int]


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The rules that sources are in, in one world, as bits.

    `rules` are put together from `parts`, which many sources share: those of a user,
    group, tag or address. `owner` is their user where `autogroup:self` applies.
    `within` is what has an address of their family, -1 where they have both families.
    """

    rules: int
    parts: tuple[int, ...]
    owner: str | None = None
    within: int = -1

    def without(self, rules: int) -> "Side":
        """Return the side as it were without some rules."""
        left = self.rules & ~rules
        return replace(self, rules=left, parts=(left,))


NOWHERE = Side(0, ())  # of sources that no rule means


@dataclass(frozen=True, slots=True)
class Row:
    """Sources that nothing tells apart: their bits, and their side in each world."""

    members: int
    sides: tuple[Side, ...]


class Sources:
    """The side that each source of one world is on, by its bit.

    `own` are the rules for `autogroup:self`, `single` those of one address family.
    """

    def __init__(
        self,
        universe: Universe,
        world: World,
        by_selector: BySelector,
        own: int,
        single: Mapping[int, int],
    ) -> None:
        self._own = own
        self._world = world
        self._foreign = {0: 0, 4: single[6], 6: single[4]}
        self._identities = _Identities(world, by_selector)
        self._sweep = _Sweep(world, by_selector)
        self._known: dict[tuple[Identity, int, int], Side] = {}
        self._equal: dict[tuple[int, str | None, int], Side] = {}
        self.sides = [NOWHERE] * (universe.size + len(universe.cells))
        at, swept = self._sweep.at, bool(self._sweep)
        for place, machine in world.machines.items():
            where = merge(map(at, machine.numbers)) if swept else 0
            self.sides[place] = self._side(machine.identity, where, _version(machine))
        for place, (low, _) in enumerate(universe.cells, universe.size):
            if swept and world.routed >> place & 1:
                self.sides[place] = self._side(None, at(low), 6 if low >= V6 else 4)

    def _side(self, who: Identity, where: int, version: int) -> Side:
        """Return the side of sources: the same object for the same rules.

        `version` is the one address family that they have, 0 for both.
        """
        key = who, where, version
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._put_together(*key)
        return known

    def _put_together(self, who: Identity, where: int, version: int) -> Side:
        foreign = self._foreign[version]
        selected = (*self._identities.parts(who), self._sweep.rules(where))
        parts = {rules & ~foreign for rules in selected} - {0}
        if not parts:
            return NOWHERE
        rules = merge(parts)
        owner = who if isinstance(who, str) and rules & self._own else None
        within = self._world.families[version] if version else -1
        side = Side(rules, tuple(parts), owner, within)
        return self._equal.setdefault((rules, owner, within), side)


def _version(machine: Machine) -> int:
    """Return the one address family that a node has, 0 for both."""
    found = [version for version in FAMILIES if has(machine, version)]
    return found[0] if len(found) == 1 else 0


def rows(worlds: Sequence[Sources]) -> list[Row]:
    """Return the rows of worlds that share one universe, none without a rule."""
    alike: dict[tuple[Side, ...], list[int]] = defaultdict(list)
    for place, sides in enumerate(zip(*(each.sides for each in worlds), strict=True)):
        alike[sides].append(place)
    return [
        Row(union(places), sides)
        for sides, places in alike.items()
        if any(side.rules for side in sides)
    ]


class _Identities:
    """The rules that name a user, a group or a tag, by who a node is."""

    def __init__(self, world: World, by_selector: BySelector) -> None:
        self._tags: dict[str, int] = {}
        self._owners: dict[str, list[int]] = defaultdict(list)
        self._tagged: tuple[int, ...] = ()
        self._members: tuple[int, ...] = ()
        for (selector, version), rules in by_selector.items():
            if version:
                continue
            if selector.kind == "tag":
                self._tags[selector.text] = rules
            elif selector.autogroup == "tagged":
                self._tagged = (rules,)
            elif selector.autogroup == "member":
                self._members = (rules,)
            else:
                for owner in world.resolver.owners(selector):
                    self._owners[owner].append(rules)

    def parts(self, who: Identity) -> Sequence[int]:
        """Return the rules of each selector that means a node."""
        if isinstance(who, frozenset):
            worn = [self._tags[tag] for tag in who if tag in self._tags]
            return [*worn, *self._tagged]
        if who is None:
            return ()
        return [*self._members, *self._owners.get(who, ())]


class _Sweep:
    """The selectors that are address ranges, along the number line."""

    def __init__(self, world: World, by_selector: BySelector) -> None:
        edges: dict[int, int] = defaultdict(int)
        self._rules: list[int] = []
        for (selector, version), rules in by_selector.items():
            if not version:
                continue
            number = 1 << len(self._rules)
            self._rules.append(rules)
            for low, high in family(world.resolver.sources(selector), version):
                edges[low] ^= number
                edges[high + 1] ^= number
        self._edges = sorted(edges)
        self._selected = [0]
        for edge in self._edges:
            self._selected.append(self._selected[-1] ^ edges[edge])
        self._known: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._edges)

    def at(self, address: int) -> int:
        """Return the selectors that mean an address, as bits."""
        return self._selected[bisect_right(self._edges, address)]

    def rules(self, selected: int) -> int:
        """Return the rules of some selectors."""
        if selected not in self._known:
            rules = merge(self._rules[number] for number in bits(selected))
            self._known[selected] = rules
        return self._known[selected]


def family(addresses: IntervalSet, version: int) -> IntervalSet:
    """Return the part of a set that is of one address family."""
    return addresses & FAMILIES[version]
