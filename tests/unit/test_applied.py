"""From commit to apply to drift: the ref of the last apply, in a repository."""

import json
import subprocess

import pytest

from reconcile.jobs.last_apply import known_as
from reconcile.source.git import applied_ref
from tests.support import call_git, dedent

REF = "refs/reconcile/simulator%3Aworld.json/applied"
POLICY = '{{"tagOwners": {{"tag:web": [], "tag:db": [], "tag:x": []}}, "acls": [{}]}}\n'
RULE = '{{"action": "accept", "src": ["*"], "dst": ["*:{}"]}}'
WORLD = {
    "emulate": "0.29",
    "users": [{"id": 1, "name": "alice"}],
    "nodes": [{"id": 1, "name": "nas", "user": 1}],
}


def policy(*ports):
    return POLICY.format(", ".join(RULE.format(port) for port in ports))


def yaml(tag="web", users="alice", policy_=True):
    names = ", ".join(f"{name}: {{}}" for name in users.split())
    return dedent(
        f"""
        version: 1
        users: {{ {names} }}
        nodes: {{ nas: {{ tags: ['tag:{tag}'] }} }}
        policy: {{ file: policy.hujson }}
        """
    )


@pytest.fixture
def commit(repository, tmp_path, monkeypatch):
    """Commit files in a repository with a simulated server beside them."""
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")
    (tmp_path / "world.json").write_text(json.dumps(WORLD))
    repository(_gitignore="world.json\nhand\n", policy_hujson=policy(1))

    def commit_(text=None, **files):
        known = {"tailnet_yaml": text} if text else {}
        return repository(**known, **files)

    return commit_


@pytest.fixture
def by_hand(tmp_path, command, monkeypatch):
    """Change the server behind the files' back."""

    def change(text, rules=None):
        folder = tmp_path / "hand"
        folder.mkdir(exist_ok=True)
        (folder / "tailnet.yaml").write_text(text)
        (folder / "policy.hujson").write_text(rules or policy(1))
        code, _, err = command("apply", "--auto-approve", "-f", "hand/tailnet.yaml")
        assert code == 0, err

    return change


@pytest.fixture
def applied(commit, command):
    """Return the commit of files that were applied."""
    made = commit(yaml())
    code, _, err = command("apply", "--auto-approve")
    assert code == 0, err
    return made


def ref(name=REF):
    done = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", name], capture_output=True
    )
    return done.stdout.decode().strip()


def planned(command, *arguments):
    code, out, _ = command("plan", "--format", "json", *arguments)
    return code, json.loads(out)


# -- when the ref moves ----------------------------------------------------------------


def test_an_apply_of_committed_files_is_remembered(commit, command):
    made = commit(yaml())
    assert command("plan")[0] == command("drift")[0] - 2 == 0
    assert ref() == ""
    code, _, err = command("apply", "--auto-approve")
    assert (code, ref()) == (0, made)
    assert f"{REF} is {made[:7]} now\n" in err
    later = commit(other_txt="x")
    code, out, err = command("apply")
    assert (code, ref()) == (0, later)
    assert "No changes." in out
    assert f"{REF} is {later[:7]} now\n" in err
    assert REF not in command("apply")[2]


def test_edits_that_are_not_committed_are_not_remembered(applied, command, tmp_path):
    for name, text in {
        "tailnet.yaml": yaml(users="alice bob"),
        "policy.hujson": policy(1, 2),
    }.items():
        (tmp_path / name).write_text(text)
        assert command("apply", "--auto-approve")[0] == 0
        assert ref() == applied


@pytest.mark.parametrize("limit", [["--target", "*"], ["--exclude", "user:bob.email"]])
def test_a_limited_apply_is_not_remembered(limit, commit, command):
    commit(yaml(users="alice bob"))
    assert command("apply", "--auto-approve", *limit)[0] == 0
    assert ref() == ""


def test_a_saved_plan_is_remembered_unless_it_was_limited(commit, command):
    made = commit(yaml(users="alice bob"))
    assert command("plan", "--exclude", "node:nas.tags", "--out", "part.json")[0] == 0
    assert command("apply", "part.json")[0] == 0
    assert ref() == ""
    assert command("plan", "--out", "rest.json")[0] == 0
    assert command("apply", "rest.json")[0] == 0
    assert ref() == made


