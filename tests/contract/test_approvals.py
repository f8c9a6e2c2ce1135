"""Routes that a policy approves by itself: what a plan tells, and what servers do.

The same run on the simulator and, where the programs are there, on the real servers,
whose list of nodes has the last word.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from . import real, seeds

Command = Callable[..., tuple[int, str, str]]
POLICY = """{
  "tagOwners": {"tag:db": []},
  "acls": [{"action": "accept", "src": ["alice@"], "dst": ["10.0.0.0/8:443"]}],
  "autoApprovers": {
    "routes": {
      "10.1.0.0/16": ["bob@"],
    },
    "exitNode": ["alice@"],
  },
}
"""
OTHER = POLICY.replace("443", "80")  # the same approvers, other rules
LISTED = "nodes: { router: { routes: { approve: [10.2.0.0/16], mode: at-least } } }"
UNWANTED = "nodes: { router: { routes: { approve: [10.2.0.0/16], mode: exact } } }"
WANTED = "nodes: { router: { routes: { approve: [10.1.0.0/16, 10.2.0.0/16] } } }"
EXIT = "nodes: { exit: { exit_node: false } }"
EXITS = {"0.0.0.0/0", "::/0"}


class Server:
    """A server with its tailnet, real or not, and the commands that are run on it."""

    def __init__(self, command: Command, folder: Path, nodes: Callable[[], Any]):
        self.command, self.folder, self.nodes = command, folder, nodes

    def write(self, entries: str, policy: str = POLICY) -> None:
        """Write the files that are planned and applied next."""
        text = f"version: 1\n{entries}\npolicy: {{ file: policy.hujson }}\n"
        (self.folder / "tailnet.yaml").write_text(text)
        (self.folder / "policy.hujson").write_text(policy)

    def planned(self) -> dict[str, Any]:
        """Return the plan of the one server."""
        code, out, err = self.command("plan", "--format", "json")
        assert code == 0, err
        plan: dict[str, Any] = json.loads(out)["servers"][0]
        return plan

    def apply(self) -> None:
        """Apply, and assert that the plan after it is empty."""
        code, out, err = self.command("apply", "--auto-approve")
        assert code == 0, out + err
        code, out, _ = self.command("plan")
        assert (code, "No changes" in out) == (0, True), out


def check(server: Server) -> None:
    """Write policies that approve routes, and take them away again."""
    before = server.nodes()
    assert before["router"] == before["exit"] == set()
    server.write(LISTED)
    set_off = server.planned()["access"]["set_off"]
    assert {one["address"]: one["source"]["line"] for one in set_off} == {
        "node:exit": 8
    }
    # The plan's own write of routes comes later, and is the whole list of the node.
    out = server.command("plan")[1]
    assert "+ routes      10.1.0.0/16, 10.2.0.0/16" in out
    assert "10.1.0.0/16 by autoApprovers, with the policy" in out
    assert "policy.hujson:8" in out
    server.apply()
    assert server.nodes()["exit"] == EXITS
    assert server.nodes()["router"] == {"10.1.0.0/16", "10.2.0.0/16"}

    server.write(LISTED, OTHER)
    assert server.planned()["access"]["set_off"] == []
    server.apply()
    assert server.nodes()["router"] == {"10.1.0.0/16", "10.2.0.0/16"}

    for entries, line in ((UNWANTED, 6), (EXIT, 8)):
        server.write(entries, OTHER)
        code, _, err = server.command("plan")
        assert (code, "RC0309" in err, f"policy.hujson:{line}" in err) == (
            1,
            True,
            True,
        )
    server.write(WANTED, OTHER)
    code, out, _ = server.command("plan", "--check")
    assert code == 0, out


@pytest.mark.parametrize("release", real.PROGRAMS)
def test_on_the_simulator(
    release: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = seeds.world(release, "tailnet") | {"any_key": True}
    (tmp_path / "world.json").write_text(json.dumps(world))
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")

    def nodes() -> dict[str, set[str]]:
        kept = json.loads((tmp_path / "world.json").read_text())["nodes"]
        return {node["name"]: set(node.get("approved", ())) for node in kept}

    check(Server(command, tmp_path, nodes))


@pytest.mark.real
@pytest.mark.parametrize("release", real.PROGRAMS)
def test_on_the_real_server(
    release: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if real.program(release) is None:
        pytest.skip(f"HEADSCALE_BINARIES has no {real.PROGRAMS[release]}")
    server = real.RealServer(release, "tailnet", tmp_path / "server")
    server.prepare()
    headers = {"Authorization": f"Bearer {server.api_key}"}
    with (
        real.running(server),
        httpx.Client(base_url=server.url, headers=headers, timeout=30) as api,
    ):
        monkeypatch.setenv("HEADSCALE_URL", server.url)
        monkeypatch.setenv("HEADSCALE_API_KEY", server.api_key)

        def nodes() -> dict[str, set[str]]:
            found = api.get("/api/v1/node").json()["nodes"]
            return {n["givenName"]: set(n["approvedRoutes"]) for n in found}

        check(Server(command, tmp_path, nodes))
        undone(api, nodes)


def undone(api: httpx.Client, nodes: Callable[[], dict[str, set[str]]]) -> None:
    """Assert that the error is right: what is un-approved is approved again."""
    answer = api.get("/api/v1/node").json()["nodes"]
    (router,) = (node["id"] for node in answer if node["givenName"] == "router")
    body: dict[str, list[str]] = {"routes": []}
    api.post(f"/api/v1/node/{router}/approve_routes", json=body).raise_for_status()
    assert nodes()["router"] == set()
    api.put("/api/v1/policy", json={"policy": POLICY}).raise_for_status()
    assert nodes()["router"] == {"10.1.0.0/16"}
