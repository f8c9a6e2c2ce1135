"""Reads the `users` section, and checks its names against each other."""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from reconcile.desired.findings import Findings
from reconcile.desired.layers import Tree
from reconcile.desired.scalars import scalar
from reconcile.desired.settings import day
from reconcile.desired.state import WantedUser
from reconcile.errors import Related
from reconcile.remedies import Drop, Help, Put
from reconcile.source.variables import as_written, quoted
from reconcile.source.yaml import Path

# What every supported server accepts, a policy can name and a URL can carry.
_SAFE_NAME = re.compile(r"(?=.{2})[a-z][a-z0-9._-]*(@[a-z0-9.-]+)?")
_RULE = (
    "names that every server accepts and a policy can use start with a lower-case "
    "letter, then letters, digits, `.`, `_`, `-`, at most one `@`; two or more"
)


def is_safe(name: str) -> bool:
    """Tell whether a user name works on every server, in policies and in URLs."""
    return _SAFE_NAME.fullmatch(name) is not None


def read(tree: Tree, findings: Findings) -> dict[str, WantedUser] | None:
    """Return the wanted users by name, or None where the files are silent."""
    section: Mapping[str, dict[str, Any]] | None = tree.value.get("users")
    if section is None:
        return None
    users = {name: _user(name, item, tree, findings) for name, item in section.items()}
    _check_former_names(users, tree, findings)
    return users


def _user(
    name: str, value: dict[str, Any], tree: Tree, findings: Findings
) -> WantedUser:
    path = ("users", name)
    was = value.get("was", ())
    former = (str(was),) if isinstance(was, str) else tuple(map(str, was))
    if not is_safe(name) and name not in former:
        kept = _was((*path, "was"), (*former, name))
        findings.error(
            "RC0112",
            f"{quoted(name)} is not a safe user name",
            tree.locate(path, key=True),
            why=_RULE,
            help=f"if a user is called so on the server already, write {kept} to keep "
            "the name",
            ways=((kept,),),
        )
    return WantedUser(
        name=str(name),
        position=tree.locate(path, key=True),
        was=tuple(old for old in former if old != name),
        display_name=_text(value.get("display_name")),
        email=_text(value.get("email")),
        until=_until(value["until"], tree, name, findings)
        if "until" in value
        else None,
    )


def _was(path: Path, names: Iterable[str]) -> Put:
    """Return the edit that makes these the former names of a user."""
    listed = [*map(scalar, map(as_written, names))]
    return Put(path, listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]")


def _text(value: str | None) -> str | None:
    return None if value is None else str(value)


def _until(written: str, tree: Tree, name: str, findings: Findings) -> date | None:
    last = day(written)
    if last is None:
        findings.error(
            "RC0114",
            f"{quoted(written)} is not a day",
            tree.locate(("users", name, "until")),
            help="write year, month and day: 2030-12-31",
        )
    return last


def _check_former_names(
    users: Mapping[str, WantedUser], tree: Tree, findings: Findings
) -> None:
    owners: dict[str, str] = {}
    for name, user in users.items():
        if is_safe(name) and name in _former(tree, name):
            findings.error(
                "RC0104",
                f"user:{name} was called so before: that is no rename",
                tree.locate(("users", name, "was")),
                **_without(name, name, tree),
            )
        for old in user.was:
            other = owners.setdefault(old, name)
            if other != name:
                _claimed_twice(old, name, other, tree, findings)
            # A name is free to take when its bearer is renamed too: chains, rings.
            if old in users and not users[old].was:
                _still_there(old, name, tree, findings)


def _former(tree: Tree, name: str) -> tuple[str, ...]:
    was = tree.value["users"][name].get("was", ())
    return (was,) if isinstance(was, str) else tuple(was)


def _without(old: str, name: str, tree: Tree) -> Help:
    """Return the help that takes one former name out of an entry."""
    path: Path = ("users", name, "was")
    rest = [former for former in _former(tree, name) if former != old]
    if not rest:
        return {"help": "remove `was`", "ways": ((Drop(path),),)}
    put = _was(path, rest)
    return {"help": f"write {put}", "ways": ((put,),)}


def _claimed_twice(
    old: str, name: str, other: str, tree: Tree, findings: Findings
) -> None:
    first = tree.locate(("users", other, "was"))
    findings.error(
        "RC0104",
        f"two users were called {quoted(old)}",
        tree.locate(("users", name, "was")),
        why="one user can be renamed only to one name",
        **_without(old, name, tree),
        related=(Related(first, f"user:{other} here"),),
    )


def _still_there(old: str, name: str, tree: Tree, findings: Findings) -> None:
    place = tree.locate(("users", old), key=True)
    findings.error(
        "RC0104",
        f"user:{name} was {quoted(old)}, but {quoted(old)} is still wanted too",
        tree.locate(("users", name, "was")),
        **_without(old, name, tree),
        related=(Related(place, "wanted here"),),
    )


def expired(user: WantedUser, now: datetime) -> bool:
    """Tell whether the last day of a user is over."""
    return user.until is not None and now.date() > user.until