def test_a_partial_apply_is_not_remembered(commit, command, monkeypatch):
    from reconcile.errors import Rejected
    from reconcile.live.headscale.adapter import Headscale

    def refuse(self, operation):
        raise Rejected("no", status=400)

    commit(yaml(users="alice bob"))
    monkeypatch.setattr(Headscale, "write", refuse)
    assert command("apply", "--auto-approve")[0] == 5
    monkeypatch.setattr(Headscale, "write", lambda self, operation: None)
    assert command("apply", "--auto-approve")[0] == 6
    assert ref() == ""


def test_a_ref_that_cannot_be_written_is_a_note(commit, command, tmp_path):
    commit(yaml())
    (tmp_path / f".git/{REF}/in").mkdir(parents=True)
    (tmp_path / f".git/{REF}/in/the-way").write_text(call_git("rev-parse", "HEAD"))
    code, out, err = command("apply", "--auto-approve")
    assert code == 0
    assert "\nApplied 2 of 2.\n" in out
    assert f"git could not set {REF}: " in err


@pytest.mark.parametrize("name", ["-we ird~^..lock", "a.lock", "..", "\u202e[x]*"])
def test_odd_server_names_get_a_ref_of_their_own(
    name, commit, command, tmp_path, monkeypatch
):
    (tmp_path / f"{name}.json").write_text(json.dumps(WORLD))
    monkeypatch.setenv("HEADSCALE_URL", f"simulator:{name}.json")
    made = commit(yaml(), _gitignore="*.json\n")
    before = call_git("for-each-ref", "refs/heads")
    code, _, err = command("apply", "--auto-approve")
    assert (code, ref(applied_ref(f"simulator:{name}.json"))) == (0, made)
    assert "\u202e" not in err
    assert call_git("for-each-ref", "refs/heads") == before
    assert planned(command)[1]["source"]["base"] == made[:7]


def test_each_server_has_a_ref(commit, command, tmp_path):
    (tmp_path / "lab.json").write_text(json.dumps(WORLD))
    servers = (
        "servers: { prod: { url: 'simulator:world.json' },"
        " lab: { url: 'simulator:lab.json' } }\n"
    )
    first = commit(yaml() + servers, _gitignore="*.json\n")
    assert command("apply", "--auto-approve", "--server", "prod")[0] == 0
    lab = REF.replace("world", "lab")
    assert (ref(REF), ref(lab)) == (first, "")
    second = commit(yaml(users="alice bob") + servers)
    document = planned(command, "--server", "all")[1]
    assert {s["name"]: s["base"] for s in document["servers"]} == {
        "prod": first[:7],
        "lab": "",
    }
    assert command("apply", "--auto-approve", "--server", "all")[0] == 0
    assert ref(REF) == ref(lab) == second


# -- the table -------------------------------------------------------------------------


def test_a_change_by_hand_is_drift_and_a_plan_reverts_it(applied, command, by_hand):
    by_hand(yaml("db"))
    assert ref() == applied
    code, out, err = command("drift")
    assert code == 2
    assert f"Drift: 1 object on world moved since {applied[:7]} was applied" in out
    assert "Not applied yet" not in out
    assert "something differs" in err
    code, out, _ = command("plan")
    assert f"(drift: changed on the server since {applied[:7]})" in out
    assert planned(command)[1]["origins"]["drift"] == 1
    assert command("apply", "--auto-approve")[0] == 0
    assert command("drift")[0] == 0


def test_an_edit_is_a_planned_change_and_no_drift(applied, commit, command):
    made = commit(yaml("db"))
    code, out, err = command("drift")
    assert code == 2
    assert f"No drift. world did not move since {applied[:7]}." in out
    assert f"Not applied yet: 1 object of {applied[:7]}..{made[:7]}" in out
    assert "the files are not applied yet; nothing moved on the server" in err
    document = planned(command)[1]
    assert (document["source"]["base"], document["source"]["commit"]) == (
        applied[:7],
        made[:7],
    )
    assert (document["origins"]["intent"], document["origins"]["drift"]) == (1, 0)


