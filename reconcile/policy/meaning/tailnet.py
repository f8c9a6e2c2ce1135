"""The users and nodes that a policy is applied to, indexed for evaluation."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from reconcile.model import EXIT_ROUTES, Node, User, user_labels
from reconcile.policy.language.sets import IntervalSet, address, prefix


class Identity(NamedTuple):
    """What selects a node: its tags, and its user's id.

    It has one of the two; both where its device asked for the tags, up to 0.27.
    """

    tags: frozenset[str] = frozenset()
    owner: str | None = None


NOBODY = Identity()


class Machine:
    """A node as rules see it: identity, addresses, and the routes that count.

    `tags` are those that rules heed, and `owner` is the user's id where they heed the
    user, whatever the record says.
    `subnets` are the non-exit routes, as sets beside the text, and `exits` the exit
    routes that are in force: with `advertised` all that it advertises. `numbers` are
    its addresses on the number line of `sets`, `index` is its place in the tailnet.

    Raises ValueError when an address or a route is none.
    """

    subnets: tuple[tuple[str, IntervalSet], ...] = ()
    exits: tuple[str, ...] = ()

    def __init__(self, index: int, node: Node, advertised: bool) -> None:
        self.index = index
        self.node = node
        self.name = node.name
        self.tags = node.worn
        self.owner = node.owner
        self.identity = Identity(self.tags, self.owner)
        self.numbers = [address(text) for text in node.addresses]
        routes = node.available if advertised else node.approved & node.available
        if routes:
            subnets = sorted(routes if advertised else routes - EXIT_ROUTES)
            self.subnets = tuple((route, prefix(route)) for route in subnets)
            self.exits = tuple(sorted(routes & EXIT_ROUTES))

    @cached_property
    def addresses(self) -> IntervalSet:
        """Its addresses as a set; many policies never ask for those of most nodes."""
        return IntervalSet((number, number) for number in self.numbers)

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
    a role to user ids; a role that is missing from it is not known.
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
        self.roles = {role: frozenset(ids) for role, ids in (roles or {}).items()}
        left = (node for node in nodes if node.id not in self.expired)
        known = like.machines if like and like.advertised == advertised else ()
        self.machines: tuple[Machine, ...] = tuple(
            known[index]
            if index < len(known) and known[index].node is node
            else Machine(index, node, advertised)
            for index, node in enumerate(left)
        )

    @cached_property
    def keys(self) -> list[str]:
        """What makes a node the same one in another tailnet: its id, else its name."""
        return [machine.node.id or machine.name for machine in self.machines]

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """What to call each user, by id."""
        return user_labels(self.users)

    def label(self, owner: str) -> str:
        """Return what to call the user with an id, known or not."""
        return self.labels.get(owner, f"#{owner}")

    @cached_property
    def routers(self) -> list[Machine]:
        """The nodes that lead somewhere: subnet routers and exit nodes."""
        return [m for m in self.machines if m.subnets or m.exits]

    @cached_property
    def by_identity(self) -> Mapping[Identity, list[Machine]]:
        """The nodes by what selects them: their tags and their user."""
        found: dict[Identity, list[Machine]] = defaultdict(list)
        for machine in self.machines:
            found[machine.identity].append(machine)
        return found

    @cached_property
    def by_tag(self) -> Mapping[str, list[Machine]]:
        """The nodes that wear each tag."""
        found: dict[str, list[Machine]] = defaultdict(list)
        for who, machines in self.by_identity.items():
            for tag in who.tags:
                found[tag] += machines
        for machines in found.values():
            machines.sort(key=lambda machine: machine.index)
        return found

    @cached_property
    def by_owner(self) -> Mapping[str, list[Machine]]:
        """The nodes that rules heed as a user's, by the user's id."""
        found: dict[str, list[Machine]] = defaultdict(list)
        for machine in self.machines:
            if machine.owner is not None:
                found[machine.owner].append(machine)
        return found

    @cached_property
    def by_address(self) -> tuple[list[int], list[Machine]]:
        """The addresses of all nodes, sorted, and beside each its node."""
        points = sorted(
            (number, machine.index)
            for machine in self.machines
            for number in machine.numbers
        )
        return [low for low, _ in points], [self.machines[i] for _, i in points]

    @cached_property
    def addresses(self) -> IntervalSet:
        """The addresses of all nodes."""
        return addresses_of(self.machines)

    @cached_property
    def subnets(self) -> IntervalSet:
        """What the routes in force lead to, exit nodes aside."""
        return IntervalSet.union(
            route for machine in self.routers for _, route in machine.subnets
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

    def seen(self, advertised: bool, stored_tags: bool) -> "Tailnet":
        """Return the same tailnet as another release sees it.

        `advertised` is as for a new one; with `stored_tags` nodes have no other tags.
        """
        nodes = [machine.node for machine in self.machines]
        return Tailnet(
            self.users,
            [node.with_stored_tags() for node in nodes] if stored_tags else nodes,
            domains=self.domains,
            roles=self.roles,
            advertised=advertised,
        )

    def touched(self, addresses: IntervalSet) -> list[Machine]:
        """Return the nodes that own an address of a set."""
        lows, machines = self.by_address
        found = {
            machine.index: machine
            for low, high in addresses
            for machine in machines[bisect_left(lows, low) : bisect_right(lows, high)]
        }
        return [machine for _, machine in sorted(found.items())]


def seniority(machine: Machine) -> tuple[str, int]:
    """Sort key of HA routers: the one that joined first is primary.

    Headscale keeps the current primary while it is online, which no record tells, and
    else takes the lowest node id: the same one in most tailnets.
    """
    return machine.node.created.rstrip("Z") or "unknown", machine.index


def addresses_of(machines: Iterable[Machine]) -> IntervalSet:
    """Return the addresses of nodes as one set."""
    return IntervalSet.union(machine.addresses for machine in machines)
