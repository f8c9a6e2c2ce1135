"""The users and nodes that a policy is applied to, indexed for evaluation."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reconcile.model import EXIT_ROUTES, Node, User
from reconcile.policy.sets import IntervalSet, prefix


@dataclass(frozen=True, slots=True)
class Machine:
    """A node as rules see it: identity, addresses, and the routes that count.

    `owner` is None for a tagged node, whatever its record says. `subnets` are the
    non-exit routes, `exits` the exit routes that are in force, all as sets beside the
    text; `index` is its place in the tailnet.
    """

    index: int
    node: Node
    owner: str | None
    addresses: IntervalSet
    subnets: tuple[tuple[str, IntervalSet], ...]
    exits: tuple[str, ...]

    @property
    def name(self) -> str:
        """The node's unique name."""
        return self.node.name

    def routes_to(self, addresses: IntervalSet) -> bool:
        """Tell whether one of its subnet routes overlaps a set."""
        return any(route.overlaps(addresses) for _, route in self.subnets)

    def matches(self, addresses: IntervalSet) -> bool:
        """Tell whether the node, or what it routes to, is in a set of addresses."""
        return self.addresses.overlaps(addresses) or self.routes_to(addresses)


class Tailnet:
    """Users and nodes; `domains` and `roles` are known for the hosted service only.

    `expired` are the ids of nodes that are left out because their key has expired.
    `like` is a tailnet with mostly the same nodes, of which it takes over what it can.

    `domains` are the mail domains of the tailnet, None when nobody said. `roles` maps
    a role to user names; a role that is missing from it is not known.
    """

    def __init__(
        self,
        users: Sequence[User],
        nodes: Sequence[Node],
        *,
        domains: Iterable[str] | None = None,
        roles: Mapping[str, Iterable[str]] | None = None,
        advertised: bool = False,
        expired: Iterable[str] = (),
        like: "Tailnet | None" = None,
    ) -> None:
        self.users = tuple(users)
        self.advertised = advertised
        self.expired = frozenset(expired)
        self.domains = None if domains is None else frozenset(domains)
        self.roles = {role: frozenset(names) for role, names in (roles or {}).items()}
        left = (node for node in nodes if node.id not in self.expired)
        known = like.machines if like and like.advertised == advertised else ()
        self.machines: tuple[Machine, ...] = tuple(
            known[index]
            if index < len(known) and known[index].node is node
            else _machine(index, node, advertised)
            for index, node in enumerate(left)
        )
        self.by_tag: dict[str, list[Machine]] = defaultdict(list)
        self.by_owner: dict[str, list[Machine]] = defaultdict(list)
        for machine in self.machines:
            for tag in machine.node.tags:
                self.by_tag[tag].append(machine)
            if machine.owner is not None:
                self.by_owner[machine.owner].append(machine)
        self.tagged = [machine for machine in self.machines if machine.node.tags]
        self.members = [m for m in self.machines if m.owner is not None]
        self.subnets = IntervalSet.union(
            route for machine in self.machines for _, route in machine.subnets
        )

    def without(self, expired: Iterable[str]) -> "Tailnet":
        """Return the tailnet in which the keys of some nodes have expired."""
        return Tailnet(
            self.users,
            [machine.node for machine in self.machines],
            domains=self.domains,
            roles=self.roles,
            advertised=self.advertised,
            expired=expired,
            like=self,
        )

    def touched(self, addresses: IntervalSet) -> list[Machine]:
        """Return the nodes that own an address of a set."""
        return [m for m in self.machines if m.addresses.overlaps(addresses)]


def _machine(index: int, node: Node, advertised: bool) -> Machine:
    routes = node.available if advertised else node.approved & node.available
    subnets = sorted(routes if advertised else routes - EXIT_ROUTES)
    return Machine(
        index,
        node,
        None if node.tags else node.user,
        IntervalSet.union(prefix(address) for address in node.addresses),
        tuple((route, prefix(route)) for route in subnets),
        tuple(sorted(routes & EXIT_ROUTES)),
    )


def seniority(machine: Machine) -> tuple[str, int]:
    """Sort key of HA routers: the one that joined first is primary.

    Headscale keeps the current primary while it is online, which no record tells, and
    else takes the lowest node id: the same one in most tailnets.
    """
    return machine.node.created.rstrip("Z") or "unknown", machine.index


def addresses_of(machines: Iterable[Machine]) -> IntervalSet:
    """Return the addresses of nodes as one set."""
    return IntervalSet.union(machine.addresses for machine in machines)
