"""Effective access: who reaches what, what a change opens and closes, and why.

A path is one source and one destination with the services that are open between them
to the same destinations. Sources are nodes and the networks behind subnet routers;
destinations also the internet behind exit nodes. Capabilities of `app` grants open no
port and are not part of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from reconcile.model import Node
from reconcile.policy import selectors
from reconcile.policy.document import Policy, Rule, SshRule
from reconcile.policy.fields import get
from reconcile.policy.matrix import Matrix, Reach, Row, common, minus
from reconcile.policy.naming import Naming
from reconcile.policy.pairing import canonical
from reconcile.policy.releases import TCP
from reconcile.policy.selectors import Selector
from reconcile.policy.sets import IntervalSet, prefix
from reconcile.policy.tailnet import Tailnet
from reconcile.policy.universe import World

Origin = Rule | SshRule | None
Cause = Literal["policy", "nodes"]
_LOOKED_AT = 50  # rows of one entry that are asked for their rules


@dataclass(frozen=True, slots=True)
class Entry:
    """Sources that reach the same destinations by the same services.

    `paths` counts pairs of a source and a destination. `rules` are the rules that
    allow it (for lost access: that allowed it), None among them for "no policy at
    all"; `because` says in words what made the difference.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    source_count: int
    target_count: int
    services: tuple[str, ...]
    paths: int
    rules: tuple[Origin, ...]
    cause: Cause = "policy"
    because: tuple[str, ...] = ()


@dataclass(slots=True)
class _Group:
    """Rows of which the same is to be said."""

    atoms: int
    targets: int
    cause: Cause = "policy"
    members: int = 0
    rows: list[Row] = field(default_factory=list)

    @property
    def paths(self) -> int:
        return _paths(self.members, self.targets)


class Access:
    """The complete effective access of one policy in one tailnet."""

    def __init__(self, policy: Policy, tailnet: Tailnet) -> None:
        self.matrix = Matrix([World.of(policy, tailnet)])
        self.naming = Naming(self.matrix)

    @property
    def unsure(self) -> Mapping[str, str]:
        """What could not be known and was taken as large as it could be."""
        return _unsure(self.matrix)

    @cached_property
    def paths(self) -> int:
        """How many paths are allowed in all."""
        return _total(self.matrix, 0)

    def entries(
        self, sources: int = -1, targets: int = -1, atoms: int = -1
    ) -> list[Entry]:
        """Return who reaches what, largest first, limited to sets of bits."""
        groups = _Groups()
        for row in self.matrix.rows:
            members = row.members & sources
            if members:
                for opened, reached in self.matrix.reach(row, 0):
                    groups.add(row, members, opened & atoms, reached & targets)
        return [
            _entry(self.matrix, self.naming, group, 0) for group in groups.ordered()
        ]

    def who(self, target: str, port: int, protocol: int = TCP) -> list[Entry]:
        """Return who reaches a port of a node, address or selector."""
        atoms = self.matrix.atoms.at(protocol, port)
        return self.entries(targets=self.find(target), atoms=atoms)

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
            if world.routed >> place & 1 and addresses <= cell:
                cells |= 1 << place
        return universe.addressed(0, addresses) | cells


@dataclass(frozen=True, slots=True)
class AccessDiff:
    """What becomes possible and what stops being possible, apart from each other.

    `before` and `after` count the paths of each side. `share_gained` and `share_lost`
    are shares of all (source, destination, service) triples of the old side: 0.25 is
    a quarter of what was allowed.
    """

    before: int
    after: int
    gained: tuple[Entry, ...]
    lost: tuple[Entry, ...]
    share_gained: float
    share_lost: float
    unsure: Mapping[str, str]

    def __bool__(self) -> bool:
        return bool(self.gained or self.lost)

    @property
    def paths_gained(self) -> int:
        """How many paths are new."""
        return sum(entry.paths for entry in self.gained)

    @property
    def paths_lost(self) -> int:
        """How many paths are gone."""
        return sum(entry.paths for entry in self.lost)


