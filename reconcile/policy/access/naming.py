"""Naming sets of nodes and networks with the words that people use.

Names are those of the rule, then those of the question, then those of the file, and
last those of users, nodes and networks. A name is given only where all that it means in
the state at hand is in the set, and all names together mean the set: no more, no less.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from reconcile.model import natural
from reconcile.policy.access.counts import Things
from reconcile.policy.access.matrix import Matrix
from reconcile.policy.access.universe import World, bits, merge
from reconcile.policy.language.selectors import LITERAL, Selector, parse
from reconcile.policy.language.sets import V6, IntervalSet, prefixes
from reconcile.policy.language.words import EVERYTHING, NODE, RESERVED, USER, Size

INTERNET = "autogroup:internet"


Groups = tuple[tuple[str, int], ...]  # names, each with the set that it means


@dataclass(frozen=True, slots=True)
class Line:
    """The names of both sides of a line, and what they stand for.

    `family` is `IPv4` or `IPv6` where only that is reached although both ends have
    both, and no name says so by itself; else "". `groups` are the names of each side
    that stand for more than themselves, with what they stand for.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    members: int
    reached: int
    family: str = ""
    groups: tuple[Groups, Groups] = ((), ())


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a line: its set, and what to name it with.

    `hints` are the selectors of the rule, or of the question. `apart` are nodes that go
    by their own names. `itself` is the only source of the line: a name for destinations
    may hold it besides, since a node that reaches itself is no path.
    """

    members: int
    hints: tuple[Selector, ...] = ()
    apart: int = 0
    itself: int = 0
    sending: bool = False


class Naming:
    """Names sets of bits in one world of a matrix.

    `other` is the state on the other side of a change, if there is one: a name that
    gained some nodes and lost others says nothing of the change, and is not used.
    """

    def __init__(
        self, matrix: Matrix, world: World, other: World | None = None
    ) -> None:
        self._universe = matrix.universe
        self._index = matrix.worlds.index(world)
        self._matrix = matrix
        self._world = world
        self._other = matrix.worlds.index(other) if other else None
        self._meanings: dict[Selector, int] = {}
        self._nodes: dict[int, str] = {}
        self._covers: dict[tuple[int, int, int], list[_Name]] = {}

    # Lines.

    def lines(self, sources: Side, targets: Side) -> Iterator["Line"]:
        """Yield a line, or one for each address family where they differ."""
        for only, mask, members, everything in self._families(sources, targets):
            reached = everything & ~self._universe.single(members)
            if not reached:  # what is left of a line may be a way to itself
                continue
            there = list(self._found(replace(sources, members=members), mask))
            here = list(self._found(replace(targets, members=reached), mask))
            family = only if self._says_more(there, here, mask) else ""
            if family:
                fewer = len(here) <= len(there)
                there = there if fewer else list(self._addressed(members))
                here = list(self._addressed(reached)) if fewer else here
            names = tuple(map(str, there)), tuple(map(str, here))
            groups = _groups(there, mask), _groups(here, mask)
            yield Line(*names, members, reached, family, groups)

    def _says_more(
        self, sources: Iterable["_Name"], targets: Iterable["_Name"], mask: int
    ) -> bool:
        """Tell whether names read as if the other address family were open too."""
        there = merge(name.meant for name in sources)
        here = merge(name.meant for name in targets)
        return any(not each & mask for _, each, _, _ in self._ends(there, here))

    def gone(self, sources: Side, targets: Side) -> Line:
        """Return the line of sources that are gone, whatever they reached."""
        names = map(str, self._singly(sources.members))
        return Line(tuple(names), (), sources.members, targets.members)

    def _families(
        self, sources: Side, targets: Side
    ) -> Iterator[tuple[str, int, int, int]]:
        """Yield what is reached in both address families at once, or else in each.

        At once is: as people expect who read the name of a node that has both.
        """
        found = self._ends(sources.members, targets.members)
        members = merge(members for _, _, members, _ in found)
        reached = merge(reached for _, _, _, reached in found)
        if found == self._ends(self._whole(members), self._whole(reached)):
            only = found[0][0] if len(found) == 1 else ""
            mask = merge(mask for _, mask, _, _ in found)
            found = [(only, mask, members, reached)]
        yield from found

    def _ends(self, members: int, targets: int) -> list[tuple[str, int, int, int]]:
        masks = zip(("IPv4", "IPv6"), self._universe.families, strict=True)
        ends = [(word, mask, members & mask, targets & mask) for word, mask in masks]
        return [each for each in ends if each[2] and each[3]]

    def _whole(self, members: int) -> int:
        """Return a set with both addresses of each of its nodes."""
        both = self._universe.both(self._universe.nodes(members))
        return members | both & self._present

    @cached_property
    def _present(self) -> int:
        """The addresses of all nodes, on both sides of a change."""
        return merge(world.present for world in self._matrix.worlds)

    def names(self, members: int, hints: Iterable[Selector] = ()) -> list[str]:
        """Return the names of a set."""
        return list(map(str, self._found(Side(members, tuple(hints)), -1)))

    def behind(self, groups: Groups) -> dict[str, tuple[str, ...]]:
        """Return the nodes and networks behind each name, but for those of one node."""
        found: dict[str, tuple[str, ...]] = {}
        for text, meant in groups:
            names = tuple(map(str, self._singly(meant)))
            if self._universe.split(meant)[0] and names != (text,):
                found[text] = names
        return found

    # Sets.

    def _found(self, side: Side, mask: int) -> Iterator["_Name"]:
        """Name a set; of what a name means only what is in the mask counts."""
        alone = side.members & side.apart
        whole = None if alone == side.members else self._one_word(side, mask)
        if whole:
            yield whole
            return
        yield from self._singly(alone, mask)
        rest = side.members & ~alone
        allowed = (rest | side.itself) & mask
        for hint in side.hints:
            meant = self._means(hint) & mask
            if meant & rest and not meant & ~allowed:
                yield self._word(hint)
                rest &= ~meant
        yield from self._cover(rest, allowed, mask)

    def _one_word(self, side: Side, mask: int) -> "_Name | None":
        """Return the one word of the rule for the whole of a set, if there is one."""
        alike = side.members, side.members | side.itself
        for hint in side.hints:
            if self._means(hint) & mask in alike:
                return self._word(hint)
        return self._everything if self._is_all(side, mask) else None

    @cached_property
    def _everything(self) -> "_Name":
        world = self._world
        whole = world.present | world.routed | self._universe.public(world)
        return _Name(EVERYTHING, whole)

    def _is_all(self, side: Side, mask: int) -> bool:
        """Tell whether a set is everything, and a rule says so."""
        if not any(hint.kind == "any" for hint in side.hints):
            return False
        whole = self._world.present | self._world.routed
        if not side.sending:  # the internet sends nothing
            whole |= self._universe.public(self._world)
        return whole & mask in (side.members, side.members | side.itself)

    def _means(self, selector: Selector) -> int:
        """Return what a selector means here; 0 where it must not be used."""
        if selector not in self._meanings:
            meaning = self._universe.meaning
            found = meaning(selector, self._index) if selector.kind != "any" else 0
            if selector.autogroup == "internet" and found != self._universe.internet:
                found = 0  # exit nodes lead to one address family of it alone
            if selector.kind in LITERAL and not self._is_literal(selector):
                found = 0
            elif self._other is not None:
                was = meaning(selector, self._other)
                if was & ~found and found & ~was:
                    found = 0
            self._meanings[selector] = found
        return self._meanings[selector]

    def _is_literal(self, selector: Selector) -> bool:
        """Tell whether an address means itself alone, and all of it is served.

        Some releases take the other address of a node for meant as well.
        """
        addresses = self._world.resolver.sources(selector)
        written = self._world.resolver.written(selector)
        return addresses == written and not self._universe.unserved(
            addresses, self._index
        )

    def _word(self, selector: Selector) -> "_Name":
        text = selector.text
        if selector.kind == "user":
            owners = self._world.resolver.owners(selector)
            (owner,) = owners
            return _Name(self._user(owner), self._world.owners.get(owner, 0))
        if selector.kind == "host":
            addresses = self._world.policy.hosts.get(text, IntervalSet())
            text = f"{text} ({', '.join(prefixes(addresses))})"
        return _Name(text, self._means(selector))

    def _user(self, owner: str) -> str:
        """Return what a user is called, so that it is taken for no other word."""
        name = self._world.tailnet.label(owner)
        return f"{USER}{name}" if name in RESERVED or ":" in name else name

    def _cover(self, rest: int, allowed: int, mask: int) -> list["_Name"]:
        """Name what no word of the rule means: by sets of the file, users, nodes."""
        key = rest, allowed, mask
        if key not in self._covers:
            self._covers[key] = list(self._covered(*key)) if rest else []
        return self._covers[key]

    def _covered(self, rest: int, allowed: int, mask: int) -> Iterator["_Name"]:
        exact = next((name for name, meant in self._file if meant & mask == rest), None)
        if exact:
            yield exact
            return
        for name, meant in self._file:
            found = meant & mask
            if found & ~allowed or not found & rest:
                continue
            if self._universe.nodes(found & rest).bit_count() > 1:
                yield name
                rest &= ~found
        for owner in self._owners_of(rest):
            meant = self._world.owners[owner]
            if not meant & mask & ~allowed:
                yield _Name(self._user(owner), meant)
                rest &= ~(meant & mask)
        yield from self._singly(rest, mask)

    def _owners_of(self, places: int) -> list[str]:
        """Return the users of nodes, in the order of the nodes."""
        machines = self._world.machines
        numbers = bits(self._universe.nodes(self._universe.split(places)[0]))
        owners = (machines[n].owner for n in numbers if n in machines)
        return [owner for owner in dict.fromkeys(owners) if owner]

    @cached_property
    def _file(self) -> list[tuple["_Name", int]]:
        """The sets that the policy declares: tags and groups, the largest first."""
        policy = self._world.policy
        selectors = [Selector("group", name) for name in policy.groups]
        selectors += [
            Selector("tag", name) for name in sorted(self._world.tags, key=natural)
        ]
        found = [(self._word(s), self._means(s)) for s in selectors]
        return sorted((f for f in found if f[1]), key=lambda f: -f[1].bit_count())

    def _singly(self, members: int, mask: int = -1) -> Iterator["_Name"]:
        """Yield the names of a set node by node, then its networks."""
        nodes, cells = self._universe.split(members)
        universe = self._universe
        numbers = sorted(
            bits(universe.nodes(nodes)), key=lambda n: natural(self.node(n))
        )
        for number in numbers:
            yield _Name(self.node(number), universe.node(number) & self._present)
        yield from self._networks(cells, mask)

    def _addressed(self, members: int) -> Iterator["_Name"]:
        """Yield nodes with the one address that is meant: `node:nas (100.64.0.3)`."""
        nodes, cells = self._universe.split(members)
        machines = {
            self.node(number): self._world.machines[number]
            for number in bits(self._universe.nodes(nodes))
        }
        sixth = nodes >> self._universe.size > 0
        for name in sorted(machines, key=natural):
            own = [n for n in machines[name].numbers if (n >= V6) is sixth]
            addresses = ", ".join(prefixes(IntervalSet((n, n) for n in own)))
            yield _Name(f"{name} ({addresses})")
        yield from self._networks(cells)

    def node(self, number: int) -> str:
        """Return the name of a node: `node:nas`."""
        if number not in self._nodes:
            worlds = (self._world, *reversed(self._matrix.worlds))
            known = (world.machines.get(number) for world in worlds)
            self._nodes[number] = f"{NODE}{next(filter(None, known)).name}"
        return self._nodes[number]

    def _networks(self, cells: int, mask: int = -1) -> Iterator["_Name"]:
        """Yield the addresses of cells; what a host stands for goes by its name."""
        internet = self._means(parse(INTERNET)) & mask
        if internet and not internet & ~cells:
            yield _Name(INTERNET, self._universe.public(self._world))
            cells &= ~internet
        if not cells:
            return
        addresses = self._universe.addresses(cells)
        for name, meant in self._world.policy.hosts.items():
            if meant == addresses:
                yield self._word(Selector("host", name))
                return
        for text in prefixes(addresses):
            yield _Name(text)

    # Counts.

    def size(self, members: int) -> Size:
        """Count the nodes and the networks in a set, however rules cut it up."""
        return self._things.size(members)

    @cached_property
    def _things(self) -> Things:
        return Things(self._universe, self._world)


def _groups(names: Iterable["_Name"], mask: int) -> Groups:
    return tuple((name.text, name.meant & mask) for name in names if name.meant & mask)


@dataclass(frozen=True, slots=True)
class _Name:
    """A name, and what people take it for; addresses need not say that."""

    text: str
    meant: int = 0

    def __str__(self) -> str:
        return self.text
