"""Read commands send nothing that could write, and no more than they need."""

import pytest

from tests.bad_server import KEY, POLICY, WORLD, running

YAML = """\
version: 1
users: { alice: {}, bob: {}, ci-bot: {} }
policy: { file: policy.hujson }
nodes:
  nas: { match: { id: '1' }, tags: [tag:web] }
removed: [node:tv]
"""
VERSION, USERS, NODES = "GET /version", "GET /api/v1/user", "GET /api/v1/node"
STORED, CHECK = "GET /api/v1/policy", "POST /api/v1/policy/check"
LISTS = [NODES, STORED, USERS]


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A recording server, and files that want something of every kind of it."""
    with running() as recording:
        (tmp_path / "tailnet.yaml").write_text(YAML)
        (tmp_path / "policy.hujson").write_text(POLICY.replace("443", "22"))
        monkeypatch.setenv("HEADSCALE_URL", recording.url)
        monkeypatch.setenv("HEADSCALE_API_KEY", KEY)
        yield recording


READS = {
    "plan": (["plan"], [VERSION, *LISTS, CHECK]),
    "plan --out": (["plan", "--out", "saved.json"], [VERSION, *LISTS, CHECK]),
    "plan as JSON": (["plan", "--format", "json"], [VERSION, *LISTS, CHECK]),
    "drift": (["drift"], [VERSION, *LISTS]),
    "import": (["import", "-o", "new"], [VERSION, *LISTS]),
    "import of one kind": (
        ["import", "-o", "new", "--kind", "user"],
        [VERSION, USERS],
    ),
    "snapshot": (["snapshot"], [VERSION, *LISTS]),
    "validate": (["validate"], []),
    "schema": (["schema", "plan"], []),
    "doctor": (["doctor"], [VERSION, STORED, "GET /api/v1/apikey"]),
}


@pytest.mark.parametrize("name", READS)
def test_every_read_command_sends_these_requests_and_no_other(server, command, name):
    arguments, requests = READS[name]
    before = server.world.as_json()
    code, _, err = command(*arguments)
    assert code in (0, 2), err
    assert sorted(server.requests) == sorted(requests)
    assert server.writes == []
    assert server.world.as_json() == before


def test_show_asks_no_server_at_all(server, command):
    command("plan", "--out", "saved.json")
    server.requests.clear()
    code, out, _ = command("show", "saved.json")
    assert code == 0
    assert "user:ci-bot" in out
    assert server.requests == []


def test_a_plan_from_a_snapshot_asks_no_server_at_all(server, command):
    command("snapshot", "-o", "live.json")
    server.requests.clear()
    code, out, _ = command("plan", "--from", "live.json")
    assert code == 0
    assert "user:ci-bot" in out
    assert server.requests == []


def test_a_plan_reads_only_the_kinds_that_the_file_manages(server, command, tmp_path):
    (tmp_path / "tailnet.yaml").write_text("version: 1\nusers: { alice: {} }\n")
    command("plan")
    assert server.requests == [VERSION, USERS]


def test_a_policy_that_is_right_is_neither_checked_nor_written(
    server, command, tmp_path
):
    (tmp_path / "policy.hujson").write_text(POLICY)
    command("plan")
    assert CHECK not in server.requests
    command("apply", "--auto-approve")
    assert not any(line.startswith("PUT") for line in server.requests)


def test_an_apply_with_nothing_to_do_only_reads(server, command, tmp_path):
    (tmp_path / "tailnet.yaml").write_text(
        "version: 1\nusers: { alice: {}, bob: {} }\n"
    )
    code, _, _ = command("apply", "--auto-approve")
    assert code == 0
    assert server.requests == [VERSION, USERS]


def test_an_apply_reads_before_and_after_and_writes_once(server, command, tmp_path):
    (tmp_path / "tailnet.yaml").write_text(YAML.replace(", tags: [tag:web]", ""))
    code, _, err = command("apply", "--auto-approve")
    assert code == 0, err
    assert sorted(server.requests) == sorted(
        [
            *[VERSION, *LISTS, CHECK],
            # each level reads what it writes; a policy of ours may have approved routes
            *[USERS, NODES, USERS],
            "POST /api/v1/user",
            STORED,  # once more, right before it is replaced
            "PUT /api/v1/policy",
            "DELETE /api/v1/node/2",
            *LISTS,
        ]
    )


@pytest.mark.parametrize("release", ["0.26", "0.27", "0.28", "0.29", "main"])
def test_a_plain_build_is_told_apart_without_a_write(
    tmp_path, monkeypatch, command, release
):
    """0.26 has no /version, and a plain build says `dev`."""
    with running({**WORLD, "emulate": release, "version": "dev"}) as recording:
        (tmp_path / "tailnet.yaml").write_text("version: 1\nusers: { alice: {} }\n")
        monkeypatch.setenv("HEADSCALE_URL", recording.url)
        monkeypatch.setenv("HEADSCALE_API_KEY", KEY)
        code, out, _ = command("plan", "--format", "json")
    assert code == 0
    assert f'"release": "{release}"' in out
    assert recording.writes == []
    assert len(recording.requests) <= 4
