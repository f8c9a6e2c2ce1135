"""Make before break: which policy is in force while nodes change their tags.

Renaming a tag on thirty nodes takes a policy that knows the new name, thirty writes,
and a policy without the old name. With one policy write, either the nodes that come
last or those that come first would lose their access for a while.
"""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256

from reconcile.errors import InputError
from reconcile.plan.changes import Change
from reconcile.policy.language.render import render
from reconcile.policy.language.union import union
from reconcile.source.hujson import parse

_HEADER = (
    "Old and new rules together, while nodes change their tags; written by reconcile"
)
_DIGEST = "The next apply replaces it. Digest of the rest: "


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
    if not merged:
        return ""
    return render(merged, [_HEADER, f"{_DIGEST}{_digest(render(merged))}"])


def is_bridge(text: str | None) -> bool:
    """Tell whether a policy is one of ours between two writes, as it was written.

    An apply that was cut off leaves it on the server, and nobody else wants it there.
    One that somebody edited since is theirs: its digest does not fit any more.
    """
    header, _, rest = (text or "").partition("\n")
    said, _, body = rest.partition("\n")
    return header == f"// {_HEADER}" and said == f"// {_DIGEST}{_digest(body)}"


def _digest(body: str) -> str:
    return sha256(body.encode()).hexdigest()[:16]
