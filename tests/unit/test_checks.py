"""Tests and assertions in plan, apply and validate: exit code 7, and nothing written."""

import json
import subprocess
import sys

import pytest
from jsonschema import Draft202012Validator

from reconcile.desired import schema
from reconcile.live import snapshot
from reconcile.live.headscale.adapter import Headscale
from reconcile.model import Operation
from tests.support import live, node, user

RULES = '"acls": [{"action": "accept", "src": ["alice@"], "dst": ["tag:db:22"], "proto": "tcp"}]'
TESTS = '"tests": [{"src": "alice@", "%s": ["tag:db:22"]}]'
OWNERS = '"tagOwners": {"tag:db": [], "tag:router": []}'
STORED = f"{{{OWNERS}, {RULES}}}"
PASSING = f"{{{OWNERS}, {RULES}, {TESTS % 'accept'}}}"
FAILING = f"{{{OWNERS}, {RULES}, {TESTS % 'deny'}}}"
ROUTES = ["10.0.0.0/8"]
WORLD = {
    "emulate": "0.29",
    "users": [{"id": 1, "name": "alice"}],
    "nodes": [
        {"id": 1, "name": "laptop", "user": 1, "addresses": ["100.64.0.1"]},
        {"id": 2, "name": "db-1", "tags": ["tag:db"], "addresses": ["100.64.0.2"]},
        {
            "id": 3,
            "name": "edge",
            "tags": ["tag:router"],
            "addresses": ["100.64.0.3"],
            "routes": ROUTES,
            "approved": ROUTES,
        },
    ],
    "policy": {"text": STORED, "updated": "2030-01-01T00:00:00Z"},
}
POLICY = "policy: { file: policy.hujson }\n"
BOB = "users: { alice: {}, bob: {} }\n"
HOLDS = "assert: [{ at_least: { routers: 1, for: 10.0.0.0/8 } }]\n"
FAILS = 'assert: [{ no: { from: "alice@", to: "tag:db" }, because: "ticket 7" }]\n'


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write the desired state, the policy and a simulated world."""
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")

    def files(yaml, policy=STORED, world=None):
        (tmp_path / "tailnet.yaml").write_text(f"version: 1\n{yaml}")
        (tmp_path / "policy.hujson").write_text(policy)
        (tmp_path / "world.json").write_text(json.dumps({**WORLD, **(world or {})}))

    return files


@pytest.fixture
def stored(tmp_path):
    """Return the names of the users and the text of the policy on the server."""

    def read():
        world = json.loads((tmp_path / "world.json").read_text())
        return [user["name"] for user in world["users"]], world["policy"]["text"]

    return read


def server(out):
    document = json.loads(out)
    Draft202012Validator(json.loads(schema.text("plan"))).validate(document)
    return document["servers"][0]


# -- the policy's own tests ------------------------------------------------------------


def test_a_plan_says_how_many_tests_pass(write, command):
    write(POLICY, PASSING)
    code, out, err = command("plan")
    assert (code, err) == (0, "")
    assert "1 test added, tests 1/1 pass" in out
    assert "\nTests 1/1" not in out  # said once
    found = server(command("plan", "--format", "json")[1])
    assert found["policy"]["tests"] == {"passed": 1, "failed": 0}
    assert [test["passed"] for test in found["tests"]] == [True]


def test_a_policy_whose_tests_fail_is_shown_and_not_applied(write, command, stored):
    write(BOB + POLICY, FAILING)
    code, out, err = command("plan")
    assert code == 7
    assert "+ user:bob" in out
    assert "error[RC0610]: tests[0] fails: alice@ -> tag:db:22" in err
    assert "RC0307" not in err  # the server was not even asked
    assert "Apply exactly this" not in out
    for arguments in (["--auto-approve"], ["--auto-approve", "--format", "json"]):
        code, out, err = command("apply", *arguments)
        assert code == 7
        assert "tests[0] fails" in out + err
        assert "Nothing was changed." in err
    assert stored() == (["alice"], STORED)


def test_a_saved_plan_with_failing_tests_stays_refused(write, command, stored):
    write(BOB + POLICY, FAILING)
    code, _, err = command("plan", "--out", "plan.json")
    assert (code, "It cannot be applied" in err) == (7, True)
    assert "Tests 0/1 pass" in command("show", "plan.json")[1]
    assert command("apply", "plan.json")[0] == 7
    assert stored() == (["alice"], STORED)


def test_tests_of_the_stored_policy_count_when_access_moves(write, command):
    world = {"policy": {"text": PASSING, "updated": "2030-01-01T00:00:00Z"}}
    write("nodes: { laptop: { tags: [tag:db] } }\n", world=world)
    code, out, err = command("plan")
    assert (code, "Tests 0/1 pass" in out) == (7, True)  # alice has no device any more
    assert "--> (policy on the server):1:" in err
    write("nodes: { edge: { tags: [tag:db] } }\n", world=world)
    code, out, _ = command("plan")
    assert (code, "Tests 1/1 pass" in out) == (0, True)


@pytest.mark.parametrize("release", ["0.27", "0.28"])
def test_servers_that_refuse_tests_still_do(write, command, release):
    write(POLICY, PASSING, world={"emulate": release})
    code, out, err = command("plan")
    assert (code, "tests 1/1" in out) == (1, False)
    assert 'error[RC0608]: unknown field "tests"' in err
    assert command("apply", "--auto-approve")[0] == 1


def test_a_server_that_ignores_tests_gets_them_checked_all_the_same(write, command):
    write(POLICY, PASSING, world={"emulate": "0.26"})
    code, out, _ = command("plan")
    assert (code, "tests 1/1 pass" in out) == (0, True)
    assert "Headscale 0.26 ignores tests: only reconcile ran them" in out
    write(POLICY, FAILING, world={"emulate": "0.26"})
    assert command("plan")[0] == 7
    assert "only reconcile ran them" in command("test")[1]


# -- assertions ------------------------------------------------------------------------


def test_assertions_are_checked_though_nothing_changes(write, command):
    write(HOLDS)
    code, out, err = command("plan")
    assert (code, err) == (0, "")
    assert "Assertions 1/1 hold" in out
    write(FAILS)
    code, out, err = command("plan", "--detailed-exitcode")
    assert code == 7
    assert "No changes. world matches" in out
    assert (
        "failed assert[0]  tailnet.yaml:2  no path alice@ -> tag:db  (ticket 7)" in out
    )
    assert "error[RC0611]: assert[0] does not hold: no path alice@ -> tag:db" in err
    assert "ticket 7" in err
    assert "(policy on the server):1" in err
    found = server(command("plan", "--format", "json")[1])
    assert found["asserts"][0]["because"] == "ticket 7"
    assert found["policy"] is None


def test_an_assertion_that_fails_stops_an_apply(write, command, stored):
    write(BOB + FAILS)
    assert command("apply", "--auto-approve")[0] == 7
    assert stored() == (["alice"], STORED)
    write(BOB + HOLDS)
    code, out, _ = command("apply", "--auto-approve")
    assert (code, stored()[0]) == (0, ["alice", "bob"])
    assert "\nApplied 1 of 1.\nAssertions 1/1 hold\n" in out


def test_assertions_are_held_against_the_state_after_the_plan(write, command):
    closed = STORED.replace("alice@", "nobody@")
    write(POLICY + FAILS, closed)
    assert command("plan")[0] == 0  # the plan is the cure
    assert command("test")[0] == 0
    assert command("test", "--live")[0] == 7


def test_a_saved_plan_is_held_against_what_others_changed(write, command, stored):
    write(BOB + HOLDS)
    assert command("plan", "--out", "plan.json")[0] == 0
    edge = {**WORLD["nodes"][2], "approved": []}
    write(BOB + HOLDS, world={"nodes": [*WORLD["nodes"][:2], edge]})
    code, _, err = command("apply", "plan.json")
    assert (code, stored()[0]) == (7, ["alice"])
    assert "at least 1 router for 10.0.0.0/8" in err


@pytest.fixture
def meddler(monkeypatch):
    """Somebody who takes back a route while an apply is running."""
    ours = Headscale.write

    def write(self, operation):
        ours(self, operation)
        ours(self, Operation("node.routes", "node:edge", "3", frozenset()))

    monkeypatch.setattr(Headscale, "write", write)


@pytest.mark.parametrize("form", ["text", "json"])
def test_assertions_are_held_against_what_is_read_back(write, command, meddler, form):
    write(BOB + HOLDS)
    code, out, _ = command("apply", "--auto-approve", "--format", form)
    assert code == 7
    if form == "text":
        assert "Applied 1 of 1.\nAssertions 0/1 hold\n" in out
        assert "0 of 1: none" in out
    else:
        assert server(out)["asserts"][0]["passed"]
        document = json.loads(out)
        assert [entry["passed"] for entry in document["asserts"]] == [False]
        assert document["applied"] is False


def test_what_cannot_be_evaluated_does_not_hold(write, command):
    broken = {"text": '{"acls": [{"action": "no"}]}', "updated": "2030-01-01T00:00:00Z"}
    write(HOLDS, world={"policy": broken})
    code, _, err = command("plan")
    assert code == 7
    assert "it could not be checked: on the server: (policy on the server)" in err


def test_a_drift_is_not_about_assertions(write, command):
    write(FAILS)
    assert command("drift")[0] == 0


def test_other_errors_come_before_failing_tests(write, command):
    write("users: { alice: { email: a@example.com } }\n" + FAILS)
    code, _, err = command("plan")
    assert code == 1
    assert "RC0304" in err
    assert "RC0611" in err


def test_without_assertions_and_changes_nothing_is_evaluated(write, tmp_path):
    write(BOB)
    for yaml, loaded in ((BOB, False), (BOB + HOLDS, True)):
        write(yaml)
        program = (
            "import sys; from reconcile.cli import run; run(['plan']);"
            "found = {'reconcile.policy.access.matrix', 'reconcile.policy.access.evaluate'};"
            "print('loaded:', sorted(found & sys.modules.keys()))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env={
                "HEADSCALE_URL": "simulator:world.json",
                "PYTHONPATH": ":".join(sys.path),
            },
            capture_output=True,
            text=True,
        )
        names = ["reconcile.policy.access.matrix"] if loaded else []
        assert done.stdout.splitlines()[-1] == f"loaded: {names}", done.stderr


# -- validate --------------------------------------------------------------------------


@pytest.fixture
def taken(tmp_path):
    nodes = (node(1, "laptop", user="alice"), node(2, "db-1", tags=["tag:db"]))
    state = live((user(1, "alice"),), nodes, STORED)
    (tmp_path / "now.json").write_text(snapshot.dumps(state))
    return "now.json"


def test_validate_says_that_nothing_was_run_and_how_to(write, command):
    write(POLICY + FAILS, FAILING)
    code, out, err = command("validate")
    assert code == 0
    assert out.startswith("Valid")
    assert "Tests and assertions were not run" in err
    assert "reconcile validate --snapshot FILE" in err
    write(POLICY)
    assert "were not run" not in command("validate")[2]


def test_validate_with_a_snapshot_runs_them(write, command, taken):
    write(POLICY + FAILS, FAILING)
    code, _, err = command("validate", "--from", taken)
    assert code == 7
    assert "error[RC0610]: tests[0] fails" in err
    assert "error[RC0611]: assert[0] does not hold" in err
    write(POLICY, PASSING)
    code, out, err = command("validate", "--from", taken)
    assert (code, "Valid" in out) == (0, True)
    assert "as desired: 1 of 1 test passed" in err


@pytest.mark.parametrize(
    ("tests", "reason"),
    [
        ('[{"src": "alice@", "accept": ["tag:db:22,23"]}]', "exactly one port"),
        (
            '[{"src": "alice@", "deny": ["autogroup:self:22"]}]',
            '"autogroup:self" is not one host',
        ),
        ('[{"src": "tag:none", "deny": ["tag:db:22"]}]', 'tag not found: "tag:none"'),
        (
            '[{"src": "alice@", "deny": ["10.0.0.0/8:22"]}]',
            "is a network, not one host",
        ),
        ('[{"src": "alice@"}]', "nothing is expected: accept and deny are empty"),
        (
            '[{"src": "alice@", "proto": "icmp", "deny": ["tag:db:22"]}]',
            "only tcp, udp",
        ),
    ],
)
def test_validate_finds_tests_that_can_never_pass(write, command, tests, reason):
    write(POLICY, f'{{{OWNERS}, {RULES}, "tests": {tests}}}')
    code, _, err = command("validate")
    assert code == 7
    assert "error[RC0610]: tests[0] fails: " in err
    assert reason in err
    assert "--> policy.hujson:1:" in err


def test_validate_leaves_alone_what_only_this_tailnet_lacks(write, command):
    some = '[{"src": "zoe@", "deny": ["tag:router:22"]}]'
    ssh = '[{"src": "zoe@", "dst": ["tag:db"], "deny": ["root"]}]'
    write(POLICY, f'{{{OWNERS}, {RULES}, "tests": {some}, "sshTests": {ssh}}}')
    assert command("validate")[0] == 0


# What the server refuses in a policy.

STRANGE = STORED.replace('"alice@"', '"group:none"')


@pytest.mark.parametrize("release", ["0.28", "0.29"])
def test_what_the_server_refuses_is_known_before(write, command, stored, release):
    write(POLICY, STRANGE, {"emulate": release})
    code, _, err = command("plan")
    assert code == 1
    assert (
        'error[RC0602]: acls[0]: src=group not defined in policy: "group:none"' in err
    )
    assert "--> policy.hujson:1:" in err
    assert command("apply", "--auto-approve")[0] == 1
    assert stored()[1] == STORED


def test_what_it_refuses_because_of_its_users_too(write, command, tmp_path):
    write(POLICY, STORED.replace("22", "23"))
    users = [user(1, "alice"), user(2, "bea", email="alice")]
    state = live(users, [node(1, "laptop")], policy=STORED)
    (tmp_path / "now.json").write_text(snapshot.dumps(state))
    code, _, err = command("plan", "--from", "now.json")
    assert code == 1
    assert 'error[RC0602]: multiple users found: token "alice@"' in err


def test_what_only_we_refuse_does_not_stop_a_newer_server(write, command, monkeypatch):
    monkeypatch.setattr(Headscale, "check_policy", lambda self, text: None)
    write(POLICY, STRANGE)
    code, _, err = command("plan")
    assert code == 0
    assert "warning[RC0602]" in err
    assert "the server takes it: it may be newer" in err
