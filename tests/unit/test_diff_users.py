"""Users: what the file wants of them against what the server has."""

from dataclasses import replace

from reconcile.plan.changes import Action
from reconcile.plan.compare import diff, kinds_needed
from tests.support import changes, live, node, problems, user


def test_a_kind_that_the_file_does_not_mention_is_left_alone(wanted):
    desired = wanted("nodes: {}")
    found = diff(desired, live([user(1, "alice")]))
    assert (found.changes, found.unlisted) == ((), ())


def test_a_missing_user_is_created_with_what_the_file_says(wanted):
    desired = wanted("""
        users:
          alice: { email: alice@example.com, display_name: Alice }
    """)
    (change,) = diff(desired, live()).changes
    assert (change.address, change.action) == ("user:alice", Action.CREATE)
    assert change.before == {}
    assert change.after == {
        "name": "alice",
        "display_name": "Alice",
        "email": "alice@example.com",
    }
    assert (change.position.line, change.position.column) == (3, 3)


def test_a_user_as_wanted_needs_nothing(wanted):
    desired = wanted("users: { alice: { email: alice@example.com } }")
    same = user(1, "alice", email="alice@example.com", display_name="unmanaged")
    assert diff(desired, live([same])).changes == ()


def test_names_are_compared_with_their_case(wanted):
    desired = wanted("users: { alice: {} }")
    found = diff(desired, live([user(1, "ALICE")]))
    assert [c.address for c in found.changes] == ["user:alice"]
    assert [u.address for u in found.unlisted] == ["user:ALICE"]


# -- what is not in the file -----------------------------------------------------------


def test_unlisted_users_are_reported_and_not_touched(wanted):
    found = diff(wanted("users: { alice: {} }"), live([user(2, "bob")]))
    assert [(u.address, u.yaml) for u in found.unlisted] == [("user:bob", "bob: {}")]
    assert not any(c.action is Action.DELETE for c in found.changes)


def test_an_unlisted_name_that_yaml_would_misread_is_quoted(wanted):
    found = diff(wanted("users: {}"), live([user(1, "no"), user(2, "a b")]))
    assert [u.yaml for u in found.unlisted] == ["a b: { was: a b }", '"no": {}']


def test_ignored_users_are_not_even_reported(wanted):
    desired = wanted("manage: { users: ignore }\nusers: { alice: {} }")
    found = diff(desired, live([user(1, "alice"), user(2, "bob")]))
    assert (found.changes, found.unlisted) == ((), ())


def test_prune_removes_unlisted_users_and_says_why(wanted):
    desired = wanted("manage: { users: prune }\nusers: { alice: {} }")
    change = changes(desired, live([user(1, "alice"), user(2, "bob")]))["user:bob"]
    assert (change.action, change.server_id) == (Action.DELETE, "2")
    assert change.reason == "not in the file (manage.users: prune)"


def test_an_empty_section_with_prune_removes_everybody(wanted):
    desired = wanted("manage: { users: prune }\nusers: {}")
    found = changes(desired, live([user(1, "alice"), user(2, "bob")]))
    assert {c.action for c in found.values()} == {Action.DELETE}
    assert found.keys() == {"user:alice", "user:bob"}


# -- users of an identity provider -----------------------------------------------------


def test_oidc_users_are_never_removed_renamed_or_created_again(wanted):
    oidc = user(1, "alice", provider="oidc")
    away = user(2, "bob", provider="oidc")
    desired = wanted("""
        manage: { users: prune }
        users: { alice: {} }
        removed: [user:bob]
    """)
    assert diff(desired, live([oidc, away])).changes == ()


def test_oidc_users_are_not_reported_as_unlisted(wanted):
    found = diff(wanted("users: {}"), live([user(1, "alice", provider="oidc")]))
    assert found.unlisted == ()


def test_a_local_and_an_oidc_user_may_share_a_name(wanted):
    both = [user(1, "alice", provider="oidc"), user(2, "alice")]
    desired = wanted("users: {}\nremoved: [user:alice]")
    (change,) = diff(desired, live(both)).changes
    assert (change.action, change.server_id) == (Action.DELETE, "2")


def test_what_the_file_wants_of_an_oidc_user_is_warned_about(wanted):
    desired = wanted("""
        users:
          alice: { email: new@example.com }
          robert: { was: bob }
        removed: [user:carol]
    """)
    oidc = [user(n, who, provider="oidc") for n, who in enumerate(("alice", "bob"), 1)]
    oidc.append(user(3, "carol", provider="oidc"))
    found = diff(desired, live(oidc))
    told = {p.address: p for p in found.problems if p.code == "RC0211"}
    assert told.keys() == {"user:alice", "user:robert", "user:carol"}
    assert {p.severity for p in told.values()} == {"warning"}
    assert "identity provider" in told["user:carol"].why


