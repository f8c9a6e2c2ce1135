"""Somebody else who administers the same tailnet, between two requests of ours."""

import json
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from reconcile.simulator import Request
from reconcile.simulator import headscale as simulated
from reconcile.simulator.world import Node, User, World
from tests.contract.tailnets.edits import policy_text
from tests.simulation.making import EXIT, ROUTES, SWAP, TAGS, Goal

# A request as somebody sends it: method, path below /api/v1, body.
Sent = tuple[str, str, Any]
_HEADERS = {"authorization": "Bearer x", "content-type": "application/json"}


class Writer:
    """Acts now and then; some of what it does it takes back a few requests later.

    It owns every tag in its policies, and gives no node to a user who may have to go:
    what it leaves can be made what the files say.
    """

    def __init__(self, dice: random.Random, goal: Goal, share: float) -> None:
        self._dice, self._goal, self._share = dice, goal, share
        self._number = 0
        self._back: list[tuple[int, Sent]] = []

    def act(self, world: World) -> str:
        """Do something, mostly nothing; return what was done, "" for nothing."""
        undone = [sent for left, sent in self._back if left <= 0]
        self._back = [(left - 1, sent) for left, sent in self._back if left > 0]
        for sent in undone:
            self._send(world, sent)
        if undone:
            return f"back: {undone[0][0]} {undone[0][1]}"
        if self._dice.random() >= self._share:
            return ""
        action = self._dice.choice(_ACTIONS)
        made = action(self, world)
        if made is None:
            return ""
        if isinstance(made, str):
            return made
        sent, back = made
        if not self._send(world, sent):
            return ""
        if back and self._dice.random() < 0.3:
            self._back.append((self._dice.randint(0, 4), back))
        return f"{sent[0]} {sent[1]} {json.dumps(sent[2])}"

    def _send(self, world: World, sent: Sent) -> bool:
        method, path, body = sent
        data = json.dumps(body).encode() if body is not None else b""
        asked = Request(method, f"/api/v1/{path}", "", _HEADERS, data)
        return simulated.handle(world, asked).status == 200

    def _name(self) -> str:
        self._number += 1
        return f"other-{self._number}"

    def _idle(self, world: World) -> User | None:
        """Return a user without nodes; those who exchange names are left alone."""
        owners = {node.user for node in world.nodes}
        users = self._goal.users or {}
        swapped = {n for n, user in users.items() if "was" in user and "email" in user}
        idle = [u for u in world.users if not u.provider and u.id not in owners]
        idle = [u for u in idle if u.name.removesuffix(SWAP) not in swapped]
        return self._dice.choice(idle) if idle else None

    def _node(self, world: World) -> Node | None:
        return self._dice.choice(world.nodes) if world.nodes else None

    # Each returns what to send and what takes it back, or what it did by itself.

    def _user(self, world: World) -> tuple[Sent, Sent | None] | None:
        """Make a user, sometimes one that the files want too.

        The new name of somebody else stays free: under the old one, that user would
        have to go with all nodes.
        """
        name = self._dice.choice(("nina", "otto", self._name()))
        wanted = (self._goal.users or {}).get(name, {})
        email = wanted.get("email", "")
        if "was" in wanted:
            return None
        return ("POST", "user", {"name": name, "email": email}), None

    def _rename_user(self, world: World) -> tuple[Sent, Sent | None] | None:
        user = self._idle(world)
        if user is None:
            return None
        path = f"user/{user.id}/rename/"
        return ("POST", path + self._name(), {}), ("POST", path + user.name, {})

    def _remove_user(self, world: World) -> tuple[Sent, Sent | None] | None:
        user = self._idle(world)
        return (("DELETE", f"user/{user.id}", None), None) if user else None

    def _rename_node(self, world: World) -> tuple[Sent, Sent | None] | None:
        node = self._node(world)
        going = self._goal.prunes or self._goal.removed("user")
        if node is None or (going and node.name in self._goal.removed("node")):
            return None  # whoever owns it could not go any more
        path = f"node/{node.id}/rename/"
        return ("POST", path + self._name(), {}), ("POST", path + quote(node.name), {})

    def _tags(self, world: World) -> tuple[Sent, Sent | None] | None:
        node = self._node(world)
        if node is None:
            return None
        path, tags = f"node/{node.id}/tags", sorted(self._dice.sample(TAGS, 1))
        back = ("POST", path, {"tags": node.tags}) if node.tags else None
        return ("POST", path, {"tags": tags}), back

    def _approve(self, world: World) -> tuple[Sent, Sent | None] | None:
        node = self._node(world)
        if node is None:
            return None
        path, kept = f"node/{node.id}/approve_routes", [*node.approved]
        new = self._dice.sample((*ROUTES, EXIT[0]), self._dice.randint(0, 3))
        return ("POST", path, {"routes": new}), ("POST", path, {"routes": kept})

    def _remove_node(self, world: World) -> tuple[Sent, Sent | None] | None:
        node = self._node(world)
        return (("DELETE", f"node/{node.id}", None), None) if node else None

    def _join(self, world: World) -> str:
        """Let a device join with a tag, which takes no user of anybody."""
        name, number = self._name(), world.new_id("node")
        node = Node(number, name, tags=["tag:web"], routes=[ROUTES[2]])
        node.addresses = world.free_addresses()
        if not world.release.tagged_nodes_have_no_user:
            foreign = [u.id for u in world.users if u.provider]
            if not foreign:
                return ""
            node.user = foreign[0]
        world.nodes.append(node)
        return f"{name} joins"

    def _policy(self, world: World) -> tuple[Sent, Sent | None] | None:
        text = policy_text({"tagOwners": {tag: [] for tag in TAGS}, "acls": []})
        if world.policy.text and self._dice.random() < 0.5:
            text = f"// {self._name()}\n{world.policy.text}"
        kept = world.policy.text
        back = ("PUT", "policy", {"policy": kept}) if kept else None
        return ("PUT", "policy", {"policy": text}), back


Made = tuple[Sent, Sent | None] | str | None
_ACTIONS: tuple[Callable[[Writer, World], Made], ...] = (
    Writer._user,
    Writer._rename_user,
    Writer._remove_user,
    Writer._rename_node,
    Writer._rename_node,
    Writer._tags,
    Writer._tags,
    Writer._approve,
    Writer._approve,
    Writer._approve,
    Writer._remove_node,
    Writer._join,
    Writer._policy,
    Writer._policy,
)
