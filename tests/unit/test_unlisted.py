"""What is offered to paste takes a node or user over exactly as it is."""

from itertools import product

import pytest

from reconcile.plan.compare import diff
from tests.support import NOW, live, node, user

LATER = NOW.replace(year=2031)
NODES = [
    node(1, "plain", user="alice"),
    node(2, "db-1", tags=["tag:db"]),
    node(3, "gw", approved=["10.9.0.0/24", "10.8.0.0/16"], user="alice"),
    node(4, "exit", approved=["0.0.0.0/0", "::/0"], expiry=LATER, user="alice"),
    node(5, "all", tags=["tag:web", "tag:db"], approved=["10.0.0.0/8", "::/0"]),
    node(6, "My.TV", tags=["tag:db"]),
    node(7, "old-release", tags=["tag:db"], machine_key=""),
    node(8, "shared", approved=["10.1.0.0/16"], machine_key=f"mkey:{2:064x}"),
]
DEFAULTS = [
    "{}",
    "{ tags: [], routes: { approve: [] }, exit_node: false, expiry: never }",
    "{ tags: [tag:db], exit_node: true }",
    "{ routes: { approve: [10.9.0.0/24], mode: at-least }, replace: auto }",
    "{ expiry: 2031-01-01, pending: error }",
]
POLICIES = ["", 'policy: { acls: [], tagOwners: { "tag:db": [], "tag:web": [] } }']


@pytest.mark.parametrize(
    ("defaults", "policy", "release"),
    [*product(DEFAULTS, POLICIES, ["0.26", "0.27", "0.28", "main"])],
)
def test_the_plan_of_what_is_pasted_is_empty(wanted, defaults, policy, release):
    state = live(nodes=NODES, release=release)
    text = f"defaults: {{ nodes: {defaults} }}\n{policy}\n"
    offered = diff(wanted(f"{text}nodes: {{}}\n"), state).unlisted
    assert len(offered) == len(NODES)
    lines = "".join(f"  {one.yaml}\n" for one in offered)
    pasted = wanted(f"{text}nodes:\n{lines}")
    found = diff(pasted, state)
    assert [c for c in found.changes if c.kind == "node"] == []
    assert (found.stuck, found.pending, found.problems) == ((), (), ())
    assert found.unlisted == ()
    assert pasted.warnings == ()


def test_an_odd_user_keeps_its_name(wanted):
    state = live([user(1, "Bob Smith"), user(2, "no"), user(3, "alice")])
    offered = [one.yaml for one in diff(wanted("users: {}"), state).unlisted]
    assert offered == ["alice: {}", "Bob Smith: { was: Bob Smith }", '"no": {}']
    lines = "".join(f"  {line}\n" for line in offered)
    found = diff(wanted(f"users:\n{lines}"), state)
    assert (found.changes, found.unlisted, found.problems) == ((), (), ())


def test_a_name_that_an_entry_has_for_another_node_is_not_offered(wanted):
    desired = wanted('nodes: { nas: { match: { id: "9" } } }')
    (one,) = diff(desired, live(nodes=[node(7, "nas")])).unlisted
    assert (one.yaml, one.why_not) == (
        "",
        "the entry of this name means another node than #7",
    )


def test_a_tag_without_an_owner_is_not_offered(wanted):
    desired = wanted("""
        defaults: { nodes: { tags: [] } }
        nodes: {}
        policy: { acls: [] }
    """)
    (one,) = diff(desired, live(nodes=[node(7, "nas", tags=["tag:lost"])])).unlisted
    assert one.yaml == ""
    assert "tag:lost" in one.why_not


def test_a_name_that_no_file_can_hold_is_not_offered(wanted):
    state = live([user(1, "half\ud800")], [node(7, "half\udc00")])
    found = diff(wanted("users: {}\nnodes: {}"), state).unlisted
    assert {one.why_not for one in found} == {"no file can hold its name"}
