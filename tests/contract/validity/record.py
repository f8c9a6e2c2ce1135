"""Record what real servers answer to the policies of `cases`.

usage: python -m tests.contract.validity.record [RELEASE] ...

Rewrites tests/contract/validity/recorded.json for the servers in HEADSCALE_BINARIES:
for each policy the refusal of each release, null where it took the policy.
"""

import json
import sys
import tempfile
from pathlib import Path

import httpx

from tests.contract import real
from tests.contract.validity.cases import CASES

RECORDED = Path(__file__).with_name("recorded.json")
Answers = dict[str, dict[str, str | None]]


def answers(release: str, folder: Path) -> dict[str, str | None]:
    """Ask a server of a release to store each policy; return what it refuses."""
    server = real.RealServer(release, "tailnet", folder)
    server.prepare()
    server.start()
    try:
        headers = {"Authorization": f"Bearer {server.api_key}"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=60) as client:
            return {name: _put(client, text) for name, text in CASES.items()}
    finally:
        server.stop()


def _put(client: httpx.Client, text: str) -> str | None:
    """Store a policy; return the first line of the refusal, None when it was taken."""
    answer = client.put("/api/v1/policy", json={"policy": text})
    if answer.status_code == 200:
        return None
    body = answer.json()
    said = [error["message"] for error in body.get("errors") or ()]
    return str([*said, body.get("message", body.get("detail", ""))][0]).splitlines()[0]


def recorded() -> Answers:
    """Return the recorded answers: policy, release, refusal."""
    found: Answers = json.loads(RECORDED.read_text())
    return found


def main(chosen: list[str]) -> None:
    """Record the chosen releases, or all that are there."""
    known = recorded() if RECORDED.exists() else {}
    for release in chosen or real.PROGRAMS:
        with tempfile.TemporaryDirectory() as folder:
            said = answers(release, Path(folder, "server"))
        for name, refusal in said.items():
            known.setdefault(name, {})[release] = refusal
        print(release, sum(r is None for r in said.values()), "taken of", len(said))
    write(known)


def write(known: Answers) -> None:
    """Write the answers, a policy a line."""
    lines = [
        f"{json.dumps(name)}: {json.dumps(known[name], ensure_ascii=False)}"
        for name in CASES
    ]
    RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
