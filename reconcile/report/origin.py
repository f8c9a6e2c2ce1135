"""Words for who moved since the last apply: the files, the server, or both."""

from collections.abc import Sequence

from reconcile.plan.changes import Action, Change, Origin, word
from reconcile.report.safe import safe


def of_object(change: Change, base: str) -> list[str]:
    """Return the remark on an object that moved as a whole; none for an intent."""
    match change.origin:
        case Origin.DRIFT:
            return [_drift(base)]
        case Origin.CONFLICT if change.action is Action.CREATE:
            return [f"conflict: removed on the server and edited here since {base}"]
        case Origin.CONFLICT:
            return [f"conflict: changed here and on the server since {base}"]
    return []


def with_field(note: str, change: Change, name: str, base: str) -> str:
    """Return the note on a field together with the remark on its origin."""
    match change.origin_of(name):
        case Origin.DRIFT:
            return f"{note} ({_drift(base)})".lstrip()
        case Origin.CONFLICT:
            values = (
                f"conflict: the file says {word(change.after[name])}, "
                f"the server {word(change.before.get(name))}, "
                f"{base} said {word(change.applied.get(name))}"
            )
            return f"{note}; {values}" if note else values
    return note


def _drift(base: str) -> str:
    return f"drift: changed on the server since {base}"


def meanwhile(change: Change, name: str) -> str:
    """Return what the file says of a field that moved on the server as well."""
    if change.origin_of(name) is not Origin.CONFLICT:
        return ""
    return f"conflict: the file says {word(change.after[name])} now"


def decision(conflicts: Sequence[str]) -> str:
    """Return two lines on conflicts: what they are, and the ways out of them."""
    listed = ", ".join(map(safe, conflicts))
    number = f"{len(conflicts)} conflict{'s' * (len(conflicts) > 1)}"
    return f"{number}, changed here and on the server: {listed}.\n  {WAYS_OUT}"


WAYS_OUT = (
    "The file wins: reconcile apply --ours. The server keeps its own: reconcile apply "
    "--theirs. Or commit what the server has."
)
