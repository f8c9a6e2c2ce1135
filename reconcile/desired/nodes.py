"""Reads `nodes` and `node_rules`: how each node is found, and what it should be."""

import re
from collections.abc import Mapping
from functools import partial
from ipaddress import ip_address
from typing import Any

from reconcile.desired.findings import Findings
from reconcile.desired.scalars import scalar
from reconcile.desired.settings import SettingsReader
from reconcile.desired.state import Match, NodeRule, WantedNode
from reconcile.errors import Related
from reconcile.remedies import Drop, Put
from reconcile.source.variables import as_written, quoted
from reconcile.source.yaml import Path

# What every supported server accepts as a new name of a node.
_SAFE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])")
_GLOB = frozenset("*?")


def is_safe(name: str) -> bool:
    """Tell whether every server lets a node be renamed to this."""
    return _SAFE_NAME.fullmatch(name) is not None


def read_nodes(reader: SettingsReader) -> dict[str, WantedNode] | None:
    """Return the wanted nodes by name, or None where the files are silent."""
    section: Mapping[str, dict[str, Any]] | None = reader.tree.value.get("nodes")
    if section is None:
        return None
    nodes = {name: _node(name, value, reader) for name, value in section.items()}
    _check_same_match(nodes, reader.findings)
    return nodes


def read_rules(reader: SettingsReader) -> tuple[NodeRule, ...]:
    """Return the rules in the order of the files."""
    return tuple(
        _rule(index, value, reader)
        for index, value in enumerate(reader.tree.value.get("node_rules", ()))
    )


def _node(name: str, value: dict[str, Any], reader: SettingsReader) -> WantedNode:
    path = ("nodes", name)
    place = partial(reader.tree.locate, path, key=True)
    if "match" in value:
        match = _match(value["match"], (*path, "match"), reader, name)
    else:
        match = Match({"name": name}, place)
    if match.fields.get("name") != name and not is_safe(name):
        kept = Put((*path, "match", "name"), scalar(as_written(name)))
        reader.findings.error(
            "RC0113",
            f"{quoted(name)} is not a safe node name",
            place(),
            why="a new name has 2 to 63 lower-case letters, digits and inner `-`",
            help="choose such a name; an odd name that the node has already may stay: "
            f"write {kept} into its match",
            ways=((kept,),),
        )
    return WantedNode(
        name=str(name),
        place=place,
        match=match,
        settings=reader.read(value, path),
        pending=value.get("pending"),
        replace=value.get("replace"),
    )


def _rule(index: int, value: dict[str, Any], reader: SettingsReader) -> NodeRule:
    path = ("node_rules", index)
    return NodeRule(
        match=_match(value["match"], (*path, "match"), reader),
        settings=reader.read(value, path),
        position=reader.tree.locate(path),
    )


def _match(
    value: dict[str, Any], path: Path, reader: SettingsReader, entry: str | None = None
) -> Match:
    # Only numbers are turned into text: a text from a variable stays marked as such.
    fields = {
        field: text if isinstance(text, str) else str(text)
        for field, text in value.items()
    }
    if "ip" in fields:
        fields["ip"] = _address(fields["ip"], (*path, "ip"), reader)
    for field in () if entry is None else ("name", "hostname"):
        text = fields.get(field, "")
        if text != entry and _GLOB & set(text):
            reader.findings.error(
                "RC0202",
                f"{quoted(value[field])} is a pattern, not one node's name",
                reader.tree.locate((*path, field)),
                help="write the whole name, or make it a rule under `node_rules`",
            )
    return Match(fields, partial(reader.tree.locate, path, key=True))


def _address(written: str, path: Path, reader: SettingsReader) -> str:
    try:
        return str(ip_address(written))
    except ValueError:
        reader.findings.error(
            "RC0202",
            f"{quoted(written)} is not an address",
            reader.tree.locate(path),
            help="write one address of the node, without a prefix: 100.64.0.7",
        )
        return written


def _check_same_match(nodes: Mapping[str, WantedNode], findings: Findings) -> None:
    first: dict[frozenset[tuple[str, str]], WantedNode] = {}
    for node in nodes.values():
        other = first.setdefault(frozenset(node.match.fields.items()), node)
        if other is not node:
            findings.error(
                "RC0201",
                f"node:{node.name} and node:{other.name} match the same node",
                node.match.position,
                why="one node cannot have two names and two sets of settings",
                help="remove one of the entries, or narrow one of the matches",
                ways=((Drop(("nodes", node.name)),), (Drop(("nodes", other.name)),)),
                related=(Related(other.match.position, "the other match"),),
            )
