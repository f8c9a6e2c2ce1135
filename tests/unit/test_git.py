"""Commits as a storage of texts, and the ref of what was applied last."""

import os

import pytest

from reconcile import desired as desired_state
from reconcile.errors import InputError, ReconcileError
from reconcile.source import git
from reconcile.source.text import DISK
from tests.support import NOW, call_git

HOSTILE = [
    "", ".", "..", ".hidden", "a..b", "a.lock", "a.", "a b", "a/b", "a\\b", "a~1",
    "a^", "a:b", "a?*[", "@{", "a@{b", "a\x1b[31m", "a\nb", "--help", "näs", "a%2Fb",
    "../../heads/main", "hs.example.com.lock", "x.lock.", "\u202eevil",
]  # fmt: skip


def read(commit, *paths, **options):
    return desired_state.read(paths, environ={}, now=NOW, storage=commit, **options)


@pytest.fixture
def at(tmp_path):
    """Return a function that opens a commit, and close them all."""
    opened = []

    def open_(commit):
        opened.append(git.Commit(tmp_path, commit))
        return opened[-1]

    yield open_
    for commit in opened:
        commit.close()


@pytest.mark.parametrize("name", HOSTILE)
def test_every_name_becomes_a_ref_that_git_takes(name, repository):
    repository(tailnet_yaml="version: 1\n")
    here = git.checkout(["tailnet.yaml"])
    here.record(name)
    assert call_git("for-each-ref", "--format=%(refname)").splitlines()[1:] == [
        git.applied_ref(name)
    ]
    assert here.applied(name) == ({name: here.commit}, "")
    assert git.applied_ref(name).isascii()


def test_no_two_names_share_a_ref_and_host_names_stay_readable():
    refs = {git.applied_ref(name) for name in HOSTILE}
    assert len(refs) == len(HOSTILE)
    assert git.applied_ref("hs.example.com") == "refs/reconcile/hs.example.com/applied"


def test_a_commit_is_read_as_the_disk_was(repository, at, tmp_path):
    files = {
        "net__tailnet_yaml": "version: 1\ninclude: ['teams/**/*.yaml', extra.yaml]\n"
        "policy: { file: ../policy.hujson }\n",
        "net__extra_yaml": "users: { bob: {} }\n",
        "net__teams__a_yaml": "users: { alice: {} }\n",
        "net__teams__deep__er__b_yaml": "users: { carol: {} }\n",
        "net__teams__notes_txt": "not read",
        "policy_hujson": '{"acls": [] /* kept */}',
    }
    first = repository(**files)
    (there,) = read(DISK, "net/tailnet.yaml")
    (tmp_path / "net/extra.yaml").unlink()
    (tmp_path / "policy.hujson").write_text("{}")
    repository(net__teams__a_yaml="users: { eve: {} }\n")
    (then,) = read(at(first), "net/tailnet.yaml")
    assert then.files == there.files
    assert list(then.users) == list(there.users) == ["alice", "carol", "bob"]
    assert then.policy.text == there.policy.text
    (from_above,) = read(at(first), str(tmp_path / "net/tailnet.yaml"))
    assert list(from_above.users) == list(there.users)


def test_folders_and_other_places_to_start_from(repository, at, tmp_path, monkeypatch):
    first = repository(
        net__a_yaml="version: 1\nusers: { alice: {} }\n", net__b_yml="nodes: {}\n"
    )
    (tmp_path / "net/c.yaml").write_text("users: { new: {} }\n")
    (state,) = read(at(first), "net")
    assert (list(state.users), state.nodes) == (["alice"], {})
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (state,) = read(at(first), "../net/a.yaml")
    assert list(state.users) == ["alice"]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("tailnet.yml", "did you mean tailnet.yaml?"),
        ("folder/deep", "there is no such file"),
        ("folder/x.yaml/y", "there is no such file"),
        ("/etc/hostname", "there is no such file"),
        ("two\nlines", "there is no such file"),
    ],
)
def test_what_a_commit_does_not_hold_is_told_as_on_the_disk(path, why, repository, at):
    first = repository(tailnet_yaml="version: 1\n", folder__x_yaml="version: 1\n")
    with pytest.raises(InputError) as caught:
        read(at(first), path)
    (finding,) = caught.value.diagnostics
    assert finding.code == "RC0001"
    assert why in f"{finding.message} {finding.help}"


