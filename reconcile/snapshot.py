"""The live state as a file: what `snapshot` writes and `--from` plans against."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from reconcile.errors import Diagnostic, InputError, Position
from reconcile.model import Live, Node, PolicyText, ServerInfo, User, instant

FORMAT = "1"
_SETS = ("tags", "approved", "available")


def dumps(live: Live) -> str:
    """Return the live state as JSON text; it holds no secret."""
    document = {
        "snapshot_version": FORMAT,
        "taken_at": instant(live.taken_at),
        "server": asdict(live.server),
        "users": _list(live.users, asdict),
        "nodes": _list(live.nodes, _node),
        "policy": asdict(live.policy) if live.policy else None,
    }
    # Escapes for all but ASCII: names are hostile, and this goes to terminals too.
    return json.dumps(document, indent=1) + "\n"


def loads(text: str, path: str) -> Live:
    """Return the live state in a snapshot. Raises InputError when it is none."""
    try:
        document = json.loads(text)
        if document["snapshot_version"] != FORMAT:
            raise ValueError("it was written by another major version")
        policy = document["policy"]
        return Live(
            server=ServerInfo(**document["server"]),
            taken_at=datetime.fromisoformat(document["taken_at"]),
            users=_tuple(document["users"], lambda entry: User(**entry)),
            nodes=_tuple(document["nodes"], _load_node),
            policy=PolicyText(**policy) if policy else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = str(error) if isinstance(error, ValueError) else "parts are missing"
        raise InputError(
            [
                Diagnostic(
                    "RC0030",
                    f"{path} is not a snapshot of reconcile",
                    Position(path, 1, 1),
                    why=reason.split("\n")[0][:120],
                    help="make one with: reconcile snapshot -o FILE",
                )
            ]
        ) from None


def _list(items: tuple[Any, ...] | None, entry: Any) -> list[Any] | None:
    return None if items is None else [entry(item) for item in items]


def _tuple(items: list[Any] | None, entry: Any) -> tuple[Any, ...] | None:
    return None if items is None else tuple(entry(item) for item in items)


def _node(node: Node) -> dict[str, Any]:
    entry = asdict(node)
    entry |= {name: sorted(entry[name]) for name in _SETS}
    entry["expiry"] = instant(node.expiry) if node.expiry else None
    return entry


def _load_node(entry: dict[str, Any]) -> Node:
    fields = dict(entry)
    fields |= {name: frozenset(fields[name]) for name in _SETS}
    fields["addresses"] = tuple(fields["addresses"])
    if fields["expiry"]:
        fields["expiry"] = datetime.fromisoformat(fields["expiry"])
    return Node(**fields)
