"""What a node is shown, by two ways: node by node, and for all nodes at once."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile.model import Node
from reconcile.policy.access.access import Access
from reconcile.policy.access.offers import Offers
from reconcile.policy.access.universe import merge
from reconcile.policy.language.releases import release as row_of
from reconcile.policy.meaning.tailnet import Tailnet
from reconcile.policy.reading import read
from tests.property.test_access_laws import EXITS, NODES, POLICY, USERS
from tests.support import owned

RELEASES = st.sampled_from(["0.26", "0.27", "0.28", "0.29", "main"])


def _asked(policy: dict[str, Any], nodes: list[Node], release: str) -> Access | None:
    """Return the access, None for a policy that the release does not take."""
    value = {key: policy[key] for key in policy if key != "grants" or release > "0.28"}
    found = read(value, release)
    if found.errors:
        return None
    advertised = row_of(release).advertised_routes
    return Access(found, Tailnet(USERS, owned(nodes, USERS), advertised=advertised))


def _offers(access: Access) -> Offers:
    world = access.world
    return Offers(world.policy, world.tailnet, world.resolver)


@settings(max_examples=150, deadline=None)
@given(POLICY, NODES, RELEASES)
def test_exit_nodes_are_those_that_access_counts(
    policy: dict[str, Any], nodes: list[Node], release: str
) -> None:
    """Access leaves out who offers to be an exit node: its client chooses no other."""
    access = _asked(policy, nodes, release)
    if access is None or any(rule.via for rule in access.world.policy.rules or ()):
        return  # what `via` shows depends on the other rules: tests/contract/sees
    if not access.matrix.rows:
        return  # 0.26 shows everybody then, which opens nothing
    offers, world = _offers(access), access.world
    for number, machine in world.machines.items():
        own = access.matrix.universe.node(number) & world.present
        rows = [row for row in access.matrix.rows if row.members & own]
        counted = merge(row.sides[0].offered.blocks for row in rows)
        shown = {p.machine.index for p in offers.peers(machine) if p.exits}
        blocks = {e.block for e in world.exits if e.machine.index in shown}
        # No rule has a node without a row as its source: an exit opens nothing to it.
        if rows and not machine.node.available & EXITS:
            assert counted == sum(1 << block for block in blocks)


@settings(max_examples=100, deadline=None)
@given(POLICY, NODES, RELEASES)
def test_what_is_open_is_shown(
    policy: dict[str, Any], nodes: list[Node], release: str
) -> None:
    """Two nodes of which one reaches the other see each other."""
    access = _asked(policy, nodes, release)
    if access is None or any(rule.via for rule in access.world.policy.rules or ()):
        return
    offers, world = _offers(access), access.world
    universe = access.matrix.universe
    peers = {
        m.index: {p.machine.index for p in offers.peers(m)}
        for m in world.tailnet.machines
    }
    for row in access.matrix.rows:
        for _, targets in access.matrix.reach(row, 0):
            for one, source in world.machines.items():
                for other, target in world.machines.items():
                    near = targets & universe.partners(universe.node(one) & row.members)
                    if one != other and universe.node(other) & near:
                        assert target.index in peers[source.index]
                        assert source.index in peers[target.index]
