"""Effective access: who reaches what, what a change opens and closes, and why.

A path is one source, one destination and one service, as far as rules tell them apart.
Sources are nodes and the networks behind subnet routers; destinations also the internet
behind exit nodes. Capabilities of `app` grants open no port and are not part of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from reconcile.policy import selectors
from reconcile.policy.document import Policy, SshRule
from reconcile.policy.entries import (
    Change,
    Entry,
    Groups,
    Origin,
    entry,
    targets_of,
    total,
    unsure,
)
from reconcile.policy.matrix import Compiled, Matrix, common, minus
from reconcile.policy.naming import Naming
from reconcile.policy.releases import TCP
from reconcile.policy.selectors import Selector
from reconcile.policy.sets import IntervalSet, prefix
from reconcile.policy.tailnet import Tailnet
from reconcile.policy.universe import World, merge

LIMIT = 100  # entries of a list that are named, the largest first


class Access:
    """The complete effective access of one policy in one tailnet."""

    def __init__(self, policy: Policy, tailnet: Tailnet) -> None:
        self.matrix = Matrix([World.of(policy, tailnet)])
        self.naming = Naming(self.matrix)

    @property
    def unsure(self) -> Mapping[str, str]:
        """What could not be known and was taken as large as it could be."""
        return unsure(self.matrix)

    @cached_property
    def paths(self) -> int:
        """How many paths are allowed in all."""
        return total(self.matrix, 0)

    def entries(
        self, sources: int = -1, targets: int = -1, atoms: int = -1
    ) -> list[Entry]:
        """Return who reaches what, largest first, limited to sets of bits."""
        groups = Groups()
        for row in self.matrix.rows:
            members = row.members & sources
            if members:
                for opened, reached in self.matrix.reach(row, 0):
                    groups.add(row, members, opened & atoms, reached & targets)
        return [entry(self.matrix, self.naming, group, 0) for group in groups.ordered()]

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
        allowed = self._all_reach(sources, targets, atoms)
        found = [
            self._match(number, rule, sources, targets, atoms)
            for number, rule in enumerate(self.matrix.rules[0])
            if isinstance(rule.origin, SshRule) is (port is None)
        ]
        matches = _once(each for each in found if not each.missing)
        nearest = _once(each for each in found if len(each.missing) == 1)
        return Why(allowed, matches, () if matches else nearest)

    def _all_reach(self, sources: int, targets: int, atoms: int) -> bool:
        reached = 0
        for row in self.matrix.rows:
            if not row.members & sources:
                continue
            opened = self.matrix.reach(row, 0)
            if targets & ~merge(d for have, d in opened if have & atoms):
                return False
            reached |= row.members & sources
        return bool(atoms) and reached == sources

    def _match(
        self, number: int, rule: Compiled, sources: int, targets: int, atoms: int
    ) -> "Match":
        """Hold a rule against the three things that a path needs."""
        world, origin = self.matrix.worlds[0], rule.origin
        rows = [row for row in self.matrix.rows if row.rules[0] >> number & 1]
        from_here = merge(row.members for row in rows) & sources
        to_there = rule.targets & targets
        if rule.own:
            owners = {row.owners[0] for row in rows if row.members & sources}
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
        universe, world = self.matrix.universe, self.matrix.worlds[0]
        if selector.autogroup in ("self", "danger-all") or selector.kind == "any":
            return -1
        if selector.autogroup == "internet":
            return universe.internet
        addresses = world.resolver.sources(selector)
        if not as_source:
            addresses = IntervalSet.union(world.resolver.targets(selector))
        cells = universe.network(addresses) & world.routed
        return universe.addressed(0, addresses) | cells

    def find(self, text: str) -> int:
        """Return the bits of a node's name, a selector or an address.

        Raises LookupError when nothing in the tailnet answers to it.
        """
        universe, world = self.matrix.universe, self.matrix.worlds[0]
        name = text.removeprefix("node:")
        for place, machine in world.machines.items():
            if machine.name == name:
                return 1 << place
        if text in world.owners:
            return world.owners[text]
        selector = selectors.parse(text)
        found = 0
        if selector.kind == "any":
            return world.present | world.routed
        if selector.autogroup == "internet":
            found = universe.internet if world.exits else 0
        elif selector.kind in ("address", "host"):
            found = self._addressed(selector)
        else:
            found = universe.selected(world, selector)
        if not found:
            raise LookupError(text)
        return found

    def _addressed(self, selector: Selector) -> int:
        universe, world = self.matrix.universe, self.matrix.worlds[0]
        addresses = world.policy.hosts.get(selector.text, IntervalSet())
        if selector.kind == "address":
            addresses = prefix(selector.text)
        cells = universe.network(addresses) & world.routed
        for place in range(universe.size, universe.size + len(universe.cells)):
            cell = IntervalSet([universe.cells[place - universe.size]])
            if addresses and world.routed >> place & 1 and addresses <= cell:
                cells |= 1 << place
        return universe.addressed(0, addresses) | cells


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
    they are in all the counts. `matrix` holds both sides, the old one first.
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
    matrix: Matrix = field(repr=False, compare=False)

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
        unsure(matrix),
        matrix,
    )
