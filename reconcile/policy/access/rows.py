"""Sources to rows: what no rule of any world tells apart shares one.

A node is selected by who it is (its tags or its user) and by where it is (its
addresses); a network behind a router only by where it is.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reconcile.policy.access.targets import NOTHING, Offered
from reconcile.policy.access.universe import Universe, World, bits, merge, union
from reconcile.policy.language.selectors import Selector
from reconcile.policy.language.sets import V6
from reconcile.policy.meaning.tailnet import NOBODY, Identity

# Rules by selector, as bits.
BySelector = Mapping[Selector, int]


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The rules that sources are in, in one world, as bits.

    `rules` are put together from `parts`, which many sources share: those of a user,
    group, tag or address. `owner` is their user where `autogroup:self` applies.
    `offered` is what the server shows to them.
    """

    rules: int
    parts: tuple[int, ...]
    owner: str | None = None
    offered: Offered = NOTHING

    def without(self, rules: int) -> "Side":
        """Return the side as it were without some rules."""
        left = self.rules & ~rules
        return Side(left, (left,), self.owner, self.offered)


NOWHERE = Side(0, ())  # of sources that no rule means


@dataclass(frozen=True, slots=True)
class Row:
    """Sources that nothing tells apart: their bits, and their side in each world."""

    members: int
    sides: tuple[Side, ...]


class Sources:
    """The side that each source of one world is on, by its bit.

    `own` are the rules for `autogroup:self`.
    """

    def __init__(
        self, universe: Universe, world: World, by_selector: BySelector, own: int
    ) -> None:
        self._own = own
        self._identities = _Identities(world, by_selector)
        self._sweep = _Sweep(world, by_selector)
        self._known: dict[tuple[Identity, int], Side] = {}
        self._equal: dict[tuple[int, str | None, Offered], Side] = {}
        self.sides = [NOWHERE] * (universe.first_cell + len(universe.cells))
        at, swept = self._sweep.at, bool(self._sweep)
        for number, machine in world.machines.items():
            for address in machine.numbers or (0, V6):
                where = at(address) if swept and machine.numbers else 0
                place = number + universe.size * (address >= V6)
                self.sides[place] = self._side(machine.identity, where)
        for place, (low, _) in enumerate(universe.cells, universe.first_cell):
            if swept and world.routed >> place & 1:
                self.sides[place] = self._side(NOBODY, at(low))

    def offer(self, found: Iterable[tuple[int, Offered]]) -> None:
        """Note what sources are offered, each by its bit."""
        for place, offered in found:
            side = self.sides[place]
            if side.rules:
                key = side.rules, side.owner, offered
                shown = replace(side, offered=offered)
                self.sides[place] = self._equal.setdefault(key, shown)

    def _side(self, who: Identity, where: int) -> Side:
        """Return the side of sources: the same object for the same rules."""
        known = self._known.get((who, where))
        if known is None:
            known = self._known[who, where] = self._put_together(who, where)
        return known

    def _put_together(self, who: Identity, where: int) -> Side:
        parts = {*self._identities.parts(who), self._sweep.rules(where)} - {0}
        if not parts:
            return NOWHERE
        rules = merge(parts)
        owner = who.owner if rules & self._own else None
        side = Side(rules, tuple(parts), owner)
        return self._equal.setdefault((rules, owner, NOTHING), side)


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
        for selector, rules in by_selector.items():
            if selector.by_address:
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
        found = [self._tags[tag] for tag in who.tags if tag in self._tags]
        if who.tags:
            found += self._tagged
        elif who.owner is not None:
            found += self._members
        return [*found, *self._owners.get(who.owner or "", ())]


class _Sweep:
    """The selectors that are address ranges, along the number line."""

    def __init__(self, world: World, by_selector: BySelector) -> None:
        edges: dict[int, int] = defaultdict(int)
        self._rules: list[int] = []
        for selector, rules in by_selector.items():
            if not selector.by_address:
                continue
            number = 1 << len(self._rules)
            self._rules.append(rules)
            for low, high in world.resolver.sources(selector):
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