def diff(before: tuple[Policy, Tailnet], after: tuple[Policy, Tailnet]) -> AccessDiff:
    """Compare two policies in two tailnets; a node is the same if its id is.

    The change of nodes is looked at first and the change of policy after it, so that
    each path gained or lost has one of the two as its cause.
    """
    worlds = [World.of(*before), World.of(before[0], after[1]), World.of(*after)]
    matrix = Matrix(worlds)
    naming = Naming(matrix)
    gained, lost = _Groups(), _Groups()
    for row in matrix.rows:
        old, middle, new = (matrix.reach(row, index) for index in range(3))
        if old is new or old == new:
            continue
        more, less = minus(new, old), minus(old, new)
        gained.extend(row, common(more, middle), "nodes")
        gained.extend(row, minus(more, middle), "policy")
        lost.extend(row, minus(less, middle), "nodes")
        lost.extend(row, common(less, middle), "policy")
    change = _PolicyChange(before[0], after[0])
    return AccessDiff(
        _total(matrix, 0),
        _total(matrix, 2),
        tuple(_entry(matrix, naming, each, 2, change) for each in gained.ordered()),
        tuple(_entry(matrix, naming, each, 0, change) for each in lost.ordered()),
        gained.triples() / (_triples(matrix, 0) or 1),
        lost.triples() / (_triples(matrix, 0) or 1),
        _unsure(matrix),
    )


class _Groups:
    """Collects rows by what is to be said of them."""

    def __init__(self) -> None:
        self._groups: dict[tuple[Cause, int, int], _Group] = {}

    def extend(self, row: Row, reach: Reach, cause: Cause) -> None:
        for atoms, targets in reach:
            self.add(row, row.members, atoms, targets, cause)

    def add(
        self, row: Row, members: int, atoms: int, targets: int, cause: Cause = "policy"
    ) -> None:
        if not atoms or not targets:
            return
        key = cause, atoms, targets
        group = self._groups.setdefault(key, _Group(atoms, targets, cause))
        group.members |= members
        group.rows.append(row)

    def ordered(self) -> list[_Group]:
        """Return the groups, those of most paths first."""
        found = [group for group in self._groups.values() if group.paths]
        return sorted(found, key=lambda g: (-g.paths, g.members, g.targets, g.atoms))

    def triples(self) -> int:
        """Count (source, destination, service atom): what shares are made of."""
        return sum(g.paths * g.atoms.bit_count() for g in self._groups.values())


def _entry(
    matrix: Matrix,
    naming: Naming,
    group: _Group,
    index: int,
    change: "_PolicyChange | None" = None,
) -> Entry:
    rules = _rules(matrix, group, index)
    because: tuple[str, ...] = ()
    hints: tuple[Origin, ...] = rules
    if change and group.cause == "nodes":
        because = tuple(_changed_nodes(matrix, naming, group))
        hints = ()  # the node is what a reader looks for, not one of its names
    elif change:
        because = change.because(rules, 1 if index else 0)
    sources = [selector for rule in hints if rule for selector in rule.sources]
    targets = [selector for rule in hints if rule for selector in _targets(rule)]
    return Entry(
        tuple(naming.names(group.members, sources)),
        tuple(naming.names(group.targets, targets)),
        group.members.bit_count(),
        group.targets.bit_count(),
        tuple(matrix.atoms.names(group.atoms)),
        group.paths,
        rules,
        group.cause,
        because,
    )


def _rules(matrix: Matrix, group: _Group, index: int) -> tuple[Origin, ...]:
    numbers = {
        number
        for row in group.rows[:_LOOKED_AT]
        for number in matrix.contributing(row, index, group.atoms, group.targets)
    }
    found: dict[str, Origin] = {}  # a rule is compiled once for each address family
    for number in sorted(numbers):
        origin = matrix.rules[index][number].origin
        found[str(origin)] = origin
    return tuple(found.values())


