"""What has to hold, whatever happened: read from the files, apart from the program."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from reconcile.simulator.world import Node, World
from reconcile.source.hujson import parse
from tests.simulation.making import AUTO_ROUTES, EXIT, SWAP, Goal

View = Mapping[tuple[str, int], Mapping[str, Any]]
EXITS = frozenset(EXIT)


class Ledger:
    """Holds each change that the program made to what the files allow.

    `wrong` is what they do not. `lost` counts what somebody else set, that is not ours
    and that we took away, though it came after the last look at the server: no server
    lets that be closed.
    """

    def __init__(self, goal: Goal, world: World) -> None:
        self._goal = goal
        self._names: dict[tuple[str, int], set[str]] = defaultdict(set)
        self._nodes: dict[int, tuple[str, str]] = {}
        self.approved: dict[int, frozenset[str]] = {}  # as the program last saw it
        self._known = self.approved
        self._policy_seen: str | None = None
        self.wrong: list[str] = []
        self.lost = 0
        self._note(world)

    def _note(self, world: World) -> None:
        for user in world.users:
            self._names["user", user.id].add(user.name)
        for node in world.nodes:
            self._names["node", node.id].add(node.name)
            self._nodes[node.id] = node.machine_key, node.hostname

    def seen(self, request: str, world: World) -> None:
        """Note what an answer tells: the program knows it from now on."""
        self._note(world)
        if request.endswith("/node"):
            self.approved = {n.id: frozenset(n.approved) for n in world.nodes}
        if request.endswith("/policy"):
            self._policy_seen = world.policy.text

    def theirs(self, before: View, after: View) -> None:
        """Note what somebody else changed."""
        for key, fields in after.items():
            if "name" in fields:
                self._names[key].add(fields["name"])

    def ours(self, request: str, before: View, after: View, known: Any) -> None:
        """Judge what a request of ours changed; `known` is what was seen before it."""
        self._known = known
        for key in {**before, **after}:
            old, new = before.get(key), after.get(key)
            if old == new:
                continue
            why = self._judge(key, old, new, request)
            if why:
                self.wrong.append(f"{request}: {key[0]} {key[1]}: {why}")
            if new and "name" in new:
                self._names[key].add(new["name"])

    def _judge(self, key: tuple[str, int], old: Any, new: Any, request: str) -> str:
        kind = key[0]
        if kind == "policy":
            return self._policy(old, new)
        if new is None:
            return self._removed(key)
        if kind == "user":
            return self._user(key, old, new)
        return self._node(key[1], old, new, request) if old else "a node is there"

    def _policy(self, old: Any, new: Any) -> str:
        if self._goal.policy is None:
            return "the files do not manage it"
        if old["text"] != self._policy_seen and old["text"] != new["text"]:
            self.lost += 1
        return ""

    def _removed(self, key: tuple[str, int]) -> str:
        goal, names = self._goal, self._names[key]
        if names & goal.removed(key[0]):
            return ""
        if key[0] == "user" and goal.prunes and names - set(goal.users or ()):
            return ""
        return f"{sorted(names)} is gone, and no line says so"

    def _user(self, key: tuple[str, int], old: Any, new: Any) -> str:
        users = self._goal.users or {}
        name = new["name"]
        if old is None:
            return "" if name in users else f"{name} is there, and nobody wants it"
        names, former = self._names[key], users.get(name, {}).get("was")
        exchanged = any(user.get("was") in names for user in users.values())
        if former in names or (name.endswith(SWAP) and exchanged):
            return ""
        return f"{old['name']} is called {name} now"

    # -- nodes -------------------------------------------------------------------

    def _node(self, number: int, old: Any, new: Any, request: str) -> str:
        entries = [*self._entries(number)]
        for field in new:
            if old[field] == new[field]:
                continue
            by_policy = field == "approved" and request.endswith("/policy")
            if by_policy and set(old[field]) <= set(new[field]):
                continue
            if not any(
                self._may(field, name, entry, number, old, new)
                for name, entry in entries
            ):
                return f"{field} was {old[field]}, is {new[field]} now"
        return ""

    def _entries(self, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the entries that mean a node, or meant it under an earlier name."""
        machine_key, hostname = self._nodes.get(number, ("", ""))
        for name, entry in self._goal.nodes.items():
            match = entry.get("match") or {"name": name}
            fits = {
                "id": match.get("id") == str(number),
                "machine_key": match.get("machine_key") == machine_key,
                "hostname": match.get("hostname") == hostname,
                "name": match.get("name") in self._names["node", number],
            }
            if all(fits[field] for field in match):
                yield name, entry

    def _may(
        self, field: str, name: str, entry: Any, number: int, old: Any, new: Any
    ) -> bool:
        """Tell whether an entry lets a field become what it is now."""
        if field == "name":
            return new[field] == name or new[field].endswith(SWAP)
        if field == "approved":
            return self._may_approve(entry, number, set(old[field]), set(new[field]))
        if field == "user":
            return "tags" in entry and new[field] is None
        if field not in entry:
            return False
        return field != "tags" or new[field] == entry["tags"]

    def _may_approve(
        self, entry: Any, number: int, old: set[str], new: set[str]
    ) -> bool:
        """Hold the one list of the server to the parts of it that the files manage."""
        lost = {r for r in old - new if not _takes(entry, r)}
        more = {r for r in new - old if not _gives(entry, r)}
        known = self._known.get(number, frozenset())
        if not lost & known and more <= known:
            self.lost += bool(lost or more)
            return True
        return False


