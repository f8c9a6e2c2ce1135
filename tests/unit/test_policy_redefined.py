"""A host or group that means something else has its own cause in access."""

from reconcile.model import Node, User
from reconcile.policy.access.difference import diff
from reconcile.policy.meaning.tailnet import Tailnet
from reconcile.policy.reading import read

ROUTE = frozenset({"10.1.0.0/16"})
TAILNET = Tailnet(
    [User("1", "ann"), User("2", "ben")],
    [
        Node("1", "laptop", user_id="1", addresses=("100.64.0.1",)),
        Node(
            "2",
            "router",
            user_id="2",
            addresses=("100.64.0.2",),
            available=ROUTE,
            approved=ROUTE,
        ),
    ],
)


def test_a_host_moves_beside_a_wider_destination_of_the_rule() -> None:
    """Seen on 0.29: the server's filter loses the old address, on most ports."""
    rule = {"action": "accept", "src": ["ann@"], "dst": ["spot:*", "*:8000"]}
    before, after = (
        read({"hosts": {"spot": address}, "acls": [rule]}, "0.29")
        for address in ("10.1.0.5", "100.64.0.99")
    )
    found = diff((before, TAILNET), (after, TAILNET))
    (lost,) = found.lost
    assert (lost.sources, lost.targets) == (("ann",), ("spot (10.1.0.5)",))
    assert lost.services == ("tcp/udp 1-7999,8001-65535",)
    assert lost.because == ('hosts."spot"',)
    assert found.gained == ()
