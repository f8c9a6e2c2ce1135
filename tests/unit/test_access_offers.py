"""What it costs to tell what a node is shown, counted in steps and not in seconds."""

from unittest.mock import patch

import pytest

from reconcile.policy.access.offers import Offers
from reconcile.policy.language import sets
from reconcile.policy.meaning.resolve import Resolver
from reconcile.policy.meaning.tailnet import Tailnet
from reconcile.policy.reading import read
from tests.support import node

SIZE = 100


def _address(index):
    return f"100.64.{index // 250}.{index % 250 + 1}"


def _one_to_one(size):
    """Every rule leads to another node."""
    return [["tag:viewer", f"{_address(index)}:22"] for index in range(1, size, 2)]


def _all_to_all(size):
    """Every rule leads to the same nodes."""
    return [["tag:viewer", f"tag:other:{port}"] for port in range(1, size)]


def _scene(rules, size):
    worn = (["tag:viewer" if index == 0 else "tag:other"] for index in range(size))
    nodes = [
        node(index, f"n{index}", tags=tags, addresses=(_address(index),))
        for index, tags in enumerate(worn)
    ]
    policy = read(
        {
            "tagOwners": {"tag:viewer": [], "tag:other": []},
            "acls": [
                {"action": "accept", "src": [source], "dst": [target]}
                for source, target in rules(size)
            ],
        },
        "main",
    )
    assert not policy.errors
    return policy, Tailnet((), nodes)


def _cost(rules, size):
    """Return how many sets are compared, and how many intervals are merged."""
    policy, tailnet = _scene(rules, size)
    compared, merged = [], []
    overlaps, merge = sets.IntervalSet.overlaps, sets._merged

    def count(one, other):
        compared.append(1)
        return overlaps(one, other)

    def measure(intervals):
        merged.append(len(intervals))
        return merge(intervals)

    with (
        patch.object(sets.IntervalSet, "overlaps", count),
        patch.object(sets, "_merged", measure),
    ):
        offers = Offers(policy, tailnet, Resolver(policy, tailnet))
        peers = offers.peers(tailnet.machines[0])
    assert peers
    return len(compared), sum(merged)


@pytest.mark.parametrize("rules", [_one_to_one, _all_to_all])
def test_twice_the_nodes_and_rules_cost_twice_as_much(rules):
    once, twice = _cost(rules, SIZE), _cost(rules, 2 * SIZE)
    for few, many in zip(once, twice, strict=True):
        assert 0 < many <= 2.2 * few
