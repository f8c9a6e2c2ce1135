"""Lint as people meet it: `validate` with a snapshot, and what a plan brings."""

import json
import subprocess
import sys

import pytest

from reconcile.live.snapshot import dumps
from reconcile.plan.plan import build
from reconcile.review import lint
from reconcile.review.access import of_sides, sides
from tests.support import live, node, user

USERS = [user(1, "alice"), user(2, "bob")]
NODES = [
    node(1, "laptop", user="alice"),
    node(2, "phone", user="bob"),
    node(3, "web", tags=["tag:web"]),
]
OWNERS = '"tagOwners": {"tag:web": []}'
ALICE = '{"action": "accept", "src": ["alice@"], "dst": ["tag:web:443"]}'
BOB = '{"action": "accept", "src": ["bob@"], "dst": ["tag:web:443"]}'
NOBODY = '{"action": "accept", "src": ["zoe@"], "dst": ["tag:web:443"]}'
FILE = "version: 1\npolicy: { file: policy.hujson }\n"


def policy(*rules):
    return '{%s, "acls": [\n%s\n]}\n' % (OWNERS, ",\n".join(rules))  # noqa: UP031


@pytest.fixture
def validate(command, tmp_path):
    def call(text, *arguments, yaml=FILE, state=None):
        (tmp_path / "tailnet.yaml").write_text(yaml)
        (tmp_path / "policy.hujson").write_text(text)
        (tmp_path / "live.json").write_text(dumps(state or live(USERS, NODES)))
        return command("validate", *arguments)

    return call


FROM = ("--from", "live.json")


def codes(out):
    return [finding["code"] for finding in json.loads(out)["diagnostics"]]


def test_a_snapshot_tells_what_words_do_not(validate):
    assert validate(policy(NOBODY, ALICE))[::2] == (0, "")
    code, out, err = validate(policy(NOBODY, ALICE), *FROM)
    assert (code, out.partition(":")[0]) == (0, "Valid, 1 warning")
    assert "warning[RC0501]: acls[0] matches nothing" in err
    assert "--> policy.hujson:2:1" in err
    assert "the server has no user zoe@" in err


def test_users_and_tags_of_the_files_count_as_there(validate):
    yaml = FILE + "users: { alice: {}, bob: {}, zoe: {} }\n"
    yaml += "nodes: { phone: { match: { id: '2' }, tags: [tag:web] } }\n"
    state = live(USERS, NODES[:2])
    code, out, _ = validate(policy(ALICE), *FROM, yaml=yaml, state=state)
    assert (code, "warning" in out) == (0, False)
    rule = ALICE.replace("alice@", 'alice@", "zoe@')
    _, out, _ = validate(
        policy(rule), "--format", "json", *FROM, yaml=yaml, state=state
    )
    assert codes(out) == []


@pytest.mark.parametrize("release", ["0.26", "0.27", "0.28", "0.29"])
def test_the_release_of_the_snapshot_decides(validate, release):
    state = live(USERS, NODES, release=release)
    _, out, _ = validate(policy(ALICE), "--format", "json", *FROM, state=state)
    assert codes(out) == (["RC0512"] if release in ("0.27", "0.28") else [])


def test_what_the_release_refuses_is_an_error(validate):
    grant = '{"tagOwners": {"tag:web": []}, "grants": []}'
    state = live(USERS, NODES, release="0.28")
    code, out, err = validate(grant, *FROM, state=state)
    assert (code, out) == (1, "")
    assert "error[RC0608]" in err


def test_what_the_release_ignores_is_said(validate):
    text = '{%s, "acls": [%s], "tests": []}' % (OWNERS, ALICE)  # noqa: UP031
    state = live(USERS, NODES, release="0.26")
    _, out, _ = validate(text, "--format", "json", *FROM, state=state)
    assert codes(out) == ["RC0609"]


