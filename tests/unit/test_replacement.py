"""Devices that were installed anew: whom `replace: auto` lets an entry go over to."""

import re
from dataclasses import replace

import pytest

from reconcile.errors import StalePlan
from reconcile.plan.compare import diff
from reconcile.plan.order import steps
from reconcile.plan.plan import build
from reconcile.plan.stale import require_same
from tests.support import bind, live, node, problems, user

OLD = f"machine_key: 'mkey:{1:064x}'"
LATER = f"machine_key: 'mkey:{2:064x}'"
NEW = node(57, "nas-1", hostname="nas")
POLICY = "policy: { tagOwners: { 'tag:web': [], 'tag:db': [] }, acls: [] }\n"


def entry(match, more="replace: auto", name="nas"):
    inner = ", ".join(filter(None, [f"match: {{ {match} }}" if match else "", more]))
    return f"{POLICY}nodes: {{ {name}: {{ {inner} }} }}"


def taken(desired, nodes):
    """Return the names of the entries that went over to a node, with its number."""
    return {b.wanted_name: b.node.id for b in bind(desired, nodes).bound if b.replaced}


TAKEN = {
    "host name of the entry": (OLD, NEW),
    "host name of the match": (f"{OLD}, hostname: box", node(57, "a", hostname="box")),
    "no match": ("", NEW),
    "any identity": ("id: '3', ip: 100.64.0.9", NEW),
    "name gone": (f"{OLD}, name: nas", NEW),
    "same user": (f"{OLD}, user: alice", NEW),
    "same key": (f"{OLD}, preauth_key: '4'", replace(NEW, preauth_key="4")),
    "same tag": (f"{OLD}, tag: tag:web", node(57, "nas", tags=["tag:web"])),
}


@pytest.mark.parametrize(("match", "one"), TAKEN.values(), ids=TAKEN.keys())
def test_the_one_node_like_the_device_is_taken(wanted, match, one):
    strangers = [node(5, "tv"), node(6, "nas-2", hostname="other"), one]
    found = bind(wanted(entry(match)), strangers)
    assert taken(wanted(entry(match)), strangers) == {"nas": "57"}
    assert (found.pending, [n.id for n in found.strangers]) == ((), ["5", "6"])


@pytest.mark.parametrize("more", ["", "replace: report"])
def test_nothing_is_taken_unasked(wanted, more):
    found = diff(wanted(entry(OLD, more)), live(nodes=[NEW]))
    assert (found.changes, found.replaced) == ((), ())
    assert "`replace: auto`" not in found.pending[0].hint


NOT_TAKEN = {
    "another host name": (OLD, [node(57, "nas-1", hostname="other")]),
    "not that of the match": (f"{OLD}, hostname: box", [NEW]),
    "another user": (f"{OLD}, user: bob", [NEW]),
    "tagged, so no user": (
        f"{OLD}, user: alice",
        [node(57, "nas", tags=["tag:web"])],
    ),
    "another key": (f"{OLD}, preauth_key: '4'", [replace(NEW, preauth_key="5")]),
    "no key": (f"{OLD}, preauth_key: '4'", [NEW]),
    "another tag": (f"{OLD}, tag: tag:db", [node(57, "nas", tags=["tag:web"])]),
    "two of them": (OLD, [NEW, node(58, "nas-2", hostname="nas")]),
}


@pytest.mark.parametrize(("match", "nodes"), NOT_TAKEN.values(), ids=NOT_TAKEN.keys())
def test_what_is_not_the_one_stays_pending_and_is_named(wanted, match, nodes):
    desired = wanted(entry(match))
    found = diff(desired, live([user(1, "alice"), user(2, "bob")], nodes))
    assert (taken(desired, nodes), found.changes, found.replaced) == ({}, (), ())
    (pending,) = found.pending
    for one in nodes:
        assert f"#{one.id} {one.name}" in pending.hint
    assert "`replace: auto` takes only the one node with hostname" in pending.hint
    for pasted in re.findall(r"match: (\{.*?\})", pending.hint):
        again = wanted(f"nodes: {{ nas: {{ match: {pasted} }} }}")
        assert len(bind(again, nodes).bound) == 1


