"""Which rules open something, and which open only what others open as well.

Sources with the same rules are one crowd. In a crowd each rule's destinations are held
against those that two rules or more open: what lies inside is open without the rule.
That is linear in the rules of a crowd. Only the rules that pass everywhere are looked
at one by one, for the rules that hold them.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from reconcile.policy.access.counts import Things
from reconcile.policy.access.families import Families
from reconcile.policy.access.matrix import Matrix
from reconcile.policy.access.reach import Reach, disjoint, minus
from reconcile.policy.access.targets import Offered
from reconcile.policy.access.universe import World, bits, merge
from reconcile.policy.language.document import Origin, Rule, targets_of
from reconcile.policy.language.words import Size
from reconcile.policy.lint.showing import Showing
from reconcile.policy.reading.ssh import localpart_domain

Among = Callable[[Origin], bool]


@dataclass(slots=True)
class Crowd:
    """Sources with the same rules: their bits, and what each rule opens to them."""

    members: int
    opened: dict[int, Reach] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Extent:
    """How many sources and destinations, how many paths, by which atoms."""

    sources: Size
    targets: Size
    paths: int
    atoms: int


class Overlap:
    """The rules of one world of a matrix by crowds; a rule goes by its number."""

    def __init__(self, matrix: Matrix, index: int) -> None:
        self._matrix = matrix
        self._index = index
        self._compiled = matrix.rules[index]
        self.rules: list[Origin] = []
        self._of: dict[int, int] = {}  # compiled rule to rule
        known: dict[int, int] = {}
        for place, compiled in self._compiled.items():
            number = known.setdefault(id(compiled.origin), len(self.rules))
            if number == len(self.rules):
                self.rules.append(compiled.origin)
            self._of[place] = number
        self._known: dict[tuple[int, int, Offered, int], Reach] = {}
        self.things = Things(matrix.universe, matrix.worlds[index])
        self._showing = Showing(matrix, index)
        self.crowds = self._crowds()
        self.where: dict[int, list[Crowd]] = defaultdict(list)
        for crowd in self.crowds:
            for number in crowd.opened:
                self.where[number].append(crowd)
        world = matrix.worlds[index]
        self._kinds = [_kind(rule) for rule in self.rules]
        self._sure = [_is_sure(rule, world) for rule in self.rules]

    def _crowds(self) -> list[Crowd]:
        members: dict[tuple[int, str | None, Offered], int] = defaultdict(int)
        for row in self._matrix.rows:
            side = row.sides[self._index]
            members[side.rules, side.owner, side.offered] |= row.members
        universe = self._matrix.universe
        owners = self._matrix.worlds[self._index].owners
        return [
            Crowd(places & family, self._opened(rules, own, offered, family))
            for (rules, owner, offered), places in members.items()
            if rules
            for own in (owners.get(owner or "", 0),)
            for family in universe.families
            if places & family
        ]

    def _opened(
        self, rules: int, own: int, offered: Offered, family: int
    ) -> dict[int, Reach]:
        """Return what each rule opens, its atoms cut so that they do not overlap."""
        parts: dict[int, int] = defaultdict(int)
        for number in bits(rules):
            parts[self._of[number]] |= 1 << number
        found = {}
        for rule, numbers in parts.items():
            key = rule, numbers, offered, family
            reach = self._known.get(key)
            if reach is None:
                reach = self._reach(numbers, own, offered, family)
                if not any(self._compiled[number].own for number in bits(numbers)):
                    self._known[key] = reach
            if reach:
                found[rule] = reach
        return found

    def _reach(self, numbers: int, own: int, offered: Offered, family: int) -> Reach:
        universe = self._matrix.universe
        chosen = [self._compiled[number] for number in bits(numbers)]
        opened = [
            (c.atoms, family & (own if c.own else offered.reached(universe, c)))
            for c in chosen
        ]
        if len(opened) == 1:
            return opened if opened[0][1] else []
        return disjoint(opened)

    @property
    def alive(self) -> set[str]:
        """The names of the rules that open something to somebody."""
        return {str(self.rules[number]) for number in self.where}

    def is_apart(self, rule: Origin) -> bool:
        """Tell whether a rule leads where no router of its sources has a peer."""
        index = self._index
        return any(
            self._compiled[number].targets & ~row.sides[index].offered.limit
            for row in self._matrix.rows
            for number in bits(row.sides[index].rules)
            if self._compiled[number].origin is rule
        )

    def steers(self, rule: Origin) -> bool:
        """Tell whether routers would let through what a grant with `via` leads to."""
        return any(c.steered for c in self._compiled.values() if c.origin is rule)

    def shows(self, rule: Origin) -> bool:
        """Tell whether somebody would be shown fewer exit nodes without a rule."""
        return self._showing.is_needed(self._places.get(id(rule), 0))

    @cached_property
    def _places(self) -> dict[int, int]:
        """The compiled rules of each rule of the policy, by its id."""
        found: dict[int, int] = defaultdict(int)
        for number, each in self._compiled.items():
            found[id(each.origin)] |= 1 << number
        return found

    def extent(self, number: int) -> "Extent":
        """Return how much a rule opens."""
        parts: list[tuple[int, int]] = []
        atoms = 0
        for crowd in self.where.get(number, ()):
            parts.append(
                (crowd.members, merge(each for _, each in crowd.opened[number]))
            )
            atoms |= merge(each for each, _ in crowd.opened[number])
        families = Families(self._matrix.universe, [self._matrix.worlds[self._index]])
        found = families.together(parts)
        return Extent(
            self.things.size(merge(ends.members for ends in found)),
            self.things.size(merge(ends.targets for ends in found)),
            sum(self.things.pairs(ends.members, ends.targets) for ends in found),
            atoms,
        )

    def example(self, members: int, targets: int) -> str:
        """Return a pair of nodes out of two sets."""
        universe = self._matrix.universe
        machines = self._matrix.worlds[self._index].machines
        for source in bits(universe.nodes(universe.split(members)[0])):
            for target in bits(universe.nodes(universe.split(targets)[0])):
                if source != target:
                    names = machines[source].name, machines[target].name
                    return f"node:{names[0]} to node:{names[1]}"
        return "from a subnet"

    # What is open without a rule.

    def superfluous(self, among: Among) -> dict[int, list[int]]:
        """Return the rules that can all go without loss, each with those that hold it.

        The smallest go first: of a narrow and a wide rule the wide one stays. Only
        rules that `among` takes are looked at.
        """
        asked = {n for n in self.where if self._kinds[n] and among(self.rules[n])}
        failed: set[int] = set()
        for crowd in self.crowds:
            if not crowd.opened.keys().isdisjoint(asked):
                failed |= self._needed(crowd, failed)
        chosen = [number for number in self.where if number in asked - failed]
        chosen.sort(key=lambda n: (self._weight(n), -n))
        gone: dict[int, list[int]] = {}
        touched: set[int] = set()  # crowds that a rule has left
        for number in chosen:
            crowds = self.where[number]
            if all(
                id(crowd) not in touched or self._is_held(crowd, number, gone)
                for crowd in crowds
            ) and not self.shows(self.rules[number]):
                gone[number] = self._holders(number, gone)
                touched.update(id(crowd) for crowd in crowds)
        return gone

    def _needed(self, crowd: Crowd, failed: set[int]) -> set[int]:
        """Return the rules that open what no other rule opens to a crowd."""
        by_kind: dict[Hashable, dict[int, list[int]]] = {}
        for number, reach in crowd.opened.items():
            kind = self._kinds[number]
            if kind is None:
                continue
            masks = by_kind.setdefault(kind, {})
            for atoms, targets in reach:
                counts = masks.setdefault(atoms, [0, 0])
                if self._sure[number]:
                    counts[1] |= counts[0] & targets
                    counts[0] |= targets
        spare = {kind: _spread(masks) for kind, masks in by_kind.items()}
        return {
            number
            for number, reach in crowd.opened.items()
            if number not in failed
            and (kind := self._kinds[number]) is not None
            and any(
                targets & ~spare[kind][atoms][self._sure[number]]
                for atoms, targets in reach
            )
        }

    def _others(
        self, crowd: Crowd, number: int, gone: Iterable[int]
    ) -> Iterable[tuple[int, Reach]]:
        """Yield the rules of a crowd that can hold another one."""
        for other, reach in crowd.opened.items():
            same = self._kinds[other] == self._kinds[number] and self._sure[other]
            if same and other != number and other not in gone:
                yield other, reach

    def _is_held(self, crowd: Crowd, number: int, gone: Iterable[int]) -> bool:
        rest = crowd.opened[number]
        for _, reach in self._others(crowd, number, gone):
            if _meet(rest, reach):
                rest = minus(rest, reach)
                if not rest:
                    return True
        return False

    def _holders(self, number: int, gone: Iterable[int]) -> list[int]:
        """Return one rule that holds another one, else a few that do so together."""
        crowds = self.where[number]
        for other, reach in self._others(crowds[0], number, gone):
            if _meet(crowds[0].opened[number], reach) and all(
                not minus(crowd.opened[number], crowd.opened.get(other, []))
                for crowd in crowds
            ):
                return [other]
        rest = [(crowd, crowd.opened[number]) for crowd in crowds]
        found: list[int] = []
        while rest:
            crowd, reach = rest[0]
            others = self._others(crowd, number, [*gone, *found])
            best = max(others, key=lambda each: _common(reach, each[1]))[0]
            found.append(best)
            left = [(c, minus(r, c.opened.get(best, []))) for c, r in rest]
            rest = [(c, r) for c, r in left if r]
        return sorted(found)

    def _weight(self, number: int) -> int:
        return sum(
            crowd.members.bit_count() * targets.bit_count() * atoms.bit_count()
            for crowd in self.where[number]
            for atoms, targets in crowd.opened[number]
        )


def _spread(masks: dict[int, list[int]]) -> dict[int, tuple[int, int]]:
    """Return for each set of atoms what is opened at least once, at least twice.

    That is over all of its atoms, and over all rules that open any of these.
    """
    if len(masks) == 1:
        return {atoms: (once, twice) for atoms, (once, twice) in masks.items()}
    ones: dict[int, int] = defaultdict(int)
    twos: dict[int, int] = defaultdict(int)
    for atoms, (once, twice) in masks.items():
        for place in _places(atoms):
            twos[place] |= twice | (ones[place] & once)
            ones[place] |= once
    return {
        atoms: (
            _every(ones[place] for place in _places(atoms)),
            _every(twos[place] for place in _places(atoms)),
        )
        for atoms in masks
    }


@lru_cache(maxsize=4096)
def _places(atoms: int) -> tuple[int, ...]:
    return tuple(bits(atoms))


def _every(sets: Iterable[int]) -> int:
    found = -1
    for each in sets:
        found &= each
    return found


def _meet(one: Reach, other: Reach) -> bool:
    """Tell whether two rules open something in common."""
    return any(
        atoms & taken and targets & reached
        for atoms, targets in one
        for taken, reached in other
    )


def _common(one: Reach, other: Reach) -> int:
    return sum(
        (atoms & taken).bit_count() * (targets & reached).bit_count()
        for atoms, targets in one
        for taken, reached in other
    )


def _kind(rule: Origin) -> Hashable:
    """Return what two rules must have in common to stand in for each other.

    None is for rules that do more than to open paths: they steer them, or hand out
    capabilities or logins by the user's own name.
    """
    if isinstance(rule, Rule):
        return None if rule.via or rule.capabilities else "rule"
    if rule is None or any(localpart_domain(user) for user in rule.users):
        return None
    return rule.action, rule.accept_env, rule.check_period


def _is_sure(rule: Origin, world: World) -> bool:
    """Tell whether a rule opens, for certain, all that it seems to open."""
    if rule is None or (isinstance(rule, Rule) and rule.unsure):
        return False
    return not any(
        selector.text in world.resolver.unsure
        for selector in (*rule.sources, *targets_of(rule))
    )