# -- profile: set at creation only -----------------------------------------------------


def test_a_profile_that_cannot_be_changed_is_an_error_with_the_reason(wanted):
    desired = wanted("users: { alice: { email: new@example.com } }")
    state = live([user(1, "alice", email="old@example.com")])
    found = diff(desired, state)
    assert found.changes == ()
    (problem,) = found.problems
    assert (problem.code, problem.severity) == ("RC0304", "error")
    assert "`old@example.com` to `new@example.com`" in problem.message
    assert "only when it creates a user" in problem.why
    assert problem.position.line == 2


def test_if_unsupported_warn_makes_it_a_warning(wanted):
    desired = wanted("""
        if_unsupported: warn
        users: { alice: { display_name: Al } }
    """)
    (problem,) = diff(desired, live([user(1, "alice", display_name="Alice")])).problems
    assert problem.severity == "warning"


def test_a_renamed_user_keeps_its_profile_and_says_when_it_cannot_change(wanted):
    desired = wanted("users: { robert: { was: bob, email: new@example.com } }")
    state = live([user(1, "bob", email="old@example.com")])
    assert changes(desired, state)["user:bob"].after == {"name": "robert"}
    assert "RC0304" in problems(desired, state)


# -- renames ---------------------------------------------------------------------------


def test_was_renames_and_keeps_nodes_and_id(wanted):
    desired = wanted("users: { robert: { was: bob } }")
    state = live([user(7, "bob")], [node(1, "nas", user="bob"), node(2, "tv")])
    (change,) = diff(desired, state).changes
    assert (change.address, change.action) == ("user:bob", Action.RENAME)
    assert (change.server_id, change.after) == ("7", {"name": "robert"})
    assert change.reason == "keeps 1 node"


def test_was_is_history_once_the_old_name_is_gone(wanted):
    desired = wanted("users: { robert: { was: bob } }")
    found = diff(desired, live([user(7, "robert")]))
    assert (found.changes, found.problems) == ((), ())


def test_the_old_name_may_be_one_of_several(wanted):
    desired = wanted("users: { robert: { was: [bob, rob] } }")
    assert changes(desired, live([user(7, "rob")])).keys() == {"user:rob"}


def test_without_any_old_name_the_user_is_created(wanted):
    desired = wanted("users: { robert: { was: bob } }")
    (change,) = diff(desired, live()).changes
    assert (change.address, change.action) == ("user:robert", Action.CREATE)


def test_both_names_on_the_server_is_a_warning_and_no_rename(wanted):
    desired = wanted("users: { robert: { was: bob } }")
    state = live([user(1, "bob"), user(2, "robert")])
    found = diff(desired, state)
    assert found.changes == ()
    (problem,) = found.problems
    assert (problem.code, problem.severity) == ("RC0210", "warning")
    assert "remove `was: bob`" in problem.help


def test_a_chain_of_renames_is_found_whatever_its_order(wanted):
    desired = wanted("users: { bb: { was: aa }, cc: { was: bb }, dd: { was: cc } }")
    chain = desired.users
    state = live([user(1, "aa"), user(2, "bb"), user(3, "cc")])
    for names in (["bb", "cc", "dd"], ["dd", "cc", "bb"], ["cc", "bb", "dd"]):
        ordered = replace(desired, users={name: chain[name] for name in names})
        found = changes(ordered, state)
        assert {a: c.after["name"] for a, c in found.items()} == {
            "user:aa": "bb",
            "user:bb": "cc",
            "user:cc": "dd",
        }


SWAP = """
    users:
      alice: { was: bob, email: b@example.com }
      bob: { was: alice, email: a@example.com }
"""


def test_a_swap_is_told_by_the_e_mail_and_done_once(wanted):
    desired = wanted(SWAP)
    before = [
        user(1, "alice", email="a@example.com"),
        user(2, "bob", email="b@example.com"),
    ]
    found = changes(desired, live(before))
    assert {a: c.after["name"] for a, c in found.items()} == {
        "user:alice": "bob",
        "user:bob": "alice",
    }
    after = [
        user(1, "bob", email="a@example.com"),
        user(2, "alice", email="b@example.com"),
    ]
    assert diff(desired, live(after)).changes == ()


