"""What changes do to access: every kind of change that can move it, and no other."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from reconcile.errors import Position
from reconcile.live import snapshot
from reconcile.model import ServerInfo
from reconcile.plan.plan import build
from reconcile.report.effect import as_json, from_json, section, total
from reconcile.report.json_plan import dumps, loads
from reconcile.report.line import plain
from reconcile.report.text import render_plans
from reconcile.review.access import between, of_changes, scene_after, scene_now
from tests.support import live, node, owned, user

RULE = '{"action": "accept", "src": ["%s"], "dst": ["%s"], "proto": "tcp"}'
OWNERS = '"tagOwners": {"tag:db": [], "tag:router": []}'
USERS = (user(1, "alice"), user(2, "bob"))
EXITS = ("0.0.0.0/0", "::/0")


def policy(*rules, more=OWNERS):
    return f'{{{more}, "acls": [{", ".join(RULE % rule for rule in rules)}]}}'


DB = policy(("alice@", "tag:db:5432"))


def nodes(**fields):
    return (
        node(1, "laptop", user="alice"),
        node(2, "desk", **{"user": "bob", **fields}),
        node(3, "db-1", tags=["tag:db"]),
    )


def effect(desired, state):
    return of_changes(desired, state, build(desired, state, name="hs").changes)


def told(flows):
    return [
        f"{', '.join(f.sources)} -> {', '.join(f.targets)} {', '.join(f.services)}: "
        f"{'; '.join(f.because)}"
        for f in flows
    ]


def test_a_rule(wanted):
    new = policy(("alice@", "tag:db:5432-5433"))
    desired = wanted("policy: { file: policy.hujson }", policy_hujson=new)
    found = effect(desired, live(USERS, nodes(), DB))
    assert told(found.gained) == ["alice -> tag:db tcp 5433: acls[0]"]
    assert (found.before, found.after, found.paths_gained) == (1, 1, 1)
    assert found.paths_wider == 1
    assert found.gained[0].position.file == "policy.hujson"
    back = wanted("policy: { file: policy.hujson }", policy_hujson=DB)
    found = effect(back, live(USERS, nodes(), new))
    assert (found.gained, told(found.lost)) == (
        (),
        ["alice -> tag:db tcp 5433: acls[0]"],
    )
    assert found.lost[0].position.column == back_column(DB)


def back_column(text):
    """The column of the first rule of a policy on one line."""
    return text.index("[{") + 2


def test_a_lost_path_names_the_rule_as_it_is_numbered_now(wanted):
    """The old numbers mean other rules in the file that a reviewer looks at."""
    old = policy(("tag:db", "bob@:22"), ("alice@", "tag:db:5432-5433"))
    desired = wanted("policy: { file: policy.hujson }", policy_hujson=DB)
    found = effect(desired, live(USERS, nodes(), old))
    assert sorted(told(found.lost)) == [
        "alice -> tag:db tcp 5433: acls[0]",
        "tag:db -> bob tcp 22: acls[0] is removed",
    ]
    assert {f.because: bool(f.position) for f in found.lost} == {
        ("acls[0]",): True,
        ("acls[0] is removed",): False,
    }


def test_gains_stand_by_their_danger(wanted):
    """To everything or the internet, logins as root, then by how many have it."""
    login = (
        '{"action": "accept", "src": ["bob@"], "dst": ["tag:db"], "users": ["USER"]}'
    )
    logins = ", ".join(login.replace("USER", user) for user in ("ops", "root"))
    rules = (
        ("alice@", "tag:db:5432"),
        ("autogroup:member", "tag:db:80"),
        ("alice@", "autogroup:internet:443"),
        ("bob@", "*:53"),
        ("bob@", "tag:db:22"),
    )
    new = policy(*rules, more=f'{OWNERS}, "ssh": [{logins}]')
    desired = wanted("policy: { file: policy.hujson }", policy_hujson=new)
    exits = node(4, "exit", tags=["tag:router"], approved=EXITS, available=EXITS)
    there = (*nodes(), exits)
    found = effect(desired, live(USERS, there, policy()))
    shown = [
        f"{', '.join(f.targets)} {', '.join(f.services)}".replace(" (check)", "")
        for f in found.gained
    ]
    assert shown[:2] == [
        "alice, node:db-1, node:exit, autogroup:internet tcp 53",
        "autogroup:internet tcp 443",
    ]
    assert "ssh as root" in shown[2]
    assert shown[3] == "tag:db tcp 80"
    assert len(shown) > 4
    back = wanted("policy: { file: policy.hujson }", policy_hujson=policy())
    lost = effect(back, live(USERS, there, new)).lost
    assert [f.paths for f in lost] == sorted((f.paths for f in lost), reverse=True)


def test_what_opens_when_a_node_advertises_what_is_approved_ahead(wanted):
    rules = policy(("alice@", "10.1.0.0/16:443"), ("alice@", "autogroup:internet:53"))
    entry = "desk: { routes: { approve: [10.1.0.0/16] }, exit_node: true }"
    desired = wanted(f"nodes: {{ {entry} }}")
    found = effect(desired, live(USERS, nodes(), rules))
    assert (found.gained, found.paths_gained) == ((), 0)
    assert told(found.later) == [
        "alice -> autogroup:internet tcp 53: "
        "node:desk advertises 0.0.0.0/0, 10.1.0.0/16, ::/0",
        "alice -> 10.1.0.0/16 tcp 443: "
        "node:desk advertises 0.0.0.0/0, 10.1.0.0/16, ::/0",
    ]
    assert "  ? opens   alice (1 node) -> 10.1.0.0/16" in "\n".join(
        section(found, plain)
    )
    assert as_json(from_json(as_json(found))) == as_json(found)
    there = nodes(approved=["10.1.0.0/16", *EXITS])
    again = wanted(f"nodes: {{ {entry} }}\npolicy: {{ file: p }}", p=policy())
    assert effect(again, live(USERS, there, rules)).later == ()


WAITING = {
    "a tag": ("tags: [tag:db]", "alice -> node:new tcp 5432"),
    "a user's device": ("match: { user: bob, id: 9 }, exit_node: false", ""),
    "a route": ("routes: { approve: [10.1.0.0/16] }", "alice -> 10.1.0.0/16 tcp 443"),
}


@pytest.mark.parametrize("name", WAITING)
def test_what_opens_when_a_wanted_node_joins(name, wanted, tmp_path, command):
    entry, line = WAITING[name]
    rules = policy(("alice@", "tag:db:5432"), ("alice@", "10.1.0.0/16:443"))
    (tmp_path / "live.json").write_text(
        snapshot.dumps(live(USERS, nodes(), rules, "0.28"))
    )
    (tmp_path / "tailnet.yaml").write_text(
        f"version: 1\nnodes: {{ new: {{ {entry} }} }}\n"
    )
    code, out, _ = command("plan", "--snapshot", "live.json", "--format", "json")
    assert code == 0
    access = json.loads(out)["servers"][0]["access"]
    if not line:
        assert access is None
        return
    (flow,) = access["later"]
    assert (access["gained"], flow["because"]) == ([], ["node:new is added"])
    assert f"{flow['src']} -> {flow['dst']} {flow['services'][0]}" == line
    out = command("plan", "--snapshot", "live.json")[1]
    assert "  ? opens   alice (1 node) -> " in out
    assert "No changes." in out


def test_a_group_that_changes_is_named_with_its_place(wanted):
    def of(members):
        groups = f'"groups": {{\n"group:ops": {members} }}, {OWNERS}'
        return policy(("group:ops", "tag:db:22"), more=groups)

    both, one = of('["alice@", "bob@"]'), of('["alice@"]')
    for new, old in ((both, one), (one, both)):
        desired = wanted("policy: { file: policy.hujson }", policy_hujson=new)
        found = effect(desired, live(USERS, nodes(), old))
        (flow,) = (*found.gained, *found.lost)
        assert flow.because == ('groups."group:ops"',)
        assert (flow.position.file, flow.position.line) == ("policy.hujson", 2)


def test_a_tag(wanted):
    desired = wanted("nodes: { desk: { tags: [tag:db] } }")
    found = effect(desired, live(USERS, nodes(), DB))
    assert told(found.gained) == [
        "alice -> node:desk tcp 5432: node:desk becomes tag:db"
    ]


@pytest.mark.parametrize("release", ["0.26", "0.27", "0.28", "0.29", "main"])
def test_a_route_counts_where_it_is_advertised_and_approved(wanted, release):
    text = policy(("alice@", "10.1.0.0/16:443"))
    desired = wanted("nodes: { desk: { routes: { approve: [10.1.0.0/16] } } }")
    there = live(USERS, nodes(available=["10.1.0.0/16"]), text, release)
    assert told(effect(desired, there).gained) == [
        "alice -> 10.1.0.0/16 tcp 443: node:desk routes 10.1.0.0/16"
    ]
    absent = live(USERS, nodes(), text, release)
    assert effect(desired, absent).gained == ()


def test_an_exit_node(wanted):
    text = policy(("alice@", "autogroup:internet:443"))
    desired = wanted("nodes: { desk: { exit_node: true } }")
    found = effect(desired, live(USERS, nodes(available=EXITS), text))
    assert [flow.targets for flow in found.gained] == [("autogroup:internet",)]


def test_a_removed_node(wanted):
    desired = wanted("removed: [node:laptop]")
    found = effect(desired, live(USERS, nodes(), DB))
    assert told(found.lost) == ["node:laptop -> everything : node:laptop is removed"]
    assert (found.paths_lost, found.after) == (1, 0)


PAST, FUTURE = "2029-01-01T00:00:00Z", "2031-01-01T00:00:00Z"


def test_a_key_that_expires_takes_all_access(wanted):
    desired = wanted(f"nodes: {{ laptop: {{ expiry: {PAST} }} }}")
    found = effect(desired, live(USERS, nodes(), DB))
    assert told(found.lost) == ["node:laptop -> everything : node:laptop expires"]
    assert (found.paths_lost, found.gained, found.after) == (1, (), 0)
    later = wanted(f"nodes: {{ laptop: {{ expiry: {FUTURE} }} }}")
    assert effect(later, live(USERS, nodes(), DB)) is None


def test_an_expired_key_counts_as_if_logged_in_until_it_does(wanted):
    """What it gains is never left out: it has it as soon as somebody logs in."""
    was = (replace(nodes()[0], expiry=datetime(2029, 1, 1, tzinfo=UTC)), *nodes()[1:])
    new = policy(("alice@", "tag:db:5432-5433"))
    desired = wanted("policy: { file: policy.hujson }", policy_hujson=new)
    found = effect(desired, live(USERS, was, DB))
    assert (found.before, found.paths_gained) == (1, 1)
    assert "expired key of node:laptop: counted as if logged in" in found.remarks[0]
    again = wanted("nodes: { laptop: { expiry: never } }")
    found = effect(again, live(USERS, was, DB))
    assert told(found.gained) == [
        "node:laptop -> tag:db tcp 5432: node:laptop is logged in again"
    ]
    gone = wanted("removed: [node:laptop]")
    assert effect(gone, live(USERS, was, DB)).paths_lost == 1


def test_an_expired_key_is_not_worth_a_word_where_it_changes_nothing(wanted):
    was = (replace(nodes()[0], expiry=datetime(2029, 1, 1, tzinfo=UTC)), *nodes()[1:])
    new = policy(("alice@", "tag:db:5432"), ("bob@", "tag:db:22"))
    desired = wanted("policy: { file: policy.hujson }", policy_hujson=new)
    found = effect(desired, live(USERS, was, DB))
    assert told(found.gained) == ["bob -> tag:db tcp 22: acls[1]"]
    assert found.remarks == ()


def test_what_has_the_same_ends_and_the_same_reason_is_one_line(wanted):
    """Two rules and a login, all because of one group: counted once in the totals."""
    ssh = '"ssh": [{"action": "accept", "src": ["group:g"], "dst": ["tag:db"], "users": ["u"]}]'

    def of(members):
        rules = ("group:g", "tag:db:22"), ("group:g", "tag:db:80")
        return policy(
            *rules, more=f'"groups": {{"group:g": {members}}}, {ssh}, {OWNERS}'
        )

    desired = wanted("policy: { file: policy.hujson }", policy_hujson=of('["bob@"]'))
    found = effect(desired, live(USERS, nodes(), of("[]")))
    assert told(found.gained) == [
        'group:g -> tag:db tcp 22,80, ssh as u: groups."group:g"'
    ]
    assert (found.before, found.after, found.paths_gained) == (0, 1, 1)
    assert (found.gained[0].paths, found.gained[0].rules) == (
        1,
        ("acls[0]", "acls[1]", "ssh[0]"),
    )


def test_a_router_among_the_sources_does_not_split_their_name(wanted):
    groups = '"groups": {"group:g": ["alice@", "bob@"]}, "tagOwners": {}'
    text = policy(("group:g", "10.0.0.0/8:80"), more=groups)
    routes = ["10.1.0.0/16", "10.3.0.0/16"]
    desired = wanted("nodes: { desk: { routes: { approve: [] } } }")
    there = nodes(available=routes, approved=routes)
    assert told(effect(desired, live(USERS, there, text)).lost) == [
        "group:g -> 10.1.0.0/16, 10.3.0.0/16 tcp 80: "
        "node:desk no longer routes 10.1.0.0/16, 10.3.0.0/16"
    ]


def test_what_happened_to_several_nodes_is_said_once(wanted):
    more = node(4, "pc", user="bob"), node(5, "tv", user="bob")
    text = "nodes: { desk: { tags: [tag:db] }, pc: { tags: [tag:db] } }"
    found = effect(wanted(text), live(USERS, (*nodes(), *more), DB))
    assert [flow.because for flow in found.gained] == [
        ("node:desk, node:pc become tag:db",)
    ]


def test_a_capability(wanted):
    old = '{"tagOwners": {"tag:db": []}, "grants": []}'
    given = '{"src": ["alice@"], "dst": ["tag:db"], "app": {"example.com/use": []}}'
    new = old.replace('"grants": []', f'"grants": [{given}]')
    desired = wanted("policy: { file: policy.hujson }", policy_hujson=new)
    found = effect(desired, live(USERS, nodes(), old))
    assert told(found.gained) == ["alice -> tag:db can use example.com/use: grants[0]"]


@pytest.mark.parametrize(
    ("own", "line"),
    [
        (0, "No path from or to this runner's own node (node:laptop) changes."),
        (1, "! this runner's own node, node:desk, loses 1 path:"),
        (2, "This runner's own node, node:db-1, gains 1 path."),
    ],
)
def test_the_own_node_of_the_runner(wanted, own, line):
    """Bob's way to the database is closed, and another one to laptop opened."""
    text = policy(("bob@", "tag:db:22"))
    new = policy(("tag:router", "100.64.0.3:80"))
    tagged = node(4, "gw", tags=["tag:router"])
    desired = wanted("policy: { file: policy.hujson }", policy_hujson=new)
    state = live(USERS, (*nodes(), tagged), text)
    changes = build(desired, state, name="hs").changes
    found = of_changes(desired, state, changes, runner=state.nodes[own])
    assert line in "\n".join(section(found, plain))
    told = as_json(found)["runner"]
    assert told["changed"] is (own != 0)
    assert from_json(as_json(found)).runner == found.runner
    assert as_json(of_changes(desired, state, changes))["runner"] is None


