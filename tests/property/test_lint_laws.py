"""What lint calls superfluous can go: access stays as it is, SSH logins included."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile.model import Node
from reconcile.policy.access.difference import diff
from reconcile.policy.access.matrix import Matrix
from reconcile.policy.access.reach import minus
from reconcile.policy.access.universe import World
from reconcile.policy.language.document import Policy, Problem
from reconcile.policy.lint import of_tailnet, of_text
from reconcile.policy.reading import read
from tests.property.test_access_laws import NODES, POLICY, machine, tailnet

GONE = ("RC0501", "RC0502")
LOGIN = st.fixed_dictionaries(
    {
        "action": st.sampled_from(["accept", "accept", "check"]),
        "src": st.lists(
            st.sampled_from(["ann@", "group:one", "group:two", "autogroup:member"]),
            max_size=2,
        ),
        "dst": st.lists(
            st.sampled_from(["tag:a", "tag:b", "autogroup:tagged", "autogroup:self"]),
            max_size=2,
        ),
        "users": st.lists(
            st.sampled_from(["root", "ops", "autogroup:nonroot"]), min_size=1
        ),
    }
)
POLICIES = st.tuples(POLICY, st.lists(LOGIN, max_size=4)).map(
    lambda parts: {**parts[0], "ssh": parts[1]}
)


def without(policy: dict[str, Any], *problems: Problem) -> dict[str, Any]:
    """Return the policy without the rules that some findings are about."""
    dropped = {problem.path[:2] for problem in problems}
    left = json.loads(json.dumps(policy))
    for section in ("acls", "grants", "ssh"):
        if section in left:
            kept = enumerate(left[section])
            left[section] = [r for i, r in kept if (section, i) not in dropped]
    return left


def findings(policy: Policy, nodes: list[Node]) -> list[Problem]:
    return list(of_tailnet(Matrix([World.of(policy, tailnet(nodes))])))


def same(one: dict[str, Any], other: dict[str, Any], nodes: list[Node]) -> bool:
    net = tailnet(nodes)
    return not diff((read(one, "main"), net), (read(other, "main"), net))


def loses(one: dict[str, Any], other: dict[str, Any], nodes: list[Node]) -> bool:
    """Tell whether something is lost, what a node reaches of itself included."""
    net = tailnet(nodes)
    matrix = Matrix([World.of(read(value, "main"), net) for value in (one, other)])
    return any(minus(matrix.reach(r, 0), matrix.reach(r, 1)) for r in matrix.rows)


@settings(max_examples=600, deadline=None)
@given(POLICIES, NODES)
def test_dead_and_covered_rules_can_go(policy, nodes):
    value = read(policy, "main")
    if value.errors:
        return
    chosen = [p for p in findings(value, nodes) if p.code in GONE]
    for problem in chosen:
        assert same(policy, without(policy, problem), nodes), problem
    assert same(policy, without(policy, *chosen), nodes)


def test_a_rule_that_shows_an_exit_node_is_no_dead_one():
    """It opens nothing, from one family to the other, and makes the two peers."""
    exit_node = machine(1, "cy", [], ["0.0.0.0/0", "::/0"], 2)
    nodes = [exit_node, machine(2, "ann", [], [], 0)]
    acls = [
        {"action": "accept", "src": ["ann@"], "dst": ["8.8.8.8:443"]},
        {"action": "accept", "src": ["fd7a:115c:a1e0::1"], "dst": ["100.64.0.2:80"]},
    ]
    policy = {"acls": acls, "ssh": []}
    dead = [p.path for p in findings(read(policy, "main"), nodes) if p.code in GONE]
    assert dead == []
    assert not same(policy, {**policy, "acls": acls[:1]}, nodes)
    (shut,) = findings(read({**policy, "acls": acls[:1]}, "main"), nodes)
    assert "no exit node is offered" in shut.why
    twice = {**policy, "acls": [*acls, acls[1]]}
    (spare,) = [p for p in findings(read(twice, "main"), nodes) if p.code in GONE]
    assert same(twice, without(twice, spare), nodes)


@settings(max_examples=600, deadline=None)
@given(POLICIES, NODES)
def test_what_is_not_called_dead_or_covered_is_needed(policy, nodes):
    """After the rules that lint names are gone, each other one opens something."""
    value = read(policy, "main")
    if value.errors:
        return
    found = findings(value, nodes)
    broad = any(p.code == "RC0503" and "nothing to it" in p.why for p in found)
    left = without(policy, *[p for p in found if p.code in GONE])
    steered = any(rule.get("via") for rule in policy.get("grants", ()))
    if broad or steered:
        return  # an allow-all names what it holds in its own finding; `via` holds nothing
    for section in ("acls", "grants"):
        for index, rule in enumerate(left.get(section, ())):
            fewer = {**left, section: [r for r in left[section] if r is not rule]}
            assert loses(left, fewer, nodes), (section, index)


@settings(max_examples=600, deadline=None)
@given(POLICIES, NODES)
def test_what_words_alone_show_holds_in_every_tailnet(policy, nodes):
    value = read(policy, "main")
    if value.errors:
        return
    chosen = [p for p in of_text(value) if p.code in GONE]
    for problem in chosen:
        assert same(policy, without(policy, problem), nodes), problem
    assert same(policy, without(policy, *chosen), nodes)


@settings(max_examples=300, deadline=None)
@given(POLICIES, NODES)
def test_findings_have_their_place_and_are_the_same_each_time(policy, nodes):
    value = read(policy, "main")
    if value.errors:
        return
    found = findings(value, nodes)
    assert found == findings(value, nodes)
    for problem in (*found, *of_text(value)):
        assert problem.severity == "warning"
        part: Any = policy
        for step in problem.path:
            part = part[step]
