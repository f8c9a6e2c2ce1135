"""Saved plans: what they hold, when they are refused, and that they are stable."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from jsonschema import Draft202012Validator

from reconcile.errors import InputError, StalePlan
from reconcile.model import PolicyText
from reconcile.plan.plan import build, digest
from reconcile.plan.stale import require_same
from reconcile.report.json_plan import dumps, loads
from reconcile.report.text import Shape, render_drift, render_plans
from tests.support import NOW, live, node, server, user

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "schemas/plan.schema.json").read_text("utf-8")
)

YAML = """
    users:
      ci-bot: { email: ci@example.com }
      robert: { was: bob }
    policy:
      tagOwners: { "tag:www": [] }
      acls: [{ action: accept, src: [robert@], dst: ["tag:www:443"] }]
    nodes:
      nas: { match: { id: '1' }, tags: [tag:www], exit_node: true, expiry: never }
      store: { match: { hostname: twin } }
      gone: { pending: warn }
    removed: [node:old, user:eve]
"""
OLD = (
    '{"tagOwners": {"tag:web": []}, "acls": [{"action": "accept", "src": ["bob@"],'
    ' "dst": ["tag:web:443"]}]}'
)


def state(**fields):
    known = {
        "users": [user(1, "bob"), user(2, "eve"), user(3, "zoe")],
        "nodes": [
            node(1, "box", user="bob", approved=["10.0.0.0/8"], expiry=NOW),
            node(2, "old", user="eve"),
            node(3, "t1", hostname="twin"),
            node(4, "t2", hostname="twin"),
            node(5, "</details> \u202e\x1b[31m", hostname="@everyone\n"),
        ],
        "policy": OLD,
    }
    return live(**{**known, **fields})


def made(desired, current, **fields):
    return build(desired, current, name="hs", **fields)


CASES = {
    "everything": (YAML, state()),
    "nothing to do": ("users: { alice: {} }", live([user(1, "alice")])),
    "nothing managed": ("users: {}", live()),
    "first policy": ("policy: { acls: [] }", live(policy=PolicyText(None))),
    "policy from a file": (
        "policy: { acls: [] }",
        live(
            policy=PolicyText("{}", writable=False),
            info=server(lacking={"policy.write": "policy.mode: file"}),
        ),
    ),
    "formatting only": ("policy: { acls: [] }", live(policy='{"acls": [], } // x\n')),
    "what a release cannot": (
        "users: { alice: { email: a@b.c } }\nnodes: { nas: { tags: [], expiry: never } }",
        live(
            [user(1, "alice")],
            [node(1, "nas", tags=["tag:web"], expiry=NOW)],
            release="0.28",
        ),
    ),
    "a device installed anew": (
        "nodes: { nas: { match: { id: '1' }, replace: auto, tags: ['tag:web'] } }",
        live(nodes=[node(57, "\x1b[2J\u202e nas-1", hostname="nas")]),
    ),
    "an old release": (YAML, state(release="0.26")),
}


@pytest.mark.parametrize("name", CASES)
def test_a_saved_plan_comes_back_equal_and_fits_the_schema(wanted, name):
    yaml, current = CASES[name]
    plan = made(wanted(yaml), current)
    text = dumps([plan])
    Draft202012Validator(SCHEMA).validate(json.loads(text))
    (loaded,) = loads(text, "plan.json")
    assert dumps([loaded]) == text
    whole = Shape(text_diff=True, full=True)
    assert render_plans([loaded], whole) == render_plans([plan], whole)
    assert render_drift([loaded]) == render_drift([plan])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("command", ["drift", "apply"])
def test_the_other_documents_fit_the_schema_too(wanted, name, command):
    yaml, current = CASES[name]
    document = json.loads(dumps([made(wanted(yaml), current)], command))
    Draft202012Validator(SCHEMA).validate(document)


@pytest.mark.parametrize("name", CASES)
def test_the_same_inputs_give_the_same_bytes(wanted, name):
    yaml, current = CASES[name]
    desired = wanted(yaml)
    text, shown = (
        dumps([made(desired, current)]),
        render_plans([made(desired, current)]),
    )
    for seed in range(5):
        users, nodes = list(current.users), list(current.nodes)
        Random(seed).shuffle(users)
        Random(seed).shuffle(nodes)
        shuffled = replace(current, users=tuple(users), nodes=tuple(nodes))
        assert dumps([made(desired, shuffled)]) == text
        assert render_plans([made(desired, shuffled)]) == shown


def test_no_terminal_can_be_steered_by_names(wanted):
    plan = made(wanted(YAML), state())
    for text in (dumps([plan]), render_plans([plan]), render_drift([plan])):
        assert "\x1b" not in text
        assert "\u202e" not in text


# -- checksum --------------------------------------------------------------------------


def test_the_checksum_does_not_know_the_hour(wanted):
    desired = wanted(YAML)
    later = replace(state(), taken_at=NOW + timedelta(days=1))
    assert made(desired, later).checksum == made(desired, state()).checksum


def test_the_checksum_does_not_know_what_else_moved(wanted):
    desired = wanted(YAML)
    more = state(nodes=[*state().nodes, node(9, "new", online=True)])
    assert made(desired, more).checksum == made(desired, state()).checksum


@pytest.mark.parametrize(
    "edit",
    [
        ("tags: [tag:www]", "tags: []"),
        ("expiry: never", "expiry: 2031-01-01"),
        ("exit_node: true, ", ""),
        ("robert: { was: bob }", "rob: { was: bob }"),
        ("ci@example.com", "cd@example.com"),
        ("removed: [node:old, user:eve]", "removed: [node:old]"),
        ("tag:www:443", "tag:www:80"),
    ],
)
def test_the_checksum_differs_when_an_operation_does(wanted, edit):
    assert edit[0] in YAML
    before, after = (
        made(wanted(YAML), state()),
        made(wanted(YAML.replace(*edit)), state()),
    )
    assert before.checksum != after.checksum


def test_the_checksum_differs_for_another_object_of_the_same_name(wanted):
    yaml = "nodes: { nas: { exit_node: true } }"
    one, two = (made(wanted(yaml), live(nodes=[node(n, "nas")])) for n in (1, 2))
    assert one.checksum != two.checksum


# -- files that are no saved plans -----------------------------------------------------


def saved(wanted):
    return json.loads(dumps([made(wanted(YAML), state())]))


def find(document, address):
    changes = document["servers"][0]["changes"]
    return next(change for change in changes if change["address"] == address)


EDITS = {
    "another id": lambda d: find(d, "node:nas").update(server_id="5"),
    "other tags": lambda d: find(d, "node:nas")["after"].update(tags=["tag:db"]),
    "a removal instead": lambda d: find(d, "node:nas").update(
        action="delete", after={}
    ),
    "another address": lambda d: find(d, "node:nas").update(address="node:old"),
    "another policy": lambda d: find(d, "policy")["after"].update(text="{}"),
    "an open bridge": lambda d: find(d, "policy").update(bridge="{}"),
    "another before": lambda d: find(d, "node:nas")["before"].update(tags=["tag:x"]),
    "a change less": lambda d: d["servers"][0]["changes"].pop(),
    "a change twice": lambda d: d["servers"][0]["changes"].append(find(d, "node:nas")),
}


@pytest.mark.parametrize("careful", [False, True], ids=["", "digest made anew"])
@pytest.mark.parametrize("name", EDITS)
def test_a_plan_that_was_edited_is_refused(wanted, name, careful):
    document = saved(wanted)
    EDITS[name](document)
    if careful:
        del document["digest"]
        document["digest"] = digest(document)
    with pytest.raises(InputError) as caught:
        loads(json.dumps(document), "plan.json")
    (finding,) = caught.value.diagnostics
    assert finding.code == "RC0029"
    assert "edited" in finding.why


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        "5",
        '"x"',
        "{" * 100_000,
        "[" * 100_000,
        '{"format_version": "2.0"}',
        '{"format_version": 1}',
        '{"format_version": "1.0", "source": {"files": 5}}',
        '{"format_version": "1.0", "source": {"files": [], "commit": ""}}',
        "\ud7ff not json",
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_plan_is_refused_as_such(text):
    with pytest.raises(InputError) as caught:
        loads(text, "plan.json")
    assert [d.code for d in caught.value.diagnostics] == ["RC0029"]
    assert "reconcile plan --out" in caught.value.diagnostics[0].help


def test_every_truncation_of_a_plan_is_refused(wanted):
    text = dumps([made(wanted(YAML), state())]).rstrip()
    for end in range(0, len(text), 97):
        with pytest.raises(InputError):
            loads(text[:end], "plan.json")


def test_damage_anywhere_is_noticed(wanted):
    """Any value of another type, any key missing: InputError and nothing else."""
    seen = 0
    for variant in damaged(saved(wanted)):
        seen += 1
        with pytest.raises(InputError):
            loads(json.dumps(variant), "plan.json")
    assert seen > 300


def damaged(value):
    if isinstance(value, dict):
        for key in value:
            yield {k: v for k, v in value.items() if k != key}
            for inner in damaged(value[key]):
                yield {**value, key: inner}
    elif isinstance(value, list) and value:
        for inner in damaged(value[0]):
            yield [inner, *value[1:]]
    else:
        yield from (wrong for wrong in (5, None, {}) if wrong != value)


# -- stale -----------------------------------------------------------------------------


def check(wanted, before, after, yaml=YAML):
    desired = wanted(yaml)
    require_same(made(desired, before), made(desired, after))


def other(current, number, **fields):
    """Return the state with some fields of one node changed."""
    nodes = tuple(
        replace(one, **fields) if one.id == str(number) else one
        for one in current.nodes
    )
    return replace(current, nodes=nodes)


def test_the_same_state_is_not_stale(wanted):
    check(wanted, state(), replace(state(), taken_at=NOW + timedelta(hours=3)))


@pytest.mark.parametrize(
    "moved",
    [
        lambda s: other(s, 5, online=True, last_seen="2030-01-01T00:00:00Z"),
        lambda s: other(s, 1, online=True, last_seen="2030-01-01T00:00:00Z"),
        lambda s: other(s, 5, tags=frozenset({"tag:lab"}), user_id=None),
        lambda s: replace(s, nodes=(*s.nodes, node(9, "new"))),
        lambda s: replace(s, users=(*s.users, user(9, "new"))),
        lambda s: replace(s, users=s.users[:2]),
    ],
    ids=["online", "touched and online", "tagged", "new node", "new user", "less"],
)
def test_what_the_plan_does_not_touch_may_move(wanted, moved):
    check(wanted, state(), moved(state()))


MOVES = {
    "tags of the node": (
        lambda s: other(s, 1, tags=frozenset({"tag:lab"})),
        "node:nas moved: tags was [] when planned, is [tag:lab] now",
    ),
    "routes of the node": (
        lambda s: other(s, 1, approved=frozenset()),
        "node:nas moved: routes was [10.0.0.0/8] when planned, is [] now",
    ),
    "name of the node": (lambda s: other(s, 1, name="z"), "name was box when planned"),
    "another device": (
        lambda s: replace(s, nodes=(node(8, "nas", preauth_key="3"), *s.nodes[1:])),
        "it was #1 when planned, is #8 now",
    ),
    "the policy": (
        lambda s: replace(s, policy=PolicyText('{"acls": []}')),
        "policy moved: text was",
    ),
    "done by hand already": (
        lambda s: replace(s, users=(s.users[0], s.users[2])),
        "the change is not due any more",
    ),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_the_plan_touches_may_not_move(wanted, name):
    move, words = MOVES[name]
    yaml = YAML
    before = state()
    if name == "another device":
        yaml = YAML.replace("match: { id: '1' }", "match: { preauth_key: '3' }")
        before = other(before, 1, name="nas", preauth_key="3")
        before = replace(before, nodes=before.nodes)
    with pytest.raises(StalePlan, match="reconcile plan") as caught:
        raise_with_hint(lambda: check(wanted, before, move(before), yaml))
    assert words in str(caught.value)


def raise_with_hint(call):
    """Raise the error with its hint in the text, to match both at once."""
    try:
        call()
    except StalePlan as error:
        raise StalePlan(f"{error} / {error.hint}") from None


def test_a_node_that_vanished_makes_its_change_stale(wanted):
    gone = replace(state(), nodes=state().nodes[1:])
    with pytest.raises(StalePlan, match="node:nas"):
        check(wanted, state(), gone)


def test_another_action_on_the_same_object_is_stale(wanted):
    """The same before, but one plan removes what the other one changes."""
    current = live(nodes=[node(1, "nas")])
    removal = made(wanted("removed: [node:nas]"), current)
    change = made(wanted("nodes: { nas: { exit_node: true } }"), current)
    with pytest.raises(StalePlan, match="would delete it, and now a plan would update"):
        require_same(removal, change)


def test_a_part_that_target_chose_is_not_stale(wanted):
    desired = wanted(YAML)
    part = made(desired, state(), target=["node:nas.exit_node", "user:*"])
    assert [c.after for c in part.changes if c.kind == "node"] == [{"exit_node": True}]
    require_same(part, made(desired, state()))