def test_done_by_hand_already_converges_without_a_call(
    applied, commit, command, by_hand
):
    by_hand(yaml("db"))
    made = commit(yaml("db"))
    code, out, _ = command("apply")
    assert code == 0
    assert "Converged, on the server already: node:nas.tags (no call)" in out
    assert "No changes." in out
    assert ref() == made
    assert "Converged" not in command("plan")[1]


@pytest.fixture
def conflict(applied, commit, by_hand):
    """The file says db, the server x, the last apply web; a user is new besides."""
    by_hand(yaml("x"))
    return commit(yaml("db", "alice bob"))


def tags(tmp_path):
    world = json.loads((tmp_path / "world.json").read_text())
    return world["nodes"][0]["tags"], [user["name"] for user in world["users"]]


def test_a_conflict_is_shown_and_refused(applied, conflict, command, tmp_path):
    code, out, _ = command("plan")
    assert code == 0
    told = "conflict: the file says tag:db, the server tag:x, "
    assert f"{told}{applied[:7]} said tag:web" in out
    assert "      ! tags" in out
    before = tags(tmp_path)
    for arguments in (
        ["--auto-approve"],
        ["--checksum", planned(command)[1]["checksum"]],
    ):
        code, out, err = command("apply", *arguments)
        assert code == 4
        assert told in out  # shown, then refused
        assert "node:nas.tags: changed in the files and on the server" in err
        assert "reconcile apply --ours" in err
    assert tags(tmp_path) == before
    assert ref() == applied


def test_ours_lets_the_file_win(conflict, command, tmp_path):
    assert command("apply", "--auto-approve", "--ours")[0] == 0
    assert tags(tmp_path) == (["tag:db"], ["alice", "bob"])
    assert ref() == conflict


def test_ours_goes_with_a_saved_plan(conflict, command, tmp_path):
    assert command("plan", "--out", "plan.json")[0] == 0
    assert "conflict: the file says tag:db" in command("show", "plan.json")[1]
    assert command("apply", "plan.json")[0] == 4
    assert command("apply", "plan.json", "--ours")[0] == 0
    assert tags(tmp_path)[0] == ["tag:db"]


def test_theirs_leaves_what_the_server_has(applied, conflict, command, tmp_path):
    out = command("plan", "--theirs")[1]
    assert "node:nas" not in out.split("Access")[0]
    assert "+ user:bob" in out
    assert command("apply", "--auto-approve", "--theirs")[0] == 0
    assert tags(tmp_path) == (["tag:x"], ["alice", "bob"])
    assert ref() == applied  # something was left out
    assert command("apply", "--auto-approve")[0] == 4


def test_a_plan_with_theirs_has_a_checksum_of_its_own(conflict, command, tmp_path):
    mark = planned(command, "--theirs")[1]["checksum"]
    assert mark != planned(command)[1]["checksum"]
    assert command("apply", "--theirs", "--checksum", mark)[0] == 0
    assert tags(tmp_path) == (["tag:x"], ["alice", "bob"])


def test_committing_what_the_server_has_is_a_way_out(conflict, commit, command):
    made = commit(yaml("x", "alice bob"))
    assert command("apply", "--auto-approve")[0] == 0
    assert ref() == made


@pytest.mark.parametrize(
    "arguments", [["--ours", "--theirs"], ["--theirs", "plan.json"]]
)
def test_theirs_stands_alone(arguments, commit, command):
    commit(yaml())
    code, _, err = command("apply", *arguments)
    assert code == 64
    assert "exclude each other" in err


def test_a_policy_that_both_changed(applied, commit, command, by_hand, tmp_path):
    by_hand(yaml(), policy(1, 443))
    commit(policy_hujson=policy(1, 80))
    out = command("plan")[1]
    lines = [" ".join(line.split()) for line in out.splitlines()]
    since = f"since {applied[:7]}"
    at = lines.index(f"! conflict: changed here and on the server {since}")
    assert lines[at + 1].startswith("+ acls[1] * -> *:443")
    assert command("apply", "--auto-approve")[0] == 4
    assert command("apply", "--auto-approve", "--theirs")[0] == 0
    assert (
        policy(1, 443)
        in json.loads((tmp_path / "world.json").read_text())["policy"]["text"]
    )
    assert command("apply", "--auto-approve", "--ours")[0] == 0


