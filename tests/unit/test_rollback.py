"""Back to what was there before an apply: all of it, and nothing that others did."""

import json
import sys
from pathlib import Path

import jsonschema
import pytest

from reconcile.errors import Unreachable
from reconcile.live.headscale.adapter import Headscale
from tests.support import call_git, dedent, pasted

REF = "refs/reconcile/simulator%3Aworld.json"
BEFORE = """{
  "tagOwners": {"tag:db": [], "tag:web": []},
  "acls": [{"action": "accept", "src": ["alice@"], "dst": ["tag:db:22"]}], // old
}
"""
AFTER = """{
  "tagOwners": {"tag:db": [], "tag:web": [], "tag:new": []},
  "acls": [{"action": "accept", "src": ["alice@", "robert@"], "dst": ["tag:new:22"]}],
  "autoApprovers": {"routes": {"10.1.0.0/16": ["alice@"]}},
}
"""
WORLD = {
    "emulate": "0.29",
    "users": [
        {"id": 1, "name": "alice"},
        {"id": 2, "name": "bob"},
        {"id": 3, "name": "ben", "email": "ben@example.com", "display_name": "Ben"},
    ],
    "nodes": [
        {"id": 1, "name": "nas", "tags": ["tag:db"], "approved": ["10.7.0.0/16"]},
        {"id": 2, "name": "gate", "user": 1, "routes": ["10.1.0.0/16"]},
        {"id": 3, "name": "phone", "user": 2, "expiry": "2040-01-01T00:00:00Z"},
        {"id": 4, "name": "old", "user": 2},
        {"id": 5, "name": "exit", "user": 1, "routes": ["0.0.0.0/0", "::/0"]},
    ],
    "policy": {"text": BEFORE, "updated": "2030-01-01T00:00:00Z"},
}
FILES = """
    version: 1
    users: { alice: {}, robert: { was: bob }, erin: {} }
    nodes:
      store: { match: { id: "1" }, tags: [tag:new], routes: { approve: [10.8.0.0/16] } }
      exit: { exit_node: true }
      phone: { expiry: never }
    policy: { file: policy.hujson }
"""


READ = """\
Users
  - user:erin                           made by what is taken back; its pre-auth keys go with it
  > user:robert -> bob                  renamed, keeps 2 nodes

Policy                                      backup NAME, 1 rule changed
  - tagOwners."tag:new"
  - autoApprovers.routes."10.1.0.0/16"  - alice@
  ~ acls[0]   alice@ -> tag:db:22       src - robert@   dst + tag:db:22    backup NAME:3
                                        - tag:new:22
    0 rules unchanged; 3 lines of text differ (--text-diff shows them)
    Written twice: old and new rules together, then, when the tags have moved, this text
    (--single-policy-write: once).

Nodes
  ~ node:exit (#5)
      ~ exit node   yes -> no
  ~ node:gate (#2)
      - routes      10.1.0.0/16
  ~ node:nas (#1)
      ~ name        store -> nas
      ~ tags        + tag:db   - tag:new
      ~ routes      + 10.7.0.0/16       10.7.0.0/16 not advertised yet: takes effect when the node
        - 10.8.0.0/16                   advertises it
  ~ node:phone (#3)
      ~ expiry      never -> 2040-01-01T00:00:00Z
"""


class Ground:
    """A repository with files, a simulated server, and commands that are run there."""

    def __init__(self, folder, command, repository):
        self.folder, self.command, self.commit = folder, command, repository

    def begin(self, files=FILES, policy=AFTER, world=WORLD):
        (self.folder / "world.json").write_text(json.dumps(world))
        self.put(files, policy)
        return self.live()

    def put(self, files, policy=AFTER):
        """Commit files."""
        ignored = "world.json*\nk*\n"
        self.commit(
            tailnet_yaml=dedent(files), policy_hujson=policy, _gitignore=ignored
        )

    def ok(self, *words):
        code, out, err = self.command(*words)
        assert code == 0, out + err
        return out + err

    def live(self):
        """Return users, nodes and policy as the server shows them."""
        self.ok("snapshot", "-o", "kept.json", "-f", "tailnet.yaml")
        found = json.loads((self.folder / "kept.json").read_text())
        for node in found["nodes"] or ():
            del node["created"]  # the simulator's world need not say it
        return {name: found[name] for name in ("users", "nodes", "policy")}

    def by_hand(self, files, policy=None):
        """Change the server behind the files' back, and keep no backup of it here."""
        folder = self.folder / "keep"
        folder.mkdir(exist_ok=True)
        (folder / "tailnet.yaml").write_text(f"version: 1\n{dedent(files)}")
        (folder / "p.hujson").write_text(policy or "")
        self.ok(
            "apply", "--auto-approve", "-f", "keep/tailnet.yaml", "--backup", "kept"
        )


