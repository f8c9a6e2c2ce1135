"""What clients of each release are told where a rule names `autogroup:self`.

usage: unshare -n python -m tests.contract.policies.told RELEASE FILE

Servers compile such policies for each node by itself, which no debug page shows. Runs in
a network namespace of its own: starts a server of the release and a few clients, stores
one policy after the other, and writes the filter that each client has into FILE.
"""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from reconcile.policy.access.evaluate import Evaluator
from reconcile.policy.reading import read
from tests.contract import namespace
from tests.contract.clients import Clients
from tests.contract.policies import tailnet
from tests.contract.policies.comparison import delivered, unequal
from tests.contract.policies.server import PolicyServer
from tests.contract.seeds import SeedNode
from tests.policy_cases import boxes, recorded_boxes

RELEASES = ("0.27", "0.28", "0.29", "main")
NODES = (
    SeedNode("laptop", "alice"),
    SeedNode("phone", "alice"),
    SeedNode("desk", "bob"),
    SeedNode("server", "bob", tags=("tag:web",)),
)
RECORDED = Path(__file__).parent / "recorded" / "told.json"
Answer = dict[str, Any]


def _acl(src: list[str], *dst: str) -> Answer:
    return {"action": "accept", "src": src, "dst": list(dst)}


_OWN = _acl(["autogroup:member"], "autogroup:self:22")
_SSH = {
    "action": "accept",
    "src": ["autogroup:member"],
    "dst": ["autogroup:self"],
    "users": ["root"],
}
_MIXED = _acl(["group:mixed", "bob@"], "tag:web:80")
_ACLS: dict[str, Answer] = {
    "a-group-with-a-stranger-alone": {"acls": [_MIXED]},
    "beside-a-rule-to-the-own-devices": {"acls": [_MIXED, _OWN]},
    "in-the-rule-to-the-own-devices": {
        "acls": [_acl(["group:mixed", "bob@"], "tag:web:80", "autogroup:self:81")]
    },
    "beside-an-ssh-rule-to-the-own-devices": {"acls": [_MIXED], "ssh": [_SSH]},
    "as-a-destination": {
        "acls": [_acl(["bob@"], "group:mixed:80", "tag:web:81"), _OWN]
    },
    "a-stranger-who-is-in-no-group": {
        "acls": [_acl(["nobody@", "bob@"], "*:80"), _OWN]
    },
    "a-group-that-is-known": {"acls": [_acl(["group:known"], "tag:web:80"), _OWN]},
}
POLICIES = {
    name: {
        "groups": {"group:mixed": ["alice@", "nobody@"], "group:known": ["alice@"]},
        "tagOwners": {"tag:web": []},
        **policy,
    }
    for name, policy in _ACLS.items()
}


def differences(release: str, name: str, told: Answer) -> list[str]:
    """Return where the filters that clients have differ from ours."""
    policy = read(POLICIES[name], release)
    assert not policy.errors
    evaluator = Evaluator(policy, tailnet.tailnet(release, NODES))
    found = []
    for machine in evaluator.tailnet.machines:
        ours = delivered(machine, map(boxes, evaluator.filter(machine)))
        theirs = delivered(machine, map(recorded_boxes, told[machine.name]))
        found += [f"{name} on {machine.name}: {x}" for x in unequal(ours, theirs)]
    return found


def ask(server: PolicyServer, joined: Clients, release: str) -> Iterator[Answer]:
    """Store each policy; yield the filters that clients then have.

    A client hears of a policy a moment later: what is not as expected is asked again.
    """
    for name, policy in POLICIES.items():
        refusal = server.put(policy)
        assert refusal is None, refusal
        deadline = time.monotonic() + 15
        while True:
            told = {
                node.name: namespace.told(joined.netmap(node.name))["filter"]
                for node in NODES
            }
            if time.monotonic() > deadline or not differences(release, name, told):
                break
            time.sleep(0.5)
        yield {"release": release, "name": name, "told": told}


def main(release: str, file: Path) -> None:
    """Furnish the namespace, let the clients join, and write what they are told."""
    namespace.furnish()
    users = tailnet.USERS
    with namespace.serving(release, users) as (asked, joined):
        namespace.join(asked, joined, namespace.owned(NODES, users))
        file.write_text(json.dumps(list(ask(asked, joined, release))))


def answers(release: str) -> list[Answer]:
    """Ask the clients of a release in a namespace of their own."""
    program = "tests.contract.policies.told"
    return list(json.loads(namespace.run(program, release, seconds=400)))


def record(releases: Iterable[str] = RELEASES) -> None:
    """Rewrite the recorded answers for all releases."""
    found = [each for name in releases for each in answers(name)]
    lines = ",\n".join(json.dumps(each) for each in found)
    RECORDED.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