def test_theirs_leaves_tags_without_an_owner_out_too(applied, commit, command, by_hand):
    """A policy that is left as it is owns no tags that only the file gives it."""
    by_hand(yaml(), policy(1, 443))
    commit(yaml("new"), policy_hujson=policy(1, 80).replace("tag:db", "tag:new"))
    code, _, err = command("plan", "--theirs")
    assert code == 1
    assert "tag:new is not in the policy's tagOwners" in err


# -- when there is no base -------------------------------------------------------------


def notes(command):
    return "\n".join(planned(command)[1]["servers"][0]["notes"])


def test_a_base_that_cannot_be_read_is_a_note(commit, command, by_hand):
    bad = commit("version: 1\nusers: { alice: { e_mail: x } }\n")
    call_git("update-ref", REF, bad)
    commit(yaml())
    assert f"no base: the files of {bad[:7]}, which was applied last" in notes(command)
    assert "tailnet.yaml:2:19" in notes(command)
    assert planned(command)[1]["source"]["base"] == ""
    code, out, _ = command("drift")
    assert (code, " on world differ from the file" in out) == (2, True)


def test_a_variable_that_is_not_set_any_more(commit, command):
    bad = commit("version: 1\nusers: { '${NAME}': {} }\n")
    call_git("update-ref", REF, bad)
    commit(yaml())
    assert "no base: " in notes(command)
    assert "NAME" in notes(command)


def test_a_file_that_is_new_has_no_base(applied, commit, command):
    commit(more_yaml="users: { bob: {} }\n")
    code, out, _ = command("plan", "-f", "tailnet.yaml", "-f", "more.yaml")
    assert code == 0
    assert "no base: " in out
    assert "more.yaml" in out


def test_a_shallow_clone_says_what_is_missing(
    applied, commit, command, tmp_path, monkeypatch
):
    commit(yaml("db"))
    call_git("clone", "-q", "--depth=1", f"file://{tmp_path}", "clone")
    clone = tmp_path / "clone"
    path = clone / ".git" / REF
    path.parent.mkdir(parents=True)
    path.write_text(f"{applied}\n")
    (clone / "world.json").write_text((tmp_path / "world.json").read_text())
    monkeypatch.chdir(clone)
    assert f"no base: commit {applied[:7]}, which was applied last, is not" in notes(
        command
    )
    call_git("fetch", "-q", "--unshallow")
    assert notes(command) == ""


def test_the_ref_travels_by_push_and_fetch(
    applied, commit, command, tmp_path, monkeypatch
):
    """The two lines of the README."""
    call_git("init", "-q", "--bare", "../origin.git")
    call_git("remote", "add", "origin", "../origin.git")
    call_git("push", "-q", "origin", "HEAD:refs/heads/main")
    call_git("push", "-q", "origin", "refs/reconcile/*")
    call_git("clone", "-q", "-b", "main", "../origin.git", "clone")
    monkeypatch.chdir(tmp_path / "clone")
    assert ref() == ""
    call_git("fetch", "-q", "origin", "refs/reconcile/*:refs/reconcile/*")
    assert ref() == applied


def test_a_ref_that_is_broken_is_a_note_every_time(applied, commit, command, tmp_path):
    (tmp_path / ".git" / REF).write_text("rubbish\n")
    for _ in range(2):
        assert "no base: what was applied last cannot be read: " in notes(command)
        assert REF in notes(command)
        assert "no base: what was" in command("drift")[1]


def test_git_that_does_not_answer_is_a_note(applied, command, monkeypatch):
    from reconcile.source import git

    real = git._run
    monkeypatch.setattr(
        git,
        "_run",
        lambda folder, *a: real(folder, *a) if a[0] == "rev-parse" else None,
    )
    assert "cannot be read: git does not answer" in notes(command)


# -- which server a ref is of ----------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("https://hs.example.com", "hs.example.com"),
        ("https://HS.example.com:443/", "hs.example.com"),
        ("https://hs.example.com:8443", "hs.example.com:8443"),
        ("http://hs.example.com", "hs.example.com:80"),
        ("http://hs.example.com:8080/a/b/", "hs.example.com:8080/a/b"),
        ("https://hs.example.com/a", "hs.example.com/a"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("simulator:here/world.json", "simulator:here/world.json"),
        ("simulator:../out.json", "simulator:PARENT/out.json"),
    ],
)
def test_a_server_is_its_host_port_and_path(url, identity, tmp_path, monkeypatch):
    top = tmp_path / "top"
    top.mkdir()
    monkeypatch.chdir(top)
    expected = identity.replace("PARENT", str(tmp_path.resolve()))
    assert known_as(url, "any", str(top)).identity == expected


