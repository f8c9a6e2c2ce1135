"""Entries of access lists: who, where, by which services, and because of what."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from reconcile.policy.causes import Change, Happening
from reconcile.policy.document import Origin, Rule, SshRule, targets_of
from reconcile.policy.fields import Path
from reconcile.policy.matrix import Matrix
from reconcile.policy.naming import Naming
from reconcile.policy.reach import Reach, joined
from reconcile.policy.rows import Row
from reconcile.policy.selectors import SELF, Selector
from reconcile.policy.universe import World
from reconcile.policy.words import EVERYTHING

Cause = Literal["policy", "nodes", "release"]
LIMIT = 100  # entries of a list that are named, the largest first
_LOOKED_AT = 50  # rows of one entry that are asked for their rules


@dataclass(frozen=True, slots=True)
class Entry:
    """Sources that reach the same destinations by the same services.

    `paths` counts (source, destination, piece of service), where a piece is what no
    rule cuts apart. `rules` are the rules that allow it (for lost access: that allowed
    it), None among them for "no policy at all"; `because` says in words what made the
    difference, and `place` is where that stands in the new policy.
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
    place: Path | None = None


# -- of one state, rule by rule --------------------------------------------------------


@dataclass(slots=True)
class _Opened:
    """What rules open for the same sources on the same destinations.

    `own` are the destinations of `autogroup:self`, which differ from source to source;
    `pairs` counts sources with destinations.
    """

    members: int
    targets: int
    pairs: int
    own: bool
    atoms: int = 0
    rules: dict[str, Origin] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about the world of an index, limited to sets of bits.

    `said` are the words for the services, for who asked about some in particular.
    """

    index: int
    sources: int = -1
    targets: int = -1
    atoms: int = -1
    said: tuple[str, ...] = ()


def listed(matrix: Matrix, naming: Naming, asked: Asked) -> list[Entry]:
    """Return what each rule opens, in their order.

    Two entries may share paths, as two rules may; rules that open something else to
    the same sources on the same destinations share an entry.
    """
    by_rule: dict[tuple[str, int, int, bool], _Opened] = {}
    for row in matrix.rows:
        members = row.members & asked.sources
        for rule, reach in matrix.opened(row, asked.index) if members else ():
            for opened, reached in reach:
                there = reached & asked.targets
                part = _Opened(
                    members,
                    there,
                    paths_of(members, there),
                    rule.own and asked.targets == -1,
                    opened & asked.atoms,
                )
                _collect(by_rule, rule.origin, part)
    found: dict[tuple[int, int, bool], _Opened] = {}
    order = {
        str(rule.origin): i
        for i, rule in reversed([*enumerate(matrix.rules[asked.index].values())])
    }
    pairs = [(key[0], each) for key, each in by_rule.items() if each.pairs]
    for origin, each in sorted(pairs, key=lambda pair: order[pair[0]]):
        key = each.members, each.targets, each.own
        same = found.setdefault(key, each)
        same.atoms |= each.atoms
        same.rules[origin] = each.rules[origin]
    return [_listed(matrix, naming, each, asked.said) for each in found.values()]


def _collect(
    by_rule: dict[tuple[str, int, int, bool], _Opened], origin: Origin, part: _Opened
) -> None:
    """Add what a rule opens to one row to what it opens to others in the same way."""
    if not part.atoms or not part.targets:
        return
    key = str(origin), part.atoms, 0 if part.own else part.targets, part.own
    known = by_rule.setdefault(key, part)
    known.rules[str(origin)] = origin
    if known is not part:
        known.members |= part.members
        known.targets |= part.targets
        known.pairs += part.pairs


def _listed(
    matrix: Matrix, naming: Naming, opened: _Opened, said: tuple[str, ...]
) -> Entry:
    rules = tuple(opened.rules.values())
    sources, targets = _selectors(rules)
    members, reached = opened.members, _others(opened.members, opened.targets)
    names = naming.names(reached, targets, _single(members))
    return Entry(
        tuple(naming.names(members, sources)),
        (SELF,) if opened.own else tuple(names),
        naming.count(members),
        naming.count(reached),
        said or tuple(matrix.atoms.names(opened.atoms)),
        opened.pairs * opened.atoms.bit_count(),
        rules,
    )


# -- of a difference, cause by cause ---------------------------------------------------

_About = Happening | Rule | SshRule | None


@dataclass(slots=True)
class Group:
    """Paths gained or lost of which the same is to be said.

    `about` is what happened to nodes or the rule that changed. What a node that goes
    or comes loses or gains is `whole`: one group, whatever the services.
    """

    cause: Cause
    about: _About
    whole: bool
    members: int = 0
    targets: int = 0
    atoms: int = 0
    paths: int = 0
    rows: list[Row] = field(default_factory=list)


class Groups:
    """Collects what rows gain or lose by what is to be said of it.

    `touching` counts the paths from and to one node, the watched bit.
    """

    def __init__(self, watched: int = 0) -> None:
        self._groups: dict[object, Group] = {}
        self._watched = watched
        self.touching = 0

    def add(
        self,
        row: Row,
        members: int,
        reach: Reach,
        cause: Cause,
        about: _About,
        whole: bool = False,
    ) -> None:
        """Add what some sources of a row gain or lose."""
        for atoms, targets in _pieces(reach):
            paths = paths_of(members, targets) * atoms.bit_count()
            if not paths:
                continue
            what = members if whole else (atoms, targets)
            key = cause, str(about), whole, what
            group = self._groups.setdefault(key, Group(cause, about, whole))
            group.members |= members
            group.targets |= targets
            group.atoms |= atoms
            group.paths += paths
            if len(group.rows) < _LOOKED_AT:
                group.rows.append(row)
            if self._watched & (members | targets):
                pairs = paths_of(members, targets)
                pairs -= paths_of(members & ~self._watched, targets & ~self._watched)
                self.touching += pairs * atoms.bit_count()

    def ordered(self) -> list[Group]:
        """Return the groups, those of most paths first."""
        return sorted(
            self._groups.values(),
            key=lambda g: (-g.paths, g.members, g.targets, g.atoms, g.cause),
        )

    def total(self) -> int:
        """Count all paths: (source, destination, service atom)."""
        return sum(group.paths for group in self._groups.values())


def _pieces(reach: Reach) -> Reach:
    """Cut what is reached in the way that needs fewer lines.

    Either each destination has all its services in one piece, or each service all its
    destinations.
    """
    reach = joined(reach)
    parts: Reach = []
    for atoms, targets in reach:
        found: Reach = []
        for known, reached in parts:
            if reached & targets:
                found.append((known | atoms, reached & targets))
            if reached & ~targets:
                found.append((known, reached & ~targets))
            targets &= ~reached
        parts = [*found, (atoms, targets)] if targets else found
        if len(parts) > len(reach):
            return reach
    return parts


@dataclass(slots=True)
class _Told:
    """A group of its own, with its reasons in words and the rules that allow it."""

    group: Group
    because: Mapping[str, Path | None]
    rules: dict[str, Origin]
    hints: Sequence[Origin]

    def absorb(self, other: "_Told") -> None:
        """Add what the same sources gain or lose there for the same reasons."""
        self.group.atoms |= other.group.atoms
        self.group.paths += other.group.paths
        self.rules |= other.rules


def entries(
    matrix: Matrix,
    naming: Naming,
    groups: Iterable[Group],
    index: int,
    change: Change,
) -> tuple[Entry, ...]:
    """Put groups into words, with the rules of one world.

    What has the same ends and the same reasons is told in one entry.
    """
    found: dict[object, _Told] = {}
    for group in groups:
        told = _told(matrix, naming, group, index, change)
        ends = group.members, group.targets, group.whole
        known = found.setdefault((*ends, group.cause, *told.because), told)
        if known is not told:
            known.absorb(told)
    return tuple(_entry(matrix, naming, told) for told in found.values())


def _told(
    matrix: Matrix, naming: Naming, group: Group, index: int, change: Change
) -> _Told:
    rules, about = _rules(matrix, group, index), group.about
    if isinstance(about, Happening):
        touched = group.members | group.targets
        happened = change.happened(about, touched, naming)
        hints = () if about.places else tuple(rules.values())
        return _Told(replace(group), dict.fromkeys(happened), rules, hints)
    known = tuple(rules.values())
    hints = (about,) if about in known else known
    because = change.because(hints, 1 if index else 0)
    return _Told(replace(group), because, rules, hints)


def _entry(matrix: Matrix, naming: Naming, told: _Told) -> Entry:
    group, about = told.group, told.group.about
    apart = about.apart if isinstance(about, Happening) else 0
    sources, targets = _selectors(told.hints)
    reached = _others(group.members, group.targets)
    return Entry(
        _named(naming, group.members, apart, sources),
        (EVERYTHING,)
        if group.whole
        else _named(naming, reached, apart, targets, _single(group.members)),
        naming.count(group.members),
        0 if group.whole else naming.count(reached),
        () if group.whole else tuple(matrix.atoms.names(group.atoms)),
        group.paths,
        () if group.whole else tuple(told.rules.values()),
        group.cause,
        tuple(told.because),
        next((place for place in told.because.values() if place), None),
    )


def _others(members: int, targets: int) -> int:
    """Return the destinations without a single source itself: that is no path."""
    return targets & ~_single(members)


def _single(members: int) -> int:
    """Return a source that is the only one, else nothing."""
    return members if members.bit_count() == 1 else 0


def _named(
    naming: Naming,
    members: int,
    apart: int,
    hints: Iterable[Selector],
    itself: int = 0,
) -> tuple[str, ...]:
    """Name a set; nodes that something happened to go by their own names.

    Among others they do not, where one name holds all of them.
    """
    alone = members & apart
    whole = naming.names(members, hints, itself) if alone not in (0, members) else []
    if len(whole) == 1:
        return tuple(whole)
    rest = naming.names(members & ~alone, hints, itself) if members & ~alone else []
    return (*naming.singly(alone), *rest)


def _selectors(rules: Iterable[Origin]) -> tuple[list[Selector], list[Selector]]:
    """Return the selectors of both sides of some rules."""
    known = [rule for rule in rules if rule]
    sources = [selector for rule in known for selector in rule.sources]
    return sources, [selector for rule in known for selector in targets_of(rule)]


def _rules(matrix: Matrix, group: Group, index: int) -> dict[str, Origin]:
    numbers = {
        number
        for row in group.rows[:_LOOKED_AT]
        for number in matrix.contributing(row, index, group.atoms, group.targets)
    }
    found: dict[str, Origin] = {}  # a rule is compiled once for each address family
    for rule in matrix.in_order(index, numbers):
        found[str(rule.origin)] = rule.origin
    return found


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