@pytest.fixture
def ground(tmp_path, command, repository, monkeypatch):
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")
    monkeypatch.setenv("COLUMNS", "200")
    return Ground(tmp_path, command, repository)


def undo(out):
    """Return the words of the command that the report of an apply offers."""
    return pasted(out.partition("undo with: ")[2].splitlines()[0])


# -- all that can be brought back ----------------------------------------------------


def test_all_is_as_it_was(ground):
    before = ground.begin()
    out = ground.ok("apply", "--auto-approve")
    after = ground.live()
    applied = call_git("rev-parse", f"{REF}/applied")
    for kind in before:
        assert after[kind] != before[kind], kind
    assert {n["name"]: n["approved"] for n in after["nodes"]}["gate"] == ["10.1.0.0/16"]

    back = ground.ok(*undo(out), "--auto-approve")
    assert ground.live() == before
    assert "listed in" not in back
    assert "the files still want what was taken back (6 changes)" in back
    assert f"git revert {applied[:7]}" in back
    # The server is not as that commit any more, and the ref does not say more than that.
    assert call_git("rev-parse", f"{REF}/applied") == applied
    code, out, _ = ground.command("plan", "--check", "--format", "json")
    assert (code, json.loads(out)["origins"]["drift"]) == (2, 6)


def test_after_a_revert_nothing_is_left_to_do(ground):
    ground.begin("version: 1\nusers: { alice: {} }\n", BEFORE)
    ground.ok("apply", "--auto-approve")
    ground.put(FILES)
    ground.ok("apply", "--auto-approve")
    ground.ok("rollback", "--auto-approve")
    call_git("revert", "--no-edit", "HEAD")
    assert "No changes" in ground.ok("plan")
    back = ground.ok("rollback", "--auto-approve")
    assert "the files still want" not in back


def test_a_rollback_can_be_undone_and_is_no_default_itself(ground):
    before = ground.begin()
    ground.ok("apply", "--auto-approve")
    after = ground.live()
    out = ground.ok("rollback", "--auto-approve")
    assert "No changes" in ground.ok("rollback", "--auto-approve")
    assert ground.live() == before
    ground.ok(*undo(out), "--auto-approve")
    again = ground.live()
    for user in (*again["users"], *after["users"]):
        user.pop("id")  # erin was made anew
    assert again == after


def test_names_that_were_exchanged_go_back(ground):
    world = {
        **WORLD,
        "users": [
            {"id": 1, "name": "alice", "email": "a@x.example"},
            {"id": 2, "name": "bob", "email": "b@x.example"},
        ],
        "policy": None,
        "nodes": [
            {"id": 1, "name": "n1", "user": 1},
            {"id": 2, "name": "n2", "user": 2},
        ],
    }
    world.pop("policy")
    files = """
        version: 1
        users:
          alice: { was: bob, email: b@x.example }
          bob: { was: alice, email: a@x.example }
        nodes: { n1: { match: { id: "2" } }, n2: { match: { id: "1" } } }
    """
    before = ground.begin(files, "", world)
    ground.ok("apply", "--auto-approve")
    assert ground.live() != before
    ground.ok("rollback", "--auto-approve")
    assert ground.live() == before


