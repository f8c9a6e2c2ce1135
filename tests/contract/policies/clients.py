"""Real clients under random policies: what each received, and what it can open.

usage: unshare -n python -m tests.contract.policies.clients COUNT SEED FILE

Runs in a network namespace of its own, which it furnishes itself: the clients talk to
each other over every address that they find. Starts a server of the newest release and
its clients, stores one policy after the other, waits until every client has it, and
writes what they have and reach into FILE.
"""

import asyncio
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from reconcile.policy.access import Access
from reconcile.policy.evaluate import Evaluator
from reconcile.policy.reading import read
from reconcile.policy.sets import prefix
from tests.contract import real
from tests.contract.clients import Clients
from tests.contract.policies import tailnet
from tests.contract.policies.comparison import client_differences, refusals
from tests.contract.policies.generator import Generator
from tests.contract.policies.server import Answer, PolicyServer, logins, rule
from tests.contract.seeds import EXIT, SeedNode, addresses

RELEASE = "main"
# As in the other tailnet, so that the same hosts and addresses mean something.
NODES = (
    SeedNode("laptop", "alice"),
    SeedNode("phone", "alice"),
    SeedNode("desk", "bob"),
    SeedNode("tablet", "carol"),
    SeedNode(
        "router",
        "bob",
        routes=("10.1.0.0/16", "10.2.0.0/24", "fd00:1::/64"),
        approved=("10.1.0.0/16", "fd00:1::/64"),
    ),
    SeedNode("exit", "carol", routes=EXIT, approved=EXIT, tags=("tag:exit",)),
    SeedNode(
        "gateway",
        "bob",
        routes=("192.168.7.0/24",),
        approved=("192.168.7.0/24",),
        tags=("tag:router",),
    ),
    SeedNode("server", "bob", tags=("tag:web",)),
    SeedNode("store", "bob", tags=("tag:db", "tag:web")),
)
GROUND = tailnet.tailnet(RELEASE, NODES)
PORTS = (22, 80, 8000)  # tried over IPv4; the first over IPv6 as well
# What policies give; servers give every node others.
ATTRIBUTES = {"nextdns:abc", "mullvad", "magicdns-aaaa", "randomize-client-port"}
PRINTER, PRINTER_ROUTE = "10.1.2.3", "10.1.0.0/16"  # behind the router
OPEN: dict[str, Any] = {
    "tagOwners": {
        f"tag:{name}": [] for name in ("web", "db", "router", "exit", "idle")
    },
}
OPEN["acls"] = [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]

Probe = tuple[str, str, int]  # from a node, to an address, at a port


def policies(seed: object) -> Iterator[dict[str, Any]]:
    """Yield policies that the server takes; their own tests are left out."""
    generator = Generator(RELEASE, f"clients {seed}")
    while True:
        value = generator.policy()
        for name in ("tests", "sshTests", "autoApprovers"):
            value.pop(name, None)
        if not refusals(Evaluator(read(value, RELEASE), GROUND)):
            yield value


