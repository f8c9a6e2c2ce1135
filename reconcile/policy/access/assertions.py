"""Whether claims about access hold in a tailnet, and what speaks against each.

What cannot be known speaks against a claim: `no` counts paths that may be there, and
`allow` does not count them.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property

from reconcile.model import EXIT_ROUTES
from reconcile.policy.access.access import SILENT, Access, rests_on
from reconcile.policy.access.claims import Claim, Paths, Port, Routers
from reconcile.policy.access.entries import Entry
from reconcile.policy.language.document import Origin
from reconcile.policy.language.sets import IntervalSet, prefix, prefixes
from reconcile.policy.language.words import NODE, counted

_SHOWN = 5  # paths that are named, the most important first


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that speaks against a claim, and the rules that it is about."""

    text: str
    rules: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A claim holds when no reason speaks against it; `notes` are said all the same."""

    reasons: tuple[Reason, ...] = ()
    notes: tuple[str, ...] = ()


class Assertions:
    """Holds claims against the access of one policy in one tailnet.

    `logged_out` are the ids of nodes whose key has expired: they route nothing today.
    """

    def __init__(
        self,
        access: Access,
        claims: Iterable[Claim] = (),
        logged_out: AbstractSet[str] = frozenset(),
    ) -> None:
        self._logged_out = logged_out
        named = [c for c in claims if isinstance(c, Paths)]
        # One access for all claims, instead of one for each that cuts networks.
        self._access = access.asking([n for c in named for n in (c.source, c.target)])

    def answer(self, claim: Claim) -> Answer:
        """Tell whether a claim holds.

        A name that nothing declares is a reason against every claim; one that means
        nothing today is a reason against `allow`, and a note for `no`.
        """
        if isinstance(claim, Routers):
            return Answer(tuple(self._routers(claim)))
        cut = self._access.asking((claim.source, claim.target))
        if cut is not self._access:
            return Assertions(cut, (), self._logged_out).answer(claim)
        try:
            sources = self._access.find(claim.source)
            targets = self._access.find(claim.target)
        except LookupError as error:
            return Answer((Reason(str(error.args[0])),))
        sides = ((claim.source, sources), (claim.target, targets))
        empty = tuple(f"{name} selects nothing today" for name, b in sides if not b)
        if not claim.allow:
            return Answer(tuple(self._paths(claim, sources, targets)), empty)
        if empty:
            return Answer(tuple(map(Reason, empty)))
        if not self._access.sends(sources):
            return Answer((Reason(f"{claim.source}: {SILENT}"),))
        return Answer(tuple(self._gaps(claim, sources, targets)))

    # What is not known.

    @cached_property
    def _doubtful(self) -> int:
        """The rules that hold something that cannot be known, as a set."""
        return self._access.resting_on(self._access.unsure.keys())

    def _is_sure(self, entry: Entry) -> bool:
        unknown = self._access.unsure.keys()
        return any(not rests_on(rule, unknown) for rule in entry.rules)

    def _doubts(self, names: Iterable[str]) -> str:
        unsure = self._access.unsure
        told = [f"{name} ({unsure[name]})" for name in sorted(names) if name in unsure]
        return ", ".join(told)

    # No path.

    def _paths(self, claim: Paths, sources: int, targets: int) -> Iterator[Reason]:
        names = claim.source, claim.target
        port = claim.port or Port(None)
        entries = self._access.entries(sources, targets, *port, names)
        for entry in entries[:_SHOWN]:
            sides = f"{counted(entry.sources)} -> {counted(entry.targets)}"
            services = counted(entry.services)
            services += f" ({entry.family} only)" if entry.family else ""
            yield Reason(f"{sides}: {services}", entry.rules)
        if len(entries) > _SHOWN:
            yield Reason(f"and {len(entries) - _SHOWN} more of the kind")
        if not entries:
            return
        named = self._doubts({claim.source, claim.target})
        if named or not any(map(self._is_sure, entries)):
            unknown = named or self._doubts(self._access.unsure)
            yield Reason(f"it may be less: not known, and taken as large: {unknown}")

    # Every path.

    def _gaps(self, claim: Paths, sources: int, targets: int) -> Iterator[Reason]:
        atoms = -1
        if claim.port:
            atoms = self._access.services(*claim.port)
        found = self._missing(sources, targets, atoms)
        for lack, who in found[:_SHOWN]:
            sides = f"{self._named(who)} -> {self._named(lack)}"
            yield Reason(f"{sides}: no {claim.port}")
        unserved = self._access.unserved(claim.target)
        if unserved and not found:
            yield Reason(f"{counted(prefixes(unserved))} of it: nothing leads there")
        if len(found) > _SHOWN:
            yield Reason(f"and {len(found) - _SHOWN} more of the kind")
        if not found and self._missing(sources, targets, atoms, self._doubtful):
            unknown = self._doubts(self._access.unsure)
            yield Reason(f"it rests on what is not known: {unknown}")

    def _missing(
        self, sources: int, targets: int, atoms: int, without: int = 0
    ) -> list[tuple[int, int]]:
        """Return targets with the sources that lack them, those of most paths first."""
        missing = self._access.missing(sources, targets, atoms, without)
        pairs = self._access.pairs
        return sorted(
            missing.items(), key=lambda each: (-pairs(each[1], each[0]), each)
        )

    def _named(self, places: int) -> str:
        return counted(self._access.naming.names(places))

    # Routers.

    def _routers(self, claim: Routers) -> Iterator[Reason]:
        routing: list[str] = []
        idle: list[str] = []
        out: list[str] = []
        for machine in self._access.world.machines.values():
            node = machine.node
            if _covers(node.approved & node.available, claim.network):
                gone = node.id in self._logged_out
                (out if gone else routing).append(f"{NODE}{node.name}")
            elif _covers(node.available, claim.network):
                idle.append(f"{NODE}{node.name}")
        if len(routing) >= claim.count:
            return
        yield Reason(f"{len(routing)} of {claim.count}: {counted(routing) or 'none'}")
        if idle:
            yield Reason(f"advertised, but not approved: {counted(idle)}")
        if out:
            yield Reason(f"logged out, its key has expired: {counted(out)}")


def _covers(routes: frozenset[str], network: str) -> bool:
    """Tell whether routes cover a network; exit routes lead to the internet only."""
    if network in EXIT_ROUTES or not routes:
        return network in routes
    subnets = IntervalSet.union(prefix(route) for route in routes - EXIT_ROUTES)
    return prefix(network) <= subnets
