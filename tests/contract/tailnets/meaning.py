"""What the names of a question stand for: nodes, addresses and networks."""

from tests.contract.tailnets import ranges
from tests.contract.tailnets.names import Names
from tests.contract.tailnets.state import Policy
from tests.contract.tailnets.truth import Truth

# Addresses that a server may give to nodes: in a network they are no gap.
_TAILNET = (
    *ranges.spans("100.64.0.0-100.115.91.255"),
    *ranges.spans("100.115.94.0-100.127.255.255"),
    *ranges.spans("fd7a:115c:a1e0::/48"),
)


def literal(policy: Policy | None, word: str) -> str:
    """Return what a host stands for; other names stand for themselves."""
    hosts: dict[str, str] = (policy or {}).get("hosts") or {}
    return hosts.get(word, word)


def ends(truth: Truth, word: str) -> list[int]:
    """Return what a name stands for: the points of each node, and each address.

    An address is no other one: of its node it means that address alone, but where a
    release takes it for the node. Raises Unreadable.
    """
    names: Names = truth.names
    found = names.read(literal(truth.state.policy, word))
    nodes = [truth.probes.of([d.id]) for d in names.state.devices]
    if _is_widened(truth, word):
        for node in nodes:
            found |= node if node & found else 0
    apart = [
        1 << p.place
        for p in truth.probes.points
        if not p.devices and found >> p.place & 1
    ]
    return [node & found for node in nodes if node & found] + apart


def _is_widened(truth: Truth, word: str) -> bool:
    """Tell whether an address brings in the other family of its nodes.

    Seen in filters: up to 0.28 single addresses and hosts do, on 0.26 networks as well.
    """
    if truth.release in ("0.29", "main"):
        return False
    text = literal(truth.state.policy, word)
    try:
        ((low, high),) = ranges.spans(text)
    except ValueError:
        return False
    return truth.release == "0.26" or low == high or text != word


def served(truth: Truth, word: str) -> bool:
    """Tell whether something leads to all of a network; to other names, always."""
    text = literal(truth.state.policy, word)
    try:
        ((low, high),) = ranges.spans(text)
    except ValueError:
        return True
    state = truth.state
    known = [s for d in state.devices for r in d.subnets for s in ranges.spans(r)]
    for device in state.devices:
        if "0.0.0.0/0" in device.usable:
            known += ranges.PUBLIC4
        if "::/0" in device.usable:
            known += ranges.PUBLIC6
    return low == high or ranges.is_covered((low, high), [*known, *_TAILNET])
