"""Writes the file of `import`: the live state as a desired state that people read.

What is written reads back to the same settings, whatever the names on the server
are, and without a warning.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconcile import hujson
from reconcile.desired import nodes as node_names
from reconcile.desired import users as user_names
from reconcile.desired.scalars import Value, flow, key, scalar
from reconcile.errors import InputError
from reconcile.model import Live, Node, ServerInfo, User, natural, route_order
from reconcile.policy.references import references

_WIDTH = 88
_MACHINE_KEY = re.compile(r"mkey:[0-9a-f]{64}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN: dict[str, Value] = {"tags": [], "routes": {"approve": []}, "exit_node": False}
_NAMED = 5


def write(live: Live, policy_file: str | None, url: str) -> str:
    """Return tailnet.yaml for a live state; the same state gives the same text.

    `url` stands in the file as it is given: the URL, or a variable that holds it.
    """
    sections = [_header(live.server), _server(live.server, url)]
    if live.users is not None:
        sections.append(_users(live.users))
    if live.nodes is not None:
        sections += _nodes(live.nodes, _owned(live))
    if policy_file is not None:
        sections.append(["policy:", f"  file: {scalar(policy_file)}"])
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _header(server: ServerInfo) -> list[str]:
    return [
        "# yaml-language-server: $schema=desired.schema.json",
        "# (the schema that editors read: reconcile schema > desired.schema.json)",
        "#",
        f"# The desired state, imported from {_shown(server.type, server.version)}.",
        "# Edit it, look at what would change: reconcile plan, then: reconcile apply.",
        "# What is not listed here is reported and left alone. A key expiry is managed",
        "# where it is `never`; one with a date moves with each login and is not.",
        "version: 1",
    ]


def _shown(*words: str) -> str:
    """Return words from the server for a comment, which they must not leave."""
    return " ".join(word if word.isprintable() else scalar(word) for word in words)


def _server(server: ServerInfo, url: str) -> list[str]:
    shown = url if re.fullmatch(r"\$\{[A-Z_]+\}", url) else scalar(url)
    return ["server:", f"  type: {scalar(server.type)}", f"  url: {shown}"]


def _users(users: Sequence[User]) -> list[str]:
    named = [user for user in users if _usable(user.name)]
    local = [user for user in named if not user.provider]
    lines = _section("users", {user.name: _user(user) for user in local})
    elsewhere = sum(bool(user.provider) for user in named)
    lines += _left_out(elsewhere, "user", "from an identity provider, which names them")
    return lines + _left_out(len(users) - len(named), "user", "without a usable name")


def _user(user: User) -> dict[str, Value]:
    value: dict[str, Value] = {}
    if not user_names.is_safe(user.name):
        value["was"] = user.name  # such a name may stay, but not be given
    for name, text in (("email", user.email), ("display_name", user.display_name)):
        if _usable(text):
            value[name] = text
    return value


def _owned(live: Live) -> frozenset[str] | None:
    """Return the tags that the live policy owns; None where it has no say."""
    if live.policy is None or live.policy.text is None:
        return None
    try:
        return frozenset(references(hujson.parse(live.policy.text).value).tags)
    except InputError:
        return None


def _nodes(nodes: Sequence[Node], owned: frozenset[str] | None) -> list[list[str]]:
    lasting = [node for node in nodes if not node.ephemeral]
    named = [node for node in lasting if _usable(node.name)]
    fine = [node for node in named if owned is None or node.tags <= owned]
    always = bool(fine) and all(node.expiry is None for node in fine)
    defaults = {**_PLAIN, "expiry": "never"} if always else _PLAIN
    writer = _NodeWriter(Counter(node.machine_key for node in nodes), not always)
    lines = _section("nodes", {node.name: writer.entry(node) for node in fine})
    lines += _left_out(
        len(nodes) - len(lasting), "ephemeral node", "which the server removes itself"
    )
    lines += _left_out(len(lasting) - len(named), "node", "without a usable name")
    odd = [node.name for node in named if owned is not None and not node.tags <= owned]
    lines += _left_out(len(odd), "node", "with a tag that no tagOwners entry allows")
    lines += [f"#   {_shown(name)}" for name in sorted(odd, key=natural)[:_NAMED]]
    return [["defaults:", f"  nodes: {flow(defaults)}"], lines]


@dataclass(frozen=True, slots=True)
class _NodeWriter:
    """Writes entries; `machines` counts the nodes of each machine key."""

    machines: Mapping[str, int]
    with_expiry: bool

    def entry(self, node: Node) -> dict[str, Value]:
        """Return what must be said of a node beside the defaults."""
        settings: dict[str, Value] = {}
        if node.tags:
            settings["tags"] = [*sorted(node.tags, key=natural)]
        if node.routes:
            routes: list[Value] = [*sorted(node.routes, key=route_order)]
            settings["routes"] = {"approve": routes}
        if node.exit_node:
            settings["exit_node"] = True
        match = {"match": self._match(node)} if settings else {}
        if self.with_expiry and node.expiry is None:
            settings["expiry"] = "never"
        return {**match, **settings}

    def _match(self, node: Node) -> dict[str, Value]:
        """Name a node by what its device cannot choose: its name it can."""
        if not _MACHINE_KEY.fullmatch(node.machine_key):
            match: dict[str, Value] = {"id": node.id}
        else:
            match = {"machine_key": node.machine_key}
        # One machine is several nodes when several users log in on it.
        shared = self.machines[node.machine_key] > 1
        if shared or not node_names.is_safe(node.name):
            match["name"] = node.name
        return match


def _section(name: str, entries: Mapping[str, dict[str, Value]]) -> list[str]:
    if not entries:
        return [f"{name}: {{}}"]
    lines = [f"{name}:"]
    for entry in sorted(entries, key=natural):
        lines += _entry(entry, entries[entry])
    return lines


def _entry(name: str, value: dict[str, Value]) -> Iterator[str]:
    start = f"  {key(name)}:"
    if start.startswith("  ? "):
        yield start.removesuffix(":")
        start = "  :"
    short = f"{start} {flow(value)}"
    if len(short) <= _WIDTH or not value or start == "  :":
        yield short
        return
    yield start
    for field, item in value.items():
        yield f"    {field}: {flow(item)}"


def _left_out(count: int, noun: str, why: str) -> list[str]:
    if not count:
        return []
    return [f"# left out: {count} {noun}{'s' if count > 1 else ''} {why}"]


def _usable(text: str) -> bool:
    """Tell a text that a file can hold: not empty, no half of a surrogate pair."""
    return text != "" and not _SURROGATE.search(text)
