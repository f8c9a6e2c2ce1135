"""Effective access: who reaches what, and why.

A path is one source, one destination and one service, as far as rules tell them apart.
Sources are nodes and the networks behind subnet routers; destinations also the internet
behind exit nodes. Services are ports, logins over SSH and capabilities (`app`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import cached_property

from reconcile.model import EXIT_ROUTES
from reconcile.policy.access.absence import Absence
from reconcile.policy.access.answers import Match, Why, nearness, once
from reconcile.policy.access.atoms import service
from reconcile.policy.access.claims import SSH
from reconcile.policy.access.counts import Things, totals
from reconcile.policy.access.entries import Asked, Entry, listed, unsure
from reconcile.policy.access.matrix import Matrix
from reconcile.policy.access.naming import Naming
from reconcile.policy.access.reach import Reach, reached_by
from reconcile.policy.access.rows import Row
from reconcile.policy.access.targets import Compiled
from reconcile.policy.access.traffic import Traffic
from reconcile.policy.access.universe import World, merge
from reconcile.policy.language import selectors
from reconcile.policy.language.document import (
    Origin,
    Policy,
    Rule,
    Service,
    SshRule,
    targets_of,
)
from reconcile.policy.language.releases import TCP
from reconcile.policy.language.selectors import LITERAL, SELF, UNKNOWN, Selector
from reconcile.policy.language.sets import IntervalSet, prefixes
from reconcile.policy.language.words import NODE
from reconcile.policy.meaning.identity import Directory
from reconcile.policy.meaning.tailnet import Tailnet

# A port's number, SSH for logging in, the name of a capability, or None for all.
Port = int | str | Traffic | None

_ITSELF = "the destination is the source: it needs no rule"
SILENT = "what lies behind exit nodes sends nothing into the tailnet"
_NO_FAMILY = "the two ends have no address of one family: IPv4 and IPv6 do not mix"


class Access:
    """The complete effective access of one policy in one tailnet.

    It is one world of a matrix: of its own, or (`of`) of one that is there already.
    """

    def __init__(
        self,
        policy: Policy,
        tailnet: Tailnet,
        asked: Sequence[IntervalSet] = (),
        services: Sequence[Service] = (),
    ) -> None:
        self._look_at(Matrix([World.of(policy, tailnet)], asked, services), 0)

    @classmethod
    def of(cls, matrix: Matrix, index: int) -> "Access":
        """Return the access in one of the worlds of a matrix."""
        found = cls.__new__(cls)
        found._look_at(matrix, index)
        return found

    def _look_at(self, matrix: Matrix, index: int) -> None:
        self.matrix, self.index = matrix, index
        self.world = matrix.worlds[index]

    def asking(self, names: Iterable[str], port: Port = None) -> "Access":
        """Return the access with networks and services cut as a question needs them.

        What names and port mean are whole parts of it then.
        """
        asked = list(filter(None, map(self._literal, names)))
        services = port.services if isinstance(port, Traffic) else ()
        is_cut = all(map(self.matrix.universe.is_cut_at, asked))
        if is_cut and self.matrix.atoms.knows(services):
            return self
        return Access(self.world.policy, self.world.tailnet, asked, services)

    def _literal(self, text: str) -> IntervalSet:
        if text.startswith(NODE) or (selector := self._meant(text)).kind not in LITERAL:
            return IntervalSet()
        return self.world.resolver.sources(selector)

    @cached_property
    def naming(self) -> Naming:
        """The words for sets of nodes and networks."""
        return Naming(self.matrix, self.world)

    @cached_property
    def absence(self) -> Absence:
        """Why names mean nothing here."""
        return Absence(self.world)

    @property
    def unsure(self) -> Mapping[str, str]:
        """What could not be known and was taken as large as it could be."""
        return unsure([self.world])

    @cached_property
    def paths(self) -> int:
        """How many paths are allowed in all."""
        return totals(self.matrix, self.index, self.index).after

    def entries(
        self,
        sources: int = -1,
        targets: int = -1,
        port: Port = None,
        protocol: int = TCP,
        words: Iterable[str] = (),
    ) -> list[Entry]:
        """Return who reaches what, rule by rule.

        It can be limited to sets of bits (see `find`) and to one port; `words` are the
        names by which these were asked for.
        """
        atoms, said = -1, tuple[str, ...]()
        if port is not None:
            atoms = self.services(port, protocol)
            said = (service(protocol, port),) if isinstance(port, int) else ()
        names = tuple(self._meant(w) for w in words if not w.startswith(NODE))
        found: list[Entry] = []
        for there, here in self._apart(sources, targets):
            asked = Asked(self.index, there, here, atoms, said, names)
            found += listed(self.matrix, self.naming, asked)
        return found

    def _apart(self, sources: int, targets: int) -> Iterator[tuple[int, int]]:
        """Yield what is asked without the ways of networks to themselves.

        The parts of a network, however rules cut it up, reach each other without the
        tailnet, as a node reaches itself.
        """
        inside = []
        for network in self._networks if -1 not in (sources, targets) else ():
            if sources & network and targets & network:
                inside.append((sources & network, targets & ~network))
                sources &= ~network
        yield sources, targets
        yield from inside

    @cached_property
    def _networks(self) -> list[int]:
        return self.matrix.universe.networks(self.world)

    def resting_on(self, names: AbstractSet[str]) -> int:
        """Return the rules that hold one of some names, as a set."""
        return merge(
            1 << number
            for number, rule in self.matrix.rules[self.index].items()
            if rests_on(rule.origin, names)
        )

    def services(self, port: Port, protocol: int = TCP) -> int:
        """Return the atoms of a port as a set."""
        atoms = self.matrix.atoms
        if isinstance(port, Traffic):
            if not port.word:
                return atoms.mask(port.services) if port.services else atoms.traffic
            port = port.word
        if port is None:
            return -1
        if isinstance(port, int):
            return atoms.at(protocol, port)
        return atoms.logins if port == SSH else atoms.named(port)

    def who(self, target: str, port: Port, protocol: int = TCP) -> list[Entry]:
        """Return who reaches a port of a node, address or selector."""
        access = self.asking([target], port)
        found = access.find(target)
        return access.entries(-1, found, port, protocol, [target])

    def why(self, source: str, target: str, port: Port, protocol: int = TCP) -> Why:
        """Explain why a source may reach a port of a target, or why it may not.

        Both are names as `find` takes them; it raises LookupError for unknown ones.
        For logging in over SSH `rules` are the SSH rules alone; `opened` and `allowed`
        heed that port 22 must be open as well.
        """
        access = self.asking([source, target], port)
        if access is not self:
            return access.why(source, target, port, protocol)
        sources, targets = self.find(source), self.find(target)
        notes = tuple(filter(None, map(self.absent, (source, target))))
        if not notes and not self.sends(sources):
            notes = (SILENT,)
        if notes:
            return Why(False, notes=notes)
        if not any(self.pairs(*each) for each in self._apart(sources, targets)):
            itself = not targets & ~self.matrix.universe.single(sources)
            note = _ITSELF if itself else _NO_FAMILY
            return Why(note is _ITSELF, notes=(note,))
        atoms, words = self.services(port, protocol), (source, target)
        opened = self.entries(sources, targets, port, protocol, words)
        rows = [row for row in self.matrix.rows if row.members & sources]
        is_login = SSH in (port, port.word if isinstance(port, Traffic) else "")
        found = [
            self._match(number, rule, rows, sources, targets, atoms)
            for number, rule in self.matrix.rules[self.index].items()
            if isinstance(rule.origin, SshRule) is is_login
        ]
        matches = once(each for each in found if not each.missing)
        nearest = once(each for each in found if len(each.missing) == 1)
        whole = isinstance(port, Traffic) and port.whole
        lacking = self.missing(sources, targets, atoms, whole=whole)
        unserved = self.unserved(target)
        return Why(
            bool(opened) and not lacking and not unserved,
            tuple(opened),
            matches,
            () if matches else tuple(sorted(nearest, key=nearness)),
            () if opened else tuple(self.entries(sources, targets, words=words)),
            () if opened else tuple(self.entries(-1, targets, port, protocol, words)),
            through=tuple(self._through(targets, matches)) if opened else (),
            held_back=() if opened else self._held_back(sources, targets, atoms),
            not_shown=() if opened else tuple(self._not_shown(rows, targets, atoms)),
            apart=() if opened else tuple(self._apart_from(rows, targets, atoms)),
            offering=() if opened else tuple(self._offering(sources)),
            unserved=tuple(prefixes(unserved)) if opened else (),
        )

    def _held_back(self, sources: int, targets: int, atoms: int) -> tuple[str, ...]:
        """Return the exit nodes that would let sources through, were they offered."""
        found = 0
        for row in self.matrix.rows:
            if row.members & sources:
                allowed = self.matrix.allowed(row, self.index)
                found |= merge(d for a, d in allowed if a & atoms) & targets
        exits = self.world.exits if found & self.matrix.universe.internet else ()
        return tuple(f"{NODE}{each.machine.name}" for each in exits)

    def _not_shown(
        self, rows: Iterable[Row], targets: int, atoms: int
    ) -> Iterator[str]:
        """Yield routers with `via` that would let sources through, were they shown."""
        for number, rule in self.matrix.rules[self.index].items():
            for router, there in rule.steered if rule.atoms & atoms else ():
                near = self.matrix.universe.node(router)
                away = any(
                    row.sides[self.index].rules >> number & 1 and row.members & ~near
                    for row in rows
                )
                if away and there & targets:
                    yield f"{NODE}{self.world.machines[router].name}"

    def _apart_from(
        self, rows: Iterable[Row], targets: int, atoms: int
    ) -> Iterator[str]:
        """Yield the routers of source networks that are no peers of destinations."""
        universe, index = self.matrix.universe, self.index
        held = [row for row in rows if row.sides[index].offered.limit != -1]
        cells = 0
        for row in held:
            allowed = merge(d for a, d in self.matrix.allowed(row, index) if a & atoms)
            cells |= row.members if allowed & targets else 0
        for machine in self.world.tailnet.routers if cells else ():
            if universe.behind(machine) & cells:
                yield f"{NODE}{machine.name}"

    def _offering(self, sources: int) -> Iterator[str]:
        """Yield the sources that offer to be exit nodes: their clients choose none."""
        for number, machine in self.world.machines.items():
            chosen = self.matrix.universe.node(number) & sources
            if chosen and machine.node.available & EXIT_ROUTES:
                yield f"{NODE}{machine.name}"

    def unserved(self, text: str) -> IntervalSet:
        """Return the part of a network to which nothing leads; of a name, nothing.

        Addresses that the tailnet gives to nodes are no such part.
        """
        return self.matrix.universe.unserved(self._literal(text), self.index)

    def pairs(self, sources: int, targets: int) -> int:
        """Count the pairs of a source and another destination."""
        return self._things.pairs(sources, targets)

    @cached_property
    def _things(self) -> Things:
        return Things(self.matrix.universe, self.world)

    def _through(self, targets: int, rules: Iterable[Match]) -> Iterator[str]:
        """Yield the nodes that some rules may use to get to networks, if there are."""
        vias = [m.rule.via if isinstance(m.rule, Rule) else () for m in rules]
        steered = all(vias)
        tags = {tag for via in vias for tag in via}
        exits = {each.machine.index for each in self.world.exits}
        for machine in self.world.tailnet.routers:
            if steered and machine.tags.isdisjoint(tags):
                continue
            if targets & self.matrix.universe.behind(machine) or (
                machine.index in exits and targets & self.matrix.universe.internet
            ):
                yield f"{NODE}{machine.name}"

    def missing(
        self,
        sources: int,
        targets: int,
        atoms: int,
        without: int = 0,
        whole: bool = False,
    ) -> dict[int, int]:
        """Return which targets are not reached, and by which of the sources.

        A node is reached by any of its addresses among the targets. Any of the atoms
        will do, or with `whole` all of them are needed; `without` leaves rules out.
        Nothing is missing from a node to itself.
        """
        universe = self.matrix.universe
        found: dict[int, int] = defaultdict(int)
        for there, here in self._apart(sources & self._senders, targets):
            nodes, cells = universe.split(here)
            for members, rows in self.matrix.sources(there):
                reached = merge(
                    reached_by(self._reach(row, without), atoms, whole) & family
                    for row, family in rows
                )
                numbers = universe.nodes(nodes) & ~universe.nodes(reached & nodes)
                lack = universe.both(numbers) & nodes
                near = cells & universe.partners(members)
                lack |= (near or cells) & ~reached
                if lack & ~universe.single(members):
                    found[lack] |= members
        return dict(found)

    def sends(self, sources: int) -> bool:
        """Tell whether any of some sources may send: the internet does not."""
        return bool(sources & self._senders)

    @property
    def _senders(self) -> int:
        return self.world.present | self.world.routed

    def _reach(self, row: Row, without: int) -> Reach:
        if row.sides[self.index].rules & without:
            row = replace(row, sides=tuple(s.without(without) for s in row.sides))
        return self.matrix.reach(row, self.index)

    def _match(
        self,
        number: int,
        rule: Compiled,
        rows: Iterable[Row],
        sources: int,
        targets: int,
        atoms: int,
    ) -> Match:
        """Hold a rule against the three things that a path needs.

        `rows` are those of the sources.
        """
        origin, index = rule.origin, self.index
        mine = [row for row in rows if row.sides[index].rules >> number & 1]
        from_here = merge(row.members for row in mine) & sources
        own = merge(self.matrix.own(row, index) for row in mine)
        blocks = self.matrix.universe.all_blocks
        arriving = self.matrix.universe.arriving(rule.targets, blocks)
        to_there = (own if rule.own else arriving) & targets
        met = (
            ("source", from_here),
            ("target", to_there),
            ("port", rule.atoms & atoms),
        )
        return Match(
            origin,
            self._fitting(origin.sources if origin else (), from_here, own),
            self._fitting(targets_of(origin) if origin else (), to_there, own),
            tuple(name for name, fits in met if not fits),
            tuple(self.matrix.atoms.names(rule.atoms)),
        )

    def _fitting(
        self, chosen: Iterable[Selector], wanted: int, own: int
    ) -> tuple[str, ...]:
        """Return the selectors of a rule that mean some of the wanted bits."""
        return tuple(
            selector.text
            for selector in chosen
            if wanted & (own if selector.text == SELF else self._selected(selector))
        )

    def _selected(self, selector: Selector) -> int:
        if selector.by_address and selector.kind not in LITERAL:
            return -1
        return self.matrix.universe.meaning(selector, self.index)

    def names(self) -> list[str]:
        """Return the names that `find` knows, but for addresses."""
        world, owners = self.world, self.world.owners
        nodes = [machine.name for machine in world.machines.values()]
        policy, known = world.policy, world.tailnet.users
        token = Directory(known).token
        users = filter(None, (token(user) for user in known if user.id in owners))
        return [*nodes, *users, *world.tags, *policy.groups, *policy.hosts]

    def find(self, text: str) -> int:
        """Return the bits of a selector, an address, or the name of a user or node.

        Devices choose their names: what policy and server call so comes first, and
        `node:` before it means the node. 0 is for what is declared, but nothing here
        bears it (see `absent`). Raises LookupError, with the reason, for what neither
        policy nor server knows.
        """
        if text.startswith(NODE):
            found = self.node(text.removeprefix(NODE))
            if not found:
                raise LookupError(f"there is no {text}")
            return found
        if text in self._told_apart:
            return self.world.owners.get(self._told_apart[text], 0)
        selector = self._meant(text)
        found = self.selected(selector)
        reason = "" if found else self.absence.undeclared(selector)
        if reason and selector.kind == "host":  # a node takes no other name's place
            found = self.node(text)
            reason = "" if found else f"there is no node, user or host called {text}"
        if reason:
            raise LookupError(reason)
        return found

    @cached_property
    def _told_apart(self) -> Mapping[str, str]:
        """The ids of users who are called `max (local)`, since a name does not tell."""
        labels = self.world.tailnet.labels.items()
        return {label: number for number, label in labels if label.endswith(")")}

    def absent(self, text: str) -> str:
        """Say why nothing bears a name that `find` takes, "" when something does."""
        return "" if self.find(text) else self.absence.reason(self._meant(text))

    def _meant(self, text: str) -> Selector:
        """Return the selector for a name that people use."""
        if text in self.world.policy.hosts:
            return selectors.parse(text)
        if text == "internet":
            return selectors.parse("autogroup:internet")
        is_user = any(user.name == text for user in self.world.tailnet.users)
        return selectors.parse(f"{text}@" if is_user and "@" not in text else text)

    def node(self, name: str) -> int:
        """Return the bits of a node, 0 when there is none of that name."""
        for number, machine in self.world.machines.items():
            if machine.name == name:
                return self.matrix.universe.node(number) & self.world.present
        return 0

    def selected(self, selector: Selector) -> int:
        """Return the bits of all that a selector means here, 0 for nothing."""
        if selector.kind in UNKNOWN:
            return 0
        return self.matrix.universe.meaning(selector, self.index)


def rests_on(rule: Origin, names: AbstractSet[str]) -> bool:
    """Tell whether a rule holds one of some names, as a selector or a condition."""
    if rule is None:
        return False
    found = {selector.text for selector in (*rule.sources, *targets_of(rule))}
    if isinstance(rule, Rule):
        found.update(rule.unsure)
    return not names.isdisjoint(found)