def test_a_renamed_user_leaves_the_rules_that_name_it(wanted):
    desired = wanted("users: { alicia: { was: alice }, bob: {} }")
    found = effect(desired, live(USERS, nodes(), DB))
    assert found.paths_lost == 1
    assert told(found.lost) == [
        "alice -> tag:db tcp 5432: user:alice is renamed alicia"
    ]
    follows = wanted(
        "users: { alicia: { was: alice }, bob: {} }\npolicy: { file: policy.hujson }",
        policy_hujson=DB.replace("alice@", "alicia@"),
    )
    found = effect(follows, live(USERS, nodes(), DB))
    assert (found.paths_lost, found.paths_gained) == (0, 0)


def test_a_policy_that_approves_routes_by_itself(wanted):
    text = policy(("alice@", "10.1.0.0/16:443"))
    approvers = '"autoApprovers": {"routes": {"10.0.0.0/8": ["bob@"]}}'
    new = policy(("alice@", "10.1.0.0/16:443"), more=f"{OWNERS}, {approvers}")
    desired = wanted("policy: { file: policy.hujson }", policy_hujson=new)
    there = nodes(available=["10.1.0.0/16"])
    for release in ("0.26", "0.29"):
        found = effect(desired, live(USERS, there, text, release))
        assert found.paths_gained == 1
        (one,) = found.set_off
        assert (str(one.position), one.routes) == (
            "policy.hujson:1:93",
            ("10.1.0.0/16",),
        )
        assert as_json(from_json(as_json(found))) == as_json(found)


