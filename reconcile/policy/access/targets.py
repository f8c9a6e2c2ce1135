"""Destinations of rules as bits: what servers keep of a rule, and on which node.

A server gives each node the destinations that concern it, and gives them whole. So a
destination may open more than the node that it was kept for: an exit node that is kept
for one address of a network lets the rest of the network through as well.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from reconcile.policy.access.universe import (
    Exit,
    Universe,
    World,
    bits,
    is_exit,
    merge,
)
from reconcile.policy.language.document import Origin
from reconcile.policy.language.selectors import LITERAL, SELF, Selector
from reconcile.policy.language.sets import EVERYTHING, IntervalSet
from reconcile.policy.meaning.resolve import INTERNET, is_internet
from reconcile.policy.meaning.tailnet import Machine


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rule as bits.

    `origin` is None for "no policy at all". Of `own` rules (`autogroup:self`) each
    source reaches the nodes of its own user. A rule that `shows` exit nodes makes them
    peers of its sources, as one to `autogroup:internet` does. With `via` it is
    `steered` through nodes: their numbers, each with what its filter lets through.
    """

    origin: Origin
    atoms: int
    targets: int
    own: bool = False
    shows: bool = False
    steered: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Offered:
    """What a server offers to some sources.

    `blocks` are those of the exit nodes that it shows to them, and `ways` what they
    send through each node that a grant steers through, by its number. `limit` is where
    a network gets at all by the router before it.
    """

    blocks: int = 0
    ways: tuple[tuple[int, int], ...] = ()
    limit: int = -1

    def reached(self, universe: Universe, rule: Compiled) -> int:
        """Return where a rule lets the sources arrive, but at their own nodes."""
        if not rule.steered:
            return self.arriving(universe, rule.targets)
        sent = dict(self.ways)
        return merge(there & sent.get(number, 0) for number, there in rule.steered)

    def arriving(self, universe: Universe, targets: int) -> int:
        """Return where the sources arrive of what rules let them reach."""
        return universe.arriving(targets, self.blocks) & self.limit


NOTHING = Offered()


class Targets:
    """Turns destinations into bits in one world."""

    def __init__(self, universe: Universe, index: int, world: World) -> None:
        self._universe = universe
        self._index = index
        self._world = world
        self._known: dict[Selector, int] = {}

    @property
    def inside(self) -> int:
        """All that is not behind exit nodes."""
        return self._world.present | self._world.routed

    @property
    def all(self) -> int:
        """Everything, what is behind exit nodes included."""
        return self.inside | merge(
            self._universe.through(self._universe.internet, each.block)
            for each in self._world.exits
        )

    def of(self, selectors: Iterable[Selector]) -> int:
        """Return what destinations mean; `autogroup:self` differs by the source."""
        return merge(self._target(s) for s in selectors if s.text != SELF)

    def is_internet(self, selectors: Iterable[Selector]) -> bool:
        """Tell whether a rule with these destinations shows exit nodes to its sources.

        Seen on clients: all releases but 0.26 compare the destinations of a whole rule
        with the internet.
        """
        release, resolver = self._world.policy.release, self._world.resolver
        chosen = list(selectors)
        if not release.exits_shown_by_internet:
            return bool(chosen)
        if all(s.autogroup != "internet" and not s.by_address for s in chosen):
            return False
        meant = IntervalSet.union(t for s in chosen for t in resolver.targets(s))
        return is_internet(meant, release)

    def _target(self, selector: Selector) -> int:
        if selector not in self._known:
            self._known[selector] = self._find(selector)
        return self._known[selector]

    def _find(self, selector: Selector) -> int:
        universe, world = self._universe, self._world
        if not selector.by_address and selector.autogroup != "internet":
            return universe.selected(world, selector)
        entries = world.resolver.targets(selector)
        meant = IntervalSet.union(entries)
        if meant == EVERYTHING:
            return self.all
        cells = universe.network(meant)
        found = universe.addressed(self._index, meant) | cells & world.routed
        if cells & universe.internet:
            found |= merge(self._kept(entries, each) for each in world.exits)
        return found

    def _kept(self, entries: Iterable[IntervalSet], exit_: Exit) -> int:
        """Return what the entries that an exit node is given open behind it."""
        cells = merge(
            self._universe.network(entry)
            for entry in entries
            if self._concerns(entry, exit_.machine)
        )
        return self._universe.through(cells, exit_.block)

    def _concerns(self, entry: IntervalSet, machine: Machine) -> bool:
        """Tell whether a server gives an entry to an exit node.

        Up to 0.28 the exit routes count among the routes that a node advertises.
        """
        inner = entry <= INTERNET
        if inner and (entry == INTERNET or self._world.policy.release.literal_exits):
            return True
        return machine.matches(entry)

    # Grants with `via`.

    def steered(
        self, selectors: Iterable[Selector], via: Sequence[str]
    ) -> Iterator[tuple[int, int]]:
        """Yield the nodes with one of some tags, and what each lets through."""
        chosen = list(selectors)
        for number in bits(self._tagged(via)):
            machine = self._world.machines[number]
            found = merge(self._through(number, machine, each) for each in chosen)
            if found:
                yield number, found

    def _tagged(self, via: Sequence[str]) -> int:
        tags = self._world.tags
        return self._universe.nodes(merge(tags.get(tag, 0) for tag in via))

    def _through(self, number: int, machine: Machine, selector: Selector) -> int:
        """Return what a router lets through: itself, its networks, the internet.

        It keeps the destinations that overlap its routes, as they are written.
        """
        universe = self._universe
        leading = universe.leading(self._world, number)
        if selector.autogroup == "internet":
            return universe.internet & leading if is_exit(machine) else 0
        if selector.kind not in (*LITERAL, "any"):
            return 0
        granted = self._world.resolver.granted(selector)
        meant = IntervalSet.union(e for e in granted if machine.routes_to(e))
        itself = universe.addressed(self._index, meant & machine.addresses)
        return itself | universe.network(meant) & leading
