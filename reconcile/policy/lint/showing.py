"""Rules that show exit nodes: without one of them somebody may lose a way out.

A rule that opens nothing, or nothing else, can still make two nodes peers, and who is a
peer of an exit node may use it for what other rules open there.
"""

from functools import cached_property

from reconcile.policy.matrix import Matrix
from reconcile.policy.rows import NOWHERE, Side
from reconcile.policy.universe import bits, merge
from reconcile.policy.viewers import viewers


class Showing:
    """Tells whether rules of one world can go without hiding an exit node.

    It remembers the rules that can: two that show the same may go one at a time only.
    """

    def __init__(self, matrix: Matrix, index: int) -> None:
        self._matrix = matrix
        self._index = index
        self._world = matrix.worlds[index]
        self._rules = matrix.rules[index]
        self._gone = 0

    def is_needed(self, numbers: int) -> bool:
        """Tell whether some compiled rules, given as a set, show an exit node.

        That is one to which other rules lead.
        """
        if not self._world.exits or not numbers & self._showing:
            return False
        if self._loses(self._gone | numbers):
            return True
        self._gone |= numbers
        return False

    def _loses(self, gone: int) -> bool:
        """Tell whether rules that stay open something behind an exit node in vain."""
        universe, left = self._matrix.universe, self._shown(gone)
        return any(
            self._rules[number].targets & universe.through(universe.internet, block)
            for block, seen in self._all_shown.items()
            for place in bits(seen & ~left[block])
            for number in bits(self._sides[place].rules & ~gone)
        )

    @cached_property
    def _sides(self) -> list[Side]:
        universe = self._matrix.universe
        found = [NOWHERE] * (universe.first_cell + len(universe.cells))
        for row in self._matrix.rows:
            for place in bits(row.members):
                found[place] = row.sides[self._index]
        return found

    @cached_property
    def _all_shown(self) -> dict[int, int]:
        return self._shown(0)

    @cached_property
    def _showing(self) -> int:
        """The rules that lead to an exit node, or from it."""
        universe = self._matrix.universe
        exits = merge(
            universe.node(each.number) | universe.behind(each.machine)
            for each in self._world.exits
        )
        leading = merge(
            1 << number
            for number, rule in self._rules.items()
            if rule.shows or rule.own or rule.targets & (exits | ~universe.visible)
        )
        return leading | merge(self._sides[place].rules for place in bits(exits))

    def _shown(self, gone: int) -> dict[int, int]:
        """Return who is shown which exit nodes without some rules."""
        left = {n: rule for n, rule in self._rules.items() if not gone >> n & 1}
        known = {id(side): side.without(gone) for side in self._sides}
        sides = [known[id(side)] for side in self._sides]
        return viewers(self._matrix.universe, self._world, left, sides)
