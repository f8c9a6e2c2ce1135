"""Random live states, and random files that can be made true on them."""

import random
from dataclasses import dataclass, field
from typing import Any

import yaml

from reconcile.model import EXIT_ROUTES
from reconcile.simulator.world import Node, Policy, User, World
from tests.contract.tailnets.edits import policy_text

RELEASES = ("0.26", "0.27", "0.28", "0.29", "main")
OLD = ("0.26", "0.27")
EXIT = tuple(sorted(EXIT_ROUTES))
_PEOPLE = ("alice", "bob", "carol", "dave", "erin", "max", "zoe")
_NEW_PEOPLE = ("nina", "otto", "paul")
_DEVICES = ("nas", "tv", "laptop", "phone", "gw", "edge", "desk", "db-1", "srv")
_NEW_NAMES = ("box", "media", "store-1", "router-9")
TAGS = ("tag:web", "tag:db", "tag:router")
ROUTES = (
    "10.1.0.0/16",
    "10.1.2.0/24",
    "192.168.7.0/24",
    "172.16.0.0/24",
    "fd00:1::/64",
)
SWAP = "-rc-swap"  # what a name ends with while two are exchanged
AUTO = "10.1.0.0/16"  # what some policies approve by themselves
AUTO_ROUTES = frozenset(ROUTES[:2])


@dataclass
class Goal:
    """What the files ask for: `document` is tailnet.yaml, `policy` the policy's value.

    `text` is the policy's file, "" where it stands in the document or is not managed.
    """

    document: dict[str, Any] = field(default_factory=lambda: {"version": 1})
    policy: dict[str, Any] | None = None
    text: str = ""

    @property
    def users(self) -> dict[str, dict[str, Any]] | None:
        return self.document.get("users")

    @property
    def nodes(self) -> dict[str, dict[str, Any]]:
        return self.document.get("nodes", {})

    @property
    def prunes(self) -> bool:
        return self.document.get("manage", {}).get("users") == "prune"

    def removed(self, kind: str) -> set[str]:
        """Return the names of a kind that are listed to be removed."""
        lines = self.document.get("removed", [])
        return {n for k, _, n in (line.partition(":") for line in lines) if k == kind}

    def files(self) -> dict[str, str]:
        """Return the files: name to text."""
        text = yaml.safe_dump(self.document, sort_keys=False)
        found = {"tailnet.yaml": text}
        return {**found, "policy.hujson": self.text} if self.text else found


