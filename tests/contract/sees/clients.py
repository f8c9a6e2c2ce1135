"""Real clients of one server: which peers, routes and exit nodes each is shown.

usage: unshare -n python -m tests.contract.sees.clients RELEASE COUNT FILE

Runs in a network namespace of its own: starts a server of the release and the clients,
stores one policy after the other, and writes into FILE what each client has then, beside
a snapshot of the server.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from reconcile.live.snapshot import loads
from reconcile.model import Live
from tests.contract import namespace, real
from tests.contract.clients import Clients
from tests.contract.namespace import shown
from tests.contract.policies.server import PolicyServer
from tests.contract.sees.cases import (
    BASE,
    NODES,
    ROUTERS,
    USERS,
    Policy,
    policies,
)
from tests.contract.sees.comparison import Seen, expected

Answer = dict[str, Any]
_STEADY, _PATIENCE = 0.6, 4.0  # seconds
_TRIES = 3
_OLD = ("0.26", "0.27")
NOTHING = BASE | {"acls": []}


def look(joined: Clients, wanted: Seen) -> Seen:
    """Return what the clients are shown of whom something is wanted, once it is steady.

    They hear of it a moment later, so that what is not as wanted is waited for.
    """
    start = since = time.monotonic()
    seen: Seen = {}
    while True:
        now = {name: shown(joined.netmap(name)) for name in wanted}
        moment = time.monotonic()
        if now != seen:
            seen, since = now, moment
        if seen == wanted and moment - start >= _STEADY:
            return seen
        if moment - since >= _STEADY and moment - start >= _PATIENCE:
            return seen
        time.sleep(0.2)


class Asked:
    """Clients of one server that are asked what they are shown."""

    def __init__(self, server: PolicyServer, joined: Clients, live: Live) -> None:
        self.server, self.joined, self.live = server, joined, live
        self.release = server.server.release

    def all(self, count: int) -> Iterator[Answer]:
        """Store each policy that the server takes; yield what clients are shown."""
        for name, policy in policies(self.release, count):
            if self.server.put(policy) is None:
                print(name, flush=True)
                yield {"name": name, "policy": policy, "seen": self._seen(policy)}

    def _seen(self, policy: Policy) -> Seen:
        """Return what clients are shown under a policy, told to them from nothing.

        Servers leave peers of an earlier policy on a client that is still to be told
        of their routes, and send who has no rule at all every peer that changes
        (0.29.2): what is not as expected is told anew. Up to 0.27 no client hears that
        it has no peer any more: it has to connect anew.
        """
        nothing = expected(self.live, NOTHING)
        wanted = self._heard(expected(self.live, policy))
        seen: Seen = {}
        for _ in range(_TRIES):
            if self.release in _OLD:
                self._reconnect([n for n in seen if seen[n] != wanted[n]])
            else:
                self.server.put(NOTHING)
                look(self.joined, nothing)
            self.server.put(policy)
            seen = look(self.joined, wanted)
            if seen == wanted:
                break
        return seen

    def _heard(self, wanted: Seen) -> Seen:
        """Leave out the routers of 0.26 that are to see nobody: they cannot be compared.

        They do not hear of it, and 0.26.1 forgets the routes of who connects anew.
        """
        if self.release != "0.26":
            return wanted
        return {n: peers for n, peers in wanted.items() if peers or n not in ROUTERS}

    def _reconnect(self, names: Collection[str]) -> None:
        """Let clients connect anew; the first router of a network leads it again."""
        if self.release == "0.26":
            names = {*names} - {*ROUTERS}
        routers = ["router", "gateway"] if {"router", "gateway"} & {*names} else []
        for name in routers:
            self.joined.rejoin(name)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self.joined.rejoin, {*names} - {*routers}))


def snapshot(server: real.RealServer) -> Answer:
    """Return the live state of a server as `reconcile snapshot` saves it."""
    file = server.folder / "live.json"
    subprocess.run(
        [sys.executable, "-m", "reconcile", "snapshot", "-o", str(file)],
        env={
            **os.environ,
            "HEADSCALE_URL": server.url,
            "HEADSCALE_API_KEY": server.api_key,
        },
        check=True,
        timeout=60,
    )
    return dict(json.loads(file.read_text()))


def main(release: str, count: int, file: Path) -> None:
    """Furnish the namespace, let the clients join, and write what they are shown."""
    namespace.furnish()
    with namespace.serving(release, USERS) as (asked, joined):
        namespace.join(asked, joined, namespace.owned(NODES, USERS))
        live = snapshot(asked.server)
        told = loads(json.dumps(live), "live.json")
        found = list(Asked(asked, joined, told).all(count))
    file.write_text(json.dumps({"release": release, "live": live, "asked": found}))


def answers(release: str, count: int) -> Answer:
    """Ask the clients of a release in a namespace of their own."""
    program = "tests.contract.sees.clients"
    return dict(json.loads(namespace.run(program, release, count, seconds=1500)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
