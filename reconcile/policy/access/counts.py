"""Counting paths: pairs of a source and a destination with any service between them.

A source or destination is a node, a network (a route that lies in no other one) or the
internet, however finely rules cut them up. So a state has the same number of paths in
every plan.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconcile.policy.access.matrix import Matrix
from reconcile.policy.access.reach import minus
from reconcile.policy.access.rows import Row
from reconcile.policy.access.universe import Universe, World, bits, merge
from reconcile.policy.language.words import Size


class Things:
    """The nodes, networks and the internet of one world, each as one bit."""

    def __init__(self, universe: Universe, world: World) -> None:
        self._universe = universe
        self._networks = universe.networks(world)
        rest = universe.public(world) & ~world.routed
        if rest:
            self._networks.append(rest)
        self._known: dict[int, int] = {0: 0}

    def of(self, places: int) -> int:
        """Return what a set of addresses and cells is of."""
        universe = self._universe
        nodes, cells = universe.split(places)
        if cells not in self._known:
            found = [i for i, each in enumerate(self._networks) if each & cells]
            self._known[cells] = merge(1 << i for i in found) << universe.size
        return universe.nodes(nodes) | self._known[cells]

    def size(self, places: int) -> Size:
        """Count the nodes and the networks in a set, however rules cut it up."""
        found = self.of(places)
        nodes = (found & self._universe.low).bit_count()
        return Size(nodes, found.bit_count() - nodes)

    def pairs(self, members: int, targets: int) -> int:
        """Count the pairs of a source and another destination.

        Both ends of a pair have an address of one family.
        """
        fourth, sixth = (
            (self.of(members & family), self.of(targets & family))
            for family in self._universe.families
        )
        twice = fourth[0] & sixth[0], fourth[1] & sixth[1]
        return _pairs(*fourth) + _pairs(*sixth) - _pairs(*twice)


@dataclass(slots=True)
class Totals:
    """The paths of two states, and how many are opened, closed, wider, narrower.

    A path is wider that has a new service, and narrower that lost one; one that is
    opened or closed had none before, or has none any more.
    """

    before: int = 0
    after: int = 0
    opened: int = 0
    closed: int = 0
    wider: int = 0
    narrower: int = 0


def totals(matrix: Matrix, before: int = 0, after: int = 0) -> Totals:
    """Count the paths of two worlds of a matrix, and what changes between them."""
    return _Counter(matrix, before, after).run()


class _Counter:
    def __init__(self, matrix: Matrix, before: int, after: int) -> None:
        self._matrix = matrix
        self._ends = before, after
        worlds = [matrix.worlds[index] for index in self._ends]
        self._things = [Things(matrix.universe, world) for world in worlds]
        self._found = Totals()

    def run(self) -> Totals:
        for sources, rows in self._sources():
            reached = [self._all(rows, index) for index in self._ends]
            moved = [self._moved(rows, way) for way in (0, 1)]
            self._count(sources, reached, moved)
        return self._found

    def _count(
        self, sources: tuple[int, int], reached: Sequence[int], moved: Sequence[int]
    ) -> None:
        """Add the paths of sources, before and after, that reach the same places."""
        old, new = self._things
        then, now = sources
        total = self._found
        total.before += _pairs(then, old.of(reached[0]))
        total.after += _pairs(now, new.of(reached[1]))
        if not any(moved):
            return
        had, has = new.of(reached[0]), old.of(reached[1])
        total.opened += _pairs(now, new.of(reached[1]) & ~had)
        total.closed += _pairs(then, old.of(reached[0]) & ~has)
        total.wider += _pairs(now, new.of(moved[0]) & had)
        total.narrower += _pairs(then, old.of(moved[1]) & has)

    def _sources(
        self,
    ) -> Iterator[tuple[tuple[int, int], Sequence[tuple[Row, int]]]]:
        """Yield sources of before and after, with their rows.

        A network has the rows of all its cells, and may be there on one side only.
        """
        networks: dict[tuple[int, int], list[tuple[Row, int]]] = defaultdict(list)
        for members, rows in self._matrix.sources():
            nodes, cells = self._matrix.universe.split(members)
            if nodes:
                numbers = self._matrix.universe.nodes(nodes)
                yield (numbers, numbers), rows
            for side, things in enumerate(self._things):
                for bit in bits(things.of(cells)):
                    networks[(0, 1 << bit) if side else (1 << bit, 0)] += rows
        yield from networks.items()

    def _all(self, rows: Sequence[tuple[Row, int]], index: int) -> int:
        return merge(
            targets & family
            for row, family in rows
            for _, targets in self._matrix.reach(row, index)
        )

    def _moved(self, rows: Sequence[tuple[Row, int]], way: int) -> int:
        """Return the targets on which something is gained (0) or lost (1)."""
        found = 0
        for row, family in rows:
            ends = [self._matrix.reach(row, index) for index in self._ends]
            if ends[0] is not ends[1]:
                more = minus(ends[1 - way], ends[way])
                found |= merge(targets for _, targets in more) & family
        return found


def _pairs(sources: int, targets: int) -> int:
    """Count pairs; what reaches itself is no path."""
    both = (sources & targets).bit_count()
    return sources.bit_count() * targets.bit_count() - both
