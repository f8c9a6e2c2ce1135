"""Packet filters: the rules that each node gets, and the capabilities on it.

Rules only allow, and they add up. A filter is enforced where the traffic arrives: at
the destination node, or at the subnet router or exit node that forwards it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconcile.policy.language.document import Policy, Rule, Service, targets_of
from reconcile.policy.language.releases import PINGABLE
from reconcile.policy.language.selectors import Selector
from reconcile.policy.language.sets import ALL_PORTS, EVERYTHING, IntervalSet
from reconcile.policy.meaning.resolve import INTERNET, Resolver
from reconcile.policy.meaning.tailnet import Machine, Tailnet, addresses_of

# Capabilities that come with a second one in the reverse direction.
_COMPANIONS = {
    "tailscale.com/cap/drive": "tailscale.com/cap/drive-sharer",
    "tailscale.com/cap/relay": "tailscale.com/cap/relay-target",
}


@dataclass(frozen=True, slots=True)
class Opening:
    """Addresses with the services that are open on them, for the rule's sources."""

    addresses: IntervalSet
    services: tuple[Service, ...]


@dataclass(frozen=True, slots=True)
class PortRule:
    """A rule of a node's packet filter; `origin` is None for "no policy at all"."""

    sources: IntervalSet
    openings: tuple[Opening, ...]
    origin: Rule | None


@dataclass(frozen=True, slots=True)
class CapabilityRule:
    """Application capabilities that the sources have on the destinations."""

    sources: IntervalSet
    targets: tuple[IntervalSet, ...]
    capabilities: Mapping[str, Any]
    origin: Rule


class Filters:
    """The packet filters of all nodes under one policy."""

    def __init__(self, policy: Policy, tailnet: Tailnet) -> None:
        self.policy = policy
        self.tailnet = tailnet
        self.resolver = Resolver(policy, tailnet)
        self._ports: dict[int, tuple[PortRule, ...]] = {}

    def ports(self, machine: Machine) -> tuple[PortRule, ...]:
        """Return the port rules of a node, reduced to what it owns or forwards."""
        if machine.index not in self._ports:
            self._ports[machine.index] = tuple(self._reduce(machine))
        return self._ports[machine.index]

    def capabilities(self, machine: Machine) -> tuple[CapabilityRule, ...]:
        """Return the capability rules of a node."""
        found: list[CapabilityRule] = []
        for rule in self.policy.rules or ():
            if not rule.capabilities or rule.via:
                continue
            found += self._granted(machine, rule)
        return tuple(found)

    def open(self) -> PortRule:
        """Return the one rule of a policy without `acls` and `grants`."""
        release = self.policy.release
        service = Service(PINGABLE, ALL_PORTS)
        sources = self.resolver.wildcard if release.hosted else EVERYTHING
        return PortRule(sources, (Opening(EVERYTHING, (service,)),), None)

    def _reduce(self, machine: Machine) -> Iterator[PortRule]:
        if self.policy.rules is None:
            yield self.open()
            return
        for rule in self.policy.rules:
            sources = self.resolver.all_sources(self.resolver.heeded(rule.sources))
            heeded = set(self.resolver.heeded(targets_of(rule)))
            openings = [
                Opening(addresses, target.services)
                for target in rule.targets
                if target.services and target.selector in heeded
                for addresses in self.entries(rule, target.selector, machine)
            ]
            if openings and sources:
                yield PortRule(sources, tuple(openings), rule)
            yield from self._own(machine, rule, sources)

    def entries(
        self, rule: Rule, target: Selector, machine: Machine
    ) -> Iterable[IntervalSet]:
        """Return the entries of a destination that concern a node, kept literally."""
        if rule.via and machine.tags.isdisjoint(rule.via):
            return ()
        if target.autogroup == "internet" and machine.exits:
            return self.resolver.targets(target)
        if rule.via and target.kind not in ("address", "host"):
            return ()
        return [
            addresses
            for addresses in self.resolver.targets(target)
            if machine.routes_to(addresses)
            or (not rule.via and self._arrives(machine, addresses))
        ]

    def _arrives(self, machine: Machine, addresses: IntervalSet) -> bool:
        """Tell whether an entry is for a node itself, or for the internet behind it."""
        behind = self.policy.release.literal_exits and bool(machine.exits)
        return machine.addresses.overlaps(addresses) or (
            behind and addresses <= INTERNET
        )

    def _own(
        self, machine: Machine, rule: Rule, sources: IntervalSet
    ) -> Iterator[PortRule]:
        """`autogroup:self`: between the untagged nodes of one user."""
        if machine.owner is None or rule.via:
            return
        services = [
            Opening(machine.addresses, target.services)
            for target in rule.targets
            if target.selector.autogroup == "self" and target.services
        ]
        own = sources & addresses_of(self.tailnet.by_owner[machine.owner])
        if services and own:
            yield PortRule(own, tuple(services), rule)

    def _granted(self, machine: Machine, rule: Rule) -> Iterator[CapabilityRule]:
        targets = granted_on(rule, self.policy, self.resolver)
        values = rule.capabilities
        yield from self._capability(machine, rule, rule.sources, targets, values)
        for name, companion in _COMPANIONS.items():
            if name in values:
                back = {companion: None}
                yield from self._capability(machine, rule, targets, rule.sources, back)

    def _capability(
        self,
        machine: Machine,
        rule: Rule,
        sources: Iterable[Selector],
        targets: Iterable[Selector],
        values: Mapping[str, Any],
    ) -> Iterator[CapabilityRule]:
        """One direction of a grant; `autogroup:self` may stand on either side."""
        sources, targets = list(sources), list(targets)
        if any(s.autogroup == "self" for s in (*sources, *targets)):
            yield from self._own_capability(machine, rule, sources, targets, values)
            sources = [s for s in sources if s.autogroup != "self"]
            targets = [t for t in targets if t.autogroup != "self"]
            if not sources:
                return
        entries = [
            addresses
            for target in targets
            for entry in self.resolver.granted(target)
            for addresses in _narrowed(machine, entry)
        ]
        if entries:
            everyone = self.resolver.all_sources(sources)
            yield CapabilityRule(everyone, tuple(entries), values, rule)

    def _own_capability(
        self,
        machine: Machine,
        rule: Rule,
        sources: list[Selector],
        targets: list[Selector],
        values: Mapping[str, Any],
    ) -> Iterator[CapabilityRule]:
        if machine.owner is None:
            return
        own = addresses_of(self.tailnet.by_owner[machine.owner])
        forward = any(target.autogroup == "self" for target in targets)
        others = self.resolver.all_sources(sources if forward else targets) & own
        if forward and others:
            yield CapabilityRule(others, (machine.addresses,), values, rule)
        elif others.overlaps(machine.addresses):
            yield CapabilityRule(own, (machine.addresses,), values, rule)


def granted_on(rule: Rule, policy: Policy, resolver: Resolver) -> list[Selector]:
    """Return the destinations of a grant that its capabilities hold on.

    Headscale skips a whole destination for one member whom it cannot find.
    """
    targets = targets_of(rule)
    if policy.release.hosted:
        return targets
    return [t for t in targets if not resolver.strangers(t)]


def companions(rule: Rule) -> list[str]:
    """Return the capabilities that a rule gives in the other direction besides."""
    return [_COMPANIONS[name] for name in rule.capabilities if name in _COMPANIONS]


def _narrowed(machine: Machine, entry: IntervalSet) -> list[IntervalSet]:
    """Narrow a capability's destination to the node; subnets it routes stay."""
    own = (entry & machine.addresses).parts()
    return [*own, entry] if machine.routes_to(entry) else own
