"""Nodes: what the file wants of them against what the server has."""

from datetime import timedelta

import pytest

from reconcile.model import PolicyText
from reconcile.plan.changes import Action
from reconcile.plan.compare import diff
from tests.support import NOW, changes, live, node, problems, user

TAGS = "policy: { tagOwners: { 'tag:web': [], 'tag:db': [] }, acls: [] }\n"


def one(desired, state):
    """Return the only change of a node."""
    found = [c for c in diff(desired, state).changes if c.kind == "node"]
    assert len(found) == 1
    return found[0]


def node_changes(desired, state):
    return [c for c in diff(desired, state).changes if c.kind == "node"]


# -- what is managed -------------------------------------------------------------------


def test_fields_that_the_entry_does_not_name_are_left_alone(wanted):
    busy = node(1, "nas", tags=["tag:web"], approved=["10.0.0.0/8"], expiry=NOW)
    assert diff(wanted("nodes: { nas: {} }"), live(nodes=[busy])).changes == ()


def test_unlisted_nodes_are_reported_or_ignored(wanted):
    state = live(nodes=[node(1, "nas"), node(2, "tv")])
    found = diff(wanted("nodes: { nas: {} }"), state)
    assert [u.address for u in found.unlisted] == ["node:tv"]
    quiet = wanted("manage: { nodes: { unlisted: ignore } }\nnodes: { nas: {} }")
    assert diff(quiet, state).unlisted == ()


def test_ephemeral_nodes_are_not_reported_unless_asked_for(wanted):
    state = live(nodes=[node(2, "runner", ephemeral=True, preauth_key="1")])
    assert diff(wanted("nodes: {}"), state).unlisted == ()
    asked = wanted("manage: { nodes: { ephemeral: report } }\nnodes: {}")
    assert [u.address for u in diff(asked, state).unlisted] == ["node:runner"]


def test_dropping_an_entry_never_removes_a_device(wanted):
    assert diff(wanted("nodes: {}"), live(nodes=[node(1, "nas")])).changes == ()


def test_only_removed_removes_and_it_cannot_be_undone(wanted):
    change = one(wanted("removed: [node:nas]"), live(nodes=[node(4, "nas")]))
    assert (change.action, change.server_id) == (Action.DELETE, "4")
    assert [str(way) for way in change.irreversible] == ["node: removed"]
    assert change.irreversible[0].why == "the device must enrol again"


def test_removing_a_node_that_is_gone_is_nothing(wanted):
    assert diff(wanted("removed: [node:nas]"), live()).changes == ()


# -- name ------------------------------------------------------------------------------


def test_the_key_of_an_entry_is_the_wanted_name(wanted):
    desired = wanted("nodes: { nas: { match: { id: '4' } } }")
    change = one(desired, live(nodes=[node(4, "box")]))
    assert (change.address, change.after) == ("node:nas", {"name": "nas"})
    assert change.before["name"] == "box"


def test_a_name_that_is_right_is_not_sent(wanted):
    """0.26 refuses to rename a node to the name that it has."""
    desired = wanted("nodes: { nas: { match: { id: '4' }, exit_node: true } }")
    assert one(desired, live(nodes=[node(4, "nas")])).after.keys() == {"exit_node"}


def test_rules_never_rename(wanted):
    desired = wanted("node_rules: [{ match: { preauth_key: '1' }, exit_node: true }]")
    change = one(desired, live(nodes=[node(4, "nas", preauth_key="1")]))
    assert (change.address, change.after) == ("node:nas", {"exit_node": True})


def test_a_name_that_another_node_keeps_is_an_error(wanted):
    """The server refuses it (`name is not unique`), so the plan says it first."""
    desired = wanted("nodes: { nas: { match: { id: '57' } } }")
    state = live(nodes=[node(12, "nas"), node(57, "nas-1")])
    assert node_changes(desired, state) == []
    problem = problems(desired, state)["RC0212"]
    assert problem.severity == "error"
    assert problem.message == "node:nas: the name is taken by another node, #12"
    assert [c.after for c in diff(desired, state).stuck] == [{"name": "nas"}]
    assert "`nas-2: { match: { machine_key: mkey:" in problem.help
    assert "call this entry nas-1" in problem.help


