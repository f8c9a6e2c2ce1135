"""Record what real servers and clients make of the reviewed policies.

usage: python -m tests.contract.policies.record [RELEASE | clients] ...

Rewrites tests/contract/policies/recorded for the servers in HEADSCALE_BINARIES; the
clients need root, to be in a network namespace of their own.
"""

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.contract import real
from tests.contract.policies import clients
from tests.contract.policies.cases import KEPT, cases, complete, short
from tests.contract.policies.server import serving
from tests.contract.policies.tailnet import NODES

RECORDED = Path(__file__).parent / "recorded"


def answers(release: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Ask a server of a release all its cases."""
    before = {node.name: sorted(node.approved) for node in NODES}
    with serving(release, folder) as server:
        for name, policy in cases(release):
            yield {"name": name, **server.ask(policy, before)}


def write(file: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Write answers, one a line."""
    texts = [
        json.dumps(line | {"policy": short(line["policy"])}, ensure_ascii=False)
        for line in lines
    ]
    file.parent.mkdir(exist_ok=True)
    file.write_text("[\n" + ",\n".join(texts) + "\n]\n")
    print(file.name, len(texts), flush=True)


def recorded(name: str) -> list[dict[str, Any]]:
    """Return the recorded answers of a release, or of `clients`."""
    lines = json.loads((RECORDED / f"{name}.json").read_text())
    return [line | {"policy": complete(line["policy"])} for line in lines]


def main(chosen: list[str]) -> None:
    """Record the chosen releases, or all that are there."""
    for name in chosen or [*real.PROGRAMS, "clients"]:
        with tempfile.TemporaryDirectory() as folder:
            if name == "clients":
                lines = clients.recorded(max(KEPT) + 1, "kept")
                lines = [lines[number] for number in KEPT]
            elif real.program(name) is None:
                print(f"{name}: no {real.PROGRAMS[name]} in HEADSCALE_BINARIES")
                continue
            else:
                lines = list(answers(name, Path(folder, "server")))
        write(RECORDED / f"{name}.json", lines)


if __name__ == "__main__":
    main(sys.argv[1:])
