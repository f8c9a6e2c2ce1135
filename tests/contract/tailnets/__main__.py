"""Hold the plans of random pairs of states against a real server.

usage: python -m tests.contract.tailnets RELEASE COUNT SEED [FOLDER]
       python -m tests.contract.tailnets clients RELEASE COUNT SEED [FOLDER]
       python -m tests.contract.tailnets again FOLDER
       python -m tests.contract.tailnets shrink CASE [KIND]

HEADSCALE_BINARIES names the folder of the programs. The first form prints a line for
each pair that is told wrongly and, at the end, how many pairs and how many of each
kind of difference there were; FOLDER takes the failing pairs, a folder each. With
`clients` the tailnets are joined by real clients, in a network namespace, which needs
root. The third form reads such cases and plans them again, without a server. The last
one makes a case small, in CASE-small, and keeps its first difference, or that of a kind.
Exit code 1 if there was a difference.
"""

import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.contract.tailnets import clients
from tests.contract.tailnets.cases import load, save
from tests.contract.tailnets.run import Result, held, retried
from tests.contract.tailnets.server import serving
from tests.contract.tailnets.shrinking import shrink


def main(arguments: list[str]) -> int:
    """Compare, print, and return 0, 1 for a difference, 64 for wrong usage."""
    with tempfile.TemporaryDirectory() as place:
        match arguments:
            case ["again", folder]:
                cases = sorted(
                    path.parent for path in Path(folder).rglob("server.json")
                )
                return _told(map(load, cases), [str(case) for case in cases], None)
            case ["shrink", case, *kind]:
                return _shrunk(Path(case), "".join(kind), Path(place))
            case ["clients", release, count, seed, *folder]:
                results = clients.held(release, int(count), seed)
                saved = Path(folder[0]) if folder else None
                return _told(results, [], saved, f"{release}-clients-{seed}")
            case [release, count, seed, *folder]:
                results = held(release, int(count), seed, Path(place))
                saved = Path(folder[0]) if folder else None
                return _told(results, [], saved, f"{release}-{seed}")
    print(__doc__)
    return 64


def _told(
    results: Iterable[Result], names: list[str], folder: Path | None, prefix: str = ""
) -> int:
    """Print what is told wrongly, and how often."""
    kinds: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for number, result in enumerate(results):
        seen[result.verdict] += 1
        if result.verdict == "refused":
            kinds[_reason(result.refusal)] += 1
        seen["with a wrong answer"] += bool(result.answers)
        for found in result.wrong:
            kinds[found.kind] += 1
            name = names[number] if names else str(number)
            print(f"{name}: {found}", flush=True)
        if result.wrong and folder:
            save(folder / f"{prefix}-{number}", result)
    print(", ".join(f"{n} {what}" for what, n in seen.items()))
    for kind, number in kinds.most_common():
        print(f"  {number:5} {kind}")
    return 1 if seen["different"] or seen["with a wrong answer"] else 0


def _shrunk(case: Path, kind: str, place: Path) -> int:
    """Make a case small and save it beside itself."""
    result = load(case)
    wanted = kind or result.wrong[0].kind
    with serving(result.release, place / "server") as server:
        small = shrink(result.pair, lambda pair: wanted in retried(server, pair).kinds)
        found = retried(server, small)
    save(case.with_name(f"{case.name}-small"), found)
    return _told([found], [case.name], None)


def _reason(refusal: str) -> str:
    """Return a refusal without what differs from pair to pair."""
    code = re.search(r"RC\d{4}", refusal)
    return f"refused: {code[0] if code else refusal[:90]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