def test_names_may_be_exchanged_or_handed_on(wanted):
    desired = wanted("""
        nodes:
          nas: { match: { id: '57' } }
          old: { match: { id: '12' } }
    """)
    state = live(nodes=[node(12, "nas"), node(57, "old")])
    assert {c.address: c.after for c in node_changes(desired, state)} == {
        "node:nas": {"name": "nas"},
        "node:old": {"name": "old"},
    }


# -- tags ------------------------------------------------------------------------------


def test_tags_are_a_set(wanted):
    desired = wanted(TAGS + "nodes: { nas: { tags: [tag:web, tag:db] } }")
    same = node(1, "nas", tags=["tag:db", "tag:web"])
    assert node_changes(desired, live(nodes=[same])) == []


def test_tagging_a_users_node_is_one_way(wanted):
    desired = wanted(TAGS + "nodes: { nas: { tags: [tag:web] } }")
    change = one(desired, live(nodes=[node(1, "nas", user="alice")]))
    assert change.after == {"tags": ["tag:web"]}
    (way,) = change.irreversible
    assert str(way) == "owner: alice -> (tagged)"
    assert "the device must re-authenticate" in way.why


@pytest.mark.parametrize("release", ["0.26", "0.27"])
def test_before_028_tagging_keeps_the_user(wanted, release):
    desired = wanted(TAGS + "nodes: { nas: { tags: [tag:web] } }")
    state = live(nodes=[node(1, "nas", user="alice")], release=release)
    assert one(desired, state).irreversible == ()


@pytest.mark.parametrize("release", ["0.28", "0.29", "main"])
def test_the_last_tag_cannot_be_removed_from_028_on(wanted, release):
    desired = wanted("nodes: { nas: { tags: [] } }")
    state = live(nodes=[node(1, "nas", tags=["tag:web"])], release=release)
    assert node_changes(desired, state) == []
    problem = problems(desired, state)["RC0302"]
    assert problem.severity == "error"
    assert "--force-reauth" in problem.why


@pytest.mark.parametrize(
    ("release", "caveats"),
    [
        ("0.26", ["by the old tags", "does not tell whether the device asks"]),
        ("0.27", ["by the old tags", "until the server restarts"]),
    ],
)
def test_the_last_tag_can_be_removed_before_but_027_forgets_it(
    wanted, release, caveats
):
    desired = wanted("nodes: { nas: { tags: [] } }")
    state = live(nodes=[node(1, "nas", tags=["tag:web"])], release=release)
    change = one(desired, state)
    assert change.after == {"tags": []}
    for said, caveat in zip(change.caveats, caveats, strict=True):
        assert caveat in said


def test_unsupported_settings_can_be_warnings(wanted):
    desired = wanted("if_unsupported: warn\nnodes: { nas: { tags: [] } }")
    state = live(nodes=[node(1, "nas", tags=["tag:web"])])
    assert problems(desired, state)["RC0302"].severity == "warning"
    assert node_changes(desired, state) == []


@pytest.mark.parametrize("release", ["0.28", "0.29", "main"])
def test_a_tag_that_the_live_policy_does_not_own_is_an_error(wanted, release):
    desired = wanted("nodes: { nas: { tags: [tag:nope, tag:web] } }")
    state = live(nodes=[node(1, "nas")], release=release)
    assert node_changes(desired, state) == []
    problem = problems(desired, state)["RC0303"]
    assert problem.message == "node:nas: tag:nope is not in the policy's tagOwners"
    assert 'add "tag:nope": [] to tagOwners' in problem.help


@pytest.mark.parametrize("release", ["0.26", "0.27"])
def test_before_028_any_tag_may_be_set(wanted, release):
    desired = wanted("nodes: { nas: { tags: [tag:nope] } }")
    state = live(nodes=[node(1, "nas")], release=release)
    assert one(desired, state).after == {"tags": ["tag:nope"]}


def test_without_any_policy_no_tag_can_be_set(wanted):
    desired = wanted("nodes: { nas: { tags: [tag:web] } }")
    state = live(nodes=[node(1, "nas")], policy=PolicyText(None))
    assert "RC0303" in problems(desired, state)


def test_the_wanted_policy_counts_not_the_live_one(wanted):
    desired = wanted(TAGS + "nodes: { nas: { tags: [tag:web] } }")
    state = live(nodes=[node(1, "nas")], policy=PolicyText(None))
    assert one(desired, state).after == {"tags": ["tag:web"]}


