"""Real clients under random policies: what each received, and what it can open.

usage: unshare -n python -m tests.contract.policies.clients COUNT SEED FILE

Runs in a network namespace of its own, which it furnishes itself: the clients talk to
each other over every address that they find. Starts a server of the newest release and
its clients, stores one policy after the other, waits until every client has it, and
writes what they have and reach into FILE.
"""

import itertools
import json
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from reconcile.policy.access.access import Access
from reconcile.policy.access.evaluate import Evaluator
from reconcile.policy.language.sets import prefix
from reconcile.policy.reading import read
from tests.contract import namespace, socks
from tests.contract.clients import Clients
from tests.contract.namespace import told
from tests.contract.policies import tailnet
from tests.contract.policies.comparison import client_differences, refusals
from tests.contract.policies.generator import Generator
from tests.contract.policies.server import Answer, PolicyServer
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


class Told:
    """The clients of one server, all in this network namespace."""

    def __init__(self, server: PolicyServer, clients: Clients) -> None:
        self.server, self.clients = server, clients
        self.socks = {node.name: 1080 + n for n, node in enumerate(NODES)}

    def join(self) -> None:
        """Let all nodes join, approve routes, and wait until all reach each other."""
        nodes = namespace.owned(NODES, tailnet.USERS)
        namespace.join(self.server, self.clients, nodes, self.socks)
        deadline = time.monotonic() + 120
        pairs = _pairs()
        while not all(self._tried(pairs).values()):
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
            **told(page),
            "attributes": sorted(
                ATTRIBUTES & set(page["SelfNode"].get("CapMap") or ())
            ),
        }

    def _opened(self, evaluator: Evaluator, tried: list[Probe]) -> list[Probe]:
        results = self._tried(tried)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            wrong = [p for p in tried if results[p] != opens(evaluator, p)]
            if not wrong:
                break
            results |= self._tried(wrong)
        return sorted(probe for probe in tried if results[probe])

    def _tried(self, wanted: list[Probe]) -> dict[Probe, bool]:
        results = socks.opened([(self.socks[s], a, port) for s, a, port in wanted])
        return dict(zip(wanted, results, strict=True))


def _pairs() -> list[Probe]:
    found: list[Probe] = []
    for source, (number, target) in itertools.product(NODES, enumerate(NODES, 1)):
        if source is not target:
            v4, v6 = addresses(number)
            found += [(source.name, v4, port) for port in PORTS]
            found.append((source.name, v6, PORTS[0]))
    return found


def probes(clients: Answer) -> list[Probe]:
    """Return what is tried: every pair, and the network's printer.

    The printer only from where a client was told its route: any other would dial the
    address past the tailnet, and an exit node takes every such address for its own.
    """
    return _pairs() + [
        (node.name, PRINTER, port)
        for node in NODES
        for port in PORTS
        if node.routes != EXIT
        and PRINTER_ROUTE in clients[node.name]["peers"].get("router", ())
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


def main(count: int, seed: str, file: Path) -> None:
    """Furnish the namespace, join, ask, and write the answers."""
    namespace.furnish([PRINTER])
    with (
        namespace.greeting([PRINTER], PORTS),
        namespace.serving(RELEASE, tailnet.USERS) as (asked, joined),
        file.open("w") as out,
    ):
        clients = Told(asked, joined)
        clients.join()
        for policy in itertools.islice(policies(seed), count):
            out.write(json.dumps(clients.ask(policy)) + "\n")
            out.flush()


def recorded(count: int, seed: str) -> list[Answer]:
    """Ask clients in a namespace of their own; return the answers of so many policies."""
    program = "tests.contract.policies.clients"
    seconds = 300 + 60 * count
    found = namespace.run(program, count, seed, seconds=seconds)
    return [json.loads(line) for line in found.splitlines()]


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
