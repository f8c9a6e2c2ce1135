"""What a change opens and what it closes, each with its cause."""

from collections.abc import Mapping
from dataclasses import dataclass

from reconcile.policy.access import Access
from reconcile.policy.causes import Change
from reconcile.policy.document import Policy
from reconcile.policy.entries import LIMIT, Entry, Groups, entries, total, unsure
from reconcile.policy.matrix import Matrix
from reconcile.policy.naming import Naming
from reconcile.policy.reach import common, minus
from reconcile.policy.tailnet import Tailnet
from reconcile.policy.universe import World, merge


@dataclass(frozen=True, slots=True)
class AccessDiff:
    """What becomes possible and what stops being possible, apart from each other.

    `before` and `after` count the paths of each side, both cut into the same pieces of
    service, so that before + gained - lost = after. `share_gained` and `share_lost`
    are shares of the old side: 0.25 is a quarter of what was allowed. `hidden` counts
    the entries, those of fewest paths, that a limit kept out of `gained` and `lost`;
    they are in all the counts. `watched` counts the paths gained and lost from and to
    one node. `access` is the new side, open to more questions; `ends` are the bits of
    all sources and destinations of which access changes.
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
    watched: tuple[int, int]
    access: Access
    ends: int

    def __bool__(self) -> bool:
        return bool(self.gained or self.lost)

    def touches(self, node: str) -> bool:
        """Tell whether paths from or to a node, given by its id, change."""
        place = self.access.matrix.universe.position.get(node)
        return place is not None and bool(self.ends >> place & 1)


def diff(
    before: tuple[Policy, Tailnet],
    after: tuple[Policy, Tailnet],
    limit: int | None = LIMIT,
    watched: str = "",
) -> AccessDiff:
    """Compare two policies in two tailnets; a node is the same if its id is.

    The change of nodes is looked at first and the change of policy after it, so that
    each path gained or lost has one of the two as its cause. Only `limit` entries of
    each list are given names, None for all. `watched` is the id of a node.
    """
    worlds = [World.of(*before), World.of(before[0], after[1]), World.of(*after)]
    if before[1] is after[1] or before[0] is after[0]:
        del worlds[1]  # only one of the two changed: there is no world between
    matrix = Matrix(worlds)
    naming = Naming(matrix)
    last = len(worlds) - 1
    between = 0 if before[1] is after[1] else 1
    change, bit = Change(matrix), matrix.universe.position.get(watched, -1)
    gained, lost = (Groups(1 << bit if bit >= 0 else 0) for _ in range(2))
    for row in matrix.rows:
        old, middle, new = (matrix.reach(row, index) for index in (0, between, last))
        if old is new or old == new:
            continue
        opened, closed = minus(new, old), minus(old, new)
        for groups, by_nodes, by_rules, index in (
            (gained, common(opened, middle), minus(opened, middle), last),
            (lost, minus(closed, middle), common(closed, middle), 0),
        ):
            for happening, members, reach in change.by_nodes(row.members, by_nodes):
                whole = (
                    index == 0 and happening is not None and happening.takes(members)
                )
                groups.add(row, members, reach, "nodes", happening, whole)
            for rule, reach in change.by_rules(row, index, by_rules):
                groups.add(row, row.members, reach, "policy", rule)
    allowed = total(matrix, 0)
    more, less = gained.ordered(), lost.ordered()
    return AccessDiff(
        allowed,
        total(matrix, last),
        entries(matrix, naming, more[:limit], last, change),
        entries(matrix, naming, less[:limit], 0, change),
        gained.total(),
        lost.total(),
        gained.total() / (allowed or 1),
        lost.total() / (allowed or 1),
        len(more[limit:] if limit else ()) + len(less[limit:] if limit else ()),
        unsure(matrix.worlds),
        (gained.touching, lost.touching),
        Access.of(matrix, last),
        merge(group.members | group.targets for group in (*more, *less)),
    )
