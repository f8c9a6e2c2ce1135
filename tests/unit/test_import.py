"""`import`: what it writes, that its plan is empty, and that it never overwrites."""

import json
from pathlib import Path

import pytest

POLICY = '// mine\r\n{"tagOwners": {"tag:web": [],}, "acls": []} /* no newline */'
WORLD = {
    "users": [
        {"id": 1, "name": "alice", "email": "alice@example.com"},
        {"id": 2, "name": "no"},
        {"id": 3, "name": "carol", "provider": "oidc"},
    ],
    "nodes": [
        {
            "id": 1,
            "name": "nas",
            "user": 1,
            "routes": ["10.0.0.0/8"],
            "approved": ["10.0.0.0/8"],
        },
        {
            "id": 2,
            "name": "web",
            "tags": ["tag:web"],
            "expiry": "2035-01-01T00:00:00.123456789Z",
        },
        {"id": 3, "name": "gw", "user": 1, "approved": ["0.0.0.0/0", "::/0"]},
        {"id": 4, "name": "phone", "user": 2},
    ],
    "policy": {"text": POLICY, "updated": "2030-01-01T00:00:00Z"},
}


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")

    def write(release="0.29", **more):
        document = {**WORLD, "emulate": release, **more}
        keyed = [
            {"machine_key": f"mkey:{node['id']:064x}", **node}
            for node in document["nodes"]
        ]
        document["nodes"] = keyed
        if release in ("0.26", "0.27"):
            owned = [{"user": 1, **node} for node in document["nodes"]]
            document["nodes"] = owned
        (tmp_path / "world.json").write_text(json.dumps(document))

    return write


def written(folder):
    """Return the files that are not the simulated world's."""
    return [p.name for p in folder.iterdir() if not p.name.startswith("world.json")]


@pytest.mark.parametrize("release", ["0.26", "0.27", "0.28", "0.29", "main"])
def test_the_plan_right_after_an_import_is_empty(world, command, release):
    world(release)
    code, out, err = command("import")
    assert (code, err) == (0, "")
    assert "wrote tailnet.yaml\nwrote policy.hujson\n" in out
    for line in (["plan", "--check"], ["drift"], ["validate"]):
        code, out, err = command(*line)
        assert (code, err) == (0, ""), line


def test_the_policy_is_saved_byte_for_byte(world, command, tmp_path):
    world()
    command("import")
    assert (tmp_path / "policy.hujson").read_bytes() == POLICY.encode()


@pytest.mark.parametrize("name", ["tailnet.yaml", "policy.hujson"])
def test_a_file_that_exists_is_not_overwritten(world, command, tmp_path, name):
    world()
    (tmp_path / name).write_text("mine")
    code, _, err = command("import")
    assert code == 1
    assert f"{name} exists and is not overwritten" in err
    assert "another folder with -o DIR" in err
    assert (tmp_path / name).read_text() == "mine"
    assert written(tmp_path) == [name]


def test_a_folder_is_made_and_its_files_need_no_other(world, command, tmp_path):
    world()
    assert command("import", "-o", "a/b")[0] == 0
    code, _, err = command("plan", "--check", "-f", "a/b/tailnet.yaml")
    assert (code, err) == (0, "")


@pytest.mark.parametrize("folder", ["world.json", "world.json/below"])
def test_a_folder_that_cannot_be_made(world, command, folder):
    world()
    code, _, err = command("import", "-o", folder)
    assert code == 1
    assert f"cannot make the folder {folder}" in err


def test_when_one_file_cannot_be_written_none_is_left(
    world, command, tmp_path, monkeypatch
):
    from reconcile.errors import ReconcileError
    from reconcile.source import disk

    real = disk.create

    def create(path, data):
        if path.name == "policy.hujson":
            raise ReconcileError("cannot write: disk full")
        real(path, data)

    monkeypatch.setattr(disk, "create", create)
    world()
    code, _, err = command("import")
    assert (code, "disk full" in err) == (1, True)
    assert written(tmp_path) == []


@pytest.mark.parametrize("name", ["a/policy.hujson", "../p", "tailnet.yaml", "."])
def test_the_policy_file_is_a_name_beside_the_other(world, command, tmp_path, name):
    world()
    code, _, err = command("import", "--policy-file", name)
    assert code == 64
    assert "-o DIR chooses the folder" in err
    assert written(tmp_path) == []


def test_only_the_kinds_that_were_asked_for(world, command, tmp_path):
    world()
    assert command("import", "--kind", "user")[0] == 0
    text = (tmp_path / "tailnet.yaml").read_text()
    assert "users:" in text
    assert "nodes:" not in text.replace("  nodes:", "")
    assert not (tmp_path / "policy.hujson").exists()


@pytest.mark.parametrize("text", ["", "not { a policy", '{"acls": [], "acls": []}'])
def test_a_policy_that_cannot_be_read_is_said_and_the_rest_can_be_imported(
    world, command, tmp_path, text
):
    world(policy={"text": text, "updated": "2030-01-01T00:00:00Z"})
    code, _, err = command("import")
    assert code == 1
    assert "the policy on the server, line 1: " in err
    assert "/tmp" not in err
    assert written(tmp_path) == []
    assert "reconcile import --kind user --kind node" in err
    code, _, err = command("import", "--kind", "user", "--kind", "node")
    assert (code, err) == (0, "")


def test_without_any_policy_there_is_no_policy_file(world, command, tmp_path):
    world(policy={})
    code, out, _ = command("import")
    assert code == 0
    assert "no policy" in out
    assert not (tmp_path / "policy.hujson").exists()
    assert command("plan", "--check")[0] == 0


def test_drift_notices_what_changes_after_an_import(world, command):
    world()
    command("import")
    for number, change in (
        (4, {"tags": ["tag:web"]}),
        (1, {"approved": []}),
        (2, {"tags": ["tag:db"]}),
        (3, {"approved": []}),
        (4, {"name": "other"}),
    ):
        nodes = [
            {**node, **change} if node["id"] == number else node
            for node in WORLD["nodes"]
        ]
        world(nodes=nodes)
        code, _, _ = command("drift")
        assert code == 2, change


def test_a_simulated_world_is_named_from_the_folder_of_the_file(repository, command):
    assert command("simulate", "new", "--world", "world.json", "--demo")[0] == 0
    code, _, _ = command("import", "--url", "simulator:world.json", "-o", "deep/files")
    assert code == 0
    text = Path("deep/files/tailnet.yaml").read_text()
    assert "url: simulator:../../world.json" in text
    code, out, _ = command("plan", "--check", "-f", "deep/files/tailnet.yaml")
    assert (code, "No changes." in out) == (0, True)
