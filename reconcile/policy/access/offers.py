"""What a server shows to one client: its peers, their routes, and the exit nodes.

Headscale holds every pair of nodes against its rules before it cuts them down to what
concerns a node. A peer is shown where a rule leads from one of the two to the other,
whichever way; being shown is not access. Seen on clients of 0.26.1 to main
(tests/contract/sees).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from reconcile.policy.access.ends import End, Ground
from reconcile.policy.access.universe import exits, is_exit, usable
from reconcile.policy.language.document import Origin, Policy, Rule, targets_of
from reconcile.policy.language.selectors import Selector
from reconcile.policy.language.sets import EVERYTHING, IntervalSet, prefix
from reconcile.policy.language.words import NODE
from reconcile.policy.meaning.filters import companions, granted_on
from reconcile.policy.meaning.resolve import INTERNET, Resolver
from reconcile.policy.meaning.tailnet import Machine, Tailnet, addresses_of, seniority

_CLIENTS = 16  # of how many nodes it is kept which rules concern them


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
    sources: End
    targets: End


@dataclass(frozen=True, slots=True)
class _Client:
    """A node that is shown others, and the rules that concern it.

    `there` are those that it is a source of. `reasons` has for each rule the nodes that
    it makes peers, by index; `routing` to where it leads, or from where. Where routers
    are steered, `granted` are the rules that grant it something.
    """

    machine: Machine
    has_rules: bool
    there: list[_Pair]
    reasons: list[tuple[bytes, Because]]
    routing: list[tuple[End, Because]]
    granted: list[Rule]


class Offers:
    """What the nodes of one tailnet are shown under one policy of Headscale."""

    def __init__(self, policy: Policy, tailnet: Tailnet, resolver: Resolver) -> None:
        self._policy, self._tailnet, self._resolver = policy, tailnet, resolver
        self._release = policy.release
        self._ground = Ground(tailnet, policy.release)
        self._ends: dict[object, End] = {}
        self._devices: dict[str | None, list[_Pair]] = {}
        self._firsts: dict[tuple[str, ...], dict[str, Machine]] = {}
        self._client = lru_cache(_CLIENTS)(self._concerned)
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
        client = self._client(viewer)
        for machine in self._tailnet.machines if among is None else among:
            if machine is viewer:
                continue
            if self._apart and not client.has_rules:
                because = self._by_its_own(viewer, machine)
            else:
                because = self._because(client, machine)
            if because or self._shows_all:
                found.append(self._peer(client, machine, because))
        return found

    def meant(self) -> Iterator[IntervalSet]:
        """Yield the addresses that rules mean, as sources or destinations.

        Nodes without routes that have the same ones of these are shown the same, but
        for the own devices of their users.
        """
        found = dict[End, None]()
        for rule in filter(None, self._rules):
            found[self._sources(rule.sources)] = None
            found.update((self._meant([each]), None) for each in targets_of(rule))
        yield from (end.addresses for end in found)

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
        return [*self._shared, *self._own(machine)] if self._apart else self._shared

    def _alone(self, machine: Machine) -> list[_Pair]:
        """Return the rules that a node has where there are none of all."""
        if machine.subnets or machine.exits:
            return list(self._own(machine))
        if machine.owner not in self._devices:  # which have the same rules
            self._devices[machine.owner] = list(self._own(machine))
        return self._devices[machine.owner]

    def _pairs(self, rule: Rule | None) -> Iterator[_Pair]:
        if rule is None:
            everything = End(self._ground, EVERYTHING)
            yield _Pair(None, everything, everything)
            return
        if rule.via:
            return
        heeded = self._resolver.heeded
        opened = [t.selector for t in rule.targets if t.services]
        sources = self._sources(heeded(rule.sources))
        yield from self._pair(rule, sources, self._meant(heeded(opened)))
        if rule.capabilities:
            chosen = granted_on(rule, self._policy, self._resolver)
            granted = self._granted(chosen)
            yield from self._pair(rule, self._sources(rule.sources), granted)
            if companions(rule):
                back = self._granted(rule.sources)
                yield from self._pair(rule, self._sources(chosen), back)

    def _pair(self, rule: Rule, sources: End, targets: End) -> Iterator[_Pair]:
        if sources.addresses and targets.addresses:
            yield _Pair(rule, sources, targets)

    def _sources(self, selectors: Iterable[Selector]) -> End:
        return self._end(self._source, selectors)

    def _meant(self, selectors: Iterable[Selector]) -> End:
        return self._end(self._resolver.targets, selectors)

    def _granted(self, selectors: Iterable[Selector]) -> End:
        return self._end(self._resolver.granted, selectors)

    def _source(self, selector: Selector) -> tuple[IntervalSet, ...]:
        return (self._resolver.sources(selector),)

    def _end(
        self,
        meaning: Callable[[Selector], tuple[IntervalSet, ...]],
        selectors: Iterable[Selector],
    ) -> End:
        key = meaning, tuple(selectors)
        if key not in self._ends:
            entries = (entry for each in key[1] for entry in meaning(each))
            self._ends[key] = End(self._ground, IntervalSet.union(entries))
        return self._ends[key]

    def _own(self, machine: Machine) -> Iterator[_Pair]:
        """Yield what rules mean on one node alone: to own devices, or by `via`."""
        for rule in self._rules:
            if rule and rule.via:
                yield from self._steering(rule, machine)
            elif rule and machine.owner is not None and self._is_apart(rule):
                mine = self._tailnet.by_owner[machine.owner]
                chosen = self._sources(self._resolver.heeded(rule.sources)).addresses
                sources = (m for m in mine if m.addresses.overlaps(chosen))
                yield from self._pair(rule, self._of(sources), self._of(mine))

    def _of(self, machines: Iterable[Machine]) -> End:
        return End(self._ground, addresses_of(machines))

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
        targets = End(self._ground, IntervalSet.union(kept))
        yield from self._pair(rule, self._sources(rule.sources), targets)

    # Peers.

    def _concerned(self, viewer: Machine) -> _Client:
        """Return a node with the rules that concern it."""
        pairs = self._told(viewer)
        there = [p for p in pairs if p.sources.stands_for(viewer)]
        back = [p for p in pairs if p.targets.leads_to(viewer)]
        reasons = [(p.targets.led_to, Because(p.origin)) for p in there]
        reasons += [(p.sources.standing, Because(p.origin, True)) for p in back]
        granted = [
            r for r in self._rules if r and self._steers and self._grants(r, viewer)
        ]
        routing = list(self._routing(pairs, viewer))
        return _Client(viewer, bool(pairs), there, reasons, routing, granted)

    def _because(self, client: _Client, machine: Machine) -> tuple[Because, ...]:
        """Return the rules of a node that make another one its peer."""
        at = machine.index
        return _once(because for peers, because in client.reasons if peers[at])

    def _by_its_own(self, viewer: Machine, machine: Machine) -> tuple[Because, ...]:
        """Return the rules of another node that make it the peer of one without any."""
        pairs = self._alone(machine)
        there = (p for p in pairs if p.sources.stands_for(viewer))
        back = (p for p in pairs if p.targets.leads_to(viewer))
        return _once(
            [Because(p.origin) for p in there if p.targets.leads_to(machine)]
            + [Because(p.origin, True) for p in back if p.sources.stands_for(machine)]
        )

    def _peer(
        self, client: _Client, machine: Machine, because: tuple[Because, ...]
    ) -> Peer:
        steered = self._steered(client, machine)
        found = []
        for text in (*(t for t, _ in usable(machine)), *exits(machine)):
            reasons = self._shown(client, machine, text, steered)
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
        client = self._client(viewer)
        known = {peer.machine.index: peer for peer in peers}
        for machine in self._tailnet.routers:
            if machine is viewer:
                continue
            peer = known.get(machine.index)
            shown = {route.text for route in peer.routes} if peer else set()
            for text, _ in usable(machine):
                if text not in shown:
                    reason = self._reason(client, machine, text, bool(peer))
                    yield Withheld(machine, (text,), reason)
            hidden = tuple(e for e in exits(machine) if not peer or e not in peer.exits)
            if hidden:
                reason = self._reason(client, machine, hidden[0], bool(peer))
                yield Withheld(machine, hidden, reason)

    def _reason(
        self, client: _Client, machine: Machine, text: str, is_peer: bool
    ) -> str:
        here, there = f"{NODE}{client.machine.name}", f"{NODE}{machine.name}"
        steered = self._steered(client, machine)
        if not is_peer and text in steered.here:
            rule = steered.here[text][0].rule
            return (
                f"{rule} leads through it, but via makes nobody a peer beside other "
                f"rules: a rule to {there} itself does"
            )
        if not is_peer:
            no_peer = f"no rule makes {there} a peer of {here}"
            return self._too_little(client, machine, text) or no_peer
        if text in steered.elsewhere:
            return "a grant with via takes it through other routers"
        first = self.first.get(text, machine)
        if first is not machine:
            return f"the server leads there through {NODE}{first.name}"
        return f"no rule leads from {here} to it or from it to {here}"

    def _too_little(self, client: _Client, machine: Machine, text: str) -> str:
        """Say which rule leads into the internet and yet shows no exit node."""
        if text not in exits(machine):
            return ""
        alone = "" if self._release.literal_exits else " and nothing beside it"
        for pair in client.there:
            if pair.targets.meets_internet:
                return (
                    f"{pair.origin} leads into the internet, but shows exit nodes only "
                    f"where it leads to all of it (autogroup:internet){alone}"
                )
        return ""

    # Routes.

    def _shown(
        self, client: _Client, machine: Machine, text: str, steered: "_Steered"
    ) -> tuple[Because, ...] | None:
        """Return why a route is shown, None where it is not.

        Without a rule of its own it comes with the peer, as exit routes up to 0.28.
        """
        literal = self._release.literal_exits
        if text in exits(machine) and not literal:
            return ()
        is_first = text in exits(machine) or machine is self.first[text]
        by_rule = self._leading(client, prefix(text)) if is_first else ()
        if by_rule and text not in steered.elsewhere:
            return by_rule
        if text in steered.here and (is_first or text not in steered.by_rule):
            return steered.here[text]
        shares = any(text == mine for mine, _ in usable(client.machine))
        return () if literal and is_first and shares else None

    @property
    def first(self) -> dict[str, Machine]:
        """The router of each route that the server sends traffic to."""
        return self._first_by(())

    def _first_by(self, via: tuple[str, ...]) -> dict[str, Machine]:
        """Return the first router of each route, of all or of those with some tags."""
        if via not in self._firsts:
            found = self._firsts[via] = dict[str, Machine]()
            for machine in sorted(self._tailnet.routers, key=seniority):
                if not via or not machine.tags.isdisjoint(via):
                    for text, _ in usable(machine):
                        found.setdefault(text, machine)
        return self._firsts[via]

    def _leading(self, client: _Client, route: IntervalSet) -> tuple[Because, ...]:
        return _once(b for end, b in client.routing if route.overlaps(end.addresses))

    def _routing(
        self, pairs: Iterable[_Pair], viewer: Machine
    ) -> Iterator[tuple[End, Because]]:
        """Yield to where rules lead from a node, or from where they lead to it."""
        for pair in pairs:
            if pair.sources.stands_for(viewer):
                yield pair.targets, Because(pair.origin)
            answers = self._release.exits_shown_by_internet
            if answers and pair.targets.stands_for(viewer):
                yield pair.sources, Because(pair.origin, True)

    # Grants with `via`.

    def _steered(self, client: _Client, machine: Machine) -> "_Steered":
        """Return what grants with `via` make of the routes between two nodes."""
        if not self._steers or not (machine.exits or machine.subnets):
            return _Steered({}, frozenset(), frozenset())
        here: dict[str, tuple[Because, ...]] = {}
        elsewhere, lost = set[str](), set[str]()
        for rule in client.granted:
            for text in self._meets(rule, machine) if rule.via else ():
                if machine.tags.isdisjoint(rule.via):
                    elsewhere.add(text)
                else:
                    here[text] = (*here.get(text, ()), Because(rule))
                first = self._first_by(rule.via).get(text)
                if first and first is not machine:
                    lost.add(text)
        here = {text: found for text, found in here.items() if text not in lost}
        elsewhere |= lost
        plain = [
            self._meant(targets_of(rule)).addresses
            for rule in client.granted
            if not rule.via
        ]
        open_ = {
            text
            for text in (*here, *elsewhere)
            if any(prefix(text).overlaps(targets) for targets in plain)
        }
        return _Steered(here, frozenset(elsewhere - open_), frozenset(open_))

    def _grants(self, rule: Rule, viewer: Machine) -> bool:
        return viewer.addresses.overlaps(self._sources(rule.sources).addresses)

    def _meets(self, rule: Rule, machine: Machine) -> Iterator[str]:
        """Yield the routes of a node into the destinations of a rule."""
        selectors = [s for s in targets_of(rule) if s.autogroup != "internet"]
        meant = self._granted(selectors).addresses
        for text, route in usable(machine):
            if route.overlaps(meant):
                yield text
        if any(s.autogroup == "internet" for s in targets_of(rule)):
            yield from exits(machine)


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