def _takes(entry: Any, route: str) -> bool:
    """Tell whether an entry means a route to be taken away."""
    if route in EXITS:
        return entry.get("exit_node") is False
    routes = entry.get("routes")
    exact = routes is not None and routes.get("mode", "exact") == "exact"
    return exact and route not in routes["approve"]


def _gives(entry: Any, route: str) -> bool:
    if route in EXITS:
        return entry.get("exit_node") is True
    return route in entry.get("routes", {}).get("approve", ())


# -- what has to be there at the end ----------------------------------------------


def unmet(goal: Goal, world: World, now: datetime) -> list[str]:
    """Return what the files ask for and the server is not."""
    found = [*_users(goal, world), *_nodes(goal, world, now)]
    if goal.policy is not None:
        found += _policy(goal, world.policy.text or "")
    return found


def _users(goal: Goal, world: World) -> Iterator[str]:
    local = [user.name for user in world.users if not user.provider]
    every = {user.name for user in world.users}
    if len(set(local)) < len(local):
        yield f"two users have one name: {sorted(local)}"
    for name in goal.users or ():
        if name not in every:
            yield f"user {name} is not there"
    for name in goal.removed("user"):
        if name in local:
            yield f"user {name} is still there"
    if goal.users is not None and goal.prunes:
        yield from (f"user {n} is left" for n in local if n not in goal.users)
    yield from (f"user {name} is left over" for name in local if name.endswith(SWAP))


def _nodes(goal: Goal, world: World, now: datetime) -> Iterator[str]:
    names = {node.name for node in world.nodes}
    for name in goal.removed("node") & names:
        yield f"node {name} is still there"
    for name, entry in goal.nodes.items():
        match = entry.get("match") or {"name": name}
        for node in world.nodes:
            if _fits(node, match):
                yield from _settings(name, entry, node, now)


def _fits(node: Node, match: Mapping[str, str]) -> bool:
    fields = {
        "id": str(node.id),
        "machine_key": node.machine_key,
        "hostname": node.hostname,
        "name": node.name,
    }
    return all(fields[field] == value for field, value in match.items())


def _settings(
    name: str, entry: Mapping[str, Any], node: Node, now: datetime
) -> Iterator[str]:
    approved = set(node.approved)
    if node.name != name:
        yield f"node {node.id} is called {node.name}, not {name}"
    if "tags" in entry and sorted(node.tags) != entry["tags"]:
        yield f"node {name} has {node.tags}, not {entry['tags']}"
    if "exit_node" in entry and bool(approved & EXITS) != entry["exit_node"]:
        yield f"node {name} is an exit node, or is none"
    if routes := entry.get("routes"):
        wanted, there = set(routes["approve"]), approved - EXITS
        extra = there - wanted - AUTO_ROUTES
        if wanted - there or (extra and routes.get("mode") != "at-least"):
            yield f"node {name} has {sorted(there)}, not {sorted(wanted)}"
    if "expiry" in entry and not _expires(node.expiry, entry["expiry"], now):
        yield f"node {name} expires {node.expiry}, not {entry['expiry']}"


def _expires(actual: str | None, wanted: str, now: datetime) -> bool:
    if wanted == "never" or actual is None:
        return wanted == "never" and actual is None
    said, moment = map(datetime.fromisoformat, (wanted, actual))
    return said == moment or max(said, moment) <= now


def _policy(goal: Goal, text: str) -> Iterable[str]:
    if goal.text:
        return [] if text == goal.text else ["the policy is not byte for byte the file"]
    same = bool(text) and parse(text).value == goal.policy
    return [] if same else ["the policy does not say what the files say"]
