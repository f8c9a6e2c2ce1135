"""Paths between the same ends over IPv4 and over IPv6, put together.

Rules may tell the two addresses of a node apart: a host that is one IPv4 address opens
nothing over IPv6. Most of what such rules leave open is open over both. People want to
read that once, and beside it what is open over one address family alone.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconcile.policy.access.universe import Universe, World, merge


@dataclass(slots=True)
class Ends:
    """Sources that reach the same destinations; `parts` are what they were made of."""

    members: int
    targets: int
    parts: frozenset[int]


class Families:
    """Puts ends together that differ by their address family alone."""

    def __init__(self, universe: Universe, worlds: Sequence[World]) -> None:
        self._universe = universe
        present = merge(world.present for world in worlds)
        fourth, sixth = (self._nodes(present & family) for family in universe.families)
        self._dual = fourth & sixth

    def together(self, parts: Sequence[tuple[int, int]]) -> list[Ends]:
        """Return the paths of all parts, in as few pieces as are easy to read.

        A part is a set of sources and a set of destinations. Nodes of one address
        family alone, and networks, go with those that reach the same over it.
        """
        families = self._universe.families
        fourth, sixth = (_alike(parts, family) for family in families)
        lines = _Lines()
        for one, other in self._meeting(fourth, sixth):
            self._meet(one, other, lines)
        for family, rest in zip(families, (fourth, sixth), strict=True):
            known = {each & family: each for each in sorted(lines.by_targets)}
            for each in rest:
                self._add_rest(each, known, lines)
        return list(lines.by_targets.values())

    def _meeting(
        self, fourth: Sequence[Ends], sixth: Sequence[Ends]
    ) -> Iterator[tuple[Ends, Ends]]:
        """Yield what the same nodes reach over IPv4, and over IPv6."""
        by_nodes = {self._nodes(each.members): each for each in sixth}
        for one in fourth:
            numbers = self._nodes(one.members)
            same = by_nodes.get(numbers)
            for other in [same] if same else sixth:
                if numbers & self._nodes(other.members):
                    yield one, other

    def _meet(self, fourth: Ends, sixth: Ends, lines: "_Lines") -> None:
        """Add what sources reach over both families, then what over one alone."""
        numbers = self._nodes(fourth.members) & self._nodes(sixth.members)
        members = self._universe.both(numbers) & (fourth.members | sixth.members)
        alone = self._alone(fourth, sixth), self._alone(sixth, fourth)
        parts = fourth.parts | sixth.parts
        common = (fourth.targets | sixth.targets) & ~merge(alone)
        lines.add(Ends(members, common, parts))
        for family, targets in zip(self._universe.families, alone, strict=True):
            lines.add(Ends(members & family, targets, parts))
        for told in (fourth, sixth):
            told.members &= ~members

    def _alone(self, reached: Ends, otherwise: Ends) -> int:
        """Return nodes with both families that are reached over one of them alone."""
        missing = self._nodes(reached.targets) & ~self._nodes(otherwise.targets)
        return reached.targets & self._universe.both(missing & self._dual)

    def _add_rest(self, rest: Ends, known: Mapping[int, int], lines: "_Lines") -> None:
        """Add sources that reach nothing over the other family.

        `known` has destinations over both families by those of the one.
        """
        dual = self._universe.both(self._dual)
        alike = known.get(rest.targets, rest.targets)
        lines.add(Ends(rest.members & ~dual, alike, rest.parts))
        lines.add(Ends(rest.members & dual, rest.targets, rest.parts))

    def _nodes(self, places: int) -> int:
        return self._universe.nodes(self._universe.split(places)[0])


class _Lines:
    """Collects ends, those of the same destinations in one."""

    def __init__(self) -> None:
        self.by_targets: dict[int, Ends] = {}

    def add(self, ends: Ends) -> None:
        if ends.members and ends.targets:
            known = self.by_targets.setdefault(ends.targets, ends)
            known.members |= ends.members
            known.parts |= ends.parts


def _alike(parts: Sequence[tuple[int, int]], family: int) -> list[Ends]:
    """Return the paths over one address family; sources that reach the same share."""
    members: dict[int, int] = defaultdict(int)
    numbers: dict[int, list[int]] = defaultdict(list)
    for number, (sources, targets) in enumerate(parts):
        if sources & family and targets & family:
            members[targets & family] |= sources & family
            numbers[targets & family].append(number)
    return [Ends(members[t], t, frozenset(numbers[t])) for t in members]
