"""What was applied last: a commit that a git ref names, and the base of a plan.

The ref moves when an apply ended well and nothing was left out, so that it says: the
server was as the files of this commit. There is no other state.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from reconcile.desired.servers import SIMULATOR, default_name
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


@dataclass(frozen=True, slots=True)
class Known:
    """Under which name a server's last apply is kept.

    `identity` is what the server is: host, port and path, or the place of its world.
    `former` is the name of an earlier version, "" for none; `own` tells that no other
    server can have had that name.
    """

    identity: str
    former: str = ""
    own: bool = False


def known_as(url: str, name: str, top: str | None) -> Known:
    """Return under which name the last apply to a server is kept.

    `name` is what the files call it, `top` the folder of the repository.
    """
    identity = _identity(url, top or "")
    plain = name in (identity, "")
    return Known(identity, "" if plain else name, name != default_name(url))


def _identity(url: str, top: str) -> str:
    if url.startswith(SIMULATOR):
        world = Path(url.removeprefix(SIMULATOR)).resolve()
        home = Path(top).resolve()
        inside = top and world.is_relative_to(home)
        return f"{SIMULATOR}{world.relative_to(home) if inside else world}"
    try:
        parts = urlsplit(url)
        port = parts.port if (parts.scheme, parts.port) != ("https", 443) else None
        port = 80 if parts.scheme == "http" and port is None else port
    except ValueError:
        return url
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}{f':{port}' * (port is not None)}{parts.path.rstrip('/')}"


def last_apply(
    checkout: Checkout | None,
    server: Known,
    desired: Desired,
    read: Callable[[Storage], Sequence[Desired]],
) -> LastApply:
    """Find what was applied last to a server; never an error.

    `desired` is what the files say now, and `read` reads the same files elsewhere.
    """
    if checkout is None or not _on_disk(desired):
        return LastApply()
    names = filter(None, (server.identity, server.former))
    found, trouble = checkout.applied(*names)
    oid = found.get(server.identity)
    if oid is None and server.former in found:
        if not server.own:
            return LastApply(why_not=_move(server))
        # The next apply keeps it under the new name: no commit is known there yet.
        former = _at(checkout, found[server.former], desired, read)
        return replace(former, commit="")
    if oid is None:
        why = f"no base: what was applied last cannot be read: {trouble}"
        return LastApply(why_not=why if trouble else "")
    return _at(checkout, oid, desired, read)


def _move(server: Known) -> str:
    old, new = applied_ref(server.former), applied_ref(server.identity)
    return (
        f"no base: {old} is of an earlier version, which did not tell servers of one "
        f"host apart; if this server is meant: git update-ref {new} {old}"
    )


def _at(
    checkout: Checkout,
    oid: str,
    desired: Desired,
    read: Callable[[Storage], Sequence[Desired]],
) -> LastApply:
    """Return the last apply when it was that of a commit, given by its full id."""
    name = short(oid)
    if oid == checkout.commit and not checkout.edited:
        return LastApply(oid, Base(name, desired))
    with closing(checkout.at(oid)) as commit:
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
    checkout: Checkout | None, server: Known, desired: Desired, last: LastApply
) -> str:
    """Remember that the files were applied to a server; return what became known.

    Nothing is remembered of files that do not stand in a commit. Raises
    ReconcileError when git refuses.
    """
    if checkout is None or checkout.edited or not _on_disk(desired):
        return ""
    if checkout.commit == last.commit:
        return ""
    checkout.record(server.identity)
    return f"{applied_ref(server.identity)} is {checkout.label} now"


def _on_disk(desired: Desired) -> bool:
    return all(path != STDIN for path, _ in desired.files)
