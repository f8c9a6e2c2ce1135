"""Who reaches what, for all nodes at once, in one or several worlds.

Sources that the same rules select share a row. A row's destinations are the OR of its
rules' destination bits, kept apart by which atoms of service each rule opens. Rows are
the same in all worlds, so that worlds are compared row by row with single operations.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from reconcile.policy.atoms import Atoms
from reconcile.policy.document import Origin, Rule, Service, SshRule
from reconcile.policy.pairing import canonical
from reconcile.policy.releases import PINGABLE
from reconcile.policy.selectors import Selector
from reconcile.policy.sets import ALL_PORTS, EVERYTHING, IntervalSet
from reconcile.policy.universe import Universe, World, bits, family, merge, usable

_LITERAL = ("address", "host")
BY_ADDRESS = (*_LITERAL, "any", "ipset", "service", "posture")  # not by identity

# Destinations by the atoms of service that are open on them; the atoms are disjoint.
Reach = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rule as bits, of one address family (0 for both).

    `origin` is None for "no policy at all". Of `own` rules (`autogroup:self`) each
    source reaches the nodes of its own user.
    """

    origin: Origin
    family: int
    atoms: int
    targets: int
    own: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Sources that nothing tells apart: their bits, and their rules in each world.

    `owners` names their user in each world where rules for `autogroup:self` apply.
    """

    members: int
    rules: tuple[int, ...]
    owners: tuple[str | None, ...]


class Matrix:
    """The access of all sources to all destinations in each of some worlds."""

    def __init__(self, worlds: Sequence[World]) -> None:
        self.worlds = worlds
        self.universe = Universe(worlds, _literals(worlds))
        self.atoms = Atoms(_services(worlds), _logins(worlds), _capabilities(worlds))
        # The same rule has the same number in every world.
        self.rules: list[dict[int, Compiled]] = []
        self._numbers: dict[object, int] = {}
        self._by_selector: list[dict[tuple[Selector, int], int]] = []
        self._own: list[int] = []
        for index, world in enumerate(worlds):
            self._compile(index, world)
        self._reaches: dict[tuple[int, int], Reach] = {}
        self.rows = self._rows()
        self._order: list[dict[int, int]] = [
            {number: place for place, number in enumerate(rules)}
            for rules in self.rules
        ]

    # Rules to bits.

    def _compile(self, index: int, world: World) -> None:
        compiler = _Compiler(self.universe, self.atoms, index, world, self._numbers)
        compiler.run()
        self.rules.append(compiler.rules)
        self._by_selector.append(compiler.by_selector)
        own = [number for number, rule in compiler.rules.items() if rule.own]
        self._own.append(merge(1 << number for number in own))

    # Sources to rows.

    def _rows(self) -> list[Row]:
        sides = [self._side(index) for index in range(len(self.worlds))]
        members: dict[tuple[tuple[int, str | None], ...], list[int]] = defaultdict(list)
        for place in range(self.universe.size + len(self.universe.cells)):
            key = tuple(side.get(place, (0, None)) for side in sides)
            if any(rules for rules, _ in key):
                members[key].append(place)
        return [
            Row(
                merge(1 << place for place in places),
                tuple(rules for rules, _ in key),
                tuple(owner for _, owner in key),
            )
            for key, places in members.items()
        ]

    def _side(self, index: int) -> dict[int, tuple[int, str | None]]:
        """Return, for each source of a world, its rules and the user that counts."""
        world, by_selector = self.worlds[index], self._by_selector[index]
        swept = _Sweep(world, by_selector)
        by_identity: dict[object, int] = {}
        identified = _Identities(world, by_selector)
        found = {}
        for place, machine in world.machines.items():
            who: object = machine.node.tags or machine.owner
            rules = by_identity.get(who)
            if rules is None:
                rules = by_identity[who] = identified(machine.node.tags, machine.owner)
            for low, _ in machine.addresses:
                rules |= swept.at(low)
            owner = machine.owner if rules & self._own[index] else None
            found[place] = rules, owner
        for offset, (low, _) in enumerate(self.universe.cells):
            place = self.universe.size + offset
            if world.routed >> place & 1:
                found[place] = swept.at(low), None
        return found

    # Rows to destinations.

    def reach(self, row: Row, index: int) -> Reach:
        """Return what the sources of a row reach in a world.

        Where nothing changed it is the same object in all worlds.
        """
        key = row.rules[index], self.own(row, index)
        known = self._reaches.get(key)
        if known is None:
            known = self._reaches[key] = self._reach(index, *key)
        return known

    def own(self, row: Row, index: int) -> int:
        """Return the nodes that `autogroup:self` means for a row."""
        return self.worlds[index].owners.get(row.owners[index] or "", 0)

    def _reach(self, index: int, rules: int, own: int) -> Reach:
        compiled = self.rules[index]
        opened: dict[int, int] = defaultdict(int)
        for number in bits(rules):
            rule = compiled[number]
            opened[rule.atoms] |= own if rule.own else rule.targets
        found = disjoint(opened.items())
        return self._with_ssh(found) if self.atoms.ssh else found

    def _with_ssh(self, found: Reach) -> Reach:
        """A login needs port 22 as well, and where a check is asked, it is asked."""
        port = merge(d for atoms, d in found if atoms & self.atoms.ssh_port)
        logins = self.atoms.logins
        reached = [(atoms & ~logins, d) for atoms, d in found if atoms & ~logins]
        for (login, check), number in self.atoms.ssh.items():
            targets = merge(d for atoms, d in found if atoms >> number & 1) & port
            other = self.atoms.ssh.get((login, True))
            if not check and other is not None:
                targets &= ~merge(d for atoms, d in found if atoms >> other & 1)
            if targets:
                reached.append((1 << number, targets))
        return joined(reached)

    def opened(self, row: Row, index: int) -> Iterator[tuple[Compiled, Reach]]:
        """Yield what each rule opens to a row; logins only where port 22 is open."""
        own = self.own(row, index)
        for number in bits(row.rules[index]):
            rule = self.rules[index][number]
            reach = [(rule.atoms, own if rule.own else rule.targets)]
            if isinstance(rule.origin, SshRule):
                reach = common(reach, self.reach(row, index))
            yield rule, reach

    def in_order(self, index: int, numbers: Iterable[int]) -> list[Compiled]:
        """Return some rules of a world in the order of its policy."""
        ordered = sorted(numbers, key=self._order[index].__getitem__)
        return [self.rules[index][number] for number in ordered]

    def contributing(self, row: Row, index: int, atoms: int, targets: int) -> list[int]:
        """Return the rules of a row that open some of the atoms on some targets."""
        own = self.own(row, index)
        return [
            number
            for number in bits(row.rules[index])
            if (rule := self.rules[index][number]).atoms & atoms
            and (own if rule.own else rule.targets) & targets
        ]


def disjoint(opened: Iterable[tuple[int, int]]) -> Reach:
    """Cut overlapping sets of atoms so that each atom stands in one entry only."""
    found = sorted((atoms, reached) for atoms, reached in opened if reached)
    return joined(
        (piece, merge(found[number][1] for number in which))
        for piece, which in _pieces(tuple(atoms for atoms, _ in found))
    )


@lru_cache(maxsize=4096)
def _pieces(sets: tuple[int, ...]) -> list[tuple[int, tuple[int, ...]]]:
    """Return the pieces that sets of atoms cut each other into, and whose each is.

    Rows of many sources have the same few services, so that few combinations occur.
    """
    starts: dict[int, list[int]] = defaultdict(list)
    stops: dict[int, list[int]] = defaultdict(list)
    for number, atoms in enumerate(sets):
        for low, high in _runs(atoms):
            starts[low].append(number)
            stops[high].append(number)
    found: dict[tuple[int, ...], int] = defaultdict(int)
    active = set[int]()
    for low, high in pairwise(sorted({*starts, *stops})):
        active.difference_update(stops.get(low, ()))
        active.update(starts.get(low, ()))
        if active:
            found[tuple(sorted(active))] |= (1 << high) - (1 << low)
    return [(piece, which) for which, piece in found.items()]


@lru_cache(maxsize=4096)
def _runs(atoms: int) -> tuple[tuple[int, int], ...]:
    """Return the runs of set bits, each as its first and the first after it."""
    found = []
    low = 0
    while rest := atoms >> low:
        low += (rest & -rest).bit_length() - 1
        rest = ~(atoms >> low)
        high = low + (rest & -rest).bit_length() - 1
        found.append((low, high))
        low = high
    return tuple(found)


def joined(found: Iterable[tuple[int, int]]) -> Reach:
    """Put the atoms of equal destinations together."""
    merged: dict[int, int] = defaultdict(int)
    for atoms, targets in found:
        merged[targets] |= atoms
    return [(atoms, targets) for targets, atoms in merged.items()]


def minus(one: Reach, other: Reach) -> Reach:
    """Return what the first reaches and the second does not."""
    same = set(one).intersection(other)
    one = [each for each in one if each not in same]
    other = [each for each in other if each not in same]
    found = []
    for atoms, targets in one:
        for taken, reached in other:
            both = atoms & taken
            if both:
                atoms &= ~both
                if targets & ~reached:
                    found.append((both, targets & ~reached))
        if atoms:
            found.append((atoms, targets))
    return joined(found)


def common(one: Reach, other: Reach) -> Reach:
    """Return what both reach."""
    return joined(
        (atoms & taken, targets & reached)
        for atoms, targets in one
        for taken, reached in other
        if atoms & taken and targets & reached
    )


class _Identities:
    """The rules that name a user, a group or a tag, by who a node is."""

    def __init__(
        self, world: World, by_selector: dict[tuple[Selector, int], int]
    ) -> None:
        self._tags: dict[str, int] = defaultdict(int)
        self._owners: dict[str, int] = defaultdict(int)
        self._tagged = self._member = 0
        for (selector, version), rules in by_selector.items():
            if version:
                continue
            if selector.kind == "tag":
                self._tags[selector.text] |= rules
            elif selector.autogroup == "tagged":
                self._tagged |= rules
            elif selector.autogroup == "member":
                self._member |= rules
            else:
                for name in world.resolver.owners(selector):
                    self._owners[name] |= rules

    def __call__(self, tags: Iterable[str], owner: str | None) -> int:
        found = merge(self._tags.get(tag, 0) for tag in tags)
        if owner is None:
            return found | (self._tagged if tags else 0)
        return found | self._member | self._owners.get(owner, 0)


class _Sweep:
    """The rules whose source is an address range, along the number line."""

    def __init__(
        self, world: World, by_selector: dict[tuple[Selector, int], int]
    ) -> None:
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
        self._selected = []
        active = 0
        for edge in self._edges:
            active ^= edges[edge]
            self._selected.append(active)
        self._known: dict[int, int] = {0: 0}

    def at(self, address: int) -> int:
        """Return the rules that an address is a source of."""
        passed = bisect_right(self._edges, address)
        selected = self._selected[passed - 1] if passed else 0
        if selected not in self._known:
            rules = merge(self._rules[number] for number in bits(selected))
            self._known[selected] = rules
        return self._known[selected]


class _Compiler:
    """Turns the rules of one world into bits."""

    def __init__(
        self,
        universe: Universe,
        atoms: Atoms,
        index: int,
        world: World,
        numbers: dict[object, int],
    ) -> None:
        self.rules: dict[int, Compiled] = {}
        self._numbers = numbers
        self._met: dict[object, int] = defaultdict(int)
        self.by_selector: dict[tuple[Selector, int], int] = defaultdict(int)
        self._universe = universe
        self._atoms = atoms
        self._index = index
        self._world = world
        self._known: dict[tuple[Selector, int], int] = {}
        self._through: dict[frozenset[str], tuple[int, int]] = {}

    def run(self) -> None:
        policy = self._world.policy
        if policy.rules is None:
            service = Service(PINGABLE, ALL_PORTS)
            reached = self._world.present | self._world.routed | self._exits()
            everyone = Selector("any", "*")
            atoms = self._atoms.mask([service])
            self._add([everyone], Compiled(None, 0, atoms, reached))
        for rule in policy.rules or ():
            self._rule(rule)
        for login in policy.ssh:
            self._login(login)

    def _rule(self, rule: Rule) -> None:
        by_services: dict[tuple[Service, ...], list[Selector]] = defaultdict(list)
        for target in rule.targets:
            by_services[target.services].append(target.selector)
        for services, selectors in by_services.items():
            if not services:
                continue
            atoms = self._atoms.mask(services)
            own = any(selector.autogroup == "self" for selector in selectors)
            if own and not rule.via:
                self._add(rule.sources, Compiled(rule, 0, atoms, 0, own=True))
            others = [s for s in selectors if s.autogroup != "self"]
            for version in _versions((*rule.sources, *others)):
                targets = self._targets(others, version, rule.via)
                if targets:
                    self._add(rule.sources, Compiled(rule, version, atoms, targets))
        if rule.capabilities and not rule.via:
            self._capabilities(rule)

    def _capabilities(self, rule: Rule) -> None:
        """With `via` a grant gives no capability; the internet can have none."""
        atoms = self._atoms.granted(_used(rule))
        selectors = [target.selector for target in rule.targets]
        if any(selector.autogroup == "self" for selector in selectors):
            self._add(rule.sources, Compiled(rule, 0, atoms, 0, own=True))
        others = [s for s in selectors if s.autogroup != "self"]
        for version in _versions((*rule.sources, *others)):
            targets = self._targets(others, version, ()) & ~self._universe.internet
            if targets:
                self._add(rule.sources, Compiled(rule, version, atoms, targets))

    def _login(self, rule: SshRule) -> None:
        check = rule.action == "check" and self._world.policy.release.ssh_checks
        atoms = merge(1 << self._atoms.ssh[user, check] for user in rule.users)
        if any(target.autogroup == "self" for target in rule.targets):
            self._add(rule.sources, Compiled(rule, 0, atoms, 0, own=True))
        others = [t for t in rule.targets if t.autogroup != "self"]
        targets = self._targets(others, 0, ()) & self._world.present
        if targets:
            self._add(rule.sources, Compiled(rule, 0, atoms, targets))

    def _add(self, sources: Iterable[Selector], rule: Compiled) -> None:
        bit = 1 << self._number(rule)
        for source in sources:
            if source.kind in BY_ADDRESS or source.autogroup == "danger-all":
                for version in (4, 6):
                    if rule.family in (0, version):
                        self.by_selector[source, version] |= bit
            else:
                self.by_selector[source, 0] |= bit

    def _number(self, rule: Compiled) -> int:
        """Number a rule by what it opens; of equal ones each has its own number."""
        opened = rule.family, rule.atoms, rule.targets, rule.own
        self._met[opened] += 1
        key = opened, self._met[opened]
        number = self._numbers.setdefault(key, len(self._numbers))
        self.rules[number] = rule
        return number

    def _targets(
        self, selectors: Iterable[Selector], version: int, via: Iterable[str]
    ) -> int:
        if via:
            cells, exits = self._routers(frozenset(via))
            return merge(self._steered(s, version, cells, exits) for s in selectors)
        return merge(self._target(selector, version) for selector in selectors)

    def _target(self, selector: Selector, version: int) -> int:
        key = selector, version
        if key not in self._known:
            self._known[key] = self._find(selector, version)
        return self._known[key]

    def _find(self, selector: Selector, version: int) -> int:
        if selector.autogroup == "internet":
            return self._exits()
        if selector.kind in BY_ADDRESS:
            return self._addressed(selector, version)
        return self._universe.selected(self._world, selector)

    def _addressed(self, selector: Selector, version: int) -> int:
        resolver, universe = self._world.resolver, self._universe
        addresses = IntervalSet.union(resolver.targets(selector))
        if addresses == EVERYTHING:
            return self._world.present | self._world.routed | self._exits()
        if version:
            addresses = family(addresses, version)
        cells = universe.network(addresses) & self._world.routed
        return universe.addressed(self._index, addresses) | cells

    def _steered(self, selector: Selector, version: int, cells: int, exits: int) -> int:
        """With `via` only subnets and the internet are reached, through its routers."""
        if selector.autogroup == "internet":
            return exits
        if selector.kind not in _LITERAL:
            return 0
        addresses = IntervalSet.union(self._world.resolver.targets(selector))
        if version:
            addresses = family(addresses, version)
        return self._universe.network(addresses) & cells

    def _routers(self, tags: frozenset[str]) -> tuple[int, int]:
        if tags not in self._through:
            cells = exits = 0
            for tag in tags:
                for machine in self._world.tailnet.by_tag.get(tag, ()):
                    for _, route in usable(machine):
                        cells |= self._universe.network(route)
                    exits |= self._universe.internet if machine.exits else 0
            self._through[tags] = cells, exits
        return self._through[tags]

    def _exits(self) -> int:
        return self._universe.internet if self._world.exits else 0


def _versions(selectors: Iterable[Selector]) -> tuple[int, ...]:
    """A literal is of one family, and so is then all that the rule opens."""
    literal = any(selector.kind in _LITERAL for selector in selectors)
    return (4, 6) if literal else (0,)


def _literals(worlds: Iterable[World]) -> Iterator[IntervalSet]:
    for world in worlds:
        for rule in world.policy.rules or ():
            for selector in rule.sources:
                if selector.kind in _LITERAL:
                    yield world.resolver.sources(selector)
            for target in rule.targets:
                if target.selector.kind in _LITERAL:
                    yield from world.resolver.targets(target.selector)


def _services(worlds: Iterable[World]) -> Iterator[Service]:
    for world in worlds:
        if world.policy.rules is None:
            yield Service(PINGABLE, ALL_PORTS)
        for rule in world.policy.rules or ():
            for target in rule.targets:
                yield from target.services


def _logins(worlds: Iterable[World]) -> Iterator[tuple[str, bool]]:
    for world in worlds:
        for rule in world.policy.ssh:
            check = rule.action == "check" and world.policy.release.ssh_checks
            for user in rule.users:
                yield user, check


def _used(rule: Rule) -> Iterator[tuple[str, str]]:
    """Yield the capabilities of a rule, each with its value as text."""
    for name, value in rule.capabilities.items():
        yield name, canonical(value)


def _capabilities(worlds: Iterable[World]) -> Iterator[tuple[str, str]]:
    for world in worlds:
        for rule in world.policy.rules or ():
            yield from _used(rule)