class Namespace:
    """The clients of one server, all in this network namespace."""

    def __init__(self, server: PolicyServer, clients: Clients) -> None:
        self.server, self.clients = server, clients
        self.socks = {node.name: 1080 + n for n, node in enumerate(NODES)}

    def join(self) -> None:
        """Let all nodes join, approve routes, and wait until all reach each other."""
        self.server.put(OPEN)
        for node in NODES:
            key = self.server.key(list(tailnet.USERS).index(node.user) + 1, node.tags)
            self.clients.join(
                node.name, key, list(node.routes), socks=self.socks[node.name]
            )
        for number, node in enumerate(NODES, 1):
            self.server.approve(number, list(node.approved))
        deadline = time.monotonic() + 120
        pairs = _pairs()
        while not all(asyncio.run(self._tried(pairs)).values()):
            if time.monotonic() > deadline:
                raise RuntimeError("the clients do not find each other")

    def ask(self, policy: dict[str, Any]) -> Answer:
        """Store a policy; return what the clients got and reach.

        The first tries after a change may fail while paths are found anew, so that
        what is not as expected is tried again for a while.
        """
        refusal = self.server.put(policy)
        if refusal is not None:
            return {"policy": policy, "refusal": refusal}
        answer = {"policy": policy, "refusal": None}
        evaluator = Evaluator(read(policy, RELEASE), GROUND)
        deadline = time.monotonic() + 15
        while True:
            answer["clients"] = {node.name: self.netmap(node.name) for node in NODES}
            if time.monotonic() > deadline or not client_differences(
                evaluator, answer["clients"]
            ):
                break
            time.sleep(0.2)
        tried = probes(answer["clients"])
        answer["opened"] = [list(probe) for probe in self._opened(evaluator, tried)]
        return answer

    def netmap(self, name: str) -> Answer:
        """Return what a client was told, in a short form."""
        page = self.clients.netmap(name)
        return {
            "filter": [rule(each) for each in page.get("PacketFilterRules") or ()],
            "ssh": logins(page.get("SSHPolicy")),
            "peers": {
                _short(peer["Name"]): sorted(
                    set(peer.get("AllowedIPs") or ()) - set(peer["Addresses"])
                )
                for peer in page.get("Peers") or ()
            },
            "attributes": sorted(
                ATTRIBUTES & set(page["SelfNode"].get("CapMap") or ())
            ),
        }

    def _opened(self, evaluator: Evaluator, tried: list[Probe]) -> list[Probe]:
        results = asyncio.run(self._tried(tried))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            wrong = [p for p in tried if results[p] != opens(evaluator, p)]
            if not wrong:
                break
            results |= asyncio.run(self._tried(wrong))
        return sorted(probe for probe in tried if results[probe])

    async def _tried(self, wanted: list[Probe]) -> dict[Probe, bool]:
        results = await asyncio.gather(*map(self._try, wanted))
        return dict(zip(wanted, results, strict=True))

    async def _try(self, probe: Probe) -> bool:
        source, address, port = probe
        try:
            return await asyncio.wait_for(
                _connects(self.socks[source], address, port), timeout=4
            )
        except (TimeoutError, OSError):
            return False


def _short(name: str) -> str:
    return name.partition(".")[0]


def _pairs() -> list[Probe]:
    found: list[Probe] = []
    for source, (number, target) in itertools.product(NODES, enumerate(NODES, 1)):
        if source is not target:
            v4, v6 = addresses(number)
            found += [(source.name, v4, port) for port in PORTS]
            found.append((source.name, v6, PORTS[0]))
    return found


def probes(told: Answer) -> list[Probe]:
    """Return what is tried: every pair, and the network's printer.

    The printer only from where a client was told its route: any other would dial the
    address past the tailnet, and an exit node takes every such address for its own.
    """
    return _pairs() + [
        (node.name, PRINTER, port)
        for node in NODES
        for port in PORTS
        if node.routes != EXIT
        and PRINTER_ROUTE in told[node.name]["peers"].get("router", ())
    ]


def opens(evaluator: Evaluator, probe: Probe) -> bool:
    """Tell whether the filter of whoever has, or routes to, an address lets one in."""
    source, address, port = probe
    target = prefix(address)
    machines = {machine.name: machine for machine in evaluator.tailnet.machines}
    of_family = [
        a for a in machines[source].node.addresses if (":" in a) == (":" in address)
    ]
    here = prefix(of_family[0])
    return any(
        here <= rule.sources
        and any(
            target <= opening.addresses
            and any(6 in s.protocols and port in s.ports for s in opening.services)
            for opening in rule.openings
        )
        for machine in evaluator.tailnet.machines
        if machine.matches(target)
        for rule in evaluator.filter(machine)
    )


def differences(answer: Answer) -> list[str]:
    """Return where what clients were told, and what they opened, differs from ours."""
    if answer["refusal"] is not None:
        return [f"ours accepts, server {answer['refusal']!r}"]
    policy = read(answer["policy"], RELEASE)
    evaluator = Evaluator(policy, GROUND)
    opened = {tuple(probe) for probe in answer["opened"]}
    return [
        *client_differences(evaluator, answer["clients"]),
        *(
            f"{probe} was {'opened' if probe in opened else 'shut'}, against the filter"
            for probe in probes(answer["clients"])
            if (probe in opened) != opens(evaluator, probe)
        ),
        *_against_access(Access(policy, GROUND), opened),
    ]


