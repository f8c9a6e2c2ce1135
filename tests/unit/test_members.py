"""`--members`: the nodes behind every group of an access line, on both ends."""

import json

import pytest

OLD = """{
  "groups": {"group:ops": ["alice@"]},
  "tagOwners": {"tag:db": []},
  "acls": [{"action": "accept", "src": ["group:ops"], "dst": ["tag:db:22"]}],
}
"""
NEW = """{
  "groups": {"group:ops": ["alice@", "bob@"]},
  "tagOwners": {"tag:db": []},
  "acls": [
    {"action": "accept", "src": ["group:ops"], "dst": ["tag:db:22", "desk:443"]},
    {"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:self:*"]},
  ],
  "hosts": {"desk": "100.64.0.3"},
}
"""
FILE = "version: 1\npolicy: { file: policy.hujson }\n"


def _node(number, name, user=None, tags=()):
    return {
        "id": number,
        "name": name,
        "hostname": name,
        "user": user,
        "tags": list(tags),
        "addresses": [f"100.64.0.{number}"],
        "created": "2031-02-03T04:05:06Z",
    }


NODES = [
    _node(1, "laptop", 1),
    _node(2, "phone", 1),
    _node(3, "desk", 2),
    _node(4, "db-2", tags=["tag:db"]),
    _node(5, "db-10", tags=["tag:db"]),
]
USERS = [
    {"id": number, "name": name, "created": "2031-02-03T04:05:06Z"}
    for number, name in enumerate(("alice", "bob"), 1)
]
DB = "tag:db: node:db-2, node:db-10"


@pytest.fixture
def run(command, tmp_path, monkeypatch):
    """Write a world with the old policy, and files with the new one."""
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")
    monkeypatch.setenv("COLUMNS", "200")
    policy = {"text": OLD, "updated": "2031-02-03T04:05:06Z"}
    world = {"emulate": "0.29", "users": USERS, "nodes": NODES, "policy": policy}
    (tmp_path / "world.json").write_text(json.dumps(world))
    (tmp_path / "tailnet.yaml").write_text(FILE)
    (tmp_path / "policy.hujson").write_text(NEW)
    return command


def _lines(text):
    return [line.strip() for line in text.splitlines()]


def test_list(run):
    code, out, err = run("access", "list", "--live", "--members")
    assert (code, err) == (0, "")
    head, line, *members = out.splitlines()
    assert members == ["      group:ops: node:laptop, node:phone", f"      {DB}"]
    assert run("access", "list", "--live")[1].splitlines() == [head, line]


def test_list_of_own_devices_and_of_a_host(run):
    _, out, _ = run("access", "list", "--members")
    lines = _lines(out)
    assert "group:ops: node:desk, node:laptop, node:phone" in lines
    assert "desk (100.64.0.3): node:desk" in lines
    assert "autogroup:self: node:desk, node:laptop, node:phone" in lines


def test_json_of_list_and_who(run):
    (entry,) = _entries(run, "list", "--live", "--members")
    assert entry["members"] == {
        "group:ops": ["node:laptop", "node:phone"],
        "tag:db": ["node:db-2", "node:db-10"],
    }
    assert "members" not in _entries(run, "list", "--live")[0]
    (one,) = _entries(run, "who", "db-2:22", "--live", "--members")
    assert one["members"] == {"group:ops": ["node:laptop", "node:phone"]}


def _entries(run, *arguments):
    return json.loads(run("access", *arguments, "--format", "json")[1])["entries"]


@pytest.mark.parametrize(
    "arguments", [("access", "diff"), ("plan",), ("apply", "--auto-approve")]
)
def test_gains_are_followed_by_their_members(run, arguments):
    assert DB not in _lines(run("access", "diff")[1])
    code, out, _ = run(*arguments, "--members")
    assert code == 0
    assert DB in _lines(out)


def test_losses_name_who_had_it(run, tmp_path):
    (tmp_path / "policy.hujson").write_text(OLD.replace("alice@", "bob@"))
    out = run("plan", "--members")[1]
    lost = out[out.index("- loses") :]
    assert "alice: node:laptop, node:phone" in _lines(lost)


def test_json_of_plan_and_diff(run):
    (server,) = json.loads(run("plan", "--members", "--format", "json")[1])["servers"]
    diff = json.loads(run("access", "diff", "--members", "--format", "json")[1])
    for access in (server["access"], diff):
        found = {k: v for flow in access["gained"] for k, v in flow["members"].items()}
        assert found["tag:db"] == ["node:db-2", "node:db-10"]


def test_a_saved_plan_has_them_when_it_was_asked_for_them(run):
    assert run("plan", "--members", "--out", "with.json")[0] == 0
    code, out, _ = run("show", "with.json", "--members")
    assert code == 0
    assert DB in _lines(out)
    assert DB not in _lines(run("show", "with.json")[1])
    assert run("plan", "--out", "without.json")[0] == 0
    code, out, err = run("show", "without.json", "--members")
    assert (code, out) == (64, "")
    assert "this plan was saved without the nodes behind its groups" in err
    assert "reconcile plan --members --out FILE" in err


def test_a_saved_plan_is_applied_with_them(run):
    run("plan", "--out", "without.json")
    code, out, _ = run("apply", "without.json", "--members")
    assert code == 0
    assert DB in _lines(out)


def test_they_do_not_change_what_is_agreed_to(run):
    sums = [
        json.loads(run("plan", "--format", "json", *more)[1])["checksum"]
        for more in ((), ("--members",))
    ]
    assert sums[0] == sums[1]


def test_drift_takes_the_option(run):
    assert run("drift", "--members")[0] == run("drift")[0]
