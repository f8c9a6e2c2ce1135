"""Rules that show exit nodes: without one of them somebody may lose a way out.

A rule that opens nothing, or nothing else, can still make two nodes peers, and who is a
peer of an exit node may use it for what other rules open there.
"""

from functools import cached_property

from reconcile.policy.access.matrix import Matrix
from reconcile.policy.access.rows import NOWHERE, Side
from reconcile.policy.access.targets import NOTHING, Offered
from reconcile.policy.access.universe import bits, merge
from reconcile.policy.access.viewers import offered


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
        if not numbers & self._showing:
            return False
        if self._loses(self._gone | numbers):
            return True
        self._gone |= numbers
        return False

    def _loses(self, gone: int) -> bool:
        """Tell whether rules that stay lead to where somebody is no longer let go."""
        left = self._offered(gone)
        return any(
            self._opens_more(number, before, left.get(place, NOTHING))
            for place, before in self._whole.items()
            if left.get(place) != before
            for number in bits(self._sides[place].rules & ~gone)
        )

    def _opens_more(self, number: int, before: Offered, after: Offered) -> bool:
        rule, universe = self._rules[number], self._matrix.universe
        return bool(before.reached(universe, rule) & ~after.reached(universe, rule))

    @cached_property
    def _sides(self) -> list[Side]:
        universe = self._matrix.universe
        found = [NOWHERE] * (universe.first_cell + len(universe.cells))
        for row in self._matrix.rows:
            for place in bits(row.members):
                found[place] = row.sides[self._index]
        return found

    @cached_property
    def _whole(self) -> dict[int, Offered]:
        return self._offered(0)

    @cached_property
    def _showing(self) -> int:
        """The rules that lead to an exit node, or from it; beside `via` all do."""
        if any(rule.steered for rule in self._rules.values()):
            return -1
        if not self._world.exits:
            return 0
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

    def _offered(self, gone: int) -> dict[int, Offered]:
        """Return what sources are offered without some rules, each by its bit."""
        left = {n: rule for n, rule in self._rules.items() if not gone >> n & 1}
        stay = {str(rule.origin) for rule in left.values()}
        away = {str(rule.origin) for rule in self._rules.values()} - stay
        known = {id(side): side.without(gone) for side in self._sides}
        sides = [known[id(side)] for side in self._sides]
        found = offered(self._matrix.universe, self._index, left, sides, away)
        return dict(found)
