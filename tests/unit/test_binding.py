"""Which live node does an entry of the file mean?"""

import re

import pytest

from reconcile.errors import InputError
from reconcile.plan.compare import diff
from tests.support import bind, live, node, problems


def test_no_match_is_pending_and_no_error(wanted):
    found = bind(wanted("nodes: { nas: {} }"), [node(1, "tv")])
    assert [entry.name for entry in found.pending] == ["nas"]
    assert [n.name for n in found.unlisted] == ["tv"]
    assert (found.bound, found.problems) == ((), ())


def test_without_match_the_name_decides(wanted):
    (bound,) = bind(wanted("nodes: { nas: {} }"), [node(3, "nas")]).bound
    assert (bound.node.id, bound.wanted_name) == ("3", "nas")


@pytest.mark.parametrize(
    "match",
    [
        "id: '7'",
        f"machine_key: 'mkey:{7:064x}'",
        f"node_key: 'nodekey:{7:064x}'",
        "hostname: synology",
        "name: box",
        "user: bob",
        "preauth_key: '4'",
        "tag: tag:web",
        "ip: 100.64.0.7",
        "{user: bob, hostname: synology}".strip("{}"),
    ],
)
def test_every_field_of_match_finds_its_node(wanted, match):
    others = [node(1, "a"), node(2, "b", tags=["tag:db"], preauth_key="5")]
    if "tag:" in match:
        me = node(7, "box", tags=["tag:web"])
    else:
        me = node(7, "box", hostname="synology", user="bob", preauth_key="4")
    rename = "box" if "name: box" in match else "nas"
    desired = wanted(f"nodes: {{ {rename}: {{ match: {{ {match} }} }} }}")
    (bound,) = bind(desired, [*others, me]).bound
    assert bound.node.id == "7"


def test_an_ipv6_address_is_found_in_any_spelling(wanted):
    me = node(1, "nas", addresses=("100.64.0.1", "fd7a:115c:a1e0::1"))
    desired = wanted("nodes: { nas: { match: { ip: 'FD7A:115C:A1E0:0::1' } } }")
    assert len(bind(desired, [me]).bound) == 1


def test_every_field_given_must_hold(wanted):
    me = node(7, "box", hostname="synology", user="bob")
    desired = wanted("nodes: { nas: { match: { hostname: synology, user: alice } } }")
    found = bind(desired, [me])
    assert (found.bound, len(found.pending)) == ((), 1)


def test_a_tagged_node_has_no_user_to_match(wanted):
    me = node(7, "nas", tags=["tag:web"])
    desired = wanted("nodes: { nas: { match: { user: tagged-devices } } }")
    assert bind(desired, [me]).bound == ()


# -- more than one -----------------------------------------------------------------------


def test_an_ambiguous_match_names_the_candidates(wanted):
    twins = [
        node(1, "nas", hostname="nas", online=True),
        node(2, "nas-1", hostname="nas", user="bob", last_seen="2029-12-31T00:00:00Z"),
    ]
    desired = wanted("nodes: { store: { match: { hostname: nas } } }")
    problem = problems(desired, live(nodes=twins))["RC0203"]
    assert problem.message == "node:store matches 2 nodes and must name exactly one"
    assert "#1 nas: user alice, hostname nas, online" in problem.help
    assert "#2 nas-1: user bob, hostname nas, seen 2029-12-31T00:00:00Z" in problem.help
    assert problem.position.line == 2
    assert bind(desired, twins).unlisted == ()  # they are spoken of


TWINS = {
    "told apart by user": [node(1, "a", hostname="nas"), node(2, "b", user="bob")],
    "told apart by key": [
        node(1, "a", preauth_key="3"),
        node(2, "b", preauth_key="4"),
    ],
    "one is tagged": [node(1, "a"), node(2, "b", tags=["tag:db"])],
    "nothing but the machine": [node(1, "a"), node(2, "b")],
    "no machine key": [node(1, "a", machine_key=""), node(2, "b", machine_key="")],
    "three": [
        node(1, "a", user="bob"),
        node(2, "b", user="bob", preauth_key="9"),
        node(3, "c"),
    ],
    "hostile name": [
        node(1, 'x"; rm: #', user='a"b\n- c'),
        node(2, "y\u202e", user="bob"),
    ],
}


