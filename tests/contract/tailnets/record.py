"""Record pairs as real servers answered them, for a replay without any server.

usage: python -m tests.contract.tailnets.record [RELEASE | clients] ...

Rewrites tests/contract/tailnets/recorded for the servers in HEADSCALE_BINARIES: of
random pairs those that are told rightly and together show most. With `clients` it is
recorded_clients: what real clients of some releases were told and opened.
"""

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.contract import real
from tests.contract.tailnets import cases, clients, own
from tests.contract.tailnets.names import kind_of
from tests.contract.tailnets.run import Result, held
from tests.contract.tailnets.state import State

RECORDED = Path(__file__).parent / "recorded"
BY_CLIENTS = RECORDED.with_name("recorded_clients")
_TRIED, _BY_CLIENTS = 120, 50
_MOST, _MOST_CLIENTS = 8, 4


def chosen(results: Iterable[Result], most: int = _MOST) -> Iterator[Result]:
    """Yield some results, each the one that shows most besides those before it."""
    left = [(_shown(r), r) for r in results if r.verdict == "right" and not r.answers]
    for _ in range(most):
        best = max(left, key=lambda each: len(each[0]), default=None)
        if best is None or not best[0]:
            return
        left = [(shown - best[0], r) for shown, r in left if r is not best[1]]
        yield best[1]


def _shown(result: Result) -> set[str]:
    """Return what is to be seen: kinds of edits, of nodes, of words, of services."""
    found = {type(edit).__name__ for edit in result.pair.edits}
    found |= _about(result.pair.before, result.release)
    access = result.told.get("access") or {}
    for what in ("gained", "lost"):
        for line in access.get(what, ()):
            for side in ("sources", "targets"):
                found |= {f"{what} {side} {kind_of(word)}" for word in line[side]}
            found |= {f"{what} {word.split()[0]}" for word in line["services"]}
    return found


def _about(state: State, release: str) -> set[str]:
    """Return what is special in a tailnet and its policy."""
    exits = [device.offers_exit for device in state.devices]
    policy, groups = state.policy or {}, (state.policy or {}).get("groups", {})
    tokens = [token for members in groups.values() for token in members]
    special = {
        "an exit node beside others": any(exits) and not all(exits),
        "several exit nodes": sum(exits) > 1,
        "tags that a device asks for": any(d.asked for d in state.devices),
        "a node of one family": any(not d.v4 or not d.v6 for d in state.devices),
        "a group that is dropped": bool(own.dropped(release, state)),
        "a token of two users": any(len(state.fitting(t)) > 1 for t in tokens),
        "own devices": own.SELF in str(policy),
        "via": "'via'" in str(policy),
    }
    return {name for name, there in special.items() if there}


def recorded(release: str, folder: Path = RECORDED) -> list[Result]:
    """Return the recorded pairs of a release, without what a plan says of them."""
    file = folder / f"{release}.json"
    return [cases.from_json(value) for value in json.loads(file.read_text())]


def main(releases: list[str]) -> None:
    """Record the chosen releases, or all that are there."""
    for release in releases or real.PROGRAMS:
        if release == "clients":
            for each in clients.RELEASES:
                found = clients.held(each, _BY_CLIENTS, "recorded")
                write(BY_CLIENTS / f"{each}.json", chosen(found, _MOST_CLIENTS))
            continue
        if real.program(release) is None:
            print(f"{release}: no {real.PROGRAMS[release]} in HEADSCALE_BINARIES")
            continue
        with tempfile.TemporaryDirectory() as folder:
            results = held(release, _TRIED, "recorded", Path(folder))
            write(RECORDED / f"{release}.json", chosen(results))


def write(file: Path, results: Iterable[Result]) -> None:
    """Write pairs, one a line."""
    lines = [json.dumps(cases.to_json(each)) for each in results]
    file.parent.mkdir(exist_ok=True)
    file.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(file.name, len(lines), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
