"""What a plan prints to be pasted into a shell is pasted, and does what it says."""

import shlex
import shutil
from pathlib import Path

import pytest

from reconcile.jobs.run import snapshot_live
from tests.commands import commands_in, parsed
from tests.worlds import world_of

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.name for path in CASES.iterdir())
EXACTLY = "Apply exactly this with:"


def pasted(printed):
    """Return the arguments of the command that applies exactly this, [] for none."""
    told = printed.partition(EXACTLY)[2].strip()
    if not told:
        return []
    program, *arguments = shlex.split(told.splitlines()[0].split(" (with")[0])
    assert program == "reconcile"
    return arguments


@pytest.mark.parametrize("name", NAMES)
def test_commands_that_cases_print_are_taken(name):
    text = (CASES / name / "expected.txt").read_text()
    printed = "".join(
        line
        for line in text.splitlines(keepends=True)
        if not line.startswith(("$ reconcile ", "reconcile VERSION"))
    )
    for arguments in commands_in(printed):
        assert parsed(arguments).command.name in arguments


def on_a_server(line):
    """Return a command line of a case that asks the server, not the snapshot."""
    words = shlex.split(line)
    for option in ("--from", "--snapshot"):
        if option in words:
            at = words.index(option)
            del words[at : at + 2]
    return words


# What these do is done outside of the server, by programs that are not here.
ELSEWHERE = {"policy-delivered"}
PLANS = [
    pytest.param(name, on_a_server(line), id=f"{name} {line}")
    for name in NAMES
    for line in (CASES / name / "args").read_text().splitlines()
    if line.startswith("plan") and "--out" not in line and name not in ELSEWHERE
]


@pytest.mark.parametrize(("name", "arguments"), PLANS)
def test_exactly_this_is_applied(name, arguments, command, tmp_path, monkeypatch):
    shutil.copytree(CASES / name, tmp_path, dirs_exist_ok=True)
    live = snapshot_live(str(tmp_path / "live.json"))
    (tmp_path / "world.json").write_text(world_of(live))
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")
    code, printed, errors = command(*arguments)
    assert "Traceback" not in errors
    for told in commands_in(f"{printed}\n{errors}"):
        if told[0] in ("plan", "validate", "drift", "test"):
            assert command(*told)[0] != 64, told
    apply = pasted(printed)
    assert bool(apply) is (EXACTLY in printed)
    if not apply:
        return
    assert code in (0, 2)
    code, printed, errors = command(*apply)
    assert code == 0, errors
    after, printed, errors = command(*arguments, "--check")
    assert after == 0, printed


SERVERS = "servers: { a: { url: 'simulator:world.json' }, b: { url: https://x } }\n"


@pytest.mark.parametrize(
    ("file", "more", "options"),
    [
        ("my files.yaml", "", ["-f", "my files.yaml"]),
        ("tailnet.yaml", SERVERS, ["--server", "a"]),
        ("a.yaml", SERVERS, ["-f", "a.yaml", "--server", "a", "--target", "node:*"]),
        ("a.yaml", "", ["-f", "a.yaml", "--exclude", "node:nas.tags"]),
    ],
)
def test_exactly_this_is_applied_with_options(
    file, more, options, command, tmp_path, monkeypatch
):
    case = CASES / "tags-routes-expiry"
    files = (case / "tailnet.yaml").read_text() + more
    (tmp_path / file).write_text(files)
    (tmp_path / "world.json").write_text(
        world_of(snapshot_live(str(case / "live.json")))
    )
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")
    _, printed, errors = command("plan", *options)
    code, _, errors = command(*pasted(printed))
    assert code == 0, errors
    code, printed, _ = command("plan", *options, "--check")
    assert code == 0, printed
