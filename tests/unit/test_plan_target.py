"""Plans of a part, and what the server knows better than the files."""

from reconcile.plan.plan import build
from tests.support import live, node, user


def test_an_address_may_name_its_server(wanted):
    state, here = wanted("users: { alice: {}, bob: {} }"), live(users=[])
    chosen = build(state, here, name="prod", target=["prod/user:alice"])
    assert [change.address for change in chosen.changes] == ["user:alice"]
    elsewhere = build(state, here, name="lab", target=["prod/user:alice"])
    assert elsewhere.changes == ()
    kept = build(state, here, name="lab", exclude=["prod/user:*", "lab/user:bob"])
    assert [change.address for change in kept.changes] == ["user:alice"]


NEW_TAG = """
    nodes: { nas: { match: { id: "1" }, tags: [tag:new] } }
    policy: { tagOwners: { "tag:new": [] }, acls: [] }
"""


def test_a_tag_needs_an_owner_in_the_policy_that_will_be_in_force(wanted):
    """With --exclude policy, or in file mode, the wanted policy does not get there."""
    state = wanted(NEW_TAG)
    here = live(users=[], nodes=[node(1, "nas")], policy='{"acls": []}\n')
    assert build(state, here, name="hs").errors == ()
    without = build(state, here, name="hs", exclude=["policy"])
    assert [error.code for error in without.errors] == ["RC0303"]


def test_a_user_whom_only_the_server_knows_is_no_surprise_in_the_policy(wanted):
    """Users of an identity provider stand in no file."""
    state = wanted("""
        users: {}
        manage: { users: prune }
        policy: { groups: { "group:a": [ann@, ben@, eve@] }, acls: [] }
    """)
    named = [w.message for w in state.warnings if w.code == "RC0101"]
    assert len(named) == 3
    here = live(users=[user(1, "ann", provider="oidc"), user(2, "ben")])
    left = [d.message for d in build(state, here, name="hs").diagnostics]
    # ben is about to be removed, and eve is not there at all.
    assert [m for m in named if m in left] == [named[1], named[2]]


def test_the_old_name_of_a_user_is_warned_of_until_the_policy_is_without_it(wanted):
    state = wanted("""
        users: { robert: { was: bob } }
        policy: { groups: { "group:a": [bob@] }, hosts: {}, acls: [] }
    """)
    before, after = live(users=[user(1, "bob")]), live(users=[user(1, "robert")])
    for here in (before, after):
        codes = [d.code for d in build(state, here, name="hs").diagnostics]
        assert codes == ["RC0101"]