def test_a_tag_without_owner_that_the_node_wears_already_is_no_drift(wanted):
    """A tagged key is never checked, so nodes may wear such tags."""
    desired = wanted("nodes: { nas: { tags: [tag:undefined] } }")
    state = live(nodes=[node(1, "nas", tags=["tag:undefined"])])
    found = diff(desired, state)
    assert (found.changes, found.problems) == ((), ())


# -- routes and the exit node ------------------------------------------------------------


def routes(wanted, text, **fields):
    desired = wanted(f"nodes: {{ nas: {{ {text} }} }}")
    return desired, live(nodes=[node(1, "nas", **fields)])


def test_exact_approves_and_un_approves(wanted):
    desired, state = routes(
        wanted,
        "routes: { approve: [10.1.0.0/16, 10.3.0.0/16] }",
        approved=["10.1.0.0/16", "10.2.0.0/16"],
        available=["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"],
    )
    change = one(desired, state)
    assert change.after == {"routes": ["10.1.0.0/16", "10.3.0.0/16"]}
    assert change.notes == {"routes": "advertised, not approved yet"}


def test_at_least_keeps_what_else_is_approved(wanted):
    desired, state = routes(
        wanted,
        "routes: { approve: [10.3.0.0/16], mode: at-least }",
        approved=["10.2.0.0/16"],
        available=["10.3.0.0/16"],
    )
    assert one(desired, state).after == {"routes": ["10.2.0.0/16", "10.3.0.0/16"]}


def test_at_least_is_content_with_more(wanted):
    desired, state = routes(
        wanted,
        "routes: { approve: [10.2.0.0/16], mode: at-least }",
        approved=["10.2.0.0/16", "10.3.0.0/16"],
    )
    assert diff(desired, state).changes == ()


def test_routes_are_listed_by_number_as_the_server_does(wanted):
    desired, state = routes(
        wanted,
        "routes: { approve: [fd00::/48, 10.10.0.0/16, 10.2.0.0/16, 9.0.0.0/8] }",
    )
    assert one(desired, state).after["routes"] == [
        "9.0.0.0/8",
        "10.2.0.0/16",
        "10.10.0.0/16",
        "fd00::/48",
    ]


def test_ipv6_spelling_is_not_a_difference(wanted):
    desired, state = routes(
        wanted, "routes: { approve: ['FD00:0:0::/48'] }", approved=["fd00::/48"]
    )
    assert diff(desired, state).changes == ()


def test_a_route_that_is_not_advertised_is_approved_and_said_so(wanted):
    desired, state = routes(wanted, "routes: { approve: [10.1.0.0/16] }")
    change = one(desired, state)
    later = "takes effect when the node advertises it"
    assert change.notes == {"routes": f"10.1.0.0/16 not advertised yet: {later}"}


def test_either_exit_route_means_the_pair(wanted):
    """Headscale approves both when it is given one, so one alone never converges."""
    pair = {"approved": ["0.0.0.0/0", "::/0"], "available": ["0.0.0.0/0", "::/0"]}
    for text in ("exit_node: true", "routes: { approve: [0.0.0.0/0] }"):
        desired, state = routes(wanted, text, **pair)
        assert diff(desired, state).changes == (), text


def test_the_exit_node_is_not_one_of_the_routes(wanted):
    desired, state = routes(
        wanted,
        "routes: { approve: [10.1.0.0/16] }",
        approved=["0.0.0.0/0", "::/0", "10.1.0.0/16"],
    )
    assert diff(desired, state).changes == ()


def test_the_exit_node_is_switched_on_and_off(wanted):
    desired, state = routes(wanted, "exit_node: true")
    assert one(desired, state).after == {"exit_node": True}
    desired, state = routes(wanted, "exit_node: false", approved=["0.0.0.0/0", "::/0"])
    assert one(desired, state).after == {"exit_node": False}


@pytest.mark.parametrize(
    ("release", "lost"),
    [("0.27", True), ("0.28", True), ("0.29", False), ("0.26", False)],
)
def test_approving_nothing_is_lost_at_a_restart_of_027_and_028(wanted, release, lost):
    desired = wanted("nodes: { nas: { routes: { approve: [] } } }")
    state = live(nodes=[node(1, "nas", approved=["10.0.0.0/8"])], release=release)
    assert bool(one(desired, state).caveats) is lost
    still_exit = node(1, "nas", approved=["10.0.0.0/8", "0.0.0.0/0", "::/0"])
    assert one(desired, live(nodes=[still_exit], release=release)).caveats == ()


