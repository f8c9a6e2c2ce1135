"""Back to what was there before an apply of every kind of change, and what stays lost.

The rollback is cut off first, and run again. The same run on the simulator and, where the programs are there, on the real servers.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconcile.errors import Unreachable
from reconcile.live.headscale.adapter import Headscale
from reconcile.model import Operation
from tests.interruptions import story
from tests.support import pasted

from . import real, seeds

Command = Callable[..., tuple[int, str, str]]
ON_SIMULATOR = [f"{release} simulated" for release in real.PROGRAMS]


@pytest.fixture(
    params=[
        *ON_SIMULATOR,
        *(pytest.param(r, marks=pytest.mark.real) for r in real.PROGRAMS),
    ]
)
def release(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Start a server with the tailnet of the scenarios, and return its release."""
    name, _, simulated = request.param.partition(" ")
    if simulated:
        world = seeds.world(name, "tailnet") | {"any_key": True}
        (tmp_path / "world.json").write_text(json.dumps(world))
        monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")
        yield name
        return
    if real.program(name) is None:
        pytest.skip(f"HEADSCALE_BINARIES has no {real.PROGRAMS[name]}")
    server = real.RealServer(name, "tailnet", tmp_path / "server")
    server.prepare()
    with real.running(server):
        monkeypatch.setenv("HEADSCALE_URL", server.url)
        monkeypatch.setenv("HEADSCALE_API_KEY", server.api_key)
        yield name


class Ground:
    """The files and commands of one run, in a repository."""

    def __init__(self, command: Command, repository: Callable[[], str], folder: Path):
        self.command, self.commit, self.folder = command, repository, folder
        (folder / ".gitignore").write_text("world.json*\nserver\nlive.json\n")

    def ok(self, *words: str) -> str:
        code, out, err = self.command(*words)
        assert code == 0, out + err
        return out + err

    def apply(self, release: str, *, second: bool) -> str:
        """Apply the first files of the story, or the second ones; with more users."""
        if second:
            story.write_second(self.folder, release)
        else:
            story.write_first(self.folder)
        path = self.folder / "tailnet.yaml"
        text = path.read_text()
        if second:
            text = text.replace("[node:laptop]", "[node:laptop, user:zed]")
            text = text.replace(
                "mode: at-least }", "mode: at-least }\n    tags: [tag:db]"
            )
        else:
            text = text.replace("carol: {}", "carol: {}, zed: { email: z@x.example }")
        path.write_text(text)
        self.commit()
        return self.ok("apply", "--auto-approve")

    def live(self) -> dict[str, Any]:
        """Return what is on the server: the policy, and users and nodes by name."""
        self.ok("snapshot", "-o", "live.json")
        found = json.loads((self.folder / "live.json").read_text())
        for node in found["nodes"]:
            del node["online"], node["last_seen"]
        users = {f"user:{user['name']}": user for user in found["users"]}
        nodes = {f"node:{node['name']}": node for node in found["nodes"]}
        return {"policy": found["policy"]["text"], **users, **nodes}


def cut_off(command: Command, undo: list[str], patch: pytest.MonkeyPatch) -> str:
    """Let a rollback lose its server after six writes; return what it prints."""
    write, left = Headscale.write, [6]

    def broken(self: Headscale, operation: Operation) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Unreachable("gone")
        write(self, operation)

    with patch.context() as inside:
        inside.setattr(Headscale, "write", broken)
        code, out, err = command(*undo, "--auto-approve")
    assert (code, "Applied 6 of " in out) == (5, True), out + err
    return out + err


def test_all_comes_back_but_what_a_server_has_no_way_to_bring_back(
    release: str,
    command: Command,
    repository: Callable[[], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ground = Ground(command, repository, tmp_path)
    ground.apply(release, second=False)
    before = ground.live()
    out = ground.apply(release, second=True)
    after = ground.live()
    moved = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert moved >= {"policy", "user:dora", "user:erin", "node:router", "node:exit"}
    undo = pasted(out.partition("undo with: ")[2].splitlines()[0])
    out = cut_off(command, undo, monkeypatch) + ground.ok(*undo, "--auto-approve")
    now = ground.live()

    assert now.keys() == before.keys() - {"node:laptop"}
    differs = {name for name in now if now[name] != before[name]}
    tagged = set() if release in ("0.26", "0.27") else {"node:lab"}
    assert differs == {"user:zed", *tagged}
    assert {**now["user:zed"], "id": ""} == {**before["user:zed"], "id": ""}
    for told in (
        "node:laptop: the device must enrol again",
        "user:zed: is made anew, with another id",
        *(f"{name}: its last tag cannot be removed" for name in tagged),
    ):
        assert told in out, told
    again = ground.ok("rollback", "--auto-approve")
    assert "Applied" not in again
    assert ground.live() == now
    assert ground.command("plan", "--check")[0] == 2
