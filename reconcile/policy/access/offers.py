"""What a server shows to one client: its peers, their routes, and the exit nodes.

Headscale holds every pair of nodes against its rules before it cuts them down to what
concerns a node. A peer is shown where a rule leads from one of the two to the other,
whichever way; being shown is not access. Seen on clients of 0.26.1 to main
(tests/contract/sees).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from reconcile.policy.access.universe import exits, is_exit, usable
from reconcile.policy.language.document import Origin, Policy, Rule, targets_of
from reconcile.policy.language.selectors import Selector
from reconcile.policy.language.sets import EVERYTHING, IntervalSet, prefix
from reconcile.policy.language.words import NODE
from reconcile.policy.meaning.filters import companions, granted_on
from reconcile.policy.meaning.resolve import INTERNET, Resolver
from reconcile.policy.meaning.tailnet import Machine, Tailnet, addresses_of, seniority

_WHOLE = prefix("0.0.0.0/0"), prefix("::/0")


@dataclass(frozen=True, slots=True)
class Because:
    """A rule that leads to a peer or a route (`back`: from it to the client)."""

    rule: Origin
    back: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """A prefix that a peer shows to a client, and why."""

    text: str
    because: tuple[Because, ...]


@dataclass(frozen=True, slots=True)
class Peer:
    """A node that a client is shown: why, and its routes; `exits` are exit routes."""

    machine: Machine
    because: tuple[Because, ...]
    routes: tuple[Route, ...]
    exits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Withheld:
    """An approved route, or the exit routes, that a node is not shown, and why not."""

    machine: Machine
    routes: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class _Pair:
    """A rule as servers hold nodes against it: its sources and all its destinations."""

    origin: Origin
    sources: IntervalSet
    targets: IntervalSet
    internet: bool


class Offers:
    """What the nodes of one tailnet are shown under one policy of Headscale."""

    def __init__(self, policy: Policy, tailnet: Tailnet, resolver: Resolver) -> None:
        self._policy, self._tailnet, self._resolver = policy, tailnet, resolver
        self._release = policy.release
        self._shared = [p for rule in self._rules for p in self._pairs(rule)]
        self._apart = any(map(self._is_apart, self._rules))
        self._steers = any(rule and rule.via for rule in self._rules)

    @property
    def _rules(self) -> Sequence[Rule | None]:
        return (None,) if self._policy.rules is None else self._policy.rules

    def peers(
        self, viewer: Machine, among: Sequence[Machine] | None = None
    ) -> list[Peer]:
        """Return what a node is shown of all nodes, or of some, in their order."""
        found = []
        pairs = self._told(viewer)
        concerning = self._concerning(pairs, viewer)
        for machine in self._tailnet.machines if among is None else among:
            if machine is viewer:
                continue
            because = self._because(concerning, machine)
            if not pairs and self._apart:
                theirs = self._concerning(self._told(machine), viewer)
                because = self._because(theirs, machine)
            if because or self._shows_all:
                found.append(self._peer(pairs, viewer, machine, because))
        return found

    def meant(self) -> Iterator[IntervalSet]:
        """Yield the addresses that rules mean, as sources or destinations.

        Nodes without routes that have the same ones of these are shown the same, but
        for the own devices of their users.
        """
        for rule in self._rules:
            if rule is not None:
                yield self._resolver.all_sources(rule.sources)
                for selector in targets_of(rule):
                    yield IntervalSet.union(self._resolver.targets(selector))

    @property
    def remarks(self) -> list[str]:
        """What is said of all peers.

        Seen on 0.27.1: where a rule names `autogroup:self`, a full map has only the
        peers that a rule leads to; the others come with the next change of theirs.
        """
        if not (self._release.self_shows_late and self._resolver.names_self):
            return []
        return ["who is shown by a rule from it alone comes later, when it changes"]

    @property
    def _shows_all(self) -> bool:
        """Tell whether everybody is shown everybody, as 0.26 does without any rule."""
        return not self._shared and not self._release.exits_shown_by_internet

    # Rules.

    def _is_apart(self, rule: Rule | None) -> bool:
        """Tell whether single nodes have a rule that the others do not have."""
        return rule is not None and bool(
            rule.via or any(t.autogroup == "self" for t in targets_of(rule))
        )

    def _told(self, machine: Machine) -> list[_Pair]:
        """Return the rules by which a node is shown others: of all, and its own."""
        if not self._apart:
            return self._shared
        own = (pair for rule in self._rules for pair in self._own(rule, machine))
        return [*self._shared, *own]

    def _pairs(self, rule: Rule | None) -> Iterator[_Pair]:
        if rule is None:
            yield _Pair(None, EVERYTHING, EVERYTHING, True)
            return
        if rule.via:
            return
        resolver = self._resolver
        sources = resolver.all_sources(resolver.heeded(rule.sources))
        opened = [t.selector for t in rule.targets if t.services]
        yield from self._pair(rule, sources, self._meant(resolver.heeded(opened)))
        if rule.capabilities:
            chosen = granted_on(rule, self._policy, resolver)
            yield from self._pair(
                rule, resolver.all_sources(rule.sources), self._granted(chosen)
            )
            if companions(rule):
                yield from self._pair(
                    rule, resolver.all_sources(chosen), self._granted(rule.sources)
                )

    def _pair(
        self, rule: Rule, sources: IntervalSet, targets: IntervalSet
    ) -> Iterator[_Pair]:
        if sources and targets:
            yield _Pair(rule, sources, targets, self._is_internet(targets))

    def _meant(self, selectors: Iterable[Selector]) -> IntervalSet:
        targets = self._resolver.targets
        return IntervalSet.union(entry for s in selectors for entry in targets(s))

    def _granted(self, selectors: Iterable[Selector]) -> IntervalSet:
        granted = self._resolver.granted
        return IntervalSet.union(entry for s in selectors for entry in granted(s))

    def _is_internet(self, targets: IntervalSet) -> bool:
        if any(whole <= targets for whole in _WHOLE):
            return True
        return targets == INTERNET or (
            self._release.literal_exits and targets >= INTERNET
        )

    def _own(self, rule: Rule | None, machine: Machine) -> Iterator[_Pair]:
        """Yield what a rule means on one node alone: to own devices, or by `via`."""
        if rule is None:
            return
        if rule.via:
            yield from self._steering(rule, machine)
        elif machine.owner is not None and self._is_apart(rule):
            mine = self._tailnet.by_owner[machine.owner]
            heeded = list(self._resolver.heeded(rule.sources))
            chosen = self._resolver.all_sources(heeded)
            sources = addresses_of(m for m in mine if m.addresses.overlaps(chosen))
            yield from self._pair(rule, sources, addresses_of(mine))

    def _steering(self, rule: Rule, machine: Machine) -> Iterator[_Pair]:
        """A router with a tag of a `via` grant has what overlaps its routes."""
        if machine.tags.isdisjoint(rule.via):
            return
        kept = []
        for selector in (t.selector for t in rule.targets if t.services):
            if selector.autogroup == "internet":
                kept += [INTERNET] if is_exit(machine) else []
            elif selector.by_address:
                granted = self._resolver.granted(selector)
                kept += [entry for entry in granted if machine.routes_to(entry)]
        sources = self._resolver.all_sources(rule.sources)
        yield from self._pair(rule, sources, IntervalSet.union(kept))

    # Peers.

    def _concerning(
        self, pairs: Iterable[_Pair], viewer: Machine
    ) -> tuple[list[_Pair], list[_Pair]]:
        """Return the rules that a node is a source of, and those that lead to it."""
        pairs = list(pairs)
        return (
            [pair for pair in pairs if self._is_source(pair, viewer)],
            [pair for pair in pairs if self._is_led_to(pair, viewer)],
        )

    def _because(
        self, concerning: tuple[list[_Pair], list[_Pair]], machine: Machine
    ) -> tuple[Because, ...]:
        """Return the rules of a node that make another one its peer."""
        there, back = concerning
        return _once(
            [Because(p.origin) for p in there if self._is_led_to(p, machine)]
            + [Because(p.origin, True) for p in back if self._is_source(p, machine)]
        )

    def _is_led_to(self, pair: _Pair, target: Machine) -> bool:
        if target.addresses.overlaps(pair.targets):
            return True
        if self._routes_into(pair.targets, target):
            return True
        return pair.internet and is_exit(target)

    def _is_source(self, pair: _Pair, machine: Machine) -> bool:
        if machine.addresses.overlaps(pair.sources):
            return True
        stands = self._release.routers_stand_for_networks
        return stands and self._routes_into(pair.sources, machine)

    def _routes_into(self, addresses: IntervalSet, machine: Machine) -> bool:
        """Tell whether approved routes of a node overlap a set."""
        if any(route.overlaps(addresses) for _, route in usable(machine)):
            return True
        counts = not self._release.exits_shown_by_internet  # exit routes are routes
        return counts and any(prefix(r).overlaps(addresses) for r in exits(machine))

    def _peer(
        self,
        pairs: Sequence[_Pair],
        viewer: Machine,
        machine: Machine,
        because: tuple[Because, ...],
    ) -> Peer:
        steered = self._steered(viewer, machine)
        found = []
        for text in (*(t for t, _ in usable(machine)), *exits(machine)):
            reasons = self._shown(pairs, viewer, machine, text, steered)
            if reasons is not None:
                found.append(Route(text, reasons or because))
        whole = set(exits(machine))
        return Peer(
            machine,
            because,
            tuple(route for route in found if route.text not in whole),
            tuple(route.text for route in found if route.text in whole),
        )

    def withheld(self, viewer: Machine, peers: Iterable[Peer]) -> Iterator[Withheld]:
        """Yield what other nodes route, but do not show to one that has these peers."""
        known = {peer.machine.index: peer for peer in peers}
        for machine in self._tailnet.routers:
            if machine is viewer:
                continue
            peer = known.get(machine.index)
            shown = {route.text for route in peer.routes} if peer else set()
            for text, _ in usable(machine):
                if text not in shown:
                    reason = self._reason(viewer, machine, text, bool(peer))
                    yield Withheld(machine, (text,), reason)
            hidden = tuple(e for e in exits(machine) if not peer or e not in peer.exits)
            if hidden:
                reason = self._reason(viewer, machine, hidden[0], bool(peer))
                yield Withheld(machine, hidden, reason)

    def _reason(
        self, viewer: Machine, machine: Machine, text: str, is_peer: bool
    ) -> str:
        here, there = f"{NODE}{viewer.name}", f"{NODE}{machine.name}"
        steered = self._steered(viewer, machine)
        if not is_peer and text in steered.here:
            rule = steered.here[text][0].rule
            return (
                f"{rule} leads through it, but via makes nobody a peer beside other "
                f"rules: a rule to {there} itself does"
            )
        if not is_peer:
            no_peer = f"no rule makes {there} a peer of {here}"
            return self._too_little(viewer, machine, text) or no_peer
        if text in steered.elsewhere:
            return "a grant with via takes it through other routers"
        first = self.first.get(text, machine)
        if first is not machine:
            return f"the server leads there through {NODE}{first.name}"
        return f"no rule leads from {here} to it or from it to {here}"

    def _too_little(self, viewer: Machine, machine: Machine, text: str) -> str:
        """Say which rule leads into the internet and yet shows no exit node."""
        if text not in exits(machine):
            return ""
        alone = "" if self._release.literal_exits else " and nothing beside it"
        for pair in self._told(viewer):
            if self._is_source(pair, viewer) and pair.targets.overlaps(INTERNET):
                return (
                    f"{pair.origin} leads into the internet, but shows exit nodes only "
                    f"where it leads to all of it (autogroup:internet){alone}"
                )
        return ""

    # Routes.

    def _shown(
        self,
        pairs: Sequence[_Pair],
        viewer: Machine,
        machine: Machine,
        text: str,
        steered: "_Steered",
    ) -> tuple[Because, ...] | None:
        """Return why a route is shown, None where it is not.

        Without a rule of its own it comes with the peer, as exit routes up to 0.28.
        """
        literal = self._release.literal_exits
        if text in exits(machine) and not literal:
            return ()
        is_first = text in exits(machine) or machine is self.first[text]
        by_rule = self._leading(pairs, viewer, prefix(text)) if is_first else ()
        if by_rule and text not in steered.elsewhere:
            return by_rule
        if text in steered.here and (is_first or text not in steered.by_rule):
            return steered.here[text]
        shares = any(text == mine for mine, _ in usable(viewer))
        return () if literal and is_first and shares else None

    @cached_property
    def first(self) -> dict[str, Machine]:
        """The router of each route that the server sends traffic to."""
        found: dict[str, Machine] = {}
        for machine in sorted(self._tailnet.routers, key=seniority):
            for text, _ in usable(machine):
                found.setdefault(text, machine)
        return found

    def _leading(
        self, pairs: Iterable[_Pair], viewer: Machine, route: IntervalSet
    ) -> tuple[Because, ...]:
        answers = self._release.exits_shown_by_internet
        found = []
        for pair in pairs:
            if self._is_source(pair, viewer) and route.overlaps(pair.targets):
                found.append(Because(pair.origin))
            leads_back = answers and route.overlaps(pair.sources)
            if leads_back and self._is_target(pair, viewer):
                found.append(Because(pair.origin, True))
        return _once(found)

    def _is_target(self, pair: _Pair, viewer: Machine) -> bool:
        if viewer.addresses.overlaps(pair.targets):
            return True
        stands = self._release.routers_stand_for_networks
        return stands and any(r.overlaps(pair.targets) for _, r in usable(viewer))

    # Grants with `via`.

    def _steered(self, viewer: Machine, machine: Machine) -> "_Steered":
        """Return what grants with `via` make of the routes between two nodes."""
        if not self._steers or not (machine.exits or machine.subnets):
            return _Steered({}, frozenset(), frozenset())
        here: dict[str, tuple[Because, ...]] = {}
        elsewhere, lost = set[str](), set[str]()
        granted = [r for r in self._rules if r and self._grants(r, viewer)]
        for rule in granted:
            for text in self._meets(rule, machine) if rule.via else ():
                if machine.tags.isdisjoint(rule.via):
                    elsewhere.add(text)
                else:
                    here[text] = (*here.get(text, ()), Because(rule))
                first = self._first_of(rule, text)
                if first and first is not machine:
                    lost.add(text)
        here = {text: found for text, found in here.items() if text not in lost}
        elsewhere |= lost
        plain = [self._meant(targets_of(rule)) for rule in granted if not rule.via]
        open_ = {
            text
            for text in (*here, *elsewhere)
            if any(prefix(text).overlaps(targets) for targets in plain)
        }
        return _Steered(here, frozenset(elsewhere - open_), frozenset(open_))

    def _grants(self, rule: Rule, viewer: Machine) -> bool:
        return viewer.addresses.overlaps(self._resolver.all_sources(rule.sources))

    def _meets(self, rule: Rule, machine: Machine) -> Iterator[str]:
        """Yield the routes of a node into the destinations of a rule."""
        meant = [
            entry
            for selector in targets_of(rule)
            if selector.autogroup != "internet"
            for entry in self._resolver.granted(selector)
        ]
        for text, route in usable(machine):
            if any(map(route.overlaps, meant)):
                yield text
        if any(s.autogroup == "internet" for s in targets_of(rule)):
            yield from exits(machine)

    def _first_of(self, rule: Rule, text: str) -> Machine | None:
        """Return the first router of a network with a tag of a grant, if there is one.

        Grants that name different ones keep each other's from being shown.
        """
        tagged = (
            machine
            for machine in self._tailnet.routers
            if machine.tags & set(rule.via)
            and any(text == t for t, _ in usable(machine))
        )
        return min(tagged, key=seniority, default=None)


@dataclass(frozen=True, slots=True)
class _Steered:
    """Routes that `via` grants give to a router, and those that they take from it.

    `by_rule` are those that a rule without `via` leads to as well.
    """

    here: dict[str, tuple[Because, ...]]
    elsewhere: frozenset[str]
    by_rule: frozenset[str]


def _once(found: Iterable[Because]) -> tuple[Because, ...]:
    """Return reasons without repetitions: one rule may be compiled in several parts."""
    return tuple({(str(each.rule), each.back): each for each in found}.values())