AUTO = (
    '{"groups": {"group:ops": ["alice@"]}, "acls": [], "tagOwners": {"tag:router": []},'
    ' "autoApprovers": {"routes": {"10.0.0.0/8": ["group:ops", "tag:router"]},'
    ' "exitNode": ["tag:router"]}}'
)


def routed(*routes, **fields):
    known = {"approved": routes, "available": routes}
    return node(1, "nas", **{**known, **fields})


NO_DRIFT = {
    "a part of a network that the entry approves": (
        "nodes: { nas: { routes: { approve: [10.0.0.0/8, 192.168.0.0/16] } } }"
    ),
    "a list that does not name it": (
        "nodes: { nas: { routes: { approve: [192.168.0.0/16] } } }"
    ),
    "only defaults want none": (
        "defaults: { nodes: { routes: { approve: [192.168.0.0/16] } } }\n"
        "nodes: { nas: {} }"
    ),
    "only a rule wants none": (
        "nodes: { nas: {} }\n"
        "node_rules: [{ match: { name: n* }, routes: { approve: [192.168.0.0/16] } }]"
    ),
}


@pytest.mark.parametrize("yaml", NO_DRIFT.values(), ids=NO_DRIFT)
def test_what_auto_approvers_approved_is_no_drift(wanted, yaml):
    me = routed("10.0.0.0/8", "10.1.0.0/16", "192.168.0.0/16")
    state = live([user(1, "alice")], [me], policy=AUTO)
    found = diff(wanted(yaml), state)
    assert (found.changes, found.problems, found.stuck) == ((), (), ())
    told = "10.1.0.0/16 approved by autoApprovers (not drift)"
    assert found.notes[0].endswith(told)


def test_what_is_wanted_otherwise_and_approved_again_is_an_error(wanted):
    files = "nodes: { nas: { routes: { approve: [192.168.0.0/16], mode: exact } } }"
    state = live(
        [user(1, "alice")], [routed("10.1.0.0/16", "192.168.0.0/16")], policy=AUTO
    )
    found = diff(wanted(files), state)
    (problem,) = found.problems
    assert (problem.code, problem.severity) == ("RC0309", "error")
    assert str(problem) == (
        "tailnet.yaml:2:25: error[RC0309]: node:nas: 10.1.0.0/16 cannot be "
        'un-approved: autoApprovers.routes."10.0.0.0/8" approves it for group:ops, '
        "(policy on the server):1:128"
    )
    assert found.changes == ()
    assert [change.after for change in found.stuck] == [{"routes": ["192.168.0.0/16"]}]
    softer = diff(wanted(f"{files}\nif_unsupported: warn"), state)
    assert [p.severity for p in softer.problems] == ["warning"]


def test_a_route_that_the_list_named_when_it_was_applied_is_an_error(wanted):
    base = wanted("nodes: { nas: { routes: { approve: [10.1.0.0/16, 10.2.0.0/16] } } }")
    new = wanted("nodes: { nas: { routes: { approve: [10.2.0.0/16] } } }")
    me = routed("10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16")
    state = live([user(1, "alice")], [me], policy=AUTO)
    found = diff(new, state, base=base)
    (problem,) = found.problems
    assert "node:nas: 10.1.0.0/16 cannot be un-approved" in problem.message
    assert [change.after["routes"] for change in found.stuck] == [
        ["10.2.0.0/16", "10.3.0.0/16"]
    ]
    assert diff(new, state).problems == ()


def test_the_line_of_the_policy_file_is_told(wanted):
    text = AUTO.replace('"exitNode"', '\n"exitNode"')
    files = "nodes: { nas: { exit_node: false } }\npolicy: { file: policy.hujson }"
    me = routed("0.0.0.0/0", "::/0", tags=["tag:router"])
    found = diff(wanted(files, policy_hujson=text), live(nodes=[me], policy=text))
    (problem,) = found.problems
    assert "exit node cannot be un-approved" in problem.message
    assert "exitNode approves it for tag:router, policy.hujson:2:14" in problem.message