class Maker:
    """Makes a live state and files for it."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.release = dice.choice(RELEASES)

    def chance(self, share: float) -> bool:
        return self.dice.random() < share

    def some(self, items: Any, least: int, most: int) -> list[Any]:
        items = list(items)
        most = min(most, len(items))
        return self.dice.sample(items, self.dice.randint(min(least, most), most))

    # -- what is there -----------------------------------------------------------

    def world(self) -> World:
        """Return a server with users, nodes and mostly a policy."""
        world = World(self.release)
        names = self.some(_PEOPLE, 2, 4)
        for number, name in enumerate(names, 1):
            email = f"{name}@example.com" if self.chance(0.6) else ""
            world.users.append(User(number, name, name.title(), email))
        if self.chance(0.2):
            foreign = User(
                9, self.dice.choice((names[0], "olga")), "", "o@corp.example"
            )
            foreign.provider, foreign.provider_id = "oidc", "https://id.example.com/9"
            world.users.append(foreign)
        for number, name in enumerate(self.some(_DEVICES, 1, 6), 1):
            world.nodes.append(self._node(number, name, world))
        world.last_ids |= {"user": 9, "node": len(world.nodes), "address": 9}
        if self.chance(0.85):
            foreign = {u.name for u in world.users if u.provider}
            local = [u.name for u in world.users if u.name not in foreign]
            text = policy_text(self.policy(local))
            world.policy = Policy(text=text, updated="2030-01-01T00:00:00Z")
        return world

    def _node(self, number: int, name: str, world: World) -> Node:
        tags = sorted(self.some(TAGS, 1, 2)) if self.chance(0.35) else []
        owner: int | None = self.dice.choice(world.users).id
        if tags and self.release not in OLD:
            owner = None
        routes = self.some(ROUTES, 1, 3) if self.chance(0.5) else []
        routes += EXIT if self.chance(0.3) else []
        approved = [r for r in routes if r not in EXIT and self.chance(0.5)]
        approved += EXIT if EXIT[0] in routes and self.chance(0.5) else []
        expiry = "2031-05-01T00:00:00Z" if self.chance(0.3) else None
        return Node(
            number,
            name,
            hostname=f"{name}-host",
            user=owner,
            tags=tags,
            routes=routes,
            approved=sorted(approved),
            addresses=[f"100.64.0.{number}", f"fd7a:115c:a1e0::{number:x}"],
            expiry=expiry,
        )

    def policy(self, users: list[str]) -> dict[str, Any]:
        """Return a policy for these users; it owns every tag that nodes may get."""
        people = [f"{name}@" for name in users]
        value: dict[str, Any] = {
            "groups": {"group:ops": self.some(people, 0, 2)},
            "tagOwners": {tag: self.some(["group:ops", *people], 0, 1) for tag in TAGS},
            "acls": [self._rule(people) for _ in range(self.dice.randint(0, 3))],
        }
        if self.chance(0.2):
            owners = self.some(["tag:router", "group:ops"], 0, 2)
            value["autoApprovers"] = {"routes": {AUTO: owners}}
        return value

    def _rule(self, people: list[str]) -> dict[str, Any]:
        port = self.dice.choice(("22", "443", "80,8000-8999", "*"))
        targets = [*TAGS, "192.168.7.0/24", "group:ops"]
        return {
            "action": "accept",
            "src": self.some(["group:ops", *people, *TAGS], 1, 2),
            "dst": [f"{one}:{port}" for one in self.some(targets, 1, 2)],
        }

    # -- what is wanted ----------------------------------------------------------

    def goal(self, world: World) -> Goal:
        """Return files that can be made true, whatever they change."""
        goal = Goal()
        with_policy = self.chance(0.7)
        foreign = {user.name for user in world.users if user.provider}
        gone = self._nodes(goal, world, can_tag=with_policy or bool(world.policy.text))
        names = self._users(goal, world, gone)
        if with_policy:
            # a name of two users means neither: servers refuse such a policy
            goal.policy = self.policy([n for n in names if n not in foreign])
            self._policy_file(goal)
        if len(goal.document) == 1:
            goal.document["users"] = {name: {} for name in names}
        return goal

    def as_it_is(self, world: World) -> Goal:
        """Return files that ask for what is there."""
        nodes = {
            node.name: {
                "match": {"id": str(node.id)},
                "routes": {"approve": [r for r in node.approved if r not in EXIT]},
                "exit_node": EXIT[0] in node.approved,
            }
            for node in world.nodes
        }
        goal = Goal({"version": 1, "nodes": nodes})
        goal.document["users"] = {u.name: {} for u in world.users if not u.provider}
        if world.policy.text:
            goal.text = world.policy.text
            goal.document["policy"] = {"file": "policy.hujson"}
        return goal

    def _policy_file(self, goal: Goal) -> None:
        if self.chance(0.25):
            goal.document["policy"] = goal.policy
            return
        goal.text = f"// {self.dice.randint(1, 9)}\n{policy_text(goal.policy or {})}"
        goal.document["policy"] = {"file": "policy.hujson"}

    def _users(self, goal: Goal, world: World, gone: set[int]) -> list[str]:
        """Ask for users; return the names that there will be."""
        local = [user for user in world.users if not user.provider]
        if self.chance(0.2):
            return [user.name for user in local]
        wanted: dict[str, Any] = {}
        removed: list[str] = []
        prune = self.chance(0.2)
        owners = {node.user for node in world.nodes if node.id not in gone}
        swapped = self._swap(local, wanted)
        fresh = [n for n in _NEW_PEOPLE if self.chance(0.4)]
        left: list[str] = []
        for user in local:
            if user in swapped:
                continue
            free, dice = user.id not in owners, self.dice.random()
            if dice < 0.2 and fresh:
                wanted[fresh.pop()] = {"was": user.name}
            elif dice < 0.35 and free:
                removed.append(f"user:{user.name}")
            elif dice < 0.5 and (free or not prune):
                left += [] if prune else [user.name]
            else:
                wanted[user.name] = {"email": user.email} if self.chance(0.3) else {}
        for name in fresh:
            wanted[name] = {"email": f"{name}@example.com"} if self.chance(0.5) else {}
        goal.document["users"] = wanted
        if removed:
            goal.document.setdefault("removed", []).extend(removed)
        if prune:
            goal.document["manage"] = {"users": "prune"}
        return [*wanted, *left]

    def _swap(self, local: list[User], wanted: dict[str, Any]) -> list[User]:
        """Let two users whose e-mails tell them apart exchange their names."""
        known = [user for user in local if user.email]
        if len(known) < 2 or not self.chance(0.12):
            return []
        one, two = known[:2]
        wanted[one.name] = {"was": two.name, "email": two.email}
        wanted[two.name] = {"was": one.name, "email": one.email}
        return [one, two]

    def _nodes(self, goal: Goal, world: World, *, can_tag: bool) -> set[int]:
        """Ask for nodes; return the ids of those that are to go."""
        if self.chance(0.12):
            return set()
        nodes: dict[str, Any] = {}
        gone: set[int] = set()
        names = self._wanted_names(world)
        for node in world.nodes:
            dice = self.dice.random()
            if dice < 0.12:
                gone.add(node.id)
                goal.document.setdefault("removed", []).append(f"node:{node.name}")
            elif dice < 0.75:
                entry = self._entry(node, names[node.id], can_tag=can_tag)
                nodes[names[node.id]] = entry
        if self.chance(0.1):
            nodes["not-yet"] = {"match": {"hostname": "not-yet"}, "exit_node": True}
        goal.document["nodes"] = nodes
        return gone

    def _wanted_names(self, world: World) -> dict[int, str]:
        """Return the name that each node is to get if it has an entry."""
        names = {node.id: node.name for node in world.nodes}
        for node, name in zip(world.nodes, _NEW_NAMES, strict=False):
            if self.chance(0.15):
                names[node.id] = name
        return names

    def _entry(self, node: Node, name: str, *, can_tag: bool) -> dict[str, Any]:
        match = {"id": str(node.id)}
        dice = self.dice.random()
        if dice < 0.2:
            match = {"machine_key": node.machine_key}
        elif dice < 0.35:
            match = {"hostname": node.hostname}
        elif dice < 0.5 and name == node.name:
            match = {}
        entry: dict[str, Any] = {"match": match} if match else {}
        if can_tag and self.chance(0.5):
            least = 0 if self.release in OLD or not node.tags else 1
            if tags := self.some(TAGS, least, 2):
                entry["tags"] = sorted(tags)
            elif self.release in OLD:
                entry["tags"] = []
        if self.chance(0.5):
            entry["routes"] = self._routes(node)
        if self.chance(0.3):
            entry["exit_node"] = self.chance(0.5)
        if self.chance(0.3):
            entry |= self._expiry()
        return entry

    def _routes(self, node: Node) -> dict[str, Any]:
        """Ask for routes; what a policy may approve by itself is always among them."""
        offered = [route for route in node.routes if route not in EXIT]
        chosen = {*self.some(offered, 0, 3), *AUTO_ROUTES.intersection(offered)}
        chosen |= {"10.9.0.0/24"} if self.chance(0.1) else set()
        routes: dict[str, Any] = {"approve": sorted(chosen)}
        if self.chance(0.4):
            routes["mode"] = "at-least"
        return routes

    def _expiry(self) -> dict[str, str]:
        choices = ["2029-01-01T00:00:00Z"]  # it is over
        choices += ["2032-02-03T04:05:06Z"] * 2 * (self.release != "0.26")
        choices += ["never"] * 2 * (self.release in ("0.29", "main"))
        return {"expiry": self.dice.choice(choices)}