def test_two_worlds_of_one_name_have_a_ref_each(commit, command, tmp_path, monkeypatch):
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "world.json").write_text(json.dumps(WORLD))
    made = commit(yaml(), _gitignore="world.json\n")
    assert command("apply", "--auto-approve")[0] == 0
    monkeypatch.setenv("HEADSCALE_URL", "simulator:lab/world.json")
    assert planned(command)[1]["source"]["base"] == ""
    assert command("apply", "--auto-approve")[0] == 0
    assert (
        ref("refs/reconcile/simulator%3Alab%2Fworld.json/applied") == ref(REF) == made
    )


def test_a_ref_of_the_old_form_is_told_with_the_way_to_move_it(
    applied, commit, command
):
    old = "refs/reconcile/world/applied"
    call_git("update-ref", old, applied)
    call_git("update-ref", "-d", REF)
    commit(yaml("db"))
    (said,) = [line for line in notes(command).splitlines() if old in line]
    step = said.partition("if this server is meant: git ")[2]
    call_git(*step.split())
    assert planned(command)[1]["source"]["base"] == applied[:7]
    assert notes(command) == ""


def test_the_old_ref_of_a_name_in_the_files_is_read(commit, command):
    text = yaml() + "servers: { prod: { url: 'simulator:world.json' } }\n"
    made = commit(text)
    assert command("apply", "--auto-approve")[0] == 0
    call_git("update-ref", "refs/reconcile/prod/applied", made)
    call_git("update-ref", "-d", REF)
    assert planned(command)[1]["source"]["base"] == made[:7]
    assert command("apply", "--auto-approve")[0] == 0
    assert ref() == made


def test_without_git_everything_is_as_before(applied, commit, command, monkeypatch):
    commit(yaml("db"))
    monkeypatch.setenv("PATH", "")
    document = planned(command)[1]
    assert (document["source"]["commit"], document["source"]["base"]) == ("", "")
    code, out, _ = command("drift")
    assert (code, "Drift: 1 object" in out) == (2, True)
    assert command("apply", "--auto-approve")[0] == 0


def test_standard_input_is_in_no_commit(applied, command, monkeypatch):
    import io
    from types import SimpleNamespace

    text = b"users: { bob: {} }\n"
    monkeypatch.setattr(
        "sys.stdin", SimpleNamespace(buffer=io.BytesIO(text), isatty=lambda: False)
    )
    code, out, _ = command("apply", "--auto-approve", "-f", "tailnet.yaml", "-f", "-")
    assert code == 1 or "no base" not in out
    assert ref() == applied


# -- cost ------------------------------------------------------------------------------


@pytest.fixture
def processes(monkeypatch):
    """Count the processes that start."""
    started = []
    real = subprocess.Popen.__init__

    def count(self, arguments, *rest, **options):
        started.append(arguments)
        real(self, arguments, *rest, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", count)
    return started


def test_few_processes(applied, commit, command, processes):
    processes.clear()
    command("plan")
    assert len(processes) == 3  # the commit, its files, and the ref: the same commit
    commit(yaml("db"))
    processes.clear()
    command("plan")
    assert len(processes) == 4  # and the files of the base
    processes.clear()
    command("apply", "--auto-approve")
    assert len(processes) == 8  # and the backup (names, text, ref), and the new ref


def test_no_process_outside_of_a_repository(command, tmp_path, monkeypatch, processes):
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")
    (tmp_path / "world.json").write_text("{}")
    (tmp_path / "tailnet.yaml").write_text("version: 1\nusers: {}\n")
    assert command("plan")[0] == 0
    assert processes == []


def test_reading_moves_nothing(applied, commit, command, by_hand):
    by_hand(yaml("x"))
    commit(yaml("x", "alice bob"))
    for arguments in (["plan"], ["drift"], ["plan", "--theirs"], ["access", "diff"]):
        command(*arguments)
    assert ref() == applied