def test_a_device_that_is_still_there_keeps_its_entry(wanted):
    nodes = [node(1, "nas"), NEW]
    desired = wanted(entry(OLD))
    assert [b.node.id for b in bind(desired, nodes).bound] == ["1"]
    assert taken(desired, nodes) == {}


SPOKEN_OF = {
    "bound by another entry": "box: { match: { id: '57' } }",
    "one of several for another entry": "box: { match: { user: alice } }",
    "could be another entry's too": f"box: {{ match: {{ {LATER}, hostname: nas }} }}",
}


@pytest.mark.parametrize("other", SPOKEN_OF.values(), ids=SPOKEN_OF.keys())
@pytest.mark.parametrize("first", [True, False])
def test_a_node_that_another_entry_means_is_not_taken(wanted, other, first):
    mine = f"nas: {{ match: {{ {OLD} }}, replace: auto }}"
    both = [mine, other] if first else [other, mine]
    desired = wanted("nodes:\n  " + "\n  ".join(both))
    assert taken(desired, [NEW, node(9, "tv")]) == {}


def test_a_node_that_is_removed_is_not_taken(wanted):
    desired = wanted(entry(OLD) + "\nremoved: [node:nas-1]")
    found = diff(desired, live(nodes=[NEW]))
    assert [(c.address, c.action) for c in found.changes] == [("node:nas-1", "delete")]
    assert [p.address for p in found.pending] == ["node:nas"]


def test_a_device_that_is_removed_gives_its_entry_to_the_new_one(wanted):
    desired = wanted(entry(OLD) + "\nremoved: [node:nas-old]")
    assert taken(desired, [node(1, "nas-old"), NEW]) == {"nas": "57"}


def test_a_node_under_a_rule_alone_may_be_taken(wanted):
    rule = "\nnode_rules: [{ match: { user: alice }, expiry: never }]"
    (bound,) = bind(wanted(entry(OLD) + rule), [NEW]).bound
    assert (bound.replaced, bound.settings.expiry) == (True, "never")


def test_the_default_is_for_every_entry_and_an_entry_decides(wanted):
    desired = wanted(f"""
        defaults: {{ nodes: {{ replace: auto }} }}
        nodes:
          nas: {{ match: {{ {OLD} }} }}
          tv: {{ match: {{ {LATER} }}, replace: report }}
    """)
    nodes = [NEW, node(58, "tv-1", hostname="tv")]
    assert taken(desired, nodes) == {"nas": "57"}


# -- what is done and said ------------------------------------------------------------


def test_its_settings_and_its_name_go_to_the_new_device(wanted):
    desired = wanted(entry(OLD, "replace: auto, tags: [tag:web], expiry: never"))
    state = live(nodes=[replace(NEW, expiry=live().taken_at)])
    (change,) = diff(desired, state).changes
    assert (change.address, change.server_id) == ("node:nas", "57")
    assert change.after == {"name": "nas", "tags": ["tag:web"], "expiry": "never"}
    verbs = {(step.operation.verb, step.operation.id) for step in steps([change])}
    assert verbs == {("node.name", "57"), ("node.tags", "57"), ("node.expiry", "57")}


@pytest.mark.parametrize(("match", "one"), TAKEN.values(), ids=TAKEN.keys())
def test_once_applied_a_plan_is_empty_and_says_the_new_match(wanted, match, one):
    applied = live(nodes=[replace(one, name="nas")])
    found = diff(wanted(entry(match)), applied)
    assert (found.changes, found.pending) == ((), ())
    if not match:  # the node is found by its name again
        assert found.replaced == ()
        return
    (said,) = found.replaced
    assert (said.address, said.server_id, said.name) == ("node:nas", "57", "nas")
    pasted = diff(wanted(entry(said.match.strip("{ }"))), applied)
    assert (pasted.changes, pasted.pending, pasted.replaced) == ((), (), ())