@pytest.mark.parametrize("settings", ["", "tags: [tag:web]"])
@pytest.mark.parametrize("twins", TWINS.values(), ids=TWINS.keys())
def test_each_narrower_match_works_when_pasted(wanted, twins, settings):
    """Also with tags: a proposal by user would then stop matching (RC0208)."""
    from dataclasses import replace

    twins = [replace(one, hostname="nas") for one in twins]
    more = f", {settings}" if settings else ""
    policy = "policy: { tagOwners: { 'tag:web': [] }, acls: [] }\n"
    entry = "nodes: {{ store: {{ match: {{ {} }}{} }} }}"
    desired = wanted(policy + entry.format("hostname: nas", more))
    help = problems(desired, live(nodes=twins))["RC0203"].help
    proposals = re.findall(r"^ +match: \{ (.*) \}$", help, re.M)
    assert len(proposals) == len(twins)
    for one, proposal in zip(twins, proposals, strict=True):
        pasted = wanted(policy + entry.format(proposal, more))
        found = bind(pasted, twins)
        assert [b.node.id for b in found.bound] == [one.id], proposal


def test_two_entries_for_one_node_are_an_error(wanted):
    desired = wanted("""
        nodes:
          nas: {}
          store: { match: { id: '1' } }
    """)
    problem = problems(desired, live(nodes=[node(1, "nas")]))["RC0204"]
    assert problem.message == "node:store and node:nas are the same node, #1 nas"
    assert "tailnet.yaml:3:" in problem.help


def test_the_same_match_twice_is_found_without_a_server(wanted):
    with pytest.raises(InputError) as caught:
        wanted("""
            nodes:
              nas: { match: { id: '1' } }
              store: { match: { id: '1' } }
        """)
    assert [d.code for d in caught.value.diagnostics] == ["RC0201"]


# -- rules and defaults ------------------------------------------------------------------


def test_a_rule_is_for_every_node_that_its_globs_fit(wanted):
    desired = wanted("""
        policy: { tagOwners: { 'tag:web': [] }, acls: [] }
        node_rules:
          - match: { hostname: 'web-*', preauth_key: '3' }
            tags: [tag:web]
    """)
    nodes = [
        node(1, "web-1", preauth_key="3"),
        node(2, "web-2", preauth_key="4"),
        node(3, "other", preauth_key="3"),
    ]
    found = bind(desired, nodes)
    assert [(b.node.id, b.wanted_name) for b in found.bound] == [("1", None)]
    assert [n.id for n in found.unlisted] == ["2", "3"]


def test_an_entry_wins_over_a_rule_and_a_rule_over_defaults(wanted):
    desired = wanted("""
        policy: { tagOwners: { 'tag:web': [], 'tag:db': [] }, acls: [] }
        defaults: { nodes: { expiry: never, exit_node: false, tags: [tag:web] } }
        nodes:
          nas: { tags: [tag:db] }
        node_rules:
          - match: { name: n*, preauth_key: '1' }
            tags: [tag:web]
            exit_node: true
    """)
    (bound,) = bind(desired, [node(1, "nas", preauth_key="1")]).bound
    assert bound.settings.tags == {"tag:db"}
    assert bound.settings.exit_node is True
    assert bound.settings.expiry == "never"


def test_defaults_are_for_entries_and_not_for_nodes_under_rules_alone(wanted):
    desired = wanted("""
        defaults: { nodes: { expiry: never } }
        node_rules: [ { match: { preauth_key: '1' }, exit_node: false } ]
    """)
    (bound,) = bind(desired, [node(1, "nas", preauth_key="1")]).bound
    assert bound.settings.expiry is None


def test_two_rules_that_disagree_are_an_error(wanted):
    desired = wanted("""
        node_rules:
          - { match: { hostname: n* }, exit_node: true }
          - { match: { hostname: '*s' }, exit_node: false }
    """)
    problem = problems(desired, live(nodes=[node(4, "nas")]))["RC0205"]
    assert problem.message == "two rules want different exit_node of node nas (#4)"
    assert problem.position.line == 4


