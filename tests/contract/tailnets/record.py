"""Record pairs as real servers answered them, for a replay without any server.

usage: python -m tests.contract.tailnets.record [RELEASE] ...

Rewrites tests/contract/tailnets/recorded for the servers in HEADSCALE_BINARIES: of
random pairs those that are told rightly and show something that no other one shows.
"""

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.contract import real
from tests.contract.tailnets import cases
from tests.contract.tailnets.names import kind_of
from tests.contract.tailnets.run import Result, held

RECORDED = Path(__file__).parent / "recorded"
_TRIED = 80
_MOST = 8


def chosen(results: Iterable[Result]) -> Iterator[Result]:
    """Yield the results that show anything new."""
    seen: set[str] = set()
    for result in results:
        new = _shown(result) - seen
        if result.verdict == "right" and not result.answers and len(new) > 1:
            seen |= new
            yield result


def _shown(result: Result) -> set[str]:
    """Return what is to be seen in a plan: kinds of edits, of words, of services."""
    found = {type(edit).__name__ for edit in result.pair.edits}
    access = result.told.get("access") or {}
    for what in ("gained", "lost"):
        for line in access.get(what, ()):
            for side in ("sources", "targets"):
                found |= {f"{what} {side} {kind_of(word)}" for word in line[side]}
            found |= {f"{what} {word.split()[0]}" for word in line["services"]}
    return found


def recorded(release: str) -> list[Result]:
    """Return the recorded pairs of a release, without what a plan says of them."""
    file = RECORDED / f"{release}.json"
    return [cases.from_json(value) for value in json.loads(file.read_text())]


def main(releases: list[str]) -> None:
    """Record the chosen releases, or all that are there."""
    for release in releases or real.PROGRAMS:
        if real.program(release) is None:
            print(f"{release}: no {real.PROGRAMS[release]} in HEADSCALE_BINARIES")
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = list(chosen(held(release, _TRIED, "recorded", Path(folder))))
        lines = [json.dumps(cases.to_json(each)) for each in found[:_MOST]]
        RECORDED.mkdir(exist_ok=True)
        file = RECORDED / f"{release}.json"
        file.write_text("[\n" + ",\n".join(lines) + "\n]\n")
        print(file.name, len(lines), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
