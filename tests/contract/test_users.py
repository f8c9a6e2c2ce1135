"""Users who share a name, have none or are renamed: what is answered, on both servers.

The same run on the simulator and, where the programs are there, on the real servers,
whose packet filter has the last word.
"""

import json
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest

from . import real, seeds

Command = Callable[..., tuple[int, str, str]]
FILE = """version: 1
users:
  alice: {}
  robert: { was: bob }
  carol: {}
  zoe: {}
nodes:
  router: { match: { user: robert, hostname: router } }
policy: { file: policy.hujson }
"""
RULES = {"robert@": 22, "alice@corp.example": 80, "eve@corp.example": 443}
POLICY = {
    "tagOwners": {"tag:db": []},
    "acls": [
        {"action": "accept", "src": [who], "dst": [f"tag:db:{port}"]}
        for who, port in RULES.items()
    ],
}
OPEN = [("router", 22), ("alice-pc", 80), ("eve-pc", 443)]
CLOSED = [("laptop", 80), ("alice-pc", 22), ("eve-pc", 22), ("laptop", 443)]


def check(command: Command, folder: Path) -> None:
    """Rename a user, write a policy that names three, and ask who reaches what."""
    (folder / "tailnet.yaml").write_text(FILE)
    (folder / "policy.hujson").write_text(json.dumps(POLICY))
    code, out, err = command("apply", "--auto-approve")
    assert code == 0, out + err
    code, out, _ = command("plan")
    assert (code, "No changes" in out) == (0, True), out
    for source, port in OPEN:
        assert command("access", "why", source, f"db:{port}")[0] == 0, source
    for source, port in CLOSED:
        assert command("access", "why", source, f"db:{port}")[1].startswith("no"), (
            source
        )


@pytest.mark.parametrize("release", real.PROGRAMS)
def test_on_the_simulator(
    release: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = seeds.world(release, "namesakes") | {"any_key": True}
    (tmp_path / "world.json").write_text(json.dumps(world))
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")
    check(command, tmp_path)


@pytest.mark.real
@pytest.mark.parametrize("release", real.PROGRAMS)
def test_on_the_real_server(
    release: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if real.program(release) is None:
        pytest.skip(f"HEADSCALE_BINARIES has no {real.PROGRAMS[release]}")
    server = real.RealServer(release, "namesakes", tmp_path / "server")
    server.prepare()
    with real.running(server):
        monkeypatch.setenv("HEADSCALE_URL", server.url)
        monkeypatch.setenv("HEADSCALE_API_KEY", server.api_key)
        check(command, tmp_path)
        numbers = {n.name: i for i, n in enumerate(seeds.NAMESAKES, 1)}
        rules = compiled(server)
        for name, port in (*OPEN, *CLOSED):
            address = ip_address(f"100.64.0.{numbers[name]}")
            allowed = any(port == at and address in of for of, at in rules)
            assert allowed is ((name, port) in OPEN), (name, port)


def compiled(server: real.RealServer) -> list[tuple[list[Any], int]]:
    """Return sources and port of each rule of the server's packet filter, by IPv4."""
    answer = httpx.get(
        f"http://127.0.0.1:{server.ports[1]}/debug/filter",
        headers={"Accept": "application/json"},
    )
    return [
        ([*addresses(source)], target["Ports"]["First"])
        for rule in answer.json()
        for source in rule["SrcIPs"]
        for target in rule["DstPorts"]
        if "." in source and "." in target["IP"]
    ]


def addresses(text: str) -> Iterator[Any]:
    """Yield the addresses of a prefix, or of a range as 0.29 and main write it."""
    first, _, last = text.partition("-")
    if not last:
        yield from ip_network(first)
        return
    for number in range(int(ip_address(first)), int(ip_address(last)) + 1):
        yield ip_address(number)
