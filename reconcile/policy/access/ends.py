"""The two ends of rules as servers hold nodes against them.

Many rules mean the same nodes. So each end is looked up once, whatever asks for it.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property

from reconcile.policy.access.universe import exits, is_exit, usable
from reconcile.policy.language.releases import Release
from reconcile.policy.language.sets import Interval, IntervalSet, prefix
from reconcile.policy.meaning.resolve import INTERNET, is_internet
from reconcile.policy.meaning.tailnet import Machine, Tailnet


class Ground:
    """The addresses and the approved routes of a tailnet's nodes, to be searched."""

    def __init__(self, tailnet: Tailnet, release: Release) -> None:
        self.tailnet, self.release = tailnet, release
        self._lows, machines = tailnet.by_address
        self._holders = [machine.index for machine in machines]
        self._leaders: dict[Interval, list[int]] = defaultdict(list)
        for machine in tailnet.routers:
            for interval in (each for route in self.routes(machine) for each in route):
                self._leaders[interval].append(machine.index)
        self._routes = sorted(self._leaders)
        self._sizes = {high - low + 1 for low, high in self._routes}

    def routes(self, machine: Machine) -> Iterator[IntervalSet]:
        """Yield the routes of a node; up to 0.26 exit routes are routes as others."""
        for _, route in usable(machine):
            yield route
        if not self.release.exits_shown_by_internet:
            yield from map(prefix, exits(machine))

    def holders(self, addresses: IntervalSet) -> Iterator[int]:
        """Yield the indexes of the nodes that have an address of a set."""
        for low, high in addresses:
            first, end = (bisect_left(self._lows, at) for at in (low, high + 1))
            yield from self._holders[first:end]

    def leaders(self, addresses: IntervalSet) -> Iterator[int]:
        """Yield the indexes of the nodes with a route into a set."""
        for low, high in addresses if self._routes else ():
            first, end = (bisect_left(self._routes, (at,)) for at in (low, high + 1))
            for route in self._routes[first:end]:
                yield from self._leaders[route]
            # Routes are prefixes: of each size, one at most starts before and has it.
            for size in self._sizes:
                start = low - low % size
                if start < low:
                    yield from self._leaders.get((start, start + size - 1), ())


class End:
    """The addresses that a rule means on one side.

    It is asked about one node, or gives what it would say of each one: 1 or 0, by the
    node's index.
    """

    def __init__(self, ground: Ground, addresses: IntervalSet) -> None:
        self._ground, self.addresses = ground, addresses

    def stands_for(self, machine: Machine) -> bool:
        """Tell whether a node is a source here, as a router of a network may be."""
        if machine.addresses.overlaps(self.addresses):
            return True
        stands = self._ground.release.routers_stand_for_networks
        return stands and self._is_behind(machine)

    def leads_to(self, machine: Machine) -> bool:
        """Tell whether a rule to here makes a node a peer of its sources."""
        if machine.addresses.overlaps(self.addresses) or self._is_behind(machine):
            return True
        return self._is_internet and is_exit(machine)

    @cached_property
    def standing(self) -> bytes:
        """What `stands_for` says of each node."""
        if self._ground.release.routers_stand_for_networks:
            return self._near
        return self._marked(self._ground.holders(self.addresses))

    @cached_property
    def led_to(self) -> bytes:
        """What `leads_to` says of each node."""
        if not self._is_internet:
            return self._near
        routers = self._ground.tailnet.routers
        return self._marked((m.index for m in routers if is_exit(m)), self._near)

    @cached_property
    def meets_internet(self) -> bool:
        """Whether some of the internet is in it."""
        return self.addresses.overlaps(INTERNET)

    @cached_property
    def _near(self) -> bytes:
        """The nodes that have an address here, or a route to one."""
        held = self._marked(self._ground.holders(self.addresses))
        return self._marked(self._ground.leaders(self.addresses), held)

    def _is_behind(self, machine: Machine) -> bool:
        return any(r.overlaps(self.addresses) for r in self._ground.routes(machine))

    @cached_property
    def _is_internet(self) -> bool:
        return is_internet(self.addresses, self._ground.release)

    def _marked(self, indexes: Iterable[int], others: bytes = b"") -> bytes:
        found = bytearray(others or len(self._ground.tailnet.machines))
        for index in indexes:
            found[index] = 1
        return bytes(found)