def test_an_unknown_commit_is_not_present(repository, at):
    first = repository(tailnet_yaml="version: 1\n")
    assert at(first).present
    assert not at("0" * 39 + "1").present


def test_files_that_are_in_no_commit_are_edits(repository, tmp_path):
    first = repository(tailnet_yaml="version: 1\n", _gitignore="secret.yaml\n")
    assert git.checkout(["tailnet.yaml"]).label == first[:7]
    call_git("config", "status.showUntrackedFiles", "no")
    for name in ("secret.yaml", "new.yaml"):
        (tmp_path / name).write_text("version: 1\n")
        assert git.checkout(["tailnet.yaml", name]).label == f"{first[:7]}+edits"
    (tmp_path / "tailnet.yaml").write_text("version: 1\nusers: {}\n")
    assert git.checkout(["tailnet.yaml"]).edited


def test_without_a_repository_a_commit_or_git_there_is_no_checkout(
    tmp_path, monkeypatch
):
    (tmp_path / "tailnet.yaml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path)
    assert git.checkout(["tailnet.yaml"]) is None
    call_git("init", "-q")
    assert git.checkout(["tailnet.yaml"]) is None
    assert git.checkout([]) is None
    monkeypatch.setenv("PATH", "")
    assert git.checkout(["tailnet.yaml"]) is None
    assert not git.Commit(tmp_path, "0" * 40).present


def test_a_ref_that_cannot_be_written_is_an_error_of_ours(repository):
    repository(tailnet_yaml="version: 1\n")
    here = git.checkout(["tailnet.yaml"])
    assert here.applied("prod") == ({}, "")
    with pytest.raises(ReconcileError, match=r"git could not set refs/reconcile/x+"):
        here.record("x" * 300)


def test_looking_writes_nothing(repository, tmp_path):
    first = repository(tailnet_yaml="version: 1\n")
    index = tmp_path / ".git/index"
    os.utime(tmp_path / "tailnet.yaml", (1, 1))  # git would refresh its index
    before = index.read_bytes()
    assert git.checkout(["tailnet.yaml"]).label == first[:7]
    assert index.read_bytes() == before


def test_fragments_of_a_policy_are_those_of_the_commit(repository, at, tmp_path):
    first = repository(
        tailnet_yaml="version: 1\npolicy: { files: ['policy/*.hujson'] }\n",
        policy__a_hujson='{"groups": {"group:a": ["alice@"]}}\n',
        policy__b_hujson='{"acls": []}\n',
    )
    (there,) = read(DISK, "tailnet.yaml")
    (tmp_path / "policy/b.hujson").unlink()
    (tmp_path / "policy/c.hujson").write_text('{"acls": [], "hosts": {}}\n')
    (then,) = read(at(first), "tailnet.yaml")
    assert then.policy.text == there.policy.text
    assert then.policy.value.keys() == {"groups", "acls"}


# -- a stranger's files run nothing ---------------------------------------------------


@pytest.fixture
def program(tmp_path):
    """Return a program's path, and a function that tells what it was given to see."""
    script, seen = tmp_path / "program.sh", tmp_path / "it-ran"
    script.write_text(f"#!/bin/sh\nenv > '{seen}'\ncat\n")
    script.chmod(0o755)
    return script, lambda: seen.read_text() if seen.exists() else ""


def bare_repository(folder, program):
    """Make a folder that git takes for a repository, as any commit may hold one."""
    folder.mkdir()
    call_git("init", "-q", "--bare", str(folder))
    (folder / "config").write_text(
        "[core]\nrepositoryformatversion = 0\nbare = false\nworktree = .\n"
        f"fsmonitor = {program}\nhooksPath = {program.parent}/hooks\n"
        f'[filter "evil"]\nclean = {program}\nsmudge = {program}\n'
        f"[diff]\nexternal = {program}\n"
    )
    (folder / ".gitattributes").write_text("* filter=evil\n")
    (folder / "tailnet.yaml").write_text("version: 1\nusers: { alice: {} }\n")


COMMANDS = [("plan",), ("drift",), ("test",), ("access", "list"), ("access", "diff"),
            ("validate",), ("apply", "--auto-approve")]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("where", ["evil", "link"])
def test_a_folder_that_looks_like_a_repository_runs_nothing(
    words, where, repository, command, program, tmp_path, monkeypatch
):
    script, seen = program
    bare_repository(tmp_path / "evil", script)
    (tmp_path / "link").symlink_to("evil")
    repository(_gitignore="world.json\n", tailnet_yaml="version: 1\n")
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")
    monkeypatch.setenv("HEADSCALE_API_KEY", "hskey-api-secret")
    assert command(*words, "-f", f"{where}/tailnet.yaml")[0] in (0, 1, 2)
    assert seen() == ""
    assert git.checkout([f"{where}/tailnet.yaml"]).folder == str(tmp_path)


def test_git_runs_no_hook_filter_or_monitor_of_its_own_and_sees_no_secret(
    repository, program, tmp_path, monkeypatch
):
    script, seen = program
    repository(tailnet_yaml="version: 1\n", _gitattributes="* filter=f\n")
    for key in ("core.fsmonitor", "filter.f.clean", "filter.f.smudge"):
        call_git("config", key, str(script))
    hook = tmp_path / ".git/hooks/reference-transaction"
    hook.write_text(script.read_text())
    hook.chmod(0o755)
    os.utime(tmp_path / "tailnet.yaml", (1, 1))
    git.checkout(["tailnet.yaml"]).record("prod")
    assert seen() == ""
    shim = tmp_path / "bin/git"
    shim.parent.mkdir()
    shim.write_text(script.read_text())
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HEADSCALE_API_KEY", "hskey-api-secret")
    monkeypatch.setenv("ANY_OTHER_NAME", "hskey-api-secret")
    git.checkout(["tailnet.yaml"])
    assert "PATH=" in seen()
    assert "secret" not in seen()


def test_an_edit_is_what_differs_from_the_commit(repository, tmp_path):
    repository(tailnet_yaml="version: 1\nusers: {}\n", other_yaml="version: 1\n")
    file = tmp_path / "tailnet.yaml"
    file.write_bytes(b"version: 1\r\nusers: {}\r\n")
    assert not git.checkout(["tailnet.yaml"]).edited
    link = tmp_path / "link.yaml"
    link.symlink_to("tailnet.yaml")
    assert git.checkout(["link.yaml"]).edited
    repository()
    assert not git.checkout(["link.yaml"]).edited
    link.unlink()
    link.symlink_to("other.yaml")  # what it leads to is as it was, the link is not
    assert git.checkout(["link.yaml"]).edited
    file.unlink()
    assert git.checkout(["tailnet.yaml"]).edited


def test_a_link_to_another_repository_leads_nowhere(repository, tmp_path, monkeypatch):
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "tailnet.yaml").write_text("version: 1\n")
    call_git("-C", str(inner), "init", "-q")
    call_git("-C", str(inner), "add", "-A")
    call_git("-C", str(inner), "commit", "-qm", "inner")
    (tmp_path / "through").symlink_to("inner")
    repository(_gitignore="inner/\n")
    assert git.checkout(["inner/tailnet.yaml"]).folder == str(inner)
    assert git.checkout(["through/tailnet.yaml"]).folder == str(tmp_path)
    assert git.checkout(["through/tailnet.yaml"]).edited
