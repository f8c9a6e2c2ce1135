"""What was applied last: a commit that a git ref names, and the base of a plan.

The ref moves when an apply ended well and nothing was left out, so that it says: the
server was as the files of this commit. There is no other state.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from urllib.parse import urlsplit

from reconcile import desired as desired_state
from reconcile.desired.servers import ALL, SIMULATOR, default_name
from reconcile.desired.state import Desired, ServerRef
from reconcile.errors import InputError
from reconcile.jobs.options import Options
from reconcile.plan.plan import Base
from reconcile.source.git import Checkout, applied_ref, checkout, short, top_of, written
from reconcile.source.text import STDIN, Storage


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


class History:
    """What the repository of the files knows of the applies to one server.

    `top` is its work tree and `checkout` the commit that the files stand in; both are
    None without one.
    """

    def __init__(self, desired: Desired, server: ServerRef, options: Options) -> None:
        self._desired, self._options = desired, options
        paths = [path for path, _ in desired.files if path != STDIN]
        self.top = top_of(written(paths[0])) if paths else None
        self.checkout = checkout(paths)
        folder = self.checkout.folder if self.checkout else None
        self._known = known_as(server.url, server.name, folder)

    @property
    def identity(self) -> str:
        """What the server is: host, port and path, or the place of its world."""
        return self._known.identity

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables of the environment that the files say they use."""
        return self._desired.variables

    @property
    def label(self) -> str:
        """The commit of the files as people know it, "" for none."""
        return self.checkout.label if self.checkout else ""

    @cached_property
    def last(self) -> LastApply:
        """What was applied last to this server, looked up at the first question."""
        options = self._options
        name = self._desired.server.name if self._desired.server else None
        read = partial(
            desired_state.read,
            options.files,
            server=name if options.server == ALL else options.server,
            environ=options.environ,
            offline=True,
        )
        return last_apply(
            self.checkout,
            self._known,
            self._desired,
            lambda storage: read(storage=storage),
        )

    def holds(self, path: str) -> bool:
        """Tell whether a file is as it was in the commit that was applied last."""
        if self.checkout is None or not self.last.commit:
            return False
        with closing(self.checkout.at(self.last.commit)) as commit:
            return commit.holds(written(path))

    def record(self) -> str:
        """Remember that the files were applied; return what became known.

        Nothing is remembered of files that do not stand in a commit. Raises
        ReconcileError when git refuses.
        """
        here, last = self.checkout, self.last
        if here is None or here.edited or not _on_disk(self._desired):
            return ""
        if here.commit == last.commit:
            return ""
        here.record(self._known.identity)
        return f"{applied_ref(self._known.identity)} is {here.label} now"


def known_as(url: str, name: str, top: str | None) -> Known:
    """Return under which name the last apply to a server is kept.

    `name` is what the files call it, `top` the folder of the repository.
    """
    identity = place(url, top or "")
    plain = name in (identity, "")
    return Known(identity, "" if plain else name, name != default_name(url))


def place(url: str, top: str = "") -> str:
    """Return what a server is: host, port and path, or where its world is.

    A world inside of the folder `top` is named from there.
    """
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


def _on_disk(desired: Desired) -> bool:
    return all(path != STDIN for path, _ in desired.files)