@pytest.mark.parametrize(
    ("change", "approves"),
    [
        (('"acls"', '"ssh": [], "acls"'), False),
        (('"autoApprovers": {', '"autoApprovers": {"exitNode": ["bob@"], '), False),
        (('"acls"', '"groups": {"group:x": ["bob@"]}, "acls"'), False),
        (('"tag:router": []', '"tag:router": ["bob@"]'), True),
        (("10.1.0.0/16:443", "10.1.0.0/16:80"), True),
    ],
    ids=["ssh", "exit node", "unused group", "tag owner", "rule"],
)
def test_026_approves_only_when_rules_owners_or_routes_change(wanted, change, approves):
    """The row was seen on 0.26.1; later ones approve at each write of a policy."""
    approvers = '"autoApprovers": {"routes": {"10.0.0.0/8": ["bob@"]}}'
    old = policy(("alice@", "10.1.0.0/16:443"), more=f"{OWNERS}, {approvers}")
    desired = wanted(
        "policy: { file: policy.hujson }", policy_hujson=old.replace(*change)
    )
    there = nodes(available=["10.1.0.0/16", *EXITS])
    routes = {
        release: effect(desired, live(USERS, there, old, release)).set_off
        for release in ("0.26", "0.27")
    }
    assert bool(routes["0.26"]) is approves
    assert routes["0.27"]


