"""What the server changes of nodes by itself when a plan is made, under the nodes."""

from collections.abc import Iterator

from reconcile.plan.changes import Change
from reconcile.plan.plan import Plan
from reconcile.report.line import Line
from reconcile.review.after import SetOff

_BY = "by autoApprovers, with the policy"


class Besides:
    """The lines for each node, taken out as they are drawn."""

    def __init__(self, plan: Plan, kind: str) -> None:
        self._left: dict[str, list[SetOff]] = {}
        found = plan.access.set_off if plan.access and kind == "node" else ()
        for one in found:
            self._left.setdefault(one.server_id, []).append(one)

    def of(self, change: Change) -> Iterator[Line]:
        """Yield the lines that belong under a change of a node."""
        yield from map(_line, self._left.pop(change.server_id, ()))

    def rest(self) -> Iterator[Line]:
        """Yield the lines of the nodes that the plan does not change itself."""
        for number, those in self._left.items():
            address = f"{those[0].address} (#{number})"
            yield Line("", address, "changed by the server itself")
            yield from map(_line, those)
        self._left.clear()


def _line(one: SetOff) -> Line:
    sign, shown = "+", f"{'routes':<11} {', '.join(one.routes)}"
    if one.exit_node:
        sign, shown = "~", f"{'exit node':<11} no -> yes"
    return Line(sign, shown, _BY, one.position, depth=1)
