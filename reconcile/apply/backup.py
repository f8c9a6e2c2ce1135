"""What a server had before an apply, so that a rollback can bring it back.

A backup is a snapshot, and what the apply was about to change: a rollback touches
nothing else. It is kept in the repository of the files, or in a folder.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconcile.desired.state import NEVER
from reconcile.errors import WRONG_SHAPE, ReconcileError, not_ours
from reconcile.kinds import BY_NAME
from reconcile.live import snapshot
from reconcile.model import Live, canonical_route, route_order
from reconcile.plan.changes import Action, State
from reconcile.plan.plan import Plan
from reconcile.source import disk, git
from reconcile.source.text import from_json

FORMAT = "1"
KEPT = 20  # of each server, in a repository


@dataclass(frozen=True, slots=True)
class Touched:
    """One object that an apply was about to change.

    `number` is the server's id, "" for a user who was to be made; `after` are the
    fields as they were to be, none for what was to be removed. `set_off` are the routes
    of a node that the new policy was to approve by itself.
    """

    kind: str
    action: Action
    number: str
    after: State
    set_off: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Backup:
    """What a server had before an apply, and what that was about to change.

    `server` is what the server is: host, port and path, or where its world is. `commit`
    is that of the files, "" for none. `rollback` tells that it was taken before a
    rollback.
    """

    live: Live
    server: str
    commit: str
    rollback: bool
    touched: tuple[Touched, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """A backup that is kept: its name, or its path, and the ref or file that it is."""

    name: str
    place: str


def before(plan: Plan, live: Live, server: str) -> Backup:
    """Return the backup to keep before a plan is done.

    `live` is the state that the plan was made from, `server` what the server is.
    """
    return Backup(
        live, server, plan.commit, bool(plan.asked.rollback), tuple(_touched(plan))
    )


def _touched(plan: Plan) -> Iterator[Touched]:
    routes: dict[str, set[str]] = {}
    for one in plan.access.set_off if plan.access else ():
        routes.setdefault(one.server_id, set()).update(one.routes)
    for change in plan.changes:
        more = routes.pop(change.server_id, ()) if change.kind == "node" else ()
        yield Touched(
            change.kind, change.action, change.server_id, change.after, frozenset(more)
        )
    for number, more in routes.items():
        yield Touched("node", Action.UPDATE, number, {}, frozenset(more))


def keep(
    backup: Backup, called: str, top: Path | None, folder: Path | None
) -> Kept | None:
    """Keep a backup in a folder, or else in the repository whose work tree is `top`.

    `called` is what people call the server. Returns None where there is neither. Raises
    ReconcileError when it cannot be kept.
    """
    text, name = dumps(backup), f"{backup.live.taken_at:%Y%m%dT%H%M%SZ}"
    try:
        if folder is not None:
            return _in_folder(folder, f"{git.encoded(called)}-{name}", text)
        if top is not None and git.installed():
            return _in_repository(top, backup.server, name, text)
        return None
    except ReconcileError as error:
        raise ReconcileError(
            f"the backup cannot be kept, so nothing was changed: {error}",
            error.hint or "name a folder for it: --backup DIR",
        ) from None


def _in_folder(folder: Path, name: str, text: str) -> Kept:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReconcileError(f"cannot make {folder}: {error.strerror}") from None
    paths = (folder / f"{each}.json" for each in _numbered(name))
    path = next(path for path in paths if not path.exists())
    disk.output(path, text.encode(), private=True)
    return Kept(str(path), str(path))


def _in_repository(top: Path, server: str, name: str, text: str) -> Kept:
    there = git.backups(top, server)
    name = next(each for each in _numbered(name) if each not in there)
    ref = git.backup_ref(server, name)
    disk.require_no_secret(ref, text.encode())
    old = there[: max(0, len(there) + 1 - KEPT)]
    git.keep_backup(top, server, name, text, instead_of=old)
    return Kept(name, ref)


def _numbered(name: str) -> Iterator[str]:
    """Yield a name and more like it, in an order that sorting keeps."""
    yield name
    yield from (f"{name}-{number:03}" for number in range(2, 1000))


# -- the codec -------------------------------------------------------------------------


def dumps(backup: Backup) -> str:
    """Return a backup as JSON text, in ASCII; it holds no secret."""
    return snapshot.written(
        {
            "backup_version": FORMAT,
            "server": backup.server,
            "commit": backup.commit,
            "before": "rollback" if backup.rollback else "apply",
            "changes": [_entry(each) for each in backup.touched],
            "live": snapshot.to_json(backup.live),
        }
    )


def _entry(touched: Touched) -> dict[str, Any]:
    return {
        "kind": touched.kind,
        "action": str(touched.action),
        "id": touched.number,
        "after": touched.after,
        "set_off": sorted(touched.set_off, key=route_order),
    }


def loads(text: str, path: str) -> Backup:
    """Return the backup in a text. Raises InputError when it is none."""
    try:
        document = from_json(text)
        if document["backup_version"] != FORMAT:
            raise ValueError("it was written by another major version")
        return Backup(
            snapshot.of_json(document["live"]),
            snapshot.text_of(document["server"]),
            snapshot.text_of(document["commit"]),
            document["before"] == "rollback",
            tuple(map(_read, document["changes"])),
        )
    except WRONG_SHAPE as error:
        remedy = "name one that an apply has kept"
        raise not_ours("RC0032", "backup", path, error, remedy) from None


def _read(entry: dict[str, Any]) -> Touched:
    """Return what a backup says of one object; one of WRONG_SHAPE when it is none."""
    kind, action = entry["kind"], Action(entry["action"])
    fields = {name: _READERS[name](value) for name, value in entry["after"].items()}
    known = {field.name for field in BY_NAME[kind].fields}
    if fields.keys() - known or (kind == "policy" and "text" not in fields):
        raise ValueError(f"a change of a {kind} is not one: {', '.join(fields)[:60]}")
    if action is Action.CREATE and kind == "user" and "name" not in fields:
        raise ValueError("a user who was to be made has no name")
    set_off = frozenset(map(canonical_route, snapshot.texts_of(entry["set_off"])))
    return Touched(kind, action, snapshot.text_of(entry["id"]), fields, set_off)


def _expiry(value: Any) -> str:
    if value != NEVER:
        snapshot.instant_of(value)
    return snapshot.text_of(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "name": snapshot.text_of,
    "display_name": snapshot.text_of,
    "email": snapshot.text_of,
    "text": snapshot.text_of,
    "tags": snapshot.texts_of,
    "routes": lambda value: [*map(canonical_route, snapshot.texts_of(value))],
    "exit_node": snapshot.flag_of,
    "expiry": _expiry,
}