def test_the_new_match_keeps_what_guards_it(wanted):
    (said,) = diff(wanted(entry(f"{OLD}, user: alice")), live(nodes=[NEW])).replaced
    assert said.match == f'{{ machine_key: "mkey:{57:064x}", user: "alice" }}'
    assert said.alike == {"hostname": "nas", "user": "alice"}


def test_an_entry_that_went_over_is_not_pending(wanted):
    desired = wanted(entry(OLD, "replace: auto, pending: error"))
    assert problems(desired, live(nodes=[NEW])) == {}


def test_a_saved_plan_is_for_one_device(wanted):
    desired = wanted(entry(OLD, "replace: auto, exit_node: true"))
    planned = build(desired, live(nodes=[NEW]), name="hs")
    another = live(nodes=[node(58, "nas-1", hostname="nas")])
    with pytest.raises(StalePlan) as caught:
        require_same(planned, build(desired, another, name="hs"))
    assert "it was #57 when planned, is #58 now" in str(caught.value)
    both = live(nodes=[NEW, node(58, "nas-2", hostname="nas")])
    with pytest.raises(StalePlan):
        require_same(planned, build(desired, both, name="hs"))


def test_the_whole_way_on_a_server(command, monkeypatch, tmp_path):
    """Two devices say `nas`; the old one goes, and its entry goes over to the other."""
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")
    monkeypatch.setenv("HEADSCALE_API_KEY", "any")
    for _ in range(2):
        command(
            "simulate", "node", "add", "nas", "-u", "alice", "--route", "10.0.0.0/8"
        )
    assert command("simulate", "node", "remove", "nas")[0] == 0
    (tmp_path / "tailnet.yaml").write_text(
        "version: 1\nserver: { type: headscale, url: '${HEADSCALE_URL}' }\n"
        f"nodes: {{ nas: {{ match: {{ {OLD}, user: alice }}, replace: auto, "
        "routes: { approve: [10.0.0.0/8] } } }\n"
    )
    assert command("plan", "--out", "plan.json")[0] == 0
    assert "node:nas is now #2 nas-1" in command("show", "plan.json")[1]
    code, out, _ = command("apply", "plan.json", "--auto-approve")
    assert (code, "Applied 2 of 2." in out) == (0, True)
    for again in (("plan", "--detailed-exitcode"), ("drift",)):
        code, out, _ = command(*again)
        assert (code, "node:nas is now #2 nas " in out) == (0, True)
        assert 'write match: { machine_key: "mkey:' in out


# -- what anyone could fake -----------------------------------------------------------


@pytest.mark.parametrize("gain", ["tags: [tag:web]", "exit_node: true"])
@pytest.mark.parametrize(
    ("match", "safe"),
    [
        (OLD, False),
        (f"{OLD}, hostname: box", False),
        (f"{OLD}, preauth_key: '4'", True),
        (f"{OLD}, tag: tag:web", True),
    ],
)
def test_what_hangs_on_a_host_name_alone_is_warned_about(wanted, match, safe, gain):
    codes = [w.code for w in wanted(entry(match, f"replace: auto, {gain}")).warnings]
    assert codes == ([] if safe else ["RC0207"])
    assert wanted(entry(match, gain)).warnings == ()


def test_a_user_beside_the_host_name_is_enough(wanted):
    match = f"{OLD}, user: alice"
    assert wanted(entry(match, "replace: auto, exit_node: true")).warnings == ()


def test_an_entry_that_gains_nothing_is_not_warned_about(wanted):
    assert wanted(entry(OLD, "replace: auto, exit_node: false")).warnings == ()
