"""The same question, asked in all ways, gets one answer.

Does a source reach a target on a port? `why`, `who`, `list`, assertions, a plan that comes
from nothing or ends in it, the policy's own tests and lint must all say the same.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile.model import Node
from reconcile.policy.access.access import Access
from reconcile.policy.access.assertions import Assertions
from reconcile.policy.access.claims import SSH, Paths, Port
from reconcile.policy.access.difference import diff
from reconcile.policy.access.entries import Entry
from reconcile.policy.access.evaluate import Evaluator
from reconcile.policy.language.selectors import SELF
from reconcile.policy.reading import read
from tests.property.test_access_laws import NODES, tailnet, valid
from tests.property.test_assertion_laws import PLACES
from tests.property.test_lint_laws import POLICIES, findings

NAMES = st.sampled_from(["ann@", "ben@", "group:one", "autogroup:member", "tag:a"])
NAMES |= st.integers(1, 6).map(lambda n: f"node:n{n}")
ENDS = PLACES | NAMES
ENDS |= st.sampled_from(["8.8.8.8", "203.0.113.0/24", "100.64.0.1", "internet"])
PORTS = st.sampled_from([Port(22), Port(443), Port(53, 17), Port(SSH)])
CLOSED = {"acls": [], "grants": [], "ssh": []}


def find(access: Access, *names: str) -> tuple[int, ...]:
    """Return what names mean, nothing for those that nobody knows."""
    found = []
    for name in names:
        try:
            found.append(access.find(name))
        except LookupError:
            found.append(0)
    return tuple(found)


def leads(access: Access, entries: Any, source: int, target: int) -> bool:
    """Tell whether some entry holds a path from one set to another."""

    def holds(entry: Entry) -> bool:
        own = access.world.owners.values() if entry.targets == (SELF,) else [-1]
        members, reached = entry.members & source, entry.reached & target
        return any(access.pairs(members & each, reached & each) for each in own)

    return any(map(holds, entries))


@settings(max_examples=300, deadline=None)
@given(POLICIES, NODES, ENDS, ENDS, PORTS)
def test_why_who_list_and_assertions_agree(
    policy: dict[str, Any], nodes: list[Node], source: str, target: str, port: Port
) -> None:
    if not valid(policy):
        return
    access = Access(read(policy, "main"), tailnet(nodes)).asking([source, target])
    sides = find(access, source, target)
    if 0 in sides:
        return
    why, judge = access.why(source, target, *port), Assertions(access)
    opened = bool(why.opened)
    assert bool(access.entries(*sides, *port)) is opened
    whole = Access(read(policy, "main"), tailnet(nodes)).asking([source, target])
    assert leads(whole, whole.entries(-1, -1, *port), *find(whole, source, target)) is (
        opened
    )
    asking = access.asking([target])
    assert leads(asking, access.who(target, *port), *sides) is opened
    no, allow = (
        not judge.answer(Paths(a, source, target, port)).reasons for a in (False, True)
    )
    assert no is not opened
    assert allow is why.allowed


@settings(max_examples=150, deadline=None)
@given(POLICIES, NODES, NAMES, NAMES)
def test_a_plan_from_nothing_gains_what_is_listed_and_loses_it_again(
    policy: dict[str, Any], nodes: list[Node], source: str, target: str
) -> None:
    if not valid(policy):
        return
    net = tailnet(nodes)
    sides = [(read(value, "main"), net) for value in ({**policy, **CLOSED}, policy)]
    access = Access(*sides[1])
    opened = leads(access, access.entries(), *find(access, source, target))
    for found in (diff(*sides, None), diff(*reversed(sides), None)):
        here = find(found.access, source, target)
        entries = found.gained or found.lost
        assert not (found.gained and found.lost)
        assert leads(found.access, entries, *here) is opened


@settings(max_examples=200, deadline=None)
@given(POLICIES, NODES, st.integers(1, 6), st.integers(1, 6), st.booleans())
def test_the_policys_own_tests_agree_between_two_addresses(
    policy: dict[str, Any], nodes: list[Node], one: int, other: int, sixth: bool
) -> None:
    """Of two addresses; rules for own devices or with `via` are none to a server's tests."""
    kinds = [rule for section in ("acls", "grants") for rule in policy.get(section, ())]
    if "autogroup:self" in str(kinds) or any(rule.get("via") for rule in kinds):
        return
    there = {a for node in nodes for a in node.addresses}
    source, target = (
        f"fd7a:115c:a1e0::{n:x}" if sixth else f"100.64.0.{n}" for n in (one, other)
    )
    if one == other or not {source, target} <= there:
        return
    to = f"[{target}]:443" if sixth else f"{target}:443"
    test = {"src": source, "proto": "tcp", "accept": [to]}
    asked = read({**policy, "tests": [test]}, "main")
    if asked.errors:
        return
    (verdict,) = Evaluator(asked, tailnet(nodes)).tests()
    why = Access(asked, tailnet(nodes)).why(source, target, 443)
    assert verdict.passed is why.allowed, verdict.failures


@settings(max_examples=200, deadline=None)
@given(POLICIES, NODES)
def test_a_rule_that_lint_calls_dead_stands_in_no_list(
    policy: dict[str, Any], nodes: list[Node]
) -> None:
    value = read(policy, "main")
    if value.errors:
        return
    dead = {p.path[:2] for p in findings(value, nodes) if p.code == "RC0501"}
    entries = Access(value, tailnet(nodes)).entries()
    listed = {rule.path[:2] for e in entries for rule in e.rules if rule}
    assert not dead & listed
