"""The world: everything a simulated control server knows, kept in one JSON file.

The file is meant to be read and edited by hand. Only what differs from the default
must stand in it; `{}` is an empty server of the latest release.

    {
      "emulate": "0.29",        0.26, 0.27, 0.28, 0.29 or main
      "version": "v0.29.2",     what GET /version says; empty: as released
      "spaced": false,          JSON answers with a space after , and : (up to 0.29)
      "any_key": true,          any Bearer key is good; so it is when none is listed
      "users":    [{"id": 1, "name": "alice", "email": "alice@example.com"}],
      "nodes":    [{"id": 1, "name": "nas", "user": 1, "routes": ["10.0.0.0/16"]}],
      "keys":     [{"id": 1, "user": 1, "reusable": true}],
      "api_keys": [{"id": 1, "key": "hskey-api-..."}],
      "policy":   {"mode": "database", "text": "{}\\n"},
      "pending":  [],           nodes that asked to join and wait to be registered
      "gone_users": [],         deleted users and
      "gone_keys": [],          deleted keys, shown with their nodes till a restart
      "primaries": {},          which node serves a prefix that several advertise
      "last_ids": {"user": 1}   ids are never used again, so the last ones are kept
    }

A node's `user` is null when its tags own it (0.28 and later); `old_names` are the names
that users (by id) had before a rename, which the node shows till a restart. Its
`routes` are what the device advertises, `approved` what an administrator approved.
`disk` holds what the database still says where the running server knows better: a
restart brings that back, as it does on 0.27 and 0.28. `policy.running` is the text
whose rules are in force, where that is not the stored one. Every secret in a world is a
simulated one.
"""

import dataclasses
import ipaddress
import json
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from reconcile.simulator.release import RELEASES, Release, release_named

ZERO_TIME = "0001-01-01T00:00:00Z"


def now() -> str:
    """Return this instant as the servers write it, with nanoseconds."""
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


@dataclass
class User:
    """An owner account; `provider` is `oidc` when an identity provider made it."""

    id: int
    name: str
    display_name: str = ""
    email: str = ""
    picture: str = ""
    provider: str = ""
    provider_id: str = ""
    created: str = field(default_factory=now)


@dataclass
class Node:
    """A device that joined."""

    id: int
    name: str
    hostname: str = ""
    user: int | None = None
    old_names: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    requested_tags: list[str] = field(default_factory=list)
    routes: list[str] = field(default_factory=list)
    approved: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    expiry: str | None = None
    online: bool = False
    last_seen: str | None = None
    key: int | None = None
    ephemeral: bool = False
    method: str = "cli"
    machine_key: str = ""
    node_key: str = ""
    disco_key: str = ""
    created: str = field(default_factory=now)
    serving: list[str] = field(default_factory=list)
    disk: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.hostname = self.hostname or self.name
        for kind, name in (
            ("mkey", "machine"),
            ("nodekey", "node"),
            ("discokey", "disco"),
        ):
            if not getattr(self, f"{name}_key"):
                # Not random: a world written by hand is the same each time it is read.
                seed = f"{kind} {self.id} {self.name}".encode()
                setattr(self, f"{name}_key", f"{kind}:{sha256(seed).hexdigest()}")


@dataclass
class Key:
    """A pre-auth key; `secret` is what a device joins with."""

    id: int
    user: int | None = None
    secret: str = ""
    reusable: bool = False
    ephemeral: bool = False
    used: bool = False
    tags: list[str] = field(default_factory=list)
    expiration: str = ZERO_TIME
    created: str = field(default_factory=now)


@dataclass
class ApiKey:
    """A key of the admin API, kept whole because it is a simulated one."""

    id: int
    key: str
    expiration: str = ZERO_TIME
    created: str = field(default_factory=now)


@dataclass
class Policy:
    """The stored policy text, and the text in force where that is another one."""

    mode: str = "database"
    text: str | None = None
    updated: str | None = None
    running: str | None = None

    @property
    def in_force(self) -> str:
        """The text whose rules the running server follows."""
        return self.running if self.running is not None else self.text or ""


@dataclass
class Pending:
    """A device that asked to join and waits for someone to register it."""

    id: str
    user: str
    name: str
    routes: list[str] = field(default_factory=list)


