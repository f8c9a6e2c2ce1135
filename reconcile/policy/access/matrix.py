"""Who reaches what, for all nodes at once, in one or several worlds.

Sources that the same rules select share a row. A row's destinations are the OR of its
rules' destination bits, kept apart by which atoms of service each rule opens. Rows are
the same in all worlds, so that worlds are compared row by row with single operations.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from reconcile.policy.access.atoms import NONROOT, OTHERS, Atoms
from reconcile.policy.access.reach import Reach, common, disjoint, joined
from reconcile.policy.access.rows import Row, Side, Sources, rows
from reconcile.policy.access.targets import Compiled, Offered, Targets
from reconcile.policy.access.universe import Universe, World, bits, merge
from reconcile.policy.access.viewers import offered
from reconcile.policy.language.document import Rule, Service, SshRule, targets_of
from reconcile.policy.language.pairing import canonical
from reconcile.policy.language.releases import PINGABLE
from reconcile.policy.language.selectors import LITERAL, SELF, Selector
from reconcile.policy.language.sets import ALL_PORTS, IntervalSet
from reconcile.policy.reading.ssh import localpart_domain

_SELF = Selector("autogroup", SELF)


class Matrix:
    """The access of all sources to all destinations in each of some worlds.

    Networks and services are cut so that those that are `asked` are whole parts.
    """

    def __init__(
        self,
        worlds: Sequence[World],
        asked: Iterable[IntervalSet] = (),
        services: Iterable[Service] = (),
    ) -> None:
        self.worlds = worlds
        self.universe = Universe(worlds, chain(_literals(worlds), asked))
        known = chain(_services(worlds), services)
        self.atoms = Atoms(known, _logins(worlds), _capabilities(worlds))
        # The same rule has the same number in every world.
        self.rules: list[dict[int, Compiled]] = []
        self._numbers: dict[object, int] = {}
        self.rows = rows([self._compile(*each) for each in enumerate(worlds)])
        self._reaches: dict[tuple[int, int, Offered], Reach] = {}
        self._parts: dict[int, tuple[Reach, int, list[Compiled]]] = {}
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
        sources = Sources(self.universe, world, compiler.by_selector, own_rules)
        sources.offer(offered(self.universe, index, compiler.rules, sources.sides))
        return sources

    def sources(self, members: int = -1) -> Iterator[tuple[int, list[tuple[Row, int]]]]:
        """Yield sources with their rows, each with the address family that it is for.

        The addresses of a node may be in two rows. Without a rule there is no row.
        """
        universe = self.universe
        fourth, sixth = universe.families
        present = merge(world.present for world in self.worlds)
        apart: dict[int, list[tuple[Row, int]]] = defaultdict(list)
        rest = members if members >= 0 else 0
        for row in self.rows:
            here = row.members & members
            rest &= ~here
            nodes, cells = universe.split(here)
            elsewhere = universe.nodes(present & ~nodes & members)
            whole = universe.nodes(nodes) & ~elsewhere
            for own in universe.by_family(nodes & universe.both(whole)):
                yield own, [(row, universe.partners(own))]
            for family in (fourth, sixth):
                if cells & family:
                    yield cells & family, [(row, family)]
            for number in bits(universe.nodes(nodes) & ~whole):
                family = fourth if nodes >> number & 1 else sixth
                apart[universe.node(number) & present].append((row, family))
        yield from apart.items()
        rest &= ~merge(apart)
        if rest:
            yield rest, []

    # Rows to destinations.

    def reach(self, row: Row, index: int) -> Reach:
        """Return what the sources of a row reach in a world.

        Where nothing changed it is the same object in all worlds. Of what is reached,
        a source reaches only what is of its address family.
        """
        side, own = row.sides[index], self.own(row, index)
        known = self._reaches.get((side.rules, own, side.offered))
        if known is None:
            opened = self._reach(index, side, own)
            known = self._arriving(opened, side.offered)
            self._reaches[side.rules, own, side.offered] = known
        return known

    def allowed(self, row: Row, index: int) -> Reach:
        """Return what a row would reach if it were offered every way."""
        opened = self._reach(index, row.sides[index], self.own(row, index))
        return self._arriving(opened, Offered(self.universe.all_blocks))

    def _arriving(self, opened: Reach, offered: Offered) -> Reach:
        """Drop what the sources are not offered the way to."""
        arriving, universe = offered.arriving, self.universe
        seen = [(atoms, arriving(universe, targets)) for atoms, targets in opened]
        return joined((atoms, targets) for atoms, targets in seen if targets)

    def own(self, row: Row, index: int) -> int:
        """Return the nodes that `autogroup:self` means for a row."""
        return self.worlds[index].owners.get(row.sides[index].owner or "", 0)

    def _reach(self, index: int, side: Side, own: int) -> Reach:
        opened: dict[int, int] = defaultdict(int)
        for rules in side.parts:
            shared, to_own, steered = self._opened(index, rules)
            for atoms, targets in shared:
                opened[atoms] |= targets
            if to_own:
                opened[to_own] |= own
            for rule in steered:
                opened[rule.atoms] |= side.offered.reached(self.universe, rule)
        found = disjoint(opened.items())
        return self._with_ssh(found) if self.atoms.ssh else found

    def _opened(self, index: int, rules: int) -> tuple[Reach, int, list[Compiled]]:
        """Return what the rules of a selector open, and the atoms to own nodes.

        What grants with `via` open differs by the source, so that they come apart.
        """
        known = self._parts.get(rules)
        if known is None:
            opened: dict[int, int] = defaultdict(int)
            to_own, steered = 0, []
            for number in bits(rules):
                rule = self.rules[index][number]
                if rule.own:
                    to_own |= rule.atoms
                elif rule.steered:
                    steered.append(rule)
                else:
                    opened[rule.atoms] |= rule.targets
            known = self._parts[rules] = list(opened.items()), to_own, steered
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
        for number in bits(row.sides[index].rules):
            rule = self.rules[index][number]
            reach = [(rule.atoms, self.targets(rule, row, index))]
            if isinstance(rule.origin, SshRule):
                reach = common(reach, self.reach(row, index))
            yield rule, reach

    def targets(self, rule: Compiled, row: Row, index: int) -> int:
        """Return where a rule lets the sources of a row arrive."""
        if rule.own:
            return self.own(row, index)
        return row.sides[index].offered.reached(self.universe, rule)

    def in_order(self, index: int, numbers: Iterable[int]) -> list[Compiled]:
        """Return some rules of a world in the order of its policy."""
        ordered = sorted(numbers, key=self._order[index].__getitem__)
        return [self.rules[index][number] for number in ordered]

    def contributing(self, row: Row, index: int, atoms: int, targets: int) -> list[int]:
        """Return the rules of a row that open some of the atoms on some targets."""
        return [
            number
            for number in bits(row.sides[index].rules)
            if (rule := self.rules[index][number]).atoms & atoms
            and self.targets(rule, row, index) & targets
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
        self.by_selector: dict[Selector, int] = defaultdict(int)
        self._atoms = atoms
        self._world = world
        self._targets = Targets(universe, index, world)

    def run(self) -> None:
        policy = self._world.policy
        if policy.rules is None:
            atoms = self._atoms.mask([Service(PINGABLE, ALL_PORTS)])
            everyone = Selector("any", "*")
            self._add([everyone], Compiled(None, atoms, self._targets.all, shows=True))
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
        shows = self._targets.is_internet(targets_of(rule))
        for atoms, selectors in by_atoms.items():
            if atoms:
                chosen = list(heeded(selectors))
                if rule.via:
                    self._steer(rule, sources, atoms, chosen)
                    continue
                self._own(rule, sources, atoms, selectors)
                targets = self._targets.of(chosen)
                self._add(sources, Compiled(rule, atoms, targets, shows=shows))
        if rule.capabilities and not rule.via:  # with `via` a grant gives none
            atoms = self._atoms.granted(_used(rule))
            targets = self._targets.of(targets_of(rule)) & self._targets.inside
            self._own(rule, sources, atoms, targets_of(rule))
            self._add(sources, Compiled(rule, atoms, targets))

    def _steer(
        self,
        rule: Rule,
        sources: Sequence[Selector],
        atoms: int,
        chosen: Iterable[Selector],
    ) -> None:
        """Add what a grant with `via` opens: on Headscale, to whom it is offered."""
        steered = tuple(self._targets.steered(chosen, rule.via))
        targets = merge(there for _, there in steered)
        hosted = self._world.policy.release.hosted
        ways = () if hosted else steered
        self._add(sources, Compiled(rule, atoms, targets, steered=ways))

    def _login(self, rule: SshRule) -> None:
        """Add what an SSH rule opens: to each login its own sources.

        With a mapped login the sources may log in to their own devices as well.
        """
        release, resolver = self._world.policy.release, self._world.resolver
        check = rule.action == "check" and release.ssh_checks
        by_sources: dict[tuple[Selector, ...], int] = defaultdict(int)
        for user in rule.users:
            login = self._atoms.login(_login(user, self._world), check)
            by_sources[resolver.logging_in(rule, user)] |= login
        maps = release.localpart and any(map(localpart_domain, rule.users))
        at_home = maps and any(target.text != SELF for target in rule.targets)
        targets = self._targets.of(rule.targets) & self._world.present
        for sources, atoms in by_sources.items():
            self._add(sources, Compiled(rule, atoms, targets))
            self._own(rule, sources, atoms, [_SELF] if at_home else rule.targets)

    def _own(
        self,
        rule: Rule | SshRule,
        sources: Sequence[Selector],
        atoms: int,
        selectors: Iterable[Selector],
    ) -> None:
        """Add what a rule opens on the sources' own nodes, if it names them."""
        if any(selector.text == SELF for selector in selectors):
            self._add(sources, Compiled(rule, atoms, 0, own=True))

    def _add(self, sources: Iterable[Selector], rule: Compiled) -> None:
        if not (rule.targets or rule.own or rule.shows):
            return
        bit = 1 << self._number(rule)
        for source in sources:
            self.by_selector[source] |= bit

    def _number(self, rule: Compiled) -> int:
        """Number a rule by what it opens; of equal ones each has its own number."""
        opened = rule.atoms, rule.targets, rule.own, rule.steered
        self._met[opened] += 1
        key = opened, self._met[opened]
        number = self._numbers.setdefault(key, len(self._numbers))
        self.rules[number] = rule
        return number


def _literals(worlds: Iterable[World]) -> Iterator[IntervalSet]:
    for world in worlds:
        for rule in world.policy.rules or ():
            for selector in rule.sources:
                if selector.kind in LITERAL:
                    yield world.resolver.sources(selector)
            for target in rule.targets:
                if target.selector.kind in LITERAL or (
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
                yield _login(user, world), check


def _login(user: str, world: World) -> str:
    """Return a login of a rule; `autogroup:nonroot` is itself one up to 0.26."""
    return OTHERS if user == NONROOT and world.policy.release.nonroot else user


def _used(rule: Rule) -> Iterator[tuple[str, str]]:
    """Yield the capabilities of a rule, each with its value as text."""
    for name, value in rule.capabilities.items():
        yield name, canonical(value)


def _capabilities(worlds: Iterable[World]) -> Iterator[tuple[str, str]]:
    for world in worlds:
        for rule in world.policy.rules or ():
            yield from _used(rule)
