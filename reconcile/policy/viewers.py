"""Who is offered which exit nodes: those whose peer an exit node is.

A rule on an exit node opens nothing to a client that the server does not show the exit
node to. Nodes are peers when a rule leads from one of them to the other, to a network
behind it or, for an exit node, to the internet.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from reconcile.policy.document import Rule, SshRule
from reconcile.policy.rows import Side
from reconcile.policy.targets import Compiled
from reconcile.policy.universe import Exit, Universe, World, bits, merge


def viewers(
    universe: Universe,
    world: World,
    rules: Mapping[int, Compiled],
    sides: Sequence[Side],
) -> dict[int, int]:
    """Return the blocks of exit nodes, each with the sources that see one of them.

    `sides` are the rules of each source, by its bit.
    """
    finder = _Viewers(universe, world, rules, sides)
    found: dict[int, int] = defaultdict(int)
    for each in world.exits:
        found[each.block] |= finder.of(each)
    return dict(found)


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
        itself |= universe.through(universe.internet, exit_.block)
        showing = merge(
            1 << number
            for number, rule in self._rules.items()
            if self._shows(rule, exit_, itself)
        )
        found = 0
        for side, members in self._members.items():
            if side.rules & showing or self._own(side) & itself:
                found |= members
        return found | self._routers_of(found)

    def _shows(self, rule: Compiled, exit_: Exit, itself: int) -> bool:
        if isinstance(rule.origin, Rule) and rule.origin.via:
            tagged = not exit_.machine.tags.isdisjoint(rule.origin.via)
            return tagged and bool(rule.targets & itself)
        reached = self._universe.node(exit_.number)
        reached |= self._universe.behind(exit_.machine)
        return rule.shows or bool(rule.targets & reached)

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
