"""Does a plan still hold? Fingerprints of only the objects that it touches."""

from collections.abc import Iterable

from reconcile.errors import StalePlan
from reconcile.plan.changes import Change, State, word
from reconcile.plan.plan import Plan, digest


def fingerprint(change: Change) -> str:
    """Return a digest of the live object that a change touches, as the plan saw it."""
    # What the owner of a node is called says nothing of the node: the id does.
    seen = {name: value for name, value in change.before.items() if name != "user"}
    return "sha256:" + digest([change.server_id, seen])


def require_same(planned: Plan, fresh: Plan) -> None:
    """Raise StalePlan unless everything that `planned` touches is as it was.

    `fresh` is made now from the same files. What else moved on the server in between
    does not matter.
    """
    now = {change.address: change for change in fresh.changes}
    for change in planned.changes:
        current = now.get(change.address)
        if current is None:
            raise StalePlan(
                f"{change.address} is not as it was when this was planned: "
                "the change is not due any more",
                "make a new plan: reconcile plan",
            )
        if (current.kind, current.action) != (change.kind, change.action):
            raise StalePlan(
                f"{change.address}: this plan would {change.action} it, and now a "
                f"plan would {current.action} it",
                "make a new plan: reconcile plan",
            )
        if fingerprint(current) != fingerprint(change):
            raise StalePlan(
                f"{change.address} moved: {_moved(change, current)}",
                "make a new plan: reconcile plan",
            )
        if not _part_of(change, current):
            raise StalePlan(
                f"{change.address} is wanted differently than when this was planned",
                "make a new plan: reconcile plan",
            )


def _part_of(change: Change, current: Change) -> bool:
    """Tell whether a change is the current one, or the part that --target chose."""
    if change.bridge not in ("", current.bridge):
        return False
    if not change.after:
        return not current.after
    return change.after.items() <= current.after.items()


def _moved(planned: Change, current: Change) -> str:
    if planned.server_id != current.server_id:
        return f"it was #{planned.server_id} when planned, is #{current.server_id} now"
    names = planned.before.keys() | current.before.keys()
    return differences(planned.before, current.before, names)


def differences(
    then: State, now: State, names: Iterable[str], when: str = "when planned"
) -> str:
    """Tell how fields of an object were, and are now; "" where none differs."""
    return "; ".join(
        f"{name} was {shown(then.get(name))} {when}, is {shown(now.get(name))} now"
        for name in sorted(names)
        if then.get(name) != now.get(name)
    )


def shown(value: object) -> str:
    """Return a value of a field in a few words."""
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    text = word(value)
    return text if len(text) < 60 and "\n" not in text else f"{len(text)} characters"
