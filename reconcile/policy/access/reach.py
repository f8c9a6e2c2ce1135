"""What sources reach: destinations by the atoms of service that are open on them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise

# Sets of atoms, each with the set of destinations; the atoms are disjoint.
Reach = list[tuple[int, int]]


def disjoint(opened: Iterable[tuple[int, int]]) -> Reach:
    """Cut overlapping sets of atoms so that each atom stands in one entry only."""
    found = sorted((atoms, reached) for atoms, reached in opened if reached)
    merged: dict[int, int] = defaultdict(int)
    for piece, which in pieces(tuple(atoms for atoms, _ in found)):
        targets = 0
        for number in which:
            targets |= found[number][1]
        merged[targets] |= piece
    return [(atoms, targets) for targets, atoms in merged.items()]


def reached_by(reach: Reach, atoms: int, whole: bool) -> int:
    """Return the destinations on which any of the atoms is open, or all of them."""
    met = [(opened & atoms, targets) for opened, targets in reach if opened & atoms]
    found = 0 if not whole else -1
    for _, targets in met:
        found = found & targets if whole else found | targets
    opened = sum(each for each, _ in met)
    return 0 if whole and opened != atoms else found


@lru_cache(maxsize=4096)
def pieces(sets: tuple[int, ...]) -> list[tuple[int, tuple[int, ...]]]:
    """Return the pieces that sets of atoms cut each other into, and whose each is.

    Rows of many sources have the same few services, so that few combinations occur.
    """
    starts: dict[int, list[int]] = defaultdict(list)
    stops: dict[int, list[int]] = defaultdict(list)
    for number, atoms in enumerate(sets):
        for low, high in _runs(atoms):
            starts[low].append(number)
            stops[high].append(number)
    found: dict[tuple[int, ...], int] = defaultdict(int)
    active = set[int]()
    for low, high in pairwise(sorted({*starts, *stops})):
        active.difference_update(stops.get(low, ()))
        active.update(starts.get(low, ()))
        if active:
            found[tuple(sorted(active))] |= (1 << high) - (1 << low)
    return [(piece, which) for which, piece in found.items()]


@lru_cache(maxsize=4096)
def _runs(atoms: int) -> tuple[tuple[int, int], ...]:
    """Return the runs of set bits, each as its first and the first after it."""
    found = []
    low = 0
    while rest := atoms >> low:
        low += (rest & -rest).bit_length() - 1
        rest = ~(atoms >> low)
        high = low + (rest & -rest).bit_length() - 1
        found.append((low, high))
        low = high
    return tuple(found)


def joined(found: Iterable[tuple[int, int]]) -> Reach:
    """Put the atoms of equal destinations together."""
    merged: dict[int, int] = defaultdict(int)
    for atoms, targets in found:
        merged[targets] |= atoms
    return [(atoms, targets) for targets, atoms in merged.items()]


def minus(one: Reach, other: Reach) -> Reach:
    """Return what the first reaches and the second does not."""
    alike = dict(other)
    found = []
    for atoms, targets in one:
        for taken, reached in _sharing(atoms, alike, other):
            both = atoms & taken
            if both:
                atoms &= ~both
                if targets & ~reached:
                    found.append((both, targets & ~reached))
                if not atoms:
                    break
        if atoms:
            found.append((atoms, targets))
    return joined(found)


def common(one: Reach, other: Reach) -> Reach:
    """Return what both reach."""
    alike = dict(other)
    return joined(
        (atoms & taken, targets & reached)
        for atoms, targets in one
        for taken, reached in _sharing(atoms, alike, other)
        if atoms & taken and targets & reached
    )


def _sharing(atoms: int, alike: Mapping[int, int], reach: Reach) -> Reach:
    """Return the entries that may share atoms: one where it has just the same."""
    targets = alike.get(atoms)
    return reach if targets is None else [(atoms, targets)]
