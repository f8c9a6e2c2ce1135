"""Files read what is in their repository, and globs come to an end."""

import os
from pathlib import Path

import pytest

from reconcile import desired as desired_state
from reconcile.errors import Exit, InputError, Refused
from reconcile.source import disk, globs
from reconcile.source.text import DISK
from tests.support import NOW, call_git

CANARY = "canary-in-a-file-outside"
VERSION = "version: 1\n"


@pytest.fixture
def net(tmp_path, monkeypatch):
    """Return the folder `net`, in it the current one, beside it a file with a canary."""
    folder = tmp_path / "net"
    folder.mkdir()
    (tmp_path / "outside.yaml").write_text(f"users: {{ {CANARY}: {{ : }} }}\n")
    (tmp_path / "outside.hujson").write_text(f'{{ "{CANARY}" }}')
    monkeypatch.chdir(folder)
    return folder


def read(*paths):
    (state,) = desired_state.read(paths, environ={}, now=NOW)
    return state


def refused(*paths):
    with pytest.raises(InputError) as caught:
        read(*paths)
    finding = next(f for f in caught.value.diagnostics if f.code == "RC0703")
    assert caught.value.exit_code == Exit.REFUSED
    assert CANARY not in str(caught.value.diagnostics)
    assert finding.help
    return finding


NAMED = {
    "include above": "include: [../outside.yaml]",
    "include by a whole path": "include: [{outside}.yaml]",
    "include with owns": "include: [{{ path: ../outside.yaml, owns: [users] }}]",
    "glob above": "include: ['../*.yaml']",
    "glob that leaves in the middle": "include: ['teams/*/../../../*.yaml']",
    "glob over everything": "include: ['/**/*.yaml']",
    "glob through a link": "include: ['up/*.yaml']",
    "glob that finds a link": "include: ['lin*.yaml']",
    "glob that finds git's own": "include: ['.gi*/conf*']",
    "link": "include: [link.yaml]",
    "link to a link": "include: [twice.yaml]",
    "through a linked folder": "include: [up/outside.yaml]",
    "git's own": "include: [.git/config]",
    "git's own in capitals": "include: [.GIT/config]",
    "policy above": "policy: {{ file: ../outside.hujson }}",
    "policy that is a link": "policy: {{ file: link.hujson }}",
    "fragments above": "policy: {{ files: ['../*.hujson'] }}",
    "fragment that is a link": "policy: {{ files: ['li*.hujson'] }}",
    "policy from git's own": "policy: {{ file: .git/config }}",
    "device": "policy: {{ file: /dev/zero }}",
    "pipe": "include: [pipe.yaml]",
    "loop of links": "include: [loop.yaml]",
    "name with a NUL": 'include: ["a\\0b.yaml"]',
    "fragments with a NUL": 'policy: {{ files: ["a\\0b.hujson"] }}',
    "the environment of the process": "include: [/proc/self/environ]",
}


@pytest.mark.parametrize("name", NAMED)
def test_nothing_outside_is_read(name, net, tmp_path):
    call_git("init", "-q")
    (net / "teams/a").mkdir(parents=True)
    for kind in ("yaml", "hujson"):
        (net / f"link.{kind}").symlink_to(f"../outside.{kind}")
    (net / "twice.yaml").symlink_to("link.yaml")
    (net / "loop.yaml").symlink_to("loop.yaml")
    (net / "up").symlink_to("..")
    os.mkfifo(net / "pipe.yaml")
    text = NAMED[name].format(outside=tmp_path / "outside")
    (net / "tailnet.yaml").write_text(f"{VERSION}{text}\n")
    finding = refused("tailnet.yaml")
    assert finding.position.line == 2
    assert finding.position.file == "tailnet.yaml"


def test_the_border_is_the_repository(net):
    call_git("init", "-q")
    (net / "deep").mkdir()
    (net / "deep/tailnet.yaml").write_text(
        f"{VERSION}include: [../users.yaml, '../te*/**/*.yaml', link.yaml]\n"
        "policy: { file: ../policy.hujson }\n"
    )
    (net / "deep/link.yaml").symlink_to("../linked.yaml")
    (net / "linked.yaml").write_text("removed: []\n")
    (net / "users.yaml").write_text("users: { alice: {} }\n")
    (net / "teams/a").mkdir(parents=True)
    (net / "teams/a/b.yaml").write_text("users: { bob: {} }\n")
    (net / "policy.hujson").write_text('{"acls": []}')
    state = read("deep/tailnet.yaml")
    assert list(state.users) == ["alice", "bob"]
    assert state.policy is not None


