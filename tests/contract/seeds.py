"""The states that scenarios start from, as rows of a database and as a world file.

One table of users and nodes serves both sides, so that a recording of a real server
and its replay on the simulator begin with the same tailnet.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

USERS = dict.fromkeys(("alice", "bob", "carol"), "")  # names with their e-mails
CREATED = "2031-02-03T04:05:06Z"
# Users whom an identity provider made, as rows: no call of the API makes them.
FOREIGN = (
    ("alice", "alice@corp.example", "https://idp.example/4"),
    ("", "eve@corp.example", "https://idp.example/5"),
)
KEY = {"user": "2", "reusable": True, "ephemeral": True, "expiration": CREATED}
EXIT = ("0.0.0.0/0", "::/0")
FILE_POLICY = '// kept in a file\n{"acls": [], "groups": {}}\n'


@dataclass(frozen=True)
class SeedNode:
    """A node that joined before the scenario begins; its id is its place in NODES.

    `user` is the name of a local user, or the e-mail of one of FOREIGN. `asked` are
    the tags that its client asks for.
    """

    name: str
    user: str
    hostname: str = ""
    routes: tuple[str, ...] = ()
    approved: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    expiry: str | None = None
    key: int | None = None

    def secret(self, kind: str) -> str:
        """Return a key that depends on the name only, so that runs are alike."""
        return f"{kind}:{hashlib.sha256((kind + self.name).encode()).hexdigest()}"


NODES = (
    SeedNode("laptop", "alice", hostname="Alices-Laptop"),
    SeedNode("router", "bob", routes=("10.1.0.0/16", "10.2.0.0/16")),
    SeedNode("exit", "alice", routes=("0.0.0.0/0", "::/0")),
    SeedNode("db", "bob", tags=("tag:db",)),
    SeedNode("phone", "bob", expiry="2035-01-01T00:00:00Z"),
    SeedNode("runner", "bob", key=1),
    SeedNode("router-b", "bob", routes=("10.1.0.0/16",), approved=("10.1.0.0/16",)),
    SeedNode("lab", "alice", routes=("fd00:1::/64", "10.10.0.0/16", "10.9.0.0/16")),
)
# With FOREIGN: two users share a name, one has none, and a client asks for a tag.
NAMESAKES = (
    *NODES,
    SeedNode("alice-pc", "alice@corp.example"),
    SeedNode("eve-pc", "eve@corp.example", asked=("tag:web", "tag:x")),
)
TAILNETS = {"tailnet": NODES, "namesakes": NAMESAKES}


def owner_ids(users: Iterable[str]) -> dict[str, int]:
    """Return the ids of users by what nodes call them: name, or e-mail of FOREIGN."""
    called = [*users, *(email for _, email, _ in FOREIGN)]
    return {each: number for number, each in enumerate(called, 1)}


def addresses(number: int) -> tuple[str, str]:
    """Return the two addresses of the seeded node with this id."""
    return f"100.64.{number // 256}.{number % 256}", f"fd7a:115c:a1e0::{number:x}"


def world(release: str, seed: str) -> dict[str, Any]:
    """Return the seeded state as the content of a world file."""
    secret = "hskey-api-simulated000-" + "0" * 64
    if release in ("0.26", "0.27"):
        secret = "simulat." + "0" * 32
    document: dict[str, Any] = {
        "emulate": release,
        "version": "dev",
        "api_keys": [{"id": 1, "key": secret, "expiration": "2099-01-01T00:00:00Z"}],
    }
    if seed.startswith("file"):
        document["policy"] = {
            "mode": "file",
            "text": FILE_POLICY if seed == "file" else None,
        }
    if seed in TAILNETS:
        document["users"] = [
            {"id": i, "name": name, "created": CREATED}
            for i, name in enumerate(USERS, 1)
        ]
        if seed == "namesakes":
            document["users"] += map(_foreign, range(len(FOREIGN)))
        document["keys"] = [
            {
                "id": 1,
                "user": 2,
                "secret": _auth_key(release),
                "reusable": True,
                "ephemeral": True,
                "created": CREATED,
                "expiration": CREATED,
            }
        ]
        document["nodes"] = [
            _node(i, node, release) for i, node in enumerate(TAILNETS[seed], 1)
        ]
    return document


def _foreign(index: int) -> dict[str, Any]:
    name, email, provider_id = FOREIGN[index]
    return {
        "id": len(USERS) + index + 1,
        "name": name,
        "email": email,
        "provider": "oidc",
        "provider_id": provider_id,
        "created": CREATED,
    }


def _auth_key(release: str) -> str:
    if release in ("0.26", "0.27"):
        return "0" * 48
    return "hskey-auth-simulated000-" + "0" * 64


def _node(number: int, node: SeedNode, release: str) -> dict[str, Any]:
    owned_by_tags = bool(node.tags) and release not in ("0.26", "0.27")
    return {
        "id": number,
        "name": node.name,
        "hostname": node.hostname or node.name,
        "user": None if owned_by_tags else owner_ids(USERS)[node.user],
        "tags": list(node.tags),
        "requested_tags": list(node.asked),
        "routes": list(node.routes),
        "approved": list(node.approved),
        "addresses": list(addresses(number)),
        "expiry": node.expiry,
        "last_seen": CREATED,
        "created": CREATED,
        "key": node.key,
        "ephemeral": bool(node.key),
        "method": "auth_key" if node.key else "cli",
        "machine_key": node.secret("mkey"),
        "node_key": node.secret("nodekey"),
        "disco_key": node.secret("discokey"),
    }