def test_findings_come_in_the_order_of_lines(validate):
    text = policy(NOBODY, ALICE, ALICE).replace(
        '"tagOwners"', '"hosts": {"x": "1.2.3.4"}, "tagOwners"'
    )
    _, out, _ = validate(text, "--format", "json", *FROM)
    lines = [d["line"] for d in json.loads(out)["diagnostics"]]
    assert codes(out) == ["RC0505", "RC0501", "RC0502"]
    assert lines == sorted(lines)


def test_without_a_policy_in_the_files_nothing_is_said_of_the_servers(validate):
    state = live(USERS, NODES, policy=policy(NOBODY))
    assert validate("", *FROM, yaml="version: 1\nnodes: {}\n", state=state)[::2] == (
        0,
        "",
    )


def test_a_snapshot_that_is_none(validate, tmp_path):
    (tmp_path / "broken.json").write_text("{}")
    code, _, err = validate(policy(ALICE), "--from", "broken.json")
    assert code == 1
    assert "error[RC0030]" in err


def test_hostile_names_steer_no_terminal(validate):
    state = live(USERS, [*NODES, node(4, "x\x1b[2J\u202e", tags=["tag:gone"])])
    _, _, err = validate(policy(ALICE), *FROM, state=state)
    assert "RC0506" in err
    assert "\x1b" not in err
    assert "\u202e" not in err


# What a plan brings.


def brought(wanted, before, after, nodes="", listed=NODES):
    desired = wanted(f"policy: {{ file: policy.hujson }}\n{nodes}", policy_hujson=after)
    state = live(USERS, listed, policy=before)
    changes = build(desired, state, name="hs").changes
    both = sides(desired, state, changes)
    of_sides(both, changes)
    found = lint.brought(both.before, both.after, desired)
    return [(d.code, d.message) for d in found]


def test_a_new_rule_that_does_nothing_is_told(wanted):
    found = brought(wanted, policy(ALICE), policy(ALICE, NOBODY, ALICE))
    assert found == [
        ("RC0501", "acls[1] matches nothing"),
        ("RC0502", "acls[2] adds nothing to acls[0]"),
    ]


def test_what_was_so_before_is_not_told_again_when_rules_move(wanted):
    assert brought(wanted, policy(NOBODY, ALICE), policy(BOB, NOBODY, ALICE)) == []


def test_a_node_that_loses_its_tag_can_leave_a_rule_behind(wanted):
    nodes = "nodes: { web: { tags: [tag:db] } }"
    both = policy(ALICE).replace('"tag:web": []', '"tag:web": [], "tag:db": []')
    found = brought(wanted, both, both, nodes)
    assert found == [("RC0501", "acls[0] matches nothing")]


def test_the_first_policy_brings_all_its_findings(wanted):
    assert brought(wanted, None, policy(NOBODY)) == [
        ("RC0501", "acls[0] matches nothing")
    ]


def test_plan_tells_it_in_text_and_json(command, tmp_path):
    (tmp_path / "tailnet.yaml").write_text(FILE)
    (tmp_path / "policy.hujson").write_text(policy(ALICE, NOBODY))
    state = live(USERS, NODES, policy=policy(ALICE))
    (tmp_path / "live.json").write_text(dumps(state))
    code, _, err = command("plan", *FROM)
    assert (code, "warning[RC0501]: acls[1] matches nothing" in err) == (0, True)
    _, out, _ = command("plan", "--format", "json", *FROM, "--out", "saved.plan")
    (server,) = json.loads(out)["servers"]
    assert [d["code"] for d in server["diagnostics"]] == ["RC0501"]
    assert "RC0501" in command("show", "saved.plan")[2]


def test_a_plan_that_moves_no_access_loads_no_lint(tmp_path):
    (tmp_path / "tailnet.yaml").write_text(
        "version: 1\nusers: { alice: {}, zoe: {} }\n"
    )
    (tmp_path / "live.json").write_text(dumps(live(USERS, NODES)))
    code = (
        "import sys; from reconcile.cli import run; run(['plan', '--from', 'live.json']);"
        "sys.exit(any(m.startswith(('reconcile.review.lint', 'reconcile.policy.lint'))"
        " for m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert done.returncode == 0
