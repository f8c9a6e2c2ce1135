"""What another release makes of a policy in a tailnet: access gained and lost.

Each path has a cause: the field of the release's row without which it would not be
gained or lost. Fields are swapped one by one, and all that they make of the policy is
put into one matrix, so that a cause is found for many paths with single operations.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reconcile.policy.access.causes import Part
from reconcile.policy.access.counts import Totals, totals
from reconcile.policy.access.entries import Entry, Groups, Teller, unsure
from reconcile.policy.access.happenings import Happening, Happenings
from reconcile.policy.access.matrix import Matrix
from reconcile.policy.access.naming import Naming
from reconcile.policy.access.reach import Reach, common, minus
from reconcile.policy.access.rows import Row
from reconcile.policy.access.universe import World
from reconcile.policy.language.document import Policy
from reconcile.policy.language.release_words import differing, label, sentence, swapped
from reconcile.policy.language.releases import Release
from reconcile.policy.meaning.tailnet import Tailnet

Make = Callable[[Release], tuple[Policy, Tailnet]]
Named = Sequence[tuple[str, Reach]]


@dataclass(frozen=True, slots=True)
class ReleaseDiff:
    """What is gained and lost from one release to another; see `AccessDiff`."""

    totals: Totals
    gained: tuple[Entry, ...]
    lost: tuple[Entry, ...]
    unsure: dict[str, str]


def compare(make: Make, old: Release, new: Release) -> ReleaseDiff:
    """Compare what two releases make of the same policy and nodes.

    `make` gives policy and tailnet as the row of a release has them. What it refuses
    in a policy is left out there, so give rows that take the policy as `old` and
    `new`.
    """
    names = differing(old, new)
    if not _Worlds(make, old, new, []).differ():
        names = []
    found = _Worlds(make, old, new, names)
    gained, lost = found.groups()
    return found.told(gained, lost)


class _Worlds:
    """Two releases, and each with one field of the other, in one matrix."""

    def __init__(
        self, make: Make, old: Release, new: Release, names: Iterable[str]
    ) -> None:
        self._old, self._new = old, new
        self._names = list(names)
        without = [swapped(new, name, old) for name in self._names]
        alone = [swapped(old, name, new) for name in self._names]
        rows = (old, new, *without, *alone)
        self._matrix = Matrix([World.of(*make(row)) for row in rows])

    def differ(self) -> bool:
        """Tell whether the two releases open different things."""
        reach = self._matrix.reach
        return any(reach(row, 0) != reach(row, 1) for row in self._matrix.rows)

    def groups(self) -> tuple[Groups, Groups]:
        """Return what is gained and what is lost, by cause."""
        gained, lost = (Groups(self._matrix, gone=False) for _ in range(2))
        for row in self._matrix.rows:
            old, new = (self._matrix.reach(row, index) for index in (0, 1))
            if old is new or old == new:
                continue
            for groups, paths, have in (
                (gained, minus(new, old), False),
                (lost, minus(old, new), True),
            ):
                parts = [
                    Part(row.members, atoms, targets, causes)
                    for text, reach in self._causes(row, paths, have)
                    for causes in (frozenset({Happening(text, kind="release")}),)
                    for atoms, targets in reach
                ]
                groups.add(row, parts)
        return gained, lost

    def _causes(
        self, row: Row, paths: Reach, have: bool
    ) -> Iterable[tuple[str, Reach]]:
        """Share out what a row gains, or with `have` loses, by what makes it so.

        First the fields without which it would be as before: all of them are needed.
        Where any of several is enough, those that are enough alone are named.
        """
        for names, part in _shared(paths, self._needed(row, paths, have)):
            if names:
                yield self._said(names, " and "), part
                continue
            for others, rest in _shared(part, self._enough(row, part, have)):
                yield self._said(others, ", and besides "), rest

    def _needed(self, row: Row, paths: Reach, have: bool) -> Named:
        """Return which paths stay as they were without a field of the new row."""
        return [
            (name, self._as_before(self._matrix.reach(row, index), paths, have))
            for index, name in enumerate(self._names, 2)
        ]

    def _enough(self, row: Row, paths: Reach, have: bool) -> Named:
        """Return which of the paths a field of the new row changes by itself."""
        return [
            (name, self._as_before(self._matrix.reach(row, index), paths, not have))
            for index, name in enumerate(self._names, 2 + len(self._names))
        ]

    @staticmethod
    def _as_before(reach: Reach, paths: Reach, have: bool) -> Reach:
        return common(paths, reach) if have else minus(paths, reach)

    def _said(self, names: Sequence[str], link: str) -> str:
        if not names:
            return f"several rules of {label(self._new)} together"
        return link.join(sentence(name, self._old, self._new) for name in names)

    def told(self, gained: Groups, lost: Groups) -> ReleaseDiff:
        """Put what is gained and lost into words."""
        matrix = self._matrix
        return ReleaseDiff(
            totals(matrix, 0, 1),
            self._entries(gained, 1),
            self._entries(lost, 0),
            unsure(matrix.worlds[:2]),
        )

    def _entries(self, groups: Groups, index: int) -> tuple[Entry, ...]:
        matrix, worlds = self._matrix, self._matrix.worlds
        naming = Naming(matrix, worlds[index], worlds[1 - index])
        teller = Teller(matrix, naming, Happenings(matrix, 0, 1), index)
        entries = teller.entries(teller.ordered(groups.all()))
        return teller.by_danger(entries) if index else entries


def _shared(paths: Reach, named: Named) -> list[tuple[tuple[str, ...], Reach]]:
    """Cut paths up by which of some names they belong to."""
    found: list[tuple[tuple[str, ...], Reach]] = [((), paths)]
    for name, part in named:
        split = []
        for names, piece in found if part else ():
            both, rest = common(piece, part), minus(piece, part)
            split += [((*names, name), both)] if both else []
            split += [(names, rest)] if rest else []
        found = split or found
    return found
