"""Record what real servers answer to the policies of `cases`.

usage: python -m tests.contract.validity.record [RELEASE] ...

Rewrites tests/contract/validity/recorded.json for the servers in HEADSCALE_BINARIES:
for each policy the releases that took it.
"""

import json
import sys
import tempfile
from pathlib import Path

import httpx

from tests.contract import real
from tests.contract.validity.cases import CASES

RECORDED = Path(__file__).with_name("recorded.json")
Answers = dict[str, list[str]]


def taken(release: str, folder: Path) -> set[str]:
    """Ask a server of a release to store each policy; return those that it took."""
    server = real.RealServer(release, "tailnet", folder)
    server.prepare()
    server.start()
    try:
        headers = {"Authorization": f"Bearer {server.api_key}"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=60) as client:
            return {name for name, text in CASES.items() if _takes(client, text)}
    finally:
        server.stop()


def _takes(client: httpx.Client, text: str) -> bool:
    return client.put("/api/v1/policy", json={"policy": text}).status_code == 200


def recorded() -> Answers:
    """Return the releases that took each policy."""
    found: Answers = json.loads(RECORDED.read_text())
    return found


def main(chosen: list[str]) -> None:
    """Record the chosen releases, or all that are there."""
    known = recorded() if RECORDED.exists() else {}
    for release in chosen or real.PROGRAMS:
        with tempfile.TemporaryDirectory() as folder:
            names = taken(release, Path(folder, "server"))
        for name in CASES:
            others = set(known.get(name, ())) - {release}
            both = others | ({release} if name in names else set())
            known[name] = [each for each in real.PROGRAMS if each in both]
        print(release, len(names), "taken of", len(CASES))
    lines = [f"{json.dumps(name)}: {json.dumps(known[name])}" for name in CASES]
    RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
