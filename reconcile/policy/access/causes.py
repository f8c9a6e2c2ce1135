"""Causes of a difference: the changes without which a path would not be gained or lost.

A path is there when a rule of the policy opens it in the tailnet. So a rule is held
against four states: the policies and the tailnets of before and after, in every pair.
Where it does not open the path tells what it needs: a change of the policy, a change of
nodes or users, or both together.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from reconcile.policy.access.happenings import Happening, Happenings
from reconcile.policy.access.matrix import Matrix
from reconcile.policy.access.reach import Reach, pieces
from reconcile.policy.access.rows import Row
from reconcile.policy.access.targets import Compiled
from reconcile.policy.access.universe import bits, merge
from reconcile.policy.edits.rulechanges import Named, RuleChanges
from reconcile.policy.language.document import Rule, SshRule, targets_of
from reconcile.policy.language.selectors import Selector

Cause = Happening | Named  # what happened to nodes or users, or a change of the policy
Causes = frozenset[Cause]
Ways = tuple[Causes, ...]

_KEPT: Causes = frozenset()
_POLICY, _TAILNET = frozenset({"policy"}), frozenset({"tailnet"})
_BOTH = _POLICY | _TAILNET


@dataclass(frozen=True, slots=True)
class Part:
    """Paths of a row with the same causes: sources, services and destinations."""

    members: int
    atoms: int
    targets: int
    causes: Causes


@dataclass(frozen=True, slots=True)
class Sources:
    """Some sources of a row, and what happened to all of them, if anything did."""

    row: Row
    members: int
    happening: Happening | None


class Blame:
    """Finds the causes of what is gained (side 1) or lost (side 0).

    `states` are the numbers of the worlds by policy and tailnet, each of before (0) or
    after (1). `side` is the one on which the paths are open.
    """

    def __init__(
        self,
        matrix: Matrix,
        states: Mapping[tuple[int, int], int],
        changes: RuleChanges,
        happenings: Happenings,
        side: int,
    ) -> None:
        self._matrix = matrix
        self._universe = matrix.universe
        self._states = states
        self._changes = changes
        self._happenings = happenings
        self._side = side
        self._compiled: dict[int, dict[object, tuple[int, Compiled]]] = {}
        self._routes: dict[tuple[str, ...], list[tuple[Happening, int]]] = {}

    def parts(self, row: Row, moved: Reach) -> Iterator[Part]:
        """Cut what a row gains or loses by its causes."""
        for sources in self._sources(row):
            for atoms, targets in moved:
                yield from self._cut(sources, atoms, targets)

    def _sources(self, row: Row) -> Iterator[Sources]:
        """Yield sources by what happened to them, or to the routers before them."""
        nodes, cells = self._universe.split(row.members)
        for each in self._happenings.of_nodes:
            own = nodes & self._universe.both(each.numbers) | cells & each.behind
            if own:
                yield Sources(row, own, each)
                nodes, cells = nodes & ~own, cells & ~own
        if nodes | cells:
            yield Sources(row, nodes | cells, None)

    def _cut(self, sources: Sources, atoms: int, targets: int) -> Iterator[Part]:
        """Cut services and destinations so that each part has one set of causes."""
        for piece, rules in self._opening(sources.row, atoms, targets):
            for axes, there in self._axes(sources.row, piece, targets):
                for causes, mask in self._explained(sources, piece, rules, there):
                    told = frozenset(c for c in causes if _axis(c) in axes)
                    found = [(told, mask)]
                    if axes == _BOTH and len(set(map(_axis, told))) == 1:
                        found = list(self._completed(sources, piece, told, mask))
                    for known, part in found:
                        why = known or self._unexplained(sources.row, piece, axes)
                        yield Part(sources.members, piece, part, why)

    def _explained(
        self, sources: Sources, piece: int, rules: list[Compiled], targets: int
    ) -> Iterator[tuple[Causes, int]]:
        """Yield destinations by what their rules need; a login needs its port too."""
        for causes, mask in self._by_causes(sources, rules, targets).items():
            if piece & self._matrix.atoms.logins:
                for more, part in self._by_port(sources, mask).items():
                    yield causes | more, part
            else:
                yield causes, mask

    def _completed(
        self, sources: Sources, atoms: int, told: Causes, targets: int
    ) -> Iterator[tuple[Causes, int]]:
        """Yield destinations with causes of both changes, where either would do.

        What one of them alone moves may rest on a rule that the other one made idle.
        """
        either = targets & self._either_moves(sources.row, atoms)
        if targets & ~either:
            yield told, targets & ~either
        if not either:
            return
        policy = any(_axis(cause) == "policy" for cause in told)
        alone = self._alone["tailnet" if policy else "policy"]
        found = alone._opening(sources.row, atoms, either)
        rules = [rule for _, opening in found for rule in opening]
        for more, part in alone._by_causes(sources, rules, either).items():
            yield told | more, part

    def _either_moves(self, row: Row, atoms: int) -> int:
        """Return the destinations that either change alone opens, or closes."""
        found = [self._open(row, atoms, self._states[way]) for way in ((1, 0), (0, 1))]
        return found[0] & found[1] if self._side else ~(found[0] | found[1])

    @cached_property
    def _alone(self) -> Mapping[str, "Blame"]:
        """Who finds the causes of each of the two changes alone."""
        states = self._states
        policy = {(a, b): states[a, 0] for a, b in states}
        tailnet = {(a, b): states[0, b] for a, b in states}
        rest = self._changes, self._happenings, self._side
        return {
            "policy": Blame(self._matrix, policy, *rest),
            "tailnet": Blame(self._matrix, tailnet, *rest),
        }

    def _axes(
        self, row: Row, atoms: int, targets: int
    ) -> Iterator[tuple[frozenset[str], int]]:
        """Yield destinations by which of the two changes counts, or both do.

        With the policy of the other side and the tailnet of this one, and the other
        way round: what is open in only one of the two has one cause.
        """
        side, other = self._side, 1 - self._side
        by_policy = self._open(row, atoms, self._states[other, side])
        by_tailnet = self._open(row, atoms, self._states[side, other])
        for axes, mask in (
            (_TAILNET, by_policy & ~by_tailnet),
            (_POLICY, by_tailnet & ~by_policy),
            (_BOTH, ~(by_policy ^ by_tailnet)),
        ):
            if targets & mask:
                yield axes, targets & mask

    def _open(self, row: Row, atoms: int, index: int) -> int:
        """Return the destinations on which all of some services are open."""
        reach, found = self._matrix.reach(row, index), -1
        for piece, which in pieces(tuple(opened & atoms for opened, _ in reach)):
            atoms &= ~piece
            found &= merge(reach[number][1] for number in which)
        return 0 if atoms else found

    def _by_port(self, sources: Sources, targets: int) -> dict[Causes, int]:
        """Return the causes for the port that logins need."""
        port = self._matrix.atoms.ssh_port
        found = self._opening(sources.row, port, targets)
        rules = [rule for _, opening in found for rule in opening]
        return self._by_causes(sources, rules, targets)

    def _opening(
        self, row: Row, atoms: int, targets: int
    ) -> list[tuple[int, list[Compiled]]]:
        """Return pieces of services, each with the rules that open it on targets."""
        index = self._here
        rules = [
            rule
            for number in bits(row.sides[index].rules)
            if (rule := self._matrix.rules[index][number]).atoms & atoms
            and self._matrix.targets(rule, row, index) & targets
        ]
        cut = pieces(tuple(rule.atoms & atoms for rule in rules))
        found = [(piece, [rules[number] for number in which]) for piece, which in cut]
        rest = atoms & ~merge(piece for piece, _ in found)
        return [*found, (rest, [])] if rest else found

    def _by_causes(
        self, sources: Sources, rules: Iterable[Compiled], targets: int
    ) -> dict[Causes, int]:
        """Return destinations by the causes why some rules open them."""
        ways: dict[Ways, int] = {(): targets}
        for rule in rules:
            reached = self._matrix.targets(rule, sources.row, self._here) & targets
            refined: dict[Ways, int] = defaultdict(int)
            for more, mask in self._ways(rule, sources, reached).items():
                for known, part in ways.items():
                    if part & mask:
                        refined[(*known, *more)] |= part & mask
            for known, part in ways.items():
                if part & ~reached:
                    refined[known] |= part & ~reached
            ways = refined
        found: dict[Causes, int] = defaultdict(int)
        for each, mask in ways.items():
            found[self._combined(each)] |= mask
        return found

    def _combined(self, ways: Ways) -> Causes:
        """Return the causes of what has several ways, none where one needs no change.

        Any way would do for a gain: the cause is what all of them need, and where they
        have nothing in common, all of it. A loss took all ways: each that one change
        has closed has that as its cause, since undoing it opens the way again.
        """
        if not ways or _KEPT in ways:
            return frozenset()
        every = frozenset[Cause]().union(*ways)
        if self._side:
            return frozenset.intersection(*ways) or every
        return frozenset[Cause]().union(*(w for w in ways if len(w) == 1)) or every

    # One rule.

    @property
    def _here(self) -> int:
        return self._states[self._side, self._side]

    def _ways(self, rule: Compiled, sources: Sources, reached: int) -> dict[Ways, int]:
        """Return what a rule needs to open destinations, by the destinations.

        Where it needs neither of the two changes, each of them alone would do.
        """
        side, other = self._side, 1 - self._side
        policy = self._by_policy(rule, sources, reached, side)
        tailnet = self._by_tailnet(rule, sources, reached)
        found: dict[Ways, int] = defaultdict(int)
        for needs, there in policy.items():
            for ways, mask in tailnet.items():
                if not there & mask:
                    continue
                if needs or any(ways):
                    found[tuple(needs | each for each in ways)] |= there & mask
                    continue
                alone = self._by_policy(rule, sources, there & mask, other)
                for causes, part in alone.items():
                    found[self._either(causes, sources)] |= part
        return found

    def _either(self, causes: Causes, sources: Sources) -> Ways:
        if not causes:
            return (_KEPT,)
        known = frozenset[Cause]({sources.happening} if sources.happening else ())
        return causes, known or causes

    def _by_policy(
        self, rule: Compiled, sources: Sources, reached: int, tailnet: int
    ) -> dict[Causes, int]:
        """Return what a rule needs of the change of policy, by the destinations."""
        origin, changes, side = rule.origin, self._changes, self._side
        if self._states[0, tailnet] == self._states[1, tailnet]:
            return {_KEPT: reached}
        needs = frozenset[Cause]()
        if not changes.is_kept(origin, side):
            needs = frozenset({changes.name(origin, side)})
        if origin is None:
            return {needs: reached}
        there = self._states[1 - side, tailnet]
        needs |= self._needed(origin.sources, sources.members, there)
        targets = self._targets(rule, origin)
        names = changes.redefined(targets)
        away = reached & ~self._meant(targets, there) if names else 0
        found: dict[Causes, int] = defaultdict(int)
        found[needs] = reached & ~away
        for name in names:
            part = away & self._meant([name], self._here)
            found[needs | {changes.defined(name)}] |= part
            away &= ~part
        found[needs] |= away
        return {causes: mask for causes, mask in found.items() if mask}

    def _targets(self, rule: Compiled, origin: Rule | SshRule) -> list[Selector]:
        """Return the destinations of a rule that it opens by the same services."""
        if isinstance(origin, SshRule):
            return targets_of(origin)
        mask = self._matrix.atoms.mask
        alike = [t for t in origin.targets if mask(t.services) == rule.atoms]
        return [t.selector for t in alike] or targets_of(origin)

    def _needed(
        self, selectors: Sequence[Selector], members: int, there: int
    ) -> Causes:
        """Return the groups and hosts by which alone a rule means some sources."""
        names = self._changes.redefined(selectors)
        if not names or self._meant(selectors, there) & members:
            return frozenset()
        return frozenset(
            self._changes.defined(name)
            for name in names
            if self._meant([name], self._here) & members
        )

    def _meant(self, selectors: Iterable[Selector], index: int) -> int:
        meaning = self._universe.meaning
        return merge(meaning(selector, index) for selector in selectors)

    def _by_tailnet(
        self, rule: Compiled, sources: Sources, reached: int
    ) -> dict[Ways, int]:
        """Return the ways in which a rule needs the change of nodes and users."""
        side = self._side
        index = self._states[side, 1 - side]
        if index == self._here:
            return {(_KEPT,): reached}
        number, there = self._same_rule(rule, index)
        row, users = sources.row, frozenset[Cause](self._happenings.of_users)
        source = frozenset[Cause]()
        if not self._is_selected(rule, number, sources, index):
            source = frozenset({sources.happening}) if sources.happening else users
        away = reached & ~(self._arriving(there, row, index) if there else 0)
        found: dict[Ways, int] = defaultdict(int)
        found[(source,)] |= reached & ~away
        for causes, mask in self._moved(rule, away):
            found[tuple(source | cause for cause in causes)] |= mask
            away &= ~mask
        found[(source or users,)] |= away
        return {ways: mask for ways, mask in found.items() if mask}

    def _is_selected(
        self, rule: Compiled, number: int | None, sources: Sources, index: int
    ) -> bool:
        """Tell whether a rule means some sources in another tailnet as well.

        One to their own devices does so only while their user is the same.
        """
        sides = sources.row.sides
        if rule.own and sides[index].owner != sides[self._here].owner:
            return False
        if number is not None:
            return bool(sources.row.sides[index].rules >> number & 1)
        if rule.origin is None:
            return True
        # It opens nothing there, so that it is in no row.
        return bool(self._meant(rule.origin.sources, index) & sources.members)

    def _moved(self, rule: Compiled, away: int) -> Iterator[tuple[Ways, int]]:
        """Yield destinations by the nodes that changed, or the routers before them."""
        for each in self._happenings.of_nodes:
            own = away & self._universe.both(each.numbers)
            if own:
                yield (frozenset({each}),), own
        _, cells = self._universe.split(away)
        parts: dict[Ways, int] = {(): cells}
        via = rule.origin.via if isinstance(rule.origin, Rule) else ()
        for each, behind in self._routing(tuple(via)) if cells else ():
            parts = {
                ways: mask
                for known, part in parts.items()
                for ways, mask in (
                    ((*known, frozenset({each})), part & behind),
                    (known, part & ~behind),
                )
                if mask
            }
        yield from ((ways, mask) for ways, mask in parts.items() if ways)

    def _routing(self, via: tuple[str, ...]) -> list[tuple[Happening, int]]:
        """What happened to nodes that lead to networks on the side at hand.

        With `via` only those with one of these tags lead anywhere.
        """
        if via not in self._routes:
            world = self._matrix.worlds[self._here]
            tagged = merge(world.tags.get(tag, 0) for tag in via)
            numbers = self._universe.nodes(tagged) if via else -1
            leading = self._universe.leading
            found = [
                (each, merge(leading(world, n) for n in bits(each.numbers & numbers)))
                for each in self._happenings.of_nodes
            ]
            self._routes[via] = [(each, behind) for each, behind in found if behind]
        return self._routes[via]

    def _arriving(self, rule: Compiled, row: Row, index: int) -> int:
        """Return where a rule lets the sources of a row arrive in another tailnet."""
        if rule.own:
            owner = row.sides[self._here].owner or row.sides[index].owner or ""
            return self._matrix.worlds[index].owners.get(owner, 0)
        # Who is offered an exit node is another question than what is open on it.
        choosing = merge(world.choosing for world in self._matrix.worlds)
        blocks = self._universe.all_blocks if row.members & choosing else 0
        return self._universe.arriving(rule.targets, blocks)

    def _same_rule(
        self, rule: Compiled, index: int
    ) -> tuple[int | None, Compiled | None]:
        """Return a rule as another world has it compiled, with its number there."""
        if index not in self._compiled:
            self._compiled[index] = {
                (id(each.origin), each.atoms, each.own): (number, each)
                for number, each in self._matrix.rules[index].items()
            }
        key = id(rule.origin), rule.atoms, rule.own
        return self._compiled[index].get(key, (None, None))

    # What no rule explains: what is offered, and logins that a check no longer takes.

    def _unexplained(self, row: Row, atoms: int, axes: frozenset[str]) -> Causes:
        """Return the changes of the policy that a row meets, else those of nodes."""
        login = bool(atoms & self._matrix.atoms.logins)
        found = set[Cause]()
        for side in (0, 1):
            index = self._states[side, side]
            for number in bits(row.sides[index].rules):
                origin = self._matrix.rules[index][number].origin
                fits = isinstance(origin, SshRule if login else Rule | None)
                if fits and not self._changes.is_kept(origin, side):
                    found.add(self._changes.name(origin, side))
        changes = found if axes >= _POLICY else set[Cause]()
        happened = (*self._happenings.of_nodes, *self._happenings.of_users)
        return frozenset(changes or happened or found)


def _axis(cause: Cause) -> str:
    return "tailnet" if isinstance(cause, Happening) else "policy"
