"""Routes that the files do not want, and that `autoApprovers` approve anyway."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconcile.desired.scalars import Value, flow
from reconcile.desired.settings import Places
from reconcile.model import EXIT_ROUTES, covers, route_order
from reconcile.plan.binding import Bound
from reconcile.plan.found import Found
from reconcile.plan.policies import PolicyFacts
from reconcile.policy.language.fields import Path
from reconcile.remedies import Help, Put

_WHY = "the server approves it at each write of the policy, and when the node joins"


@dataclass(frozen=True, slots=True)
class Unwanted:
    """What becomes of routes of one node that are approved whatever the files say.

    Where the node's own entry says that it does not want them, the files contradict
    themselves: that is an error. A list that just does not name them, `defaults` and
    rules leave room for the approvers of the policy, which the files have as well.
    `anyway` has the routes, each with the path of what approves it.
    """

    bound: Bound
    anyway: Mapping[str, Path]
    facts: PolicyFacts
    found: Found

    @property
    def routes(self) -> frozenset[str]:
        """The subnet routes among them."""
        return frozenset(self.anyway) - EXIT_ROUTES

    @property
    def set_off(self) -> frozenset[str]:
        """What a policy write of the plan approves, but for what is an error anyway."""
        new = self.facts.set_off(self.bound.node)
        new -= EXIT_ROUTES if self.says_no_exit else frozenset()
        listed = self.bound.settings.routes
        if listed is None or listed.mode != "exact":
            return new
        return new - self._unwanted(new - listed.approve)

    def subnets(self, address: str, approve: frozenset[str]) -> frozenset[str]:
        """Report the subnet routes that are not wanted, and return the others.

        A part of a network that the entry approves is no news.
        """
        extra = self.routes - approve
        wrong = self._unwanted(extra)
        wrong -= {r for r in wrong if any(covers(n, r) for n in approve)}
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
        if self.says_no_exit:
            self._report(
                address, "exit_node", routes, Put(self._path("exit_node"), "true")
            )
        else:
            self._note(address, routes)
        return True

    @property
    def says_no_exit(self) -> bool:
        """Whether the node's own entry says that it shall be no exit node."""
        entry = self.bound.entry
        return entry is not None and entry.settings.exit_node is False

    def _unwanted(self, extra: frozenset[str]) -> frozenset[str]:
        """Return the routes that the node's own entry says not to want.

        It does by an empty list, by `mode: exact`, and by a list that named them when
        the files were applied last.
        """
        entry = self.bound.entry
        if entry is None or entry.settings.routes is None:
            return frozenset()
        places = entry.settings.positions
        written = places.value("routes") if isinstance(places, Places) else {}
        if not written.get("approve") or "mode" in written:
            return extra
        former = self.found.formerly.get(entry.name)
        listed = former.settings.routes if former else None
        return extra & listed.approve if listed else frozenset()

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