def _against_access(access: Access, opened: Collection[Any]) -> Iterator[str]:
    """Compare what was opened with `access`, which has one answer for both families."""
    for source, (number, target), port in itertools.product(
        NODES, enumerate(NODES, 1), PORTS
    ):
        if source is target:
            continue
        allowed = access.why(source.name, target.name, port).allowed
        reached = any((source.name, a, port) in opened for a in addresses(number))
        over_both = port == PORTS[0]
        if reached > allowed or (over_both and reached != allowed):
            yield f"access {source.name} -> {target.name}:{port}: {allowed}"


async def _connects(socks: int, address: str, port: int) -> bool:
    """Open a connection through a client's SOCKS5 proxy and read its greeting."""
    reader, writer = await asyncio.open_connection("127.0.0.1", socks)
    try:
        writer.write(b"\x05\x01\x00")
        await reader.readexactly(2)
        host = address.encode()
        writer.write(b"\x05\x01\x00\x03" + bytes([len(host)]) + host + port.to_bytes(2))
        answer = await reader.readexactly(4)
        if answer[1] != 0:
            return False
        await reader.readexactly({1: 4, 4: 16}[answer[3]] + 2)
        return await reader.read(2) == b"ok"
    except asyncio.IncompleteReadError:
        return False
    finally:
        writer.close()


_GREETER = """
import asyncio, sys
async def greet(reader, writer):
    writer.write(b"ok")
    writer.close()
async def main():
    hosts = ["127.0.0.1", "::1", sys.argv[1]]
    servers = [await asyncio.start_server(greet, hosts, int(p)) for p in sys.argv[2:]]
    print("ready", flush=True)
    await asyncio.gather(*(s.serve_forever() for s in servers))
asyncio.run(main())
"""


def furnish() -> None:
    """Give this network namespace links: with loopback alone clients stay offline."""
    for line in (
        "link set lo up",
        "link add v0 type veth peer name v1",
        "addr add 198.18.0.1/24 dev v0",
        f"addr add {PRINTER}/32 dev lo",
        "link set v0 up",
        "link set v1 up",
        "route add default dev v0",
    ):
        subprocess.run(["ip", *line.split()], check=True)


def main(count: int, seed: str, file: Path) -> None:
    """Furnish the namespace, join, ask, and write the answers."""
    furnish()
    greeter = subprocess.Popen(
        [sys.executable, "-c", _GREETER, PRINTER, *map(str, PORTS)],
        stdout=subprocess.PIPE,
    )
    try:
        assert greeter.stdout
        assert greeter.stdout.readline() == b"ready\n"
        with tempfile.TemporaryDirectory() as folder:
            server = real.RealServer(
                RELEASE,
                "tailnet",
                Path(folder, "server"),
                users=tailnet.USERS,
                nodes=(),
            )
            server.prepare()
            with (
                real.running(server),
                PolicyServer(server) as asked,
                Clients(server) as clients,
            ):
                namespace = Namespace(asked, clients)
                namespace.join()
                with file.open("w") as out:
                    for policy in itertools.islice(policies(seed), count):
                        out.write(json.dumps(namespace.ask(policy)) + "\n")
                        out.flush()
    finally:
        greeter.kill()
        greeter.wait()


def missing() -> str:
    """Say what is not here that clients need; "" when all is."""
    folder = os.environ.get("HEADSCALE_BINARIES")
    for name in (real.PROGRAMS[RELEASE], "tailscaled", "tailscale"):
        if not folder or not Path(folder, name).exists():
            return f"HEADSCALE_BINARIES has no {name}"
    if os.geteuid() != 0:
        return "only root can make a network namespace"
    absent = [name for name in ("unshare", "ip") if not shutil.which(name)]
    return f"{absent[0]} is not installed" if absent else ""


def recorded(count: int, seed: str, folder: Path) -> list[Answer]:
    """Ask clients in a namespace of their own; return the answers of so many policies."""
    file = folder / "answers"
    program = [sys.executable, "-m", "tests.contract.policies.clients"]
    subprocess.run(
        ["unshare", "-n", *program, str(count), seed, str(file)],
        check=True,
        timeout=300 + 60 * count,
    )
    return [json.loads(line) for line in file.read_text().splitlines()]


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
