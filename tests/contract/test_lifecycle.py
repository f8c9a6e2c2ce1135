"""The main job from end to end: on the simulator, on tapes of real servers, on real ones.

import, an empty plan, an edit, a saved plan, apply, an empty plan, a change behind the
file's back, drift, the way back, and what a restart of the server forgets. With
RECORD_TAPES=1 the runs on real servers are recorded anew.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconcile import cli
from reconcile.jobs import connection
from reconcile.live.server import connect
from reconcile.simulator import SimulatorTransport
from reconcile.simulator.worldfile import parse

from . import real, seeds
from .real import RealServer
from .tape import Player, Recorder

TAPES = Path(__file__).parent / "tapes"

POLICY = """// kept byte for byte\r
{
  "tagOwners": { "tag:db": [], "tag:router": ["carol@"] },
  "acls": [ { "action": "accept", "src": ["alice@"], "dst": ["tag:db:5432"] }, ],
}
"""
EDITED = """// kept byte for byte\r
{
  "tagOwners": { "tag:db": [], "tag:router": ["dora@"] },
  "acls": [
    { "action": "accept", "src": ["alice@", "erin@"], "dst": ["tag:db:5432,5433"] },
    { "action": "accept", "src": ["tag:router"], "dst": ["tag:db:22"] }, // new
  ],
}
"""


@dataclass
class Ground:
    """A server to work on, the way to it, and the folder with the files."""

    release: str
    url: str
    api_key: str
    transport: httpx.BaseTransport
    restart: Callable[[], str]
    folder: Path

    def send(self, method: str, path: str, body: object = None) -> httpx.Response:
        with httpx.Client(base_url=self.url, transport=_Open(self.transport)) as client:
            answer = client.request(
                method,
                f"/api/v1/{path}",
                json=body,
                headers={"Authorization": f"Bearer {self.api_key}"},
                timeout=60,
            )
        assert answer.status_code == 200, answer.text
        return answer

    def node(self, name: str) -> dict:
        nodes = self.send("GET", "node").json()["nodes"]
        return next(node for node in nodes if node["givenName"] == name)


class _Open(httpx.BaseTransport):
    """A transport that stays open when its client is closed."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.handle_request = inner.handle_request


