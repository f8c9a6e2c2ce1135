"""What an apply keeps before its first write: all that it is about to change."""

import json
import stat
from pathlib import Path

import pytest

from reconcile.apply import backup
from reconcile.errors import InputError
from reconcile.live.headscale.adapter import Headscale
from reconcile.source import git, mask
from tests.support import call_git, dedent

KEPT = "refs/reconcile/simulator%3Aworld.json/backup/"
POLICY = """{
  "acls": [{"action": "accept", "src": ["alice@"], "dst": ["*:22"]}],
  "autoApprovers": {"routes": {"10.1.0.0/16": ["alice@"]}}, // as it was written
}
"""
WORLD = {
    "emulate": "0.29",
    "users": [{"id": 1, "name": "alice"}, {"id": 2, "name": "bob"}],
    "nodes": [
        {"id": 1, "name": "nas", "user": 1},
        {"id": 2, "name": "gate", "user": 1, "routes": ["10.1.0.0/16"]},
    ],
    "policy": {"text": '{"acls": []} // old\n', "updated": "2030-01-01T00:00:00Z"},
}
FILES = """
    version: 1
    users: { alice: {}, robert: { was: bob }, erin: { email: erin@example.com } }
    nodes: { nas: { expiry: never, routes: { approve: [10.9.0.0/16] } } }
    policy: { file: policy.hujson }
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Put files and a simulated server into a folder that is no repository."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")
    (tmp_path / "world.json").write_text(json.dumps(WORLD))
    (tmp_path / "tailnet.yaml").write_text(dedent(FILES))
    (tmp_path / "policy.hujson").write_text(POLICY)
    return tmp_path


@pytest.fixture
def committed(repository, folder):
    return repository(_gitignore="world.json*\nkept\n")


def refs():
    return call_git("for-each-ref", "--format=%(refname)", KEPT).splitlines()


def kept(ref):
    return json.loads(call_git("cat-file", "blob", ref))


def world(folder):
    return json.loads((folder / "world.json").read_text())


def test_an_apply_keeps_what_was_there_beside_the_applied_ref(committed, command):
    code, out, err = command("apply", "--auto-approve")
    assert code == 0, err
    (ref,) = refs()
    assert f"Applied 4 of 4.\nBackup: {ref}\n" in out
    found = kept(ref)
    assert found["commit"] == committed[:7]
    assert found["server"] == "simulator:world.json"
    assert found["live"]["policy"]["text"] == '{"acls": []} // old\n'
    assert {user["name"] for user in found["live"]["users"]} == {"alice", "bob"}
    touched = {(c["kind"], c["id"]): c for c in found["changes"]}
    assert touched["user", "2"]["after"] == {"name": "robert"}
    assert touched["user", ""]["after"]["name"] == "erin"
    assert touched["policy", ""]["after"]["text"] == POLICY
    assert touched["node", "1"]["after"] == {"routes": ["10.9.0.0/16"]}
    # What the new policy approves by itself changes with it.
    assert touched["node", "2"]["set_off"] == ["10.1.0.0/16"]


def test_it_reads_back_as_it_was_written(committed, command):
    command("apply", "--auto-approve")
    text = call_git("cat-file", "blob", refs()[0]) + "\n"
    assert backup.dumps(backup.loads(text, "x")) == text


def test_nothing_to_do_needs_no_backup(committed, command):
    command("apply", "--auto-approve")
    code, out, _ = command("apply", "--auto-approve")
    assert (code, len(refs()), "Backup" in out) == (0, 1, False)


def test_it_needs_no_request_of_its_own(folder, repository, command, monkeypatch):
    asked = []
    read = Headscale.read

    def noted(self, kinds):
        asked.append(kinds)
        return read(self, kinds)

    monkeypatch.setattr(Headscale, "read", noted)
    assert command("apply", "--auto-approve")[0] == 0
    without, asked[:] = [*asked], []
    (folder / "world.json").write_text(json.dumps(WORLD))
    repository()
    assert command("apply", "--auto-approve")[0] == 0
    assert (len(refs()), asked) == (1, without)


def test_of_older_ones_twenty_stay(committed, command, folder, monkeypatch):
    monkeypatch.setattr(backup, "KEPT", 3)
    for name in ("robert", "bert", "rob", "bobby"):
        was = sorted({"bob", "robert", "bert", "rob"} - {name})
        text = f"version: 1\nusers: {{ {name}: {{ was: [{', '.join(was)}] }} }}\n"
        (folder / "tailnet.yaml").write_text(text)
        assert command("apply", "--auto-approve")[0] == 0
    last = [kept(ref)["changes"][0]["after"]["name"] for ref in refs()]
    assert last == ["bert", "rob", "bobby"]


def test_two_of_one_second_have_two_names(folder, repository):
    repository()
    text = "{}\n"
    for name in ("now", "now-002"):
        made = backup._in_repository(folder, "s", "now", text)
        assert made.name == name
    assert git.backups(folder, "s") == ["now", "now-002"]
    assert git.backup(folder, "s", "now-002") == text
    assert git.backup(folder, "s", "gone") is None
    assert git.backups(folder, "other") == []


def test_a_folder_may_be_named(folder, command):
    code, out, err = command("apply", "--auto-approve", "--backup", "kept/here")
    assert code == 0, err
    (path,) = (folder / "kept/here").iterdir()
    assert f"Backup: kept/here/{path.name}\n" in out
    assert path.name.startswith("world-20")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert backup.loads(path.read_text(), "x").server.startswith("simulator:")


def test_a_named_folder_is_used_in_a_repository_too(committed, command, folder):
    assert command("apply", "--auto-approve", "--backup", "kept")[0] == 0
    assert (len(list((folder / "kept").iterdir())), refs()) == (1, [])


def test_without_a_place_none_is_kept_and_it_is_said(folder, command):
    before = {path.name for path in folder.iterdir()}
    code, out, _ = command("apply", "--auto-approve")
    assert code == 0
    assert "Backup: none, since there is no git repository; --backup DIR keeps" in out
    assert {path.name for path in folder.iterdir()} <= before | {"world.json.lock"}


def test_a_machine_without_git_has_none(committed, command, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    code, out, _ = command("apply", "--auto-approve")
    assert (code, "Backup: none" in out) == (0, True)


def test_json_tells_where_it_is(committed, command):
    code, out, _ = command("apply", "--auto-approve", "--format", "json")
    (ref,) = refs()
    name = ref.removeprefix(KEPT)
    undo = f"reconcile rollback {name}"
    assert json.loads(out)["backups"] == [
        {"server": "world", "name": name, "place": ref, "undo": undo}
    ]
    code, out, _ = command("apply", "--auto-approve", "--format", "json")
    assert (code, json.loads(out)["backups"]) == (0, [])


def in_the_way(folder):
    (folder / ".git/refs/reconcile").write_text("in the way")
    return ["apply", "--auto-approve"]


def no_folder(folder):
    (folder / "kept").write_text("a file")
    return ["apply", "--auto-approve", "--backup", "kept"]


def full_disk(folder):
    return ["apply", "--auto-approve", "--backup", "/dev/full/kept"]


@pytest.mark.parametrize("way", [in_the_way, no_folder, full_disk])
def test_one_that_cannot_be_kept_stops_before_the_first_write(
    way, committed, command, folder
):
    before = world(folder)
    code, out, err = command(*way(folder))
    assert (code, "Applied" in out) == (1, False)
    assert "the backup cannot be kept, so nothing was changed: " in err
    assert "--backup DIR" in err
    assert world(folder) == before


def test_a_disk_that_is_full_leaves_no_half_backup(folder, command, monkeypatch):
    def full(_file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    code, _, err = command("apply", "--auto-approve", "--backup", "kept")
    assert code == 1
    assert "No space left on device" in err
    assert list((folder / "kept").iterdir()) == []


@pytest.mark.parametrize("where", [[], ["--backup", "kept"]])
def test_a_secret_of_the_run_is_never_in_it(where, folder, repository, command):
    stored = {
        **WORLD,
        "policy": {**WORLD["policy"], "text": '{"acls": []} // s3cr3t-key\n'},
    }
    (folder / "world.json").write_text(json.dumps(stored))
    repository(_gitignore="world.json*\nkept\n")
    mask.remember("s3cr3t-key")
    code, out, err = command("apply", "--auto-approve", *where)
    assert code == 1
    assert "would hold the API key or another secret of this run" in err
    assert "s3cr3t" not in out + err
    assert refs() == []
    assert not list(Path("kept").glob("*"))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["backup_version"], "9", "another major version"),
        (["changes", 0, "kind"], "planet", "parts are missing"),
        (["changes", 0, "action"], "eat", "is not a valid Action"),
        (["changes", 0, "after"], {"colour": "red"}, "parts are missing"),
        (["changes", 0, "after"], {"name": 7}, "parts are missing"),
        (["changes", 0, "after"], {"text": ""}, "a change of a node is not one: text"),
        (["changes", 0, "set_off"], ["10.1.0.0"], "has no prefix length"),
        (["changes", 0, "id"], None, "parts are missing"),
        (["live", "users"], "all", "a list is something else"),
        (["changes"], 1, "parts are missing"),
    ],
)
def test_what_is_no_backup_is_refused(path, value, said, committed, command):
    command("apply", "--auto-approve")
    document = kept(refs()[0])
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(InputError) as caught:
        backup.loads(json.dumps(document), "b.json")
    (finding,) = caught.value.diagnostics
    assert (finding.code, said in finding.why) == ("RC0032", True), finding.why
