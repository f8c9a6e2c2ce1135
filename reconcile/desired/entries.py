"""Entries that take over what is on the server just as it is: they change nothing."""

import re

from reconcile.desired import nodes as node_names
from reconcile.desired import users as user_names
from reconcile.desired.scalars import Value, flow, scalar
from reconcile.desired.state import NEVER, NodeSettings
from reconcile.model import Node, User, instant, natural, route_order

_MACHINE_KEY = re.compile(r"mkey:[0-9a-f]{64}")
_SURROGATE = re.compile("[\ud800-\udfff]")


def usable(text: str) -> bool:
    """Tell a text that a file can hold: not empty, no half of a surrogate pair."""
    return text != "" and not _SURROGATE.search(text)


def line(name: str, value: dict[str, Value]) -> str:
    """Return an entry on one line, as it is pasted under its section."""
    return f"{scalar(name)}: {flow(value)}"


def user(account: User) -> dict[str, Value]:
    """Return the entry that keeps a user, whatever its name, and manages no field."""
    # An odd name may stay, but not be given.
    return {} if user_names.is_safe(account.name) else {"was": account.name}


def node(
    live: Node, below: NodeSettings, *, shared: bool = False, replaces: bool = False
) -> dict[str, Value]:
    """Return the entry that keeps a node as it is above what `below` wants of it.

    `below` is what rules and `defaults` want of a node whose entry is silent: where
    they want something else than the node has, the entry says what it has. `shared`
    tells that other nodes have the same machine key, `replaces` that an entry goes
    over to its device, installed anew, unless it says otherwise.
    """
    said = _settings(live, below)
    if not _gains(live, below):
        return said
    entry: dict[str, Value] = {"match": match(live, shared=shared), **said}
    return {**entry, "replace": "report"} if replaces else entry


def match(live: Node, *, shared: bool = False) -> dict[str, Value]:
    """Name a node by what its device cannot choose: its name it can."""
    fields = identity(live)
    # One machine is several nodes when several users log in on it.
    if shared or not node_names.is_safe(live.name):
        fields["name"] = live.name
    return fields


def identity(live: Node, *, shared: bool = False) -> dict[str, Value]:
    """Return the match by which a node is found whatever it is called.

    `shared` tells that other nodes have the same machine key.
    """
    if not shared and _MACHINE_KEY.fullmatch(live.machine_key):
        return {"machine_key": live.machine_key}
    return {"id": live.id}


def _settings(live: Node, below: NodeSettings) -> dict[str, Value]:
    """Return each field that is wanted otherwise than the node has it."""
    said: dict[str, Value] = {}
    if below.tags is not None and below.tags != live.tags:
        said["tags"] = tags(live)
    if below.routes is not None and not below.routes.hold(live.routes):
        said["routes"] = {"approve": [*sorted(live.routes, key=route_order)]}
    if below.exit_node is not None and below.exit_node != live.exit_node:
        said["exit_node"] = live.exit_node
    if below.expiry is not None and below.expiry != (live.expiry or NEVER):
        said["expiry"] = expiry(live)
    return said


def tags(live: Node) -> Value:
    """Return the tags of a node as its entry says them."""
    return [*sorted(live.tags, key=natural)]


def expiry(live: Node) -> str:
    """Return the key expiry of a node as its entry says it."""
    return instant(live.expiry) if live.expiry else NEVER


def _gains(live: Node, below: NodeSettings) -> bool:
    """Tell whether the entry gives the node what others would like to have."""
    return bool(
        (below.tags is not None and live.tags)
        or (below.routes is not None and live.routes)
        or (below.exit_node is not None and live.exit_node)
    )
