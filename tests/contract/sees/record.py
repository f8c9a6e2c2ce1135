"""Record what clients are shown, for the replay without servers.

usage: python -m tests.contract.sees.record [RELEASE] ...

Rewrites tests/contract/sees/recorded for the servers in HEADSCALE_BINARIES; it needs root,
for a network namespace.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tests.contract import real
from tests.contract.sees.cases import BASE, RANDOM, RELEASES, Policy
from tests.contract.sees.clients import answers

RECORDED = Path(__file__).parent / "recorded"
_SHARED = "(shared)"  # a member of a policy that is the one of BASE


def recorded(release: str) -> dict[str, Any]:
    """Return the snapshot of a server, and what clients were shown by policy."""
    found = json.loads((RECORDED / f"{release}.json").read_text())
    for asked in found["asked"]:
        asked["policy"] = {
            key: BASE[key] if value == _SHARED else value
            for key, value in asked["policy"].items()
        }
    return dict(found)


def write(release: str, found: dict[str, Any]) -> None:
    """Write the answers of a release, one policy a line."""
    lines = [json.dumps(a | {"policy": _short(a["policy"])}) for a in found["asked"]]
    asked = ",\n".join(lines)
    RECORDED.mkdir(exist_ok=True)
    (RECORDED / f"{release}.json").write_text(
        f'{{"release": "{release}",\n"live": {json.dumps(found["live"])},\n'
        f'"asked": [\n{asked}\n]}}\n'
    )
    print(release, len(lines), flush=True)


def _short(policy: Policy) -> Policy:
    return {k: _SHARED if BASE.get(k) == v else v for k, v in policy.items()}


def main(chosen: list[str]) -> None:
    """Record the chosen releases, or all that are there."""
    for release in chosen or RELEASES:
        if real.program(release) is None:
            print(f"{release}: no {real.PROGRAMS[release]} in HEADSCALE_BINARIES")
            continue
        write(release, answers(release, RANDOM))


if __name__ == "__main__":
    main(sys.argv[1:])
