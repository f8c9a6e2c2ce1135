"""Random pairs with real clients: what they are told and open, before and after.

usage: unshare -n python -m tests.contract.tailnets.clients RELEASE COUNT SEED FILE

Runs in a network namespace of its own: each random tailnet is joined by as many clients
as it has nodes. Writes the pairs into FILE, one a line.
"""

import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from reconcile.live.snapshot import loads
from reconcile.policy.meaning.tailnet import Machine
from tests.contract import namespace, socks
from tests.contract.clients import Clients
from tests.contract.policies.comparison import delivered, unequal
from tests.contract.seeds import addresses
from tests.contract.sees.clients import NOTHING
from tests.contract.sees.comparison import Seen, evaluator, expected
from tests.contract.tailnets import cases, ranges, rows
from tests.contract.tailnets.edits import policy_text
from tests.contract.tailnets.making import Maker
from tests.contract.tailnets.netmaps import Paths, Told, ToldSide, Tried
from tests.contract.tailnets.probes import Probes
from tests.contract.tailnets.run import Result, pairs
from tests.contract.tailnets.server import Refused, Side, TailnetServer
from tests.contract.tailnets.state import Device, Person, State
from tests.contract.tailnets.trials import Trials
from tests.policy_cases import boxes, recorded_boxes

# One address in each network that tailnets have, and some of the internet. No known
# resolver is among them: clients do not open those through an exit node.
PLACES = ("10.1.2.3", "10.2.0.7", "192.168.7.9", "172.16.0.9", "203.0.113.9")
PLACES += ("8.8.8.77", "193.0.0.9", "fd00:1::5", "2001:db8::5", "2606:4700::1111")
PORTS = (22, 80, 443, 8000)
RELEASES = ("0.28", "main")
_SOCKS = 1080
_STEADY, _PATIENCE = 0.6, 5.0  # seconds
_TRIED = 30  # connections, in each state
_RETRIES, _PAUSE = 8, 3.0  # seconds between them, while a client finds its peers


class ClientMaker(Maker):
    """Makes tailnets that clients can be: all have two addresses and ask for no tag."""

    def _device(self, number: int, name: str, people: Sequence[Person]) -> Device:
        v4, v6 = addresses(number)
        made = super()._device(number, name, people)
        return replace(made, v4=v4, v6=v6, asked=())


class ClientsServer(TailnetServer):
    """A server of one release that real clients join, for tailnet after tailnet."""

    _joined: Clients

    def _seed(self, state: State) -> None:
        self.close()
        folder = self._server.folder
        rows.replace_all(folder / "db.sqlite", replace(state, devices=()))
        for device in state.devices:
            shutil.rmtree(folder / device.name, ignore_errors=True)
        self._start()
        self._refuse(state)
        self._joined = self._stack.enter_context(Clients(self._server))
        self._socks = {d.name: _SOCKS + d.id for d in state.devices}
        nodes = [(device, device.user) for device in state.devices]
        namespace.join(self._asked, self._joined, nodes, self._socks)
        self._inside = (state.people, state.devices)

    def _refuse(self, state: State) -> None:
        """Raise Refused for a policy that is refused whoever joins."""
        tested = ("tests", "sshTests")
        policy = {k: v for k, v in (state.policy or {}).items() if k not in tested}
        if refusal := self._asked.put_text(policy_text(policy)):
            raise Refused(refusal)

    def look(self, state: State) -> ToldSide:
        """Return a state that is in force, with what its clients are told and open."""
        side = super().look(state)
        names = [device.name for device in side.state.devices]
        reader = Reader(side)
        told = self._steady(names, reader)
        if late := reader.unlike(told):
            self._tell_anew(state, late)
            told = self._steady(names, reader)
        found = ToldSide(**vars(side), told=told)
        return replace(found, tried=tuple(self._tried(found)))

    def _try(self, state: State, saved: str) -> Trials:
        """Try no other policies: clients would be told of each."""
        return Trials()

    def _tell_anew(self, state: State, late: Iterable[str]) -> None:
        """Have clients told from nothing: they may keep what was shown to them before.

        Servers leave peers and routes of an earlier policy on some clients, and a
        router that goes and comes may lose its routes for others.
        """
        with self._aside(state):
            self._asked.put(NOTHING)
            time.sleep(_STEADY)
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._joined.rejoin, late))

    def _steady(self, names: Iterable[str], reader: "Reader") -> dict[str, Told]:
        """Return what clients are told once it is as expected, or does not change."""
        start = since = time.monotonic()
        told: dict[str, Told] = {}
        while True:
            now = {n: namespace.told(self._joined.netmap(n)) for n in names}
            moment = time.monotonic()
            if now != told:
                told, since = now, moment
            waited = moment - start >= _STEADY and moment - since >= _STEADY
            if waited and (moment - start >= _PATIENCE or not reader.unlike(told)):
                return told
            time.sleep(0.2)

    def _tried(self, side: ToldSide) -> Iterator[Tried]:
        """Try random connections, and again those that are not as the maps say."""
        wanted = _wanted(side)
        nodes = {device.name: device for device in side.state.devices}
        for source, exit_ in {(t.source, t.exit_) for t in wanted if t.exit_}:
            self._joined.choose_exit(source, nodes[exit_].v4)
        paths = Paths(side, self.release, wanted)
        for number in range(_RETRIES):
            time.sleep(_PAUSE * (number > 0))
            wrong = [i for i, t in enumerate(wanted) if t.opened is not paths.open(t)]
            asked = [wanted[i] for i in wrong]
            if not wrong:
                break
            found = socks.opened(
                [(self._socks[t.source], t.address, t.port) for t in asked]
            )
            for place, opened in zip(wrong, found, strict=True):
                wanted[place] = replace(wanted[place], opened=opened)
        for source in {t.source for t in wanted if t.exit_}:
            self._joined.choose_exit(source, "")
        yield from wanted