def test_routes_that_a_plan_writes_itself_are_the_whole_list(wanted):
    """They go to the server after the policy: what that approved is gone then."""
    approvers = '"autoApprovers": {"routes": {"10.1.0.0/16": ["bob@"]}}'
    new = policy(more=f"{OWNERS}, {approvers}")
    entry = "nodes: { desk: { routes: { approve: [10.2.0.0/16], mode: at-least } } }"
    desired = wanted(f"{entry}\npolicy: {{ file: policy.hujson }}", policy_hujson=new)
    there = nodes(available=["10.1.0.0/16", "10.2.0.0/16"])
    assert effect(desired, live(USERS, there, DB)).set_off == ()


def test_where_the_lines_of_what_is_set_off_stand(wanted):
    approvers = (
        '"autoApprovers": {"routes": {"10.0.0.0/8": ["bob@"]},\n"exitNode": ["bob@"]}'
    )
    new = policy(more=f"{OWNERS}, {approvers}")
    desired = wanted(
        "nodes: { desk: { expiry: 2031-01-01 } }\npolicy: { file: policy.hujson }",
        policy_hujson=new,
    )
    there = nodes(available=["10.1.0.0/16", *EXITS])
    state = live(USERS, there, DB)
    plan = build(desired, state, name="hs")
    for changes in (plan.changes, [c for c in plan.changes if c.kind == "policy"]):
        found = of_changes(desired, state, changes)
        text = render_plans([replace(plan, changes=tuple(changes), access=found)])
        lines = text[text.index("node:desk (#2)") :].splitlines()
        at = lines.index(next(line for line in lines if "routes " in line))
        assert "10.1.0.0/16" in lines[at]
        assert "by autoApprovers" in lines[at]
        assert "exit node   no -> yes" in lines[at + 1]


