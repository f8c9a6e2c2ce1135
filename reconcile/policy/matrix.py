"""Who reaches what, for all nodes at once, in one or several worlds.

Sources that the same rules select share a row. A row's destinations are the OR of its
rules' destination bits, kept apart by which atoms of service each rule opens. Rows are
the same in all worlds, so that worlds are compared row by row with single operations.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from reconcile.policy.atoms import Atoms
from reconcile.policy.document import Origin, Rule, Service, SshRule, targets_of
from reconcile.policy.pairing import canonical
from reconcile.policy.reach import Reach, common, disjoint, joined
from reconcile.policy.reading.ssh import localpart_domain
from reconcile.policy.releases import PINGABLE
from reconcile.policy.resolve import INTERNET
from reconcile.policy.rows import Row, Side, Sources, family, rows
from reconcile.policy.selectors import SELF, UNKNOWN, Selector
from reconcile.policy.sets import ALL_PORTS, EVERYTHING, FAMILIES, IntervalSet
from reconcile.policy.universe import Universe, World, bits, merge

_LITERAL = ("address", "host")
BY_ADDRESS = (*_LITERAL, "any", *UNKNOWN)  # not by identity


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


class Matrix:
    """The access of all sources to all destinations in each of some worlds."""

    def __init__(self, worlds: Sequence[World]) -> None:
        self.worlds = worlds
        self.universe = Universe(worlds, _literals(worlds))
        self.atoms = Atoms(_services(worlds), _logins(worlds), _capabilities(worlds))
        # The same rule has the same number in every world.
        self.rules: list[dict[int, Compiled]] = []
        self._numbers: dict[object, int] = {}
        self.rows = rows([self._compile(*each) for each in enumerate(worlds)])
        self._reaches: dict[tuple[int, int, int], Reach] = {}
        self._parts: dict[int, tuple[Reach, int]] = {}
        self._order: list[dict[int, int]] = [
            {number: place for place, number in enumerate(rules)}
            for rules in self.rules
        ]

    def _compile(self, index: int, world: World) -> Sources:
        """Turn the rules of a world into bits; return the sources that they select."""
        compiler = _Compiler(self.universe, self.atoms, index, world, self._numbers)
        compiler.run()
        self.rules.append(compiler.rules)
        own = [number for number, rule in compiler.rules.items() if rule.own]
        own_rules = merge(1 << number for number in own)
        single = {
            version: merge(
                1 << number
                for number, rule in compiler.rules.items()
                if rule.family == version
            )
            for version in FAMILIES
        }
        return Sources(self.universe, world, compiler.by_selector, own_rules, single)

    # Rows to destinations.

    def reach(self, row: Row, index: int) -> Reach:
        """Return what the sources of a row reach in a world.

        Where nothing changed it is the same object in all worlds.
        """
        side, own = row.sides[index], self.own(row, index)
        key = side.rules, own, side.within
        known = self._reaches.get(key)
        if known is None:
            known = self._reaches[key] = self._reach(index, side, own)
        return known

    def own(self, row: Row, index: int) -> int:
        """Return the nodes that `autogroup:self` means for a row."""
        return self.worlds[index].owners.get(row.sides[index].owner or "", 0)

    def _reach(self, index: int, side: Side, own: int) -> Reach:
        opened: dict[int, int] = defaultdict(int)
        for rules in side.parts:
            shared, to_own = self._opened(index, rules)
            for atoms, targets in shared:
                opened[atoms] |= targets
            if to_own:
                opened[to_own] |= own
        found = disjoint((a, targets & side.within) for a, targets in opened.items())
        return self._with_ssh(found) if self.atoms.ssh else found

    def _opened(self, index: int, rules: int) -> tuple[Reach, int]:
        """Return what the rules of a selector open, and the atoms to own nodes."""
        known = self._parts.get(rules)
        if known is None:
            opened: dict[int, int] = defaultdict(int)
            to_own = 0
            for number in bits(rules):
                rule = self.rules[index][number]
                if rule.own:
                    to_own |= rule.atoms
                else:
                    opened[rule.atoms] |= rule.targets
            known = self._parts[rules] = list(opened.items()), to_own
        return known

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
        own, within = self.own(row, index), row.sides[index].within
        for number in bits(row.sides[index].rules):
            rule = self.rules[index][number]
            reach = [(rule.atoms, (own if rule.own else rule.targets) & within)]
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
            for number in bits(row.sides[index].rules)
            if (rule := self.rules[index][number]).atoms & atoms
            and (own if rule.own else rule.targets) & targets
        ]


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
        self._through: dict[frozenset[str], int] = {}

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
        heeded = self._world.resolver.heeded
        sources = tuple(heeded(rule.sources))
        by_atoms: dict[int, list[Selector]] = defaultdict(list)
        for target in rule.targets:
            by_atoms[self._atoms.mask(target.services)].append(target.selector)
        for atoms, selectors in by_atoms.items():
            if atoms:
                self._open(rule, sources, atoms, tuple(heeded(selectors)), rule.via)
        if rule.capabilities and not rule.via:  # with `via` a grant gives none
            atoms = self._atoms.granted(_used(rule))
            within = ~self._universe.internet
            self._open(rule, sources, atoms, targets_of(rule), within=within)

    def _login(self, rule: SshRule) -> None:
        """Add what an SSH rule opens: to each login its own sources.

        A rule that maps logins to users lets all its sources into their own devices
        as well (see `SshRules`), but for those that only `autogroup:self` names.
        """
        check = rule.action == "check" and self._world.policy.release.ssh_checks
        by_sources: dict[tuple[Selector, ...], int] = defaultdict(int)
        for user in rule.users:
            sources = self._world.resolver.logging_in(rule, user)
            by_sources[sources] |= 1 << self._atoms.ssh[user, check]
        maps = self._world.policy.release.localpart and any(
            map(localpart_domain, rule.users)
        )
        at_home = maps and any(target.text != SELF for target in rule.targets)
        for sources, atoms in by_sources.items():
            self._open(rule, sources, atoms, rule.targets, within=self._world.present)
            if at_home:
                self._add(sources, Compiled(rule, 0, atoms, 0, own=True))

    def _open(
        self,
        rule: Rule | SshRule,
        sources: Sequence[Selector],
        atoms: int,
        selectors: Sequence[Selector],
        via: Sequence[str] = (),
        within: int = -1,
    ) -> None:
        """Add what a rule opens by some atoms: on own nodes, and on other targets."""
        others = [selector for selector in selectors if selector.text != SELF]
        if len(others) < len(selectors) and not via:
            self._add(sources, Compiled(rule, 0, atoms, 0, own=True))
        for version in _versions((*sources, *others)):
            targets = self._targets(others, version, via) & within
            targets &= self._world.families.get(version, -1)
            if targets:
                self._add(sources, Compiled(rule, version, atoms, targets))

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
        self, selectors: Sequence[Selector], version: int, via: Iterable[str]
    ) -> int:
        if via:
            behind = self._behind(frozenset(via))
            return merge(self._steered(s, version) for s in selectors) & behind
        if len(selectors) == 1:
            return self._target(selectors[0], version)
        return merge(self._target(selector, version) for selector in selectors)

    def _target(self, selector: Selector, version: int) -> int:
        key = selector, version
        if key not in self._known:
            self._known[key] = self._find(selector, version)
        return self._known[key]

    def _find(self, selector: Selector, version: int) -> int:
        if selector.autogroup == "internet":
            # As of `*`, so of the internet: both families, whatever stands beside it.
            return self._exits() | self._universe.network(INTERNET) & self._world.routed
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
        if self._world.policy.release.literal_exits and any(
            IntervalSet([interval]) <= INTERNET for interval in addresses
        ):
            cells |= self._exits()  # the internet is one place: a part of it counts
        return universe.addressed(self._index, addresses) | cells

    def _steered(self, selector: Selector, version: int) -> int:
        """With `via` only subnets and the internet are reached, through its routers."""
        if selector.autogroup == "internet":
            return self._universe.internet
        if selector.kind not in _LITERAL:
            return 0
        addresses = IntervalSet.union(self._world.resolver.targets(selector))
        if version:
            addresses = family(addresses, version)
        return self._universe.network(addresses)

    def _behind(self, tags: frozenset[str]) -> int:
        """Return what the routers with one of some tags lead to."""
        if tags not in self._through:
            by_tag = self._world.tailnet.by_tag
            routers = [m for tag in tags for m in by_tag.get(tag, ())]
            self._through[tags] = merge(map(self._universe.behind, routers))
        return self._through[tags]

    def _exits(self) -> int:
        return self._universe.internet if self._world.exits else 0


def _versions(selectors: Iterable[Selector]) -> tuple[int, ...]:
    """A literal is of one family, and so is then all that the rule opens."""
    for selector in selectors:
        if selector.kind in _LITERAL:
            return 4, 6
    return (0,)


def _literals(worlds: Iterable[World]) -> Iterator[IntervalSet]:
    for world in worlds:
        for rule in world.policy.rules or ():
            for selector in rule.sources:
                if selector.kind in _LITERAL:
                    yield world.resolver.sources(selector)
            for target in rule.targets:
                if target.selector.kind in _LITERAL or (
                    target.selector.autogroup == "internet"
                ):
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
