"""Make before break: which policy is in force while nodes change their tags.

Renaming a tag on thirty nodes takes a policy that knows the new name, thirty writes,
and a policy without the old name. With one policy write, either the nodes that come
last or those that come first would lose their access for a while.
"""

from collections.abc import Iterable
from dataclasses import replace

from reconcile.diff.changes import Change
from reconcile.errors import InputError
from reconcile.hujson import parse
from reconcile.policy.render import render
from reconcile.policy.union import union

_HEADER = (
    "Old and new rules together, while nodes change their tags; written by reconcile"
)


def with_bridge(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Give the policy change a bridge where tags move while rules go away."""
    changes = tuple(changes)
    retagged = any(c.kind == "node" and "tags" in c.after for c in changes)
    if not retagged:
        return changes
    return tuple(
        replace(change, bridge=_bridge(change)) if _takes_away(change) else change
        for change in changes
    )


def _takes_away(change: Change) -> bool:
    return change.policy is not None and any(
        item.op == "remove" or (item.op == "change" and item.effect != "widen")
        for item in change.policy.items
    )


def _bridge(change: Change) -> str:
    """Return the text that allows what either policy allows, "" where none does."""
    try:
        before = parse(change.before["text"]).value
        merged = union(before, parse(change.after["text"]).value)
    except (InputError, KeyError, AttributeError, TypeError):
        return ""
    return render(merged, [_HEADER]) if merged else ""
