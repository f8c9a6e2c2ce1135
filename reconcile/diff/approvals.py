"""Routes that the files do not want, and that `autoApprovers` approve anyway."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconcile.desired.scalars import Value, flow
from reconcile.desired.settings import Places
from reconcile.diff.binding import Bound
from reconcile.diff.found import Found
from reconcile.diff.policies import PolicyFacts
from reconcile.model import EXIT_ROUTES, covers, route_order
from reconcile.policy.fields import Path
from reconcile.remedies import Help, Put

_WHY = "the server approves it at each write of the policy, and when the node joins"


@dataclass(frozen=True, slots=True)
class Unwanted:
    """What becomes of routes of one node that are approved whatever the files say.

    Where the node's own entry does not want them, the files contradict themselves: that
    is an error. Where only `defaults` or a rule do not, the approvers of the policy are
    as good as another line of the files. `anyway` has the routes, each with the path of
    what approves it.
    """

    bound: Bound
    anyway: Mapping[str, Path]
    facts: PolicyFacts
    found: Found

    @property
    def routes(self) -> frozenset[str]:
        """The subnet routes among them."""
        return frozenset(self.anyway) - EXIT_ROUTES

    def subnets(self, address: str, approve: frozenset[str]) -> frozenset[str]:
        """Report the subnet routes that are not wanted, and return the others.

        A part of a network that the entry approves is no news.
        """
        extra = self.routes - approve
        if self.says("routes"):
            wrong = {r for r in extra if not any(covers(n, r) for n in approve)}
            if wrong:
                self._report(address, "routes", wrong, self._listing(approve | wrong))
            extra -= wrong
        self._note(address, extra)
        return extra

    def exit_node(self, address: str) -> bool:
        """Tell whether the node is an exit node anyway; report it where unwanted."""
        routes = self.anyway.keys() & EXIT_ROUTES
        if not routes:
            return False
        if self.says("exit_node"):
            self._report(
                address, "exit_node", routes, Put(self._path("exit_node"), "true")
            )
        else:
            self._note(address, routes)
        return True

    def says(self, name: str) -> bool:
        """Tell whether the node's own entry speaks of a field."""
        entry = self.bound.entry
        return entry is not None and getattr(entry.settings, name) is not None

    def _path(self, name: str) -> Path:
        """Return where the entry says a field, which may be under `overlays`."""
        entry = self.bound.entry
        places = entry.settings.positions if entry else {}
        if isinstance(places, Places):
            return places.inside(name)
        return "nodes", entry.name if entry else self.bound.node.name, name

    def _listing(self, routes: Iterable[str]) -> Put:
        listed: list[Value] = [*sorted(routes, key=route_order)]
        return Put(self._path("routes"), flow({"approve": listed}))

    def _note(self, address: str, routes: Iterable[str]) -> None:
        if there := self.bound.node.approved.intersection(routes):
            told = f"{_named(there)} approved by autoApprovers (not drift)"
            self.found.notes.append(f"{address}: {told}")

    def _report(self, address: str, name: str, routes: Iterable[str], put: Put) -> None:
        there = self.bound.node.approved.intersection(routes)
        what = "cannot be un-approved" if there else "cannot be left unapproved"
        by = dict.fromkeys(self.facts.told(self.anyway[r]) for r in sorted(routes))
        remedy: Help = {
            "help": f"write {put} into the entry, or take the node out there",
            "ways": ((put,),),
        }
        self.found.unsupported(
            "RC0309",
            f"{address}: {_named(routes)} {what}: {'; '.join(by)}",
            self.bound.settings.positions.get(name),
            why=_WHY,
            remedy=remedy,
            address=address,
        )


def _named(routes: Iterable[str]) -> str:
    """Return subnet routes by number; the two exit routes are one thing."""
    listed = sorted(set(routes) - EXIT_ROUTES, key=route_order)
    exits = ["exit node"] * (not EXIT_ROUTES.isdisjoint(routes))
    return ", ".join([*listed, *exits])
