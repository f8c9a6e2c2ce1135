"""Hold random policies against a real server, or against real clients.

usage: python -m tests.contract.policies RELEASE|clients [COUNT [SEED]]

HEADSCALE_BINARIES names the folder of the programs; clients need root. Prints every
difference and, at the end, how many policies were accepted, refused (and with words
that are ours as well) and read differently, and how many connections the clients
opened; exit code 1 if any policy was read differently.
"""

import itertools
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.contract.policies import clients
from tests.contract.policies.comparison import differences, in_the_same_words
from tests.contract.policies.mistakes import policies
from tests.contract.policies.server import Answer, serving
from tests.contract.policies.tailnet import NODES


def main(arguments: list[str]) -> int:
    """Compare, print, and return 0, 1 for a difference, 64 for wrong usage."""
    if not arguments:
        print(__doc__)
        return 64
    asked, count, seed = (*arguments, *("200", "1")[len(arguments) - 1 :])
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        compare = _clients if asked == "clients" else _server
        for answer, found in compare(asked, int(count), seed, Path(folder)):
            refusal = answer["refusal"]
            seen["accepted" if refusal is None else "refused"] += 1
            seen["different"] += bool(found)
            if found:
                print("\n".join(found[:4]))
                policy = json.dumps(answer["policy"], ensure_ascii=False)
                print(f"    {policy}", flush=True)
            elif refusal is not None:
                seen["in the same words"] += in_the_same_words(asked, answer)
            elif asked == "clients":
                seen["connections opened"] += len(answer["opened"])
    print(f"{asked}: " + ", ".join(f"{n} {what}" for what, n in seen.items()))
    return 1 if seen["different"] else 0


def _server(
    release: str, count: int, seed: str, folder: Path
) -> Iterator[tuple[Answer, list[str]]]:
    """Yield a server's answers, each with its differences from ours."""
    before = {node.name: sorted(node.approved) for node in NODES}
    with serving(release, folder / "server") as server:
        for policy in itertools.islice(policies(release, seed), count):
            answer = server.ask(policy, before)
            yield answer, differences(release, answer)


def _clients(
    _: str, count: int, seed: str, folder: Path
) -> Iterator[tuple[Answer, list[str]]]:
    """Yield the answers of clients, each with its differences from ours."""
    for answer in clients.recorded(count, seed):
        yield answer, clients.differences(answer)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
