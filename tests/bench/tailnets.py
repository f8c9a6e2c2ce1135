"""Large tailnets with their policies, before and after an edit, for the access bench.

The team-like one and the hostile one, then one for each thing that could be slow.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from reconcile.model import Node, User
from reconcile.policy.language.sets import V6, IntervalSet, texts

RULES = 2000


@dataclass
class Input:
    """Two policies in two tailnets, which are one where only the policy changes."""

    before: dict[str, Any]
    after: dict[str, Any]
    users: list[User]
    nodes: list[Node]
    later: list[Node]
    release: str = "main"


def address(index: int) -> tuple[str, str]:
    low = (100 << 24) + (64 << 16) + 1 + index
    high = V6 + (0xFD7A115CA1E0 << 80) + 1 + index
    return tuple(texts(IntervalSet([(n, n)]))[0] for n in (low, high))  # type: ignore


def node(index: int, user: str | None, tags: list[str], route: str = "") -> Node:
    routes = frozenset([route] if route else [])
    return Node(
        str(index),
        f"n{index}",
        user_id=user,
        tags=frozenset(tags),
        approved=routes,
        available=routes,
        addresses=address(index),
    )


def tailnet(chance: random.Random, size: int, users: int, tags: int) -> list[Node]:
    nodes = []
    for index in range(size):
        if chance.random() < 0.5:
            nodes.append(node(index, str(chance.randrange(users)), []))
        else:
            worn = [
                f"tag:t{chance.randrange(tags)}" for _ in range(chance.choice([1, 2]))
            ]
            nodes.append(node(index, None, worn))
    return nodes


def policy(
    chance: random.Random,
    users: int,
    groups: int,
    tags: int,
    each: int,
    rule: Callable[[int], dict[str, Any]],
    rules: int = RULES,
) -> dict[str, Any]:
    return {
        "groups": {
            f"group:g{g}": [f"u{chance.randrange(users)}@" for _ in range(each)]
            for g in range(groups)
        },
        "tagOwners": {f"tag:t{t}": [] for t in range(tags)},
        "acls": [rule(index) for index in range(rules)],
    }


def edited(chance: random.Random, before: dict[str, Any]) -> dict[str, Any]:
    after = json.loads(json.dumps(before))
    for rule in chance.sample(after["acls"], min(20, len(after["acls"]))):
        rule["dst"] = [rule["dst"][0].rpartition(":")[0] + ":9999"]
    for name in list(after["groups"])[:2]:
        after["groups"][name] = after["groups"][name][1:]
    return after


def acl(src: list[str], dst: list[str]) -> dict[str, Any]:
    return {"action": "accept", "src": src, "dst": dst}


PORTS = ["22", "80,443", "5432", "8000-8100", "*", "53", "9090", "3306"]


def team(chance: random.Random, size: int) -> Input:
    def rule(_: int) -> dict[str, Any]:
        return acl(
            [f"group:g{chance.randrange(40)}"],
            [f"tag:t{chance.randrange(120)}:{chance.choice(PORTS)}"],
        )

    return build(
        chance,
        tailnet(chance, size, 400, 120),
        policy(chance, 400, 40, 120, 20, rule),
        400,
    )


def hostile(chance: random.Random, size: int) -> Input:
    def rule(_: int) -> dict[str, Any]:
        kind = chance.randrange(4)
        src = [
            f"group:g{chance.randrange(150)}",
            f"u{chance.randrange(2000)}@",
            address(chance.randrange(size))[0],
            f"tag:t{chance.randrange(300)}",
        ][kind]
        dst = [
            f"tag:t{chance.randrange(300)}",
            address(chance.randrange(size))[0],
            f"group:g{chance.randrange(150)}",
            "autogroup:tagged",
        ][chance.randrange(4)]
        return acl([src], [f"{dst}:{chance.choice(PORTS)}"])

    return build(
        chance,
        tailnet(chance, size, 2000, 300),
        policy(chance, 2000, 150, 300, 400, rule),
        2000,
    )


def literals(chance: random.Random, size: int) -> Input:
    def rule(_: int) -> dict[str, Any]:
        return acl(
            [address(chance.randrange(size))[0]],
            [f"{address(chance.randrange(size))[0]}:443"],
        )

    return plain(chance, size, rule)


def own_devices(chance: random.Random, size: int) -> Input:
    """As many users as elsewhere nodes, each with two of them."""
    nodes = [node(i, str(i % size), []) for i in range(2 * size)]

    def rule(index: int) -> dict[str, Any]:
        if index < 20:
            return acl(["autogroup:member"], [f"autogroup:self:{1000 + index}"])
        return acl([f"u{index}@"], [f"u{index + 1}@:22"])

    return build(chance, nodes, policy(chance, size, 10, 10, 5, rule), size)


def routers(chance: random.Random, size: int) -> Input:
    nodes = tailnet(chance, size - 3000, 400, 100)
    for index in range(3000):
        a, b = index // 200, index % 200
        prefixes = [f"10.{a}.{b}.0/24", f"10.{a}.{b - b % 8}.0/21", f"10.{a}.0.0/16"]
        nodes.append(node(size - 3000 + index, None, ["tag:t1"], prefixes[index % 3]))

    def rule(_: int) -> dict[str, Any]:
        a, b = chance.randrange(15), chance.randrange(200)
        return acl(
            [f"group:g{chance.randrange(40)}"],
            [f"10.{a}.{b}.0/{chance.choice([24, 25, 28])}:443"],
        )

    return build(chance, nodes, policy(chance, 400, 40, 100, 20, rule), 400)


def half(chance: random.Random, size: int) -> Input:
    def rule(_: int) -> dict[str, Any]:
        start = chance.randrange(size // 2)
        base = address(start)[0]
        return acl(
            [f"{base}/{chance.choice([19, 20, 21])}"],
            [f"{address(chance.randrange(size))[0]}/19:{chance.choice(PORTS)}"],
        )

    return plain(chance, size, rule)


def wildcard(chance: random.Random, size: int) -> Input:
    return plain(chance, size, lambda _: acl(["*"], ["*:*"]))


def ranges(chance: random.Random, size: int) -> Input:
    def rule(index: int) -> dict[str, Any]:
        low = (index % 500) * 100 + 1
        return acl(
            [f"group:g{chance.randrange(40)}"],
            [f"tag:t{chance.randrange(100)}:{low}-{low + chance.randrange(900)}"],
        )

    return build(
        chance,
        tailnet(chance, size, 400, 100),
        policy(chance, 400, 40, 100, 20, rule),
        400,
    )


def moves(chance: random.Random, size: int) -> Input:
    """As team, and a hundred nodes change tag or user, twenty go."""
    made = team(chance, size)
    made.later = moved(chance, made.nodes, 400, 120)
    return made


def hostile_moves(chance: random.Random, size: int) -> Input:
    made = hostile(chance, size)
    made.later = moved(chance, made.nodes, 2000, 300)
    return made


def widening(chance: random.Random, size: int) -> Input:
    """As half, for a release on which a network brings in other addresses."""
    return replace(half(chance, size), release="0.26")


def moved(
    chance: random.Random, nodes: list[Node], users: int, tags: int
) -> list[Node]:
    later = list(nodes)
    for index in chance.sample(range(len(nodes)), 100):
        if nodes[index].tags:
            worn = frozenset([f"tag:t{chance.randrange(tags)}"])
            later[index] = replace(nodes[index], tags=worn)
        else:
            later[index] = replace(nodes[index], user_id=str(chance.randrange(users)))
    gone = set(chance.sample(range(len(nodes)), 20))
    return [node for index, node in enumerate(later) if index not in gone]


def plain(
    chance: random.Random, size: int, rule: Callable[[int], dict[str, Any]]
) -> Input:
    """A tailnet of 400 users and 100 tags, for rules that need no certain groups."""
    nodes = tailnet(chance, size, 400, 100)
    return build(chance, nodes, policy(chance, 400, 10, 100, 5, rule), 400)


def build(
    chance: random.Random, nodes: list[Node], before: dict[str, Any], users: int
) -> Input:
    people = [User(str(u), f"u{u}") for u in range(users)]
    return Input(before, edited(chance, before), people, nodes, nodes)


INPUTS = {
    make.__name__: make
    for make in (
        team,
        hostile,
        literals,
        own_devices,
        routers,
        half,
        wildcard,
        ranges,
        moves,
        hostile_moves,
        widening,
    )
}
