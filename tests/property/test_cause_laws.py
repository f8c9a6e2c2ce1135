"""Causes are what would undo a gain or a loss: each change is taken out and compared.

A plan is a few changes of a policy and of nodes. A path has a cause if it is not gained,
or not lost, when that change alone is left out; where there is none, any would do. Of two
changes just the causes are named. Among three a change may be named besides that only
closes one of several ways, since each way is looked at by itself.
"""

import re
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile.model import Node
from reconcile.policy.access.access import Access
from reconcile.policy.access.difference import diff
from reconcile.policy.reading import read
from tests.property.test_access_laws import (
    ACL,
    NODES,
    POLICY,
    PROBES,
    Walk,
    answer,
    ends,
    opened,
    tailnet,
    valid,
)

State = tuple[dict[str, Any], list[Node]]
MEMBERS = st.lists(st.sampled_from(["ann@", "ben@", "cy@"]), max_size=2, unique=True)
TAGGED = st.lists(st.sampled_from(["tag:a", "tag:b", "tag:r"]), min_size=1, max_size=2)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("rule"), ACL),
        st.tuples(st.just("group"), MEMBERS),
        st.tuples(st.just("tags"), st.integers(0, 5), TAGGED),
        st.tuples(st.just("routes"), st.integers(0, 5)),
        st.tuples(st.just("removed"), st.integers(0, 5)),
    ),
    min_size=2,
    max_size=3,
    unique_by=lambda change: change[:2] if isinstance(change[1], int) else change[0],
)


def made(state: State, changes: list[Any]) -> State:
    policy, nodes = {**state[0]}, list(state[1])
    for kind, *what in changes:
        if kind == "rule":
            policy["acls"] = [*policy["acls"], what[0]]
        elif kind == "group":
            policy["groups"] = {**policy["groups"], "group:one": what[0]}
        elif kind == "tags":
            nodes = [retagged(n, *what) for n in nodes]
        elif kind == "routes":
            nodes = [turned(n, *what) for n in nodes]
        else:
            nodes = [n for n in nodes if n.id != str(what[0] + 1)]
    return policy, nodes


def retagged(node: Node, place: int, tags: list[str]) -> Node:
    if node.id != str(place + 1):
        return node
    return replace(node, tags=frozenset(tags), user_id=None)


def turned(node: Node, place: int) -> Node:
    """Approve all routes of a node, or none where some are approved."""
    if node.id != str(place + 1):
        return node
    return replace(node, approved=frozenset() if node.approved else node.available)


def paths(state: State) -> set[tuple[str, str, tuple[int, int]]]:
    policy, nodes = state
    access = Access(read(policy, "main"), tailnet(nodes))
    access = access.asking(
        ["10.1.0.5", "10.1.1.5", "10.2.0.5", "203.0.113.5", "8.8.8.8"]
    )
    places = ends(access, nodes, Walk(policy, nodes))
    return {
        (source, target, probe)
        for source, bit in places.items()
        for probe in PROBES
        for reached in (
            answer(access, bit, probe) & access.matrix.universe.partners(bit),
        )
        for target, other in places.items()
        if source != target and reached & other
    }


def named(changes: list[Any], rules: int) -> dict[str, int]:
    """Return the changes by what a cause starts with."""
    found = {}
    for number, (kind, *what) in enumerate(changes):
        if kind == "rule":
            found[f"acls[{rules}]"] = number
        elif kind == "group":
            found['groups."group:one"'] = number
        else:
            found[f"node:n{what[0] + 1} "] = number
    return found


def told(because: tuple[str, ...], names: dict[str, int], needed: set[int]) -> set[int]:
    """Return the changes that a line names; of alike nodes those that are needed.

    What happened to several nodes alike is told of all of them in one line.
    """
    found = set()
    for text in because:
        nodes = re.match(r"((?:node:n\d+, )*node:n\d+) ", text)
        words = [f"{n} " for n in nodes[1].split(", ")] if nodes else [text]
        here = {names[word] for word in words}
        found |= here & needed or here
    return found


@settings(max_examples=40, deadline=None)
@given(POLICY, NODES, CHANGES)
def test_a_cause_is_what_would_undo_it(
    policy: dict[str, Any], nodes: list[Node], changes: list[Any]
) -> None:
    policy = {**policy, "acls": policy.get("acls", [])}
    kinds = [c[1] for c in changes if isinstance(c[1], int)]
    start = policy, nodes
    after = made(start, changes)
    if len(set(kinds)) < len(kinds) or len(after[1]) < 2:
        return  # one change for each node
    less = [made(start, changes[:i] + changes[i + 1 :]) for i in range(len(changes))]
    if not all(valid(each[0]) for each in (start, after, *less)):
        return
    sides = [(read(p, "main"), tailnet(n)) for p, n in (start, after)]
    found = diff(*sides, None)
    was, now, without = paths(start), paths(after), [paths(each) for each in less]
    names = named(changes, len(policy["acls"]))
    for entries, side, gained in (
        (found.gained, after, True),
        (found.lost, start, False),
    ):
        for entry in entries:
            if not entry.services:
                continue  # of a node that is gone all is told at once
            places = {a for pair in (was if not gained else now) for a in pair[:2]}
            pairs = opened([entry], sorted(places), side[0], side[1])
            moved = (now - was) if gained else (was - now)
            for path in moved:
                if path[:2] not in pairs or not covers(entry.services, path[2]):
                    continue
                needed = {
                    i for i, each in enumerate(without) if (path not in each) is gained
                }
                said = told(entry.because, names, needed)
                exact = said == needed or len(changes) > 2
                known = needed <= said and exact if needed else len(said) > 1
                assert known, (path, entry, needed)


def covers(services: tuple[str, ...], probe: tuple[int, int]) -> bool:
    """Tell whether printed services hold a protocol and port."""
    words = {6: "tcp", 17: "udp", 132: "sctp", 1: "icmp", 58: "ipv6-icmp"}
    for text in services:
        if text == "*":
            return True
        protocols, _, ports = text.partition(" ")
        if words[probe[0]] not in protocols.split("/"):
            continue
        if probe[0] in (1, 58) or ports == "*":
            return True
        for part in ports.split(","):
            low, _, high = part.partition("-")
            if int(low) <= probe[1] <= int(high or low):
                return True
    return False
