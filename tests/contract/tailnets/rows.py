"""A state as the rows of a stopped server's database.

Rows are the only way to have OIDC users, nodes of one address family and advertised
routes without running an identity provider and clients.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.contract.tailnets.state import Device, Person, State

MOMENT = "2031-02-03 04:05:06+00:00"
_TABLES = ("nodes", "pre_auth_keys", "policies", "users")

# Servers spend 50 ms and more of computing on the hash of a real key, at every call.
# This key opens a test's own server on loopback only; its hash is the cheapest there is.
_SECRET = "0123456789abcdef" * 4
_HASH = "$2b$04$randomtailnetsofte.stuBVgiF1bbqddvJ280vtz1RZQk9KU/qcS"


def quick_key(database: Path, key: str) -> str:
    """Put an API key that is checked fast in place of the one that a server made."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("update api_keys set hash = ?", [_HASH.encode()])
        ((prefix,),) = connection.execute("select prefix from api_keys")
        connection.commit()
    new = key.startswith("hskey-")
    return f"hskey-api-{prefix}-{_SECRET}" if new else f"{prefix}.{_SECRET}"


def replace_all(database: Path, state: State) -> None:
    """Put users and nodes in place of those that are there; no policy is left."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        for table in _TABLES:
            connection.execute(f"delete from {table}")
        connection.execute(
            "delete from sqlite_sequence where name in ('users', 'nodes')"
        )
        _insert(connection, "users", map(_user, state.people))
        known = _columns(connection, "nodes")
        _insert(connection, "nodes", (_node(d, known) for d in state.devices))
        connection.commit()


def _insert(
    connection: sqlite3.Connection, table: str, rows: Iterable[Mapping[str, Any]]
) -> None:
    known = _columns(connection, table)
    for entry in rows:
        row = {name: value for name, value in entry.items() if name in known}
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        connection.execute(
            f"insert into {table} ({names}) values ({marks})", list(row.values())
        )


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    """Return the columns of a table: they differ from release to release."""
    return {row[1] for row in connection.execute(f"pragma table_info({table})")}


def _user(person: Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "name": person.name,
        "display_name": "",
        "email": person.email,
        "provider": "oidc" if person.provider_id else "",
        "provider_identifier": person.provider_id or None,
        "profile_pic_url": "",
        "created_at": MOMENT,
        "updated_at": MOMENT,
    }


def _node(device: Device, known: set[str]) -> dict[str, Any]:
    host = {
        "OS": "linux",
        "Hostname": device.name,
        "RoutableIPs": device.routes,
        "RequestTags": device.asked,
    }
    tags = json.dumps(device.tags)
    return {
        "id": device.id,
        "machine_key": _key("mkey", device),
        "node_key": _key("nodekey", device),
        "disco_key": _key("discokey", device),
        "endpoints": "[]",
        "host_info": json.dumps(host),
        "ipv4": device.v4 or None,
        "ipv6": device.v6 or None,
        "hostname": device.name,
        "given_name": device.name,
        # From 0.28, which has a column for tags, a tagged node has no user.
        "user_id": None if device.tags and "tags" in known else device.user,
        "register_method": "cli",
        "tags": tags,
        "forced_tags": tags,
        "approved_routes": json.dumps(device.approved),
        "auth_key_id": None,
        "last_seen": MOMENT,
        "expiry": None,
        "created_at": MOMENT,
        "updated_at": MOMENT,
    }


def _key(kind: str, device: Device) -> str:
    return f"{kind}:{sha256(f'{kind}{device.id}'.encode()).hexdigest()}"
