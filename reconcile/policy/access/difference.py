"""What a change opens and what it closes, each with its causes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconcile.policy.access.access import Access
from reconcile.policy.access.causes import Blame
from reconcile.policy.access.counts import Things, Totals, totals
from reconcile.policy.access.entries import (
    LIMIT,
    Entry,
    Group,
    Groups,
    Teller,
    unsure,
)
from reconcile.policy.access.happenings import Happenings
from reconcile.policy.access.matrix import Matrix
from reconcile.policy.access.naming import Naming
from reconcile.policy.access.reach import minus
from reconcile.policy.access.universe import World, merge
from reconcile.policy.edits.rulechanges import RuleChanges
from reconcile.policy.language.document import Policy
from reconcile.policy.meaning.tailnet import Tailnet

_SIDES = (0, 1)  # before and after


@dataclass(frozen=True, slots=True)
class AccessDiff:
    """What becomes possible and what stops being possible, apart from each other.

    `totals` count the paths of both sides and those that change. `hidden` counts the
    entries, those of fewest paths, that a limit kept out of `gained` and `lost`; they
    are in the totals. `watched` counts the paths gained and lost from and to one node.
    `access` is the new side, open to more questions; `ends` are the bits of all sources
    and destinations of which access changes.
    """

    totals: Totals
    gained: tuple[Entry, ...]
    lost: tuple[Entry, ...]
    hidden: int
    unsure: Mapping[str, str]
    watched: tuple[int, int]
    access: Access
    ends: int

    def __bool__(self) -> bool:
        return bool(self.gained or self.lost)

    def touches(self, node: str) -> bool:
        """Tell whether paths from or to a node, given by its id, change."""
        universe = self.access.matrix.universe
        number = universe.position.get(node)
        return number is not None and bool(self.ends & universe.node(number))


def diff(
    before: tuple[Policy, Tailnet],
    after: tuple[Policy, Tailnet],
    limit: int | None = LIMIT,
    watched: str = "",
) -> AccessDiff:
    """Compare two policies in two tailnets; a node is the same if its id is.

    Only `limit` entries of each list are given names, None for all. `watched` is the
    id of a node.
    """
    return _Comparison(before, after).run(limit, watched)


class _Comparison:
    def __init__(
        self, before: tuple[Policy, Tailnet], after: tuple[Policy, Tailnet]
    ) -> None:
        states, worlds = _states(before, after)
        self._matrix = matrix = Matrix(worlds)
        self._indexes = [states[side, side] for side in _SIDES]
        self._happenings = Happenings(matrix, *self._indexes)
        changes = RuleChanges(before[0], after[0])
        self._groups = [Groups(matrix, gone=side == 0) for side in _SIDES]
        self._blame = [
            Blame(matrix, states, changes, self._happenings, side) for side in _SIDES
        ]

    def run(self, limit: int | None, watched: str) -> AccessDiff:
        matrix, (first, last) = self._matrix, self._indexes
        for row in matrix.rows:
            old, new = matrix.reach(row, first), matrix.reach(row, last)
            if old is new or old == new:
                continue
            for side, moved in enumerate((minus(old, new), minus(new, old))):
                self._groups[side].add(row, self._blame[side].parts(row, moved))
        tellers = [self._teller(side) for side in _SIDES]
        lost, gained = (
            tellers[side].ordered(self._groups[side].all()) for side in _SIDES
        )
        return AccessDiff(
            totals(matrix, first, last),
            tellers[1].by_danger(tellers[1].entries(gained[:limit])),
            tellers[0].entries(lost[:limit]),
            sum(len(found[limit:]) for found in (gained, lost)) if limit else 0,
            unsure([matrix.worlds[index] for index in self._indexes]),
            (self._watched(gained, watched), self._watched(lost, watched)),
            Access.of(matrix, last),
            merge(group.members | group.targets for group in (*gained, *lost)),
        )

    def _teller(self, side: int) -> Teller:
        """Return who tells what is lost (0) or gained (1), in words of that side."""
        index, other = self._indexes[side], self._indexes[1 - side]
        worlds = self._matrix.worlds
        naming = Naming(self._matrix, worlds[index], worlds[other])
        return Teller(self._matrix, naming, self._happenings, index)

    def _watched(self, groups: Iterable[Group], node: str) -> int:
        """Count the paths from and to a node, given by its id."""
        universe = self._matrix.universe
        number = universe.position.get(node)
        if number is None:
            return 0
        own, found = universe.node(number), 0
        things = Things(universe, self._matrix.worlds[self._indexes[1]])
        for group in groups:
            found += things.pairs(group.members & own, group.targets)
            found += things.pairs(group.members, group.targets & own)
        return found


def _states(
    before: tuple[Policy, Tailnet], after: tuple[Policy, Tailnet]
) -> tuple[dict[tuple[int, int], int], list[World]]:
    """Return a world for each policy in each tailnet, those that are one only once."""
    policies, tailnets = (before[0], after[0]), (before[1], after[1])
    states: dict[tuple[int, int], int] = {}
    worlds: list[World] = []
    known: dict[tuple[int, int], int] = {}
    for policy, tailnet in ((0, 0), (1, 1), (0, 1), (1, 0)):
        pair = policies[policy], tailnets[tailnet]
        key = id(pair[0]), id(pair[1])
        if key not in known:
            known[key] = len(worlds)
            worlds.append(World.of(*pair))
        states[policy, tailnet] = known[key]
    return states, worlds