def test_without_a_repository_the_border_is_the_folder_of_the_file(net):
    (net / "tailnet.yaml").write_text(f"{VERSION}include: [users.yaml]\n")
    (net / "users.yaml").write_text("users: { alice: {} }\n")
    assert list(read("tailnet.yaml").users) == ["alice"]
    (net / "deep").mkdir()
    (net / "deep/tailnet.yaml").write_text(f"{VERSION}include: [../users.yaml]\n")
    finding = refused("deep/tailnet.yaml")
    assert "below" in finding.why
    assert list(read("deep/../tailnet.yaml").users) == ["alice"]


def test_what_the_command_line_names_may_stand_anywhere(net, tmp_path):
    """And reaches as far as its own repository, not the one of another file."""
    (net / "tailnet.yaml").write_text(VERSION)
    (tmp_path / "more").mkdir()
    (tmp_path / "more/users.yaml").write_text("include: [more.yaml]\n")
    (tmp_path / "more/more.yaml").write_text("users: { alice: {} }\n")
    assert list(read("tailnet.yaml", "../more/users.yaml").users) == ["alice"]
    (net / "tailnet.yaml").write_text(f"{VERSION}include: [../more/more.yaml]\n")
    assert refused("tailnet.yaml", "../more/users.yaml").position.line == 2


def test_a_link_that_is_named_is_a_stranger_s_all_the_same(net, tmp_path):
    (net / "tailnet.yaml").symlink_to("../outside.yaml")
    finding = refused("tailnet.yaml")
    assert finding.help == f"name it: -f {tmp_path / 'outside.yaml'}"
    (net / "folder").mkdir()
    (net / "folder/a.yaml").symlink_to("../../outside.yaml")
    refused("folder")


@pytest.mark.parametrize("text", ["include: ['-']", "policy: { file: '-' }"])
def test_a_dash_in_a_file_is_a_name(text, net, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)  # nobody looks there
    (net / "tailnet.yaml").write_text(f"{VERSION}{text}\n")
    with pytest.raises(InputError, match="there is no such file"):
        read("tailnet.yaml")


def test_a_result_is_not_written_through_a_link_that_leads_out(net, tmp_path):
    call_git("init", "-q")
    for name, target in (("out", "../new"), ("in", "here"), ("up", "..")):
        (net / name).symlink_to(target)
    for name in ("out", "up/new"):
        with pytest.raises(Refused, match="leads out of the repository"):
            disk.output(Path(name), b"x")
    assert not (tmp_path / "new").exists()
    disk.output(Path("in"), b"x")
    disk.output(tmp_path / "new", b"x")  # a person's own word
    assert (net / "here").read_bytes() == (tmp_path / "new").read_bytes() == b"x"


def test_a_pipe_of_the_shell_is_read(net):
    read_end, write_end = os.pipe()
    os.write(write_end, VERSION.encode())
    os.close(write_end)
    assert read(f"/dev/fd/{read_end}").users is None
    os.close(read_end)


def find(folder, pattern):
    return globs.matching(DISK, str(folder), pattern, lambda _path: True)


def test_a_pipe_of_a_name_is_read_as_standard_input(net):
    os.mkfifo(net / "pipe one.yaml")
    assert refused("pipe one.yaml").help == (
        "read it as standard input: -f - < 'pipe one.yaml'"
    )


def test_globs_end_whatever_links_there_are(tmp_path):
    for name in "abc":
        (tmp_path / name).symlink_to(".")
    (tmp_path / "x.yaml").write_text("")
    assert find(tmp_path, "**/*.yaml") == [str(tmp_path / "x.yaml")]
    assert find(tmp_path, "**/**/**/**/**/**/*.yaml") == [str(tmp_path / "x.yaml")]


def test_globs_have_a_limit_that_is_told(net, monkeypatch):
    monkeypatch.setattr(globs, "LIMIT", 10)
    for number in range(20):
        (net / f"{number}.txt").write_text("")
    (net / "tailnet.yaml").write_text(f"{VERSION}include: ['**/*.yaml']\n")
    with pytest.raises(InputError) as caught:
        read("tailnet.yaml")
    (finding,) = caught.value.diagnostics
    assert "it looks at more than 10 files" in finding.message
    assert caught.value.exit_code == Exit.REFUSED


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.yaml", ["a.yaml"]),
        ("**/*.yaml", ["a.yaml", "t/b.yaml", "t/u/c.yaml"]),
        ("t/**", ["t/b.yaml", "t/u/c.yaml"]),
        ("*/b.yaml", ["t/b.yaml"]),
        ("[ab].yaml", ["a.yaml"]),
        (".h*", [".hidden.yaml"]),
        ("t/*/../*.yaml", ["t/u/../b.yaml"]),
        ("nothing/*", []),
    ],
)
def test_what_a_glob_finds(pattern, found, tmp_path):
    (tmp_path / "t/u").mkdir(parents=True)
    for name in ("a.yaml", "t/b.yaml", "t/u/c.yaml", ".hidden.yaml"):
        (tmp_path / name).write_text("")
    assert find(tmp_path, pattern) == [str(tmp_path / name) for name in found]