def test_one_that_was_cut_off_goes_on(ground, monkeypatch):
    """After each of its writes, one more run does the rest."""
    write = Headscale.write
    for number in range(1, 20):
        before = ground.begin()
        out = ground.ok("apply", "--auto-approve")
        left = [number]

        def broken(self, operation, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise Unreachable("gone")
            write(self, operation)

        monkeypatch.setattr(Headscale, "write", broken)
        code, _, _ = ground.command(*undo(out), "--auto-approve")
        monkeypatch.setattr(Headscale, "write", write)
        ground.ok("rollback", "--auto-approve")
        assert ground.live() == before
        assert "No changes" in ground.ok("rollback")
        if code == 0:
            assert number > 8
            return
    pytest.fail("a rollback has no end")


# -- what others did -------------------------------------------------------------------


def test_what_others_did_since_stays(ground):
    ground.begin()
    ground.ok("apply", "--auto-approve")
    ground.by_hand(
        """
        users: { zoe: {}, bert: { was: robert } }
        nodes:
          nas: { match: { id: "1" }, routes: { approve: [10.8.0.0/16, 10.9.0.0/16] } }
          gate: { tags: [tag:web] }
          telly: { match: { id: "3" }, expiry: "2041-01-01T00:00:00Z" }
        policy: { file: p.hujson }
        """,
        AFTER.replace("22", "443"),
    )
    out = ground.ok("rollback", "--auto-approve")
    live = ground.live()
    users = {user["name"] for user in live["users"]}
    assert users == {"alice", "bert", "ben", "zoe"}
    nodes = {node["name"]: node for node in live["nodes"]}
    assert nodes["nas"]["approved"] == ["10.7.0.0/16", "10.9.0.0/16"]
    assert nodes["nas"]["tags"] == ["tag:db"]
    assert nodes["gate"]["tags"] == ["tag:web"]
    assert nodes["telly"]["expiry"] == "2041-01-01T00:00:00Z"
    assert "443" in live["policy"]["text"]
    for address in ("policy", "user:bert.name", "node:telly.expiry"):
        assert f"not brought back: {address}: somebody else changed it since" in out
    out = ground.ok("rollback", "--auto-approve", "--ours")
    live = ground.live()
    assert {user["name"] for user in live["users"]} == {"alice", "bob", "ben", "zoe"}
    nodes = {node["name"]: node for node in live["nodes"]}
    assert nodes["telly"]["expiry"] == "2040-01-01T00:00:00Z"
    assert live["policy"]["text"] == BEFORE
    assert nodes["gate"]["tags"] == ["tag:web"]


def test_what_others_change_during_it_is_noticed(ground, monkeypatch):
    ground.begin()
    ground.ok("apply", "--auto-approve")
    write, path = Headscale.write, ground.folder / "world.json"

    def raced(self, operation):
        write(self, operation)
        if operation.verb == "node.tags":
            world = json.loads(path.read_text())
            world["nodes"][0]["tags"] = ["tag:web"]
            path.write_text(json.dumps(world))

    monkeypatch.setattr(Headscale, "write", raced)
    code, out, err = ground.command("rollback", "--auto-approve")
    assert (code, "node:nas" in out.partition("Applied")[2]) == (6, True), out + err


def test_a_device_with_the_number_of_another_is_left_alone(ground):
    ground.begin()
    ground.ok("apply", "--auto-approve")
    path = ground.folder / "world.json"
    world = json.loads(path.read_text())
    world["nodes"][0]["machine_key"] = "mkey:" + "f" * 64
    path.write_text(json.dumps(world))
    out = ground.ok("rollback", "--auto-approve")
    assert "node:nas: it is not there any more" in out
    assert {n["name"] for n in ground.live()["nodes"]} >= {"store"}


def test_what_the_restored_policy_approves_by_later_tags_goes_with_the_next_run(ground):
    """The policy is written before the tags go back: it approves by those until then."""
    approvers = '"autoApprovers": {"routes": {"10.1.0.0/16": ["tag:web"]}}, "acls"'
    old = BEFORE.replace('"acls"', approvers)
    nodes = [{"id": 2, "name": "gate", "tags": ["tag:db"], "routes": ["10.1.0.0/16"]}]
    world = {**WORLD, "nodes": nodes, "policy": {**WORLD["policy"], "text": old}}
    files = """
        version: 1
        nodes: { gate: { match: { id: "2" }, tags: [tag:web] } }
        policy: { file: policy.hujson }
    """
    before = ground.begin(files, BEFORE, world)
    ground.ok("apply", "--auto-approve")
    out = ground.ok("rollback", "--auto-approve")
    assert "routes      10.1.0.0/16" in out
    assert "by the tags that they still had: run this again" in out
    assert "run this again" not in ground.ok("rollback", "--auto-approve")
    assert ground.live() == before


# -- what cannot be brought back -------------------------------------------------------


def test_what_is_gone_is_told(ground):
    world = {**WORLD, "users": [*WORLD["users"], {
        "id": 4, "name": "max", "provider": "oidc", "email": "max@x.example",
        "provider_id": "https://idp.example/1",
    }]}  # fmt: skip
    files = """
        version: 1
        users: { robert: { was: bob } }
        nodes: { gate: { tags: [tag:web] }, phone: { expiry: "2001-01-01T00:00:00Z" } }
        removed: [node:old, user:ben, "user:max@x.example"]
    """
    before = ground.begin(files, BEFORE, world)
    ground.ok("apply", "--auto-approve")
    out = ground.ok("rollback", "--auto-approve")
    for told in (
        "not brought back: node:old: the device must enrol again",
        "not brought back: user:ben: is made anew, with another id; its pre-auth keys",
        "not brought back: user:max: the identity provider makes it anew at its next",
        "node:gate: its last tag cannot be removed",
        "it stays as it is; everything else is taken back",
    ):
        assert told in out, told
    now = ground.live()
    assert [n["name"] for n in now["nodes"]] == ["nas", "gate", "phone", "exit"]
    (ben,) = (user for user in now["users"] if user["name"] == "ben")
    assert ben["id"] != "3"
    assert (ben["email"], ben["display_name"]) == ("ben@example.com", "Ben")
    phone = {n["name"]: n["expiry"] for n in now["nodes"]}["phone"]
    assert phone == {n["name"]: n["expiry"] for n in before["nodes"]}["phone"]
    assert "Plan:" not in ground.ok("rollback")


def test_a_user_who_got_nodes_since_stays(ground):
    ground.begin()
    ground.ok("apply", "--auto-approve")
    path = ground.folder / "world.json"
    world = json.loads(path.read_text())
    (erin,) = (user["id"] for user in world["users"] if user["name"] == "erin")
    world["nodes"].append({"id": 9, "name": "new", "user": erin})
    path.write_text(json.dumps(world))
    out = ground.ok("rollback", "--auto-approve")
    assert "user:erin cannot be removed: it owns 1 node (new)" in out
    assert {u["name"] for u in ground.live()["users"]} == {
        "alice",
        "bob",
        "ben",
        "erin",
    }


def test_a_first_policy_stays(ground):
    world = {key: value for key, value in WORLD.items() if key != "policy"}
    world["nodes"] = [{"id": 1, "name": "nas", "user": 1}]
    ground.begin("version: 1\npolicy: { file: policy.hujson }\n", BEFORE, world)
    ground.ok("apply", "--auto-approve")
    out = ground.ok("rollback")
    assert "not brought back: policy: none was stored then, and a stored one" in out
    assert "No changes" in out


def test_a_name_that_somebody_took_stays_taken(ground):
    ground.begin()
    ground.ok("apply", "--auto-approve")
    ground.by_hand('users: { bob: {} }\nnodes: { nas: { match: { id: "4" } } }\n')
    out = ground.ok("rollback", "--auto-approve")
    assert "user:robert cannot be renamed to bob: both are on the server" in out
    assert "node:nas: the name is taken by another node" in out


def test_a_policy_that_a_server_reads_from_a_file_is_delivered(ground, monkeypatch):
    served = ground.folder / "served.hujson"
    served.write_text(BEFORE)
    reload = [
        sys.executable,
        "-c",
        "import json; world = json.load(open('world.json'));"
        "world['policy']['text'] = open('served.hujson').read();"
        "json.dump(world, open('world.json', 'w'))",
    ]
    files = f"""
        version: 1
        policy:
          file: policy.hujson
          deliver: {{ file: served.hujson, then: {json.dumps(reload)} }}
    """
    stored = {**WORLD["policy"], "mode": "file"}
    before = ground.begin(files, AFTER, {**WORLD, "policy": stored})
    ground.ok("apply", "--auto-approve", "--allow-commands")
    assert served.read_text() == AFTER
    code, _, err = ground.command("rollback", "--auto-approve")
    assert code == 0, err  # what the last applied commit ran needs no more leave
    assert served.read_text() == BEFORE
    assert ground.live() == before


def test_what_people_read(ground, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    ground.begin()
    out = ground.ok("apply", "--auto-approve")
    name = undo(out)[1]
    out = ground.command("rollback")[1].replace(name, "NAME")
    start = out.index("Users\n")
    assert out[start : out.index("\nAccess")] == READ


# -- which backup, and with which checks -----------------------------------------------


def test_it_asks_and_refuses_as_apply_does(ground):
    ground.begin()
    ground.ok("apply", "--auto-approve")
    after = ground.live()
    code, out, err = ground.command("rollback")
    assert code == 64
    assert "there is nobody to ask" in err
    words = pasted(out.partition("Apply exactly this with: ")[2])
    assert words[:2] == ["rollback", "--checksum"] or words[0] == "rollback"
    code, _, err = ground.command("rollback", "--checksum", "rc1:000000000000")
    assert (code, "checksum is rc1:" in err) == (3, True)
    assert ground.live() == after
    code, _, err = ground.command("rollback", "--target", "user:nobody")
    assert (code, "matches nothing" in err) == (64, True)
    ground.ok(*words)
    assert ground.live() != after


def test_a_part_of_it(ground):
    before = ground.begin()
    ground.ok("apply", "--auto-approve")
    ground.ok("rollback", "--auto-approve", "--target", "policy")
    now = ground.live()
    assert (now["policy"], now["users"] != before["users"]) == (before["policy"], True)
    ground.ok("rollback", "--auto-approve", "--exclude", "user:*")
    assert ground.live()["nodes"] == before["nodes"]


def test_a_policy_whose_assertions_fail_is_refused(ground):
    ground.begin()
    ground.ok("apply", "--auto-approve")
    never = "assert: [{ no: { from: 'alice@', to: 'tag:db' } }]\n"
    (ground.folder / "tailnet.yaml").write_text(dedent(FILES) + never)
    code, out, err = ground.command("rollback", "--auto-approve")
    assert (code, "Nothing was changed." in err) == (7, True), out + err


def test_the_list_of_backups(ground):
    ground.begin()
    assert ground.ok("rollback", "--list") == "No backup is kept.\n"
    ground.ok("apply", "--auto-approve")
    ground.ok("rollback", "--auto-approve")
    second, first = ground.ok("rollback", "--list").splitlines()
    head = call_git("rev-parse", "--short=7", "HEAD")
    assert f"before the apply of {head} (7 objects)" in first
    assert "before the rollback" in second


def test_a_file_is_a_backup_too(ground):
    before = ground.begin()
    out = ground.ok("apply", "--auto-approve", "--backup", "kept dir")
    assert undo(out)[1].startswith("kept dir/world-")
    ground.ok(*undo(out), "--auto-approve", "--backup", "kept dir")
    assert ground.live() == before
    code, _, err = ground.command("rollback", "kept.json")
    assert (code, "error[RC0032]" in err) == (1, True)
    assert "missing.json" in ground.command("rollback", "./missing.json")[2]


def test_one_of_another_server_is_refused(ground, monkeypatch):
    ground.begin()
    out = ground.ok("apply", "--auto-approve", "--backup", "kept")
    (ground.folder / "k.json").write_text(json.dumps(WORLD))
    monkeypatch.setenv("HEADSCALE_URL", "simulator:k.json")
    code, _, err = ground.command(*undo(out), "--auto-approve")
    assert code == 4
    assert "is a backup of simulator:world.json, not of simulator:k.json" in err
    code, _, err = ground.command("rollback", "--auto-approve")
    assert (code, "there is no backup of simulator:k.json" in err) == (64, True)
    code, _, err = ground.command("rollback", "20300101T000000Z")
    assert (code, "no backup 20300101T000000Z of" in err) == (64, True)
    assert "rollback --list" in err


def test_of_several_servers_each_has_its_own(ground, monkeypatch):
    (ground.folder / "k1.json").write_text(json.dumps(WORLD))
    (ground.folder / "k2.json").write_text(json.dumps(WORLD))
    ground.put(
        """
        version: 1
        servers:
          one: { type: headscale, url: "simulator:k1.json" }
          two: { type: headscale, url: "simulator:k2.json" }
        users: { alice: {}, erin: {} }
        """
    )
    out = ground.ok("apply", "--auto-approve", "--server", "all")
    assert out.count("undo with: ") == 2
    assert "--server two" in out
    code, _, err = ground.command("rollback", "--server", "all")
    assert (code, "a backup is of one server" in err) == (64, True)
    ground.ok(*undo(out), "--auto-approve")
    users = [
        {u["name"] for u in json.loads(Path(f"k{n}.json").read_text())["users"]}
        for n in (1, 2)
    ]
    assert users == [{"alice", "bob", "ben"}, {"alice", "bob", "ben", "erin"}]


def test_json(ground):
    ground.begin()
    out = ground.ok("apply", "--auto-approve")
    name = undo(out)[1]
    code, out, _ = ground.command("rollback", "--auto-approve", "--format", "json")
    document = json.loads(out)
    assert (code, document["applied"]) == (0, True)
    schema = Path(__file__).parents[2] / "schemas/plan.schema.json"
    jsonschema.validate(document, json.loads(schema.read_text()))
    assert document["asked"]["rollback"] == [name]
    assert document["source"]["files"][0]["path"] == f"backup {name}"
    (kept,) = document["backups"]
    assert pasted(kept["undo"]) == ["rollback", kept["name"]]
