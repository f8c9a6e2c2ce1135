"""Entries of access lists: who, where, by which services, and because of what."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from reconcile.model import Node
from reconcile.policy.document import Rule, SshRule
from reconcile.policy.fields import get
from reconcile.policy.matrix import Matrix, Reach, Row
from reconcile.policy.naming import Naming
from reconcile.policy.pairing import canonical
from reconcile.policy.selectors import Selector
from reconcile.policy.universe import World, merge, usable

Origin = Rule | SshRule | None
Cause = Literal["policy", "nodes"]
_LOOKED_AT = 50  # rows of one entry that are asked for their rules


@dataclass(frozen=True, slots=True)
class Entry:
    """Sources that reach the same destinations by the same services.

    `paths` counts (source, destination, piece of service), where a piece is what no
    rule cuts apart. `rules` are the rules that
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
class Group:
    """Rows of which the same is to be said."""

    atoms: int
    targets: int
    cause: Cause = "policy"
    members: int = 0
    rows: list[Row] = field(default_factory=list)

    @property
    def paths(self) -> int:
        """How many (source, destination, service atom) there are."""
        return paths_of(self.members, self.targets) * self.atoms.bit_count()


class Groups:
    """Collects rows by what is to be said of them."""

    def __init__(self) -> None:
        self._groups: dict[tuple[Cause, int, int], Group] = {}

    def extend(self, row: Row, reach: Reach, cause: Cause) -> None:
        """Add what a whole row reaches."""
        for atoms, targets in reach:
            self.add(row, row.members, atoms, targets, cause)

    def add(
        self, row: Row, members: int, atoms: int, targets: int, cause: Cause = "policy"
    ) -> None:
        """Add some sources of a row that reach the same; nothing is no entry."""
        if not atoms or not targets:
            return
        key = cause, atoms, targets
        group = self._groups.setdefault(key, Group(atoms, targets, cause))
        group.members |= members
        group.rows.append(row)

    def ordered(self) -> list[Group]:
        """Return the groups, those of most paths first."""
        found = [group for group in self._groups.values() if group.paths]
        return sorted(found, key=lambda g: (-g.paths, g.members, g.targets, g.atoms))

    def total(self) -> int:
        """Count all paths: (source, destination, service atom)."""
        return sum(group.paths for group in self._groups.values())


def entry(
    matrix: Matrix,
    naming: Naming,
    group: Group,
    index: int,
    change: "Change | None" = None,
) -> Entry:
    """Put a group into words, with the rules of one world.

    `change` is given for an entry of a difference, to say what made it.
    """
    rules = _rules(matrix, group, index)
    because: tuple[str, ...] = ()
    hints: tuple[Origin, ...] = rules
    if change and group.cause == "nodes":
        places = change.nodes_of(group)
        because = tuple(
            f"{naming.node(place)} {change.nodes[place]}" for place in places
        )
        hints = ()
    elif change:
        because = change.because(rules, 1 if index else 0)
    sources = [selector for rule in hints if rule for selector in rule.sources]
    targets = [selector for rule in hints if rule for selector in targets_of(rule)]
    return Entry(
        tuple(_named(change, naming, group, group.members, sources)),
        tuple(_named(change, naming, group, group.targets, targets)),
        group.members.bit_count(),
        group.targets.bit_count(),
        tuple(matrix.atoms.names(group.atoms)),
        group.paths,
        rules,
        group.cause,
        because,
    )


def _named(
    change: "Change | None",
    naming: Naming,
    group: Group,
    members: int,
    hints: Iterable[Selector],
) -> list[str]:
    """Name a set; nodes that changed themselves go by their own names."""
    if change and group.cause == "nodes":
        changed = merge(1 << place for place in change.nodes_of(group))
        if not members & ~changed:
            return naming.singly(members)
    return naming.names(members, hints)


def _rules(matrix: Matrix, group: Group, index: int) -> tuple[Origin, ...]:
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


def _node_change(old: Node | None, new: Node | None) -> str:
    if old is None:
        return "is added" if new else ""
    if new is None:
        return "is removed"
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


class Change:
    """Names what changed: rules, the names that rules use, and nodes."""

    def __init__(self, matrix: Matrix) -> None:
        self._matrix = matrix
        self._sides = matrix.worlds[0].policy, matrix.worlds[-1].policy
        self._rules: dict[tuple[int, str], list[str]] = {}

    @cached_property
    def nodes(self) -> dict[int, str]:
        """The nodes that changed, each with what happened to it."""
        before, after = self._matrix.worlds[0], self._matrix.worlds[-1]
        found = {}
        for place in range(self._matrix.universe.size):
            old, new = before.machines.get(place), after.machines.get(place)
            happened = _node_change(
                old.node if old else None, new.node if new else None
            )
            if happened:
                found[place] = happened
        return found

    def nodes_of(self, group: Group) -> list[int]:
        """Return the changed nodes that a group is about, routers included."""
        touched = group.members | group.targets
        return [
            place
            for place, happened in self.nodes.items()
            if touched >> place & 1 or touched & self._behind(place)
        ]

    def _behind(self, place: int) -> int:
        """Return what a node routes to, in any of the worlds."""
        universe, found = self._matrix.universe, 0
        for world in self._matrix.worlds:
            machine = world.machines.get(place)
            if machine:
                found |= merge(universe.network(route) for _, route in usable(machine))
                found |= universe.internet if machine.exits else 0
        return found

    def because(self, rules: Iterable[Origin], side: int) -> tuple[str, ...]:
        """Return the changed rules, for unchanged ones the names that moved."""
        found: dict[str, None] = {}
        for rule in rules:
            if rule is None:
                verb = "are" if side else "were"
                found[f"there {verb} neither acls nor grants"] = None
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
        names = [selector.text for selector in (*rule.sources, *targets_of(rule))]
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


def targets_of(rule: Rule | SshRule) -> list[Selector]:
    """Return the selectors of a rule's destinations."""
    if isinstance(rule, SshRule):
        return list(rule.targets)
    return [target.selector for target in rule.targets]


def paths_of(members: int, targets: int) -> int:
    """Count pairs; a node that reaches itself is no path."""
    both = (members & targets).bit_count()
    return members.bit_count() * targets.bit_count() - both


def total(matrix: Matrix, index: int) -> int:
    """Count all paths of a world: (source, destination, service atom)."""
    return sum(
        paths_of(row.members, targets) * atoms.bit_count()
        for row in matrix.rows
        for atoms, targets in matrix.reach(row, index)
    )


def unsure(worlds: Iterable[World]) -> dict[str, str]:
    """Return what could not be known, with the reason."""
    found: dict[str, str] = {}
    for world in worlds:
        found.update(world.resolver.unsure)
        for rule in world.policy.rules or ():
            for name in rule.unsure:
                found[name] = "device postures are not known: taken as fulfilled"
    return found