def _changed_nodes(matrix: Matrix, naming: Naming, group: _Group) -> Iterable[str]:
    """Say what happened to the nodes that gain or lose, one text for each."""
    before, after = matrix.worlds[0], matrix.worlds[-1]
    touched = group.members | group.targets
    for place in range(matrix.universe.size):
        old, new = before.machines.get(place), after.machines.get(place)
        change = _node_change(old.node if old else None, new.node if new else None)
        if not change:
            continue
        routes = bool((old and old.subnets) or (new and new.subnets))
        if touched >> place & 1 or (routes and group.targets >> matrix.universe.size):
            yield f"{naming.node(place)} {change}"


def _node_change(old: Node | None, new: Node | None) -> str:
    if old is None or new is None:
        return "is removed" if new is None and old else "is added" if new else ""
    said = []
    if old.tags != new.tags:
        added, removed = sorted(new.tags - old.tags), sorted(old.tags - new.tags)
        if added:
            said.append(f"becomes {', '.join(added)}")
        if removed:
            said.append(f"is no longer {', '.join(removed)}")
    elif old.user != new.user:
        said.append(f"moves from {old.user} to {new.user}")
    if old.approved & old.available != new.approved & new.available:
        added = sorted(new.approved - old.approved)
        removed = sorted(old.approved - new.approved)
        said += [f"routes {route}" for route in added]
        said += [f"no longer routes {route}" for route in removed]
        said += [] if added or removed else ["advertises other routes"]
    if set(old.addresses) != set(new.addresses):
        said.append("changes its address")
    return ", ".join(said)


class _PolicyChange:
    """Names what changed in a policy: rules, or the names that rules use."""

    def __init__(self, before: Policy, after: Policy) -> None:
        self._sides = before, after
        self._rules: dict[tuple[int, str], list[str]] = {}

    def because(self, rules: Iterable[Origin], side: int) -> tuple[str, ...]:
        """Return the changed rules, for unchanged ones the names that moved."""
        found: dict[str, None] = {}
        for rule in rules:
            if rule is None:
                found["there are neither acls nor grants"] = None
                continue
            section = "ssh" if isinstance(rule, SshRule) else rule.section
            text = self._texts(side, section)[rule.index]
            unchanged = text in self._texts(1 - side, section)
            moved = self._moved(rule) if unchanged else []
            found.update(dict.fromkeys(moved or [str(rule)]))
        return tuple(found)

    def _texts(self, side: int, section: str) -> list[str]:
        key = side, section
        if key not in self._rules:
            rules = get(self._sides[side].value, section) or ()
            self._rules[key] = [canonical(rule) for rule in rules]
        return self._rules[key]

    def _moved(self, rule: Rule | SshRule) -> list[str]:
        before, after = self._sides
        names = [selector.text for selector in (*rule.sources, *_targets(rule))]
        found = [
            f'groups."{name}"'
            for name in names
            if before.groups.get(name) != after.groups.get(name)
        ]
        found += [
            f'hosts."{name}"'
            for name in names
            if before.hosts.get(name) != after.hosts.get(name)
        ]
        return found


def _targets(rule: Rule | SshRule) -> list[Selector]:
    if isinstance(rule, SshRule):
        return list(rule.targets)
    return [target.selector for target in rule.targets]


def _paths(members: int, targets: int) -> int:
    """Count pairs; a node that reaches itself is no path."""
    both = (members & targets).bit_count()
    return members.bit_count() * targets.bit_count() - both


def _total(matrix: Matrix, index: int) -> int:
    return sum(
        _paths(row.members, targets)
        for row in matrix.rows
        for _, targets in matrix.reach(row, index)
    )


def _triples(matrix: Matrix, index: int) -> int:
    return sum(
        _paths(row.members, targets) * atoms.bit_count()
        for row in matrix.rows
        for atoms, targets in matrix.reach(row, index)
    )


def _unsure(matrix: Matrix) -> dict[str, str]:
    found: dict[str, str] = {}
    for world in matrix.worlds:
        found.update(world.resolver.unsure)
        for rule in world.policy.rules or ():
            for name in rule.unsure:
                found[name] = "device postures are not known: taken as fulfilled"
    return found