def test_what_the_policy_write_of_the_plan_approves_is_an_error_as_well(wanted):
    """Else the plan after it would want to take it away again."""
    files = (
        "nodes: { nas: { routes: { approve: [] } } }\npolicy: { file: policy.hujson }"
    )
    desired = wanted(files, policy_hujson=AUTO)
    me = node(1, "nas", available=["10.1.0.0/16"])
    found = diff(desired, live([user(1, "alice")], [me], policy='{"acls": []}'))
    (problem,) = found.problems
    assert problem.code == "RC0309"
    assert "10.1.0.0/16 cannot be left unapproved" in problem.message
    assert found.stuck == ()
    unwritten = diff(desired, live([user(1, "alice")], [me], policy=AUTO))
    assert unwritten.problems == ()  # it is as wanted, and nothing is written


def test_tags_and_names_count_as_they_will_be(wanted):
    """An un-approval comes after new tags, and after the rename of a user."""
    files = "nodes: { nas: { tags: [tag:db], routes: { approve: [] } } }"
    tagged = routed("10.1.0.0/16", tags=["tag:router"])
    both = AUTO.replace('"tag:router": []', '"tag:router": [], "tag:db": []')
    change = one(wanted(files), live([user(1, "alice")], [tagged], policy=both))
    assert change.after == {"tags": ["tag:db"], "routes": []}
    files = (
        "users: { alice: { was: alicia } }\nnodes: { nas: { routes: { approve: [] } } }"
    )
    mine = routed("10.1.0.0/16", user="alicia")
    found = diff(wanted(files), live([user(1, "alicia")], [mine], policy=AUTO))
    assert [p.code for p in found.problems] == ["RC0309"]


@pytest.mark.parametrize(
    "fields",
    [
        {"user": "bob"},
        {"available": []},
        {"approved": ["172.16.0.0/12"], "available": ["172.16.0.0/12"]},
    ],
    ids=["another owner", "not advertised", "outside of the range"],
)
def test_what_they_would_not_approve_again_is_drift(wanted, fields):
    desired = wanted("nodes: { nas: { routes: { approve: [] } } }")
    known = {"approved": ["10.1.0.0/16"], "available": ["10.1.0.0/16"]}
    me = node(1, "nas", **{**known, **fields})
    state = live([user(1, "alice"), user(2, "bob")], [me], policy=AUTO)
    assert one(desired, state).after == {"routes": []}


def test_an_exit_node_that_defaults_do_not_want_is_no_drift(wanted):
    desired = wanted("defaults: { nodes: { exit_node: false } }\nnodes: { nas: {} }")
    me = routed("0.0.0.0/0", "::/0", tags=["tag:router"])
    found = diff(desired, live([user(1, "alice")], [me], policy=AUTO))
    assert (found.changes, found.problems) == ((), ())
    assert found.notes == ("node:nas: exit node approved by autoApprovers (not drift)",)


WRITTEN = """
policy:
  acls: []
  tagOwners: { "tag:router": [] }
  autoApprovers: { routes: { 10.0.0.0/8: ["tag:router"] }, exitNode: ["tag:router"] }
nodes:
  nas: { ENTRY }
"""


@pytest.mark.parametrize(
    ("entry", "after"),
    [
        ("exit_node: true", {"exit_node": True, "routes": ["10.1.0.0/16"]}),
        (
            "routes: { approve: [192.168.0.0/16], mode: at-least }",
            {"routes": ["10.1.0.0/16", "192.168.0.0/16"], "exit_node": True},
        ),
    ],
)
def test_a_nodes_write_keeps_what_the_policy_approves_before(wanted, entry, after):
    """Seen on five servers: the list of a node took it back."""
    offers = ["10.1.0.0/16", "192.168.0.0/16", "0.0.0.0/0", "::/0"]
    me = node(1, "nas", available=offers, tags=["tag:router"])
    state = live([user(1, "alice")], [me], policy='{"acls": []}')
    change = one(wanted(WRITTEN.replace("ENTRY", entry)), state)
    assert change.after == after
    assert "by autoApprovers, with the policy" in " ".join(change.notes.values())


