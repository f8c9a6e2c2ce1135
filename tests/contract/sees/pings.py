"""Pings between real clients: what comes through is more than the filter says of ICMP.

usage: unshare -n python -m tests.contract.sees.pings RELEASE FILE

Runs in a network namespace of its own: starts a server of the release and a few clients,
stores one policy after the other, and writes who could ping whom into FILE.
"""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.contract import namespace
from tests.contract.clients import Clients
from tests.contract.policies.server import PolicyServer
from tests.contract.seeds import SeedNode, addresses
from tests.contract.sees.cases import BASE, USERS, Policy
from tests.contract.sees.clients import snapshot

RELEASES = ("0.29", "main")
NODES = (
    SeedNode("laptop", "alice"),
    SeedNode("desk", "bob"),
    SeedNode("server", "bob", tags=("tag:web",)),
)
RECORDED = Path(__file__).parent / "recorded" / "pings.json"
_TRIES = 3
Pair = tuple[str, str]
PAIRS = list(itertools.permutations([node.name for node in NODES], 2))


def _acl(src: str, dst: str, proto: str) -> Policy:
    rule = {"action": "accept", "src": [src], "dst": [dst], "proto": proto}
    return BASE | {"acls": [rule]}


POLICIES = {
    "tcp-alone": _acl("alice@", "tag:web:80", "tcp"),
    "udp-alone": _acl("tag:web", "bob@:53", "udp"),
    "icmp-alone": _acl("bob@", "alice@:*", "icmp"),
    "nothing": BASE | {"acls": []},
}


class Pinging:
    """The clients of one server that ping each other."""

    def __init__(self, server: PolicyServer, joined: Clients) -> None:
        self.server, self.joined = server, joined

    def join(self) -> None:
        """Let all nodes join, and wait until all find each other."""
        nodes = namespace.owned(NODES, USERS)
        namespace.join(self.server, self.joined, nodes)
        deadline = time.monotonic() + 180
        missing = PAIRS
        while missing:
            if time.monotonic() > deadline:
                raise RuntimeError(f"clients do not find each other: {missing}")
            found = self.answered(missing)
            missing = [pair for pair in missing if pair not in found]

    def ask(self, policy: Policy) -> list[Pair]:
        """Store a policy; return who could ping whom under it."""
        refusal = self.server.put(policy)
        assert refusal is None, refusal
        time.sleep(3)  # until clients have it
        found: list[Pair] = []
        for _ in range(_TRIES):
            found += self.answered([pair for pair in PAIRS if pair not in found])
        return sorted(found)

    def answered(self, pairs: Iterable[Pair]) -> list[Pair]:
        """Return those of the pairs of which the second answers a ping of the first."""
        pairs = list(pairs)
        with ThreadPoolExecutor() as pool:
            return [
                p
                for p, pong in zip(pairs, pool.map(self._pong, pairs), strict=True)
                if pong
            ]

    def _pong(self, pair: Pair) -> bool:
        source, target = pair
        number = [node.name for node in NODES].index(target) + 1
        program = Path(os.environ["HEADSCALE_BINARIES"], "tailscale")
        socket = f"--socket={self.joined.server.folder / source}/s.sock"
        ping = ["ping", "--icmp", "--c=1", "--timeout=2s", addresses(number)[0]]
        done = subprocess.run(
            [program, socket, *ping], check=False, capture_output=True, timeout=30
        )
        return done.returncode == 0


def main(release: str, file: Path) -> None:
    """Furnish the namespace, join, ask, and write the answers."""
    namespace.furnish()
    with namespace.serving(release, USERS) as (asked, joined):
        pinging = Pinging(asked, joined)
        pinging.join()
        live = snapshot(asked.server)
        found = {name: pinging.ask(policy) for name, policy in POLICIES.items()}
    file.write_text(json.dumps({"release": release, "live": live, "pongs": found}))


def answers(release: str) -> dict[str, Any]:
    """Ask the clients of a release in a namespace of their own."""
    program = "tests.contract.sees.pings"
    return dict(json.loads(namespace.run(program, release, seconds=600)))


def record(releases: Iterable[str] = RELEASES) -> None:
    """Rewrite the recorded answers for all releases."""
    found = map(answers, releases)
    RECORDED.write_text("[\n" + ",\n".join(map(json.dumps, found)) + "\n]\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
