"""`test`: the policy's own tests, offline, with reasons, places and exit codes."""

import json
from xml.etree import ElementTree

import pytest

from reconcile.live import snapshot
from tests.support import live, node, user

POLICY = """{
  "tagOwners": {"tag:db": []},
  "acls": [{"action": "accept", "src": ["alice@"], "dst": ["tag:db:22"], "proto": "tcp"}],
  "ssh": [{"action": "accept", "src": ["alice@"], "dst": ["tag:db"], "users": ["root"]}],
  "tests": [
    {"src": "alice@", "accept": ["tag:db:22"], "deny": ["tag:db:23"]},
    {"src": "bob@", "deny": ["tag:db:22"]},
  ],
  "sshTests": [
    {"src": "alice@", "dst": ["tag:db"], "accept": ["root"]},
  ],
}
"""
NODES = (
    node(1, "laptop", user="alice"),
    node(2, "desk", user="bob"),
    node(3, "db-1", tags=["tag:db"]),
)
FILE = "version: 1\npolicy: { file: policy.hujson }\n"


@pytest.fixture
def run(command, tmp_path):
    def call(*arguments, policy=POLICY, yaml=FILE, nodes=NODES, release="0.29"):
        users = (user(1, "alice"), user(2, "bob"))
        state = live(users, nodes, '{"acls": []}', release)
        (tmp_path / "now.json").write_text(snapshot.dumps(state))
        (tmp_path / "tailnet.yaml").write_text(yaml)
        (tmp_path / "policy.hujson").write_text(policy)
        return command("test", "--snapshot", "now.json", *arguments)

    return call


def test_all_pass(run):
    assert run() == (
        0,
        "Tests on hs.example.com, as desired: 3 of 3 tests passed\n",
        "",
    )


def test_each_failing_item_has_its_reason_and_place_and_the_exit_code_is_7(run):
    policy = POLICY.replace(
        '"src": ["alice@"], "dst": ["tag:db:22"]',
        '"src": ["bob@"], "dst": ["tag:db:22"]',
    )
    code, out, err = run(policy=policy)
    assert (code, err) == (7, "")
    assert out.splitlines() == [
        "Tests on hs.example.com, as desired: 1 of 3 tests passed",
        "  failed tests[0]  policy.hujson:6  alice@ -> tag:db:22: expected ALLOWED, got DENIED",
        "  failed tests[1]  policy.hujson:7  bob@ -> tag:db:22: expected DENIED, got ALLOWED",
    ]


def test_ssh_tests_fail_too(run):
    code, out, _ = run(policy=POLICY.replace('"accept": ["root"]', '"deny": ["root"]'))
    assert code == 7
    assert "failed sshTests[0]  policy.hujson:10  alice@ -> root@db-1" in out


def test_an_ssh_test_that_fails_on_many_nodes_is_said_once(run):
    nodes = (
        *NODES,
        *(node(3 + i, f"db-{1 + i}", tags=["tag:db"]) for i in range(1, 6)),
    )
    _, out, _ = run(
        policy=POLICY.replace('["root"]},\n  ]', '["www"]},\n  ]'), nodes=nodes
    )
    assert (
        "alice@ -> www@db-1, db-2, db-3, db-4 and 2 more: expected ALLOWED, got DENIED"
        in out
    )
    assert out.count("failed sshTests[0]") == 1


def test_a_login_without_the_check_that_a_test_wants(run):
    _, out, _ = run(policy=POLICY.replace('"accept": ["root"]', '"check": ["root"]'))
    said = "alice@ -> root@db-1: expected ALLOWED with check, got ALLOWED without check"
    assert said in out
    checked = POLICY.replace(
        '"accept", "src": ["alice@"], "dst": ["tag:db"]',
        '"check", "src": ["alice@"], "dst": ["tag:db"]',
    )
    for wanted in ("check", "accept"):
        policy = checked.replace('"accept": ["root"]', f'"{wanted}": ["root"]')
        assert run(policy=policy)[0] == 0


def test_a_failing_test_names_the_question_to_ask(run, command):
    policy = POLICY.replace('"deny": ["tag:db:23"]', '"deny": ["tag:db:22"]')
    run(policy=policy)
    _, _, err = command("validate", "--from", "now.json")
    assert "the rules: reconcile access why alice@ tag:db:22\n" in err
    udp = POLICY.replace(
        '"deny": ["tag:db:23"]', '"proto": "udp", "accept": ["tag:db:9"]'
    )
    run(policy=udp.replace(', "accept": ["tag:db:22"]', ""))
    _, _, err = command("validate", "--from", "now.json")
    assert "the rules: reconcile access why alice@ tag:db:9/udp\n" in err


def test_nodes_count_as_they_are_after_the_plan(run):
    yaml = FILE + "nodes: { desk: { tags: [tag:db] } }\n"
    code, out, _ = run(yaml=yaml)
    assert code == 7
    assert "tests[1]" in out  # bob has no device any more: his test cannot hold
    assert "resolved to no IP addresses" in out


def test_without_tests_it_says_so(run):
    code, out, _ = run(policy='{"acls": []}')
    assert code == 0
    assert "neither tests nor sshTests" in out


def test_a_policy_with_errors_is_an_error_not_a_failed_test(run):
    code, out, err = run(policy=POLICY, release="0.28")
    assert (code, out) == (1, "")
    assert "unknown field" in err
    assert "--> policy.hujson:5:3" in err


def test_json(run):
    policy = POLICY.replace('"deny": ["tag:db:23"]', '"deny": ["tag:db:22"]')
    document = json.loads(run("--format", "json", policy=policy)[1])
    assert (document["passed"], document["failed"]) == (2, 1)
    (failure,) = document["tests"][0]["failures"]
    assert failure["source"]["line"] == 6
    assert "expected DENIED" in failure["reason"]


def test_junit(run, tmp_path):
    policy = POLICY.replace('"src": "bob@"', '"src": "bob<&\\"@"')
    assert run("--junit", "out.xml", policy=policy)[0] == 7
    suites = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert (suites.get("tests"), suites.get("failures")) == ("3", "1")
    cases = suites.findall("testsuite/testcase")
    assert [case.find("failure") is None for case in cases] == [True, False, True]
    assert "bob<&" in cases[1].get("name")
    assert "policy.hujson:7" in cases[1].find("failure").text


def test_without_a_server_it_says_what_is_needed(command, tmp_path):
    (tmp_path / "tailnet.yaml").write_text(FILE)
    (tmp_path / "policy.hujson").write_text(POLICY)
    code, _, err = command("test")
    assert code == 64
    assert "users and nodes are needed" in err


def test_a_snapshot_goes_by_the_name_that_plan_gives_it_too(run, command):
    assert run()[0] == 0
    assert command("test", "--from", "now.json")[0] == 0