def test_two_rules_that_agree_are_fine(wanted):
    desired = wanted("""
        node_rules:
          - { match: { hostname: n* }, exit_node: false }
          - { match: { hostname: '*s' }, exit_node: false, expiry: never }
    """)
    (bound,) = bind(desired, [node(4, "nas")]).bound
    assert (bound.settings.exit_node, bound.settings.expiry) == (False, "never")


# -- pending and replaced nodes ------------------------------------------------------------


def test_a_pending_node_counts_what_waits_for_it(wanted):
    desired = wanted("nodes: { nas: { exit_node: true, expiry: never } }")
    (pending,) = diff(desired, live()).pending
    assert (pending.address, pending.settings) == ("node:nas", 2)
    assert diff(desired, live()).problems == ()


@pytest.mark.parametrize("level", ["warn", "error"])
def test_pending_can_be_a_warning_or_an_error(wanted, level):
    desired = wanted(f"nodes: {{ nas: {{ pending: {level} }} }}")
    problem = problems(desired, live())["RC0206"]
    assert problem.severity == {"warn": "warning"}.get(level, level)
    assert f"`pending: {level}`" in problem.why


def test_pending_ok_says_nothing_and_wins_over_the_default(wanted):
    desired = wanted("""
        defaults: { nodes: { pending: error } }
        nodes: { nas: { pending: ok }, tv: {} }
    """)
    found = diff(desired, live())
    assert [p.address for p in found.problems] == ["node:tv"]
    assert [p.policy for p in found.pending] == ["ok", "error"]


@pytest.mark.parametrize(
    ("name", "hostname"),
    [("nas-1", "nas"), ("nas-1", "other"), ("nas-k3x9q2ab", "other"), ("z", "nas")],
)
def test_a_device_that_was_installed_anew_is_pointed_out(wanted, name, hostname):
    """Collisions get `-1` from 0.29 on, and eight random characters before."""
    desired = wanted(
        f"nodes: {{ nas: {{ match: {{ machine_key: 'mkey:{1:064x}' }} }} }}"
    )
    new = node(57, name, hostname=hostname, user="bob")
    (pending,) = diff(desired, live(nodes=[new])).pending
    assert f"#57 {name} (hostname {hostname}, user bob) is new" in pending.hint
    pasted = pending.hint.partition("match: ")[2]
    again = wanted(f"nodes: {{ nas: {{ match: {pasted} }} }}")
    assert bind(again, [new]).bound[0].node.id == "57"


@pytest.mark.parametrize("name", ["nas-backup", "tv", "nasty", "nas-"])
def test_another_device_is_not_taken_for_a_new_installation(wanted, name):
    desired = wanted("nodes: { nas: {} }")
    (pending,) = diff(desired, live(nodes=[node(5, name)])).pending
    assert pending.hint == ""


def test_nothing_is_transferred_to_the_new_installation(wanted):
    desired = wanted("nodes: { nas: { exit_node: true } }")
    found = diff(desired, live(nodes=[node(5, "nas-1", hostname="nas")]))
    assert found.changes == ()


# -- matches that cannot be meant (found without a server) ---------------------------------


@pytest.mark.parametrize(
    "entry",
    [
        "nas: { match: { user: alice }, tags: [tag:web] }",
        "nas: { match: { name: box } }",
        "nas: { match: { tag: tag:db }, tags: [tag:web] }",
    ],
)
def test_a_match_that_stops_matching_once_applied_is_refused(wanted, entry):
    with pytest.raises(InputError) as caught:
        wanted(
            "policy: { tagOwners: { 'tag:web': [], 'tag:db': [] }, acls: [] }\n"
            f"nodes: {{ {entry} }}"
        )
    assert [d.code for d in caught.value.diagnostics] == ["RC0208"]


def test_tags_by_a_name_that_the_device_chooses_are_warned_about(wanted):
    desired = wanted("""
        policy: { tagOwners: { 'tag:web': [] }, acls: [] }
        nodes: { nas: { match: { hostname: nas }, tags: [tag:web] } }
    """)
    assert [w.code for w in desired.warnings] == ["RC0207"]