def test_a_swap_that_was_cut_off_halfway_goes_on(wanted):
    """Each half: the temporary name is the one that order.py gives."""
    desired = wanted(SWAP)
    opened = [
        user(1, "alice-rc-swap", email="a@example.com"),
        user(2, "bob", email="b@example.com"),
    ]
    found = changes(desired, live(opened))
    assert {a: c.after["name"] for a, c in found.items()} == {
        "user:alice-rc-swap": "bob",
        "user:bob": "alice",
    }
    half = [
        user(1, "alice-rc-swap", email="a@example.com"),
        user(2, "alice", email="b@example.com"),
    ]
    found = changes(desired, live(half))
    assert {a: c.after["name"] for a, c in found.items()} == {
        "user:alice-rc-swap": "bob"
    }


def test_a_new_user_with_the_e_mail_of_an_unlisted_one_suggests_a_rename(wanted):
    desired = wanted("users: { robert: { email: bob@example.com } }")
    (note,) = diff(desired, live([user(1, "bob", email="bob@example.com")])).notes
    assert "user:robert (new) and user:bob (not in the file)" in note
    assert "add `was: bob`" in note


# -- removal ---------------------------------------------------------------------------


def test_removed_is_said_out_loud_and_cannot_be_undone(wanted):
    desired = wanted("removed: [user:bob]")
    change = changes(desired, live([user(2, "bob")]))["user:bob"]
    assert (change.action, change.reason) == (Action.DELETE, "listed in `removed:`")
    assert [str(way) for way in change.irreversible] == ["user: removed"]
    assert change.position.line == 2


def test_removing_who_is_gone_already_is_nothing(wanted):
    assert diff(wanted("removed: [user:bob]"), live()).changes == ()


def test_a_user_with_nodes_cannot_be_removed(wanted):
    desired = wanted("removed: [user:bob]")
    state = live([user(2, "bob")], [node(1, "nas", user="bob")])
    found = diff(desired, state)
    assert found.changes == ()
    (problem,) = found.problems
    assert (problem.code, problem.severity) == ("RC0305", "error")
    assert "owns 1 node (nas)" in problem.message
    assert "node:nas" in problem.help


def test_a_user_whose_nodes_go_too_can_be_removed(wanted):
    desired = wanted("removed: [user:bob, node:nas]")
    state = live([user(2, "bob")], [node(1, "nas", user="bob")])
    assert changes(desired, state).keys() == {"user:bob", "node:nas"}


def test_a_tagged_node_has_no_user_and_stops_nobody_from_going(wanted):
    desired = wanted("removed: [user:bob]")
    state = live([user(2, "bob")], [node(1, "nas", tags=["tag:web"])])
    assert changes(desired, state).keys() == {"user:bob"}


def test_028_wipes_all_keys_with_any_user_and_the_plan_says_so(wanted):
    desired = wanted("removed: [user:bob]")
    (change,) = diff(desired, live([user(2, "bob")], release="0.28")).changes
    assert "every pre-auth key of every user" in change.caveats[0]
    (change,) = diff(desired, live([user(2, "bob")], release="0.29")).changes
    assert change.caveats == ()


def test_until_holds_through_its_last_day_and_removes_after_it(wanted):
    state = live([user(2, "eve")])
    today = wanted("users: { eve: { until: 2030-01-01 } }")
    assert diff(today, state).changes == ()
    yesterday = wanted("users: { eve: { until: 2029-12-31 } }")
    (change,) = diff(yesterday, state).changes
    assert (change.action, change.reason) == (
        Action.DELETE,
        "until 2029-12-31 has passed",
    )


def test_a_user_whose_day_has_passed_is_not_created(wanted):
    desired = wanted("users: { eve: { until: 2029-12-31 } }")
    assert diff(desired, live()).changes == ()


# -- what has to be read ---------------------------------------------------------------


def test_only_the_kinds_that_matter_are_read(wanted):
    assert kinds_needed(wanted("users: { alice: {} }")) == {"user"}
    assert kinds_needed(wanted("users: { robert: { was: bob } }")) == {"user", "node"}
    assert kinds_needed(wanted("removed: [user:bob]")) == {"user", "node"}
    assert kinds_needed(wanted("policy: { acls: [] }")) == {"policy"}
    assert kinds_needed(wanted("nodes: {}")) == {"user", "node", "policy"}
    assert kinds_needed(wanted("manage: { users: prune }\nusers: {}")) == {
        "user",
        "node",
    }


def test_the_order_of_the_servers_list_does_not_matter(wanted):
    desired = wanted("users: { robert: { email: x@example.com } }")
    users = [user(n, f"u{n}", email="x@example.com") for n in range(1, 9)]
    assert diff(desired, live(users)) == diff(desired, live(reversed(users)))