@dataclass
class World:
    """All state of a simulated server; see the top of this file for its shape."""

    emulate: str = "0.29"
    version: str = ""
    spaced: bool = False
    any_key: bool | None = None
    users: list[User] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    api_keys: list[ApiKey] = field(default_factory=list)
    policy: Policy = field(default_factory=Policy)
    pending: list[Pending] = field(default_factory=list)
    gone_users: list[User] = field(default_factory=list)
    gone_keys: list[Key] = field(default_factory=list)
    primaries: dict[str, int] = field(default_factory=dict)
    last_ids: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.emulate = release_named(self.emulate)
        if self.any_key is None:
            self.any_key = not self.api_keys
        lists: dict[str, list[Any]] = {
            "user": self.users,
            "node": self.nodes,
            "key": self.keys,
            "api_key": self.api_keys,
        }
        for kind, items in lists.items():
            for item in items:
                self.last_ids[kind] = max(item.id, self.last_ids.get(kind, 0))

    @property
    def release(self) -> Release:
        """How the emulated version behaves."""
        return RELEASES[self.emulate]

    def new_id(self, kind: str) -> int:
        """Return the next id of a kind; an id is never used again."""
        self.last_ids[kind] = self.last_ids.get(kind, 0) + 1
        return self.last_ids[kind]

    def user(self, number: int | None) -> User | None:
        """Return the user with this id."""
        return next((user for user in self.users if user.id == number), None)

    def user_named(self, name: str) -> User | None:
        """Return the user with exactly this name."""
        return next((user for user in self.users if user.name == name), None)

    def node(self, number: int) -> Node | None:
        """Return the node with this id."""
        return next((node for node in self.nodes if node.id == number), None)

    def key(self, number: int | None) -> Key | None:
        """Return the pre-auth key with this id."""
        return next((key for key in self.keys if key.id == number), None)

    def gone_key(self, number: int | None) -> Key | None:
        """Return a deleted pre-auth key that its nodes are still shown with."""
        return next((key for key in self.gone_keys if key.id == number), None)

    def gone_user(self, number: int | None) -> User | None:
        """Return a deleted user that a deleted key is still shown with."""
        return next((user for user in self.gone_users if user.id == number), None)

    def delete_keys(self, keys: list[Key]) -> None:
        """Delete pre-auth keys; the nodes that joined with them stay."""
        self.gone_keys += keys
        self.keys = [key for key in self.keys if key not in keys]

    def free_addresses(self) -> list[str]:
        """Return the next pair of addresses that no node has."""
        taken = {address for node in self.nodes for address in node.addresses}
        number = self.last_ids.get("address", 0) + 1
        while f"100.64.{number // 256}.{number % 256}" in taken:
            number += 1
        self.last_ids["address"] = number
        return [f"100.64.{number // 256}.{number % 256}", f"fd7a:115c:a1e0::{number:x}"]

    def remove(self, node: Node) -> None:
        """Remove a node; up to 0.27 its addresses are free after a restart only."""
        self.nodes.remove(node)
        if not self.release.frees_addresses and node.addresses:
            number = int(ipaddress.ip_address(node.addresses[0])) & 0xFFFF
            self.last_ids["address"] = max(number, self.last_ids.get("address", 0))

    def restart(self) -> None:
        """Forget what only the running server knew, as a restart does."""
        for node in self.nodes:
            for name, value in node.disk.items():
                setattr(node, name, value)
            node.disk = {}
            node.serving = []
            node.old_names = {}
        self.primaries = {}
        self.gone_users, self.gone_keys = [], []
        self.policy.running = None
        self.pending = []
        self.last_ids.pop("address", None)

    def as_json(self) -> str:
        """Return the content of the world file."""
        return json.dumps(_shrunk(self), indent=2, ensure_ascii=False) + "\n"


def _shrunk(item: Any) -> dict[str, Any]:
    """Return a record as JSON, leaving out fields that have their default."""
    found: dict[str, Any] = {}
    for spec in dataclasses.fields(item):
        value = getattr(item, spec.name)
        made = spec.default_factory
        default = made() if made in (list, dict) else spec.default
        if isinstance(value, list) and value and dataclasses.is_dataclass(value[0]):
            value = [_shrunk(entry) for entry in value]
        elif dataclasses.is_dataclass(value):
            value = _shrunk(value) or default
        if value != default or spec.name == "emulate":
            found[spec.name] = value
    return found
