"""What a plan prints to be pasted into a shell is pasted, and does what it says."""

import shlex
import shutil
from pathlib import Path

import pytest

from reconcile.session import snapshot_live
from tests.commands import commands_in, parsed
from tests.worlds import world_of

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.name for path in CASES.iterdir())
EXACTLY = "Apply exactly this with: reconcile "


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
    pasted = [line.partition(EXACTLY)[2] for line in printed.splitlines()]
    pasted = [line.split(" (with")[0] for line in pasted if line]
    if not pasted:
        return
    assert code in (0, 2)
    code, printed, errors = command(*shlex.split(pasted[0]))
    assert code == 0, errors
    after, printed, errors = command(*arguments, "--check")
    assert after == 0, printed
