"""Entries of access lists: who, where, by which services, and because of what."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from reconcile.policy.access.causes import Causes, Part
from reconcile.policy.access.counts import Things
from reconcile.policy.access.families import Families
from reconcile.policy.access.happenings import Happening, Happenings
from reconcile.policy.access.matrix import Matrix
from reconcile.policy.access.naming import INTERNET, Naming, Side
from reconcile.policy.access.reach import Reach, joined
from reconcile.policy.access.rows import Row
from reconcile.policy.access.universe import World, merge
from reconcile.policy.language.document import Origin, targets_of
from reconcile.policy.language.fields import Path
from reconcile.policy.language.selectors import SELF, Selector
from reconcile.policy.language.words import EVERYTHING, USER, Size

Behind = Callable[[], Mapping[str, tuple[str, ...]]]
Kind = Literal["policy", "nodes", "both", "release"]
LIMIT = 100  # entries of a list that are named, the largest first
_FAR = frozenset({EVERYTHING, INTERNET, "0.0.0.0/0", "::/0"})
_AS_ROOT = "ssh as root"
_LOOKED_AT = 50  # rows of one entry that are asked for their rules


@dataclass(frozen=True, slots=True)
class Entry:
    """Sources that reach the same destinations by the same services.

    `sources` and `targets` are names, with the sizes of what they mean.
    `paths` counts pairs of a source and a destination. `family` is told where only one
    address family is reached although both ends have both. `rules` are those that
    allow it (for lost access: that allowed it), None among them for "no policy at
    all"; `because` says in words what made the difference, and `place` is where that
    stands in the new policy. `behind` finds the nodes behind the names.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    source_size: Size
    target_size: Size
    services: tuple[str, ...]
    paths: int
    rules: tuple[Origin, ...]
    family: str = ""
    cause: Kind = "policy"
    because: tuple[str, ...] = ()
    place: Path | None = None
    members: int = 0
    reached: int = 0
    behind: Behind | None = field(default=None, compare=False, repr=False)


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

    `said` are the words for the services, for who asked about some in particular, and
    `words` those that sources and destinations were asked for with.
    """

    index: int
    sources: int = -1
    targets: int = -1
    atoms: int = -1
    said: tuple[str, ...] = ()
    words: tuple[Selector, ...] = ()


def listed(matrix: Matrix, naming: Naming, asked: Asked) -> list[Entry]:
    """Return what each rule opens, in their order.

    Two entries may share paths, as two rules may; rules that open something else to
    the same sources on the same destinations share an entry.
    """
    world = matrix.worlds[asked.index]
    things = Things(matrix.universe, world)
    families = Families(matrix.universe, [world])
    found: dict[tuple[int, int, bool], _Opened] = {}
    by_rule = _by_rule(matrix, asked, things)
    for origin, each in _by_family(by_rule, families):
        key = each.members, each.targets, each.own
        same = found.setdefault(key, each)
        same.atoms |= each.atoms
        same.rules[origin] = each.rules[origin]
    return [
        entry
        for each in found.values()
        for entry in _listed(matrix, naming, things, each, asked)
    ]


def _by_rule(matrix: Matrix, asked: Asked, things: Things) -> list[tuple[str, _Opened]]:
    """Return what each rule opens, in the order of the rules."""
    by_rule: dict[tuple[str, int, int, bool], _Opened] = {}
    for row in matrix.rows:
        members = row.members & asked.sources
        for rule, reach in matrix.opened(row, asked.index) if members else ():
            for opened, reached in reach:
                there = reached & asked.targets & matrix.universe.partners(members)
                # A login may be open on some of the own nodes alone.
                mine = not matrix.own(row, asked.index) & ~reached
                part = _Opened(
                    members,
                    there,
                    things.pairs(members, there),
                    rule.own and mine and asked.targets == -1,
                    opened & asked.atoms,
                )
                _collect(by_rule, rule.origin, part)
    order = {
        str(rule.origin): i
        for i, rule in reversed([*enumerate(matrix.rules[asked.index].values())])
    }
    pairs = [(key[0], each) for key, each in by_rule.items() if each.pairs]
    return sorted(pairs, key=lambda pair: order[pair[0]])


def _by_family(
    opened: Iterable[tuple[str, _Opened]], families: Families
) -> Iterator[tuple[str, _Opened]]:
    """Yield what rules open, with what is open over both families together."""
    alike: dict[object, list[tuple[str, _Opened]]] = defaultdict(list)
    for origin, each in opened:
        alike[origin, each.atoms, each.own].append((origin, each))
    for same in alike.values():
        origin, first = same[0]
        if first.own:
            yield from same
            continue
        parts = [(each.members, each.targets) for _, each in same]
        for ends in families.together(parts):
            yield origin, replace(first, members=ends.members, targets=ends.targets)


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
    matrix: Matrix, naming: Naming, things: Things, opened: _Opened, asked: Asked
) -> Iterator[Entry]:
    rules = tuple(opened.rules.values())
    sources, targets = _selectors(rules)
    services = asked.said or tuple(matrix.atoms.names(opened.atoms))
    itself = matrix.universe.single(opened.members)
    ends = (
        Side(opened.members, (*sources, *asked.words), sending=True),
        Side(opened.targets & ~itself, (*targets, *asked.words), itself=itself),
    )
    for line in naming.lines(*ends):
        own = opened.own
        groups = ((SELF, line.reached),) if own else line.groups[1]
        yield Entry(
            line.sources,
            (SELF,) if own else line.targets,
            naming.size(line.members),
            naming.size(line.reached),
            services,
            opened.pairs if own else things.pairs(line.members, line.reached),
            rules,
            line.family,
            members=line.members,
            reached=line.reached,
            behind=partial(naming.behind, (*line.groups[0], *groups)),
        )


# -- of a difference, cause by cause ---------------------------------------------------


@dataclass(slots=True)
class Group:
    """Paths gained or lost for the same causes.

    What a node that goes or comes loses or gains is `whole`: one group, whatever the
    services.
    """

    causes: Causes
    whole: bool
    members: int = 0
    targets: int = 0
    atoms: int = 0
    rows: list[Row] = field(default_factory=list)


class Groups:
    """Collects what rows gain or lose by its causes; `gone` tells of what is lost."""

    def __init__(self, matrix: Matrix, gone: bool) -> None:
        self._universe = matrix.universe
        self._families = Families(matrix.universe, matrix.worlds)
        self._gone = gone
        self._parts: dict[object, Group] = {}

    def add(self, row: Row, parts: Iterable[Part]) -> None:
        """Add what some sources of a row gain or lose."""
        by_ends: dict[tuple[int, Causes], Reach] = defaultdict(list)
        for part in parts:
            by_ends[part.members, part.causes].append((part.atoms, part.targets))
        for (members, causes), reach in by_ends.items():
            whole = self._gone and bool(causes) and self._is_gone(members, causes)
            partners = self._universe.partners(members)
            for atoms, targets in _pieces(reach):
                there = targets & partners
                if there & ~self._universe.single(members):
                    self._collect(row, Group(causes, whole, members, there, atoms))

    def _is_gone(self, members: int, causes: Causes) -> bool:
        """Tell whether sources lose all that they had, since they are gone."""
        nodes, cells = self._universe.split(members)
        numbers = self._universe.nodes(nodes)
        return not cells and all(
            isinstance(cause, Happening) and cause.gone and not numbers & ~cause.numbers
            for cause in causes
        )

    def _collect(self, row: Row, part: Group) -> None:
        what = part.members if part.whole else (part.atoms, part.targets)
        known = self._parts.setdefault((part.causes, part.whole, what), part)
        known.members |= part.members
        known.targets |= part.targets
        known.atoms |= part.atoms
        if len(known.rows) < _LOOKED_AT:
            known.rows.append(row)

    def all(self) -> list[Group]:
        """Return the groups; the same sources and destinations share one."""
        found: dict[object, Group] = {}
        for group in self._by_family():
            ends = group.members, group.targets, group.whole, group.causes
            known = found.setdefault(ends, group)
            if known is not group:
                known.atoms |= group.atoms
                known.rows += group.rows
        return list(found.values())

    def _by_family(self) -> Iterator[Group]:
        """Yield the groups with what is open over both address families together."""
        alike: dict[object, list[Group]] = defaultdict(list)
        for group in self._parts.values():
            alike[group.causes, group.whole, group.atoms].append(group)
        for groups in alike.values():
            if groups[0].whole:
                yield from groups
                continue
            first = groups[0]
            for ends in self._families.together(
                [(g.members, g.targets) for g in groups]
            ):
                rows = [row for part in ends.parts for row in groups[part].rows]
                yield Group(
                    first.causes, False, ends.members, ends.targets, first.atoms, rows
                )


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


class Teller:
    """Puts groups into words: those of the state of `index`, gained or lost there."""

    def __init__(
        self, matrix: Matrix, naming: Naming, happenings: Happenings, index: int
    ) -> None:
        self._matrix = matrix
        self._naming = naming
        self._happenings = happenings
        self._index = index
        self._things = Things(matrix.universe, matrix.worlds[index])

    def ordered(self, groups: Iterable[Group]) -> list[Group]:
        """Return groups in order, those of most paths first."""
        sized = [(self._things.pairs(g.members, g.targets), g) for g in groups]
        sized.sort(key=lambda s: (-s[0], s[1].members, s[1].targets, s[1].atoms))
        return [group for _, group in sized]

    def entries(self, groups: Iterable[Group]) -> tuple[Entry, ...]:
        """Return the entries of groups, in their order."""
        return tuple(entry for group in groups for entry in self._told(group))

    def by_danger(self, entries: Iterable[Entry]) -> tuple[Entry, ...]:
        """Return what is gained in the order in which people should read it.

        First what leads to every node or to the internet, then logins as root, then
        what most sources have.
        """
        return tuple(sorted(entries, key=self._danger))

    def _danger(self, entry: Entry) -> tuple[bool, bool, int]:
        universe, world = self._matrix.universe, self._matrix.worlds[self._index]
        reached = entry.reached | universe.single(entry.members)
        left = universe.nodes(world.present) & ~universe.nodes(reached)
        far = not left or not _FAR.isdisjoint(entry.targets)
        root = any(service.startswith(_AS_ROOT) for service in entry.services)
        return not far, not root, -sum(entry.source_size)

    def _told(self, group: Group) -> Iterator[Entry]:
        universe, causes = self._matrix.universe, group.causes
        rules = self._rules(group)
        sources, targets = _selectors(rules)
        happened = [c for c in causes if isinstance(c, Happening)]
        by_user = USER  # what happened to a user is not said of each of the nodes
        apart = merge(
            universe.both(each.numbers)
            for each in happened
            if not each.text.startswith(by_user)
        )
        itself = universe.single(group.members)
        because = self._because(group)
        ends = (
            Side(group.members, tuple(sources), apart, sending=True),
            Side(group.targets & ~itself, tuple(targets), apart, itself),
        )
        lines = self._naming.lines(*ends)
        for line in [self._naming.gone(*ends)] if group.whole else lines:
            count = self._naming.size(line.reached)
            yield Entry(
                line.sources,
                (EVERYTHING,) if group.whole else line.targets,
                self._naming.size(line.members),
                Size() if group.whole else count,
                () if group.whole else tuple(self._matrix.atoms.names(group.atoms)),
                self._things.pairs(line.members, line.reached),
                () if group.whole else rules,
                line.family,
                _kind(causes),
                tuple(because),
                next((place for place in because.values() if place), None),
                line.members,
                line.reached,
                partial(self._naming.behind, (*line.groups[0], *line.groups[1])),
            )

    def _because(self, group: Group) -> Mapping[str, Path | None]:
        """Say what made the difference: changes of the policy, then those of nodes."""
        touched = group.members | group.targets
        found: dict[str, Path | None] = {}
        for cause in group.causes:
            if not isinstance(cause, Happening):
                found[cause[0]] = cause[1]
        found = dict(sorted(found.items()))
        happened = [c for c in group.causes if isinstance(c, Happening)]
        for cause in sorted(happened, key=str):
            told = self._happenings.told(cause, touched, self._naming.node)
            found |= dict.fromkeys(told)
        return found

    def _rules(self, group: Group) -> tuple[Origin, ...]:
        """Return the rules that open some of a group, in the policy's order."""
        numbers = {
            number
            for row in group.rows[:_LOOKED_AT]
            for number in self._matrix.contributing(
                row, self._index, group.atoms, group.targets
            )
        }
        found: dict[str, Origin] = {}  # a rule may be compiled in several parts
        for rule in self._matrix.in_order(self._index, numbers):
            found[str(rule.origin)] = rule.origin
        return tuple(found.values())


def _kind(causes: Causes) -> Kind:
    """Return what kind of change makes the difference."""
    kinds: set[Kind] = set()
    for cause in causes:
        kinds.add(cause.kind if isinstance(cause, Happening) else "policy")
    return "both" if len(kinds) > 1 else next(iter(kinds), "policy")


def _selectors(rules: Iterable[Origin]) -> tuple[list[Selector], list[Selector]]:
    """Return the selectors of both sides of some rules; `*` where there is none."""
    everything = [Selector("any", "*")]
    sources = [s for rule in rules for s in (rule.sources if rule else everything)]
    targets = [s for rule in rules for s in (targets_of(rule) if rule else everything)]
    return sources, targets


def unsure(worlds: Iterable[World]) -> dict[str, str]:
    """Return what could not be known, with the reason."""
    found: dict[str, str] = {}
    for world in worlds:
        found.update(world.resolver.unsure)
        for rule in world.policy.rules or ():
            for name in rule.unsure:
                found[name] = "device postures are not known: taken as fulfilled"
    return found