@pytest.fixture(params=list(real.PROGRAMS))
def release(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(
    params=["simulator", "tape", pytest.param("real", marks=pytest.mark.real)]
)
def ground(
    request: pytest.FixtureRequest,
    release: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Ground]:
    make = {"simulator": _simulated, "tape": _taped, "real": _real}[request.param]
    tape = TAPES / f"{request.node.originalname}-{release}.json"
    (tmp_path / "files").mkdir()
    for ground in make(release, tmp_path, tape):
        monkeypatch.chdir(ground.folder)
        monkeypatch.setenv("HEADSCALE_URL", ground.url)
        monkeypatch.setenv("HEADSCALE_API_KEY", ground.api_key)

        def through(*args: Any, ground: Ground = ground, **options: Any) -> Any:
            options["transport"] = _Open(ground.transport)
            return connect(*args, **options)

        monkeypatch.setattr(connection, "connect", through)
        yield ground


def _simulated(release: str, folder: Path, _tape: Path) -> Iterator[Ground]:
    world = parse(json.dumps(seeds.world(release, "tailnet")))
    transport = SimulatorTransport(world)
    url, key = "http://simulated", world.api_keys[0].key

    def restart() -> str:
        transport.simulator.restart()
        return url

    yield Ground(release, url, key, transport, restart, folder / "files")


def _taped(release: str, folder: Path, tape: Path) -> Iterator[Ground]:
    player = Player(tape)
    url = "http://taped"
    yield Ground(release, url, "taped", player, lambda: url, folder / "files")
    player.require_end()


def _real(release: str, folder: Path, tape: Path) -> Iterator[Ground]:
    if real.program(release) is None:
        pytest.skip(f"HEADSCALE_BINARIES has no {real.PROGRAMS[release]}")
    server = RealServer(release, "tailnet", folder / "server")
    server.prepare()
    server.start()
    recorder = Recorder()

    def restart() -> str:
        server.restart()
        return server.url

    try:
        yield Ground(
            release, server.url, server.api_key, recorder, restart, folder / "files"
        )
    finally:
        recorder.close()
        server.stop()
    if os.environ.get("RECORD_TAPES"):
        recorder.save(tape)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command line, check its exit code, return what it printed."""

    def run(*arguments: str, code: int = 0) -> str:
        found = cli.run(arguments)
        printed = capfd.readouterr()
        assert found == code, printed.out + printed.err
        return printed.out + printed.err

    return run


def desired(ground: Ground, policy: str) -> str:
    """The file after the edit: a rename, a new user, tags, routes, expiry, a removal."""
    dated = ground.release != "0.26"
    return f"""
version: 1
server: {{ type: headscale, name: lab, url: "${{HEADSCALE_URL}}" }}
users:
  alice: {{}}
  bob: {{}}
  dora: {{ was: carol }}
  erin: {{ email: erin@example.com, display_name: Erin }}
nodes:
  router:
    match: {{ machine_key: "{ground.node("router")["machineKey"]}" }}
    tags: [tag:router]
    routes: {{ approve: [10.2.0.0/16, 10.1.0.0/16] }}
  exit: {{ match: {{ id: "{ground.node("exit")["id"]}" }}, exit_node: true }}
  lab-2:
    match: {{ id: "{ground.node("lab")["id"]}" }}
    routes: {{ approve: ["fd00:1::/64"], mode: at-least }}
  router-b: {{ routes: {{ approve: [] }}, exit_node: false }}
  phone: {{ {'expiry: "2036-01-01T00:00:00Z"' if dated else ""} }}
  not-yet: {{ pending: ok }}
removed: [node:laptop]
policy: {{ file: {policy} }}
"""


def test_the_main_job(ground: Ground, run: Callable[..., str]) -> None:
    ground.send("PUT", "policy", {"policy": POLICY})

    run("import")
    assert Path("policy.hujson").read_bytes() == POLICY.encode()
    assert "No changes." in run("plan", "--check")
    assert "No drift." in run("drift")

    Path("tailnet.yaml").write_text(desired(ground, "policy.hujson"))
    Path("policy.hujson").write_bytes(EDITED.encode())
    planned = run("plan", "--check", "--out", "saved.json", code=2)
    assert "> user:carol -> dora" in planned
    number = 5 if ground.release == "0.26" else 6
    counts = f"Plan: 1 to add, {number} to change, 1 to rename, 1 to remove"
    assert counts in planned

    applied = run("apply", "saved.json", "--progress", "none")
    assert "failed" not in applied
    assert "not applied" not in applied
    assert "No changes." in run("plan", "--check")
    assert ground.send("GET", "policy").json()["policy"] == EDITED
    assert set(ground.node("exit")["approvedRoutes"]) == {"0.0.0.0/0", "::/0"}
    assert {u["name"] for u in ground.send("GET", "user").json()["users"]} == {
        "alice",
        "bob",
        "dora",
        "erin",
    }
    run("apply", "saved.json", code=3)

    number = ground.node("router")["id"]
    ground.send("POST", f"node/{number}/approve_routes", {"routes": ["10.1.0.0/16"]})
    drifted = run("drift", code=2)
    assert "node:router" in drifted
    assert "10.2.0.0/16" in drifted
    run("apply", "--auto-approve", "--progress", "none")
    assert "No drift." in run("drift")


def test_what_a_restart_forgets(
    ground: Ground, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.27 and 0.28 keep an empty route list and an expiry only until a restart."""
    ground.send("PUT", "policy", {"policy": POLICY})
    run("import")
    Path("tailnet.yaml").write_text(desired(ground, "policy.hujson"))
    Path("policy.hujson").write_bytes(EDITED.encode())
    planned = run("plan")
    run("apply", "--auto-approve", "--progress", "none")

    ground.url = ground.restart()
    monkeypatch.setenv("HEADSCALE_URL", ground.url)
    forgetful = ground.release in ("0.27", "0.28")
    assert ("only until the server restarts" in planned) == forgetful
    drifted = run("drift", code=2 if forgetful else 0)
    assert ("node:router-b" in drifted) == forgetful
    assert ("node:phone" in drifted) == forgetful
    assert "node:router (" not in drifted
    assert "policy.hujson, " not in drifted
