"""Who moved since the last apply: every row of the table, for every kind."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from reconcile.desired.state import Desired
from reconcile.model import PolicyText
from reconcile.plan.bridge import with_bridge
from reconcile.plan.changes import Action, Origin
from reconcile.plan.compare import diff
from reconcile.plan.order import steps
from reconcile.plan.plan import Base, build
from reconcile.report.json_plan import dumps, loads, origins, to_json
from reconcile.report.text import render_drift, render_plans
from tests.support import live, node, user

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "schemas/plan.schema.json").read_text("utf-8")
)
A, B, C = "10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"
RULE = '{{"action": "accept", "src": ["*"], "dst": ["*:{}"]}}'


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    """Keep each remark on the line of what it is about."""
    monkeypatch.setenv("COLUMNS", "250")


def policy(*ports):
    rules = ",\n".join(RULE.format(port) for port in ports)
    return f'{{"tagOwners": {{"tag:web": [], "tag:db": [], "tag:x": []}}, "acls": [{rules}]}}'


def tagged(tag):
    return [node(1, "nas", tags=[tag])]


def routed(route):
    return [node(1, "nas", approved=[route])]


def expiring(when):
    return [node(1, "nas", expiry=when)]


# Of each kind and field: what the file says for a value, and a live state with it.
FIELDS = {
    "tags": (
        lambda v: f"nodes: {{ nas: {{ tags: ['tag:{v}'] }} }}",
        lambda v: live(nodes=tagged(f"tag:{v}"), policy=policy(1)),
        ("web", "db", "x"),
        "node:nas.tags",
    ),
    "routes": (
        lambda v: f"nodes: {{ nas: {{ routes: {{ approve: [{v}] }} }} }}",
        lambda v: live(nodes=routed(v)),
        (A, B, C),
        "node:nas.routes",
    ),
    "node name": (
        lambda v: f"nodes: {{ {v}: {{ match: {{ id: '1' }} }} }}",
        lambda v: live(nodes=[node(1, v)]),
        ("one", "two", "three"),
        "node:{file}.name",
    ),
    "user profile": (
        lambda v: f"users: {{ alice: {{ email: {v}@example.com }} }}",
        lambda v: live(users=[user(1, "alice", email=f"{v}@example.com")]),
        ("one", "two", "three"),
        "user:alice.email",
    ),
    "policy": (
        lambda v: f"policy: {policy(v)}".replace("\n", " "),
        lambda v: live(policy=policy(v)),
        (1, 2, 3),
        "policy",
    ),
}


@pytest.fixture(params=FIELDS)
def kind(request):
    return FIELDS[request.param]


@pytest.fixture
def three(wanted, kind):
    """Diff a file and a live state against a base; values are numbers of FIELDS."""
    desired, state, values, _ = kind

    def compare(base, file, actual):
        then = wanted(desired(values[base]))
        return diff(wanted(desired(values[file])), state(values[actual]), base=then)

    return compare


def field_origins(found):
    return [o for c in (*found.changes, *found.stuck) for o in [c.origin]]


def test_row_1_nothing_moved(three):
    found = three(0, 0, 0)
    assert (field_origins(found), found.converged) == ([], ())


def test_row_2_the_file_moved(three):
    found = three(0, 1, 0)
    assert (field_origins(found), found.converged) == ([Origin.INTENT], ())


def test_row_3_the_server_moved(three):
    found = three(0, 0, 2)
    assert (field_origins(found), found.converged) == ([Origin.DRIFT], ())


def test_row_4_both_moved_to_the_same(three, kind):
    found = three(0, 1, 1)
    address = kind[3].format(file=kind[2][0])
    assert field_origins(found) == []
    assert [".".join(filter(None, c)) for c in found.converged] == [address]


def test_row_5_both_moved_apart(three, kind):
    found = three(0, 1, 2)
    (change,) = (*found.changes, *found.stuck)
    assert (field_origins(found), found.converged) == ([Origin.CONFLICT], ())
    assert change.conflicts == (kind[3].format(file=kind[2][1]),)


def test_without_a_base_everything_is_intent(wanted, kind):
    desired, state, values, _ = kind
    found = diff(wanted(desired(values[0])), state(values[1]))
    assert (field_origins(found), found.converged) == ([Origin.INTENT], ())


# -- fields ----------------------------------------------------------------------------


def test_each_field_has_an_origin_of_its_own(wanted):
    base = wanted("nodes: { nas: { tags: ['tag:web'], routes: { approve: [] } } }")
    file = wanted(
        f"nodes: {{ nas: {{ tags: ['tag:db'], routes: {{ approve: [{B}] }}, "
        "exit_node: true } }"
    )
    actual = live(nodes=[node(1, "nas", tags=["tag:web"], approved=[A])])
    (change,) = diff(file, actual, base=base).changes
    assert {name: change.origin_of(name) for name in change.after} == {
        "tags": Origin.INTENT,
        "routes": Origin.CONFLICT,
        "exit_node": Origin.INTENT,  # the base did not speak of it
    }
    assert change.applied == {"routes": []}
    assert change.part(moved=True).after == {"routes": [B]}
    assert change.part(moved=False).after.keys() == {"tags", "exit_node"}


def test_lists_are_sets(wanted):
    base = wanted("nodes: { nas: { tags: ['tag:web', 'tag:db'] } }")
    file = wanted("nodes: { nas: { tags: ['tag:db', 'tag:web'] } }")
    (change,) = diff(file, live(nodes=tagged("tag:db")), base=base).changes
    assert change.origin is Origin.DRIFT


def test_routes_that_at_least_keeps_moved_nothing(wanted):
    yaml = "nodes: {{ nas: {{ routes: {{ approve: [{}], mode: at-least }} }} }}"
    actual = live(nodes=[node(1, "nas", approved=[A, C])])
    found = diff(wanted(yaml.format(f"{A}, {B}")), actual, base=wanted(yaml.format(A)))
    assert field_origins(found) == [Origin.INTENT]


def test_rules_and_defaults_have_a_base_too(wanted):
    yaml = "node_rules: [{{ match: {{ hostname: 'n*' }}, tags: ['tag:{}'] }}]"
    actual = live(nodes=tagged("tag:x"), policy=policy(1))
    found = diff(wanted(yaml.format("web")), actual, base=wanted(yaml.format("web")))
    assert field_origins(found) == [Origin.DRIFT]
    found = diff(wanted(yaml.format("db")), actual, base=wanted(yaml.format("web")))
    assert field_origins(found) == [Origin.CONFLICT]


def test_what_the_file_dropped_has_not_converged(wanted):
    base = wanted(
        "nodes: { nas: { tags: ['tag:web'], exit_node: true } }\nusers: { eve: {} }"
    )
    file = wanted("nodes: { nas: {} }\nusers: {}")
    found = diff(file, live(nodes=tagged("tag:db")), base=base)
    assert (found.changes, found.converged) == ((), ())


# -- whole objects ---------------------------------------------------------------------


def one(file, actual, base):
    found = diff(file, actual, base=base)
    (change,) = (*found.changes, *found.stuck)
    return change


def test_a_user_that_was_removed_by_hand(wanted):
    base = wanted("users: { alice: {}, eve: {} }")
    change = one(base, live([user(1, "alice")]), base)
    assert (change.action, change.origin) == (Action.CREATE, Origin.DRIFT)


def test_a_user_that_is_new_in_the_file(wanted):
    change = one(
        wanted("users: { alice: {}, eve: {} }"),
        live([user(1, "alice")]),
        wanted("users: { alice: {} }"),
    )
    assert (change.action, change.origin) == (Action.CREATE, Origin.INTENT)


def test_a_user_edited_here_and_removed_there(wanted):
    yaml = "users: {{ eve: {{ email: {}@example.com }} }}"
    change = one(wanted(yaml.format("b")), live(), wanted(yaml.format("a")))
    assert (change.origin, change.conflicts) == (Origin.CONFLICT, ("user:eve",))


def test_what_was_removed_and_came_back(wanted):
    base = wanted("removed: [node:old, user:eve]")
    actual = live([user(1, "eve")], [node(1, "old")])
    found = diff(base, actual, base=base)
    assert [(c.action, c.origin) for c in found.changes] == [
        (Action.DELETE, Origin.DRIFT),
        (Action.DELETE, Origin.DRIFT),
    ]


def test_a_removal_that_is_new_is_intent_whatever_moved(wanted):
    base = wanted("nodes: { old: { tags: ['tag:web'] } }")
    change = one(wanted("removed: [node:old]"), live(nodes=[node(1, "old")]), base)
    assert (change.action, change.origin) == (Action.DELETE, Origin.INTENT)


def test_a_rename_that_is_new_and_one_that_was_undone(wanted):
    before, after = wanted("users: { bob: {} }"), wanted("users: { rob: { was: bob } }")
    actual = live([user(1, "bob")])
    assert one(after, actual, before).origin is Origin.INTENT
    assert one(after, actual, after).origin is Origin.DRIFT


@pytest.mark.parametrize(
    ("base", "file", "actual", "converged"),
    [
        ("users: { eve: {} }", "removed: [user:eve]", live(), ("user:eve", "")),
        ("removed: [user:eve]", "users: { eve: {} }", live([user(1, "eve")]), ("user:eve", "")),
        (
            "users: { bob: {} }",
            "users: { rob: { was: bob } }",
            live([user(1, "rob")]),
            ("user:bob", ""),
        ),
        (
            "removed: [node:nas]",
            "nodes: { nas: {} }",
            live(nodes=[node(1, "nas")]),
            ("node:nas", ""),
        ),
    ],
)  # fmt: skip
def test_whole_objects_converge(wanted, base, file, actual, converged):
    found = diff(wanted(file), actual, base=wanted(base))
    assert (found.changes, found.converged) == ((), (converged,))


def test_a_user_whose_day_has_passed_is_due(wanted):
    desired = wanted("users: { eve: { until: 2029-12-31 } }")
    for base in (None, desired):
        (change,) = diff(desired, live([user(1, "eve")]), base=base).changes
        assert (change.action, change.origin) == (Action.DELETE, Origin.DUE)


def test_nodes_that_are_gone_and_nodes_that_are_still_to_come(wanted):
    found = diff(
        wanted("nodes: { gone: {}, new: {} }"),
        live(),
        base=wanted("nodes: { gone: {} }"),
    )
    assert {p.address: p.origin for p in found.pending} == {
        "node:gone": Origin.DRIFT,
        "node:new": Origin.INTENT,
    }


# -- the policy ------------------------------------------------------------------------


@pytest.fixture
def filed(wanted, tmp_path):
    """Read a policy from a file, where every byte counts."""

    def read(text) -> Desired:
        return wanted("policy: { file: policy.hujson }", policy_hujson=text)

    return read


@pytest.mark.parametrize(
    ("base", "file", "actual", "origin"),
    [
        (policy(1), policy(2), policy(1) + "\n// reformatted\n", Origin.INTENT),
        (policy(1), policy(1) + "\n// a remark\n", policy(2), Origin.DRIFT),
        (policy(1), policy(1), policy(1) + "\n// reformatted\n", Origin.DRIFT),
        (policy(1), policy(1) + "\n// a remark\n", policy(1), Origin.INTENT),
        (policy(1), policy(1), None, Origin.DRIFT),
        (policy(1), policy(2), None, Origin.CONFLICT),
    ],
)
def test_policies_are_compared_by_meaning(filed, base, file, actual, origin):
    change = one(filed(file), live(policy=PolicyText(actual)), filed(base))
    assert change.origin is origin


def test_a_policy_in_conflict_names_what_moved_on_the_server(filed):
    file, base = filed(policy(1, 80)), filed(policy(1))
    change = one(file, live(policy=policy(1, 443)), base)
    assert [(i.op, i.title, i.position) for i in change.policy.moved] == [
        ("add", "* -> *:443", None)
    ]


def between(before, after):
    """Return the text that stands on the server between the two writes of a policy."""
    moving = [node(1, "nas", tags=["tag:web"])]
    found = diff(after, live(nodes=moving, policy=before)).changes
    (change,) = (c for c in with_bridge(found) if c.kind == "policy")
    assert change.bridge
    return change.bridge


RETAGGED = "nodes: {{ nas: {{ tags: ['tag:db'] }} }}\npolicy: {}"


def test_an_apply_that_was_cut_off_between_two_policy_writes_goes_on(wanted):
    file, base = (wanted(RETAGGED.format(policy(port))) for port in (2, 1))
    text = between(policy(1), file)
    state = live(nodes=[node(1, "nas", tags=["tag:web"])], policy=text)
    found = diff(file, state, base=base)
    (change,) = (c for c in found.changes if c.kind == "policy")
    assert change.origin is Origin.INTENT
    assert any("goes on where it stopped" in note for note in found.notes)
    writes = [s.operation for s in steps(with_bridge(found.changes))]
    assert [o.verb for o in writes] == ["node.tags", "policy.set"]
    assert writes[-1].value == change.after["text"]


def test_routes_between_two_writes_are_no_conflict(wanted):
    file, base = (wanted(FIELDS["routes"][0](route)) for route in (B, A))
    state = live(nodes=[node(1, "nas", approved=[A, B])])
    (change,) = diff(file, state, base=base).changes
    assert (change.after, change.origin) == ({"routes": [B]}, Origin.INTENT)
    state = live(nodes=[node(1, "nas", approved=[A, B, C])])
    (change,) = diff(file, state, base=base).changes
    assert change.origin is Origin.CONFLICT


def test_a_policy_between_two_writes_that_was_edited_is_a_conflict(wanted):
    file, base = (wanted(RETAGGED.format(policy(port))) for port in (2, 1))
    text = between(policy(1), file).replace("*:1", "*:443")
    found = diff(file, live(nodes=tagged("tag:web"), policy=text), base=base)
    (change,) = (c for c in found.changes if c.kind == "policy")
    assert change.origin is Origin.CONFLICT
    assert not found.notes


# -- how it is told --------------------------------------------------------------------


def plans(desired, state, base, **options):
    named = Base("4f2c91a", base) if base else None
    made = build(desired, state, name="hs", commit="a90be11", base=named, **options)
    return [made]


@pytest.fixture
def mixed(wanted):
    """One of each origin, and one that converged."""
    base = wanted(
        f"""
        users: {{ alice: {{}}, bob: {{}}, gone: {{}} }}
        nodes:
          nas: {{ routes: {{ approve: [{A}] }} }}
          tv: {{ tags: ['tag:web'] }}
          exit: {{ exit_node: false }}
        """
    )
    file = wanted(
        f"""
        users: {{ alice: {{}}, bob: {{}}, gone: {{}}, new: {{}} }}
        nodes:
          nas: {{ routes: {{ approve: [{B}] }} }}
          tv: {{ tags: ['tag:web'] }}
          exit: {{ exit_node: true }}
        """
    )
    actual = live(
        [user(1, "alice"), user(2, "bob")],
        [
            node(1, "nas", approved=[C]),
            node(2, "tv", tags=["tag:db"]),
            node(3, "exit", approved=["0.0.0.0/0", "::/0"]),
        ],
    )
    return file, actual, base


def test_the_plan_tells_drift_conflict_and_what_converged(mixed):
    text = render_plans(plans(*mixed))
    assert "File: tailnet.yaml @ a90be11, applied last: 4f2c91a\n" in text
    lines = {" ".join(line.split()) for line in text.splitlines()}
    assert (
        f"! routes + {B} - {C} {B} not advertised yet: takes effect when the node "
        f"advertises it; conflict: the file says {B}, the server {C}, 4f2c91a said {A}"
    ) in lines
    assert (
        "~ tags + tag:web - tag:db (drift: changed on the server since 4f2c91a)"
        in lines
    )
    assert any(
        line.startswith("+ user:gone drift: changed on the server since 4f2c91a")
        for line in lines
    )
    assert "+ user:new tailnet.yaml:2" in lines
    assert "Converged, on the server already: node:exit.exit_node (no call)" in lines
    assert any(
        line.startswith("1 conflict, changed here and on the server: node:nas.routes.")
        for line in lines
    )
    assert "reconcile apply --ours --checksum rc1:" in text


def test_drift_tells_what_moved_apart_from_what_is_not_applied(mixed):
    text = render_drift(plans(*mixed))
    moved, rest = text.split("Not applied yet: ")
    assert "Drift: 3 objects on hs moved since 4f2c91a was applied" in moved
    lines = {" ".join(line.split()) for line in moved.splitlines()}
    assert f"~ routes + {C} - {A} conflict: the file says {B} now" in lines
    assert "user:new" not in moved
    assert rest.startswith("1 object of 4f2c91a..a90be11 ")
    assert "+ user:new" in rest
    assert "node:exit.exit_node" in rest


def test_drift_without_a_move_says_so(wanted):
    base, file = wanted("users: { bob: {} }"), wanted("users: { bob: {}, eve: {} }")
    text = render_drift(plans(file, live([user(1, "bob")]), base))
    assert "No drift. hs did not move since 4f2c91a.\n" in text
    assert "Not applied yet: 1 object of 4f2c91a..a90be11" in text


def test_json_counts_the_origins(mixed):
    document = to_json(plans(*mixed))
    assert (document["source"]["commit"], document["source"]["base"]) == (
        "a90be11",
        "4f2c91a",
    )
    assert document["origins"] == {
        "intent": 1, "due": 0, "drift": 2, "conflict": 1, "converged": 1,
    }  # fmt: skip
    (server,) = document["servers"]
    assert server["converged"] == [{"address": "node:exit", "field": "exit_node"}]
    found = {c["address"]: c for c in server["changes"]}
    assert found["node:nas"]["origin"] == "conflict"
    assert found["node:nas"]["applied"] == {"routes": [A]}
    assert {f["origin"] for f in found["node:nas"]["fields"]} == {"conflict"}


def test_a_base_changes_no_checksum(mixed):
    """What is done is the same, whoever moved."""
    file, actual, _ = mixed
    assert plans(*mixed)[0].checksum == plans(file, actual, None)[0].checksum


def test_target_and_exclude_limit_what_converged(mixed):
    assert plans(*mixed, exclude=["node:exit"])[0].converged == ()
    assert plans(*mixed, exclude=["node:exit.exit_node"])[0].converged == ()
    assert len(plans(*mixed, target=["node:exit"])[0].converged) == 1
    assert origins(plans(*mixed, target=["node:exit"]))["drift"] == 0


def test_a_saved_plan_keeps_the_origins(mixed, filed):
    removed = filed(policy(1, 80))
    for file, actual, base in (
        mixed,
        (filed(policy(1, 80)), live(policy=policy(1, 443)), filed(policy(1))),
        (removed, live(policy=policy(1)), removed),
    ):
        text = dumps(plans(file, actual, base))
        Draft202012Validator(SCHEMA).validate(json.loads(text))
        loaded = loads(text, "plan.json")
        assert dumps(loaded) == text
        assert render_plans(loaded) == render_plans(plans(file, actual, base))
        assert render_drift(loaded) == render_drift(plans(file, actual, base))


def test_a_saved_removal_keeps_its_origin(wanted):
    base = wanted("removed: [node:old]")
    made = plans(base, live(nodes=[node(1, "old")]), base)
    assert "drift: changed on the server since 4f2c91a" in render_plans(made)
    assert loads(dumps(made), "plan.json")[0].changes[0].origin is Origin.DRIFT


def test_names_in_conflict_cannot_forge_a_line(wanted):
    yaml = "node_rules: [{{ match: {{ id: '1' }}, tags: ['tag:{}'] }}]"
    evil = node(1, "x\n\x1b[31m\u202eApplied", tags=["tag:x"])
    actual = live(nodes=[evil], policy=policy(1))
    made = plans(wanted(yaml.format("web")), actual, wanted(yaml.format("db")))
    assert made[0].conflicts == ("node:x\n\x1b[31m\u202eApplied.tags",)
    for text in (render_plans(made), render_drift(made)):
        assert "node:x\\u000a\\u001b[31m\\u202eApplied" in text
        assert not {"\x1b", "\u202e"} & set(text)
    assert "1 conflict, changed here and on the server: node:x\\u000a" in render_plans(
        made
    )
