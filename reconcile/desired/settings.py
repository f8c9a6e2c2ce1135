"""Reads what may be said of a node: tags, routes, exit node, expiry."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from ipaddress import ip_interface, ip_network
from typing import Any

from reconcile.desired.findings import Findings
from reconcile.desired.layers import Tree
from reconcile.desired.state import NEVER, Expiry, NodeSettings, Routes
from reconcile.errors import Position, Related
from reconcile.model import EXIT_ROUTES, canonical_route
from reconcile.remedies import Drop, Help, Instead
from reconcile.source.near import nearest
from reconcile.source.variables import quoted
from reconcile.source.yaml import Path

_FIELDS = ("tags", "routes", "exit_node", "expiry")
_ROUTE = re.compile(r"[0-9A-Fa-f:.]+/(?:0|[1-9][0-9]{0,2})")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}:[0-9]{2})?"
)


_SILENT = NodeSettings()


class Places(Mapping[str, Position]):
    """Where the fields of an entry were written, looked up only when asked."""

    __slots__ = ("_paths", "_tree")

    def __init__(self, tree: Tree, paths: dict[str, Path]) -> None:
        self._tree = tree
        self._paths = paths

    def __getitem__(self, name: str) -> Position:
        return self._tree.locate(self._paths[name])

    def locate(self, name: str, *below: str | int) -> Position:
        """Return the position of something inside a field."""
        return self._tree.locate((*self._paths[name], *below))

    def inside(self, name: str) -> Path:
        """Return the path of a field in its file, under `overlays` for example."""
        return self._tree.origin(self._paths[name])[1]

    def value(self, name: str) -> Any:
        """Return a field as it was written."""
        value: Any = self._tree.value
        for step in self._paths[name]:
            value = value[step]
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


@dataclass(slots=True)
class SettingsReader:
    """Reads settings; equal tag lists are read once."""

    tree: Tree
    findings: Findings
    now: datetime
    _tags: dict[str, frozenset[str]] = field(default_factory=dict)

    def read(self, value: dict[str, Any], path: Path) -> NodeSettings:
        """Return the settings of an entry, a rule or the defaults."""
        paths: dict[str, Path] = {
            name: (*path, name) for name in _FIELDS if name in value
        }
        if not paths:
            return _SILENT
        routes, exit_node = None, value.get("exit_node")
        if "routes" in value:
            routes, wants_exit = self._routes(value["routes"], paths["routes"])
            if wants_exit:
                exit_node = self._exit_node(exit_node, paths)
        return NodeSettings(
            tags=self._tag_set(value["tags"]) if "tags" in value else None,
            routes=routes,
            exit_node=exit_node,
            expiry=self._expiry(value["expiry"], paths["expiry"])
            if "expiry" in value
            else None,
            positions=Places(self.tree, paths),
        )

    def _tag_set(self, tags: list[str]) -> frozenset[str]:
        known = self._tags.get(str(tags))
        if known is None:
            known = self._tags[str(tags)] = frozenset(map(str, tags))
        return known

    def _exit_node(self, said: bool | None, paths: dict[str, Path]) -> bool | None:
        """Return what an exit route means: `exit_node: true`, if nobody says false."""
        if said is False:
            false = self.tree.locate(paths["exit_node"])
            self.findings.error(
                "RC0111",
                "an exit route is approved, but exit_node is false",
                self.tree.locate((*paths["routes"], "approve")),
                why="0.0.0.0/0 and ::/0 are what makes a node an exit node",
                help="remove the route; or, if it is to be one, write "
                "`exit_node: true`",
                ways=(self._exit_routes(paths),),
                related=(Related(false, "false here"),),
            )
            return None
        paths["exit_node"] = paths["routes"]
        return True

    def _exit_routes(self, paths: dict[str, Path]) -> tuple[Drop, ...]:
        """Return the edits that leave out the routes that make an exit node."""
        written = Places(self.tree, paths).value("routes")["approve"]
        return tuple(
            Drop((*paths["routes"], "approve", index))
            for index, route in enumerate(written)
            if route.endswith("/0")
        )

    def _routes(self, value: dict[str, Any], path: Path) -> tuple[Routes, bool]:
        approve: set[str] = set()
        for index, written in enumerate(value["approve"]):
            where = (*path, "approve", index)
            route = self._route(written, where)
            if route in approve:
                self.findings.warn(
                    "RC0108",
                    f"{route} is listed twice",
                    self.tree.locate(where),
                    help="remove one of the two",
                    ways=((Drop(where),),),
                    about=_about(where),
                )
            if route:
                approve.add(route)
        exits = bool(approve & EXIT_ROUTES)
        mode = value.get("mode", "exact")
        return Routes(frozenset(approve - EXIT_ROUTES), mode), exits

    def _route(self, written: str, path: Path) -> str:
        """Return the canonical form of a route, or "" when it is none."""
        try:
            if not _ROUTE.fullmatch(written):
                raise ValueError
            route = canonical_route(written)
        except ValueError:
            self.findings.error(
                "RC0109",
                f"{quoted(written)} is not a network in CIDR notation",
                self.tree.locate(path),
                **route_help(written),
            )
            return ""
        network = str(ip_network(route, strict=False))
        if route != network:
            self.findings.warn(
                "RC0110",
                f"{route} has bits set beyond its prefix length",
                self.tree.locate(path),
                label=f"the network is {network}",
                why="it is approved only for a node that advertises exactly this text",
                help=f"write {network}, if that is what the node advertises",
                ways=((Instead(network),),),
                about=_about(path),
            )
        return route

    def _expiry(self, written: str, path: Path) -> Expiry | None:
        if written == NEVER:
            return NEVER
        when = instant(written)
        place = self.tree.locate(path)
        if when is None:
            self.findings.error(
                "RC0114",
                f"{quoted(written)} is no time at which a key can expire",
                place,
                **_instant_help(written),
            )
        elif when <= self.now:
            self.findings.warn(
                "RC0115",
                f"{quoted(written)} is in the past",
                place,
                label="the node must log in again at once",
                about=_about(path),
            )
        return when


def _about(path: Path) -> tuple[str, ...]:
    """Return the entry that a setting belongs to, as `accept` names it."""
    section, entry = path[0], path[1]
    name = {"nodes": f"node:{entry}", "node_rules": f"node_rules[{entry}]"}
    return (name.get(str(section), str(section)),)


def day(written: str) -> date | None:
    """Return a day written as 2030-12-31, or None."""
    try:
        return date.fromisoformat(written) if _DAY.fullmatch(written) else None
    except ValueError:
        return None


def instant(written: str) -> datetime | None:
    """Return an instant in UTC: RFC 3339 with a zone, or a day (its midnight)."""
    if _DAY.fullmatch(written):
        found = day(written)
        return datetime.combine(found, time(), UTC) if found else None
    match = _INSTANT.fullmatch(written)
    if not match or not match["zone"]:
        return None
    try:
        return datetime.fromisoformat(written.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _instant_help(written: str) -> Help:
    if nearest(written, [NEVER]):
        return {"help": f"did you mean {NEVER}?", "ways": ((Instead(NEVER),),)}
    found = _INSTANT.fullmatch(written)
    if found and not found["zone"]:
        zoned = Instead(f"{written}Z")
        return {"help": f"add the time zone: {zoned}", "ways": ((zoned,),)}
    return {
        "help": "write never, a day (2030-12-31), or an instant (2030-12-31T12:00:00Z)"
    }


def route_help(written: str) -> Help:
    """Return what to write in place of a text that is no network."""
    form = "write the network and the length of its prefix: 192.168.10.0/24"
    if "/" in written:
        return {"help": form}
    try:
        network = Instead(str(ip_interface(written).network))
    except ValueError:
        return {"help": form}
    return {"help": f"for this one address write {network}", "ways": ((network,),)}
