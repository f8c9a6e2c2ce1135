"""Who is offered which exit nodes: those whose peer an exit node is.

A rule on an exit node opens nothing to a client that the server does not show the exit
node to. Nodes are peers when a rule leads from one of them to the other, to a network
behind it or, for an exit node, to the internet.
"""

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace

from reconcile.policy.access.rows import Side
from reconcile.policy.access.steering import Networks, Steering
from reconcile.policy.access.targets import Compiled, Offered
from reconcile.policy.access.universe import Exit, Universe, World, bits, merge
from reconcile.policy.language.document import SshRule


def offered(
    universe: Universe,
    index: int,
    rules: Mapping[int, Compiled],
    sides: Sequence[Side],
    gone: Container[str] = (),
) -> Iterator[tuple[int, Offered]]:
    """Yield what sources of a world are offered, each by its bit, if it is anything.

    `sides` are the rules of each source, by its bit; `gone` names those that are left
    out of the policy.
    """
    world = universe.worlds[index]
    if any(rule.steered for rule in rules.values()):
        kept = [rule for rule in world.policy.rules or () if str(rule) not in gone]
        policy = replace(world.policy, rules=tuple(kept))
        yield from Steering(universe, index, policy).offered()
        return
    release = world.policy.release
    # Of 0.26 it is not known: there no answer is led back to a network.
    if release.exits_shown_by_internet and not release.routers_stand_for_networks:
        yield from Networks(universe, index, sides).offered()
    if not world.exits:
        return
    finder = _Viewers(universe, world, rules, sides)
    seen: dict[int, int] = defaultdict(int)
    for each in world.exits:
        seen[each.block] |= finder.of(each)
    found: dict[int, int] = defaultdict(int)
    for block, places in seen.items():
        for place in bits(places):
            found[place] |= 1 << block
    for place, blocks in found.items():
        yield place, Offered(blocks)


class _Viewers:
    """Finds the peers of exit nodes in one world."""

    def __init__(
        self,
        universe: Universe,
        world: World,
        rules: Mapping[int, Compiled],
        sides: Sequence[Side],
    ) -> None:
        self._universe = universe
        self._world = world
        self._rules = {
            number: rule
            for number, rule in rules.items()
            if not isinstance(rule.origin, SshRule)
        }
        own = (1 << number for number, rule in self._rules.items() if rule.own)
        self._to_own = merge(own)  # rules of `autogroup:self`, those of SSH left out
        self._members: dict[Side, int] = defaultdict(int)
        for place, side in enumerate(sides):
            if side.rules:
                self._members[side] |= 1 << place
        self._networks = [
            (universe.node(number), universe.behind(machine))
            for number, machine in world.machines.items()
            if machine.subnets
        ]

    def of(self, exit_: Exit) -> int:
        """Return the nodes that may choose an exit node.

        It is shown to them, and none of them offers itself as one: clients refuse to do
        both. What is behind a subnet router chooses none.
        """
        nodes, _ = self._universe.split(self._let_in(exit_))
        numbers = self._universe.nodes(nodes | self._reached_from(exit_))
        return self._universe.both(numbers) & self._world.choosing

    def _let_in(self, exit_: Exit) -> int:
        """Return the sources of rules that lead to an exit node."""
        universe = self._universe
        itself = universe.node(exit_.number) | universe.behind(exit_.machine)
        showing = merge(
            1 << number
            for number, rule in self._rules.items()
            if rule.shows or rule.targets & itself
        )
        found = 0
        for side, members in self._members.items():
            if side.rules & showing or self._own(side) & itself:
                found |= members
        return found | self._routers_of(found)

    def _reached_from(self, exit_: Exit) -> int:
        """Return what an exit node may reach itself: peers are so both ways."""
        itself = self._universe.node(exit_.number)
        if self._world.policy.release.routers_stand_for_networks:
            itself |= self._universe.behind(exit_.machine)
        sides = [side for side, members in self._members.items() if members & itself]
        rules = [
            self._rules[number]
            for number in bits(merge(side.rules for side in sides))
            if number in self._rules
        ]
        found = merge(rule.targets for rule in rules)
        found |= merge(map(self._own, sides))
        found &= self._universe.visible
        for node, behind in self._networks:
            if behind & found:
                found |= node
        if any(rule.shows for rule in rules):
            found |= merge(self._universe.node(e.number) for e in self._world.exits)
        return found & self._world.present

    def _own(self, side: Side) -> int:
        """Return the devices of their user that sources may reach as such."""
        if not side.rules & self._to_own:
            return 0
        return self._world.owners.get(side.owner or "", 0)

    def _routers_of(self, sources: int) -> int:
        """Return the routers that stand for networks among some sources."""
        if not self._world.policy.release.routers_stand_for_networks:
            return 0
        return merge(node for node, behind in self._networks if behind & sources)
