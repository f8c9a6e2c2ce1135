"""The live state as a file: what `snapshot` writes and `--snapshot` plans against."""

import json
from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, get_type_hints

from reconcile.errors import WRONG_SHAPE, not_ours
from reconcile.model import (
    Live,
    Node,
    PolicyText,
    ServerInfo,
    User,
    canonical_route,
    instant,
)
from reconcile.source.text import from_json

FORMAT = "2"
_WITH_NAMES = "1"  # the format in which a node said its user's name, not the id
_T = TypeVar("_T", User, Node, PolicyText, ServerInfo)
_SETS = ("tags", "key_tags", "asked_tags", "approved", "available")


def dumps(live: Live) -> str:
    """Return the live state as JSON text; it holds no secret."""
    return written(to_json(live))


def to_json(live: Live) -> dict[str, Any]:
    """Return the live state in JSON's types."""
    return {
        "snapshot_version": FORMAT,
        "taken_at": instant(live.taken_at),
        "server": asdict(live.server),
        "users": _list(live.users, asdict),
        "nodes": _list(live.nodes, _node),
        "policy": asdict(live.policy) if live.policy else None,
    }


def written(document: dict[str, Any]) -> str:
    """Return a document as text.

    Escapes for all but ASCII: names are hostile, and this goes to terminals too.
    """
    return json.dumps(document, indent=1) + "\n"


def loads(text: str, path: str) -> Live:
    """Return the live state in a snapshot. Raises InputError when it is none."""
    try:
        return of_json(from_json(text))
    except WRONG_SHAPE as error:
        remedy = "make one with: reconcile snapshot -o FILE"
        raise not_ours("RC0030", "snapshot", path, error, remedy) from None


def of_json(document: Any) -> Live:
    """Return the live state in a document; one of WRONG_SHAPE when it has none."""
    if document["snapshot_version"] not in (FORMAT, _WITH_NAMES):
        raise ValueError("it was written by another major version")
    users = _records(User, document["users"])
    nodes = document["nodes"]
    if document["snapshot_version"] == _WITH_NAMES and nodes is not None:
        nodes = [_with_id(node, users or ()) for node in nodes]
    policy = document["policy"]
    return Live(
        server=_record(ServerInfo, document["server"]),
        taken_at=instant_of(document["taken_at"]),
        users=users,
        nodes=_records(Node, nodes),
        policy=_record(PolicyText, policy) if policy is not None else None,
    )


def _with_id(node: dict[str, Any], users: tuple[User, ...]) -> dict[str, Any]:
    """Return a node of the first format with its user's id in place of the name.

    Raises ValueError where two users have that name, or none has it.
    """
    entry = dict(node)
    name = entry.pop("user") or ""
    owners = [] if entry["tags"] and not name else [u for u in users if u.name == name]
    if len(owners) > 1 or (name and not owners):
        shown = f"the name {str(name)[:40]!r}" if name else "no name"
        who = f"{len(owners)} users have" if owners else "no user has"
        raise ValueError(f"{who} {shown}, by which a node says whose it is")
    return entry | {"user_id": owners[0].id if owners else None}


def _list(items: tuple[Any, ...] | None, entry: Any) -> list[Any] | None:
    return None if items is None else [entry(item) for item in items]


def _node(node: Node) -> dict[str, Any]:
    entry = asdict(node)
    entry |= {name: sorted(entry[name]) for name in _SETS}
    entry["expiry"] = instant(node.expiry) if node.expiry else None
    return entry


def _records(kind: type[_T], entries: object) -> tuple[_T, ...] | None:
    if entries is None:
        return None
    if not isinstance(entries, list):
        raise ValueError("a list is something else")
    return tuple(_record(kind, entry) for entry in entries)


def _record(kind: type[_T], entry: dict[str, Any]) -> _T:
    """Return a record, each field checked to be what its type says."""
    readers = _readers(kind)  # type: ignore[arg-type]
    try:
        return kind(**{name: readers[name](value) for name, value in entry.items()})
    except (*WRONG_SHAPE, OverflowError):
        raise ValueError(f"a {kind.__name__} is not one: {str(entry)[:60]}") from None


@cache
def _readers(kind: type) -> dict[str, Callable[[Any], Any]]:
    hints = get_type_hints(kind)
    readers = {field.name: _READERS[hints[field.name]] for field in fields(kind)}
    if kind is Node:
        readers["approved"] = readers["available"] = _routes
    return readers


def text_of(value: Any) -> str:
    """Return a text; raises TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError
    return value


def flag_of(value: Any) -> bool:
    """Return true or false; raises TypeError for anything else."""
    if not isinstance(value, bool):
        raise TypeError
    return value


def texts_of(value: Any) -> list[str]:
    """Return a list of texts; raises TypeError for anything else."""
    if not isinstance(value, list):
        raise TypeError
    return [text_of(item) for item in value]


def _map(value: Any) -> dict[str, str]:
    return {text_of(name): text_of(text) for name, text in value.items()}


def _routes(value: Any) -> frozenset[str]:
    return frozenset(canonical_route(route) for route in texts_of(value))


def instant_of(value: Any) -> datetime:
    """Return a time with its zone; raises TypeError or ValueError for anything else."""
    moment = datetime.fromisoformat(text_of(value))
    if moment.tzinfo is None:
        raise ValueError("a time has no zone")
    return moment


def _or_none(reader: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else reader(value)


_READERS: dict[Any, Callable[[Any], Any]] = {
    str: text_of,
    bool: flag_of,
    str | None: _or_none(text_of),
    frozenset[str]: lambda value: frozenset(texts_of(value)),
    tuple[str, ...]: lambda value: tuple(texts_of(value)),
    datetime | None: _or_none(instant_of),
    dict[str, str]: _map,
}
