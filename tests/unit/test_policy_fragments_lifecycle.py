"""From one policy file to a file for each team: import, split, edit, plan, apply."""

import json

import pytest

YAML = "  file: policy.hujson"
PARTS = """  files: [policy/base.hujson, "policy/team-*.hujson"]"""
BASE = """{
  "groups": {"group:admins": ["alice@"]},
  "tagOwners": {"tag:ci": ["group:admins"]},
  "acls": [
    {"action": "accept", "src": ["group:admins"], "dst": ["*:*"]},
  ],
}
"""
FAMILY = """// The family's part.
{
  "groups": {"group:family": ["alice@", "bob@", "carol@"]},
  "tagOwners": {"tag:storage": ["group:admins"]},
  "acls": [
    {"action": "accept", "src": ["group:family"], "dst": ["tag:storage:443,445"]},
    {"action": "accept", "src": ["group:family"], "dst": ["autogroup:internet:*"]},
  ],
}
"""
NETWORK = """{
  "tagOwners": {"tag:router": ["group:admins"]},
  "autoApprovers": {"routes": {"192.168.10.0/24": ["tag:router"]}},
}
"""
MORE = """
    {"action": "accept", "src": ["group:family"], "dst": ["tag:storage:8096"]},
"""
TESTS = """,
  "tests": [
    {"src": "bob@", "accept": ["tag:storage:443"]},
    {"src": "bob@", "accept": ["tag:ci:22"]},
  ],
"""


@pytest.fixture
def split(command, tmp_path, monkeypatch):
    """Import the demonstration's tailnet, and cut its policy into three files."""
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")
    command("simulate", "new", "--demo")
    command("import")
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy/base.hujson").write_text(BASE)
    (tmp_path / "policy/team-family.hujson").write_text(FAMILY)
    (tmp_path / "policy/team-network.hujson").write_text(NETWORK)
    (tmp_path / "policy.hujson").unlink()
    file = tmp_path / "tailnet.yaml"
    file.write_text(file.read_text().replace(YAML, PARTS))
    return tmp_path


def edit(folder, old, new, file="team-family"):
    path = folder / f"policy/{file}.hujson"
    path.write_text(path.read_text().replace(old, new))


def test_a_split_alone_changes_nothing(split, command):
    code, out, err = command("plan", "--detailed-exitcode")
    assert (code, err) == (0, "")
    assert "No changes." in out
    assert "File: tailnet.yaml and 3 more" in out


def test_an_edit_in_a_fragment_is_planned_applied_and_done(split, command):
    edit(split, '"acls": [', f'"acls": [{MORE.rstrip()}')
    code, out, _ = command("plan", "--detailed-exitcode")
    assert code == 2
    (line,) = [ln for ln in out.splitlines() if ln.startswith("  + acls[1]")]
    assert line.split()[-1] == "policy/team-family.hujson:6"
    because = [ln for ln in out.splitlines() if "because acls[1]" in ln]
    assert because[0].endswith("policy/team-family.hujson:6")
    code, out, _ = command("apply", "--auto-approve")
    assert code == 0
    assert "Applied 1 of 1." in out
    code, out, _ = command("plan", "--detailed-exitcode")
    assert code == 0


def test_the_json_plan_names_the_fragment(split, command):
    edit(split, '"acls": [', f'"acls": [{MORE.rstrip()}')
    _, out, _ = command("plan", "--format", "json")
    document = json.loads(out)
    files = [file["path"] for file in document["source"]["files"]]
    assert files[1:] == [
        "policy/base.hujson",
        "policy/team-family.hujson",
        "policy/team-network.hujson",
    ]
    (item,) = document["servers"][0]["policy"]["semantic"]
    assert (item["rule"], item["line"]) == ("acls[1]", 6)
    place = {"file": "policy/team-family.hujson", "line": 6, "column": 5}
    assert item["source"] == place
    gained = document["servers"][0]["access"]["gained"]
    assert place in [flow["source"] for flow in gained]


@pytest.mark.parametrize("change", ["edit", "add", "remove"])
def test_a_saved_plan_is_stale_once_a_fragment_moved(split, command, change):
    empty, network = (split / f"policy/team-{n}.hujson" for n in ("empty", "network"))
    if change == "remove":
        empty.write_text("{}")
    edit(split, '"acls": [', f'"acls": [{MORE.rstrip()}')
    command("plan", "--out", "plan.json")
    if change == "edit":
        network.write_text(f"// a word\n{NETWORK}")
    elif change == "add":
        empty.write_text("{}")
    else:
        empty.unlink()
    file = network if change == "edit" else empty
    code, _, err = command("apply", "plan.json")
    assert code == 3
    assert f"policy/{file.name} changed after this plan was saved" in err


def test_a_change_on_the_server_is_drift_with_the_place_of_what_is_wanted(
    split, command
):
    command("plan")
    world = json.loads((split / "world.json").read_text())
    text = world["policy"]["text"].replace("tag:storage:443,445", "tag:storage:443")
    world["policy"]["text"] = text
    (split / "world.json").write_text(json.dumps(world))
    code, out, _ = command("drift")
    assert code == 2
    (line,) = [ln for ln in out.splitlines() if "~ acls[1]" in ln]
    assert line.split()[-1] == "policy/team-family.hujson:6"


def test_answers_name_the_fragment(split, command):
    code, out, _ = command("access", "why", "bob", "nas:443")
    assert code == 0
    assert "acls[1]" in out
    assert "policy/team-family.hujson:6" in out


def test_tests_name_the_fragment(split, command):
    edit(split, "  ],\n}", f"  ]{TESTS}}}")
    code, out, err = command("test")
    assert code == 7
    assert "policy/team-family.hujson:11" in out + err


def test_render_writes_what_is_sent(split, command):
    code, out, _ = command("render", "policy")
    assert code == 0
    edit(split, '"acls": [', f'"acls": [{MORE.rstrip()}')
    command("apply", "--auto-approve")
    edit(split, MORE.rstrip(), "")
    command("apply", "--auto-approve")
    assert json.loads((split / "world.json").read_text())["policy"]["text"] == out