@pytest.mark.parametrize(
    "yaml",
    ["users: { alice: {}, bob: {}, carol: {} }", "nodes: { desk: { expiry: never } }"],
)
def test_what_cannot_touch_access_costs_nothing(wanted, yaml):
    assert effect(wanted(yaml), live(USERS, nodes(), DB)) is None


def test_an_empty_plan_does_not_load_the_evaluator(tmp_path):
    (tmp_path / "tailnet.yaml").write_text("version: 1\npolicy: { acls: [] }\n")
    program = (
        "import sys; from reconcile.cli import run; run(['plan']); "
        "assert 'reconcile.jobs.run' in sys.modules; "
        "assert 'reconcile.policy.access.matrix' not in sys.modules; run(['plan'])"
    )
    (tmp_path / "w.json").write_text(
        '{"policy": {"text": "{\\"acls\\": []}", "updated": ""}}'
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"HEADSCALE_URL": "simulator:w.json", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "No changes" in done.stdout


def test_what_was_not_read_is_not_called_safe(wanted):
    desired = wanted("policy: { file: policy.hujson }", policy_hujson=DB)
    state = replace(live(USERS, nodes(), policy()), nodes=None)
    found = effect(desired, state)
    assert "not all read" in found.failure
    assert as_json(found)["before"] is None
    assert total([found]) == " Access: not evaluated."


def test_a_node_without_a_real_address_is_not_passed_over(wanted):
    desired = wanted("nodes: { desk: { tags: [tag:db] } }")
    found = effect(desired, live(USERS, nodes(addresses=("x\x1b",)), DB))
    assert "an address or route of a node" in found.failure
    assert "\x1b" not in section(found, plain)[0]


def test_a_new_policy_with_errors_is_not_evaluated(wanted):
    new = policy(("group:none", "tag:db:5432"))
    desired = wanted("policy: { file: policy.hujson }", policy_hujson=new)
    lines = section(effect(desired, live(USERS, nodes(), DB)), plain)
    assert lines[0].startswith(
        "Access: not evaluated: after the plan: policy.hujson:1:"
    )
    assert "nobody knows" in lines[1]


def test_the_missing_rules_are_told_as_the_release_takes_them(wanted):
    desired = wanted("policy: { file: policy.hujson }", policy_hujson="{}")
    for release, words, more in (("0.26", "NOTHING", False), ("0.27", "ALL", True)):
        state = live(USERS, nodes(), DB, release)
        (change,) = build(desired, state, name="hs").changes
        assert f"allows {words}" in change.policy.warnings[0]
        found = effect(desired, state)
        assert (found.after > found.before) is more
        assert bool(found.paths_gained) is more


def test_the_first_policy_is_told_in_words(wanted):
    desired = wanted("policy: { file: policy.hujson }", policy_hujson=DB)
    for release in ("0.26", "0.29"):
        found = effect(desired, live(USERS, nodes(), None, release))
        assert "first policy: until now every node could reach" in found.remarks[0]
        assert found.lost
        assert not found.gained
        assert {f.because for f in found.lost} == {
            ("there were neither acls nor grants",)
        }


def test_conditions_that_cannot_be_evaluated_are_never_passed_over(wanted):
    """Without its posture the rule opens more, which offline nobody can see."""
    old = """{"postures": {"posture:new": ["node:os == 'linux'"]}, "grants": [
      {"src": ["alice@"], "dst": ["tag:db"], "ip": ["*"], "srcPosture": ["posture:new"]}],
      "tagOwners": {"tag:db": []}}"""
    new = old.replace(', "srcPosture": ["posture:new"]', "")
    desired = wanted("policy: { file: policy.hujson }", policy_hujson=new)
    info = ServerInfo("tailscale", "", "", "tailscale")
    people = [replace(u, name=f"{u.name}@example.com") for u in USERS]
    old, new = (text.replace("alice@", "alice@example.com") for text in (old, new))
    desired = wanted("policy: { file: policy.hujson }", policy_hujson=new)
    found = effect(desired, live(people, owned(nodes(), USERS), old, info=info))
    assert found.unsure
    assert any("cannot be evaluated" in remark for remark in found.remarks)
    assert "nobody gains" not in "\n".join(section(found, plain))
    assert total([found]).endswith("some unknown.")


def test_there_and_back_are_each_other_inverted(wanted):
    desired = wanted(
        "nodes: { desk: { tags: [tag:db] } }\npolicy: { file: policy.hujson }",
        policy_hujson=policy(("bob@", "tag:db:22"), ("alice@", "tag:db:*")),
    )
    state = live(USERS, nodes(), DB)
    now = scene_now(state)
    after = scene_after(desired, state, build(desired, state, name="hs").changes)
    forth, back = between(now, after, None), between(after, now, None)
    assert (forth.paths_gained, forth.paths_lost) == (
        back.paths_lost,
        back.paths_gained,
    )
    assert (forth.before, forth.after) == (back.after, back.before)
    opened = forth.paths_gained - forth.paths_wider
    closed = forth.paths_lost - forth.paths_narrower
    assert forth.before + opened - closed == forth.after
    assert between(now, now).gained == between(now, now).lost == ()


def test_hostile_names_cannot_steer_a_terminal(wanted, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    bad = (*nodes(), node(4, "x\x1b[2J\n- loses   nothing", user="alice"))
    desired = wanted(
        "policy: { file: policy.hujson }",
        policy_hujson=policy(("100.64.0.4", "tag:db:1")),
    )
    lines = section(effect(desired, live(USERS, bad, policy())), plain)
    assert not any("\x1b" in line or "\n" in line for line in lines)
    assert len(lines) == 2


def test_a_saved_plan_keeps_what_it_does_to_access(wanted):
    desired = wanted("nodes: { desk: { tags: [tag:db] } }\nremoved: [node:laptop]")
    state = live(USERS, nodes(), DB)
    plan = build(desired, state, name="hs")
    plan = replace(plan, access=of_changes(desired, state, plan.changes))
    (loaded,) = loads(dumps([plan]), "saved.plan")
    assert loaded.access == plan.access


def test_json_there_and_back_with_a_place(wanted):
    new = policy(("alice@", "tag:db:5432-5433"))
    desired = wanted("policy: { file: policy.hujson }", policy_hujson=new)
    found = effect(desired, live(USERS, nodes(), DB))
    again = from_json(as_json(found))
    place = found.gained[0].position
    assert again.gained[0].position == Position(place.file, place.line, place.column)
    assert from_json(as_json(None)) is None


def test_what_policy_and_nodes_do_only_together_says_so(wanted):
    new = policy(("alice@", "tag:db:5432"), ("alice@", "tag:router:22"))
    files = """
        policy: { file: policy.hujson }
        nodes: { desk: { tags: [tag:router] } }
        """
    desired = wanted(files, policy_hujson=new)
    found = effect(desired, live(USERS, nodes(), DB))
    (flow,) = as_json(found)["gained"]
    assert flow["cause"] == "both"
    schema = json.loads(
        (Path(__file__).parents[2] / "schemas/plan.schema.json").read_text("utf-8")
    )
    form = {"$schema": schema["$schema"], "$defs": schema["$defs"]}
    jsonschema.validate(flow, {**form, "$ref": "#/$defs/flow"})


def test_a_policy_write_approves_by_the_tags_that_nodes_have_until_then(wanted):
    approvers = '"autoApprovers": {"routes": {"10.0.0.0/8": ["tag:r"]}}'
    rule = policy(
        ("alice@", "tag:db:5432"),
        ("alice@", "10.0.0.0/8:443"),
        more=f'"tagOwners": {{"tag:r": [], "tag:db": [], "tag:router": []}}, {approvers}',
    )
    files = "nodes: { desk: { tags: [tag:r] } }\npolicy: { file: policy.hujson }"
    desired = wanted(files, policy_hujson=rule)
    state = live(USERS, nodes(available=["10.1.0.0/16"]), DB)
    found = effect(desired, state)  # desk gets its tag after the policy was written
    assert not any("autoApprovers" in remark for remark in found.remarks)
    tagged = [
        replace(n, tags=frozenset({"tag:r"}), user_id=None) if n.name == "desk" else n
        for n in nodes(available=["10.1.0.0/16"])
    ]
    found = effect(desired, live(USERS, tuple(tagged), DB))
    assert "node:desk: 10.1.0.0/16 is approved by autoApprovers" in found.remarks
    assert any("10.1.0.0/16" in name for flow in found.gained for name in flow.targets)
