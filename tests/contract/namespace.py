"""Real clients of one server, in a network namespace of their own.

The clients talk to each other over every address that they find. A program that needs
them is started by `run`, inside a namespace; there it `furnish`es it, and is `serving`.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from tests.contract import real
from tests.contract.clients import Clients
from tests.contract.policies.server import PolicyServer, logins, rule
from tests.contract.socks import GREETING

OPEN: dict[str, Any] = {
    "tagOwners": {
        f"tag:{name}": [] for name in ("web", "db", "router", "exit", "idle")
    },
    "acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}],
}
_GREETER = """
import asyncio, sys
async def greet(reader, writer):
    writer.write(sys.argv[1].encode())
    writer.close()
async def main():
    hosts = ["127.0.0.1", "::1", *sys.argv[2].split()]
    ports = map(int, sys.argv[3].split())
    servers = [await asyncio.start_server(greet, hosts, port) for port in ports]
    print("ready", flush=True)
    await asyncio.gather(*(s.serve_forever() for s in servers))
asyncio.run(main())
"""


class Joining(Protocol):
    """A node that is to join; `approved` are the routes that are approved then."""

    @property
    def name(self) -> str: ...
    @property
    def tags(self) -> tuple[str, ...]: ...
    @property
    def routes(self) -> tuple[str, ...]: ...
    @property
    def approved(self) -> tuple[str, ...]: ...


def missing(release: str) -> str:
    """Say what is not here that clients of a release need; "" when all is."""
    folder = os.environ.get("HEADSCALE_BINARIES")
    for name in (real.PROGRAMS[release], "tailscaled", "tailscale"):
        if not folder or not Path(folder, name).exists():
            return f"HEADSCALE_BINARIES has no {name}"
    if os.geteuid() != 0:
        return "only root can make a network namespace"
    absent = [name for name in ("unshare", "ip") if not shutil.which(name)]
    return f"{absent[0]} is not installed" if absent else ""


def run(program: str, *arguments: object, seconds: int) -> str:
    """Run a module in a namespace of its own; return the file that it wrote.

    The file is its last argument.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "answers")
        command = ["unshare", "-n", sys.executable, "-m", program]
        command += [*map(str, arguments), str(file)]
        subprocess.run(command, check=True, timeout=seconds)
        return file.read_text()


def furnish(addresses: Iterable[str] = ()) -> None:
    """Give this network namespace links: with loopback alone clients stay offline.

    The addresses are on loopback, for whoever routes to them.
    """
    for line in (
        "link set lo up",
        "link add v0 type veth peer name v1",
        "addr add 198.18.0.1/24 dev v0",
        "link set v0 up",
        "link set v1 up",
        "route add default dev v0",
        *(f"addr add {address} dev lo" for address in addresses),
    ):
        subprocess.run(["ip", *line.split()], check=True)


@contextlib.contextmanager
def greeting(addresses: Iterable[str], ports: Iterable[int]) -> Iterator[None]:
    """Greet whoever connects to one of the ports, on loopback and on some addresses."""
    words = [" ".join(addresses), " ".join(map(str, ports))]
    greeter = subprocess.Popen(
        [sys.executable, "-c", _GREETER, GREETING.decode(), *words],
        stdout=subprocess.PIPE,
    )
    try:
        assert greeter.stdout
        assert greeter.stdout.readline() == b"ready\n"
        yield
    finally:
        greeter.kill()
        greeter.wait()


@contextlib.contextmanager
def serving(
    release: str, users: Mapping[str, str]
) -> Iterator[tuple[PolicyServer, Clients]]:
    """Start a server with users and no nodes, ready for clients to join."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "server")
        server = real.RealServer(release, "tailnet", place, users=users, nodes=())
        server.prepare()
        with (
            real.running(server),
            PolicyServer(server) as asked,
            Clients(server) as joined,
        ):
            yield asked, joined


def join(
    server: PolicyServer,
    joined: Clients,
    nodes: Iterable[tuple[Joining, int]],
    socks: Mapping[str, int] | None = None,
) -> None:
    """Let nodes of users, by id, join one after the other; approve their routes.

    `socks` are the ports of their SOCKS5 proxies. The policy is `OPEN` afterwards.
    """
    server.put(OPEN)
    for number, (node, user) in enumerate(nodes, 1):
        key = server.key(user, node.tags)
        port = (socks or {}).get(node.name)
        joined.begin(node.name, key, list(node.routes), socks=port)
        server.approve(number, list(node.approved))
    joined.finish()


def owned(
    nodes: Iterable[Any], users: Mapping[str, str]
) -> Iterator[tuple[Joining, int]]:
    """Yield nodes with the ids of the users whose names they have."""
    ids = {name: number for number, name in enumerate(users, 1)}
    for node in nodes:
        yield node, ids[node.user]


def shown(netmap: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the peers of a client's map, each with the routes that lead through it."""
    return {
        peer["Name"].partition(".")[0]: sorted(
            set(peer.get("AllowedIPs") or ()) - set(peer["Addresses"])
        )
        for peer in netmap.get("Peers") or ()
    }


def told(netmap: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filter, the logins and the peers of a client's map in a short form."""
    return {
        "filter": [rule(each) for each in netmap.get("PacketFilterRules") or ()],
        "ssh": logins(netmap.get("SSHPolicy")),
        "peers": shown(netmap),
    }
