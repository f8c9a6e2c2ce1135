"""What a plan means: access, tests, assertions, and what lint finds, added to it."""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reconcile.desired.accepts import sift
from reconcile.desired.state import Desired, WantedNode
from reconcile.errors import Diagnostic, ServerError
from reconcile.live.own_node import own_node
from reconcile.model import Live, Node
from reconcile.plan.changes import Change
from reconcile.plan.plan import Plan
from reconcile.policy.language.words import plural
from reconcile.review.access import Effect, Sides, moves_access, of_sides, sides
from reconcile.review.after import opens_something

if TYPE_CHECKING:
    from reconcile.review.tests import Checks


@dataclass(frozen=True, slots=True)
class Review:
    """Tells what the plans of one desired state mean.

    `more` reads kinds that a plan did not need. `far` says that the server is another
    program, so that this one may run on a node of its tailnet.
    """

    desired: Desired
    more: Callable[[AbstractSet[str]], Live]
    far: bool = False

    def judged(self, plan: Plan) -> Plan:
        """Add what the changes do, as `_judged` says, without accepted warnings."""
        return self.sifted(self._judged(plan))

    def sifted(self, plan: Plan) -> Plan:
        """Take out the warnings that the files accept, and count them."""
        sifted = sift(plan.diagnostics, self.desired.accepts)
        if not sifted.accepted:
            return plan
        note = f"{plural(sifted.accepted, 'warning')} accepted in the files"
        return replace(plan, diagnostics=sifted.left, notes=(*plan.notes, note))

    def holding(self, live: Live) -> "Checks | None":
        """Hold the assertions against a state as it is.

        None where the files assert nothing.
        """
        if not self.desired.asserts:
            return None
        from reconcile.review import tests

        asserts, both = self.desired.asserts, self._sides(live, ())
        if both.after is None:
            return tests.unchecked(asserts, both.failure)
        return tests.run(both.after, asserts, tests=False)

    def _judged(self, plan: Plan) -> Plan:
        """Add what the changes do to access, and whether tests and assertions hold.

        They hold, or not, in the state that the plan was made from with its changes
        made. Each that does not is an error of the plan.
        """
        asserts, waiting = self.desired.asserts, self._waiting(plan)
        moved = moves_access(plan.changes, plan.state) and self._really(plan)
        if not (asserts or moved or waiting):
            return plan
        from reconcile.review import tests

        both = self._sides(plan.state, plan.changes, waiting)
        effect = Effect()
        if moved or waiting:
            effect = of_sides(both, plan.changes, runner=self._runner(both))
        if moved or effect.later:
            found = (*plan.diagnostics, *self._said(both))
            plan = replace(plan, access=effect, diagnostics=found)
        if both.after is None:
            done = tests.unchecked(asserts, both.failure)
        else:
            done = tests.run(both.after, asserts, tests=moved)
        if not done.all:
            return plan
        return replace(
            plan,
            checks=done,
            notes=(*plan.notes, *done.remarks),
            diagnostics=(*plan.diagnostics, *tests.findings(done)),
        )

    def _waiting(self, plan: Plan) -> list[WantedNode]:
        """Return the entries that are new and can open something once a node joins."""
        new = {p.address for p in plan.pending if not p.origin.moved}
        return [
            entry
            for entry in (self.desired.nodes or {}).values()
            if f"node:{entry.name}" in new and opens_something(entry.settings)
        ]

    def _really(self, plan: Plan) -> bool:
        """Tell whether changes can move access, once the policy is known as well."""
        try:
            return moves_access(plan.changes, self._with(plan.state, {"policy"}))
        except ServerError:
            return True  # what is missing then is told where access is

    def _said(self, both: Sides) -> Iterator[Diagnostic]:
        """Yield what the server refuses in a policy to be written, and what is odd."""
        yield from both.refused
        if both.before and both.after:
            from reconcile.review.lint import brought

            yield from brought(both.before, both.after, self.desired)

    def _sides(
        self,
        live: Live,
        changes: Sequence[Change],
        waiting: Sequence[WantedNode] = (),
    ) -> Sides:
        """Return a state before and after changes; what is missing is read."""
        try:
            live = self._with(live, {"user", "node", "policy"})
        except ServerError as error:
            return Sides(failure=str(error))
        return sides(self.desired, live, changes, waiting)

    def _with(self, live: Live, kinds: AbstractSet[str]) -> Live:
        """Return a state with these kinds too, read where they are missing."""
        known = {"user": live.users, "node": live.nodes, "policy": live.policy}
        missing = frozenset(kind for kind in kinds if known[kind] is None)
        if not missing:
            return live
        rest = self.more(missing)
        found = {f: getattr(rest, f) for f in ("users", "nodes", "policy")}
        return replace(live, **{f: v for f, v in found.items() if v is not None})

    def _runner(self, both: Sides) -> Node | None:
        """Return the node that this program runs on, when that can be known."""
        if not self.far or both.before is None:
            return None
        return own_node(machine.node for machine in both.before.tailnet.machines)
