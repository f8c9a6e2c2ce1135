"""Writes the file of `import`: the live state as a desired state that people read.

What is written reads back to the same settings, whatever the names on the server
are, and without a warning.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconcile.desired import entries
from reconcile.desired.entries import usable
from reconcile.desired.scalars import Value, flow, key, scalar
from reconcile.desired.state import NodeSettings, Routes
from reconcile.errors import InputError
from reconcile.model import Live, Node, ServerInfo, User, natural
from reconcile.policy.language.references import references
from reconcile.source import hujson

_WIDTH = 88
_PLAIN: dict[str, Value] = {"tags": [], "routes": {"approve": []}, "exit_node": False}
_BELOW = NodeSettings(frozenset(), Routes(frozenset()), exit_node=False)
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
    return [
        "server:",
        f"  type: {scalar(server.type)}",
        f"  url: {shown}",
        f"  release: {scalar(server.release)}",
    ]


def _users(users: Sequence[User]) -> list[str]:
    named = [user for user in users if usable(user.name)]
    local = [user for user in named if not user.provider]
    lines = _section("users", {user.name: _user(user) for user in local})
    elsewhere = sum(bool(user.provider) for user in named)
    lines += _left_out(elsewhere, "user", "from an identity provider, which names them")
    return lines + _left_out(len(users) - len(named), "user", "without a usable name")


def _user(user: User) -> dict[str, Value]:
    value = entries.user(user)
    for name, text in (("email", user.email), ("display_name", user.display_name)):
        if usable(text):
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
    named = [node for node in lasting if usable(node.name)]
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
        shared = self.machines[node.machine_key] > 1
        settings = entries.node(node, _BELOW, shared=shared)
        if self.with_expiry and node.expiry is None:
            settings["expiry"] = "never"
        return settings


def _section(name: str, said: Mapping[str, dict[str, Value]]) -> list[str]:
    if not said:
        return [f"{name}: {{}}"]
    lines = [f"{name}:"]
    for entry in sorted(said, key=natural):
        lines += _entry(entry, said[entry])
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