def test_a_nodes_write_approves_nothing_for_the_tags_to_come(wanted):
    """The policy is written before the tags, and does not know them."""
    me = node(1, "nas", user="alice", available=["10.1.0.0/16", "0.0.0.0/0", "::/0"])
    state = live([user(1, "alice")], [me], policy='{"acls": []}')
    files = WRITTEN.replace("ENTRY", "tags: [tag:router], exit_node: true")
    assert one(wanted(files), state).after == {
        "tags": ["tag:router"],
        "exit_node": True,
    }


# -- expiry ----------------------------------------------------------------------------


def expiry(wanted, text, actual=None, release="0.29"):
    desired = wanted(f"nodes: {{ nas: {{ expiry: {text} }} }}")
    return desired, live(nodes=[node(1, "nas", expiry=actual)], release=release)


def test_never_holds_when_the_server_says_none(wanted):
    assert diff(*expiry(wanted, "never")).changes == ()


def test_never_is_set_where_the_server_can(wanted):
    change = one(*expiry(wanted, "never", NOW, "0.29"))
    assert change.after == {"expiry": "never"}
    assert change.before["expiry"] == "2030-01-01T12:00:00Z"


@pytest.mark.parametrize("release", ["0.26", "0.27", "0.28"])
def test_never_is_an_error_before_029(wanted, release):
    desired, state = expiry(wanted, "never", NOW, release)
    assert node_changes(desired, state) == []
    assert "from 0.29 on" in problems(desired, state)["RC0306"].why


def test_026_would_log_the_node_out_at_any_date(wanted):
    desired, state = expiry(wanted, "2031-06-01", None, "0.26")
    assert node_changes(desired, state) == []
    assert "logs the node out at once" in problems(desired, state)["RC0306"].why


@pytest.mark.parametrize("release", ["0.27", "0.28"])
def test_a_date_is_lost_at_a_restart_of_027_and_028(wanted, release):
    change = one(*expiry(wanted, "2031-06-01", None, release))
    assert "until the server restarts" in change.caveats[0]


def test_instants_are_compared_not_their_spelling(wanted):
    zone = expiry(wanted, "'2031-06-01T02:00:00+02:00'", NOW.replace(2031, 6, 1, 0))
    assert diff(*zone).changes == ()


def test_a_past_expiry_means_expired_whenever_that_was(wanted):
    """So an expired node stays expired without a write at each run."""
    long_ago = NOW - timedelta(days=900)
    assert diff(*expiry(wanted, "2029-12-01", long_ago)).changes == ()


@pytest.mark.parametrize("release", ["0.26", "0.27", "0.28", "0.29", "main"])
def test_every_release_can_log_a_node_out_now(wanted, release):
    change = one(*expiry(wanted, "2029-12-01", NOW + timedelta(days=9), release))
    assert change.after == {"expiry": "2029-12-01T00:00:00Z"}
    assert [str(way) for way in change.irreversible] == ["login: expired now"]


def test_what_expired_in_the_second_of_the_read_has_expired(wanted):
    """A server puts a fraction to the time that is made "now", and a read has none."""
    since = NOW + timedelta(microseconds=900_000)
    assert not diff(*expiry(wanted, "2029-12-01", since)).changes


def test_an_unexpired_node_wanted_later_is_moved(wanted):
    change = one(*expiry(wanted, "2031-06-01", NOW + timedelta(days=9)))
    assert change.after == {"expiry": "2031-06-01T00:00:00Z"}
    assert change.irreversible == ()


# -- order -----------------------------------------------------------------------------


def test_the_order_of_the_servers_list_does_not_matter(wanted):
    desired = wanted("""
        nodes:
          store: { match: { hostname: twin } }
          nas: { exit_node: true }
          gone: {}
        node_rules: [{ match: { hostname: 'n*' }, routes: { approve: [] } }]
    """)
    nodes = [node(n, f"t{n}", hostname="twin") for n in range(1, 13)]
    nodes += [
        node(n, f"n{n}", approved=["10.0.0.0/8"], available=["10.0.0.0/8"])
        for n in range(20, 24)
    ]
    who = [user(1, "alice")]
    forth = live(who, [*nodes, node(99, "nas")], policy=AUTO)
    back = live(who, [node(99, "nas"), *reversed(nodes)], policy=AUTO)
    assert diff(desired, forth) == diff(desired, back)
    assert changes(desired, forth).keys() == {"node:nas"}
