"""What was applied last: a commit that a git ref names, and the base of a plan.

The ref moves when an apply ended well and nothing was left out, so that it says: the
server was as the files of this commit. There is no other state.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from reconcile.desired.state import Desired
from reconcile.errors import InputError
from reconcile.git import Checkout, applied_ref, short
from reconcile.plan import Base
from reconcile.text import STDIN, Storage


@dataclass(frozen=True, slots=True)
class LastApply:
    """The full id of the commit that was applied last, "" when there was none.

    `base` is what it wanted, None when that cannot be known; `why_not` says why then.
    """

    commit: str = ""
    base: Base | None = None
    why_not: str = ""


def last_apply(
    checkout: Checkout | None,
    server: str,
    desired: Desired,
    read: Callable[[Storage], Sequence[Desired]],
) -> LastApply:
    """Find what was applied last to a server; never an error.

    `desired` is what the files say now, and `read` reads the same files elsewhere.
    """
    commit = checkout.applied(server) if checkout and _on_disk(desired) else None
    if commit is None or checkout is None:
        return LastApply()
    oid, name = commit.commit, short(commit.commit)
    if oid == checkout.commit and not checkout.edited:
        return LastApply(oid, Base(name, desired))
    with closing(commit):
        if not commit.present:
            return LastApply(
                oid,
                why_not=f"no base: commit {name}, which was applied last, is not in "
                "this clone; git fetch brings it (in a shallow clone with --unshallow)",
            )
        try:
            (then,) = read(commit)
        except InputError as error:
            first = error.diagnostics[0]
            return LastApply(
                oid,
                why_not=f"no base: the files of {name}, which was applied last, "
                f"cannot be read: {first.position}: {first.message}",
            )
    return LastApply(oid, Base(name, then))


def record(
    checkout: Checkout | None, server: str, desired: Desired, last: LastApply
) -> str:
    """Remember that the files were applied to a server; return what became known.

    Nothing is remembered of files that do not stand in a commit. Raises
    ReconcileError when git refuses.
    """
    if checkout is None or checkout.edited or not _on_disk(desired):
        return ""
    if checkout.commit == last.commit:
        return ""
    checkout.record(server)
    return f"{applied_ref(server)} is {checkout.label} now"


def _on_disk(desired: Desired) -> bool:
    return all(path != STDIN for path, _ in desired.files)
