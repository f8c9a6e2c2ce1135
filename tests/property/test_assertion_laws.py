"""Assertions against the access list, against a slow walk, and beside another world."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile.model import Node
from reconcile.policy.access.access import Access
from reconcile.policy.access.assertions import Assertions
from reconcile.policy.access.claims import Paths, Port
from reconcile.policy.access.difference import diff
from reconcile.policy.reading import read
from tests.property.test_access_laws import (
    NODES,
    POLICY,
    PROBES,
    TAGS,
    Walk,
    machine,
    tailnet,
    valid,
)

PLACES = st.sampled_from(
    [
        "ann@",
        "ben@",
        "group:one",
        "group:two",
        *TAGS,
        "autogroup:member",
        "autogroup:tagged",
        "alias",
        "100.64.0.0/30",
        "10.0.0.0/8",
        "10.1.1.0/24",
    ]
)
PORTS = st.sampled_from([None, Port(22), Port(443), Port(53, 17)])


def named(access: Access, name: str) -> int:
    try:
        return access.find(name)
    except LookupError:
        return 0


@settings(max_examples=400, deadline=None)
@given(POLICY, NODES, PLACES, PLACES, PORTS)
def test_no_holds_exactly_when_the_access_list_is_empty(
    policy: dict[str, Any], nodes: list[Node], source: str, target: str, port: Any
) -> None:
    if not valid(policy):
        return
    access = Access(read(policy, "main"), tailnet(nodes)).asking([source, target])
    sides = named(access, source), named(access, target)
    listed = access.entries(*sides, *(port or ()))
    answer = Assertions(access).answer(Paths(False, source, target, port))
    assert bool(answer.reasons) == bool(listed)


@settings(max_examples=400, deadline=None)
@given(POLICY, NODES, st.sampled_from([p for p in PROBES if p[0] in (6, 17)]))
def test_no_and_allow_between_two_nodes_are_what_packets_do(
    policy: dict[str, Any], nodes: list[Node], probe: tuple[int, int]
) -> None:
    if not valid(policy):
        return
    access, walk = Access(read(policy, "main"), tailnet(nodes)), Walk(policy, nodes)
    here, there = nodes[0], nodes[-1]
    sides = f"node:{here.name}", f"node:{there.name}"
    pairs = [(a, b) for a in here.addresses for b in there.addresses]
    opened = any(walk.allows(*pair, probe) for pair in pairs)
    judge = Assertions(access)
    port = Port(probe[1], probe[0])
    assert bool(judge.answer(Paths(False, *sides, port)).reasons) is opened
    assert bool(judge.answer(Paths(True, *sides, port)).reasons) is not opened


@settings(max_examples=300, deadline=None)
@given(POLICY, POLICY, NODES, NODES, PLACES, PLACES, st.booleans())
def test_an_answer_is_the_same_beside_another_world(
    one: dict[str, Any],
    other: dict[str, Any],
    nodes: list[Node],
    moved: list[Node],
    source: str,
    target: str,
    allow: bool,
) -> None:
    if not valid(one) or not valid(other):
        return
    before = read(one, "main"), tailnet(nodes)
    after = read(other, "main"), tailnet(moved)
    claim = Paths(allow, source, target, Port(443))
    beside = Assertions(diff(before, after).access).answer(claim)
    alone = Assertions(Access(*after)).answer(claim)
    assert bool(beside.reasons) == bool(alone.reasons)
    assert beside.notes == alone.notes


SITE, OTHER = "10.1.0.0/16", "10.2.0.0/16"


@pytest.mark.parametrize("source", ["10.0.0.0/8", SITE, "10.1.1.0/24"])
def test_the_parts_of_a_network_reach_each_other(source: str) -> None:
    now = tailnet([machine(1, "ann", [], [SITE], 1)])
    then = tailnet([machine(1, "ann", [], ["10.1.1.0/24"], 1)])  # which cuts the site
    nothing = read({"acls": []}, "main")
    claim = Paths(True, source, "10.1.1.0/24", Port(443))
    beside = diff((nothing, then), (nothing, now)).access
    for access in (Access(nothing, now), beside):
        assert Assertions(access).answer(claim).reasons == ()


def test_two_networks_reach_each_other_by_rules_alone() -> None:
    net = tailnet([machine(i, "ann", [], [r], 1) for i, r in ((1, SITE), (2, OTHER))])
    rule = {"action": "accept", "src": [SITE], "dst": [f"{OTHER}:443"]}
    none = Paths(False, "10.0.0.0/8", "10.0.0.0/8", Port(443))
    every = Paths(True, "10.0.0.0/8", "10.0.0.0/8", Port(443))
    for rules, opened in (([rule], True), ([], False)):
        answers = Assertions(Access(read({"acls": rules}, "main"), net))
        assert bool(answers.answer(none).reasons) is opened
        assert answers.answer(every).reasons  # the way back is never open


@pytest.mark.parametrize("allow", [True, False])
def test_a_network_is_no_way_to_itself_however_rules_cut_it(allow: bool) -> None:
    net = tailnet([machine(1, "ann", [], ["10.0.0.0/8"], 1)])
    cut = {"acls": [{"action": "accept", "src": ["*"], "dst": ["10.1.0.0/16:443"]}]}
    rules = {"acls": [{"action": "accept", "src": ["*"], "dst": ["*:443"]}]}
    after = read({"acls": []} if allow else rules, "main"), net
    claim = Paths(allow, "10.0.0.0/8", "10.0.0.0/8", Port(443))
    beside = diff((read(cut, "main"), net), after).access
    for access in (Access(*after), beside):
        assert Assertions(access).answer(claim).reasons == ()