class Reader:
    """Our reading of a state: what clients should be told."""

    def __init__(self, side: Side) -> None:
        live, policy = loads(side.saved, "live.json"), side.state.policy or {}
        self._evaluator = evaluator(live, policy)
        self._seen: Seen = expected(live, policy)

    def unlike(self, told: Mapping[str, Told]) -> list[str]:
        """Return the clients that are told other things."""
        machines = self._evaluator.tailnet.machines
        return [m.name for m in machines if not self._is_like(m, told[m.name])]

    def _is_like(self, machine: Machine, told: Told) -> bool:
        ours = delivered(machine, map(boxes, self._evaluator.filter(machine)))
        theirs = delivered(machine, map(recorded_boxes, told["filter"]))
        is_filter = not list(unequal(ours, theirs))
        return is_filter and told["peers"] == self._seen[machine.name]


def _wanted(side: ToldSide) -> list[Tried]:
    """Return connections to try, each as not yet tried: neither open nor shut.

    Only those for which the client has a way: others would leave past the tailnet. One
    client in each state has chosen an exit node. Routers try nodes alone: one without
    an interface of its own may send to networks from an address behind itself.
    """
    dice = random.Random(str(side.state))
    known = [a for d in side.state.devices for a in d.addresses]
    maps = side.maps(Probes([side.state], PLACES, ()))
    names = sorted(name for name, device in maps.devices.items() if not device.routes)
    choosing = [(n, e) for n in names for e in maps.exits(n) if e]
    chosen = dict([dice.choice(choosing)]) if choosing else {}
    ways = [
        (name, address, chosen.get(name, ""))
        for name, device in sorted(maps.devices.items())
        for address in (*known, *(() if device.routes else PLACES))
        if maps.peer(name, chosen.get(name, ""), address)
    ]
    found = [Tried(n, a, p, e, None) for n, a, e in ways for p in PORTS]
    by_exit = [each for each in found if each.exit_]
    dice.shuffle(found)
    return list(
        dict.fromkeys([*by_exit[:: max(1, len(by_exit) // 8)], *found[:_TRIED]])
    )


def main(release: str, count: int, seed: str, file: Path) -> None:
    """Furnish the namespace, and write so many pairs."""
    namespace.furnish(map(ranges.alone, PLACES))
    with (
        tempfile.TemporaryDirectory() as folder,
        namespace.greeting(PLACES, PORTS),
        file.open("w") as out,
        closing(ClientsServer(release, Path(folder, "server"))) as server,
    ):
        for result in pairs(server, ClientMaker(release, f"clients {seed}"), count):
            print(result.verdict, result.refusal[:90], flush=True)
            if not result.refusal:
                out.write(json.dumps(cases.to_json(result)) + "\n")
                out.flush()


def held(release: str, count: int, seed: str) -> list[Result]:
    """Take clients through so many pairs in a namespace of their own."""
    program = "tests.contract.tailnets.clients"
    found = namespace.run(program, release, count, seed, seconds=300 + 60 * count)
    return [cases.again(cases.from_json(json.loads(x))) for x in found.splitlines()]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
