"""Effective access: who reaches what, and why.

A path is one source, one destination and one service, as far as rules tell them apart.
Sources are nodes and the networks behind subnet routers; destinations also the internet
behind exit nodes. Services are ports, logins over SSH and capabilities (`app`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property

from reconcile.policy import selectors
from reconcile.policy.absence import Absence
from reconcile.policy.atoms import service
from reconcile.policy.claims import SSH
from reconcile.policy.document import Origin, Policy, Rule, SshRule, targets_of
from reconcile.policy.entries import (
    Asked,
    Entry,
    listed,
    paths_of,
    total,
    unsure,
)
from reconcile.policy.identity import Directory
from reconcile.policy.matrix import BY_ADDRESS, Compiled, Matrix
from reconcile.policy.naming import Naming
from reconcile.policy.reach import Reach
from reconcile.policy.releases import TCP
from reconcile.policy.resolve import INTERNET
from reconcile.policy.rows import Row
from reconcile.policy.selectors import SELF, Selector
from reconcile.policy.sets import IntervalSet, prefix
from reconcile.policy.tailnet import Tailnet
from reconcile.policy.universe import World, merge
from reconcile.policy.words import NODE

Port = int | str  # a port's number, SSH for logging in, or the name of a capability


class Access:
    """The complete effective access of one policy in one tailnet.

    It is one world of a matrix: of its own, or (`of`) of one that is there already.
    """

    def __init__(self, policy: Policy, tailnet: Tailnet) -> None:
        self._look_at(Matrix([World.of(policy, tailnet)]), 0)

    @classmethod
    def of(cls, matrix: Matrix, index: int) -> "Access":
        """Return the access in one of the worlds of a matrix."""
        found = cls.__new__(cls)
        found._look_at(matrix, index)
        return found

    def _look_at(self, matrix: Matrix, index: int) -> None:
        self.matrix, self.index = matrix, index
        self.world = matrix.worlds[index]

    @cached_property
    def naming(self) -> Naming:
        """The words for sets of nodes and networks."""
        return Naming(self.matrix, [self.world])

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
        return total(self.matrix, self.index)

    def entries(
        self,
        sources: int = -1,
        targets: int = -1,
        port: Port | None = None,
        protocol: int = TCP,
    ) -> list[Entry]:
        """Return who reaches what, rule by rule.

        It can be limited to sets of bits (see `find`) and to one port.
        """
        atoms, said = -1, tuple[str, ...]()
        if port is not None:
            atoms = self.services(port, protocol)
            said = (service(protocol, port),) if isinstance(port, int) else ()
        found: list[Entry] = []
        for there, here in self._apart(sources, targets):
            asked = Asked(self.index, there, here, atoms, said)
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
        if isinstance(port, int):
            return self.matrix.atoms.at(protocol, port)
        atoms = self.matrix.atoms
        return atoms.logins if port == SSH else atoms.named(port)

    def who(self, target: str, port: Port, protocol: int = TCP) -> list[Entry]:
        """Return who reaches a port of a node, address or selector."""
        return self.entries(targets=self.find(target), port=port, protocol=protocol)

    def why(self, source: str, target: str, port: Port, protocol: int = TCP) -> "Why":
        """Explain why a source may reach a port of a target, or why it may not.

        Both are names as `find` takes them; it raises LookupError for unknown ones.
        For logging in over SSH `rules` are the SSH rules alone; `opened` and `allowed`
        heed that port 22 must be open as well.
        """
        sources, targets = self.find(source), self.find(target)
        notes = tuple(filter(None, map(self.absent, (source, target))))
        if notes:
            return Why(False, notes=notes)
        if not any(paths_of(*each) for each in self._apart(sources, targets)):
            return Why(True, notes=("the destination is the source: it needs no rule",))
        atoms = self.services(port, protocol)
        opened = self.entries(sources, targets, port, protocol)
        rows = [row for row in self.matrix.rows if row.members & sources]
        found = [
            self._match(number, rule, rows, sources, targets, atoms)
            for number, rule in self.matrix.rules[self.index].items()
            if isinstance(rule.origin, SshRule) is (port == SSH)
        ]
        matches = _once(each for each in found if not each.missing)
        nearest = _once(each for each in found if len(each.missing) == 1)
        return Why(
            bool(opened) and not self.missing(sources, targets, atoms),
            tuple(opened),
            matches,
            () if matches else tuple(sorted(nearest, key=_nearness)),
            () if opened else tuple(self.entries(sources, targets)),
            () if opened else tuple(self.entries(-1, targets, port, protocol)),
            through=tuple(self._through(targets, matches)) if opened else (),
        )

    def _through(self, targets: int, rules: Iterable["Match"]) -> Iterator[str]:
        """Yield the nodes that some rules may use to get to networks, if there are."""
        vias = [m.rule.via if isinstance(m.rule, Rule) else () for m in rules]
        steered = all(vias)
        tags = {tag for via in vias for tag in via}
        for machine in self.world.tailnet.routers:
            if steered and machine.node.tags.isdisjoint(tags):
                continue
            if targets & self.matrix.universe.behind(machine):
                yield f"{NODE}{machine.name}"

    def missing(
        self, sources: int, targets: int, atoms: int, without: int = 0
    ) -> dict[int, int]:
        """Return which targets are not reached, and by which of the sources.

        Any of the atoms will do; `without` leaves rules out. Nothing is missing from
        a node to itself.
        """
        found: dict[int, int] = defaultdict(int)
        for there, here in self._apart(sources, targets):
            rest = there
            for row in self.matrix.rows:
                members = row.members & there
                if members:
                    opened = self._reach(row, without)
                    found[here & ~merge(d for a, d in opened if a & atoms)] |= members
                    rest &= ~members
            found[here] |= rest
        return {lack: who for lack, who in found.items() if paths_of(who, lack)}

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
    ) -> "Match":
        """Hold a rule against the three things that a path needs.

        `rows` are those of the sources.
        """
        origin, index = rule.origin, self.index
        mine = [row for row in rows if row.sides[index].rules >> number & 1]
        from_here = merge(row.members for row in mine) & sources
        own = merge(self.matrix.own(row, index) for row in mine)
        to_there = (own if rule.own else rule.targets) & targets
        met = (
            ("source", from_here),
            ("target", to_there),
            ("port", rule.atoms & atoms),
        )
        return Match(
            origin,
            self._fitting(origin.sources if origin else (), from_here, True, own),
            self._fitting(targets_of(origin) if origin else (), to_there, False, own),
            tuple(name for name, fits in met if not fits),
            tuple(self.matrix.atoms.names(rule.atoms)),
        )

    def _fitting(
        self, chosen: Iterable[Selector], wanted: int, as_source: bool, own: int
    ) -> tuple[str, ...]:
        """Return the selectors of a rule that mean some of the wanted bits."""
        return tuple(
            selector.text
            for selector in chosen
            if wanted
            & (own if selector.text == SELF else self._selected(selector, as_source))
        )

    def _selected(self, selector: Selector, as_source: bool) -> int:
        universe, world = self.matrix.universe, self.world
        if selector.autogroup == "danger-all" or selector.kind == "any":
            return -1
        if selector.autogroup == "internet":
            return universe.internet | universe.network(INTERNET) & world.routed
        if selector.kind not in BY_ADDRESS:
            return universe.selected(world, selector)
        addresses = world.resolver.sources(selector)
        if not as_source:
            addresses = IntervalSet.union(world.resolver.targets(selector))
        cells = universe.network(addresses) & world.routed
        return universe.addressed(self.index, addresses) | cells

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
        selector = self._meant(text)
        found = self.selected(selector)
        reason = "" if found else self.absence.undeclared(selector)
        if reason and selector.kind == "host":  # a node takes no other name's place
            found = self.node(text)
            reason = "" if found else f"there is no node, user or host called {text}"
        if reason:
            raise LookupError(reason)
        return found

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
        """Return the bit of a node, 0 when there is none of that name."""
        for place, machine in self.world.machines.items():
            if machine.name == name:
                return 1 << place
        return 0

    def selected(self, selector: Selector) -> int:
        """Return the bits of all that a selector means here, 0 for nothing."""
        universe, world = self.matrix.universe, self.world
        if selector.kind == "any" or selector.autogroup == "danger-all":
            return world.present | world.routed
        if selector.autogroup == "internet":
            return universe.internet if world.exits else 0
        if selector.kind in ("address", "host"):
            return self._addressed(selector)
        return universe.selected(world, selector)

    def _addressed(self, selector: Selector) -> int:
        universe, world = self.matrix.universe, self.world
        addresses = world.policy.hosts.get(selector.text, IntervalSet())
        if selector.kind == "address":
            addresses = prefix(selector.text)
        cells = universe.network(addresses) & world.routed
        for place in range(universe.size, universe.size + len(universe.cells)):
            cell = IntervalSet([universe.cells[place - universe.size]])
            if addresses and world.routed >> place & 1 and addresses <= cell:
                cells |= 1 << place
        found = universe.addressed(self.index, addresses) | cells
        if not found and addresses and world.exits and addresses <= INTERNET:
            return universe.internet  # one place, whatever the address there
        return found


def rests_on(rule: Origin, names: AbstractSet[str]) -> bool:
    """Tell whether a rule holds one of some names, as a selector or a condition."""
    if rule is None:
        return False
    found = {selector.text for selector in (*rule.sources, *targets_of(rule))}
    if isinstance(rule, Rule):
        found.update(rule.unsure)
    return not names.isdisjoint(found)


@dataclass(frozen=True, slots=True)
class Match:
    """A rule held against a question: what fits on each side, and what is missing.

    `missing` names which of source, target and port do not fit; empty for a rule that
    allows the path. `rule` is None for "no policy at all", `opens` the services.
    """

    rule: Origin
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    missing: tuple[str, ...]
    opens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """The answer to "why": `allowed` is for every source and every target asked for.

    `opened` is what of it is allowed, `rules` the rules that allow it. For a clear no,
    `nearest` are the rules that lack only one of source, target and port, `instead` is
    what the source reaches of the target, and `others` who reaches the port of it.
    `notes` say why no rule was asked. `through` are the subnet routers and exit nodes
    that lead to what the rules open.
    """

    allowed: bool
    opened: tuple[Entry, ...] = ()
    rules: tuple[Match, ...] = ()
    nearest: tuple[Match, ...] = ()
    instead: tuple[Entry, ...] = ()
    others: tuple[Entry, ...] = ()
    notes: tuple[str, ...] = ()
    through: tuple[str, ...] = ()


def _nearness(match: Match) -> int:
    """Sort first what has both ends of a path, then what leads to its destination."""
    return ("port", "source", "target").index(match.missing[0])


def _once(matches: Iterable[Match]) -> tuple[Match, ...]:
    """Keep the best match of each rule: the compiler makes several of most."""
    found: dict[str, Match] = {}
    for match in matches:
        known = found.setdefault(str(match.rule), match)
        if match.missing != ("port",) or match is known:
            continue
        if known.missing == match.missing:
            opens = tuple(dict.fromkeys((*known.opens, *match.opens)))
            match = replace(match, opens=opens)
        found[str(match.rule)] = match
    return tuple(found.values())
