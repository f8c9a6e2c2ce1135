"""Which nodes see each other as peers on the hosted service, and which routes.

What Headscale shows is in `offers`. Seeing a peer is not access: a rule in one
direction makes both visible.
"""

from collections.abc import Iterable, Iterator

from reconcile.policy.language.sets import EVERYTHING, IntervalSet
from reconcile.policy.meaning.filters import Filters, PortRule
from reconcile.policy.meaning.resolve import INTERNET
from reconcile.policy.meaning.tailnet import Machine, seniority


class Visibility:
    """Peers and routes as the nodes of one tailnet are told under one policy."""

    def __init__(self, filters: Filters) -> None:
        self._filters = filters
        self._resolver = filters.resolver
        self._machines = filters.tailnet.machines
        self._sources: dict[int, IntervalSet] = {}
        self._steering = [
            rule for rule in filters.policy.rules or () if rule.via and rule.sources
        ]

    def peers(self, machine: Machine) -> list[Machine]:
        """Return the nodes that a node sees."""
        return [
            other
            for other in self._machines
            if other is not machine
            and (self._admits(machine, other) or self._admits(other, machine))
        ]

    def routes(self, viewer: Machine, router: Machine) -> list[str]:
        """Return the routes, exit routes included, that a peer shows to a node."""
        shown = [
            text
            for text, route in router.subnets
            if self._shows(viewer, router, text, route)
        ]
        if router.exits and self._may_exit(viewer, router):
            shown += router.exits
        return shown

    def _admits(self, source: Machine, target: Machine) -> bool:
        """Tell whether a rule on one node has the other among its sources.

        A `via` grant of capabilities is no rule anywhere, and shows its routers all
        the same.
        """
        if source.matches(self._admitted(target)):
            return True
        return any(
            rule.capabilities
            and source.matches(self._resolver.all_sources(rule.sources))
            and any(
                self._filters.entries(rule, t.selector, target) for t in rule.targets
            )
            for rule in self._steering
        )

    def _admitted(self, target: Machine) -> IntervalSet:
        """Return the sources of all rules on a node, capability rules included."""
        if target.index not in self._sources:
            found = [
                rule.sources
                for rule in self._filters.ports(target)
                if any(_leads_to(o.addresses, target) for o in rule.openings)
            ]
            found += [rule.sources for rule in self._filters.capabilities(target)]
            self._sources[target.index] = IntervalSet.union(found)
        return self._sources[target.index]

    def _shows(
        self, viewer: Machine, router: Machine, text: str, route: IntervalSet
    ) -> bool:
        """Tell whether a router is the one that shows a prefix to a viewer.

        It is the primary, for the other routers of the prefix and for whom a rule
        without `via` lets in. Grants with `via` steer all others: to the first router
        with their tag, to none where they disagree or nobody has it.
        """
        routers = [m for m in self._machines if any(r == text for r, _ in m.subnets)]
        is_primary = router is min(routers, key=seniority)
        if is_primary and viewer in routers:
            return True
        if self._is_let_in(viewer, router, route):
            return is_primary
        steering = self._steered_by(viewer, route)
        if steering:
            return {_first(routers, tags) for tags in steering} - {None} == {router}
        return is_primary and self._leads_back(viewer, route)

    def _leads_back(self, viewer: Machine, route: IntervalSet) -> bool:
        """Tell whether a rule on the viewer lets a network in, which needs answers."""
        sources = [
            rule.sources
            for rule in self._filters.ports(viewer)
            if any(viewer.matches(opening.addresses) for opening in rule.openings)
        ]
        sources += [rule.sources for rule in self._filters.capabilities(viewer)]
        return any(map(route.overlaps, sources))

    def _is_let_in(self, viewer: Machine, router: Machine, route: IntervalSet) -> bool:
        """A way there by a rule without `via`."""
        return any(
            viewer.matches(sources) and any(map(route.overlaps, targets))
            for sources, targets in self._without_via(router)
        )

    def _without_via(
        self, router: Machine
    ) -> Iterator[tuple[IntervalSet, Iterable[IntervalSet]]]:
        """Yield sources and destinations of the rules without `via` on a router."""
        for rule in self._filters.ports(router):
            if not (rule.origin and rule.origin.via):
                yield rule.sources, [opening.addresses for opening in rule.openings]
        for granted in self._filters.capabilities(router):
            yield granted.sources, granted.targets

    def _steered_by(self, viewer: Machine, route: IntervalSet) -> list[frozenset[str]]:
        """Return the tags of each grant with `via` from a viewer to a prefix."""
        return [
            frozenset(rule.via)
            for rule in self._steering
            if viewer.addresses.overlaps(self._resolver.all_sources(rule.sources))
            and any(
                entry.overlaps(route)
                for target in rule.targets
                if target.selector.kind in ("address", "host")
                for entry in self._resolver.targets(target.selector)
            )
        ]

    def _may_exit(self, viewer: Machine, router: Machine) -> bool:
        return any(
            self._is_source(viewer, rule)
            and any(
                opening.addresses in (EVERYTHING, INTERNET) for opening in rule.openings
            )
            for rule in self._filters.ports(router)
        )

    def _is_source(self, viewer: Machine, rule: PortRule) -> bool:
        """A router stands for its networks as well, but no grant steers those."""
        steers = bool(rule.origin and rule.origin.via)
        return (viewer.addresses.overlaps if steers else viewer.matches)(rule.sources)


def _first(routers: Iterable[Machine], tags: frozenset[str]) -> Machine | None:
    """Return the router with one of some tags that is before the others."""
    worn = [machine for machine in routers if machine.tags & tags]
    return min(worn, key=seniority, default=None)


def _leads_to(addresses: IntervalSet, target: Machine) -> bool:
    """Tell whether a destination makes a node seen: a part of the internet does not."""
    return addresses == INTERNET or target.matches(addresses)
