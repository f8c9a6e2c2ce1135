"""What `access sees` prints, in the form of what clients are shown."""

import json
from collections.abc import Mapping
from typing import Any

from reconcile.model import Live
from reconcile.policy.access.evaluate import Evaluator
from reconcile.policy.access.offers import Offers
from reconcile.policy.meaning.resolve import Resolver
from reconcile.review.state import read_words, tailnet, written
from tests.contract.sees.cases import Policy

Seen = dict[str, dict[str, list[str]]]  # by viewer and peer: routes besides addresses


def evaluator(live: Live, policy: Policy) -> Evaluator:
    """Return our reading of a policy in a tailnet."""
    read = read_words(written(json.dumps(policy), "policy"), live.server)
    return Evaluator(read, tailnet(live.users, live.nodes, live.server))


def expected(live: Live, policy: Policy) -> Seen:
    """Return what each node is shown by our reading."""
    known = evaluator(live, policy)
    read, nodes = known.policy, known.tailnet
    offers = Offers(read, nodes, Resolver(read, nodes))
    return {
        machine.name: {
            peer.machine.name: sorted([*(r.text for r in peer.routes), *peer.exits])
            for peer in offers.peers(machine)
        }
        for machine in nodes.machines
    }


def printed(answer: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the peers and routes in the JSON of `access sees`."""
    found: dict[str, list[str]] = {_bare(p["node"]): [] for p in answer["peers"]}
    for route in answer["routes"]:
        found[_bare(route["through"])].append(route["route"])
    for exit_ in answer["exit_nodes"]:
        found[_bare(exit_["node"])] += exit_["routes"]
    return {name: sorted(routes) for name, routes in found.items()}


def without_reason(answer: Mapping[str, Any]) -> list[str]:
    """Return the peers and routes that are printed without any rule."""
    entries = [*answer["peers"], *answer["routes"], *answer["exit_nodes"]]
    return [str(each) for each in entries if not each["to"] and not each["from"]]


def _bare(name: str) -> str:
    return name.removeprefix("node:")
