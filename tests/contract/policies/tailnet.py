"""The tailnet that random policies are applied to: as seeds, and for the evaluator."""

from collections.abc import Iterable, Mapping

from reconcile.model import Node, User
from reconcile.policy.language.releases import release as row_of
from reconcile.policy.meaning.tailnet import Tailnet
from tests.contract.seeds import CREATED, EXIT, SeedNode, addresses

# Names and e-mails. The token `team@example.com` fits two users, and `carol` has none.
USERS = {
    "alice": "alice@example.com",
    "bob": "bob@example.com",
    "carol": "",
    "dave": "Dave@Other.example",
    "erin": "team@example.com",
    "frank": "team@example.com",
}
NODES = (
    SeedNode("laptop", "alice"),
    SeedNode("phone", "alice"),
    SeedNode("desk", "bob"),
    SeedNode("tablet", "carol"),
    SeedNode("console", "dave"),
    SeedNode(
        "router",
        "bob",
        routes=("10.1.0.0/16", "10.2.0.0/24", "fd00:1::/64"),
        approved=("10.1.0.0/16", "fd00:1::/64"),
    ),
    SeedNode(
        "gateway",
        "bob",
        routes=("10.1.0.0/16", "192.168.7.0/24", "fd00:2::/64"),
        approved=("10.1.0.0/16", "192.168.7.0/24"),
        tags=("tag:router",),
    ),
    SeedNode("exit", "carol", routes=EXIT, approved=EXIT, tags=("tag:exit",)),
    SeedNode("server", "bob", tags=("tag:web",)),
    SeedNode("store", "bob", tags=("tag:db", "tag:web")),
    SeedNode("stick", "erin"),
    SeedNode("watch", "frank", routes=EXIT),
)


def users() -> list[User]:
    """Return the users as the adapter shows them."""
    return [User(str(i), name, email=e) for i, (name, e) in enumerate(USERS.items(), 1)]


def tailnet(
    release: str,
    nodes: Iterable[SeedNode] = NODES,
    approved: Mapping[str, Iterable[str]] | None = None,
) -> Tailnet:
    """Return the seeded tailnet as a release sees it.

    `approved` are the approved routes by node, None for those of the seeds.
    """
    known = users()
    ids = {user.name: user.id for user in known}
    return Tailnet(
        known,
        [
            Node(
                str(number),
                seed.name,
                user_id=None if seed.tags else ids[seed.user],
                tags=frozenset(seed.tags),
                approved=frozenset(
                    seed.approved if approved is None else approved.get(seed.name, ())
                ),
                available=frozenset(seed.routes),
                addresses=addresses(number),
                created=CREATED,
            )
            for number, seed in enumerate(nodes, 1)
        ],
        advertised=row_of(release).advertised_routes,
    )
