"""The order of the writes."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kinds import Phase
from reconcile.model import temporary_name
from reconcile.plan.bridge import with_bridge
from reconcile.plan.changes import Action, Change
from reconcile.plan.compare import diff
from reconcile.plan.order import steps
from tests.support import live, node, user


def planned(desired, state):
    return steps(with_bridge(diff(desired, state).changes))


def verbs(ordered):
    return [f"{s.operation.verb} {s.operation.address}" for s in ordered]


NEXT_YEAR = datetime(2031, 1, 1, tzinfo=UTC)

EVERYTHING = """
    users:
      ci-bot: {}
      robert: { was: bob }
    policy:
      groups: { "group:all": [robert@, ci-bot@] }
      tagOwners: { "tag:web": [] }
      acls: []
    nodes:
      nas:
        match: { id: '1' }
        tags: [tag:web]
        routes: { approve: [10.2.0.0/16] }
        expiry: never
    removed: [node:old, user:eve]
"""


def everything():
    return live(
        [user(1, "bob"), user(2, "eve")],
        [
            node(1, "box", user="bob", approved=["10.1.0.0/16"], expiry=NEXT_YEAR),
            node(2, "old", user="eve"),
        ],
        policy='{"acls": []}',
    )


def test_forward_first_and_what_takes_away_after_it(wanted):
    assert verbs(planned(wanted(EVERYTHING), everything())) == [
        "user.rename user:bob",
        "user.create user:ci-bot",
        "policy.set policy",
        "node.tags node:nas",
        "node.expiry node:nas",
        "node.name node:nas",
        "node.routes node:nas",
        "node.routes node:nas",
        "node.remove node:old",
        "user.remove user:eve",
    ]


def test_routes_are_approved_before_others_are_taken_away(wanted):
    """The server takes the whole list each time, so the first write holds both."""
    ordered = planned(wanted(EVERYTHING), everything())
    first, last = (s for s in ordered if s.operation.verb == "node.routes")
    assert first.operation.value == {"10.1.0.0/16", "10.2.0.0/16"}
    assert last.operation.value == {"10.2.0.0/16"}
    assert (first.phase, last.phase) == (Phase.NODES, Phase.ROUTES_REMOVED)


def test_routes_that_only_grow_or_only_shrink_are_written_once(wanted):
    desired = wanted("nodes: { nas: { routes: { approve: [10.2.0.0/16] } } }")
    grow = live(nodes=[node(1, "nas")])
    assert [s.phase for s in planned(desired, grow)] == [Phase.NODES]
    shrink = live(nodes=[node(1, "nas", approved=["10.2.0.0/16", "10.3.0.0/16"])])
    assert [s.phase for s in planned(desired, shrink)] == [Phase.ROUTES_REMOVED]


def test_exit_routes_travel_as_a_pair_with_the_routes(wanted):
    desired = wanted("nodes: { nas: { exit_node: true } }")
    state = live(nodes=[node(1, "nas", approved=["10.2.0.0/16"])])
    (step,) = planned(desired, state)
    assert step.operation.value == {"0.0.0.0/0", "::/0", "10.2.0.0/16"}


def waits(ordered):
    return {f"{s.operation.verb} {s.operation.address}": s.waits_for for s in ordered}


def test_every_step_names_what_it_waits_for(wanted):
    found = waits(planned(wanted(EVERYTHING), everything()))
    assert found["user.create user:ci-bot"] == ()
    assert set(found["policy.set policy"]) == {"user:bob", "user:ci-bot"}
    assert found["node.tags node:nas"] == ("policy",)
    forward = {"user:bob", "user:ci-bot", "policy", "node:nas"}
    assert set(found["node.remove node:old"]) == forward


def test_a_user_goes_after_its_nodes_and_waits_for_them(wanted):
    found = waits(planned(wanted(EVERYTHING), everything()))
    assert "node:old" in found["user.remove user:eve"]


def test_a_user_does_not_wait_for_the_nodes_of_others(wanted):
    desired = wanted("removed: [node:old, node:tv, user:eve, user:mallory]")
    state = live(
        [user(1, "eve"), user(2, "mallory")],
        [node(1, "old", user="eve"), node(2, "tv", user="mallory")],
    )
    found = waits(planned(desired, state))
    assert found["user.remove user:eve"] == ("node:old",)
    assert found["user.remove user:mallory"] == ("node:tv",)


def test_a_policy_waits_only_for_users_that_it_names(wanted):
    desired = wanted("""
        users: { alice: {}, bob: {} }
        policy: { groups: { "group:a": [alice@] }, acls: [] }
    """)
    found = waits(planned(desired, live(policy="{}")))
    assert found["policy.set policy"] == ("user:alice",)


def test_a_name_that_ends_like_another_is_not_mistaken_for_it(wanted):
    desired = wanted("""
        users: { bob: {}, jim-bob: {} }
        policy: { groups: { "group:a": [jim-bob@] }, acls: [] }
    """)
    found = waits(planned(desired, live(policy="{}")))
    assert found["policy.set policy"] == ("user:jim-bob",)


# -- widening before narrowing -----------------------------------------------------------


def test_a_tag_that_is_renamed_keeps_its_access_in_between(wanted):
    desired = wanted("""
        policy:
          tagOwners: { "tag:www": [] }
          acls: [{ action: accept, src: ["*"], dst: ["tag:www:443"] }]
        nodes: { nas: { tags: [tag:www] } }
    """)
    old = (
        '{"tagOwners": {"tag:web": []}, "acls": [{"action": "accept", "src": ["*"],'
        ' "dst": ["tag:web:443"]}]}'
    )
    ordered = planned(
        desired, live(nodes=[node(1, "nas", tags=["tag:web"])], policy=old)
    )
    assert verbs(ordered) == [
        "policy.set policy",
        "node.tags node:nas",
        "policy.set policy",
    ]
    both, _, final = ordered
    assert "tag:web:443" in both.operation.value
    assert "tag:www:443" in both.operation.value
    assert "tag:web" not in final.operation.value
    assert (both.operation.before, final.operation.before) == (
        old,
        both.operation.value,
    )
    assert "node:nas" in final.waits_for


# -- renames -----------------------------------------------------------------------------


def renames(kind, pairs):
    """Return changes that rename old to new, ids in the order given."""
    return [
        Change(
            f"{kind}:{old}",
            kind,
            Action.RENAME if kind == "user" else Action.UPDATE,
            str(number),
            before={"name": old, "routes": [], "exit_node": False},
            after={"name": new},
        )
        for number, (old, new) in enumerate(pairs, 1)
    ]


def play(ordered, names):
    """Do the renames on a server that keeps names unique; return id -> name."""
    names = dict(names)
    for step in ordered:
        number, new = step.operation.id, step.operation.value
        others = {name for key, name in names.items() if key != number}
        assert new not in others, f"{new} is taken"
        names[number] = new
    return names


def test_a_chain_frees_each_name_before_it_is_taken():
    ordered = steps(renames("user", [("a", "b"), ("b", "c"), ("c", "d")]))
    assert [s.operation.value for s in ordered] == ["d", "c", "b"]
    assert [s.wave for s in ordered] == [0, 1, 2]
    assert [s.waits_for for s in ordered] == [(), ("user:c",), ("user:b",)]


def test_two_who_exchange_names_go_through_a_temporary_one():
    ordered = steps(renames("node", [("a", "b"), ("b", "a")]))
    assert [s.operation.value for s in ordered] == ["a-rc-swap", "a", "b"]
    assert all(one.wave < two.wave for one, two in pairwise(ordered))


@pytest.mark.parametrize("name", ["a", "a" * 63, "b" * 55, "b" * 56])
def test_a_temporary_name_is_one_that_every_server_takes(name):
    assert len(temporary_name(name)) <= 63
    assert temporary_name(name) != name


def test_temporary_names_of_long_names_differ():
    long = "a" * 60
    assert temporary_name(long + "x") != temporary_name(long + "y")


# Names from a small alphabet meet often; long ones share their beginnings.
NAMES = st.one_of(
    st.text("abc", min_size=1, max_size=2),
    st.text("ab", min_size=1, max_size=3).map(lambda end: "x" * 58 + end),
)


@given(
    st.lists(NAMES, min_size=1, max_size=8, unique=True).flatmap(
        lambda old: st.tuples(
            st.just(old),
            st.lists(NAMES, min_size=len(old), max_size=len(old), unique=True),
            st.permutations(old),
            st.booleans(),
        )
    ),
    st.sampled_from(["user", "node"]),
)
def test_no_set_of_renames_ever_collides(case, kind):
    old, fresh, shuffled, permute = case
    new = shuffled if permute else fresh
    pairs = list(zip(old, new, strict=True))
    # A name that stays where it is cannot be given to somebody else as well.
    ordered = steps(
        [c for c in renames(kind, pairs) if c.before["name"] != c.after["name"]]
    )
    start = {str(number): name for number, name in enumerate(old, 1)}
    assert play(ordered, start) == {str(n): name for n, name in enumerate(new, 1)}


@given(st.permutations(list(range(6))))
def test_the_order_of_the_changes_does_not_matter(order):
    pairs = [("a", "b"), ("b", "a"), ("c", "d"), ("d", "e"), ("x", "y"), ("y", "x")]
    changes = renames("user", pairs)
    assert steps([changes[i] for i in order]) == steps(changes)
