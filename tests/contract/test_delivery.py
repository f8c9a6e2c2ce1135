"""A real Headscale that reads its policy from a file: delivered, and in force."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconcile import cli

from . import real
from .real import RealServer

YAML = """\
version: 1
policy: {{ file: wanted.hujson, deliver: {{ file: {path}, then: {program} }} }}
nodes:
  laptop: {{ match: {{ id: "1" }}, tags: [{tag}] }}
"""
POLICY = """\
// kept byte for byte\r
{{ "tagOwners": {{ "{tag}": [] }},
  "acls": [ {{ "action": "accept", "src": ["{tag}"], "dst": ["{tag}:22"] }}, ] }}
"""
RELOAD = "import os, signal, sys; os.kill(int(sys.argv[1]), signal.SIGHUP)"


@pytest.fixture(params=list(real.PROGRAMS))
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RealServer]:
    """A server with users and nodes, started again in file mode."""
    if real.program(request.param) is None:
        pytest.skip(f"HEADSCALE_BINARIES has no {real.PROGRAMS[request.param]}")
    server = RealServer(request.param, "tailnet", tmp_path / "server")
    server.prepare()
    server.seed = "file"
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def deliver(
    server: RealServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], int]:
    """Apply a policy that owns a tag, and that tag for a node."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADSCALE_URL", server.url)
    monkeypatch.setenv("HEADSCALE_API_KEY", server.api_key)
    monkeypatch.setenv("RECONCILE_ALLOW_COMMANDS", "1")

    def apply(tag: str) -> int:
        assert server.process is not None
        program = [sys.executable, "-c", RELOAD, str(server.process.pid)]
        path = server.folder / "policy.hujson"
        yaml = YAML.format(tag=tag, path=path, program=json.dumps(program))
        Path("tailnet.yaml").write_text(yaml)
        Path("wanted.hujson").write_bytes(POLICY.format(tag=tag).encode())
        return int(cli.run(["apply", "--auto-approve"]))

    return apply


@pytest.mark.real
def test_a_delivered_policy_is_in_force(
    server: RealServer, deliver: Callable[[str], int]
) -> None:
    """From 0.28 on a server takes a tag only if the policy in force knows it."""
    assert deliver("tag:one") == 0
    served = server.folder / "policy.hujson"
    assert served.read_bytes() == POLICY.format(tag="tag:one").encode()
    assert cli.run(["plan", "--check"]) == 0
    # A tag that is renamed takes two policies, the second of them after the tag.
    assert deliver("tag:two") == 0
    assert served.read_bytes() == POLICY.format(tag="tag:two").encode()
    assert cli.run(["plan", "--check"]) == 0
