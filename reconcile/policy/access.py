"""Effective access: who reaches what, what a change opens and closes, and why.

A path is one source, one destination and one service, as far as rules tell them apart.
Sources are nodes and the networks behind subnet routers; destinations also the internet
behind exit nodes. Capabilities of `app` grants open no port and are not part of it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property

from reconcile.policy import selectors
from reconcile.policy.document import Policy, Rule, SshRule
from reconcile.policy.entries import (
    Change,
    Entry,
    Group,
    Groups,
    Origin,
    entry,
    targets_of,
    total,
    unsure,
)
from reconcile.policy.matrix import Compiled, Matrix, Reach, Row, common, minus
from reconcile.policy.naming import Naming
from reconcile.policy.releases import TCP
from reconcile.policy.selectors import Selector
from reconcile.policy.sets import IntervalSet, prefix
from reconcile.policy.tailnet import Tailnet
from reconcile.policy.universe import World, merge

LIMIT = 100  # entries of a list that are named, the largest first


class Access:
    """The complete effective access of one policy in one tailnet.

    It is one world of a matrix: of its own, or (`of`) of one that is there already.
    """

    def __init__(self, policy: Policy, tailnet: Tailnet) -> None:
        self._look_at(Matrix([World.of(policy, tailnet)]), 0)

    @classmethod
    def of(cls, matrix: Matrix, index: int) -> "Access":
        """Return the access in one of the worlds of a matrix."""
        found = cls.__new__(cls)
        found._look_at(matrix, index)
        return found

    def _look_at(self, matrix: Matrix, index: int) -> None:
        self.matrix, self._index = matrix, index
        self.world = matrix.worlds[index]

    @cached_property
    def naming(self) -> Naming:
        """The words for sets of nodes and networks."""
        return Naming(self.matrix, [self.world])

    @property
    def unsure(self) -> Mapping[str, str]:
        """What could not be known and was taken as large as it could be."""
        return unsure([self.world])

    @cached_property
    def paths(self) -> int:
        """How many paths are allowed in all."""
        return total(self.matrix, self._index)

    def entries(
        self, sources: int = -1, targets: int = -1, atoms: int = -1
    ) -> list[Entry]:
        """Return who reaches what, largest first, limited to sets of bits."""
        return [self.entry(group) for group in self.groups(sources, targets, atoms)]

    def entry(self, group: Group) -> Entry:
        """Put what a group reaches into words."""
        return entry(self.matrix, self.naming, group, self._index)

    def groups(
        self, sources: int = -1, targets: int = -1, atoms: int = -1, without: int = 0
    ) -> list[Group]:
        """Return what `entries` puts into words; `without` leaves rules out."""
        groups = Groups()
        for row in self.matrix.rows:
            members = row.members & sources
            if members:
                for opened, reached in self._reach(row, without):
                    groups.add(row, members, opened & atoms, reached & targets)
        return groups.ordered()

    def _reach(self, row: Row, without: int) -> Reach:
        if row.rules[self._index] & without:
            rules = tuple(numbers & ~without for numbers in row.rules)
            row = replace(row, rules=rules)
        return self.matrix.reach(row, self._index)

    def resting_on(self, names: AbstractSet[str]) -> int:
        """Return the rules that hold one of some names, as a set."""
        return merge(
            1 << number
            for number, rule in enumerate(self.matrix.rules[self._index])
            if rule.origin and not names.isdisjoint(_names_in(rule.origin))
        )

    def services(self, port: int | None, protocol: int = TCP) -> int:
        """Return the atoms of a port, None for logging in over SSH, as a set."""
        if port is None:
            return merge(1 << number for number in self.matrix.atoms.ssh.values())
        return self.matrix.atoms.at(protocol, port)

    def who(self, target: str, port: int | None, protocol: int = TCP) -> list[Entry]:
        """Return who reaches a port of a node, address or selector; None is SSH."""
        atoms = self.services(port, protocol)
        return self.entries(targets=self.find(target), atoms=atoms)

    def why(
        self, source: str, target: str, port: int | None, protocol: int = TCP
    ) -> "Why":
        """Explain why a source may reach a port of a target, or why it may not.

        Both are names as `find` takes them; it raises LookupError for unknown ones.
        Without a port it explains who may log in over SSH, by the SSH rules alone:
        `allowed` heeds that port 22 must be open as well.
        """
        sources, targets = self.find(source), self.find(target)
        atoms = self.services(port, protocol)
        allowed = bool(atoms) and not self.missing(sources, targets, atoms)
        found = [
            self._match(number, rule, sources, targets, atoms)
            for number, rule in enumerate(self.matrix.rules[self._index])
            if isinstance(rule.origin, SshRule) is (port is None)
        ]
        matches = _once(each for each in found if not each.missing)
        nearest = _once(each for each in found if len(each.missing) == 1)
        return Why(allowed, matches, () if matches else nearest)

    def missing(
        self, sources: int, targets: int, atoms: int, without: int = 0
    ) -> dict[int, int]:
        """Return which targets are not reached, and by which of the sources.

        Any of the atoms will do; `without` leaves rules out.
        """
        found: dict[int, int] = defaultdict(int)
        rest = sources
        for row in self.matrix.rows:
            members = row.members & sources
            if members:
                opened = self._reach(row, without)
                found[targets & ~merge(d for a, d in opened if a & atoms)] |= members
                rest &= ~members
        found[targets] |= rest
        return {lack: who for lack, who in found.items() if lack and who}

    def _match(
        self, number: int, rule: Compiled, sources: int, targets: int, atoms: int
    ) -> "Match":
        """Hold a rule against the three things that a path needs."""
        world, origin = self.world, rule.origin
        rows = [row for row in self.matrix.rows if row.rules[self._index] >> number & 1]
        from_here = merge(row.members for row in rows) & sources
        to_there = rule.targets & targets
        if rule.own:
            owners = {row.owners[self._index] for row in rows if row.members & sources}
            to_there = merge(world.owners.get(o or "", 0) for o in owners) & targets
        met = (
            ("source", from_here),
            ("target", to_there),
            ("port", rule.atoms & atoms),
        )
        return Match(
            origin,
            self._fitting(origin.sources if origin else (), sources, True),
            self._fitting(targets_of(origin) if origin else (), targets, False),
            tuple(name for name, fits in met if not fits),
        )

    def _fitting(
        self, chosen: Iterable[Selector], wanted: int, as_source: bool
    ) -> tuple[str, ...]:
        """Return the selectors of a rule that mean some of the wanted bits."""
        found = []
        for selector in chosen:
            place = self._selected(selector, as_source)
            if place & wanted:
                found.append(selector.text)
        return tuple(found)

    def _selected(self, selector: Selector, as_source: bool) -> int:
        universe, world = self.matrix.universe, self.world
        if selector.autogroup in ("self", "danger-all") or selector.kind == "any":
            return -1
        if selector.autogroup == "internet":
            return universe.internet
        addresses = world.resolver.sources(selector)
        if not as_source:
            addresses = IntervalSet.union(world.resolver.targets(selector))
        cells = universe.network(addresses) & world.routed
        return universe.addressed(self._index, addresses) | cells

    def find(self, text: str) -> int:
        """Return the bits of a node's name, a selector or an address.

        Raises LookupError when nothing in the tailnet answers to it.
        """
        found = self.node(text.removeprefix("node:"))
        found = found or self.world.owners.get(text, 0)
        found = found or self.selected(selectors.parse(text))
        if not found:
            raise LookupError(text)
        return found

    def node(self, name: str) -> int:
        """Return the bit of a node, 0 when there is none of that name."""
        for place, machine in self.world.machines.items():
            if machine.name == name:
                return 1 << place
        return 0

    def selected(self, selector: Selector) -> int:
        """Return the bits of all that a selector means here, 0 for nothing."""
        universe, world = self.matrix.universe, self.world
        if selector.kind == "any":
            return world.present | world.routed
        if selector.autogroup == "internet":
            return universe.internet if world.exits else 0
        if selector.kind in ("address", "host"):
            return self._addressed(selector)
        return universe.selected(world, selector)

    def _addressed(self, selector: Selector) -> int:
        universe, world = self.matrix.universe, self.world
        addresses = world.policy.hosts.get(selector.text, IntervalSet())
        if selector.kind == "address":
            addresses = prefix(selector.text)
        cells = universe.network(addresses) & world.routed
        for place in range(universe.size, universe.size + len(universe.cells)):
            cell = IntervalSet([universe.cells[place - universe.size]])
            if addresses and world.routed >> place & 1 and addresses <= cell:
                cells |= 1 << place
        return universe.addressed(self._index, addresses) | cells


def _names_in(rule: Rule | SshRule) -> set[str]:
    """Return the selectors of a rule as text, and its conditions."""
    found = {selector.text for selector in (*rule.sources, *targets_of(rule))}
    return found if isinstance(rule, SshRule) else found.union(rule.unsure)


@dataclass(frozen=True, slots=True)
class Match:
    """A rule held against a question: what fits on each side, and what is missing.

    `missing` names which of source, target and port do not fit; empty for a rule that
    allows the path. `rule` is None for "no policy at all".
    """

    rule: Origin
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """The answer to "why": `allowed` is for every source and every target asked for.

    `rules` allow at least a part of it; for a clear no, `nearest` are the rules that
    lack only one of source, target and port.
    """

    allowed: bool
    rules: tuple[Match, ...]
    nearest: tuple[Match, ...]


def _once(matches: Iterable[Match]) -> tuple[Match, ...]:
    """Keep one match of each rule: the compiler makes one for each family."""
    return tuple({str(match.rule): match for match in matches}.values())


@dataclass(frozen=True, slots=True)
class AccessDiff:
    """What becomes possible and what stops being possible, apart from each other.

    `before` and `after` count the paths of each side, both cut into the same pieces of
    service, so that before + gained - lost = after. `share_gained` and `share_lost`
    are shares of the old side: 0.25 is a quarter of what was allowed. `hidden` counts
    the entries, those of fewest paths, that a limit kept out of `gained` and `lost`;
    they are in all the counts. `access` is the new side, open to more questions.
    """

    before: int
    after: int
    gained: tuple[Entry, ...]
    lost: tuple[Entry, ...]
    paths_gained: int
    paths_lost: int
    share_gained: float
    share_lost: float
    hidden: int
    unsure: Mapping[str, str]
    access: Access

    def __bool__(self) -> bool:
        return bool(self.gained or self.lost)


def diff(
    before: tuple[Policy, Tailnet],
    after: tuple[Policy, Tailnet],
    limit: int | None = LIMIT,
) -> AccessDiff:
    """Compare two policies in two tailnets; a node is the same if its id is.

    The change of nodes is looked at first and the change of policy after it, so that
    each path gained or lost has one of the two as its cause. Only `limit` entries of
    each list are given names, None for all.
    """
    worlds = [World.of(*before), World.of(before[0], after[1]), World.of(*after)]
    if before[1] is after[1] or before[0] is after[0]:
        del worlds[1]  # only one of the two changed: there is no world between
    matrix = Matrix(worlds)
    naming = Naming(matrix)
    last = len(worlds) - 1
    between = 0 if before[1] is after[1] else 1
    gained, lost = Groups(), Groups()
    for row in matrix.rows:
        old, middle, new = (matrix.reach(row, index) for index in (0, between, last))
        if old is new or old == new:
            continue
        opened, closed = minus(new, old), minus(old, new)
        gained.extend(row, common(opened, middle), "nodes")
        gained.extend(row, minus(opened, middle), "policy")
        lost.extend(row, minus(closed, middle), "nodes")
        lost.extend(row, common(closed, middle), "policy")
    change = Change(matrix)
    allowed = total(matrix, 0)
    more, less = gained.ordered(), lost.ordered()
    return AccessDiff(
        allowed,
        total(matrix, last),
        tuple(entry(matrix, naming, each, last, change) for each in more[:limit]),
        tuple(entry(matrix, naming, each, 0, change) for each in less[:limit]),
        gained.total(),
        lost.total(),
        gained.total() / (allowed or 1),
        lost.total() / (allowed or 1),
        len(more[limit:] if limit else ()) + len(less[limit:] if limit else ()),
        unsure(matrix.worlds),
        Access.of(matrix, last),
    )
